package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"opendatahub.io/operator/hack/images"
)

// imagesFile says which images the node has.
const imagesFile = "images"

// importNew loads what has been built since the node started.
func (n *node) importNew(ctx context.Context) error {
	known, err := os.ReadFile(n.path(imagesFile))
	if err != nil {
		return err
	}
	if string(known) == n.images.Store {
		return n.importImages(ctx)
	}
	if err := n.importImages(ctx, n.images.Images...); err != nil {
		return err
	}
	return os.WriteFile(n.path(imagesFile), []byte(n.images.Store), 0o600)
}

// importImages loads images into the runtime, and with them those of the programs that are built here.
func (n *node) importImages(ctx context.Context, all ...images.Image) error {
	pause := n.path("pause")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w", "-o", pause, "./hack/images/pause")
	build.Dir, build.Env = n.options.Root, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the first process of Pods: %w\n%s", err, output)
	}
	type program struct {
		name, user, path, source string
	}
	for _, p := range []program{
		{images.PauseName, "65532:65532", "pause", pause},
		{n.dnsImage(), "65532:65532", "coredns", n.binaries.DNS},
		{n.options.OperatorImage, "65532:65532", "opendatahub", n.options.Operator},
	} {
		if p.name == "" {
			continue // a cluster without the operator
		}
		image, err := images.Program(n.MachineDir(), p.name, p.user, []string{"/" + p.path}, images.File{Path: p.path, Source: p.source, Mode: 0o755})
		if err != nil {
			return err
		}
		all = append(all, image)
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(images.Archive(writer, all)) }()
	started := time.Now()
	err := n.ctr(ctx, reader, "images", "import", "-")
	_ = reader.Close() // ends the writer when ctr ended early
	if err != nil {
		return fmt.Errorf("importing images: %w", err)
	}
	_, _ = fmt.Fprintf(n.options.Log, "imported %d images in %s\n", len(all), time.Since(started).Round(100*time.Millisecond))
	return nil
}

// ctr runs containerd's own client.
func (n *node) ctr(ctx context.Context, input io.Reader, args ...string) error {
	path, all := n.enter(append([]string{"ctr", "--namespace", "k8s.io"}, args...)...)
	command := exec.CommandContext(ctx, path, all...)
	command.Stdin = input
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("ctr %s: %w: %s", args[0], err, bytes.TrimSpace(output))
	}
	return nil
}
