package v1alpha1

// JupyterHubSpec gives every user a notebook server: a hub, a proxy in front of it, and one Pod and one volume per user.
//
// +kubebuilder:validation:XValidation:rule="!has(self.defaultImage) || !has(self.images) || self.images.exists(i, i.name == self.defaultImage)",message="defaultImage must be the name of one of images"
// +kubebuilder:validation:XValidation:rule="!has(self.defaultSize) || !has(self.sizes) || self.sizes.exists(s, s.name == self.defaultSize)",message="defaultSize must be the name of one of sizes"
type JupyterHubSpec struct {
	ComponentSpec `json:",inline"`

	// hub is the server that knows users and starts notebooks. There is always exactly one: it cannot be replicated.
	//
	// +optional
	Hub JupyterHubServer `json:"hub,omitempty,omitzero"`

	// proxy is what browsers talk to. There is always exactly one: it cannot be replicated.
	//
	// +optional
	Proxy JupyterHubServer `json:"proxy,omitempty,omitzero"`

	// database is the volume of the hub's database (SQLite): users, groups, tokens and which notebooks run. It must not
	// be a network file system such as NFS, which lacks the locks that SQLite needs.
	//
	// +optional
	Database Storage `json:"database,omitempty,omitzero"`

	// images are the notebook images that users choose from. Without it a list of Jupyter's own: minimal, scipy,
	// datascience, pytorch, tensorflow and pyspark. Every image must have JupyterHub's single-user server
	// (jupyterhub-singleuser) installed. Changes apply to notebooks that start from then on; the hub is not restarted.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Images []NotebookImage `json:"images,omitempty"`

	// defaultImage is the name of the image that is chosen already when the form opens. Without it the first.
	//
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	DefaultImage string `json:"defaultImage,omitempty"`

	// sizes are the amounts of CPU, memory and GPUs that users choose from. Without it those of the profile: small,
	// and other than in Development medium and large as well.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Sizes []NotebookSize `json:"sizes,omitempty"`

	// defaultSize is the name of the size that is chosen already when the form opens. Without it the first.
	//
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	DefaultSize string `json:"defaultSize,omitempty"`

	// home is the volume that each user's notebook has at /home/jovyan. Volumes that exist keep their size and class.
	//
	// +optional
	Home Storage `json:"home,omitempty,omitzero"`

	// culling stops notebooks that nobody uses. Files are kept.
	//
	// +optional
	Culling NotebookCulling `json:"culling,omitempty,omitzero"`

	// concurrentSpawnLimit is how many notebooks may be starting at once; whoever comes after that is asked to try again.
	//
	// +kubebuilder:default=64
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	ConcurrentSpawnLimit int32 `json:"concurrentSpawnLimit,omitempty"`

	// activeServerLimit is how many notebooks may run at once. Without it there is no limit.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	// +optional
	ActiveServerLimit int32 `json:"activeServerLimit,omitempty"`

	// namedServersPerUser is how many notebooks a user may have besides the first, each with a name and a volume of its
	// own. Without it none.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +optional
	NamedServersPerUser int32 `json:"namedServersPerUser,omitempty"`
}

// JupyterHubServer is one of the two Pods of the hub itself.
type JupyterHubServer struct {
	// resources of the container. Without it those of the profile.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`
}

// NotebookImage is an image that users choose from.
type NotebookImage struct {
	// name of the image in addresses and in the API of the hub; it stays when displayName changes.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// displayName is what users read. Without it the name.
	//
	// +kubebuilder:validation:MaxLength=80
	// +kubebuilder:validation:XValidation:rule="self.matches('^[\\\\p{L}\\\\p{N}][-\\\\p{L}\\\\p{N} .,:;()/+_#@!?%*=]*$')",message="displayName must start with a letter or digit and hold only letters, digits, spaces and .,:;()/+_#@!?%*=-"
	// +optional
	DisplayName string `json:"displayName,omitempty"`

	// description is what users read below displayName.
	//
	// +kubebuilder:validation:MaxLength=400
	// +kubebuilder:validation:XValidation:rule="self.matches('^[\\\\p{L}\\\\p{N}][-\\\\p{L}\\\\p{N} .,:;()/+_#@!?%*=]*$')",message="description must start with a letter or digit and hold only letters, digits, spaces and .,:;()/+_#@!?%*=-"
	// +optional
	Description string `json:"description,omitempty"`

	// image with a tag or a digest, such as quay.io/jupyter/scipy-notebook:2026-07-28.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+((:[A-Za-z0-9_][-A-Za-z0-9._]{0,127})(@sha256:[a-f0-9]{64})?|@sha256:[a-f0-9]{64})$')",message="image must be registry/name with a tag or a digest, such as quay.io/jupyter/scipy-notebook:2026-07-28"
	// +required
	Image string `json:"image"`
}

// NotebookSize is an amount of CPU, memory and GPUs that users choose from.
type NotebookSize struct {
	// name of the size in addresses and in the API of the hub; it stays when displayName changes.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// displayName is what users read. Without it the name. The amounts are put behind it.
	//
	// +kubebuilder:validation:MaxLength=80
	// +kubebuilder:validation:XValidation:rule="self.matches('^[\\\\p{L}\\\\p{N}][-\\\\p{L}\\\\p{N} .,:;()/+_#@!?%*=]*$')",message="displayName must start with a letter or digit and hold only letters, digits, spaces and .,:;()/+_#@!?%*=-"
	// +optional
	DisplayName string `json:"displayName,omitempty"`

	// resources of the notebook. Memory must have a limit: a notebook without one can take its whole node down.
	//
	// +kubebuilder:validation:XValidation:rule="has(self.limits) && has(self.limits.memory)",message="resources.limits.memory is required, as in 4Gi: a notebook without it can take its whole node down"
	// +required
	Resources Resources `json:"resources"`

	// gpus is how many NVIDIA GPUs the notebook gets, as nvidia.com/gpu. Without it none.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16
	// +optional
	GPUs int32 `json:"gpus,omitempty"`
}

// NotebookCulling stops notebooks that nobody uses. A notebook is in use while a kernel computes or a browser tab with it
// is open.
//
// +kubebuilder:validation:XValidation:rule="!has(self.state) || self.state == 'Enabled' || !(has(self.idleTimeoutSeconds) || has(self.maxAgeSeconds))",message="idleTimeoutSeconds and maxAgeSeconds are allowed only when state is Enabled"
type NotebookCulling struct {
	// state is Enabled (what no state means) or Disabled: notebooks run until their users stop them.
	//
	// +optional
	State Toggle `json:"state,omitempty"`

	// idleTimeoutSeconds after its last use a notebook is stopped. Without it 3600.
	//
	// +kubebuilder:validation:Minimum=300
	// +kubebuilder:validation:Maximum=2592000
	// +optional
	IdleTimeoutSeconds int32 `json:"idleTimeoutSeconds,omitempty"`

	// maxAgeSeconds after its start a notebook is stopped even if it is in use. Without it there is no such limit.
	//
	// +kubebuilder:validation:Minimum=3600
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	MaxAgeSeconds int32 `json:"maxAgeSeconds,omitempty"`
}
