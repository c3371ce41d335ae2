// Package jupyterhub_test starts what components/jupyterhub renders in a real JupyterHub: the versions inside the hub
// image, from PyPI, in a virtual environment that hack/python/venv.sh makes and keeps. Only the proxy, the API server and
// the notebook are stand-ins; TestADayOnACluster has a real API server, and the operator. Everything is on 127.0.0.1. It needs Python 3.10
// or later and, the first time, PyPI and the Go module proxy.
package jupyterhub_test
