package kafka

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

const (
	passwordKey   = "password"
	passwordBytes = 32
	jmxKey        = "jmx.yaml"
)

//go:embed jmx.yaml
var jmxRulesFile string

func recordObject(platform components.Platform, r record) components.Object {
	return components.Data(coreapply.ConfigMap(recordName(platform), platform.Namespace).WithData(r))
}

// passwordSecret holds the administrator's password. Strimzi would make one, but delete it with the KafkaUser, and
// clients would have to be told a new one when the component comes back.
func passwordSecret(in inputs) components.Object {
	object := components.Data(coreapply.Secret(in.passwordSecret, in.namespace).
		WithLabels(appLabels("admin")).
		WithType(corev1.SecretTypeOpaque))
	object.Generate = []components.Random{{Key: passwordKey, Bytes: passwordBytes}}
	return object
}

func jmxRules(in inputs) components.Object {
	return components.Owned(coreapply.ConfigMap(in.jmxConfigMap, in.namespace).
		WithLabels(appLabels("metrics")).
		WithData(map[string]string{jmxKey: jmxRulesFile}))
}

func nodePool(in inputs, pool poolInputs) components.Object {
	template := &nodePoolTemplate{
		Pod:                   nodeTemplate(in, pool),
		PersistentVolumeClaim: &objectTemplate{Metadata: metadataTemplate{Labels: in.dataLabels}},
		KafkaContainer:        container(),
		InitContainer:         container(),
	}
	template.Pod.Metadata.Annotations = map[string]string{annotationDigest: digest(pool.resources, template)}
	object := kinds.New(in.poolKind, in.namespace, pool.name, nodePoolSpec{
		Replicas:  pool.replicas,
		Roles:     pool.roles,
		Resources: pool.resources,
		Storage: storage{
			Type: "jbod",
			Volumes: []volume{{
				Type:          "persistent-claim",
				Size:          pool.size.String(),
				Class:         pool.storageClass,
				KRaftMetadata: "shared",
				DeleteClaim:   !in.retain,
			}},
		},
		Template: template,
	})
	object.WithLabels(clusterLabels(in, strings.TrimPrefix(pool.name, name+"-")))
	// Ranges of its own keep the ids of a pool, and so the names of its volumes, the same when it is recreated.
	object.WithAnnotations(map[string]string{annotationNextIDs: pool.nodeIDs})
	return components.Owned(object)
}

// digest changes with whatever makes Strimzi replace the Pods of a pool. The Pods carry it, to show which of them are
// replaced: Strimzi says that it has observed a pool before it touches the first Pod.
// (KafkaReconciler.reconcile: updateNodePoolStatuses comes before podSet and rollingUpdate, Strimzi 1.2)
func digest(parts ...any) string {
	encoded, err := json.Marshal(parts)
	if err != nil {
		return "" // plain structs
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}

func nodeTemplate(in inputs, pool poolInputs) *podTemplate {
	siblings := map[string]string{labelCluster: in.cluster, labelPool: pool.name}
	template := pod(in)
	template.SecurityContext.FSGroup = in.fsGroup
	for _, spread := range in.spread {
		constraint := coreapply.TopologySpreadConstraint().
			WithMaxSkew(1).
			WithTopologyKey(spread.topologyKey).
			WithWhenUnsatisfiable(spread.whenUnsatisfiable).
			WithLabelSelector(selector(siblings))
		if spread.whenUnsatisfiable == corev1.DoNotSchedule {
			// Nodes that no Pod may use, such as those of the control plane, would count as empty domains.
			constraint.WithNodeTaintsPolicy(corev1.NodeInclusionPolicyHonor)
		}
		template.TopologySpreadConstraints = append(template.TopologySpreadConstraints, constraint)
	}
	if in.oneNodePerHost {
		template.affinity().WithPodAntiAffinity(coreapply.PodAntiAffinity().
			WithRequiredDuringSchedulingIgnoredDuringExecution(coreapply.PodAffinityTerm().
				WithTopologyKey(corev1.LabelHostname).
				WithLabelSelector(selector(siblings))))
	}
	return template
}

// cluster is the Kafka resource: everything but the nodes.
func cluster(in inputs) components.Object {
	object := kinds.New(in.kafkaKind, in.namespace, in.cluster, kafkaSpec{
		Kafka: kafkaCluster{
			Version:       in.version,
			Listeners:     in.listeners,
			Authorization: &typed{Type: "simple"},
			Config: brokerConfig{
				DefaultReplicationFactor:     in.replication,
				MinInSyncReplicas:            in.minInSync,
				OffsetsReplicationFactor:     in.replication,
				TransactionReplicationFactor: in.replication,
				TransactionMinInSyncReplicas: in.minInSync,
			},
			Rack:          in.rack,
			MetricsConfig: in.metricsConfig,
		},
		EntityOperator: &entityOperator{
			TopicOperator: &process{Resources: in.entityOperator},
			UserOperator:  &process{Resources: in.entityOperator},
			Template: &entityOperatorTemplate{
				Pod:                    pod(in),
				TopicOperatorContainer: container(),
				UserOperatorContainer:  container(),
			},
		},
		KafkaExporter:          exporter(in),
		ClusterCA:              &certificateAuthority{GenerateSecretOwnerReference: !in.retain},
		ClientsCA:              &certificateAuthority{GenerateSecretOwnerReference: !in.retain},
		MaintenanceTimeWindows: in.maintenanceWindows,
	})
	object.WithLabels(appLabels("cluster"))
	if len(in.annotations) > 0 {
		object.WithAnnotations(in.annotations)
	}
	return components.Owned(object)
}

// clusterID gives a cluster the id that its volumes were written with: brokers do not start on volumes of another one.
// Strimzi looks for it in the pools when the Kafka has none, see clusterIDOf, and does not act on pools without a Kafka.
func clusterID(in inputs) components.Object {
	object := components.Owned(kinds.NewStatus[nodePoolSpec](in.poolKind, in.namespace, in.pools[0].name,
		nodePoolStatus{ClusterID: in.restoredID}))
	object.Subresource = "status"
	return object
}

func exporter(in inputs) *kafkaExporter {
	if in.metricsConfig == nil {
		return nil
	}
	return &kafkaExporter{
		TopicRegex: ".*",
		GroupRegex: ".*",
		Resources:  in.exporter,
		Template:   &exporterTemplate{Pod: pod(in), Container: container()},
	}
}

// administrator may do everything that the authorization of Kafka knows of.
func administrator(in inputs) components.Object {
	all := []string{"All"}
	object := kinds.New(in.userKind, in.namespace, in.admin, userSpec{
		Authentication: in.userAuthentication,
		Authorization: userAuthorization{Type: "simple", ACLs: []acl{
			{Resource: aclResource{Type: "cluster"}, Operations: all},
			{Resource: aclResource{Type: "topic", Name: "*", PatternType: "literal"}, Operations: all},
			{Resource: aclResource{Type: "group", Name: "*", PatternType: "literal"}, Operations: all},
			{Resource: aclResource{Type: "transactionalId", Name: "*", PatternType: "literal"}, Operations: all},
		}},
	})
	object.WithLabels(clusterLabels(in, "admin"))
	return components.Owned(object)
}

// client is the account of another component: it may send messages to its topics, and see that they are there.
func client(in inputs, client clientInputs) components.Object {
	authorization := userAuthorization{Type: "simple"}
	for _, topic := range client.topics {
		authorization.ACLs = append(authorization.ACLs, acl{
			Resource: aclResource{Type: "topic", Name: topic, PatternType: "literal"}, Operations: []string{"Describe", "Write"},
		})
	}
	object := kinds.New(in.userKind, in.namespace, client.name, userSpec{
		Authentication: userAuthentication{Type: "tls"}, Authorization: authorization,
	})
	object.WithLabels(clusterLabels(in, "client"))
	return components.Owned(object)
}

// topic stands for messages that Strimzi deletes with it, unless it is told to let go first, see Uses.
func topic(in inputs, topic topicInputs) components.Object {
	object := kinds.New(in.topicKind, in.namespace, topic.objectName, topic.spec)
	object.WithLabels(clusterLabels(in, "topic"))
	return components.Owned(object)
}

// pod is what all Pods have in common.
func pod(in inputs) *podTemplate {
	template := &podTemplate{
		Tolerations: in.tolerations,
		Metadata:    &metadataTemplate{Labels: in.podLabels},
		SecurityContext: coreapply.PodSecurityContext().
			WithRunAsNonRoot(true).
			WithSeccompProfile(coreapply.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)),
	}
	if in.nodeAffinity != nil {
		template.affinity().WithNodeAffinity(in.nodeAffinity)
	}
	return template
}

func container() *containerTemplate {
	return &containerTemplate{SecurityContext: coreapply.SecurityContext().
		WithAllowPrivilegeEscalation(false).
		WithRunAsNonRoot(true).
		WithSeccompProfile(coreapply.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)).
		WithCapabilities(coreapply.Capabilities().WithDrop("ALL"))}
}

func appLabels(part string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/component": part}
}

// clusterLabels are the labels of a resource that belongs to the Kafka resource: Strimzi finds it by them.
func clusterLabels(in inputs, part string) map[string]string {
	return components.Merge(appLabels(part), map[string]string{labelCluster: in.cluster})
}
