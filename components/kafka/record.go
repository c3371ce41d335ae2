package kafka

import (
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// record is what must be known of a cluster to use its volumes again: the cluster id is written on every volume, so a
// cluster that takes them up must have it, and must have nodes of the same names. It is kept as data in a ConfigMap.
type record map[string]string

// Keys of the record.
const (
	recordClusterID         = "clusterId"
	recordControllerType    = "controllerType"
	recordBrokers           = "brokers"
	recordBrokerStorage     = "brokerStorage"
	recordControllers       = "controllers"
	recordControllerStorage = "controllerStorage"
)

func recordName(platform components.Platform) string { return platform.Name + "-kafka-record" }

// readRecord is the record as the cluster holds it, or nil.
func readRecord(facts components.Facts) record {
	object := facts.Live.Find(kinds.ConfigMap.GroupKind, recordName(facts.Platform))
	if object == nil {
		return nil
	}
	data, _, _ := unstructured.NestedStringMap(object.Object, "data")
	return data
}

// newRecord is what to remember of a cluster whose layout was accepted. It is the earlier record while nothing is known.
func newRecord(facts components.Facts, l layout) record {
	earlier := readRecord(facts)
	id, known := clusterIDOf(facts.Live, facts.Platform), earlier[recordClusterID]
	// A new id replaces the recorded one only once the cluster works with it: otherwise it may be one that does not fit
	// the volumes, and the record is the last place that knows theirs.
	if id == "" || liveLayout(facts.Live) == nil || known != "" && known != id && !works(facts.Live, facts.Platform) {
		return earlier
	}
	if pool := facts.Live.Find(NodePool.GroupKind, brokerPool); pool != nil {
		// Strimzi keeps brokers that hold partitions, whatever the spec says.
		l.brokers = max(l.brokers, actualNodes(pool))
	}
	r := record{
		recordClusterID:      id,
		recordControllerType: string(l.controllerType),
		recordBrokers:        strconv.Itoa(int(l.brokers)),
		recordBrokerStorage:  l.brokerStorage.String(),
		recordControllers:    strconv.Itoa(int(l.controllers)),
	}
	if l.controllerType == v1alpha1.KafkaControllersDedicated {
		r[recordControllerStorage] = l.controllerStorage.String()
	}
	return r
}

// layout is the recorded one, or nil. A corrupted record is ignored: an unknown type is no layout, and what is not a number
// is 0.
func (r record) layout() *layout {
	if !slices.Contains([]string{string(v1alpha1.KafkaControllersCombined), string(v1alpha1.KafkaControllersDedicated)}, r[recordControllerType]) {
		return nil
	}
	l := &layout{controllerType: v1alpha1.KafkaControllerType(r[recordControllerType])}
	brokers, _ := strconv.ParseInt(r[recordBrokers], 10, 32)
	controllers, _ := strconv.ParseInt(r[recordControllers], 10, 32)
	l.brokers, l.controllers = int32(brokers), int32(controllers)
	l.brokerStorage = quantity(resource.Quantity{}, r[recordBrokerStorage])
	l.controllerStorage = quantity(resource.Quantity{}, r[recordControllerStorage])
	return l
}

// lostClusterID is the recorded cluster id if the live cluster has none yet: the cluster is being recreated. A cluster
// that has an id knows better than the record, which somebody may have changed.
func lostClusterID(facts components.Facts) string {
	if clusterIDOf(facts.Live, facts.Platform) != "" {
		return ""
	}
	return readRecord(facts)[recordClusterID]
}

func works(live components.Objects, platform components.Platform) bool {
	kafka := live.Find(Kafka.GroupKind, clusterName(platform))
	return kafka != nil && clusterVerdict(kafka, true).State == components.Ready
}

// clusterIDOf is the id that Strimzi uses: that of the Kafka, or else that of the first pool that has one. The pools have it
// before there is a Pod, so before a volume is written; the Kafka only has what brokers answered.
// (NodePoolUtils.getClusterIdIfSet, KafkaReconciler.updateNodePoolStatuses and clusterId, Strimzi 0.46 to 1.2)
func clusterIDOf(live components.Objects, platform components.Platform) string {
	holders := []*unstructured.Unstructured{live.Find(Kafka.GroupKind, clusterName(platform))}
	for _, pool := range []string{combinedPool, brokerPool, controllerPool} {
		holders = append(holders, live.Find(NodePool.GroupKind, pool))
	}
	for _, holder := range holders {
		if holder == nil {
			continue
		}
		if id, _, _ := unstructured.NestedString(holder.Object, "status", "clusterId"); id != "" {
			return id
		}
	}
	return ""
}
