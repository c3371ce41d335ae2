package kafka

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingapply "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

// inputs are the plain values that the objects are made of.
type inputs struct {
	platform  components.Platform
	namespace string
	cluster   string
	admin     string

	kafkaKind, poolKind, userKind, topicKind schema.GroupVersionKind

	podLabels  map[string]string
	dataLabels map[string]string
	// annotations of the Kafka resource.
	annotations map[string]string

	version            string
	pools              []poolInputs
	replication        int32
	minInSync          int32
	retain             bool
	listeners          []listener
	rack               *rack
	metricsConfig      *metricsConfig
	maintenanceWindows []string
	entityOperator     requirements
	exporter           requirements
	userAuthentication userAuthentication
	topics             []topicInputs
	clients            []clientInputs

	// passwordSecret and jmxConfigMap are empty when there is none.
	passwordSecret string
	jmxConfigMap   string
	// record is empty until there is something to remember.
	record record
	// restoredID is the id that a recreated cluster must get to take up volumes that were kept; otherwise empty.
	restoredID string
	// withheld is whether the Kafka has to wait for the pools to have that id: Strimzi would make a new one.
	withheld bool

	fsGroup        *int64
	nodeAffinity   *coreapply.NodeAffinityApplyConfiguration
	tolerations    []*coreapply.TolerationApplyConfiguration
	spread         []spread
	oneNodePerHost bool
}

// poolInputs is one node pool.
type poolInputs struct {
	name         string
	roles        []string
	replicas     int32
	nodeIDs      string
	resources    requirements
	size         resource.Quantity
	storageClass string
}

type topicInputs struct {
	objectName string
	spec       topicSpec
}

// clientInputs is the account of another component.
type clientInputs struct {
	name   string
	topics []string
}

type spread struct {
	topologyKey       string
	whenUnsatisfiable corev1.UnsatisfiableConstraintAction
}

const (
	field = "spec.components.kafka"

	// defaultCopies is the number of replicas that data has where there are enough brokers.
	defaultCopies = 3

	// minimumMemory is the least that a node starts with.
	minimumMemory = "512Mi"
)

func newInputs(facts components.Facts) (inputs, error) {
	spec := v1alpha1.KafkaSpec{}
	if facts.Spec.Components.Kafka != nil {
		spec = *facts.Spec.Components.Kafka
	}
	sizes := sizesOf(facts.Spec.Profile)
	layout, err := newLayout(spec, sizes)
	if err != nil {
		return inputs{}, err
	}
	if err := layout.follows(previousLayout(facts)); err != nil {
		return inputs{}, err
	}
	pools, err := newPools(spec, sizes, layout)
	if err != nil {
		return inputs{}, err
	}
	in := inputs{
		platform:  facts.Platform,
		namespace: facts.Platform.Namespace,
		cluster:   clusterName(facts.Platform),
		admin:     adminName(facts.Platform),

		kafkaKind: facts.GVK(Kafka),
		poolKind:  facts.GVK(NodePool),
		userKind:  facts.GVK(User),
		topicKind: facts.GVK(Topic),

		podLabels:   facts.Labels(name),
		dataLabels:  components.Merge(facts.Labels(name), map[string]string{components.LabelData: "true"}),
		annotations: map[string]string{},

		version:            spec.Version,
		pools:              pools,
		replication:        min(layout.brokers, defaultCopies),
		minInSync:          majority(min(layout.brokers, defaultCopies)),
		retain:             facts.Retains(),
		maintenanceWindows: spec.MaintenanceTimeWindows,
		entityOperator:     requirements{amounts{"50m", "256Mi"}, amounts{Memory: "512Mi"}},
		exporter:           requirements{amounts{"20m", "64Mi"}, amounts{Memory: "256Mi"}},

		record:       newRecord(facts, layout),
		restoredID:   lostClusterID(facts),
		nodeAffinity: native.NodeAffinity(spec.Placement.NodeSelector),
		tolerations:  native.Tolerations(spec.Placement.Tolerations),
	}
	// Volumes belong to root and group 0, as which Strimzi's images run; OpenShift gives every namespace its own group.
	if !facts.Cluster.OpenShift {
		in.fsGroup = new(int64(0))
	}
	in.withheld = in.restoredID != "" && facts.Live.Find(Kafka.GroupKind, in.cluster) == nil
	in.annotate()
	in.authenticate(spec, facts)
	in.measure(spec, facts)
	in.spreadOut(spec, facts.Spec.Profile)
	if in.listeners, err = listeners(spec, facts); err != nil {
		return inputs{}, err
	}
	in.clients = clients(facts)
	in.topics, err = topics(spec, facts, layout.brokers)
	return in, err
}

// clients are the accounts that other components want.
func clients(facts components.Facts) []clientInputs {
	var all []clientInputs
	for _, claim := range facts.Declared.Topics {
		name := clientName(facts.Platform, claim.Purpose)
		i := slices.IndexFunc(all, func(client clientInputs) bool { return client.name == name })
		if i < 0 {
			i, all = len(all), append(all, clientInputs{name: name})
		}
		if !slices.Contains(all[i].topics, claim.Name) {
			all[i].topics = append(all[i].topics, claim.Name)
		}
	}
	return all
}

// certificatePort is that of the listener at which accounts of other components log in.
func certificatePort(facts components.Facts) int32 {
	if spec := facts.Spec.Components.Kafka; spec != nil && authentication(*spec) == "tls" {
		return listenerInternalPort
	}
	return listenerCertificatePort
}

// annotate sets the annotations that v1beta2 needs.
func (in *inputs) annotate() {
	if in.kafkaKind.Version == "v1beta2" {
		in.annotations[annotationNodePools] = "enabled"
		in.annotations[annotationKRaft] = "enabled"
	}
}

func (in *inputs) authenticate(spec v1alpha1.KafkaSpec, facts components.Facts) {
	in.userAuthentication.Type = authentication(spec)
	if in.userAuthentication.Type == "tls" {
		return
	}
	in.passwordSecret = adminName(facts.Platform) + "-password"
	in.userAuthentication.Password = &password{ValueFrom: passwordSource{
		SecretKeyRef: keyReference{Name: in.passwordSecret, Key: passwordKey},
	}}
}

// authentication is Strimzi's word for how clients log in.
func authentication(spec v1alpha1.KafkaSpec) string {
	if spec.Authentication.Type == v1alpha1.KafkaAuthenticationTLS {
		return "tls"
	}
	return "scram-sha-512"
}

// measure chooses how metrics are exposed. Of the Strimzi versions without v1, the older ones know JMX only.
func (in *inputs) measure(spec v1alpha1.KafkaSpec, facts components.Facts) {
	how := spec.Metrics.Type
	if how == "" && in.kafkaKind.Version == Kafka.Versions[0] {
		how = v1alpha1.KafkaMetricsStrimziReporter
	}
	switch how {
	case v1alpha1.KafkaMetricsNone:
	case v1alpha1.KafkaMetricsStrimziReporter:
		in.metricsConfig = &metricsConfig{Type: "strimziMetricsReporter", Values: &metricsValues{AllowList: []string{
			"kafka_controller.*", "kafka_log.*", "kafka_network.*", "kafka_server.*",
		}}}
	default:
		in.jmxConfigMap = facts.Platform.Name + "-kafka-metrics"
		in.metricsConfig = &metricsConfig{Type: "jmxPrometheusExporter", ValueFrom: &metricsSource{
			ConfigMapKeyRef: keyReference{Name: in.jmxConfigMap, Key: jmxKey},
		}}
	}
}

// spreadOut keeps nodes of one pool apart: as far as possible in Standard, strictly in HighAvailability.
func (in *inputs) spreadOut(spec v1alpha1.KafkaSpec, profile v1alpha1.Profile) {
	domain := spec.Rack.TopologyKey
	strictness := corev1.ScheduleAnyway
	if profile == v1alpha1.ProfileHighAvailability {
		domain = cmp.Or(domain, corev1.LabelTopologyZone)
		strictness = corev1.DoNotSchedule
		in.oneNodePerHost = true
	}
	if domain != "" {
		in.rack = &rack{TopologyKey: domain}
	}
	if profile == v1alpha1.ProfileDevelopment {
		return
	}
	in.spread = []spread{{cmp.Or(domain, corev1.LabelTopologyZone), strictness}}
	if !in.oneNodePerHost && domain != corev1.LabelHostname {
		in.spread = append(in.spread, spread{corev1.LabelHostname, strictness})
	}
}

func listeners(spec v1alpha1.KafkaSpec, facts components.Facts) ([]listener, error) {
	login := typed{Type: authentication(spec)}
	peers := []*networkingapply.NetworkPolicyPeerApplyConfiguration{
		networkingapply.NetworkPolicyPeer().WithPodSelector(metaapply.LabelSelector()),
	}
	for _, namespace := range slices.Sorted(slices.Values(spec.AllowedNamespaces)) {
		peers = append(peers, networkingapply.NetworkPolicyPeer().
			WithNamespaceSelector(selector(map[string]string{corev1.LabelMetadataName: namespace})))
	}
	all := []listener{{
		Name: listenerInternal, Port: listenerInternalPort, Type: "internal", TLS: true,
		Authentication: login, NetworkPolicyPeers: peers,
	}}
	if len(facts.Declared.Topics) > 0 && certificatePort(facts) == listenerCertificatePort {
		certificate := listener{
			Name: listenerCertificate, Port: listenerCertificatePort, Type: "internal", TLS: true, Authentication: typed{Type: "tls"},
		}
		for _, claim := range facts.Declared.Topics {
			certificate.NetworkPolicyPeers = append(certificate.NetworkPolicyPeers, native.Pods(claim.Pods))
		}
		all = append(all, certificate)
	}
	external := listener{Name: listenerExternal, Port: listenerExternalPort, TLS: true, Authentication: login}
	switch spec.ExternalAccess.Type {
	case v1alpha1.KafkaExternalAccessRoute:
		if !facts.Cluster.OpenShift {
			return nil, components.Invalid(field+".externalAccess.type",
				"Route needs OpenShift, which this cluster is not; use LoadBalancer or None")
		}
		external.Type = "route"
	case v1alpha1.KafkaExternalAccessLoadBalancer:
		external.Type = "loadbalancer"
		if ranges := spec.ExternalAccess.SourceRanges; len(ranges) > 0 {
			external.Configuration = &listenerConfiguration{LoadBalancerSourceRanges: ranges}
		}
	default:
		return all, nil
	}
	return append(all, external), nil
}

// wantedTopics are those of the spec, and those of other components that it does not name.
func wantedTopics(spec v1alpha1.KafkaSpec, facts components.Facts) []v1alpha1.KafkaTopic {
	wanted := slices.Clone(spec.Topics)
	for _, claim := range facts.Declared.Topics {
		if !slices.ContainsFunc(wanted, func(topic v1alpha1.KafkaTopic) bool { return topic.Name == claim.Name }) {
			wanted = append(wanted, v1alpha1.KafkaTopic{Name: claim.Name})
		}
	}
	return wanted
}

func topics(spec v1alpha1.KafkaSpec, facts components.Facts, brokers int32) ([]topicInputs, error) {
	var all []topicInputs
	similar := map[string]string{}
	for _, topic := range wantedTopics(spec, facts) {
		// Kafka refuses the second of two such topics: their metrics would have the same name.
		metric := strings.ReplaceAll(topic.Name, ".", "_")
		if other, ok := similar[metric]; ok {
			return nil, components.Invalid(field+".topics", "%s and %s differ only in '.' and '_'; rename one", other, topic.Name)
		}
		similar[metric] = topic.Name

		path := fmt.Sprintf("%s.topics[%s]", field, topic.Name)
		objectName := topicObjectName(facts.Platform, topic.Name)
		replicas := cmp.Or(topic.Replicas, liveReplicas(facts.Live, objectName), min(brokers, defaultCopies))
		if replicas > brokers {
			return nil, components.Invalid(path+".replicas", "%d replicas need as many brokers, and there are %d; "+
				"use at most %d, or raise %s.replicas", replicas, brokers, brokers, field)
		}
		if topic.MinInSyncReplicas > replicas {
			return nil, components.Invalid(path+".minInSyncReplicas", "%d of %d replicas can never be in sync; use at most %d",
				topic.MinInSyncReplicas, replicas, replicas)
		}
		all = append(all, topicInputs{
			objectName: objectName,
			spec: topicSpec{
				TopicName:  topic.Name,
				Partitions: cmp.Or(topic.Partitions, 1),
				Replicas:   replicas,
				Config: topicConfig{
					CleanupPolicy:     cleanupPolicies[topic.CleanupPolicy],
					MaxMessageBytes:   topic.MaxMessageBytes,
					MinInSyncReplicas: cmp.Or(topic.MinInSyncReplicas, majority(replicas)),
					RetentionBytes:    topic.RetentionBytes,
					RetentionMS:       int64(topic.RetentionHours) * 60 * 60 * 1000,
				},
			},
		})
	}
	return all, nil
}

// liveReplicas are those of a topic that exists, or 0: Strimzi cannot change their number, so more brokers must not change
// what nobody asked for.
func liveReplicas(live components.Objects, objectName string) int32 {
	topic := live.Find(Topic.GroupKind, objectName)
	if topic == nil {
		return 0
	}
	replicas, _, _ := unstructured.NestedInt64(topic.Object, "spec", "replicas")
	return int32(replicas)
}

var cleanupPolicies = map[v1alpha1.KafkaCleanupPolicy]string{
	v1alpha1.KafkaCleanupDelete:        "delete",
	v1alpha1.KafkaCleanupCompact:       "compact",
	v1alpha1.KafkaCleanupCompactDelete: "compact,delete",
}

// majority is how many of the replicas must have a message, so that the loss of one loses nothing, if writing can go on
// without one.
func majority(replicas int32) int32 {
	if replicas < defaultCopies {
		return 1
	}
	return 2
}

var (
	subdomain  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	notInNames = regexp.MustCompile(`[^a-z0-9]+`)
)

// topicObjectName is the name of the KafkaTopic. Topics may have names that objects may not; those get a digest, so that
// no two become the same.
func topicObjectName(platform components.Platform, topic string) string {
	prefix := platform.Name + "-kafka-"
	if subdomain.MatchString(topic) {
		return prefix + topic
	}
	digest := sha256.Sum256([]byte(topic))
	slug := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(topic), "-"), "-")
	return prefix + slug + "-" + hex.EncodeToString(digest[:4])
}
