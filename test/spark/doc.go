// Package spark_test starts what components/spark renders for a Pod: a real Spark master and worker of the version that notebooks have,
// from PyPI, in a virtual environment that hack/python/venv.sh makes and keeps. Drivers are real PySpark with the environment and the
// files that notebooks get; a real S3 service has their data and event logs, which a real history server shows. A hosts file plays the cluster's DNS, addresses of the loopback play Pods. It needs Python 3.10 or later, a
// Java runtime of version 17 or later, and, the first time, PyPI, Maven Central and the Go module proxy.
package spark_test
