package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

// Deploy does what `make deploy` does, with an image that the nodes of the cluster have or can pull, and waits for the Pods. An empty
// kubeconfig stands for kubectl's own choice.
func Deploy(ctx context.Context, kubeconfig, root, config, image string) error {
	deploy := exec.CommandContext(ctx, "make", "-s", "-C", root, "deploy", "CONFIG="+config, "IMG="+image)
	deploy.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=")
	if kubeconfig != "" {
		deploy.Env = append(deploy.Env, "KUBECONFIG="+kubeconfig)
	}
	if output, err := deploy.CombinedOutput(); err != nil {
		return fmt.Errorf("make deploy: %w\n%s", err, output)
	}
	return waitAvailable(ctx, kubeconfig, harness.OperatorNamespace)
}

// waitAvailable waits for all Deployments of a namespace.
func waitAvailable(ctx context.Context, kubeconfig, namespace string) error {
	wait := exec.CommandContext(ctx, "kubectl", "--kubeconfig="+kubeconfig, "wait", "deployment", "--all",
		"--namespace="+namespace, "--for=condition=Available", "--timeout=90s")
	if output, err := wait.CombinedOutput(); err != nil {
		return fmt.Errorf("waiting for the Deployments of namespace %s: %w\n%s", namespace, err, output)
	}
	return nil
}

// AllowImages lets the platform of a namespace run images of the node's own in its servers, as an administrator does.
func AllowImages(ctx context.Context, c *cluster.Cluster, namespace string) error {
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
