package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/api/validation"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers"
	"opendatahub.io/operator/controllers/authority"
)

// These tests check that the parts agree: the list of components, their folders, the API, the goldens and RBAC.

const (
	managerRoleFile = "config/rbac/role.yaml"
	componentRoles  = "config/rbac/components"
)

// folderOf is where a component lives: components/kafka.
func folderOf(component components.Component) string {
	kind := reflect.TypeOf(component)
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	return "components/" + path.Base(kind.PkgPath())
}

func TestEveryComponentFolderIsListed(t *testing.T) {
	var listed []string
	for _, component := range catalog.All() {
		listed = append(listed, folderOf(component))
	}
	slices.Sort(listed)
	files, err := filepath.Glob("components/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, file := range files {
		if makesComponent(t, file) {
			folders = append(folders, filepath.ToSlash(filepath.Dir(file)))
		}
	}
	if diff := cmp.Diff(folders, listed); diff != "" {
		t.Errorf("folders that have a New, and components that the catalog lists (-folders +catalog):\n%s", diff)
	}
}

// TestComponentsAreListedOnce: a second list would not know the next component, and nothing would fail.
func TestComponentsAreListedOnce(t *testing.T) {
	for _, file := range goFiles(t) {
		if strings.HasPrefix(file, "components/catalog/") {
			continue
		}
		ast.Inspect(parse(t, file), func(node ast.Node) bool {
			list, ok := node.(*ast.CompositeLit)
			if !ok {
				return true
			}
			var constructed []string
			for _, element := range list.Elts {
				call, ok := element.(*ast.CallExpr)
				if !ok {
					continue
				}
				if function, ok := call.Fun.(*ast.SelectorExpr); ok && function.Sel.Name == "New" && len(call.Args) == 0 {
					constructed = append(constructed, fmt.Sprint(function.X))
				}
			}
			if len(constructed) > 1 {
				t.Errorf("%s lists %v: use catalog.All, or take from it what is needed", file, constructed)
			}
			return true
		})
	}
}

// goFiles are the Go files of this module.
func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(file string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "hack" || file != "." && strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case strings.HasSuffix(file, ".go"):
			files = append(files, filepath.ToSlash(file))
		}
		return nil
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d Go files, %v", len(files), err)
	}
	return files
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// makesComponent reports whether the file has func New() components.Component.
func makesComponent(t *testing.T, file string) bool {
	t.Helper()
	return slices.ContainsFunc(parse(t, file).Decls, func(declaration ast.Decl) bool {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Recv != nil || function.Name.Name != "New" || function.Type.Results.NumFields() != 1 {
			return false
		}
		result, ok := function.Type.Results.List[0].Type.(*ast.SelectorExpr)
		return ok && result.Sel.Name == "Component"
	})
}

func TestEveryComponentFitsTheAPI(t *testing.T) {
	seen := map[string]bool{}
	cached := map[schema.GroupKind]map[string]string{}
	for _, component := range catalog.All() {
		name := component.Name()
		_, inSpec := components.Condition(name)
		if _, isPart := component.(components.WithRule); inSpec == isPart {
			t.Errorf("%s: spec.components has a field for every component and for no part of the platform itself", name)
		}
		if seen[name] {
			t.Errorf("two components are called %s", name)
		}
		seen[name] = true
		for _, kind := range component.Kinds() {
			if kind.Plural == "" || len(kind.Versions) == 0 {
				t.Errorf("%s: the kind %s has no plural or no version", name, kind.GroupKind)
			}
		}
		for _, use := range components.UsesOf(component) {
			if use.GroupKind == kinds.Route.GroupKind && use.Subresources["custom-host"] == nil {
				t.Errorf("%s: its Routes need native.ExposureUses, or OpenShift refuses their hosts", name)
			}
		}
		for _, kind := range components.ControllerKindsOf(component) {
			if before, read := cached[kind.GroupKind]; read && !maps.Equal(before, kind.Labels) {
				t.Errorf("%s: another controller reads %s by other labels, and the manager has one cache", name, kind.GroupKind)
			}
			if kind.Labels != nil {
				cached[kind.GroupKind] = kind.Labels
			}
		}
		if user, ok := component.(components.WithUses); ok {
			for _, use := range user.Uses() {
				if !lists(component, use.Kind) {
					t.Errorf("%s uses %s, which is not among its Kinds", name, use.GroupKind)
				}
			}
		}
	}
}

func lists(component components.Component, kind kinds.Kind) bool {
	return slices.ContainsFunc(component.Kinds(), func(k kinds.Kind) bool { return k.GroupKind == kind.GroupKind })
}

func TestKindsAndRolesCoverTheGoldens(t *testing.T) {
	shipped := shippedRoles(t)
	bound := map[string]bool{}
	for _, component := range catalog.All() {
		goldens, err := filepath.Glob(filepath.Join(folderOf(component), "testdata", "*", "objects.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if len(goldens) == 0 {
			t.Errorf("%s has no goldens", component.Name())
		}
		for _, golden := range goldens {
			for _, object := range decodeAll(t, golden) {
				gvk := object.GroupVersionKind()
				i := slices.IndexFunc(component.Kinds(), func(k kinds.Kind) bool { return k.GroupKind == gvk.GroupKind() })
				if i < 0 || !slices.Contains(component.Kinds()[i].Versions, gvk.Version) {
					t.Errorf("%s: Kinds() of %s lack %s", golden, component.Name(), gvk)
				}
				if gvk.Group != rbacv1.GroupName {
					continue
				}
				for _, problem := range misbound(object, shipped) {
					t.Errorf("%s: %s", golden, problem)
				}
				name, _, _ := unstructured.NestedString(object.Object, "roleRef", "name")
				bound[name] = true
			}
		}
	}
	for _, name := range shipped {
		if !bound[name] {
			t.Errorf("the manager may hand out ClusterRole %s, and no component binds it", name)
		}
	}
}

// misbound says why the manager could not create an RBAC object: it holds no rights to give away but by these names.
func misbound(object unstructured.Unstructured, shipped []string) []string {
	if object.GetKind() != "RoleBinding" {
		return []string{fmt.Sprintf("%s %s: ship a ClusterRole in %s and bind that", object.GetKind(), object.GetName(), componentRoles)}
	}
	var binding rbacv1.RoleBinding
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &binding); err != nil {
		return []string{err.Error()}
	}
	if binding.RoleRef.Kind != "ClusterRole" || !slices.Contains(shipped, binding.RoleRef.Name) {
		return []string{fmt.Sprintf("RoleBinding %s binds %s %s, which %s does not ship", binding.Name, binding.RoleRef.Kind, binding.RoleRef.Name, componentRoles)}
	}
	return nil
}

// shippedRoles are the names of the ClusterRoles that kustomize deploys from componentRoles.
func shippedRoles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(componentRoles + "/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var names, deployed, present []string
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			resources, _, err := unstructured.NestedStringSlice(decodeAll(t, file)[0].Object, "resources")
			if err != nil {
				t.Fatal(err)
			}
			deployed = resources
			continue
		}
		present = append(present, filepath.Base(file))
		for _, object := range decodeAll(t, file) {
			if object.GetKind() != "ClusterRole" {
				t.Errorf("%s holds a %s", file, object.GetKind())
			}
			names = append(names, object.GetName())
		}
	}
	slices.Sort(deployed)
	if diff := cmp.Diff(present, deployed); diff != "" {
		t.Errorf("files in %s, and those that kustomization.yaml lists (-files +listed):\n%s", componentRoles, diff)
	}
	return names
}

func decodeAll(t *testing.T, file string) []unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var objects []unstructured.Unstructured
	for document := range strings.SplitSeq("\n"+string(content), "\n---") {
		object := unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
	return objects
}

func TestManagerRoleIsGenerated(t *testing.T) {
	var want bytes.Buffer
	if err := authority.Write(&want, catalog.All(), os.DirFS(componentRoles)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(managerRoleFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("%s is out of date, run make generate (-want +got):\n%s", managerRoleFile, diff)
	}
}

// TestSamplesRender: what is shown to people must work, on both kinds of cluster.
func TestSamplesRender(t *testing.T) {
	samples, err := filepath.Glob("config/samples/*.yaml")
	if err != nil || len(samples) == 0 {
		t.Fatalf("found %d samples, %v", len(samples), err)
	}
	rendered := map[string]bool{}
	for _, sample := range samples {
		content, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		hubs, err := validation.Decode(bytes.NewReader(content), "default")
		if err != nil {
			t.Errorf("%s: %v", sample, err)
			continue
		}
		if len(hubs) == 0 {
			t.Errorf("%s holds no OpenDataHub", sample)
		}
		for _, hub := range hubs {
			for _, openShift := range []bool{false, true} {
				for _, component := range catalog.All() {
					facts := components.NewFacts(hub, components.Cluster{OpenShift: openShift}, catalog.All())
					if state, ok := components.StateOf(component, facts); !ok || state == v1alpha1.Unmanaged {
						continue
					}
					rendered[component.Name()] = true
					if err := renders(component, hub, openShift); err != nil {
						t.Errorf("%s: %s with openShift=%v: %v", sample, component.Name(), openShift, err)
					}
				}
			}
		}
	}
	for _, component := range catalog.All() {
		if !rendered[component.Name()] {
			t.Errorf("no sample deploys %s", component.Name())
		}
	}
}

// renders assumes that what the spec refers to exists.
func renders(component components.Component, hub *v1alpha1.OpenDataHub, openShift bool) error {
	cluster := components.Cluster{OpenShift: openShift, KubeVersion: "v1.37.2"}
	if openShift {
		cluster.IngressDomain = "apps.example.com"
	}
	facts := components.NewFacts(hub, cluster, catalog.All())
	facts.Secrets = map[string]components.Secret{}
	if withReferences, ok := component.(components.WithReferences); ok {
		for _, reference := range withReferences.References(facts) {
			facts.Secrets[reference.Name] = components.Secret{Keys: reference.Keys, Digest: "abcde"}
		}
	}
	prepared, err := controllers.Render(component, facts, nil)
	if err == nil && len(prepared) == 0 {
		return fmt.Errorf("nothing is rendered")
	}
	return err
}
