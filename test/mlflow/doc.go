// Package mlflow_test starts what components/mlflow renders: the real MLflow of the image's version, from PyPI, in a virtual
// environment that hack/python/venv.sh makes and keeps, behind the real oauth2-proxy. A notebook is a real MLflow client with
// the environment that notebooks get. S3 is played by moto. It needs Python 3.10 or later and, the first time, PyPI.
package mlflow_test
