// Package kafka deploys a Kafka cluster through the Strimzi operator: KRaft node pools, one TLS listener with a login, an
// administrator and the topics of the spec.
package kafka

import (
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

const name = "kafka"

type component struct{}

// New returns the component, with the abilities below.
func New() components.Component { return component{} }

var (
	_ components.WithLeftovers = component{}
	_ components.WithRecord    = component{}
)

// Name implements components.Component.
func (component) Name() string { return name }

// Kinds implements components.Component. Removal goes backwards: topics and users while the entity operator, which
// removes the topics' finalizers, still runs; then the cluster; then the pools that it is made of.
func (component) Kinds() []kinds.Kind {
	return []kinds.Kind{
		kinds.Secret, kinds.ConfigMap, NodePool, Kafka, User, Topic,
	}
}

// LeftoverKinds implements components.WithLeftovers.
func (component) LeftoverKinds() []kinds.Kind {
	return []kinds.Kind{kinds.PersistentVolumeClaim, kinds.Secret}
}

// Leftovers implements components.WithLeftovers: the volumes and the certificate authorities, which Strimzi no longer deletes once
// they were kept. It puts the labels of the Kafka on everything that it makes for it; its other Secrets go with their owners.
func (component) Leftovers(facts components.Facts) []components.Leftover {
	labels := components.Merge(facts.Labels(name), map[string]string{labelCluster: clusterName(facts.Platform)})
	return []components.Leftover{
		{Kind: kinds.PersistentVolumeClaim, Labels: labels, Data: true},
		{Kind: kinds.Secret, Data: true, Labels: components.Merge(labels, map[string]string{
			labelComponentType: "certificate-authority", // CaReconciler, since 1.2 CaProvider: caLabels
		})},
	}
}

// Record implements components.WithRecord: Strimzi may have given the cluster its id, or more brokers, since the record was written.
func (component) Record(facts components.Facts) []components.Object {
	layout := previousLayout(facts)
	if layout == nil {
		return nil
	}
	record := newRecord(facts, *layout)
	if len(record) == 0 {
		return nil
	}
	return []components.Object{recordObject(facts.Platform, record)}
}

// Render implements components.Component.
func (component) Render(facts components.Facts) ([]components.Object, error) {
	in, err := newInputs(facts)
	if err != nil {
		return nil, err
	}
	var objects []components.Object
	if len(in.record) > 0 {
		objects = append(objects, recordObject(in.platform, in.record))
	}
	if in.passwordSecret != "" {
		objects = append(objects, passwordSecret(in))
	}
	if in.jmxConfigMap != "" {
		objects = append(objects, jmxRules(in))
	}
	for _, pool := range in.pools {
		objects = append(objects, nodePool(in, pool))
	}
	if in.restoredID != "" {
		objects = append(objects, clusterID(in))
	}
	if !in.withheld {
		objects = append(objects, cluster(in))
	}
	objects = append(objects, administrator(in))
	for _, c := range in.clients {
		objects = append(objects, client(in, c))
	}
	for _, t := range in.topics {
		objects = append(objects, topic(in, t))
	}
	return objects, nil
}

// The cluster has the platform's own name: Strimzi derives <cluster>-kafka-bootstrap, <cluster>-cluster-ca-cert and, with
// the name of the pool, the Pods from it, and a label value holds no more than 63 characters.
func clusterName(platform components.Platform) string { return platform.Name }

func adminName(platform components.Platform) string { return platform.Name + "-kafka-admin" }

// clientName is the account of another component.
func clientName(platform components.Platform, purpose string) string {
	return platform.Name + "-kafka-" + purpose
}

// Names of the node pools. They do not begin with the platform's name, because Strimzi puts that in front:
// <platform>-kafka-broker-0.
const (
	brokerPool     = "kafka-broker"
	controllerPool = "kafka-controller"
	combinedPool   = "kafka-combined"
)

// Labels and annotations of Strimzi, https://strimzi.io/docs/operators/latest/full/deploying.html.
const (
	labelCluster         = "strimzi.io/cluster"
	labelPool            = "strimzi.io/pool-name"
	labelComponentType   = "strimzi.io/component-type"
	annotationPause      = "strimzi.io/pause-reconciliation"
	annotationDigest     = "opendatahub.io/node-pool"
	annotationNextIDs    = "strimzi.io/next-node-ids"
	annotationNodePools  = "strimzi.io/node-pools"
	annotationKRaft      = "strimzi.io/kraft"
	listenerInternal     = "tls"
	listenerInternalPort = 9093
	listenerExternal     = "external"
	listenerExternalPort = 9094
	// listenerCertificate is for accounts of other components, where the other listeners take passwords.
	listenerCertificate     = "certificate"
	listenerCertificatePort = 9095
)
