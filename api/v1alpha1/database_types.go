package v1alpha1

// DatabaseType says where a component keeps its tables.
//
// +kubebuilder:validation:Enum=SQLite;PostgreSQL;Platform
type DatabaseType string

// The database types.
const (
	// DatabaseSQLite is a file on a volume, for one replica.
	DatabaseSQLite DatabaseType = "SQLite"
	// DatabasePostgreSQL is a database that only the component's own block names.
	DatabasePostgreSQL DatabaseType = "PostgreSQL"
	// DatabasePlatform is a database on the server that spec.database names.
	DatabasePlatform DatabaseType = "Platform"
)

// DatabaseSpec is the one database server of the platform.
type DatabaseSpec struct {
	// external is a PostgreSQL server outside the platform.
	//
	// +required
	External ExternalDatabase `json:"external"`
}

// ExternalDatabase is a PostgreSQL server outside the platform.
//
// +kubebuilder:validation:XValidation:rule="has(self.caSecretRef) != (has(self.tls) && self.tls == 'Disabled')",message="caSecretRef must be set, unless tls is Disabled: the password goes only to a server whose certificate is verified"
type ExternalDatabase struct {
	// host is the name or the IPv4 address of the server, such as postgres.example.com or postgres.data.svc.
	//
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="(!self.matches('^(.*[.])?(?i:localhost|[0-9]+|0x[0-9a-f]*)$') || self.matches('^[1-9][0-9]{0,2}([.][0-9]{1,3}){3}$')) && !self.matches('^(127|169[.]254)[.][0-9]')",message="host must not be localhost, a loopback or a link-local address: Pods would reach themselves, or the metadata service of their node"
	// +required
	Host string `json:"host"`

	// port that the server listens on.
	//
	// +kubebuilder:default=5432
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port int32 `json:"port,omitempty"`

	// credentialsSecretRef names a Secret in the platform's namespace with the keys username and password. The user must own
	// the databases of the components: they create their own tables.
	//
	// +required
	CredentialsSecretRef LocalReference `json:"credentialsSecretRef"`

	// tls is Enabled (the default) or Disabled, for a server that has no certificate.
	//
	// +optional
	TLS Toggle `json:"tls,omitempty"`

	// caSecretRef names a Secret in the platform's namespace whose key ca.crt holds the certificate authority of the server, in PEM.
	//
	// +optional
	CASecretRef LocalReference `json:"caSecretRef,omitempty,omitzero"`
}
