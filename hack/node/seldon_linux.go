package node

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components/seldon"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

//go:embed stages
var stages embed.FS

// DeploySeldon has the cluster serve Seldon Core's kinds, and plays its operator, which is in no registry: it makes the Deployments and
// Services of models, whose Pods really run. Other than on a node without Pods, a model is available when its Deployment is.
func DeploySeldon(ctx context.Context, c *cluster.Cluster) error {
	kube, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return err
	}
	atOnce := &unstructured.Unstructured{}
	atOnce.SetGroupVersionKind(schema.GroupVersionKind{Group: "kwok.x-k8s.io", Version: "v1alpha1", Kind: "Stage"})
	atOnce.SetName("seldondeployment-available")
	if err := client.IgnoreNotFound(kube.Delete(ctx, atOnce)); err != nil {
		return fmt.Errorf("having the state of SeldonDeployments follow their Pods: %w", err)
	}
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	env := harness.Env{Cluster: c, Admin: kube, Root: root, Kinds: seldon.New().Kinds()}
	if err := env.InstallThirdParty(ctx); err != nil {
		return err
	}
	files, err := fs.Sub(stages, "stages/seldon")
	if err != nil {
		return err
	}
	return c.ApplyStages(ctx, "seldon-core-on-a-node", files)
}
