package kafka

import (
	corev1 "k8s.io/client-go/applyconfigurations/core/v1"
	metav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1 "k8s.io/client-go/applyconfigurations/networking/v1"
)

// The fields that we set of Strimzi's custom resources, https://strimzi.io/docs/operators/latest/configuring.html.

type kafkaSpec struct {
	Kafka                  kafkaCluster          `json:"kafka"`
	EntityOperator         *entityOperator       `json:"entityOperator,omitempty"`
	KafkaExporter          *kafkaExporter        `json:"kafkaExporter,omitempty"`
	ClusterCA              *certificateAuthority `json:"clusterCa,omitempty"`
	ClientsCA              *certificateAuthority `json:"clientsCa,omitempty"`
	MaintenanceTimeWindows []string              `json:"maintenanceTimeWindows,omitempty"`
}

type kafkaCluster struct {
	Version       string         `json:"version,omitempty"`
	Listeners     []listener     `json:"listeners,omitempty"`
	Authorization *typed         `json:"authorization,omitempty"`
	Config        brokerConfig   `json:"config,omitzero"`
	Rack          *rack          `json:"rack,omitempty"`
	MetricsConfig *metricsConfig `json:"metricsConfig,omitempty"`
}

type typed struct {
	Type string `json:"type"`
}

type listener struct {
	Name               string                                              `json:"name"`
	Port               int32                                               `json:"port"`
	Type               string                                              `json:"type"`
	TLS                bool                                                `json:"tls"`
	Authentication     typed                                               `json:"authentication"`
	Configuration      *listenerConfiguration                              `json:"configuration,omitempty"`
	NetworkPolicyPeers []*networkingv1.NetworkPolicyPeerApplyConfiguration `json:"networkPolicyPeers,omitempty"`
}

type listenerConfiguration struct {
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`
}

// brokerConfig are broker settings, https://kafka.apache.org/documentation/#brokerconfigs.
type brokerConfig struct {
	AutoCreateTopics             bool  `json:"auto.create.topics.enable"`
	DefaultReplicationFactor     int32 `json:"default.replication.factor"`
	MinInSyncReplicas            int32 `json:"min.insync.replicas"`
	OffsetsReplicationFactor     int32 `json:"offsets.topic.replication.factor"`
	TransactionReplicationFactor int32 `json:"transaction.state.log.replication.factor"`
	TransactionMinInSyncReplicas int32 `json:"transaction.state.log.min.isr"`
}

type rack struct {
	TopologyKey string `json:"topologyKey"`
}

type metricsConfig struct {
	Type      string         `json:"type"`
	Values    *metricsValues `json:"values,omitempty"`
	ValueFrom *metricsSource `json:"valueFrom,omitempty"`
}

type metricsValues struct {
	AllowList []string `json:"allowList,omitempty"`
}

type metricsSource struct {
	ConfigMapKeyRef keyReference `json:"configMapKeyRef"`
}

type keyReference struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

type certificateAuthority struct {
	GenerateSecretOwnerReference bool `json:"generateSecretOwnerReference"`
}

type entityOperator struct {
	TopicOperator *process                `json:"topicOperator,omitempty"`
	UserOperator  *process                `json:"userOperator,omitempty"`
	Template      *entityOperatorTemplate `json:"template,omitempty"`
}

type process struct {
	Resources requirements `json:"resources"`
}

type entityOperatorTemplate struct {
	Pod                    *podTemplate       `json:"pod,omitempty"`
	TopicOperatorContainer *containerTemplate `json:"topicOperatorContainer,omitempty"`
	UserOperatorContainer  *containerTemplate `json:"userOperatorContainer,omitempty"`
}

type kafkaExporter struct {
	TopicRegex string            `json:"topicRegex"`
	GroupRegex string            `json:"groupRegex"`
	Resources  requirements      `json:"resources"`
	Template   *exporterTemplate `json:"template,omitempty"`
}

type exporterTemplate struct {
	Pod       *podTemplate       `json:"pod,omitempty"`
	Container *containerTemplate `json:"container,omitempty"`
}

type podTemplate struct {
	Metadata                  *metadataTemplate                                    `json:"metadata,omitempty"`
	SecurityContext           *corev1.PodSecurityContextApplyConfiguration         `json:"securityContext,omitempty"`
	Affinity                  *corev1.AffinityApplyConfiguration                   `json:"affinity,omitempty"`
	Tolerations               []*corev1.TolerationApplyConfiguration               `json:"tolerations,omitempty"`
	TopologySpreadConstraints []*corev1.TopologySpreadConstraintApplyConfiguration `json:"topologySpreadConstraints,omitempty"`
}

func (t *podTemplate) affinity() *corev1.AffinityApplyConfiguration {
	if t.Affinity == nil {
		t.Affinity = corev1.Affinity()
	}
	return t.Affinity
}

type metadataTemplate struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type objectTemplate struct {
	Metadata metadataTemplate `json:"metadata"`
}

type containerTemplate struct {
	SecurityContext *corev1.SecurityContextApplyConfiguration `json:"securityContext,omitempty"`
}

// requirements are resource requirements; what is empty is left out.
type requirements struct {
	Requests amounts `json:"requests,omitzero"`
	Limits   amounts `json:"limits,omitzero"`
}

type amounts struct {
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
}

type nodePoolSpec struct {
	Replicas  int32             `json:"replicas"`
	Roles     []string          `json:"roles"`
	Resources requirements      `json:"resources"`
	Storage   storage           `json:"storage"`
	Template  *nodePoolTemplate `json:"template,omitempty"`
}

type storage struct {
	Type    string   `json:"type"`
	Volumes []volume `json:"volumes"`
}

type volume struct {
	ID            int32  `json:"id"`
	Type          string `json:"type"`
	Size          string `json:"size"`
	Class         string `json:"class,omitempty"`
	KRaftMetadata string `json:"kraftMetadata,omitempty"`
	DeleteClaim   bool   `json:"deleteClaim"`
}

type nodePoolTemplate struct {
	Pod                   *podTemplate       `json:"pod,omitempty"`
	PersistentVolumeClaim *objectTemplate    `json:"persistentVolumeClaim,omitempty"`
	KafkaContainer        *containerTemplate `json:"kafkaContainer,omitempty"`
	InitContainer         *containerTemplate `json:"initContainer,omitempty"`
}

type userSpec struct {
	Authentication userAuthentication `json:"authentication"`
	Authorization  userAuthorization  `json:"authorization"`
}

type userAuthentication struct {
	Type     string    `json:"type"`
	Password *password `json:"password,omitempty"`
}

type password struct {
	ValueFrom passwordSource `json:"valueFrom"`
}

type passwordSource struct {
	SecretKeyRef keyReference `json:"secretKeyRef"`
}

type userAuthorization struct {
	Type string `json:"type"`
	ACLs []acl  `json:"acls"`
}

type acl struct {
	Resource   aclResource `json:"resource"`
	Operations []string    `json:"operations"`
}

type aclResource struct {
	Type        string `json:"type"`
	Name        string `json:"name,omitempty"`
	PatternType string `json:"patternType,omitempty"`
}

type topicSpec struct {
	TopicName  string      `json:"topicName"`
	Partitions int32       `json:"partitions"`
	Replicas   int32       `json:"replicas"`
	Config     topicConfig `json:"config"`
}

// topicConfig are topic settings, https://kafka.apache.org/documentation/#topicconfigs.
type topicConfig struct {
	CleanupPolicy     string `json:"cleanup.policy,omitempty"`
	MaxMessageBytes   int32  `json:"max.message.bytes,omitempty"`
	MinInSyncReplicas int32  `json:"min.insync.replicas,omitempty"`
	RetentionBytes    int64  `json:"retention.bytes,omitempty"`
	RetentionMS       int64  `json:"retention.ms,omitempty"`
}

// nodePoolStatus is the part of a KafkaNodePool's status that is restored.
type nodePoolStatus struct {
	ClusterID string `json:"clusterId"`
}

// selector is a label selector for exactly these labels.
func selector(labels map[string]string) *metav1.LabelSelectorApplyConfiguration {
	return metav1.LabelSelector().WithMatchLabels(labels)
}
