package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// SparkSpec gives notebooks, and other Pods, Spark clusters. A cluster starts with its Pod, runs the Pod's own image, and ends with it.
type SparkSpec struct {
	ComponentSpec `json:",inline"`

	// clusterSizes are the Spark clusters that users can choose from. Defaults to small (2 workers) and, other than in
	// the profile Development, large (8 workers).
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	ClusterSizes []SparkClusterSize `json:"clusterSizes,omitempty"`

	// maxClusters that exist at the same time in the platform; a notebook beyond it starts without Spark, says so, and gets its
	// cluster when another one ends. If unset, there is no limit but the quota of the namespace.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	MaxClusters int32 `json:"maxClusters,omitempty"`

	// maxClustersPerUser that exist at the same time; what is beyond it waits as with maxClusters. If unset, there is no limit.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	MaxClustersPerUser int32 `json:"maxClustersPerUser,omitempty"`

	// sharedClusters run all the time, for whoever is given them: a notebook of a size whose spark is the name of one, or another
	// Pod. They are run by the Apache Spark operator, which is then installed.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	SharedClusters []SparkSharedCluster `json:"sharedClusters,omitempty"`

	// applications makes the namespace ready for the SparkApplications of its users: an account for their drivers, and the object
	// storage. They are run by the Apache Spark operator, which is then installed. Disabled by default.
	//
	// +optional
	Applications Toggle `json:"applications,omitempty"`

	// historyServer shows what ended sessions did, from the event logs that they leave in the object storage, behind the platform's
	// login. Needs spec.objectStorage or the ceph component.
	//
	// +optional
	HistoryServer *SparkHistoryServer `json:"historyServer,omitempty"`
}

// SparkHistoryServer is Spark's web interface for sessions that have ended.
type SparkHistoryServer struct {
	// bucket for event logs, which is the data lake's: sessions write with the credentials that notebooks have. With Ceph the platform
	// makes it, and chooses its name if this is empty; an external object storage must have it, and without this field it is "data-lake".
	//
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9.]*[a-z0-9]$`
	// +optional
	Bucket string `json:"bucket,omitempty"`

	// retentionDays after which event logs are deleted. If unset, they are kept.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	// +optional
	RetentionDays int32 `json:"retentionDays,omitempty"`

	// image with Spark, found as in the Pods that have clusters, with Hadoop's module for S3, hadoop-aws, among its jars, and with a user
	// 185. Defaults to Apache's own, which lacks the module: the server fetches it from Maven Central when it starts, and checks it.
	// An image takes the label opendatahub.io/allow-code=true on the namespace, because the server has the keys of the object storage.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+((:[A-Za-z0-9_][-A-Za-z0-9._]{0,127})(@sha256:[a-f0-9]{64})?|@sha256:[a-f0-9]{64})$')",message="image must be registry/name with a tag or a digest, such as registry.example.com/spark:4.2.0"
	// +optional
	Image string `json:"image,omitempty"`

	// resources of the server. It keeps what it shows of the last sessions in memory.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`
}

// SparkSharedCluster is a Spark cluster for many.
type SparkSharedCluster struct {
	// name of the cluster, which no size has.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['application', 'ca', 'cluster', 'cookie', 'history', 'login', 'login-page', 'tls', 'web']) && !self.endsWith('-driver')",message="name must not be application, ca, cluster, cookie, history, login, login-page, tls or web, and not end with -driver: something else has these names"
	// +required
	Name string `json:"name"`

	// image with Spark in /opt/spark, and with the Python that its drivers have. Defaults to Apache's own.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+((:[A-Za-z0-9_][-A-Za-z0-9._]{0,127})(@sha256:[a-f0-9]{64})?|@sha256:[a-f0-9]{64})$')",message="image must be registry/name with a tag or a digest, such as docker.io/apache/spark:4.2.0-python3"
	// +optional
	Image string `json:"image,omitempty"`

	// version of Spark in the image. Defaults to 4.2.0.
	//
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:Pattern=`^[0-9]+\.[0-9]+\.[0-9]+$`
	// +optional
	Version string `json:"version,omitempty"`

	// workers of the cluster.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +required
	Workers int32 `json:"workers"`

	// worker is the size of each worker. Defaults to 1 core and 2Gi.
	//
	// +optional
	Worker SparkProcessSize `json:"worker,omitempty,omitzero"`

	// master is the size of the master. Defaults to 1 core and 1Gi.
	//
	// +optional
	Master SparkProcessSize `json:"master,omitempty,omitzero"`
}

// SparkClusterSize is a choice of Spark cluster.
type SparkClusterSize struct {
	// name of the size.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// workers of the cluster.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +required
	Workers int32 `json:"workers"`

	// worker is the size of each worker. Defaults to 1 core and 2Gi.
	//
	// +optional
	Worker SparkProcessSize `json:"worker,omitempty,omitzero"`

	// master is the size of the master. Defaults to 1 core and 1Gi.
	//
	// +optional
	Master SparkProcessSize `json:"master,omitempty,omitzero"`
}

// SparkProcessSize is how large a process of Spark is. Requests and limits are equal, because Spark uses what it is
// given; the profile Development requests a twentieth of the cores.
type SparkProcessSize struct {
	// cores of the process.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	// +optional
	Cores int32 `json:"cores,omitempty"`

	// memory of the Pod, as in 4Gi. A quarter of it, and at least 512Mi, is left to Python and whatever else runs outside the Java heap.
	//
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('1Gi')) && !quantity(string(self)).isGreaterThan(quantity('4Ti'))",message="memory must be between 1Gi and 4Ti, as in 4Gi"
	// +optional
	Memory resource.Quantity `json:"memory,omitempty,omitzero"`
}
