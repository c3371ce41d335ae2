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

	// proxy is what the platform reaches addresses outside the cluster through: object storage, login providers, receivers of alerts, and
	// whatever notebooks and pipelines ask for. Defaults to the proxy of the cluster on OpenShift, otherwise there is none.
	//
	// +optional
	Proxy *ProxySpec `json:"proxy,omitempty"`

	// trustedCASecretRef names a Secret in the platform's namespace whose key ca.crt holds certificate authorities in PEM. They are trusted
	// where the platform reaches addresses outside the cluster, unless a caSecretRef names others. Notebooks trust these alone, so that the
	// public authorities must be among them where notebooks need those. On OpenShift the bundle of the cluster is the default for
	// login providers, and for notebooks where the cluster has a proxy or authorities of its own.
	//
	// +optional
	TrustedCASecretRef LocalReference `json:"trustedCASecretRef,omitempty,omitzero"`

	// placement says on which nodes the Pods of the platform itself run: web interfaces, servers, databases of metrics, Spark's processes,
	// model servers. Notebooks, Kafka, Ceph and what is on GPU nodes have a placement of their own in their blocks.
	//
	// +optional
	Placement Placement `json:"placement,omitempty,omitzero"`

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

	// containerResources are for containers whose resources have no other field, by the name of the container, such as login-proxy.
	//
	// +listType=map
	// +listMapKey=container
	// +kubebuilder:validation:MaxItems=16
	// +optional
	ContainerResources []ContainerResources `json:"containerResources,omitempty"`

	// containerImages replaces images of containers in the component's own Pods, by the name of the container. It needs the label
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

// ContainerResources are the resources of a container.
type ContainerResources struct {
	// container is its name, as kubectl get pod shows it.
	//
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Container string `json:"container"`

	// requests are what the scheduler sets aside.
	//
	// +optional
	Requests ContainerAmounts `json:"requests,omitempty,omitzero"`

	// limits are what the container cannot exceed.
	//
	// +optional
	Limits ContainerAmounts `json:"limits,omitempty,omitzero"`
}

// ContainerAmounts are amounts that replace others; what is left out stays. They are texts, which take a tenth of the room of
// [ResourceAmounts] in the definition, where every component has them.
type ContainerAmounts struct {
	// cpu, as in 500m or "2".
	//
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]*m?$`
	// +optional
	CPU string `json:"cpu,omitempty"`

	// memory, as in 512Mi or 4Gi.
	//
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]*[MG]i$`
	// +optional
	Memory string `json:"memory,omitempty"`
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
