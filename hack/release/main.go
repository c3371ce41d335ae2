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
	// base is the image on which that for must-gather is made, and pushGather where it goes. Both may be empty.
	base, pushGather string
}

func main() {
	o := options{root: "."}
	platforms := "linux/amd64,linux/arm64"
	flag.StringVar(&o.version, "version", "0.1.0", "version of the operator")
	flag.StringVar(&o.folder, "out", filepath.Join("bin", "release"), "folder for what is built; what it held before is deleted")
	flag.StringVar(&platforms, "platforms", platforms, "what to build for, as os/architecture, separated by commas")
	flag.StringVar(&o.push, "push", "", "name with tag to push the image to, with the credentials that docker login or podman login wrote")
	flag.StringVar(&o.base, "must-gather-base", "", "image with a shell and tar, as in registry.access.redhat.com/ubi9/ubi@sha256:…, on which that for oc adm must-gather is made; none is made without it")
	flag.StringVar(&o.pushGather, "push-must-gather", "", "name with tag to push that one to")
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
		return errors.New("usage: release [-version 0.1.0] [-out bin/release] [-platforms linux/amd64,linux/arm64] [-push registry.example.com/name:tag] [-must-gather-base IMAGE [-push-must-gather registry.example.com/name:tag]]")
	}
	if o.pushGather != "" && o.base == "" {
		return errors.New("-push-must-gather goes with -must-gather-base")
	}
	for _, name := range []string{o.push, o.pushGather} {
		if name == "" {
			continue
		}
		if err := mayPush(ctx, name); err != nil {
			return err
		}
	}
	from, err := readSource(ctx, o.root)
	if err != nil {
		return err
	}
	programs, image, err := o.release(ctx, from)
	if err != nil {
		return err
	}
	if err := o.announce(ctx, imageFolder, image, o.push); err != nil || o.base == "" {
		return err
	}
	if image, err = o.mustGather(ctx, programs, from); err != nil {
		return err
	}
	return o.announce(ctx, mustGatherFolder, image, o.pushGather)
}

// announce prints what an image is, and pushes it if it has a name.
func (o options) announce(ctx context.Context, folder string, image ocispec.Descriptor, name string) error {
	fmt.Printf("%s  %s\n", filepath.Join(o.folder, folder), image.Digest)
	if name == "" {
		return nil
	}
	if err := push(ctx, filepath.Join(o.folder, folder), name); err != nil {
		return err
	}
	fmt.Printf("pushed %s@%s\n", name, image.Digest)
	return nil
}

// release builds the programs and their image into the folder.
func (o options) release(ctx context.Context, from source) ([]program, ocispec.Descriptor, error) {
	if err := os.RemoveAll(o.folder); err != nil {
		return nil, ocispec.Descriptor{}, fmt.Errorf("emptying the folder: %w", err)
	}
	if err := os.MkdirAll(o.folder, 0o750); err != nil {
		return nil, ocispec.Descriptor{}, fmt.Errorf("making the folder: %w", err)
	}
	var programs []program
	for _, platform := range o.platforms {
		built, err := o.build(ctx, platform)
		if err != nil {
			return nil, ocispec.Descriptor{}, err
		}
		if err := o.listMaterials(ctx, &built); err != nil {
			return nil, ocispec.Descriptor{}, err
		}
		fmt.Printf("%s  sha256:%s\n", built.file, built.digest)
		programs = append(programs, built)
	}
	image, err := o.image(ctx, programs, from)
	return programs, image, err
}
