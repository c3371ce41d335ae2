package spark

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
)

// SparkCluster is the kind of shared clusters, which the Apache Spark operator runs.
var SparkCluster = kinds.Kind{
	GroupKind: schema.GroupKind{Group: "spark.apache.org", Kind: "SparkCluster"},
	Versions:  []string{"v1"}, Plural: "sparkclusters", Provider: "Spark",
}

// Kinds implements components.Component. Those of the clusters of Pods are the controller's.
func (component) Kinds() []kinds.Kind {
	return append([]kinds.Kind{
		kinds.NetworkPolicy, kinds.ServiceAccount, kinds.RoleBinding, kinds.Secret, kinds.ConfigMap, kinds.Service, kinds.Deployment, SparkCluster,
	}, native.ExposureKinds()...)
}

// Uses implements components.WithUses: clusters of notebooks take no operator.
func (component) Uses() []components.Use {
	return append(native.ExposureUses(), components.Use{Kind: SparkCluster, Needed: func(facts components.Facts) bool {
		spec := specOf(facts)
		return len(spec.SharedClusters) > 0 || spec.Applications == v1alpha1.Enabled
	}})
}

// The fields that we set of a SparkCluster, https://github.com/apache/spark-kubernetes-operator/blob/main/docs/spark_custom_resources.md.

type sparkClusterSpec struct {
	RuntimeVersions    runtimeVersions    `json:"runtimeVersions"`
	ClusterTolerations clusterTolerations `json:"clusterTolerations"`
	SparkConf          map[string]string  `json:"sparkConf"`
	MasterSpec         processSpec        `json:"masterSpec"`
	WorkerSpec         processSpec        `json:"workerSpec"`
}

type runtimeVersions struct {
	SparkVersion string `json:"sparkVersion"`
}

type clusterTolerations struct {
	InstanceConfig instanceConfig `json:"instanceConfig"`
}

// instanceConfig has three equal numbers: the operator makes an autoscaler of others, whose selector fits the workers of all clusters.
// (SparkClusterResourceSpec.buildHorizontalPodAutoscaler, Spark operator 1.0.0)
type instanceConfig struct {
	InitWorkers int32 `json:"initWorkers"`
	MinWorkers  int32 `json:"minWorkers"`
	MaxWorkers  int32 `json:"maxWorkers"`
}

type processSpec struct {
	StatefulSetSpec statefulSetSpec `json:"statefulSetSpec"`
}

type statefulSetSpec struct {
	Template *core.PodTemplateSpecApplyConfiguration `json:"template"`
}
