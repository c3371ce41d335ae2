package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"opendatahub.io/operator/hack/images"
	"opendatahub.io/operator/test/cluster"
)

// DeployArgoKinds has the cluster serve the kinds of Argo Workflows, from the module that its images are made of.
func DeployArgoKinds(ctx context.Context, c *cluster.Cluster) error {
	output, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", images.ArgoModule).Output()
	if err != nil {
		return fmt.Errorf("fetching %s: %w: %s", images.ArgoModule, err, output)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(output, &module); err != nil {
		return fmt.Errorf("fetching %s: %w", images.ArgoModule, err)
	}
	// Those without schemas, which the API server takes.
	return c.InstallCRDFiles(ctx, os.DirFS(filepath.Join(module.Dir, "manifests", "base", "crds", "minimal")))
}
