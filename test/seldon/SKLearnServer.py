"""Plays the class that Seldon's image for scikit-learn starts: the file model.joblib of a folder, asked for probabilities, or by its parameter."""

import os

import joblib
import seldon_core
from seldon_core.user_model import SeldonComponent


class SKLearnServer(SeldonComponent):
    def __init__(self, model_uri, method="predict_proba"):
        super().__init__()
        model = joblib.load(os.path.join(seldon_core.Storage.download(model_uri), "model.joblib"))
        self.ask = getattr(model, method)

    def predict(self, X, names, meta=None):
        return self.ask(X)
