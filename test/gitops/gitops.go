// Package gitops does with the manifests of config/gitops what Argo CD and Flux do with them: it builds them with kustomize, applies
// them as a field manager of its own, asks the API server what another apply would change, and judges health with the engines that
// those two use, gopher-lua and kstatus.
package gitops

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Manager is the field manager of Argo CD.
const Manager = "argocd-controller"

// Build builds a folder as `kubectl kustomize` does.
func Build(folder string) ([]*unstructured.Unstructured, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", folder, err)
	}
	var objects []*unstructured.Unstructured
	for _, resource := range resources.Resources() {
		content, err := resource.AsYAML()
		if err != nil {
			return nil, fmt.Errorf("building %s: %w", folder, err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(content, &object.Object); err != nil {
			return nil, fmt.Errorf("reading what %s builds: %w", folder, err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// Apply applies an object as Argo CD does with ServerSideApply, and returns what the API server made of it. dryRun changes nothing, as
// in a server-side diff.
func Apply(ctx context.Context, c client.Client, object *unstructured.Unstructured, dryRun bool) (*unstructured.Unstructured, error) {
	applied := object.DeepCopy()
	options := []client.ApplyOption{client.FieldOwner(Manager), client.ForceOwnership}
	if dryRun {
		options = append(options, client.DryRunAll)
	}
	if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), options...); err != nil {
		return nil, fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return applied, nil
}

// HealthCheck is the health check of Argo CD for a kind, such as "opendatahub.io_OpenDataHub".
func HealthCheck(root, kind string) (string, error) {
	objects, err := readAll(filepath.Join(root, "config", "gitops", "argocd", "argocd-cm.yaml"))
	if err != nil {
		return "", err
	}
	script, found, err := unstructured.NestedString(objects[0].Object, "data", "resource.customizations.health."+kind)
	if err != nil || !found {
		return "", fmt.Errorf("argocd-cm.yaml has no health check of %s: %w", kind, err)
	}
	return script, nil
}

// Health runs a health check as Argo CD does, with the same interpreter, and only the libraries that it opens for checks of users.
func Health(script string, object *unstructured.Unstructured) (status, message string, err error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		err := state.CallByParam(lua.P{Fn: state.NewFunction(library.open), Protect: true}, lua.LString(library.name))
		if err != nil {
			return "", "", fmt.Errorf("opening the library %s: %w", library.name, err)
		}
	}
	state.SetGlobal("obj", luaValue(state, object.Object))
	if err := state.DoString(script); err != nil {
		return "", "", fmt.Errorf("running the health check: %w", err)
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", errors.New("the health check does not return a table")
	}
	return lua.LVAsString(result.RawGetString("status")), lua.LVAsString(result.RawGetString("message")), nil
}

func luaValue(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, luaValue(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range value {
			table.Append(luaValue(state, item))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	}
	return lua.LNil
}

func readAll(file string) ([]*unstructured.Unstructured, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading manifests: %w", err)
	}
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(document), &object.Object); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}
