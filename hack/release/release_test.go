package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory" // the driver of the registry
	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

const root = "../.."

// TestRelease builds twice, the second time from a copy in another folder, and expects the same bytes. What was compiled is taken from Go's
// cache the second time, which knows by the contents whether it may. It compiles everything for two platforms, which would slow the suites
// beside it: make check-release runs it by itself.
func TestRelease(t *testing.T) {
	if os.Getenv("OPENDATAHUB_TEST_RELEASE") == "" {
		t.Skip("builds for two platforms: make check-release runs it")
	}
	from := source{commit: strings.Repeat("a", 40), time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	platforms := []string{"linux/amd64", "linux/arm64"}
	first := options{root: root, version: "1.2.3", folder: t.TempDir(), platforms: platforms}
	_, image, err := first.release(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	second := options{root: copied(t), version: "1.2.3", folder: t.TempDir(), platforms: platforms}
	if _, _, err := second.release(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sums(t, first.folder), sums(t, second.folder)); diff != "" {
		t.Errorf("two builds of the same sources differ (-first +second):\n%s", diff)
	}

	t.Run("materials", func(t *testing.T) { checkMaterials(t, first.folder) })
	t.Run("provenance", func(t *testing.T) { checkProvenance(t, first.folder, image) })
	t.Run("registry", func(t *testing.T) { checkRegistry(t, first.folder, image) })
}

// copied is a copy of what is built, and of how.
func copied(t *testing.T) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}", ".")
	list.Dir = root
	output, err := list.Output()
	if err != nil {
		t.Fatalf("listing the packages: %v", err)
	}
	from, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, file := range []string{"go.mod", "go.sum", "hack/go-program.sh"} {
		copyFile(t, filepath.Join(from, file), filepath.Join(folder, file))
	}
	for _, source := range strings.Fields(string(output)) {
		err := filepath.WalkDir(source, func(file string, entry fs.DirEntry, err error) error {
			name := entry.Name()
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (source == from && file != from || name == "testdata" || strings.HasPrefix(name, ".")):
				return fs.SkipDir
			case entry.IsDir() || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			relative, err := filepath.Rel(from, file)
			if err != nil {
				return err
			}
			copyFile(t, file, filepath.Join(folder, relative))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, info.Mode()); err != nil {
		t.Fatal(err)
	}
}

func sums(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, file)
		if err != nil {
			return err
		}
		found[name], err = sumOf(file)
		return err
	})
	if err != nil || len(found) < 10 {
		t.Fatalf("%d files in %s: %v", len(found), folder, err)
	}
	return found
}

// checkMaterials compares the SBOM with what the Go toolchain wrote into the program.
func checkMaterials(t *testing.T, folder string) {
	t.Helper()
	file := filepath.Join(folder, "opendatahub-linux-arm64")
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		BOMFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(content, &list); err != nil {
		t.Fatal(err)
	}
	if list.BOMFormat != "CycloneDX" || list.Metadata.Component.Name != info.Main.Path || list.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("the SBOM is of %+v", list.Metadata)
	}
	want, got := []string{"std " + info.GoVersion}, []string{}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		want = append(want, module.Path+" "+module.Version)
	}
	for _, component := range list.Components {
		got = append(got, component.Name+" "+component.Version)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules (-in the program +in the SBOM):\n%s", diff)
	}
}

func checkProvenance(t *testing.T, folder string, image ocispec.Descriptor) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "provenance.json"))
	if err != nil {
		t.Fatal(err)
	}
	var statement struct {
		Subject []struct {
			Name   string
			Digest map[string]string
		}
	}
	if err := json.Unmarshal(content, &statement); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, subject := range statement.Subject {
		got[subject.Name] = subject.Digest["sha256"]
	}
	want := map[string]string{"image": image.Digest.Encoded()}
	for name, sum := range sums(t, folder) {
		if strings.HasPrefix(name, "opendatahub-") {
			want[name] = sum
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subjects (-files +statement):\n%s", diff)
	}
}

// checkRegistry pushes to a real registry, and looks at what a cluster would pull from there.
func checkRegistry(t *testing.T, folder string, image ocispec.Descriptor) {
	t.Helper()
	server := registryFor(t)
	name := strings.TrimPrefix(server.URL, "http://") + "/opendatahub/operator"
	if err := push(t.Context(), filepath.Join(folder, imageFolder), name); err == nil {
		t.Error("a name without a tag was accepted")
	}
	if err := push(t.Context(), filepath.Join(folder, imageFolder), name+":v9"); err != nil {
		t.Fatal(err)
	}
	repository, err := remote.NewRepository(name)
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = true
	pulled, err := repository.Resolve(t.Context(), "v9")
	if err != nil || pulled.Digest != image.Digest {
		t.Fatalf("the tag is %s, want %s: %v", pulled.Digest, image.Digest, err)
	}
	index := fetch[ocispec.Index](t, repository, pulled)
	referrers := types(t, repository, pulled)
	var platforms []string
	for _, descriptor := range index.Manifests {
		platforms = append(platforms, descriptor.Platform.OS+"/"+descriptor.Platform.Architecture)
		referrers = append(referrers, types(t, repository, descriptor)...)
		manifest := fetch[ocispec.Manifest](t, repository, descriptor)
		settings := fetch[ocispec.Image](t, repository, manifest.Config)
		if settings.Config.User != "65532:65532" || !slices.Equal(settings.Config.Entrypoint, []string{"/opendatahub"}) || settings.Architecture != descriptor.Platform.Architecture {
			t.Errorf("the image for %s has the configuration %+v", settings.Architecture, settings.Config)
		}
		layer, err := content.FetchAll(t.Context(), repository, manifest.Layers[0])
		if err != nil {
			t.Fatal(err)
		}
		plain, err := gzip.NewReader(bytes.NewReader(layer))
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		for archive := tar.NewReader(plain); ; {
			header, err := archive.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, header.Name)
		}
		if diff := cmp.Diff([]string{"etc/", "etc/passwd", "opendatahub", "tmp/"}, files); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{typeProvenance, typeMaterials, typeMaterials}, referrers); diff != "" {
		t.Errorf("what refers to the image:\n%s", diff)
	}
}

func types(t *testing.T, repository *remote.Repository, subject ocispec.Descriptor) []string {
	t.Helper()
	var found []string
	err := repository.Referrers(t.Context(), subject, "", func(referrers []ocispec.Descriptor) error {
		for _, referrer := range referrers {
			found = append(found, referrer.ArtifactType)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func fetch[T any](t *testing.T, repository *remote.Repository, descriptor ocispec.Descriptor) T {
	t.Helper()
	var value T
	blob, err := content.FetchAll(t.Context(), repository, descriptor)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(blob, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
