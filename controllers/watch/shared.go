package watch

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"opendatahub.io/operator/components"
)

// Shared returns the objects of a kind that the platforms of the cluster share for a component, as last seen or written, by name. They
// must not be changed. No platform is on their labels, so events of them wake the component for the zero platform.
func (c *Children) Shared(_ context.Context, kind schema.GroupVersionKind, component string) ([]*unstructured.Unstructured, error) {
	store := c.store(kind, "")
	if store == nil {
		return nil, nil
	}
	if !store.ready() {
		return nil, fmt.Errorf("%s is not listed yet", kind.Kind)
	}
	var objects []*unstructured.Unstructured
	for _, found := range store.list(owner{types.NamespacedName{}, component}) {
		object, err := found.object()
		if err != nil {
			return nil, err
		}
		if object.GetLabels()[components.LabelShared] == "true" {
			objects = append(objects, object)
		}
	}
	return objects, nil
}
