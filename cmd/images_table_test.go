package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/images"
)

// TestEveryImageCanBeReplaced: none of what the full sample renders, on Kubernetes and on OpenShift, escapes a table that moves every
// registry.
func TestEveryImageCanBeReplaced(t *testing.T) {
	for _, openShift := range []bool{false, true} {
		run := func(arguments ...string) string {
			t.Helper()
			arguments = append(arguments, "-f", "../config/samples/full.yaml")
			if openShift {
				arguments = append(arguments, "--openshift", "--ingress-domain", "apps.example.com")
			}
			var out, warnings bytes.Buffer
			command := New("test", catalog.All())
			command.SetArgs(arguments)
			command.SetOut(&out)
			command.SetErr(&warnings)
			if err := command.Execute(); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		table := filepath.Join(t.TempDir(), "images.yaml")
		registries := map[string]bool{}
		for line := range strings.Lines(run("images")) {
			registry, _, _ := strings.Cut(strings.TrimSpace(line), "/")
			registries[registry] = true
		}
		if len(registries) < 3 {
			t.Fatalf("the sample has images of %d registries only", len(registries))
		}
		content := "registries:\n"
		for registry := range registries {
			content += "  \"" + registry + "\": mirror.example.org/" + registry + "\n"
		}
		if err := os.WriteFile(table, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		rendered := run("render", "--images", table)
		count := 0
		for _, image := range images.Find(rendered) {
			count++
			if !strings.HasPrefix(image, "mirror.example.org/") {
				t.Errorf("openshift %t: %s escapes the table", openShift, image)
			}
		}
		if count < 10 {
			t.Errorf("only %d images are rendered", count)
		}
		for line := range strings.Lines(run("images", "--images", table)) {
			if !strings.HasPrefix(line, "mirror.example.org/") {
				t.Errorf("openshift %t: images prints %s", openShift, line)
			}
		}
	}
}

func TestATableThatCannotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "images.yaml")
	if err := os.WriteFile(file, []byte("images: {nginx: nginx}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{file: `"nginx" is no image`, filepath.Join(t.TempDir(), "nowhere"): "no such file"} {
		if _, err := readImages(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
