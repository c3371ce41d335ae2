package v1alpha1

// GPUSpec makes NVIDIA GPUs usable, through Node Feature Discovery and the NVIDIA GPU operator. GPUs belong to the
// cluster: where another platform or an administrator set them up already, that set-up is used as it is.
//
// +kubebuilder:validation:XValidation:rule="!has(self.devicePlugin) || self.devicePlugin != 'Disabled' || !has(self.sharing) || !has(self.sharing.type) || self.sharing.type == 'None'",message="sharing is done by the device plugin: leave sharing.type out when devicePlugin is Disabled"
type GPUSpec struct {
	ComponentSpec `json:",inline"`

	// driver of the GPUs.
	//
	// +optional
	Driver GPUDriver `json:"driver,omitempty,omitzero"`

	// toolkit is Disabled where the container runtime of the nodes is set up for GPUs already. Defaults to Enabled.
	//
	// +optional
	Toolkit Toggle `json:"toolkit,omitempty"`

	// devicePlugin offers the GPUs to Pods. It is Disabled where the nodes come with one. Defaults to Enabled.
	//
	// +optional
	DevicePlugin Toggle `json:"devicePlugin,omitempty"`

	// mig says how GPUs that can be partitioned (Multi-Instance GPU) are offered.
	//
	// +optional
	MIG GPUMIG `json:"mig,omitempty,omitzero"`

	// sharing lets several Pods use one GPU.
	//
	// +optional
	Sharing GPUSharing `json:"sharing,omitempty,omitzero"`

	// metrics of every GPU, from NVIDIA's DCGM exporter. With monitoring, those of the GPUs that Pods of the platform have are
	// collected. Defaults to Enabled.
	//
	// +optional
	Metrics Toggle `json:"metrics,omitempty"`

	// tolerations of the daemons, so that they run on tainted GPU nodes. The taint nvidia.com/gpu is always tolerated.
	//
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Tolerations []Toleration `json:"tolerations,omitempty"`
}

// GPUDriverType says where the driver comes from.
//
// +kubebuilder:validation:Enum=Container;Host
type GPUDriverType string

// Where the driver comes from.
const (
	// GPUDriverContainer installs the driver on every GPU node from a container.
	GPUDriverContainer GPUDriverType = "Container"
	// GPUDriverHost uses the driver that the nodes' operating system has.
	GPUDriverHost GPUDriverType = "Host"
)

// GPUDriver is the driver of the GPUs.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.version) || has(self.autoUpgrade)) || !has(self.type) || self.type == 'Container'",message="version and autoUpgrade are allowed only when type is Container: with type Host the nodes bring the driver"
type GPUDriver struct {
	// type is Container (installed on every GPU node; what no type means) or Host (the nodes have it already, as on
	// most managed clusters).
	//
	// +optional
	Type GPUDriverType `json:"type,omitempty"`

	// version of the driver, as in 580.95.05. Defaults to the one that the NVIDIA operator was released with.
	//
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[0-9]{3}(\.[0-9]{1,3}){1,2}$`
	// +optional
	Version string `json:"version,omitempty"`

	// autoUpgrade is Enabled (the default: nodes get a new driver one after the other, once their GPUs are idle) or
	// Disabled (a node keeps its driver until it is replaced).
	//
	// +optional
	AutoUpgrade Toggle `json:"autoUpgrade,omitempty"`
}

// GPUMIG is about Multi-Instance GPU.
type GPUMIG struct {
	// strategy is None (GPUs are offered whole), Single (all partitions of a node are alike and count as nvidia.com/gpu;
	// the default) or Mixed (each shape is a resource of its own, such as nvidia.com/mig-1g.10gb). Which partitions a
	// node has is chosen with the node's label nvidia.com/mig.config.
	//
	// +kubebuilder:validation:Enum=None;Single;Mixed
	// +optional
	Strategy string `json:"strategy,omitempty"`
}

// GPUSharing lets several Pods use one GPU.
//
// +kubebuilder:validation:XValidation:rule="has(self.replicas) == (has(self.type) && self.type != 'None')",message="replicas must be set when type is TimeSlicing or MPS, and only then"
type GPUSharing struct {
	// type is None (a GPU serves one Pod; what no type means), TimeSlicing (Pods take turns; memory is not divided) or
	// MPS (Pods run at once, each with its share of memory).
	//
	// +kubebuilder:validation:Enum=None;TimeSlicing;MPS
	// +optional
	Type string `json:"type,omitempty"`

	// replicas is how many Pods share a GPU.
	//
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=48
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
}
