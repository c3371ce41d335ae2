package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Profile picks replicas, resources and storage sizes for all components at once.
//
// +kubebuilder:validation:Enum=Development;Standard;HighAvailability
type Profile string

// The profiles.
const (
	// ProfileDevelopment runs one replica of everything with small requests. It survives no node failure.
	ProfileDevelopment Profile = "Development"
	// ProfileStandard replicates what holds data and runs one replica of the rest.
	ProfileStandard Profile = "Standard"
	// ProfileHighAvailability replicates all that can be replicated and spreads it over hosts and zones.
	ProfileHighAvailability Profile = "HighAvailability"
)

// DeletionPolicy says what happens to data when a component, or the whole platform, is removed.
//
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

// The deletion policies.
const (
	// DeletionPolicyRetain keeps everything that holds data, labelled so that it is found and adopted again.
	DeletionPolicyRetain DeletionPolicy = "Retain"
	// DeletionPolicyDelete deletes data together with the component that owns it.
	DeletionPolicyDelete DeletionPolicy = "Delete"
)

// ManagementState says whether the operator looks after a component.
//
// +kubebuilder:validation:Enum=Managed;Unmanaged;Removed
type ManagementState string

// The management states.
const (
	// Managed components are deployed and kept as the spec says.
	Managed ManagementState = "Managed"
	// Unmanaged components keep their objects, but the operator no longer touches them.
	Unmanaged ManagementState = "Unmanaged"
	// Removed components are taken away, as if their block were not in the spec.
	Removed ManagementState = "Removed"
)

// OpenDataHubSpec is what a platform should be.
//
// +kubebuilder:validation:XValidation:rule="!has(self.objectStorage) || !has(self.objectStorage.type) || self.objectStorage.type != 'Ceph' || (has(self.components) && has(self.components.ceph))",message="components.ceph is required when objectStorage.type is Ceph; use type External for an S3 service that exists already"
type OpenDataHubSpec struct {
	// profile picks replicas, resources and storage sizes of every component; each can be set per component as well.
	// Development: one replica, small requests, for trying out. Standard: what holds data is replicated.
	// HighAvailability: all that can be replicated is, and spread over hosts and zones.
	// Changing it later changes replicas and resources in place; volumes are never shrunk.
	//
	// +kubebuilder:default=Standard
	// +optional
	Profile Profile `json:"profile,omitempty"`

	// deletionPolicy says what becomes of data (volumes, buckets, databases, generated logins) when a component or the
	// whole resource is removed. Retain keeps it, labelled with opendatahub.io/platform, and it is used again when the
	// component comes back. Delete removes it for good. Deleting the namespace deletes what is in it either way.
	//
	// +kubebuilder:default=Retain
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// objectStorage is the S3 storage that all components use.
	//
	// +optional
	ObjectStorage ObjectStorageSpec `json:"objectStorage,omitempty,omitzero"`

	// database is the PostgreSQL server for components whose block says database.type: Platform. No other component uses it.
	//
	// +optional
	Database *DatabaseSpec `json:"database,omitempty"`

	// authentication is how people log in to every web interface of the platform.
	//
	// +optional
	Authentication AuthenticationSpec `json:"authentication,omitempty,omitzero"`

	// ingress says how web interfaces are reached from outside the cluster.
	//
	// +optional
	Ingress IngressSpec `json:"ingress,omitempty,omitzero"`

	// dependencies says whether third-party operators (Rook, Strimzi, ...) are installed for the platform or awaited.
	//
	// +optional
	Dependencies DependenciesSpec `json:"dependencies,omitempty,omitzero"`

	// components names what is deployed. A component that is not named is not deployed; an empty block ({}) deploys it
	// with the defaults of the profile.
	//
	// +optional
	Components ComponentsSpec `json:"components,omitempty,omitzero"`
}

// ComponentsSpec has one block per component. Absent means not deployed.
type ComponentsSpec struct {
	// ceph is the data lake: block, file and S3 object storage, deployed through the Rook operator.
	//
	// +optional
	Ceph *CephSpec `json:"ceph,omitempty"`

	// kafka is a Kafka cluster with authentication and TLS, deployed through the Strimzi operator.
	//
	// +optional
	Kafka *KafkaSpec `json:"kafka,omitempty"`

	// spark gives notebooks Spark clusters that come and go with them.
	//
	// +optional
	Spark *SparkSpec `json:"spark,omitempty"`

	// jupyterHub gives every user a notebook server.
	//
	// +optional
	JupyterHub *JupyterHubSpec `json:"jupyterHub,omitempty"`

	// seldon serves models, through Seldon Core.
	//
	// +optional
	Seldon *SeldonSpec `json:"seldon,omitempty"`

	// argoWorkflows runs pipelines.
	//
	// +optional
	ArgoWorkflows *ArgoWorkflowsSpec `json:"argoWorkflows,omitempty"`

	// monitoring is Prometheus, Alertmanager and Grafana with rules and dashboards for every component.
	//
	// +optional
	Monitoring *MonitoringSpec `json:"monitoring,omitempty"`

	// gpu finds GPU nodes and makes them usable, through Node Feature Discovery and the NVIDIA GPU operator.
	//
	// +optional
	GPU *GPUSpec `json:"gpu,omitempty"`

	// mlflow keeps track of experiments and models.
	//
	// +optional
	MLflow *MLflowSpec `json:"mlflow,omitempty"`

	// portal is the platform's page: state, links, what to do next.
	//
	// +optional
	Portal *PortalSpec `json:"portal,omitempty"`
}

// ComponentSpec is what all components have in common.
type ComponentSpec struct {
	// managementState is Managed (deployed and kept as the spec says; the default), Unmanaged (objects stay, the operator
	// stops touching them and says so in the condition) or Removed (as if the block were absent).
	//
	// +kubebuilder:default=Managed
	// +optional
	ManagementState ManagementState `json:"managementState,omitempty"`

	// containerImages replaces images of containers in the Pods that the operator makes itself, by the name of the container. It needs the label
	// opendatahub.io/allow-code=true on the namespace.
	//
	// +listType=map
	// +listMapKey=container
	// +kubebuilder:validation:MaxItems=16
	// +optional
	ContainerImages []ContainerImage `json:"containerImages,omitempty"`

	// patches change what the operator applies for the component, where no field does. They need the label
	// opendatahub.io/allow-code=true on the namespace. A patch for something that is not applied is an error.
	//
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Patches []Patch `json:"patches,omitempty"`
}

// ContainerImage is the image of a container.
type ContainerImage struct {
	// container is its name, as kubectl get pod shows it.
	//
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Container string `json:"container"`

	// image with its registry, and a tag or a digest.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9.]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}|@sha256:[0-9a-f]{64}|:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}@sha256:[0-9a-f]{64})$`
	// +required
	Image string `json:"image"`
}

// PatchType is the form of a patch.
//
// +kubebuilder:validation:Enum=Merge;JSON
type PatchType string

// The types of patches.
const (
	// PatchMerge is merged into the object as in RFC 7386: null removes a field, lists are replaced.
	PatchMerge PatchType = "Merge"
	// PatchJSON is a list of operations as in RFC 6902.
	PatchJSON PatchType = "JSON"
)

// Patch changes an object of a component.
type Patch struct {
	// kind of the object: Deployment.
	//
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*$`
	// +required
	Kind string `json:"kind"`

	// name of the object: odh-mlflow-server.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`

	// type is Merge (RFC 7386: null removes a field, lists are replaced; the default) or JSON (RFC 6902: a list of operations).
	//
	// +optional
	Type PatchType `json:"type,omitempty"`

	// patch in YAML or JSON.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	// +required
	Patch string `json:"patch"`
}

// OpenDataHubStatus is what the operator observed. Every writer owns its own list entries: a component controller its
// condition and its component entry, the summary the rest.
type OpenDataHubStatus struct {
	// observedGeneration is the generation of the spec that the conditions speak of; -1 before the first look. It
	// says processed, not succeeded.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready sums up; Reconciling and Stalled exist only while True, ObjectStorageReady only while False; and
	// one per component that the spec names, such as KafkaReady.
	//
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// componentsReady is how many of the wanted components are ready, as in 7/8.
	//
	// +kubebuilder:validation:MaxLength=16
	// +optional
	ComponentsReady string `json:"componentsReady,omitempty"`

	// components says, for each deployed component, where it is reached and with which login.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Components []ComponentStatus `json:"components,omitempty"`

	// authentication is what the login of the web interfaces needs from outside the platform. Absent when that is nothing.
	//
	// +optional
	Authentication *AuthenticationStatus `json:"authentication,omitempty"`

	// objectStorage is the S3 service that the components use, as spec.objectStorage resolves to. Absent when the
	// platform has none. The ConfigMap <platform>-object-storage says the same to workloads.
	//
	// +optional
	ObjectStorage *ObjectStorageStatus `json:"objectStorage,omitempty"`

	// databases are those that the components use on the server that spec.database names. Whoever runs the server must create them.
	//
	// +listType=map
	// +listMapKey=purpose
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Databases []DatabaseStatus `json:"databases,omitempty"`

	// dependencies are the third-party operators that the components need, and where each stands.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Dependencies []DependencyStatus `json:"dependencies,omitempty"`
}

// DependencySource says how a third-party operator came into the cluster.
//
// +kubebuilder:validation:Enum=OLM;Helm;Existing
type DependencySource string

// The sources.
const (
	// DependencySourceOLM: the installer asked the Operator Lifecycle Manager for it.
	DependencySourceOLM DependencySource = "OLM"
	// DependencySourceHelm: the installer installed its Helm charts.
	DependencySourceHelm DependencySource = "Helm"
	// DependencySourceExisting: somebody else installed it; it is used and never changed.
	DependencySourceExisting DependencySource = "Existing"
)

// DependencyState is where a third-party operator stands.
//
// +kubebuilder:validation:Enum=Ready;Installing;Missing;Blocked;Failed;Removing
type DependencyState string

// The states.
const (
	// DependencyReady: it is there, and serves the kinds that the components use.
	DependencyReady DependencyState = "Ready"
	// DependencyInstalling: it is on its way.
	DependencyInstalling DependencyState = "Installing"
	// DependencyMissing: it is not there, and nobody is going to install it.
	DependencyMissing DependencyState = "Missing"
	// DependencyBlocked: a person must do something before it goes on.
	DependencyBlocked DependencyState = "Blocked"
	// DependencyFailed: something failed, and is tried again.
	DependencyFailed DependencyState = "Failed"
	// DependencyRemoving: no platform needs it any more, and it is being removed.
	DependencyRemoving DependencyState = "Removing"
)

// DependencyStatus is where a third-party operator stands.
type DependencyStatus struct {
	// name of the operator, as in Strimzi.
	//
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`

	// source is how it came into the cluster: OLM or Helm (by the installer), or Existing (by somebody else). Absent while
	// it is missing.
	//
	// +optional
	Source DependencySource `json:"source,omitempty"`

	// version of the operator, where that is known.
	//
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Version string `json:"version,omitempty"`

	// state is where it stands: Ready, Installing, Missing, Blocked (a person must act), Failed (tried again) or Removing.
	//
	// +required
	State DependencyState `json:"state"`

	// reason is a word for programs, as in ApprovalRequired.
	//
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Reason string `json:"reason,omitempty"`

	// message says what is the matter and what to do.
	//
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Message string `json:"message,omitempty"`
}

// AuthenticationStatus is what the OpenID Connect provider has to know of the platform.
type AuthenticationStatus struct {
	// callbacks are the addresses to which the provider must be allowed to send browsers back: the redirect URIs of the client
	// that spec.authentication.oidc names. There is one for each web interface.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=512
	// +optional
	Callbacks []string `json:"callbacks,omitempty"`
}

// ObjectStorageStatus is where S3 is and where its credentials are kept. It says what was resolved, not that the service
// answers.
type ObjectStorageStatus struct {
	// type is where it comes from: Ceph or External.
	//
	// +optional
	Type ObjectStorageType `json:"type,omitempty"`

	// endpoint is the URL of the service, without a bucket.
	//
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Endpoint string `json:"endpoint,omitempty"`

	// region sent in signatures.
	//
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Region string `json:"region,omitempty"`

	// addressing is Path (https://host/bucket) or VirtualHost (https://bucket.host).
	//
	// +kubebuilder:validation:MaxLength=16
	// +optional
	Addressing string `json:"addressing,omitempty"`

	// caSecret names the Secret, in the platform's namespace, whose key ca.crt holds the certificate authority of the
	// endpoint. Neither it nor caConfigMap is set where the public authorities do.
	//
	// +kubebuilder:validation:MaxLength=253
	// +optional
	CASecret string `json:"caSecret,omitempty"`

	// caConfigMap names the ConfigMap, in the platform's namespace, whose key service-ca.crt holds it. On OpenShift.
	//
	// +kubebuilder:validation:MaxLength=253
	// +optional
	CAConfigMap string `json:"caConfigMap,omitempty"`

	// buckets of the platform.
	//
	// +listType=map
	// +listMapKey=purpose
	// +kubebuilder:validation:MaxItems=128
	// +optional
	Buckets []BucketStatus `json:"buckets,omitempty"`
}

// BucketStatus is a bucket and the Secret that opens it.
type BucketStatus struct {
	// purpose of the bucket: data-lake, models, pipelines, or a name in spec.components.ceph.objectStore.buckets.
	//
	// +kubebuilder:validation:MaxLength=63
	// +required
	Purpose string `json:"purpose"`

	// name of the bucket in the service. Absent when nobody said which bucket of an external service it is.
	//
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Name string `json:"name,omitempty"`

	// credentialsSecret names the Secret, in the platform's namespace, with the keys AWS_ACCESS_KEY_ID and
	// AWS_SECRET_ACCESS_KEY.
	//
	// +kubebuilder:validation:MaxLength=253
	// +optional
	CredentialsSecret string `json:"credentialsSecret,omitempty"`
}

// DatabaseStatus is a database on the platform's server.
type DatabaseStatus struct {
	// purpose of the database: jupyterhub or mlflow.
	//
	// +kubebuilder:validation:MaxLength=63
	// +required
	Purpose string `json:"purpose"`

	// name of the database on the server.
	//
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
}

// ComponentStatus is where and how a component is used.
type ComponentStatus struct {
	// name is the component's key in spec.components.
	//
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`

	// version of the software that the component runs.
	//
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Version string `json:"version,omitempty"`

	// endpoints are the addresses to use the component at.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Endpoints []Endpoint `json:"endpoints,omitempty"`

	// credentialsSecret names the Secret, in the platform's namespace, that holds the login.
	//
	// +kubebuilder:validation:MaxLength=253
	// +optional
	CredentialsSecret string `json:"credentialsSecret,omitempty"`

	// instances is how many things there are that the component makes while somebody uses them: Spark clusters.
	//
	// +optional
	Instances int32 `json:"instances,omitempty"`

	// objects is how many objects the operator applied for the component.
	//
	// +optional
	Objects int32 `json:"objects,omitempty"`

	// devices of nodes that the component makes usable: GPUs, and parts of them.
	//
	// +listType=map
	// +listMapKey=node
	// +listMapKey=resource
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Devices []NodeDevice `json:"devices,omitempty"`
}

// NodeDevice is what a node has of one kind of device.
type NodeDevice struct {
	// node that has it.
	//
	// +kubebuilder:validation:MaxLength=253
	// +required
	Node string `json:"node"`

	// resource by which Pods ask for it: nvidia.com/gpu, or nvidia.com/mig-1g.10gb.
	//
	// +kubebuilder:validation:MaxLength=317
	// +required
	Resource string `json:"resource"`

	// model of the device, where the node says it.
	//
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Model string `json:"model,omitempty"`

	// capacity is how many there are.
	//
	// +optional
	Capacity int32 `json:"capacity,omitempty"`

	// allocatable is how many of them Pods can have: those that are healthy.
	//
	// +optional
	Allocatable int32 `json:"allocatable,omitempty"`
}

// Endpoint is one address of a component.
type Endpoint struct {
	// name tells the endpoints of a component apart: web, bootstrap, s3, ...
	//
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`

	// url to use: https://... for web interfaces, host:port where the protocol has no scheme.
	//
	// +kubebuilder:validation:MaxLength=1024
	// +required
	URL string `json:"url"`
}

// OpenDataHub is an AI platform in its own namespace: storage, streams, notebooks, pipelines, model serving and
// monitoring. One platform per namespace; any number per cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=opendatahubs,singular=opendatahub,shortName=odh,categories=odh-all,scope=Namespaced
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Components",type=string,JSONPath=`.status.componentsReady`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 30 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be at most 30 characters, start with a lower-case letter and hold only lower-case letters, digits and '-': the names of Services and Pods derive from it"
type OpenDataHub struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is what the platform should be.
	//
	// +optional
	Spec OpenDataHubSpec `json:"spec,omitempty,omitzero"`

	// status is what the operator observed.
	//
	// +kubebuilder:default:={"observedGeneration":-1}
	// +optional
	Status OpenDataHubStatus `json:"status,omitempty,omitzero"`
}

// OpenDataHubList is a list of OpenDataHub.
//
// +kubebuilder:object:root=true
type OpenDataHubList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OpenDataHub `json:"items"`
}
