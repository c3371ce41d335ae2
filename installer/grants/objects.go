// Package grants gives the manager, and the third-party operators that platforms need, their rights in the namespaces of
// platforms, and takes them back with the last platform. The manager must not be able to give these rights itself.
package grants

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/authority"
)

const (
	// Label is on every object that is granted. It holds the name of the component that declared it, or [Manager].
	Label = "opendatahub.io/grant"
	// Manager is the Label of the manager's own RoleBinding.
	Manager = "manager"

	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "opendatahub-installer"
)

// ForManager is the manager's RoleBinding in a namespace that holds a platform.
func ForManager(operatorNamespace, namespace string) (*unstructured.Unstructured, error) {
	return prepare(components.Owned(authority.Grant(operatorNamespace, namespace)), Manager, components.Platform{Namespace: namespace})
}

// tell has the manager notice when marks of the namespace change: it watches its RoleBinding, and no namespaces.
func tell(binding *unstructured.Unstructured, namespace *metav1.PartialObjectMetadata) {
	var marks []string
	for _, of := range []map[string]string{namespace.Labels, namespace.Annotations} {
		for _, name := range slices.Sorted(maps.Keys(of)) {
			marks = append(marks, name+"="+of[name])
		}
	}
	if len(marks) > 0 {
		binding.SetAnnotations(map[string]string{authority.MarksAnnotation: strings.Join(marks, "; ")})
	}
}

// ForComponents are the objects that the wanted components of a platform declare, in the order in which they are applied. Marks are the
// labels of the platform's namespace: what an administrator has not allowed a component is not granted for it either.
func ForComponents(all []components.Component, facts components.Facts, marks map[string]string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, component := range all {
		granted, ok := component.(components.WithGrants)
		if !ok {
			continue
		}
		if _, wanted := components.StateOf(component, facts); !wanted || !allowed(component, facts, marks) {
			continue
		}
		for _, object := range granted.Grants(facts) {
			prepared, err := prepare(object, component.Name(), facts.Platform)
			if err != nil {
				return nil, err
			}
			objects = append(objects, prepared)
		}
	}
	return objects, nil
}

// allowed is whether an administrator allows all that the component asks for beyond its namespace.
func allowed(component components.Component, facts components.Facts, marks map[string]string) bool {
	return !slices.ContainsFunc(components.ReachOf(component, facts), func(asked components.Reach) bool {
		return !components.Allowed(marks, asked.Mark)
	})
}

// prepare labels an object, so that it is found when the platform is gone.
func prepare(object components.Object, by string, platform components.Platform) (*unstructured.Unstructured, error) {
	content, err := json.Marshal(object.ApplyConfiguration)
	if err != nil {
		return nil, fmt.Errorf("encoding what %s needs granted: %w", by, err)
	}
	target := &unstructured.Unstructured{}
	if err := json.Unmarshal(content, &target.Object); err != nil {
		return nil, fmt.Errorf("decoding what %s needs granted: %w", by, err)
	}
	labels := map[string]string{Label: by, labelManagedBy: managedBy}
	if platform.Name != "" {
		labels[components.LabelPlatform] = platform.Name
	}
	if target.GetNamespace() != platform.Namespace {
		labels[components.LabelPlatformNamespace] = platform.Namespace
	}
	target.SetLabels(components.Merge(target.GetLabels(), labels))
	return target, nil
}
