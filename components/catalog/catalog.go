// Package catalog is the list of components: the table of contents of the operator.
package catalog

import (
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/argoworkflows"
	"opendatahub.io/operator/components/ceph"
	"opendatahub.io/operator/components/gpu"
	"opendatahub.io/operator/components/jupyterhub"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/mlflow"
	"opendatahub.io/operator/components/monitoring"
	"opendatahub.io/operator/components/objectstorage"
	"opendatahub.io/operator/components/portal"
	"opendatahub.io/operator/components/seldon"
	"opendatahub.io/operator/components/spark"
)

// All returns every component that a platform can consist of.
func All() []components.Component {
	return []components.Component{
		ceph.New(),
		kafka.New(),
		jupyterhub.New(),
		mlflow.New(),
		spark.New(),
		argoworkflows.New(),
		seldon.New(),
		monitoring.New(),
		gpu.New(),
		portal.New(),
		objectstorage.New(),
	}
}
