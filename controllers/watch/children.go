// Package watch knows what the cluster holds: the objects that platforms consist of, the kinds that are served, and
// the Secrets that people provide. Everything is read from filtered watches; nothing here polls.
package watch

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// syncTimeout bounds the wait for the first list of a kind. A list that takes longer is reported as a failure and
// tried again.
const syncTimeout = 10 * time.Second

// Children is what is known of the objects that platforms consist of: one label-filtered informer per kind, started
// when a component first needs the kind, overlaid with the answers to our own writes. Secrets are watched in the namespaces of
// platforms only, see Secrets.
type Children struct {
	cache   cache.Cache
	secrets *Secrets

	mu        sync.Mutex
	informers map[scope]*informer
	queues    map[string]queue // by component
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// scope is what one informer watches. Without a namespace that is every one that the cache knows.
type scope struct {
	schema.GroupVersionKind
	namespace string
}

type informer struct {
	cache   cache.Cache
	overlay *Overlay[*unstructured.Unstructured]
	// deleting holds the UIDs whose deletion we asked for and have not seen yet.
	deleting sync.Map
	cancel   context.CancelFunc
}

// NewChildren reads through the given caches, which must be filtered to objects with components.LabelComponent.
func NewChildren(cache cache.Cache, secrets *Secrets) *Children {
	return &Children{
		cache:     cache,
		secrets:   secrets,
		informers: map[scope]*informer{},
		queues:    map[string]queue{},
	}
}

// Source wakes a component's controller when one of the component's objects or Pods changes.
func (c *Children) Source(component string) source.Source {
	return source.Func(func(_ context.Context, q queue) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.queues[component] = q
		return nil
	})
}

// Wake queues a platform for a component's controller.
func (c *Children) Wake(component string, platform types.NamespacedName) {
	c.mu.Lock()
	q := c.queues[component]
	c.mu.Unlock()
	if q != nil {
		q.Add(reconcile.Request{NamespacedName: platform})
	}
}

// Ensure watches a kind for a component of a platform, and returns when its objects are known. It does nothing for a kind that is
// watched already.
func (c *Children) Ensure(ctx context.Context, gvk schema.GroupVersionKind, platform types.NamespacedName, component string) error {
	scope, from := scopeOf(gvk, platform.Namespace), c.cache
	if scope.namespace != "" {
		var err error
		if from, err = c.secrets.use(scope.namespace, user{component, platform}); err != nil {
			return err
		}
	}
	if watched := c.informer(scope); watched != nil && watched.cache == from {
		return nil
	}

	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	object := newObject(gvk)
	shared, err := from.GetInformer(ctx, object)
	if err != nil {
		// The kind may be gone; its informer would ask for it for ever.
		return errors.Join(fmt.Errorf("watching %s: %w", gvk.Kind, err), from.RemoveInformer(context.WithoutCancel(ctx), object))
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if watched, ok := c.informers[scope]; ok && watched.cache == from {
		return nil // another component was faster
	}
	watched := &informer{cache: from, overlay: NewOverlay[*unstructured.Unstructured](time.Now)}
	registration, err := shared.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { c.saw(watched, object) },
		UpdateFunc: func(old, object any) {
			// A changed label may move an object from one platform to another; both must know.
			c.wake(old)
			c.saw(watched, object)
		},
		DeleteFunc: func(object any) { c.gone(watched, object) },
	})
	if err != nil {
		return fmt.Errorf("watching %s: %w", gvk.Kind, err)
	}
	watched.cancel = func() { _ = shared.RemoveEventHandler(registration) }
	c.informers[scope] = watched
	return nil
}

// Release tells that a component of a platform needs no watch that is the platform's own.
func (c *Children) Release(platform types.NamespacedName, component string) {
	if c.secrets.release(platform.Namespace, user{component, platform}) {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.informers, scopeOf(kinds.Secret.GVK(), platform.Namespace))
	}
}

// Drop stops watching a kind that is no longer served: its informer would retry for ever.
func (c *Children) Drop(ctx context.Context, gvk schema.GroupVersionKind) error {
	c.mu.Lock()
	watched, ok := c.informers[scope{GroupVersionKind: gvk}]
	delete(c.informers, scope{GroupVersionKind: gvk})
	c.mu.Unlock()
	if !ok {
		return nil
	}
	watched.cancel()
	if err := c.cache.RemoveInformer(ctx, newObject(gvk)); err != nil {
		return fmt.Errorf("no longer watching %s: %w", gvk.Kind, err)
	}
	return nil
}

// Get returns the object as last seen or written, or nil.
func (c *Children) Get(ctx context.Context, gvk schema.GroupVersionKind, key types.NamespacedName) (*unstructured.Unstructured, error) {
	watched := c.informer(scopeOf(gvk, key.Namespace))
	if watched == nil {
		return nil, fmt.Errorf("%s is not watched", gvk.Kind)
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	err := watched.cache.Get(ctx, key, object)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading %s %s: %w", gvk.Kind, key, err)
	}
	object, ok := watched.overlay.Newest(key, object, err == nil)
	if !ok {
		return nil, nil
	}
	return object, nil
}

// List returns the objects of a kind that belong to a component of a platform, as last seen or written, by name. A
// kind that is not watched has none.
func (c *Children) List(ctx context.Context, gvk schema.GroupVersionKind, platform types.NamespacedName, component string) ([]*unstructured.Unstructured, error) {
	watched := c.informer(scopeOf(gvk, platform.Namespace))
	if watched == nil {
		return nil, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	err := watched.cache.List(ctx, list, client.MatchingLabels{
		components.LabelComponent: component,
		components.LabelPlatform:  platform.Name,
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", gvk.Kind, err)
	}

	known := map[types.NamespacedName]*unstructured.Unstructured{}
	for i := range list.Items {
		object := &list.Items[i]
		key := client.ObjectKeyFromObject(object)
		known[key], _ = watched.overlay.Newest(key, object, true)
	}
	for _, object := range watched.overlay.Pending() {
		key := client.ObjectKeyFromObject(object)
		if _, ok := known[key]; !ok {
			known[key] = object
		}
	}
	objects := make([]*unstructured.Unstructured, 0, len(known))
	for _, object := range known {
		if object.GetLabels()[components.LabelComponent] == component && platformOf(object) == platform {
			objects = append(objects, object)
		}
	}
	sort.Slice(objects, func(i, j int) bool {
		a, b := objects[i], objects[j]
		return a.GetNamespace()+"/"+a.GetName() < b.GetNamespace()+"/"+b.GetName()
	})
	return objects, nil
}

// Pods returns the Pods that carry a component's labels, whoever created them. Their kind must have been ensured.
func (c *Children) Pods(ctx context.Context, platform types.NamespacedName, component string) ([]*corev1.Pod, error) {
	var list corev1.PodList
	err := c.cache.List(ctx, &list, client.InNamespace(platform.Namespace), client.MatchingLabels{
		components.LabelComponent: component,
		components.LabelPlatform:  platform.Name,
	})
	if err != nil {
		return nil, fmt.Errorf("listing Pods: %w", err)
	}
	pods := make([]*corev1.Pod, 0, len(list.Items))
	for i := range list.Items {
		pods = append(pods, &list.Items[i])
	}
	sort.Slice(pods, func(i, j int) bool { return pods[i].Name < pods[j].Name })
	return pods, nil
}

// Wrote records the answer to a create, apply or patch.
func (c *Children) Wrote(object *unstructured.Unstructured) {
	if watched := c.informer(scopeOf(object.GroupVersionKind(), object.GetNamespace())); watched != nil {
		if stripped, err := StripChild(object); err == nil {
			watched.overlay.Wrote(stripped.(*unstructured.Unstructured))
		}
	}
}

// Deleting records that the deletion of an object was asked for, and returns whether it had been before. It is not
// asked for twice while the event is on its way.
func (c *Children) Deleting(object *unstructured.Unstructured) bool {
	watched := c.informer(scopeOf(object.GroupVersionKind(), object.GetNamespace()))
	if watched == nil {
		return false
	}
	_, before := watched.deleting.LoadOrStore(object.GetUID(), struct{}{})
	return before
}

// NotDeleting takes Deleting back, because the request failed.
func (c *Children) NotDeleting(object *unstructured.Unstructured) {
	if watched := c.informer(scopeOf(object.GroupVersionKind(), object.GetNamespace())); watched != nil {
		watched.deleting.Delete(object.GetUID())
	}
}

// Pending is whether the watch still owes the event of a write to an object of the platform.
func (c *Children) Pending(platform types.NamespacedName, component string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, watched := range c.informers {
		for _, object := range watched.overlay.Pending() {
			if object.GetLabels()[components.LabelComponent] == component && platformOf(object) == platform {
				return true
			}
		}
	}
	return false
}

// informer is the scope's, or nil when nothing watches it.
func (c *Children) informer(scope scope) *informer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.informers[scope]
}

// scopeOf is where objects of a kind are watched that are in the namespace.
func scopeOf(gvk schema.GroupVersionKind, namespace string) scope {
	if gvk.GroupKind() == kinds.Secret.GroupKind {
		return scope{gvk, namespace}
	}
	return scope{GroupVersionKind: gvk}
}

func (c *Children) saw(watched *informer, object any) {
	if o, ok := object.(client.Object); ok {
		watched.overlay.Saw(o)
		c.wake(o)
	}
}

func (c *Children) gone(watched *informer, object any) {
	if tombstone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if o, ok := object.(client.Object); ok {
		watched.overlay.Gone(o)
		watched.deleting.Delete(o.GetUID())
		c.wake(o)
	}
}

func (c *Children) wake(object any) {
	if o, ok := object.(client.Object); ok {
		c.Wake(o.GetLabels()[components.LabelComponent], platformOf(o))
	}
}

// platformOf is the platform that an object belongs to, by its labels: objects that hold data have no owner reference.
func platformOf(object metav1.Object) types.NamespacedName {
	labels := object.GetLabels()
	namespace := object.GetNamespace()
	if labels[components.LabelPlatformNamespace] != "" {
		namespace = labels[components.LabelPlatformNamespace]
	}
	return types.NamespacedName{Namespace: namespace, Name: labels[components.LabelPlatform]}
}

func newObject(gvk schema.GroupVersionKind) client.Object {
	if gvk == corev1.SchemeGroupVersion.WithKind("Pod") {
		return &corev1.Pod{}
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	return object
}
