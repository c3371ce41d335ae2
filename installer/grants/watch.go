package grants

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/watch"
)

// kindsOf are the kinds of objects that are granted.
func kindsOf(openShift bool) []schema.GroupVersionKind {
	granted := []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("ServiceAccount"), corev1.SchemeGroupVersion.WithKind("Secret"),
		rbacv1.SchemeGroupVersion.WithKind("Role"), rbacv1.SchemeGroupVersion.WithKind("RoleBinding"),
		rbacv1.SchemeGroupVersion.WithKind("ClusterRole"), rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"),
	}
	if openShift {
		granted = append(granted, schema.GroupVersionKind{Group: "security.openshift.io", Version: "v1", Kind: "SecurityContextConstraints"})
	}
	return granted
}

// objects are what was granted, as last seen or written. They have a cache apart from the installer's own, whose controllers
// start only when all of it is synced.
type objects struct {
	cache cache.Cache
	kinds map[schema.GroupVersionKind]*kind
}

type kind struct {
	informer cache.Informer
	overlay  *watch.Overlay[*unstructured.Unstructured]
	// deleting holds the UIDs whose deletion was asked for and not yet seen.
	deleting sync.Map
}

var _ apply.Objects = (*objects)(nil)

// newObjects calls changed with the namespace of the platform that an object is for.
func newObjects(ctx context.Context, mgr manager.Manager, openShift bool, changed func(namespace string)) (*objects, error) {
	granted, err := labels.NewRequirement(Label, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("selecting grants: %w", err)
	}
	o := &objects{kinds: map[schema.GroupVersionKind]*kind{}}
	o.cache, err = cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), ReaderFailOnMissingInformer: true,
		DefaultLabelSelector: labels.NewSelector().Add(*granted), DefaultTransform: strip,
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache of grants: %w", err)
	}
	for _, gvk := range kindsOf(openShift) {
		if err := o.watch(ctx, gvk, changed); err != nil && !meta.IsNoMatchError(err) {
			return nil, err
		}
	}
	if err := mgr.Add(o.cache); err != nil {
		return nil, fmt.Errorf("adding the cache of grants: %w", err)
	}
	return o, nil
}

// strip is the cache's transform.
func strip(object any) (any, error) {
	if u, ok := object.(*unstructured.Unstructured); ok {
		return watch.StripChild(u)
	}
	return object, nil
}

func (o *objects) watch(ctx context.Context, gvk schema.GroupVersionKind, changed func(namespace string)) error {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	informer, err := o.cache.GetInformer(ctx, object, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching the granted %s: %w", gvk.Kind, err)
	}
	k := &kind{informer: informer, overlay: watch.NewOverlay[*unstructured.Unstructured](time.Now)}
	saw := func(object any) {
		if u, ok := object.(*unstructured.Unstructured); ok {
			k.overlay.Saw(u)
			changed(namespaceOf(u))
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: saw, UpdateFunc: func(_, object any) { saw(object) },
		DeleteFunc: func(object any) {
			if tombstone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = tombstone.Obj
			}
			if u, ok := object.(*unstructured.Unstructured); ok {
				k.overlay.Gone(u)
				k.deleting.Delete(u.GetUID())
				changed(namespaceOf(u))
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watching the granted %s: %w", gvk.Kind, err)
	}
	o.kinds[gvk] = k
	return nil
}

// namespaceOf is the namespace of the platform that an object is for.
func namespaceOf(object *unstructured.Unstructured) string {
	if namespace := object.GetLabels()[components.LabelPlatformNamespace]; namespace != "" {
		return namespace
	}
	return object.GetNamespace()
}

// syncTimeout bounds the wait for the first list.
const syncTimeout = 10 * time.Second

// wait waits for the first lists of what every cluster serves.
func (o *objects) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	for _, gvk := range kindsOf(false) {
		if !toolscache.WaitForCacheSync(ctx.Done(), o.kinds[gvk].informer.HasSynced) {
			return fmt.Errorf("listing the granted %s: %w", gvk.Kind, ctx.Err())
		}
	}
	return nil
}

// of are the objects that were granted for the platform of a namespace.
func (o *objects) of(ctx context.Context, namespace string) ([]*unstructured.Unstructured, error) {
	var found []*unstructured.Unstructured
	for gvk, k := range o.kinds {
		if !k.informer.HasSynced() {
			continue
		}
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := o.cache.List(ctx, list); err != nil {
			return nil, fmt.Errorf("listing the granted %s: %w", gvk.Kind, err)
		}
		for i := range list.Items {
			if namespaceOf(&list.Items[i]) == namespace {
				object, _ := k.overlay.Newest(client.ObjectKeyFromObject(&list.Items[i]), &list.Items[i], true)
				found = append(found, object)
			}
		}
	}
	return found, nil
}

// Get implements apply.Objects.
func (o *objects) Get(ctx context.Context, gvk schema.GroupVersionKind, key types.NamespacedName) (*unstructured.Unstructured, error) {
	k, ok := o.kinds[gvk]
	if !ok || !k.informer.HasSynced() {
		return nil, fmt.Errorf("%s %s cannot be granted: its kind is not served", gvk.Kind, key.Name)
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	err := o.cache.Get(ctx, key, object)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading %s %s: %w", gvk.Kind, key, err)
	}
	object, ok = k.overlay.Newest(key, object, err == nil)
	if !ok {
		return nil, nil
	}
	return object, nil
}

// List implements apply.Objects. Grants are of a namespace, not of a component.
func (o *objects) List(ctx context.Context, _ schema.GroupVersionKind, platform types.NamespacedName, _ string) ([]*unstructured.Unstructured, error) {
	return o.of(ctx, platform.Namespace)
}

// Wrote implements apply.Objects.
func (o *objects) Wrote(object *unstructured.Unstructured) {
	if k, ok := o.kinds[object.GroupVersionKind()]; ok {
		if stripped, err := watch.StripChild(object.DeepCopy()); err == nil {
			k.overlay.Wrote(stripped)
		}
	}
}

// Deleting implements apply.Objects.
func (o *objects) Deleting(object *unstructured.Unstructured) bool {
	k, ok := o.kinds[object.GroupVersionKind()]
	if !ok {
		return false
	}
	_, before := k.deleting.LoadOrStore(object.GetUID(), struct{}{})
	return before
}

// NotDeleting implements apply.Objects.
func (o *objects) NotDeleting(object *unstructured.Unstructured) {
	if k, ok := o.kinds[object.GroupVersionKind()]; ok {
		k.deleting.Delete(object.GetUID())
	}
}
