// Package seldon_test serves a model as components/seldon has it served. The Job in config/samples trains and stores it. What fetches the model is the real rclone, with the arguments
// and the environment of the init container that is rendered, from a real S3 service with an authority of its own. The model server is
// the real one of Seldon Core, from PyPI, in a virtual environment that hack/python/venv.sh makes and keeps. It is asked directly, and from
// outside, through the real login proxy and our router.
//
// Played are Seldon's operator, which adds variables to the container (container, below), and the class that its image for scikit-learn
// starts, which is on no package index (SKLearnServer.py). The executor in front of the model server is left out: it is in no registry
// of Go modules. It needs Python 3.10 to 3.12 and, the first time, PyPI and the Go proxy.
package seldon_test
