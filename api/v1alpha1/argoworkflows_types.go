package v1alpha1

// ArgoWorkflowsSpec runs pipelines with Argo Workflows in the platform's namespace.
//
// +kubebuilder:validation:XValidation:rule="!has(self.server) || !has(self.server.state) || self.server.state != 'Disabled' || !has(self.server.replicas)",message="server.replicas is not allowed when server.state is Disabled"
type ArgoWorkflowsSpec struct {
	ComponentSpec `json:",inline"`

	// controller runs workflows.
	//
	// +optional
	Controller ArgoWorkflowsController `json:"controller,omitempty,omitzero"`

	// server is the web interface and API.
	//
	// +optional
	Server ArgoWorkflowsServer `json:"server,omitempty,omitzero"`

	// artifacts says where files that steps pass on are stored.
	//
	// +optional
	Artifacts ArgoWorkflowsArtifacts `json:"artifacts,omitempty,omitzero"`

	// archive keeps what became of workflows after they left the cluster, in a database on the server that spec.database names.
	// Unless it is set, nothing is kept of them.
	//
	// +optional
	Archive *ArgoWorkflowsArchive `json:"archive,omitempty"`

	// retention says how long finished workflows stay.
	//
	// +optional
	Retention ArgoWorkflowsRetention `json:"retention,omitempty,omitzero"`

	// executor are the resources of the containers that Argo adds to each step to move artifacts.
	//
	// +optional
	Executor Resources `json:"executor,omitempty,omitzero"`
}

// ArgoWorkflowsController runs workflows.
type ArgoWorkflowsController struct {
	// replicas, of which one works and the others wait. Defaults to that of the profile.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// parallelism is how many workflows run at the same time; the others wait. Defaults to no limit.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +optional
	Parallelism int32 `json:"parallelism,omitempty"`

	// resources of each replica.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`
}

// ArgoWorkflowsServer is the web interface and API.
type ArgoWorkflowsServer struct {
	// state is Enabled (the default) or Disabled: pipelines run without it, and kubectl shows them.
	//
	// +optional
	State Toggle `json:"state,omitempty"`

	// replicas of the server. Defaults to that of the profile.
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

// ArgoWorkflowsArtifacts is where files that steps pass on are stored. Needs spec.objectStorage or the ceph component;
// without either, workflows run but cannot pass files on.
type ArgoWorkflowsArtifacts struct {
	// bucket that holds artifacts. With Ceph the platform makes it, and chooses its name if this is empty; an external object
	// storage must have it. There it defaults to "pipelines".
	//
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9.]*[a-z0-9]$`
	// +optional
	Bucket string `json:"bucket,omitempty"`

	// garbageCollection says when artifacts go: OnWorkflowDeletion (the default), OnWorkflowCompletion or Never.
	// deletionPolicy Retain does not speak of them.
	//
	// +kubebuilder:validation:Enum=OnWorkflowDeletion;OnWorkflowCompletion;Never
	// +optional
	GarbageCollection string `json:"garbageCollection,omitempty"`
}

// ArgoWorkflowsArchive is a database on the server that spec.database names. Argo makes its tables in it.
type ArgoWorkflowsArchive struct {
	// name of the database, which must exist. Defaults to that in status.databases: <namespace>_<platform>_argo.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][-A-Za-z0-9_]*$`
	// +optional
	Name string `json:"name,omitempty"`

	// days that a workflow stays in the archive. Defaults to 365.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	// +optional
	Days int32 `json:"days,omitempty"`
}

// ArgoWorkflowsRetention says how long finished workflows stay in the cluster. Workflows may say otherwise themselves.
type ArgoWorkflowsRetention struct {
	// secondsAfterSuccess that a workflow stays after it succeeded. Defaults to one day.
	//
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	SecondsAfterSuccess int32 `json:"secondsAfterSuccess,omitempty"`

	// secondsAfterFailure that a workflow stays after it failed. Defaults to seven days.
	//
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	SecondsAfterFailure int32 `json:"secondsAfterFailure,omitempty"`

	// workflows is how many finished workflows of each outcome stay at most, however young they are. Defaults to no limit.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	// +optional
	Workflows int32 `json:"workflows,omitempty"`

	// pods says when the Pods of steps go: OnPodSuccess (the default), OnPodCompletion, OnWorkflowSuccess or
	// OnWorkflowCompletion.
	//
	// +kubebuilder:validation:Enum=OnPodSuccess;OnPodCompletion;OnWorkflowSuccess;OnWorkflowCompletion
	// +optional
	Pods string `json:"pods,omitempty"`
}
