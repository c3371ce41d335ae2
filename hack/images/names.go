package images

// The names are those that the operator renders; a test compares them.
const (
	hubName       = "quay.io/jupyterhub/k8s-hub:4.4.0"
	proxyName     = "quay.io/jupyterhub/configurable-http-proxy:5.3.0"
	notebookName  = "quay.io/jupyter/minimal-notebook:2026-07-28"
	scipyName     = "quay.io/jupyter/scipy-notebook:2026-07-28"
	pysparkName   = "quay.io/jupyter/pyspark-notebook:2026-07-28"
	mlflowName    = "ghcr.io/mlflow/mlflow:v3.15.1-full"
	loginName     = "quay.io/oauth2-proxy/oauth2-proxy:v7.15.6"
	debianRelease = "trixie"
	postgresMajor = "17"
)

// The names of what serves a model: those that Seldon's operator adds to a Pod, and that of what fetches the model.
const (
	sklearnName     = "docker.io/seldonio/sklearnserver:" + seldonVersion
	executorName    = "docker.io/seldonio/seldon-core-executor:" + seldonVersion
	initializerName = "docker.io/seldonio/rclone-storage-initializer:" + seldonVersion

	seldonVersion = "1.17.1"
)

// The names of Argo Workflows, and of what its samples run.
const (
	argoControllerName = "quay.io/argoproj/workflow-controller:" + argoVersion
	argoServerName     = "quay.io/argoproj/argocli:" + argoVersion
	argoExecutorName   = "quay.io/argoproj/argoexec:" + argoVersion
	pythonName         = "docker.io/library/python:3.13-slim"

	argoVersion = "v4.0.5"
)

// ArgoModule is the Go module of Argo Workflows, with its version.
const ArgoModule = "github.com/argoproj/argo-workflows/v4@" + argoVersion

// The names that the Prometheus operator gives its Pods.
const (
	reloaderName     = "quay.io/prometheus-operator/prometheus-config-reloader:" + prometheusOperatorVersion
	prometheusName   = "quay.io/prometheus/prometheus:v3.13.1"
	alertmanagerName = "quay.io/prometheus/alertmanager:v0.33.1"

	prometheusOperatorVersion = "v0.93.0"
)

// Images that no component renders.
const (
	// TeamName is a team's own notebook: PySpark's with the clients of what a platform has.
	TeamName = "opendatahub.io/team-notebook:local"
	// S3Name is an object storage that keeps objects as files, for a node without Ceph.
	S3Name = "docker.io/versity/versitygw:v1.8.0"
	// KafkaName is a Kafka that one Pod runs, for a node without Strimzi.
	KafkaName = "docker.io/apache/kafka:4.3.1"
	// PostgresName is a PostgreSQL that one Pod runs.
	PostgresName = "docker.io/library/postgres:" + postgresMajor + "-" + debianRelease
	// PrometheusOperatorName is the operator that runs Prometheus and Alertmanager.
	PrometheusOperatorName = "quay.io/prometheus-operator/prometheus-operator:" + prometheusOperatorVersion
	// ShellName has a shell and Debian's small programs.
	ShellName = "docker.io/library/debian:" + debianRelease + "-slim"
)

// Images that a node needs before any other.
const (
	// PauseName is the image of the first container of every Pod.
	PauseName = "opendatahub.io/pause:local"
	// DNSName is the image of the cluster's DNS, without the version.
	DNSName = "registry.k8s.io/coredns/coredns"
)
