// Package config holds the manifests of the operator, for the command that installs them without a checkout of this repository.
package config

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/config/crd"
)

// manifests are the folders that the variants consist of, apart from the generated definition, which package crd has.
//
//go:embed admission/*.yaml cluster-wide/*.yaml crd/kustomization.yaml default/*.yaml installer/*.yaml manager/*.yaml namespaced/*.yaml
//go:embed rbac/*.yaml rbac/components/*.yaml without-installer/*.yaml
var manifests embed.FS

// What the manifests name, until Options say otherwise.
const (
	// Namespace of the operator.
	Namespace = "opendatahub-operator"
	// watched is the namespace that config/namespaced serves.
	watched = "opendatahub"
	// repository of the operator's image.
	repository = "quay.io/opendatahub/operator"
)

// Options choose among the variants of the manifests, and fill in what differs between clusters.
type Options struct {
	// Namespace of the operator. Empty: that of the manifests.
	Namespace string
	// Image that the operator and its installer run from. Empty: that of the manifests.
	Image string
	// Installer is whether third-party operators are installed by an installer, which may do everything.
	Installer bool
	// ClusterWide gives the operator its rights in every namespace.
	ClusterWide bool
	// WatchNamespaces are the only ones that the operator looks at, and may change. It has no installer then.
	WatchNamespaces []string
}

// Render returns the manifests, in no order. It is what kubectl kustomize makes of the folders.
func Render(options Options) ([]*unstructured.Unstructured, error) {
	if len(options.WatchNamespaces) > 0 && (options.Installer || options.ClusterWide) {
		return nil, fmt.Errorf("an operator of named namespaces has no installer and no rights in the cluster: its rights end with these namespaces")
	}
	const root, chosen = "/config", "/config/chosen"
	memory := filesys.MakeFsInMemory()
	err := fs.WalkDir(manifests, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := manifests.ReadFile(name)
		if err != nil {
			return err
		}
		return memory.WriteFile(path.Join(root, name), content)
	})
	if err != nil {
		return nil, err
	}
	if err := memory.WriteFile(root+"/crd/opendatahub.io_opendatahubs.yaml", crd.OpenDataHub); err != nil {
		return nil, err
	}
	resources := []string{"../without-installer"}
	switch {
	case len(options.WatchNamespaces) > 0:
		resources = []string{"../namespaced"}
	case options.Installer:
		resources = []string{"../default"}
	}
	if options.ClusterWide {
		resources = append(resources, "../cluster-wide/role_binding.yaml")
	}
	content, err := yaml.Marshal(types.Kustomization{
		TypeMeta:  types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind},
		Resources: resources,
	})
	if err != nil {
		return nil, err
	}
	if err := memory.WriteFile(chosen+"/kustomization.yaml", content); err != nil {
		return nil, err
	}
	built, err := krusty.MakeKustomizer(&krusty.Options{LoadRestrictions: types.LoadRestrictionsNone, PluginConfig: types.DisabledPluginConfig()}).Run(memory, chosen)
	if err != nil {
		return nil, fmt.Errorf("building the manifests: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, resource := range built.Resources() {
		content, err := resource.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("building the manifests: %w", err)
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(content); err != nil {
			return nil, fmt.Errorf("building the manifests: %w", err)
		}
		objects = append(objects, options.fill(object)...)
	}
	return objects, nil
}

// fill fills in the options; the rights in a namespace are repeated for each.
func (o Options) fill(object *unstructured.Unstructured) []*unstructured.Unstructured {
	if o.Image != "" {
		replaceImage(object.Object, o.Image)
	}
	if o.Namespace != "" {
		move(object, o.Namespace)
	}
	if len(o.WatchNamespaces) == 0 {
		return []*unstructured.Unstructured{object}
	}
	if object.GetKind() == "Deployment" {
		watch(object, strings.Join(o.WatchNamespaces, ","))
	}
	if object.GetNamespace() != watched {
		return []*unstructured.Unstructured{object}
	}
	var repeated []*unstructured.Unstructured
	for _, namespace := range o.WatchNamespaces {
		one := object.DeepCopy()
		one.SetNamespace(namespace)
		repeated = append(repeated, one)
	}
	return repeated
}

// replaceImage replaces the operator's image, which is the image of containers and the value of a variable.
func replaceImage(value any, image string) {
	isOperator := func(value any) bool {
		text, ok := value.(string)
		return ok && strings.HasPrefix(text, repository+":")
	}
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			if isOperator(below) {
				value[key] = image
				continue
			}
			replaceImage(below, image)
		}
	case []any:
		for _, below := range value {
			replaceImage(below, image)
		}
	}
}

// move puts what is in the operator's namespace into another one, and binds the accounts from there.
func move(object *unstructured.Unstructured, namespace string) {
	if object.GetKind() == "Namespace" && object.GetName() == Namespace {
		object.SetName(namespace)
	}
	if object.GetNamespace() == Namespace {
		object.SetNamespace(namespace)
	}
	subjects, _ := object.Object["subjects"].([]any)
	for _, subject := range subjects {
		if subject, ok := subject.(map[string]any); ok && subject["namespace"] == Namespace {
			subject["namespace"] = namespace
		}
	}
}

// watch sets the namespaces that the manager looks at.
func watch(deployment *unstructured.Unstructured, namespaces string) {
	containers, _, _ := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	for _, container := range containers {
		container, _ := container.(map[string]any)
		variables, _ := container["env"].([]any)
		for _, variable := range variables {
			if variable, ok := variable.(map[string]any); ok && variable["name"] == "WATCH_NAMESPACE" {
				variable["value"] = namespaces
			}
		}
	}
	// The field is there: the manifests have it.
	_ = unstructured.SetNestedSlice(deployment.Object, containers, "spec", "template", "spec", "containers")
}
