// Package monitoring runs the real Prometheus operator on the local cluster, and what it makes of a platform's monitoring: a real
// Prometheus and a real Alertmanager, with the arguments, the files, the certificates and the account that their Pods have. They
// scrape the running operator and its installer, a real JupyterHub, its proxy, a real MLflow behind its login, the Spark cluster that the
// operator made for a Pod, Argo's controller, a Kafka with the JMX exporter, what Seldon's executor, Ceph and the exporters of GPUs and of
// Kafka's topics say, from files, and themselves; an alert fires and reaches a webhook. Programs come from their Go modules, PyPI, npm and
// Maven Central. Pods are played, so an address of the loopback stands for each; all else is as the Prometheus operator configured it.
// Programs are kept in the user's cache folder, by their versions and that of Go. With OPENDATAHUB_SCREENSHOTS set to a folder, draw.py draws
// the dashboards.
package monitoring
