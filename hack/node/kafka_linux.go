package node

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/hack/images"
	"opendatahub.io/operator/test/cluster"
)

// deployKafka deploys a Kafka of one Pod, which stays as long as the cluster.
func deployKafka(ctx context.Context, c *cluster.Cluster) error {
	kube, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return err
	}
	values := map[string]string{"Namespace": kafkaNamespace, "Image": images.KafkaName, "Address": kafkaAddress}
	if err := apply(ctx, kube, "kafka", values); err != nil {
		return err
	}
	return waitAvailable(ctx, c.Kubeconfig(), kafkaNamespace)
}
