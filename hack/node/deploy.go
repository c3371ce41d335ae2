package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"

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
