package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/watch"
)

// snapshot are the objects of a component of a platform, as the API server lists them.
type snapshot struct {
	platform  types.NamespacedName
	component string
	objects   map[schema.GroupKind]components.Objects
	hidden    map[*unstructured.Unstructured]*unstructured.Unstructured // without the values of Secrets → whole
	// withoutSecrets: they may not be listed.
	withoutSecrets bool
}

var _ apply.Objects = (*snapshot)(nil)

// snapshot lists a component's objects, and the kinds that are served.
func (c *comparer) snapshot(ctx context.Context, component components.Component, wanted bool) (*snapshot, []apply.Served, error) {
	s := &snapshot{
		platform: client.ObjectKeyFromObject(c.odh), component: component.Name(),
		objects: map[schema.GroupKind]components.Objects{}, hidden: map[*unstructured.Unstructured]*unstructured.Unstructured{},
	}
	var served []apply.Served
	for _, use := range components.UsesOf(component) {
		version, ok := c.apis.Version(use.Kind)
		if !ok || use.Foreign {
			continue
		}
		gvk := use.WithVersion(version)
		served = append(served, apply.Served{Use: use, GVK: gvk})
		labels := client.MatchingLabels{components.LabelComponent: component.Name()}
		options := []client.ListOption{labels}
		labels[components.LabelPlatform] = c.odh.Name
		if use.ClusterScoped {
			labels[components.LabelPlatformNamespace] = c.odh.Namespace
		} else {
			options = append(options, client.InNamespace(c.odh.Namespace))
		}
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		err := c.client.List(ctx, list, options...)
		switch {
		case apierrors.IsForbidden(err):
			if use.GroupKind == kinds.Secret.GroupKind {
				s.withoutSecrets = true
			} else if wanted {
				c.warn("%s: you may not list %s: those that would be removed are not shown", component.Name(), use.Plural)
			}
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("listing %s: %w", use.Plural, err)
		}
		for i := range list.Items {
			stripped, err := watch.StripChild(&list.Items[i])
			if err != nil {
				return nil, nil, err
			}
			s.hidden[stripped] = &list.Items[i]
			s.objects[use.GroupKind] = append(s.objects[use.GroupKind], stripped)
		}
	}
	return s, served, nil
}

// live are the objects that the operator made.
func (s *snapshot) live() components.Objects {
	var live components.Objects
	for _, objects := range s.objects {
		for _, object := range objects {
			if apply.IsOurs(object, apply.Manager(s.component)) {
				live = append(live, object)
			}
		}
	}
	slices.SortFunc(live, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(a.GetKind(), b.GetKind()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return live
}

func (s *snapshot) whole(object *unstructured.Unstructured) *unstructured.Unstructured {
	return s.hidden[object]
}

// Get implements apply.Objects.
func (s *snapshot) Get(_ context.Context, kind schema.GroupVersionKind, key types.NamespacedName) (*unstructured.Unstructured, error) {
	return s.objects[kind.GroupKind()].Find(kind.GroupKind(), key.Name), nil
}

// List implements apply.Objects.
func (s *snapshot) List(_ context.Context, kind schema.GroupVersionKind, platform types.NamespacedName, component string) ([]*unstructured.Unstructured, error) {
	if platform != s.platform || component != s.component {
		return nil, errors.New("these are the objects of another platform or component")
	}
	return slices.Clone(s.objects[kind.GroupKind()]), nil
}

// Wrote implements apply.Objects: nothing is written.
func (*snapshot) Wrote(*unstructured.Unstructured) {}

// Deleting implements apply.Objects: nothing is deleted.
func (*snapshot) Deleting(*unstructured.Unstructured) bool { return false }

// NotDeleting implements apply.Objects.
func (*snapshot) NotDeleting(*unstructured.Unstructured) {}
