// Command release builds what a version of the operator consists of, for each platform: a static program, its list of materials (SBOM), and one
// image for all platforms, with a statement of how it was built (provenance). The same sources give the same bytes, on any machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// options are the flags.
type options struct {
	root      string
	version   string
	folder    string
	platforms []string
	push      string
}

func main() {
	o := options{root: "."}
	platforms := "linux/amd64,linux/arm64"
	flag.StringVar(&o.version, "version", "0.1.0", "version of the operator")
	flag.StringVar(&o.folder, "out", filepath.Join("bin", "release"), "folder for what is built; what it held before is deleted")
	flag.StringVar(&platforms, "platforms", platforms, "what to build for, as os/architecture, separated by commas")
	flag.StringVar(&o.push, "push", "", "name with tag to push the image to, with the credentials that docker login or podman login wrote")
	flag.Parse()
	o.platforms = strings.Split(platforms, ",")

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	if flag.NArg() > 0 {
		return errors.New("usage: release [-version 0.1.0] [-out bin/release] [-platforms linux/amd64,linux/arm64] [-push registry.example.com/name:tag]")
	}
	from, err := readSource(ctx, o.root)
	if err != nil {
		return err
	}
	image, err := o.release(ctx, from)
	if err != nil {
		return err
	}
	fmt.Printf("%s  %s\n", filepath.Join(o.folder, imageFolder), image.Digest)
	if o.push == "" {
		return nil
	}
	if err := push(ctx, filepath.Join(o.folder, imageFolder), o.push, false); err != nil {
		return err
	}
	fmt.Printf("pushed %s@%s\n", o.push, image.Digest)
	return nil
}

// release builds everything into the folder, and returns the image.
func (o options) release(ctx context.Context, from source) (ocispec.Descriptor, error) {
	if err := os.RemoveAll(o.folder); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("emptying the folder: %w", err)
	}
	if err := os.MkdirAll(o.folder, 0o750); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("making the folder: %w", err)
	}
	var programs []program
	for _, platform := range o.platforms {
		built, err := o.build(ctx, platform)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		if err := o.listMaterials(ctx, &built); err != nil {
			return ocispec.Descriptor{}, err
		}
		fmt.Printf("%s  sha256:%s\n", built.file, built.digest)
		programs = append(programs, built)
	}
	return o.image(ctx, programs, from)
}
