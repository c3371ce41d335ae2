package v1alpha1

// SeldonSpec serves models through Seldon Core. Data scientists create SeldonDeployments in the platform's namespace;
// this prepares storage, access and metrics for them.
type SeldonSpec struct {
	ComponentSpec `json:",inline"`

	// models says where models are stored.
	//
	// +optional
	Models SeldonModels `json:"models,omitempty,omitzero"`

	// access says which Pods may call models: Namespace (those of the platform's namespace; the default) or Cluster.
	//
	// +kubebuilder:validation:Enum=Namespace;Cluster
	// +optional
	Access string `json:"access,omitempty"`
}

// SeldonModels is where models are stored.
type SeldonModels struct {
	// bucket that holds models. With Ceph the platform makes it, and chooses its name if this is empty; an external object
	// storage must have it, and without this field it is "models".
	//
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9.]*[a-z0-9]$`
	// +optional
	Bucket string `json:"bucket,omitempty"`
}
