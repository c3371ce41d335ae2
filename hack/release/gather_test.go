package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/google/go-cmp/cmp"
	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

// TestMustGather makes the image twice on one that a real registry has, as Docker writes them.
func TestMustGather(t *testing.T) {
	server := registryFor(t)
	base := strings.TrimPrefix(server.URL, "http://") + "/base/os:9"
	pushBase(t, base, "amd64", "arm64")
	built := func(architecture string) program {
		file := filepath.Join(t.TempDir(), "opendatahub")
		if err := os.WriteFile(file, []byte("program for "+architecture), 0o600); err != nil {
			t.Fatal(err)
		}
		return program{os: "linux", architecture: architecture, file: file}
	}
	programs := []program{built("amd64"), built("arm64")}
	from := source{commit: strings.Repeat("a", 40), time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	first := options{version: "1.2.3", folder: t.TempDir(), base: base}
	image, err := first.mustGather(t.Context(), programs, from)
	if err != nil {
		t.Fatal(err)
	}
	second := options{version: "1.2.3", folder: t.TempDir(), base: base}
	if _, err := second.mustGather(t.Context(), programs, from); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sums(t, first.folder), sums(t, second.folder)); diff != "" {
		t.Errorf("the same on the same base differs (-first +second):\n%s", diff)
	}

	name := strings.TrimPrefix(server.URL, "http://") + "/opendatahub/must-gather:v9"
	if err := push(t.Context(), filepath.Join(first.folder, mustGatherFolder), name); err != nil {
		t.Fatal(err)
	}
	repository, err := repository(name)
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := repository.Resolve(t.Context(), "v9")
	if err != nil || pulled.Digest != image.Digest {
		t.Fatalf("the tag is %s, want %s: %v", pulled.Digest, image.Digest, err)
	}
	index := fetch[ocispec.Index](t, repository, pulled)
	if index.Annotations[ocispec.AnnotationBaseImageName] != base || len(index.Manifests) != 2 {
		t.Errorf("the index is %+v", index)
	}
	for _, descriptor := range index.Manifests {
		manifest := fetch[ocispec.Manifest](t, repository, descriptor)
		config := fetch[ocispec.Image](t, repository, manifest.Config)
		if got := config.Config; !slices.Equal(got.Entrypoint, []string{"/usr/bin/gather"}) || got.Cmd != nil || !slices.Equal(got.Env, []string{"PATH=/usr/bin"}) ||
			got.Labels["of"] != "base" || got.Labels[ocispec.AnnotationTitle] != "Open Data Hub must-gather" {
			t.Errorf("the configuration is %+v", got)
		}
		var files []string
		for i, layer := range manifest.Layers {
			name, text := onlyFile(t, repository, layer, config.RootFS.DiffIDs[i])
			files = append(files, name+": "+text)
		}
		want := []string{"bin/bash: shell for " + config.Architecture, "usr/bin/gather: program for " + config.Architecture}
		if diff := cmp.Diff(want, files); diff != "" {
			t.Errorf("layers (-want +got):\n%s", diff)
		}
	}

	other := options{version: "1.2.3", folder: t.TempDir(), base: base}
	if _, err := other.mustGather(t.Context(), []program{built("s390x")}, from); err == nil || !strings.Contains(err.Error(), "has no image for linux/s390x") {
		t.Errorf("a platform that the base lacks: %v", err)
	}
	other.base = strings.TrimSuffix(base, ":9")
	if _, err := other.mustGather(t.Context(), programs, from); err == nil || !strings.Contains(err.Error(), "no tag") {
		t.Errorf("a base without a tag: %v", err)
	}
}

// registryFor is a registry in memory.
func registryFor(t *testing.T) *httptest.Server {
	t.Helper()
	config := &configuration.Configuration{Storage: configuration.Storage{"inmemory": configuration.Parameters{}}}
	config.Log.Level = "error"
	config.Log.AccessLog.Disabled = true
	server := httptest.NewServer(handlers.NewApp(context.Background(), config))
	t.Cleanup(server.Close)
	return server
}

// pushBase pushes an image with a shell for each architecture, in the format of Docker.
func pushBase(t *testing.T, name string, architectures ...string) {
	t.Helper()
	repository, err := repository(name)
	if err != nil {
		t.Fatal(err)
	}
	put := func(mediaType string, value any) ocispec.Descriptor {
		t.Helper()
		blob, ok := value.([]byte)
		if !ok {
			if blob, err = json.Marshal(value); err != nil {
				t.Fatal(err)
			}
		}
		descriptor := content.NewDescriptorFromBytes(mediaType, blob)
		if err := repository.Push(t.Context(), descriptor, bytes.NewReader(blob)); err != nil {
			t.Fatal(err)
		}
		return descriptor
	}
	list := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: "application/vnd.docker.distribution.manifest.list.v2+json"}
	for _, architecture := range architectures {
		var packed, small bytes.Buffer
		archive, text := tar.NewWriter(&packed), "shell for "+architecture
		compress := gzip.NewWriter(&small)
		for _, err := range []error{
			archive.WriteHeader(&tar.Header{Name: "bin/bash", Mode: 0o755, Size: int64(len(text))}),
			second(archive.Write([]byte(text))), archive.Close(), second(compress.Write(packed.Bytes())), compress.Close(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		platform := ocispec.Platform{OS: "linux", Architecture: architecture}
		config := put("application/vnd.docker.container.image.v1+json", ocispec.Image{
			Platform: platform,
			Config:   ocispec.ImageConfig{Cmd: []string{"/bin/bash"}, Env: []string{"PATH=/usr/bin"}, Labels: map[string]string{"of": "base"}},
			RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []godigest.Digest{godigest.FromBytes(packed.Bytes())}},
		})
		layer := put("application/vnd.docker.image.rootfs.diff.tar.gzip", small.Bytes())
		manifest := put("application/vnd.docker.distribution.manifest.v2+json", ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: "application/vnd.docker.distribution.manifest.v2+json",
			Config: config, Layers: []ocispec.Descriptor{layer},
		})
		manifest.Platform = &platform
		list.Manifests = append(list.Manifests, manifest)
	}
	if err := repository.Tag(t.Context(), put(list.MediaType, list), repository.Reference.Reference); err != nil {
		t.Fatal(err)
	}
}

func second(_ int, err error) error { return err }

// onlyFile is the name and the text of the file in a layer.
func onlyFile(t *testing.T, repository *remote.Repository, layer ocispec.Descriptor, diff godigest.Digest) (name, text string) {
	t.Helper()
	blob, err := content.FetchAll(t.Context(), repository, layer)
	if err != nil || layer.MediaType != ocispec.MediaTypeImageLayerGzip {
		t.Fatalf("a layer of type %s: %v", layer.MediaType, err)
	}
	compressed, err := gzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(compressed)
	if err != nil || godigest.FromBytes(plain) != diff {
		t.Fatalf("the layer is not what the configuration says: %v", err)
	}
	archive := tar.NewReader(bytes.NewReader(plain))
	header, err := archive.Next()
	if err != nil {
		t.Fatal(err)
	}
	read, err := io.ReadAll(archive)
	if err != nil || header.Mode != 0o755 {
		t.Fatalf("%s has mode %o: %v", header.Name, header.Mode, err)
	}
	return header.Name, string(read)
}
