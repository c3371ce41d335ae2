package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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

	// credentialsUser is the user name that goes with the password in credentialsSecret, where that does not hold one.
	//
	// +kubebuilder:validation:MaxLength=253
	// +optional
	CredentialsUser string `json:"credentialsUser,omitempty"`

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
