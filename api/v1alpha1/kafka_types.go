package v1alpha1

// KafkaSpec is the kafka component: a Kafka cluster in KRaft mode, deployed through the Strimzi operator. Clients always
// use TLS and log in; nothing is reachable anonymously.
//
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.topics) || self.topics.all(t, !has(t.replicas) || t.replicas <= self.replicas)",message="a topic cannot have more replicas than kafka.replicas: every replica is on another broker"
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.controllers) || !has(self.controllers.type) || self.controllers.type != 'Combined' || self.replicas in [1, 3, 5]",message="replicas must be 1, 3 or 5 when controllers.type is Combined: every broker is a controller too, and an even number gives no better quorum"
type KafkaSpec struct {
	ComponentSpec `json:",inline"`

	// version of Kafka, such as 4.3.1, out of those that the Strimzi operator in the cluster supports. Defaults to the
	// operator's default, which moves when the operator is upgraded.
	//
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[0-9]+\.[0-9]+\.[0-9]+$`
	// +optional
	Version string `json:"version,omitempty"`

	// replicas is the number of brokers. Defaults to 1 in profile Development, otherwise 3. Topics that exist are not
	// moved to brokers that are added. Brokers that hold partitions are not taken away before the partitions are moved.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// resources of each broker. Defaults to those of the profile.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`

	// storage of each broker, on a volume of its own. Defaults to the size of the profile.
	//
	// +optional
	Storage Storage `json:"storage,omitempty,omitzero"`

	// controllers are the nodes that keep the metadata of the cluster.
	//
	// +optional
	Controllers KafkaControllers `json:"controllers,omitempty,omitzero"`

	// authentication is how clients log in.
	//
	// +optional
	Authentication KafkaAuthentication `json:"authentication,omitempty,omitzero"`

	// allowedNamespaces are the namespaces whose Pods may connect, besides those of the platform itself. They need a
	// login all the same.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	AllowedNamespaces []string `json:"allowedNamespaces,omitempty"`

	// externalAccess opens a second listener, on port 9094 and with the same TLS and login, to clients outside the cluster.
	//
	// +optional
	ExternalAccess KafkaExternalAccess `json:"externalAccess,omitempty,omitzero"`

	// topics that must exist. Topics that are not listed are left alone. A topic that is taken out of the list stays, with
	// its messages, unless deletionPolicy is Delete.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Topics []KafkaTopic `json:"topics,omitempty"`

	// metrics says how the brokers show metrics to Prometheus.
	//
	// +optional
	Metrics KafkaMetrics `json:"metrics,omitempty,omitzero"`

	// rack spreads the replicas of every partition over failure domains. Defaults to zones in profile
	// HighAvailability, otherwise not at all.
	//
	// +optional
	Rack KafkaRack `json:"rack,omitempty,omitzero"`

	// placement says on which nodes brokers and controllers run.
	//
	// +optional
	Placement Placement `json:"placement,omitempty,omitzero"`

	// maintenanceTimeWindows are the times, as Quartz cron expressions in UTC such as "* * 0-3 ? * SUN *", at which
	// brokers may be restarted to renew certificates. If unset, at any time.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=11
	// +kubebuilder:validation:items:MaxLength=120
	// +kubebuilder:validation:items:Pattern=`^[-0-9A-Z*/,?#LW]+( [-0-9A-Z*/,?#LW]+){5,6}$`
	// +optional
	MaintenanceTimeWindows []string `json:"maintenanceTimeWindows,omitempty"`
}

// KafkaControllerType says which nodes are controllers.
//
// +kubebuilder:validation:Enum=Combined;Dedicated
type KafkaControllerType string

// The controller types.
const (
	// KafkaControllersCombined makes every broker a controller too.
	KafkaControllersCombined KafkaControllerType = "Combined"
	// KafkaControllersDedicated runs controllers on nodes of their own.
	KafkaControllersDedicated KafkaControllerType = "Dedicated"
)

// KafkaControllers keep the metadata of a Kafka cluster. Their type and number cannot change once the cluster exists.
//
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'Combined' || (!has(self.replicas) && !has(self.resources) && !has(self.storage))",message="replicas, resources and storage of controllers must be left out when type is Combined: the brokers are the controllers"
type KafkaControllers struct {
	// type is Combined (every broker is a controller too) or Dedicated (controllers are Pods of their own). Defaults to
	// Combined in profile Development, otherwise Dedicated.
	//
	// +optional
	Type KafkaControllerType `json:"type,omitempty"`

	// replicas is the number of dedicated controllers. 3 survive the loss of one, 5 of two.
	//
	// +kubebuilder:validation:Enum=1;3;5
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// resources of each dedicated controller. Defaults to those of the profile.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`

	// storage of each dedicated controller. Defaults to the size of the profile.
	//
	// +optional
	Storage Storage `json:"storage,omitempty,omitzero"`
}

// KafkaAuthenticationType says how clients of Kafka log in.
//
// +kubebuilder:validation:Enum=SCRAMSHA512;TLS
type KafkaAuthenticationType string

// The Kafka authentication types.
const (
	// KafkaAuthenticationSCRAMSHA512 is a user name and a password.
	KafkaAuthenticationSCRAMSHA512 KafkaAuthenticationType = "SCRAMSHA512"
	// KafkaAuthenticationTLS is a client certificate.
	KafkaAuthenticationTLS KafkaAuthenticationType = "TLS"
)

// KafkaAuthentication is how clients of Kafka log in.
type KafkaAuthentication struct {
	// type is SCRAMSHA512 (user name and password) or TLS (a client certificate). The connection is encrypted with
	// either.
	//
	// +kubebuilder:default=SCRAMSHA512
	// +optional
	Type KafkaAuthenticationType `json:"type,omitempty"`
}

// KafkaExternalAccessType says how clients outside the cluster reach Kafka.
//
// +kubebuilder:validation:Enum=None;Route;LoadBalancer
type KafkaExternalAccessType string

// The external access types.
const (
	// KafkaExternalAccessNone keeps Kafka inside the cluster.
	KafkaExternalAccessNone KafkaExternalAccessType = "None"
	// KafkaExternalAccessRoute uses OpenShift Routes with TLS passthrough.
	KafkaExternalAccessRoute KafkaExternalAccessType = "Route"
	// KafkaExternalAccessLoadBalancer uses a Service of type LoadBalancer for every broker and one for the bootstrap.
	KafkaExternalAccessLoadBalancer KafkaExternalAccessType = "LoadBalancer"
)

// KafkaExternalAccess opens Kafka to clients outside the cluster.
//
// +kubebuilder:validation:XValidation:rule="!has(self.sourceRanges) || (has(self.type) && self.type == 'LoadBalancer')",message="sourceRanges is allowed only when type is LoadBalancer"
type KafkaExternalAccess struct {
	// type is None, Route (OpenShift only) or LoadBalancer.
	//
	// +kubebuilder:default=None
	// +optional
	Type KafkaExternalAccessType `json:"type,omitempty"`

	// sourceRanges are the networks, such as 192.0.2.0/24, from which load balancers accept connections. If unset,
	// from everywhere.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="self.all(range, isCIDR(range))",message="sourceRanges must be networks in CIDR notation, such as 192.0.2.0/24"
	// +optional
	SourceRanges []string `json:"sourceRanges,omitempty"`
}

// KafkaCleanupPolicy says what becomes of old messages.
//
// +kubebuilder:validation:Enum=Delete;Compact;CompactDelete
type KafkaCleanupPolicy string

// The cleanup policies.
const (
	// KafkaCleanupDelete deletes messages that are too old or too many.
	KafkaCleanupDelete KafkaCleanupPolicy = "Delete"
	// KafkaCleanupCompact keeps the latest message of every key.
	KafkaCleanupCompact KafkaCleanupPolicy = "Compact"
	// KafkaCleanupCompactDelete does both.
	KafkaCleanupCompactDelete KafkaCleanupPolicy = "CompactDelete"
)

// KafkaTopic is a topic that must exist.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minInSyncReplicas) || !has(self.replicas) || self.minInSyncReplicas <= self.replicas",message="minInSyncReplicas must not exceed replicas: nobody could write"
type KafkaTopic struct {
	// name of the topic in Kafka.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][-A-Za-z0-9._]*$`
	// +required
	Name string `json:"name"`

	// partitions of the topic. Defaults to 1. They can be added, never taken away.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +optional
	Partitions int32 `json:"partitions,omitempty"`

	// replicas of each partition, at most the number of brokers. Defaults to 3, or the number of brokers if there are fewer.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// minInSyncReplicas is how many replicas must have a message before a producer with acks=all is told so. Defaults to
	// 2 if there are 3 replicas or more, otherwise 1.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99
	// +optional
	MinInSyncReplicas int32 `json:"minInSyncReplicas,omitempty"`

	// cleanupPolicy is Delete (messages go when they are too old or too many; what no policy means), Compact (the latest
	// message of every key is kept) or CompactDelete (both).
	//
	// +optional
	CleanupPolicy KafkaCleanupPolicy `json:"cleanupPolicy,omitempty"`

	// retentionHours is how long messages are kept. Defaults to Kafka's own 168 hours.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=876000
	// +optional
	RetentionHours int32 `json:"retentionHours,omitempty"`

	// retentionBytes is how much of each partition is kept. If unset, there is no limit but time.
	//
	// +kubebuilder:validation:Minimum=1048576
	// +kubebuilder:validation:Maximum=1125899906842624
	// +optional
	RetentionBytes int64 `json:"retentionBytes,omitempty"`

	// maxMessageBytes is the largest batch of messages that is accepted. Defaults to Kafka's own, about 1 MiB.
	//
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=1073741824
	// +optional
	MaxMessageBytes int32 `json:"maxMessageBytes,omitempty"`
}

// KafkaMetricsType says how the brokers show metrics.
//
// +kubebuilder:validation:Enum=StrimziReporter;JMX;None
type KafkaMetricsType string

// The metrics types.
const (
	// KafkaMetricsStrimziReporter is Strimzi's metrics reporter inside the brokers. Strimzi 0.47 and later.
	KafkaMetricsStrimziReporter KafkaMetricsType = "StrimziReporter"
	// KafkaMetricsJMX is the Prometheus JMX exporter. Every Strimzi version; heavier, and other metric names.
	KafkaMetricsJMX KafkaMetricsType = "JMX"
	// KafkaMetricsNone shows no metrics.
	KafkaMetricsNone KafkaMetricsType = "None"
)

// KafkaMetrics is how Kafka shows metrics to Prometheus.
type KafkaMetrics struct {
	// type is StrimziReporter, JMX or None. Defaults to StrimziReporter where the Strimzi operator serves
	// kafka.strimzi.io/v1, otherwise JMX. With None the exporter of consumer lags is not deployed either.
	//
	// +optional
	Type KafkaMetricsType `json:"type,omitempty"`
}

// KafkaRack spreads replicas over failure domains.
type KafkaRack struct {
	// topologyKey is the node label whose values are the failure domains, such as topology.kubernetes.io/zone. Brokers and
	// controllers run only on nodes that have it.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
	// +required
	TopologyKey string `json:"topologyKey"`
}
