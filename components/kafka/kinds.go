package kafka

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// Kinds of Strimzi. 1.0 and later serve v1 only; 0.49 to 0.51 serve both.
var (
	Kafka    = strimziKind("Kafka", "kafkas")
	NodePool = strimziKind("KafkaNodePool", "kafkanodepools")
	User     = strimziKind("KafkaUser", "kafkausers")
	Topic    = strimziKind("KafkaTopic", "kafkatopics")
)

func strimziKind(kind, plural string) kinds.Kind {
	return kinds.Kind{
		GroupKind: schema.GroupKind{Group: "kafka.strimzi.io", Kind: kind},
		Versions:  []string{"v1", "v1beta2"}, Plural: plural, Provider: "Strimzi",
	}
}

// Uses implements components.WithUses.
func (component) Uses() []components.Use {
	return []components.Use{
		// The cluster id of kept volumes is restored, see components.Object.Subresource.
		{Kind: NodePool, Subresources: map[string][]string{"status": {"patch"}}},
		// Deleting a topic that Strimzi manages deletes its messages.
		{Kind: Topic, Release: map[string]string{"strimzi.io/managed": "false"}},
	}
}
