package v1alpha1

// MLflowSpec keeps track of experiments: parameters, metrics and artifacts of runs, and a registry of models. Every notebook
// finds the server.
//
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || self.replicas == 1 || (has(self.database) && has(self.database.type) && self.database.type != 'SQLite')",message="replicas can be more than 1 only with database.type PostgreSQL or Platform: one server uses a SQLite database"
type MLflowSpec struct {
	ComponentSpec `json:",inline"`

	// replicas of the server. More than one needs PostgreSQL (database.type PostgreSQL or Platform) and an object storage. Defaults to that of the profile, or one.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// workers are the processes of each replica. Defaults to that of the profile.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	// +optional
	Workers int32 `json:"workers,omitempty"`

	// resources of each replica.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`

	// database holds all but the artifacts.
	//
	// +optional
	Database MLflowDatabase `json:"database,omitempty,omitzero"`

	// artifacts are the files of runs and models.
	//
	// +optional
	Artifacts MLflowArtifacts `json:"artifacts,omitempty,omitzero"`
}

// MLflowDatabase holds experiments, runs and registered models.
//
// +kubebuilder:validation:XValidation:rule="has(self.uriSecretRef) == (has(self.type) && self.type == 'PostgreSQL')",message="uriSecretRef must be set when type is PostgreSQL, and only then"
// +kubebuilder:validation:XValidation:rule="!has(self.port) || (has(self.type) && self.type == 'PostgreSQL')",message="port is allowed only when type is PostgreSQL"
// +kubebuilder:validation:XValidation:rule="!has(self.name) || (has(self.type) && self.type == 'Platform')",message="name is allowed only when type is Platform"
type MLflowDatabase struct {
	// type is SQLite (a file on a volume; the default), PostgreSQL (the database that uriSecretRef names) or Platform (a database on
	// the server that spec.database names). Changing it moves no data.
	//
	// +optional
	Type DatabaseType `json:"type,omitempty"`

	// storage is the volume of SQLite. Without an object storage artifacts are on it as well, whatever the type.
	//
	// +optional
	Storage Storage `json:"storage,omitempty,omitzero"`

	// uriSecretRef names a Secret in the platform's namespace whose key uri holds the address of the database, with user
	// and password, such as postgresql+psycopg2://mlflow:secret@postgres.example.com:5432/mlflow. The user must own the database:
	// MLflow makes its tables.
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
	// <namespace>_<platform>_mlflow.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][-A-Za-z0-9_]*$`
	// +optional
	Name string `json:"name,omitempty"`
}

// MLflowArtifacts are the files of runs and models.
type MLflowArtifacts struct {
	// bucket that holds artifacts. With Ceph the platform makes it, and chooses its name if this is empty; an external object
	// storage must have it, and without this field it is "experiments". Not used without an object storage.
	//
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9.]*[a-z0-9]$`
	// +optional
	Bucket string `json:"bucket,omitempty"`
}
