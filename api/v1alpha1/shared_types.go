package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// Toggle switches a part of a component on or off.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type Toggle string

// The positions of a Toggle.
const (
	// Enabled: the part is deployed.
	Enabled Toggle = "Enabled"
	// Disabled: the part is not deployed.
	Disabled Toggle = "Disabled"
)

// Resources of one container. What is not set comes from the profile.
//
// +kubebuilder:validation:XValidation:rule="!has(self.requests) || !has(self.limits) || !has(self.requests.cpu) || !has(self.limits.cpu) || !quantity(string(self.requests.cpu)).isGreaterThan(quantity(string(self.limits.cpu)))",message="requests.cpu must not exceed limits.cpu"
// +kubebuilder:validation:XValidation:rule="!has(self.requests) || !has(self.limits) || !has(self.requests.memory) || !has(self.limits.memory) || !quantity(string(self.requests.memory)).isGreaterThan(quantity(string(self.limits.memory)))",message="requests.memory must not exceed limits.memory"
type Resources struct {
	// requests are what the scheduler sets aside.
	//
	// +optional
	Requests ResourceAmounts `json:"requests,omitempty,omitzero"`

	// limits are what a container cannot exceed: more CPU is throttled, more memory ends the container.
	//
	// +optional
	Limits ResourceAmounts `json:"limits,omitempty,omitzero"`
}

// ResourceAmounts are amounts of CPU and memory. Zero means not set.
type ResourceAmounts struct {
	// cpu in cores, as in 500m or 2.
	//
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0')) && !quantity(string(self)).isGreaterThan(quantity('1k'))",message="cpu must be more than 0 and at most 1k cores, as in 500m or 2"
	// +optional
	CPU resource.Quantity `json:"cpu,omitempty,omitzero"`

	// memory in bytes, as in 512Mi or 4Gi.
	//
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('1Mi')) && !quantity(string(self)).isGreaterThan(quantity('64Ti'))",message="memory must be between 1Mi and 64Ti, as in 512Mi or 4Gi"
	// +optional
	Memory resource.Quantity `json:"memory,omitempty,omitzero"`
}

// Storage of one replica on a PersistentVolumeClaim.
type Storage struct {
	// size of each volume, as in 10Gi. Defaults to that of the profile. Volumes grow where the StorageClass allows it;
	// they are never shrunk.
	//
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('1Mi')) && !quantity(string(self)).isGreaterThan(quantity('1Pi'))",message="size must be between 1Mi and 1Pi, as in 10Gi"
	// +optional
	Size resource.Quantity `json:"size,omitempty,omitzero"`

	// storageClassName is the StorageClass of the volumes. Defaults to the cluster's default class. Volumes that exist
	// keep theirs.
	//
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +optional
	StorageClassName string `json:"storageClassName,omitempty"`
}

// Placement says on which nodes Pods run.
type Placement struct {
	// nodeSelector are labels that a node must have.
	//
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.size() <= 317 && key.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'))",message="nodeSelector keys must be label keys, such as kubernetes.io/arch"
	// +optional
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`

	// tolerations let Pods run on nodes with these taints.
	//
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Tolerations []Toleration `json:"tolerations,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`
type LabelValue string

// Toleration of a taint.
//
// +kubebuilder:validation:XValidation:rule="!has(self.value) || !has(self.operator) || self.operator == 'Equal'",message="value must be empty when operator is Exists"
// +kubebuilder:validation:XValidation:rule="has(self.key) || (has(self.operator) && self.operator == 'Exists')",message="key is required unless operator is Exists"
type Toleration struct {
	// key of the taint. If unset, and with operator Exists, every taint is tolerated.
	//
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
	// +optional
	Key string `json:"key,omitempty"`

	// operator is Equal (the taint has this value, which is what no operator means) or Exists (whatever its value).
	//
	// +kubebuilder:validation:Enum=Equal;Exists
	// +optional
	Operator string `json:"operator,omitempty"`

	// value of the taint.
	//
	// +optional
	Value LabelValue `json:"value,omitempty"`

	// effect of the taint: NoSchedule, PreferNoSchedule or NoExecute. Defaults to all of them.
	//
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	// +optional
	Effect string `json:"effect,omitempty"`
}
