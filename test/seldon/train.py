"""Trains a model of the iris flowers, stores it in the folder that is named, and prints what it says of one flower."""

import json
import os
import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

folder, flower = sys.argv[1], json.loads(sys.argv[2])
model = LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True))
os.makedirs(folder)
joblib.dump(model, os.path.join(folder, "model.joblib"))
print(json.dumps(model.predict_proba([flower]).tolist()))
