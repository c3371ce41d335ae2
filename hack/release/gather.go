package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"
)

// mustGatherFolder has the image that oc adm must-gather starts, in OCI's layout, with all platforms.
const mustGatherFolder = "must-gather"

// mustGather writes the image that oc adm must-gather starts: the programs as /usr/bin/gather, on top of another image. oc runs it with a shell,
// and fetches the result with tar, and the operator's own image has neither. The same base gives the same bytes.
func (o options) mustGather(ctx context.Context, programs []program, from source) (ocispec.Descriptor, error) {
	failed := func(err error) (ocispec.Descriptor, error) {
		return ocispec.Descriptor{}, fmt.Errorf("making the image for must-gather on %s: %w", o.base, err)
	}
	base, err := repository(o.base)
	if err != nil {
		return failed(err)
	}
	root, err := base.Resolve(ctx, base.Reference.Reference)
	if err != nil {
		return failed(err)
	}
	var below ocispec.Index
	if err := read(ctx, base, root, &below); err != nil {
		return failed(err)
	}
	store, err := oci.NewWithContext(ctx, filepath.Join(o.folder, mustGatherFolder))
	if err != nil {
		return failed(err)
	}
	w := writer{store: store, title: "Open Data Hub must-gather", version: o.version, source: from}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Annotations: w.annotations()}
	index.Annotations[ocispec.AnnotationBaseImageName] = o.base
	index.Annotations[ocispec.AnnotationBaseImageDigest] = root.Digest.String()
	for _, built := range programs {
		manifest, err := w.onTop(ctx, base, below, built)
		if err != nil {
			return failed(err)
		}
		index.Manifests = append(index.Manifests, manifest)
	}
	made, err := w.pushJSON(ctx, ocispec.MediaTypeImageIndex, index)
	if err != nil {
		return failed(err)
	}
	if err := store.Tag(ctx, made, "v"+o.version); err != nil {
		return failed(err)
	}
	return made, sortIndex(filepath.Join(o.folder, mustGatherFolder, ocispec.ImageIndexFile))
}

// onTop writes the image of one platform.
func (w writer) onTop(ctx context.Context, base *remote.Repository, below ocispec.Index, built program) (ocispec.Descriptor, error) {
	i := slices.IndexFunc(below.Manifests, func(d ocispec.Descriptor) bool {
		return d.Platform != nil && d.Platform.OS == built.os && d.Platform.Architecture == built.architecture
	})
	if i < 0 {
		return ocispec.Descriptor{}, fmt.Errorf("it has no image for %s/%s", built.os, built.architecture)
	}
	var manifest ocispec.Manifest
	if err := read(ctx, base, below.Manifests[i], &manifest); err != nil {
		return ocispec.Descriptor{}, err
	}
	var config ocispec.Image
	if err := read(ctx, base, manifest.Config, &config); err != nil {
		return ocispec.Descriptor{}, err
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return ocispec.Descriptor{}, errors.New("its manifest and its configuration have different layers")
	}
	for i := range manifest.Layers {
		layer := &manifest.Layers[i]
		if err := w.take(ctx, base, *layer); err != nil {
			return ocispec.Descriptor{}, err
		}
		if strings.HasPrefix(layer.MediaType, "application/vnd.docker.image.rootfs.diff.tar") { // the same bytes by another name
			layer.MediaType = ocispec.MediaTypeImageLayerGzip
		}
	}
	executable, err := os.ReadFile(built.file)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("reading the program: %w", err)
	}
	layer, diff, err := w.layer(ctx, entry{"usr/bin/gather", 0o755, executable})
	if err != nil {
		return ocispec.Descriptor{}, err
	}

	config.Created, config.Platform = &w.source.time, ocispec.Platform{OS: built.os, Architecture: built.architecture}
	config.Config.Entrypoint, config.Config.Cmd = []string{"/usr/bin/gather"}, nil
	if config.Config.Labels == nil {
		config.Config.Labels = map[string]string{}
	}
	maps.Copy(config.Config.Labels, w.annotations())
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diff)
	config.History = append(config.History, ocispec.History{Created: &w.source.time, CreatedBy: "hack/release: /usr/bin/gather"})
	settings, err := w.pushJSON(ctx, ocispec.MediaTypeImageConfig, config)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	written, err := w.pushJSON(ctx, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: settings, Layers: append(manifest.Layers, layer), Annotations: w.annotations(),
	})
	written.Platform = &config.Platform
	return written, err
}

// take copies a blob of the base.
func (w writer) take(ctx context.Context, base *remote.Repository, blob ocispec.Descriptor) error {
	if exists, err := w.store.Exists(ctx, blob); exists || err != nil {
		return err
	}
	stream, err := base.Blobs().Fetch(ctx, blob)
	if err != nil {
		return err
	}
	defer stream.Close() //nolint:errcheck // only read
	return w.store.Push(ctx, blob, stream)
}

// read decodes what a registry has.
func read(ctx context.Context, from *remote.Repository, of ocispec.Descriptor, into any) error {
	text, err := content.FetchAll(ctx, from, of)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
