package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/config"
	"opendatahub.io/operator/setup"
)

// TestRenderIsWhatTheFoldersHold reads the folders without kustomize.
func TestRenderIsWhatTheFoldersHold(t *testing.T) {
	base := []string{"crd/*.yaml", "rbac/*.yaml", "rbac/components/*.yaml", "admission/*.yaml", "manager/*.yaml"}
	tests := map[string]struct {
		options config.Options
		folders []string
		without []string
	}{
		"by default":           {options: config.Options{Installer: true}, folders: append(base[:5:5], "installer/*.yaml")},
		"without installer":    {folders: base},
		"in the whole cluster": {options: config.Options{Installer: true, ClusterWide: true}, folders: append(base[:5:5], "installer/*.yaml", "cluster-wide/*.yaml")},
		"in one namespace": {
			options: config.Options{WatchNamespaces: []string{"opendatahub"}},
			folders: append(base[:5:5], "namespaced/*.yaml"), without: []string{"ClusterRoleBinding /opendatahub-watch"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := config.Render(test.options)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]*unstructured.Unstructured{}
			for _, folder := range test.folders {
				maps.Copy(want, read(t, folder))
			}
			for _, name := range test.without {
				if want[name] == nil {
					t.Errorf("%s is not in the folders", name)
				}
				delete(want, name)
			}
			for _, object := range got {
				name := identity(object)
				if want[name] == nil {
					t.Errorf("%s is too much", name)
					continue
				}
				if diff := cmp.Diff(want[name].Object, object.Object); diff != "" && object.GetKind() != "Deployment" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
				delete(want, name)
			}
			if len(want) > 0 {
				t.Errorf("missing: %v", slices.Sorted(maps.Keys(want)))
			}
		})
	}
}

func read(t *testing.T, pattern string) map[string]*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	objects := map[string]*unstructured.Unstructured{}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq("\n"+string(content), "\n---") {
			json, err := yaml.YAMLToJSON([]byte(document))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			object := &unstructured.Unstructured{}
			if string(json) == "null" {
				continue
			}
			if err := object.UnmarshalJSON(json); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			objects[identity(object)] = object
		}
	}
	return objects
}

func identity(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}

// TestAnotherPlace: nothing is left of the namespace and the image that the manifests name.
func TestAnotherPlace(t *testing.T) {
	const image = "registry.example.com/operator:v9"
	objects, err := config.Render(config.Options{Namespace: "operators", Image: image, WatchNamespaces: []string{"one", "two"}})
	if err != nil {
		t.Fatal(err)
	}
	grants := []string{}
	for _, object := range objects {
		content, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		if object.GetKind() == "Deployment" {
			if strings.Count(string(content), image) != 2 || !strings.Contains(string(content), "value: one,two\n") {
				t.Errorf("the image, also for portals, and the namespaces:\n%s", content)
			}
		}
		for _, old := range []string{"namespace: " + config.Namespace + "\n", "quay.io/opendatahub/operator"} {
			if strings.Contains(string(content), old) {
				t.Errorf("%s holds %q", identity(object), old)
			}
		}
		if object.GetKind() == "Namespace" && object.GetName() != "operators" {
			t.Errorf("Namespace %s", object.GetName())
		}
		if object.GetKind() == "RoleBinding" && object.GetName() == "opendatahub-platform" {
			grants = append(grants, object.GetNamespace())
		}
	}
	if diff := cmp.Diff([]string{"one", "two"}, grants); diff != "" {
		t.Errorf("rights in namespaces (-want +got):\n%s", diff)
	}
}

// TestEverythingIsFoundAgain: what is removed is found by its label.
func TestEverythingIsFoundAgain(t *testing.T) {
	for _, options := range []config.Options{{Installer: true, ClusterWide: true}, {WatchNamespaces: []string{"one"}}} {
		objects, err := config.Render(options)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range objects {
			if object.GetKind() != "CustomResourceDefinition" && object.GetLabels()[setup.Label] != setup.LabelValue {
				t.Errorf("%s has no label %s=%s", identity(object), setup.Label, setup.LabelValue)
			}
		}
	}
}

func TestNamedNamespacesHaveNoInstaller(t *testing.T) {
	if _, err := config.Render(config.Options{Installer: true, WatchNamespaces: []string{"one"}}); err == nil {
		t.Error("rendered")
	}
}
