package v1alpha1

// PortalSpec is the platform's page, which people open first: what the platform consists of and how it is, links, and how to begin.
type PortalSpec struct {
	ComponentSpec `json:",inline"`

	// replicas that serve the page. Defaults to 2 with profile HighAvailability, otherwise 1.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// resources of each replica.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`
}
