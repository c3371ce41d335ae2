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

	// database holds users, groups, tokens and which notebooks run.
	//
	// +optional
	Database JupyterHubDatabase `json:"database,omitempty,omitzero"`

	// images are the notebook images that users choose from. Defaults to a list of Jupyter's own: minimal, scipy,
	// datascience, pytorch, tensorflow and pyspark; pytorch-gpu and tensorflow-gpu as well where a size has GPUs; and
	// beakerx, for languages of the Java virtual machine. Every image must have JupyterHub's single-user server
	// (jupyterhub-singleuser) installed. Changes apply to notebooks that start from then on; the hub is not restarted.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Images []NotebookImage `json:"images,omitempty"`

	// prePull has every node on which notebooks run pull all images before somebody needs them. They are large: a node needs room
	// for all of them. Disabled by default.
	//
	// +optional
	PrePull Toggle `json:"prePull,omitempty"`

	// defaultImage is the name of the image that is chosen already when the form opens. Defaults to the first.
	//
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	DefaultImage string `json:"defaultImage,omitempty"`

	// sizes are the amounts of CPU, memory and GPUs that users choose from. Defaults to those of the profile: small,
	// and other than in Development medium and large as well.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Sizes []NotebookSize `json:"sizes,omitempty"`

	// defaultSize is the name of the size that is chosen already when the form opens. Defaults to the first.
	//
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	DefaultSize string `json:"defaultSize,omitempty"`

	// home is the volume that each user's notebook has at /home/jovyan. Volumes that exist keep their size and class.
	//
	// +optional
	Home Storage `json:"home,omitempty,omitzero"`

	// placement says on which nodes notebooks run.
	//
	// +optional
	Placement Placement `json:"placement,omitempty,omitzero"`

	// environment are variables of every notebook, besides those that the platform sets. Every user can read them.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Environment []NotebookVariable `json:"environment,omitempty"`

	// sharedVolumes are volumes that all notebooks, or those of some groups, have in the folder shared of the home. They take the label
	// opendatahub.io/allow-volumes=true on the namespace: whoever may edit this need not be allowed to read them.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	SharedVolumes []NotebookVolume `json:"sharedVolumes,omitempty"`

	// s3Credentials says with which credentials notebooks use the platform's object storage. Platform (the default): those of the
	// data lake, the same for all. PerUser: those in the Secret <platform>-s3-<user>, where <user> is as in the name of the
	// notebook's Pod; without the Secret the notebook has none.
	//
	// +kubebuilder:validation:Enum=Platform;PerUser
	// +optional
	S3Credentials string `json:"s3Credentials,omitempty"`

	// internet lets notebooks reach every public address, as to install packages. Enabled by default. Disabled: they reach the platform
	// and what reachable lists.
	//
	// +optional
	Internet Toggle `json:"internet,omitempty"`

	// reachable are services that notebooks may reach besides the platform's, such as a mirror of packages: private ones, and with
	// internet Disabled public ones.
	//
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Reachable []NotebookDestination `json:"reachable,omitempty"`

	// culling stops notebooks that nobody uses. Files are kept.
	//
	// +optional
	Culling NotebookCulling `json:"culling,omitempty,omitzero"`

	// extraConfig is Python that the hub runs at the end of its configuration, where c holds the options, as in
	// c.JupyterHub.template_vars = {"announcement": "Closed on Friday"}. A Pod of the hub's image tests it first, without Secrets and without
	// a network; until it has passed the hub runs on with the one that passed before. It takes the label opendatahub.io/allow-code=true on
	// the namespace, because it can do all that the hub can.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	// +optional
	ExtraConfig string `json:"extraConfig,omitempty"`

	// concurrentSpawnLimit is how many notebooks may be starting at once; whoever comes after that is asked to try again.
	//
	// +kubebuilder:default=64
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	ConcurrentSpawnLimit int32 `json:"concurrentSpawnLimit,omitempty"`

	// activeServerLimit is how many notebooks may run at once. If unset, there is no limit.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	// +optional
	ActiveServerLimit int32 `json:"activeServerLimit,omitempty"`

	// groupLimits are how many notebooks the members of a group may run at once, all of them together. Who is in several groups is held
	// to each limit.
	//
	// +listType=map
	// +listMapKey=group
	// +kubebuilder:validation:MaxItems=64
	// +optional
	GroupLimits []NotebookGroupLimit `json:"groupLimits,omitempty"`

	// activeServersPerUser is how many notebooks a user may run at once. Defaults to as many as namedServersPerUser allows.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=21
	// +optional
	ActiveServersPerUser int32 `json:"activeServersPerUser,omitempty"`

	// namedServersPerUser is how many notebooks a user may have besides the first, each with a name and a volume of its
	// own. If unset, none.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +optional
	NamedServersPerUser int32 `json:"namedServersPerUser,omitempty"`
}

// JupyterHubServer is one of the two Pods of the hub itself.
type JupyterHubServer struct {
	// resources of the container. Defaults to those of the profile.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`
}

// JupyterHubDatabase is where the hub keeps what it must not forget: a file (SQLite) on a volume, or a PostgreSQL database.
//
// +kubebuilder:validation:XValidation:rule="!has(self.port) || has(self.uriSecretRef)",message="port is allowed only with uriSecretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || has(self.uriSecretRef) == (self.type == 'PostgreSQL')",message="uriSecretRef must be set when type is PostgreSQL, and not with another type"
// +kubebuilder:validation:XValidation:rule="!has(self.name) || (has(self.type) && self.type == 'Platform')",message="name is allowed only when type is Platform"
type JupyterHubDatabase struct {
	// type is SQLite (a file on a volume), PostgreSQL (the database that uriSecretRef names) or Platform (a database on the server that
	// spec.database names). Defaults to PostgreSQL with uriSecretRef, otherwise SQLite. Changing it moves no data.
	//
	// +optional
	Type DatabaseType `json:"type,omitempty"`

	// The volume of SQLite. It must not be a network file system such as NFS, which lacks the locks that SQLite needs.
	Storage `json:",inline"`

	// uriSecretRef names a Secret in the platform's namespace whose key uri holds the address of a PostgreSQL database, with user
	// and password, such as postgresql+psycopg2://hub:secret@postgres.example.com:5432/hub. The user must own the database: the hub makes
	// its tables.
	//
	// +optional
	URISecretRef LocalReference `json:"uriSecretRef,omitempty,omitzero"`

	// port that PostgreSQL listens on, which the network policy opens. Defaults to 5432.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port int32 `json:"port,omitempty"`

	// name of the database when type is Platform, which must exist. Defaults to that in status.databases:
	// <namespace>_<platform>_jupyterhub.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][-A-Za-z0-9_]*$`
	// +optional
	Name string `json:"name,omitempty"`
}

// NotebookDestination is a service that notebooks may reach.
type NotebookDestination struct {
	// host is an address, or the name of a Service such as mirror.tools.svc, whose namespace is then reachable. With any other name the port is
	// opened for every address but the cloud's metadata service: a network policy cannot name hosts.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9]([-a-zA-Z0-9.:]*[a-zA-Z0-9])?$`
	// +required
	Host string `json:"host"`

	// port of the service.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +required
	Port int32 `json:"port"`
}

// GroupName is a group of users, as the login provider names it.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
type GroupName string

// NotebookVariable is a variable of the environment of notebooks.
//
// +kubebuilder:validation:XValidation:rule="has(self.value) != has(self.secretRef)",message="set value or secretRef, and not both"
type NotebookVariable struct {
	// name of the variable.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('JUPYTERHUB_') && !self.startsWith('JPY_')",message="names that begin with JUPYTERHUB_ or JPY_ are the hub's"
	// +required
	Name string `json:"name"`

	// value of the variable, as it is: nothing in it is expanded.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Value string `json:"value,omitempty"`

	// secretRef is the key of a Secret in the platform's namespace that has the value. Every user can read it, so the Secret must have
	// the label opendatahub.io/allow-notebooks=true.
	//
	// +optional
	SecretRef SecretKey `json:"secretRef,omitempty,omitzero"`
}

// SecretKey is a key of a Secret in the platform's namespace.
type SecretKey struct {
	LocalReference `json:",inline"`

	// key in the Secret's data.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +required
	Key string `json:"key"`
}

// NotebookVolume is a volume that notebooks share.
type NotebookVolume struct {
	// name of the folder: the volume is at /home/jovyan/shared/<name>.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// claimName is a PersistentVolumeClaim in the platform's namespace. It must exist, and allow ReadWriteMany or ReadOnlyMany
	// for notebooks on more than one node.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +required
	ClaimName string `json:"claimName"`

	// access is ReadWrite or ReadOnly. Defaults to ReadOnly.
	//
	// +kubebuilder:validation:Enum=ReadWrite;ReadOnly
	// +optional
	Access string `json:"access,omitempty"`

	// groups whose members have the volume. If unset, all users do.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Groups []GroupName `json:"groups,omitempty"`
}

// NotebookGroupLimit is how much a group may use.
type NotebookGroupLimit struct {
	// group is its name, as the login provider has it.
	//
	// +required
	Group GroupName `json:"group"`

	// activeServers is how many notebooks its members may run at once.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	// +required
	ActiveServers int32 `json:"activeServers"`
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

	// displayName is what users read. Defaults to the name.
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

	// groups whose members may choose the image. If unset, all users may.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Groups []GroupName `json:"groups,omitempty"`
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

	// displayName is what users read. Defaults to the name. The amounts are put behind it.
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

	// gpus is how many NVIDIA GPUs the notebook gets, as nvidia.com/gpu. If unset, none.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16
	// +optional
	GPUs int32 `json:"gpus,omitempty"`

	// spark names one of the sizes of Spark clusters, see spark.clusterSizes: each notebook of this size has a cluster of its own. It needs
	// the component spark. If unset, there is no cluster.
	//
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	Spark string `json:"spark,omitempty"`

	// placement says on which nodes notebooks of this size run, besides what jupyterHub.placement says. The taint nvidia.com/gpu is
	// tolerated with GPUs anyway.
	//
	// +optional
	Placement Placement `json:"placement,omitempty,omitzero"`

	// groups whose members may choose the size. If unset, all users may.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Groups []GroupName `json:"groups,omitempty"`
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

	// idleTimeoutSeconds after its last use a notebook is stopped. Defaults to 3600.
	//
	// +kubebuilder:validation:Minimum=300
	// +kubebuilder:validation:Maximum=2592000
	// +optional
	IdleTimeoutSeconds int32 `json:"idleTimeoutSeconds,omitempty"`

	// maxAgeSeconds after its start a notebook is stopped even if it is in use. If unset, there is no such limit.
	//
	// +kubebuilder:validation:Minimum=3600
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	MaxAgeSeconds int32 `json:"maxAgeSeconds,omitempty"`
}
