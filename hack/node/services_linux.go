package node

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/hack/images"
	"opendatahub.io/operator/test/cluster"
)

// DeployServices deploys what a platform uses of the node's own, all at the same time, and waits for it. The platform's namespace must exist.
func DeployServices(ctx context.Context, c *cluster.Cluster, hub *v1alpha1.OpenDataHub) error {
	group, ctx := errgroup.WithContext(ctx)
	if external := hub.Spec.ObjectStorage.External; external != nil && external.Endpoint == s3Endpoint {
		group.Go(func() error { return deployS3(ctx, c, hub.Namespace, "lake", "experiments", "models", "pipelines") })
	}
	if database := hub.Spec.Database; database != nil && database.External.Host == postgresHost {
		group.Go(func() error { return deployPostgreSQL(ctx, c, hub.Namespace, "mlflow") })
	}
	// The history server has an image of the node's own.
	if spark := hub.Spec.Components.Spark; spark != nil && spark.HistoryServer != nil && spark.HistoryServer.Image == images.TeamName {
		group.Go(func() error { return allowImages(ctx, c, hub.Namespace) })
	}
	if monitoring := hub.Spec.Components.Monitoring; monitoring != nil && slices.ContainsFunc(monitoring.Alertmanager.Receivers, isOurReceiver) {
		group.Go(func() error { return deployMonitoring(ctx, c, hub.Namespace) })
	}
	if jupyter := hub.Spec.Components.JupyterHub; jupyter != nil && slices.ContainsFunc(jupyter.Reachable, isOurKafka) {
		group.Go(func() error { return deployKafka(ctx, c) })
	}
	return group.Wait()
}

func isOurReceiver(receiver v1alpha1.AlertReceiver) bool {
	return receiver.SecretRef.Name == Receiver
}

func isOurKafka(destination v1alpha1.NotebookDestination) bool {
	return fmt.Sprintf("%s:%d", destination.Host, destination.Port) == kafkaAddress
}

// allowImages lets the platform of a namespace run images of the node's own in its servers, as an administrator does.
func allowImages(ctx context.Context, c *cluster.Cluster, namespace string) error {
	kube, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return err
	}
	mark := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:"true"}}}`, components.LabelAllowCode))
	if err := kube.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, mark); err != nil {
		return fmt.Errorf("marking namespace %s: %w", namespace, err)
	}
	return nil
}
