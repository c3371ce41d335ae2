package gitops

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/api/validation"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components/catalog"
)

const (
	root   = "../.."
	folder = root + "/config/gitops/"
)

func build(t *testing.T, name string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := Build(folder + name)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func find(t *testing.T, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

func ids(objects []*unstructured.Unstructured) sets.Set[string] {
	found := sets.New[string]()
	for _, object := range objects {
		found.Insert(fmt.Sprintf("%s %s/%s", object.GetKind(), object.GetNamespace(), object.GetName()))
	}
	return found
}

// What Git deploys is what make deploy deploys.
func TestOperator(t *testing.T) {
	for name, test := range map[string]struct {
		config string
		more   []string
	}{
		"operator":                   {"default", []string{"ConfigMap opendatahub-operator/opendatahub-installer"}},
		"operator-without-installer": {"without-installer", nil},
	} {
		t.Run(name, func(t *testing.T) {
			objects := build(t, name)
			shipped, err := Build(filepath.Join(root, "config", test.config))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ids(shipped).Insert(test.more...), ids(objects)); diff != "" {
				t.Errorf("(-config/%s +config/gitops/%s):\n%s", test.config, name, diff)
			}
			// The image of config/manager, or the file would deploy an older one.
			for _, deployment := range []string{"opendatahub-operator", "opendatahub-installer"} {
				if !ids(shipped).Has("Deployment opendatahub-operator/" + deployment) {
					continue
				}
				want, got := find(t, shipped, "Deployment", deployment), find(t, objects, "Deployment", deployment)
				if diff := cmp.Diff(want.Object, got.Object); diff != "" {
					t.Errorf("Deployment %s (-config +gitops):\n%s", deployment, diff)
				}
			}
			protected(t, find(t, objects, "CustomResourceDefinition", "opendatahubs.opendatahub.io"))
		})
	}
}

// The image is written once.
func TestImage(t *testing.T) {
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(root+"/config")); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(copied, "gitops", "settings", "kustomization.yaml")
	content, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Replace(content, []byte("newTag: v0.1.0"), []byte("newName: registry.example.com/odh\n  newTag: v9"), 1)
	if err := os.WriteFile(settings, content, 0o600); err != nil {
		t.Fatal(err)
	}
	objects, err := Build(filepath.Join(copied, "gitops", "operator"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			fmt.Fprintln(&text, object.Object)
		}
	}
	if strings.Contains(text.String(), "quay.io/opendatahub/operator") || strings.Count(text.String(), "registry.example.com/odh:v9") != 3 {
		t.Errorf("the manager, its OPERATOR_IMAGE and the installer should have the new image:\n%s", &text)
	}
}

func protected(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	options := object.GetAnnotations()["argocd.argoproj.io/sync-options"]
	if !strings.Contains(options, "Prune=false") || !strings.Contains(options, "Delete=false") {
		t.Errorf("Argo CD would delete %s %s", object.GetKind(), object.GetName())
	}
	if object.GetAnnotations()["kustomize.toolkit.fluxcd.io/prune"] != "disabled" {
		t.Errorf("Flux would delete %s %s", object.GetKind(), object.GetName())
	}
}

func TestPlatform(t *testing.T) {
	for _, name := range []string{"platform", "platform-without-installer"} {
		t.Run(name, func(t *testing.T) {
			objects := build(t, name)
			protected(t, find(t, objects, "Namespace", "opendatahub"))
			hub := find(t, objects, "OpenDataHub", "odh")
			content, err := yaml.Marshal(hub)
			if err != nil {
				t.Fatal(err)
			}
			hubs, err := validation.Decode(bytes.NewReader(content), "")
			if err != nil {
				t.Fatal(err)
			}
			if hubs[0].Spec.DeletionPolicy != v1alpha1.DeletionPolicyRetain {
				t.Errorf("data goes with the platform: deletionPolicy is %s", hubs[0].Spec.DeletionPolicy)
			}

			// In Git are the rights that the command prints for this resource, if any.
			var printed bytes.Buffer
			command := cmd.New("test", catalog.All())
			command.SetArgs([]string{"grants", "--filename", "-"})
			command.SetIn(bytes.NewReader(content))
			command.SetOut(&printed)
			if err := command.Execute(); err != nil {
				t.Fatal(err)
			}
			grants := filepath.Join(folder, name, "grants.yaml")
			if name == "platform" {
				return // the installer grants
			}
			written, err := os.ReadFile(grants)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(printed.String(), string(written)); diff != "" {
				t.Errorf("%s is not what opendatahub grants prints (-printed +file):\n%s", grants, diff)
			}
		})
	}
}

// What the projects of Argo CD allow is what the applications need, and no more kinds.
func TestProjects(t *testing.T) {
	objects := build(t, "argocd")
	for application, folders := range map[string][]string{
		"opendatahub-operator": {"operator", "operator-without-installer"},
		"opendatahub":          {"platform", "platform-without-installer"},
	} {
		app := find(t, objects, "Application", application)
		name, _, _ := unstructured.NestedString(app.Object, "spec", "project")
		project := find(t, objects, "AppProject", name)
		path, _, _ := unstructured.NestedString(app.Object, "spec", "source", "path")
		if !slices.Contains(folders, strings.TrimPrefix(path, "config/gitops/")) {
			t.Errorf("Application %s deploys %s", application, path)
		}
		source, _, _ := unstructured.NestedString(app.Object, "spec", "source", "repoURL")
		sources, _, _ := unstructured.NestedStringSlice(project.Object, "spec", "sourceRepos")
		if !slices.Contains(sources, source) {
			t.Errorf("AppProject %s does not allow %s", name, source)
		}
		clusterWide, namespaced := allowed(project, "clusterResourceWhitelist"), allowed(project, "namespaceResourceWhitelist")
		var destinations []string
		list, _, _ := unstructured.NestedSlice(project.Object, "spec", "destinations")
		for _, item := range list {
			destinations = append(destinations, item.(map[string]any)["namespace"].(string))
		}
		used := sets.New[schema.GroupKind]()
		for _, folder := range folders {
			for _, object := range build(t, folder) {
				kind := object.GroupVersionKind().GroupKind()
				if object.GetNamespace() == "" {
					used.Insert(kind)
					continue
				}
				if !slices.Contains(destinations, object.GetNamespace()) {
					t.Errorf("AppProject %s does not allow the namespace of %s %s", name, kind, object.GetName())
				}
				if len(namespaced) > 0 && !namespaced.Has(kind) {
					t.Errorf("AppProject %s does not allow %s", name, kind)
				}
			}
		}
		if diff := cmp.Diff(used, clusterWide); diff != "" {
			t.Errorf("AppProject %s, kinds of the cluster (-used +allowed):\n%s", name, diff)
		}
	}
}

func allowed(project *unstructured.Unstructured, field string) sets.Set[schema.GroupKind] {
	kinds := sets.New[schema.GroupKind]()
	list, _, _ := unstructured.NestedSlice(project.Object, "spec", field)
	for _, item := range list {
		entry := item.(map[string]any)
		kinds.Insert(schema.GroupKind{Group: entry["group"].(string), Kind: entry["kind"].(string)})
	}
	return kinds
}

// The operator comes first and stays; the platform's removal is waited for.
func TestOrder(t *testing.T) {
	argocd := build(t, "argocd")
	operator, platform := find(t, argocd, "Application", "opendatahub-operator"), find(t, argocd, "Application", "opendatahub")
	if waves := []string{wave(operator), wave(platform)}; waves[0] >= waves[1] {
		t.Errorf("waves of the operator and the platform: %v", waves)
	}
	if len(operator.GetFinalizers()) != 0 || len(platform.GetFinalizers()) != 1 {
		t.Errorf("finalizers of the operator %v, of the platform %v", operator.GetFinalizers(), platform.GetFinalizers())
	}
	objects := build(t, "platform")
	if waves := []string{wave(find(t, objects, "Namespace", "opendatahub")), wave(find(t, objects, "OpenDataHub", "odh"))}; waves[0] >= waves[1] {
		t.Errorf("waves of the namespace and the platform: %v", waves)
	}

	flux := build(t, "flux")
	operator, platform = find(t, flux, "Kustomization", "opendatahub-operator"), find(t, flux, "Kustomization", "opendatahub")
	depends, _, _ := unstructured.NestedSlice(platform.Object, "spec", "dependsOn")
	if diff := cmp.Diff([]any{map[string]any{"name": operator.GetName()}}, depends); diff != "" {
		t.Error(diff)
	}
	for name, object := range map[string]*unstructured.Unstructured{"Orphan": operator, "WaitForTermination": platform} {
		if policy, _, _ := unstructured.NestedString(object.Object, "spec", "deletionPolicy"); policy != name {
			t.Errorf("%s: deletionPolicy is %s", object.GetName(), policy)
		}
		if wait, _, _ := unstructured.NestedBool(object.Object, "spec", "wait"); !wait {
			t.Errorf("%s does not wait", object.GetName())
		}
		path, _, _ := unstructured.NestedString(object.Object, "spec", "path")
		if _, err := os.Stat(filepath.Join(root, path, "kustomization.yaml")); err != nil {
			t.Error(err)
		}
	}
}

func wave(object *unstructured.Unstructured) string {
	return object.GetAnnotations()["argocd.argoproj.io/sync-wave"]
}

// definitions are modules that hold the real definitions of Argo CD and Flux, with the sums of the checksum database.
var definitions = []struct{ module, sum, files string }{
	{"github.com/argoproj/argo-cd/v3@v3.5.7", "h1:Xm1BF+I5OgDKUG3SDK49vn2/Y5AMyaNVko+/JT08gj0=", "manifests/crds/app*-crd.yaml"},
	{"github.com/fluxcd/kustomize-controller@v1.9.6", "h1:XB+G3A0mky0j5uVHZWv4oSlS2RvZBoNIUhstIvY0JKE=", "config/crd/bases/*_kustomizations.yaml"},
	{"github.com/fluxcd/source-controller@v1.9.6", "h1:nG534/bI6nVpyHra7ONAk6xDB3xPsVT+EOLHZHXPrrc=", "config/crd/bases/*_gitrepositories.yaml"},
}

// TestDefinitions checks the manifests for Argo CD and Flux as their API servers do.
func TestDefinitions(t *testing.T) {
	schemas := map[schema.GroupVersionKind]*validation.Schema{}
	for _, from := range definitions {
		files, err := filepath.Glob(filepath.Join(download(t, from.module, from.sum), from.files))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no %s: %v", from.module, from.files, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			definition := &apiextensionsv1.CustomResourceDefinition{}
			if err := yaml.Unmarshal(content, definition); err != nil {
				t.Fatal(err)
			}
			for _, version := range definition.Spec.Versions {
				compiled, err := validation.Compile(version.Schema.OpenAPIV3Schema)
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				schemas[schema.GroupVersionKind{Group: definition.Spec.Group, Version: version.Name, Kind: definition.Spec.Names.Kind}] = compiled
			}
		}
	}
	for _, name := range []string{"argocd", "flux"} {
		for _, object := range build(t, name) {
			compiled, ok := schemas[object.GroupVersionKind()]
			if !ok {
				t.Errorf("nothing defines %s", object.GroupVersionKind())
				continue
			}
			for _, problem := range compiled.Admit(object) {
				t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), problem)
			}
		}
	}
}

func download(t *testing.T, module, sum string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	command.Dir = t.TempDir()
	output, err := command.Output()
	if err != nil {
		t.Fatalf("downloading %s: %v\n%s", module, err, output)
	}
	var got struct{ Dir, Sum string }
	if err := json.Unmarshal(output, &got); err != nil {
		t.Fatal(err)
	}
	if got.Sum != sum {
		t.Fatalf("%s has the sum %s, not %s", module, got.Sum, sum)
	}
	return got.Dir
}

// TestHealth judges statuses with the engines of Argo CD and of Flux. docs/gitops.md has the same table.
func TestHealth(t *testing.T) {
	script, err := HealthCheck(root, "opendatahub.io_OpenDataHub")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		status  string
		flux    status.Status
		argo    string
		message string
	}{
		"as created, with the default of the definition": {
			`{observedGeneration: -1}`, status.InProgressStatus, "Progressing", "The operator has not seen generation 2 yet"},
		"ready": {
			`{observedGeneration: 2, conditions: [{type: Ready, status: "True", message: all work}]}`, status.CurrentStatus, "Healthy", "all work"},
		"ready, for an earlier generation": {
			`{observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}`, status.InProgressStatus, "Progressing", "The operator has not seen generation 2 yet"},
		"not ready, and on its way": {
			`{observedGeneration: 2, conditions: [{type: Reconciling, status: "True", message: kafka starts}, {type: Ready, status: "False"}]}`,
			status.InProgressStatus, "Progressing", "kafka starts"},
		"ready, while something rolls": {
			`{observedGeneration: 2, conditions: [{type: Reconciling, status: "True", message: rolling}, {type: Ready, status: "True"}]}`,
			status.InProgressStatus, "Progressing", "rolling"},
		"nobody knows": {
			`{observedGeneration: 2, conditions: [{type: Ready, status: Unknown, message: not reported}]}`, status.InProgressStatus, "Progressing", "not reported"},
		"a person must act": {
			`{observedGeneration: 2, conditions: [{type: Stalled, status: "True", message: spec is wrong}, {type: Ready, status: "False"}]}`,
			status.FailedStatus, "Degraded", "spec is wrong"},
		"no conditions": {
			`{observedGeneration: 2}`, "", "Progressing", "The operator has not reported yet"},
	} {
		t.Run(name, func(t *testing.T) {
			object := &unstructured.Unstructured{}
			manifest := "{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {name: odh, namespace: a, generation: 2}, status: " + test.status + "}"
			if err := yaml.Unmarshal([]byte(manifest), object); err != nil {
				t.Fatal(err)
			}
			argo, message, err := Health(script, object)
			if err != nil {
				t.Fatal(err)
			}
			if argo != test.argo || message != test.message {
				t.Errorf("Argo CD: %s %q, want %s %q", argo, message, test.argo, test.message)
			}
			if test.flux == "" {
				return // the operator writes no such status
			}
			result, err := status.Compute(object)
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != test.flux {
				t.Errorf("Flux: %s (%s), want %s", result.Status, result.Message, test.flux)
			}
		})
	}
}

func TestHealthOfApplications(t *testing.T) {
	script, err := HealthCheck(root, "argoproj.io_Application")
	if err != nil {
		t.Fatal(err)
	}
	for manifest, want := range map[string]string{
		`{kind: Application}`: "Progressing",
		`{kind: Application, status: {health: {status: Degraded, message: broken}}}`: "Degraded",
		`{kind: Application, status: {health: {status: Healthy}}}`:                   "Healthy",
	} {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
			t.Fatal(err)
		}
		if got, _, err := Health(script, object); got != want || err != nil {
			t.Errorf("%s: %s, %v", manifest, got, err)
		}
	}
}
