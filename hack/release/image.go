package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
)

const (
	// imageFolder has the image in OCI's layout, with all platforms.
	imageFolder = "image"
	// user is nobody in particular, as in distroless images. OpenShift replaces it.
	user = "65532:65532"

	typeMaterials  = "application/vnd.cyclonedx+json"
	typeProvenance = "application/vnd.in-toto+json"
)

// image writes one image for all programs, to which their SBOMs and the statement of provenance refer.
func (o options) image(ctx context.Context, programs []program, from source) (ocispec.Descriptor, error) {
	store, err := oci.NewWithContext(ctx, filepath.Join(o.folder, imageFolder))
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("making the image's folder: %w", err)
	}
	w := writer{store: store, title: "Open Data Hub operator", version: o.version, source: from}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Annotations: w.annotations()}
	for _, built := range programs {
		manifest, err := w.platform(ctx, built)
		if err != nil {
			return ocispec.Descriptor{}, fmt.Errorf("making the image for %s: %w", built.architecture, err)
		}
		index.Manifests = append(index.Manifests, manifest)
	}
	root, err := w.pushJSON(ctx, ocispec.MediaTypeImageIndex, index)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := store.Tag(ctx, root, "v"+o.version); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("tagging the image: %w", err)
	}
	statement, err := o.provenance(programs, root, from)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := os.WriteFile(filepath.Join(o.folder, "provenance.json"), statement, 0o600); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("writing the provenance: %w", err)
	}
	if err := w.attach(ctx, root, typeProvenance, statement); err != nil {
		return ocispec.Descriptor{}, err
	}
	return root, sortIndex(filepath.Join(o.folder, imageFolder, ocispec.ImageIndexFile))
}

// sortIndex puts the list of what the store holds in order: the store writes it as a map comes.
func sortIndex(file string) error {
	written, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the list of the image's parts: %w", err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(written, &index); err != nil {
		return fmt.Errorf("reading the list of the image's parts: %w", err)
	}
	slices.SortFunc(index.Manifests, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	if written, err = json.Marshal(index); err != nil {
		return fmt.Errorf("writing the list of the image's parts: %w", err)
	}
	if err := os.WriteFile(file, written, 0o600); err != nil {
		return fmt.Errorf("writing the list of the image's parts: %w", err)
	}
	return nil
}

// writer puts parts of an image into its store.
type writer struct {
	store   *oci.Store
	title   string
	version string
	source  source
}

func (w writer) annotations() map[string]string {
	return map[string]string{
		ocispec.AnnotationTitle:    w.title,
		ocispec.AnnotationLicenses: "Apache-2.0",
		ocispec.AnnotationVersion:  w.version,
		ocispec.AnnotationRevision: w.source.commit,
		ocispec.AnnotationCreated:  w.source.time.Format(time.RFC3339),
	}
}

func (w writer) push(ctx context.Context, mediaType string, blob []byte) (ocispec.Descriptor, error) {
	descriptor := content.NewDescriptorFromBytes(mediaType, blob)
	if exists, err := w.store.Exists(ctx, descriptor); exists || err != nil {
		return descriptor, err
	}
	if err := w.store.Push(ctx, descriptor, bytes.NewReader(blob)); err != nil {
		return descriptor, fmt.Errorf("writing the image: %w", err)
	}
	return descriptor, nil
}

func (w writer) pushJSON(ctx context.Context, mediaType string, value any) (ocispec.Descriptor, error) {
	blob, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("writing the image: %w", err)
	}
	return w.push(ctx, mediaType, blob)
}

// platform writes the image of one platform, and its SBOM, which refers to it.
func (w writer) platform(ctx context.Context, built program) (ocispec.Descriptor, error) {
	executable, err := os.ReadFile(built.file)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("reading the program: %w", err)
	}
	// The program, a folder for temporary files, and the name of its user are all. Certificates of public authorities are in the program.
	layer, diff, err := w.layer(ctx,
		entry{"etc/", 0o755, nil},
		entry{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/\nnonroot:x:65532:65532:nonroot:/tmp:/\n")},
		entry{"opendatahub", 0o755, executable},
		entry{"tmp/", 0o1777, nil},
	)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	platform := ocispec.Platform{OS: built.os, Architecture: built.architecture}
	config, err := w.pushJSON(ctx, ocispec.MediaTypeImageConfig, ocispec.Image{
		Created: &w.source.time, Platform: platform,
		Config: ocispec.ImageConfig{User: user, Entrypoint: []string{"/opendatahub"}, Labels: w.annotations()},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []godigest.Digest{diff}},
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	manifest, err := w.pushJSON(ctx, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer}, Annotations: w.annotations(),
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	materials, err := os.ReadFile(built.materials)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("reading the SBOM: %w", err)
	}
	if err := w.attach(ctx, manifest, typeMaterials, materials); err != nil {
		return ocispec.Descriptor{}, err
	}
	manifest.Platform = &platform
	return manifest, nil
}

// entry is a file of a layer, or a folder, whose name ends with a slash.
type entry struct {
	name    string
	mode    int64
	content []byte
}

// layer writes a layer with these files. diff is the digest of its content before compression.
func (w writer) layer(ctx context.Context, entries ...entry) (layer ocispec.Descriptor, diff godigest.Digest, err error) {
	var packed, small bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, entry := range entries {
		header := &tar.Header{Name: entry.name, Mode: entry.mode, Size: int64(len(entry.content)), ModTime: w.source.time, Typeflag: tar.TypeReg}
		if strings.HasSuffix(entry.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return layer, "", fmt.Errorf("packing %s: %w", entry.name, err)
		}
		if _, err := archive.Write(entry.content); err != nil {
			return layer, "", fmt.Errorf("packing %s: %w", entry.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return layer, "", fmt.Errorf("packing the layer: %w", err)
	}
	compress := gzip.NewWriter(&small)
	if _, err := compress.Write(packed.Bytes()); err != nil {
		return layer, "", fmt.Errorf("compressing the layer: %w", err)
	}
	if err := compress.Close(); err != nil {
		return layer, "", fmt.Errorf("compressing the layer: %w", err)
	}
	layer, err = w.push(ctx, ocispec.MediaTypeImageLayerGzip, small.Bytes())
	return layer, godigest.FromBytes(packed.Bytes()), err
}

// attach writes a document that refers to what it is about, by which registries find it.
func (w writer) attach(ctx context.Context, subject ocispec.Descriptor, mediaType string, document []byte) error {
	blob, err := w.push(ctx, mediaType, document)
	if err != nil {
		return err
	}
	empty, err := w.push(ctx, ocispec.MediaTypeEmptyJSON, []byte("{}"))
	if err != nil {
		return err
	}
	subject.Platform = nil
	_, err = w.pushJSON(ctx, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: mediaType,
		Config: empty, Layers: []ocispec.Descriptor{blob}, Subject: &subject,
		Annotations: map[string]string{ocispec.AnnotationCreated: w.source.time.Format(time.RFC3339)},
	})
	return err
}

// digest of content, by algorithm.
type digest map[string]string

// provenance is a statement of in-toto, with the predicate of SLSA: what was built, of which commit, and with which command. Who signs it
// vouches for it: nobody does here.
func (o options) provenance(programs []program, image ocispec.Descriptor, from source) ([]byte, error) {
	type resource struct {
		Name   string `json:"name,omitempty"`
		URI    string `json:"uri,omitempty"`
		Digest digest `json:"digest,omitempty"`
	}
	subjects := []resource{{Name: "image", Digest: digest{"sha256": image.Digest.Encoded()}}}
	for _, built := range programs {
		subjects = append(subjects, resource{Name: filepath.Base(built.file), Digest: digest{"sha256": built.digest}})
		sum, err := sumOf(built.materials)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, resource{Name: filepath.Base(built.materials), Digest: digest{"sha256": sum}})
	}
	info, err := buildinfo.ReadFile(programs[0].file)
	if err != nil {
		return nil, fmt.Errorf("reading how %s was built: %w", programs[0].file, err)
	}
	sources := resource{Name: "git", Digest: digest{"gitCommit": from.commit}}
	dependencies := []resource{sources, {Name: "go", URI: "pkg:generic/go@" + strings.TrimPrefix(info.GoVersion, "go")}}
	for _, module := range info.Deps {
		used := module
		if module.Replace != nil {
			used = module.Replace
		}
		dependencies = append(dependencies, resource{URI: "pkg:golang/" + used.Path + "@" + used.Version, Digest: digest{"dirHash": cmp.Or(used.Sum, "unknown")}})
	}
	statement, err := json.MarshalIndent(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       subjects,
		"predicateType": "https://slsa.dev/provenance/v1",
		"predicate": map[string]any{
			"buildDefinition": map[string]any{
				"buildType":            "https://opendatahub.io/operator/release/v1",
				"externalParameters":   map[string]any{"version": o.version, "platforms": o.platforms, "changedSources": from.changed},
				"internalParameters":   map[string]any{"goFlags": o.goFlags(), "environment": goEnvironment},
				"resolvedDependencies": dependencies,
			},
			"runDetails": map[string]any{"builder": map[string]any{"id": "https://opendatahub.io/operator/hack/release"}},
		},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the provenance: %w", err)
	}
	return append(statement, '\n'), nil
}
