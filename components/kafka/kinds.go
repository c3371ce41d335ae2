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
		{Kind: NodePool, Subresources: map[string][]string{"status": {"patch"}},
			// Under deletionPolicy Delete the pools own the volumes, and the Kafka the certificate authorities.
			Release: `[{"op":"add","path":"/spec/storage/volumes/0/deleteClaim","value":false}]`},
		{Kind: Kafka, Release: `[{"op":"add","path":"/spec/clusterCa/generateSecretOwnerReference","value":false},` +
			`{"op":"add","path":"/spec/clientsCa/generateSecretOwnerReference","value":false}]`},
		// Deleting a topic that Strimzi manages deletes its messages.
		{Kind: Topic, Release: `[{"op":"add","path":"/metadata/annotations/strimzi.io~1managed","value":"false"}]`},
	}
}
