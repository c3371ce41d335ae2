// Package watch knows what the cluster holds: the objects that platforms consist of, the kinds that are served, and
// the Secrets that people provide. Everything is read from filtered watches; nothing here polls.
package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// syncTimeout bounds the wait for the first list of a kind. A list that takes longer goes on, and the reconcile
// that waits for it fails and is retried.
const syncTimeout = 10 * time.Second

// Watcher lists and watches what the store covers until the context ends.
type Watcher func(ctx context.Context, store *Store)

// Scope says which namespace a watch of a kind covers that the platform of a namespace needs: that one, or empty for all.
type Scope func(kind schema.GroupVersionKind, namespace string) string

// Children holds the objects that platforms consist of. A watch starts when a component first needs a kind. Every watch is a store
// and a goroutine of its own, so that starting one, giving one up and starting it again cannot disturb each other.
type Children struct {
	watcher Watcher
	scope   Scope
	by      grouping
	wake    func(component string, platform types.NamespacedName)
	// started is closed once ctx, in which the watches run, is set.
	started chan struct{}
	ctx     context.Context
	timeout time.Duration

	mu     sync.Mutex
	stores map[scope]*Store
}

// NewChildren watches with the given watcher once it is started, and wakes a component of a platform when one of its objects or
// Pods changes.
func NewChildren(watcher Watcher, scoped Scope, wake func(component string, platform types.NamespacedName)) *Children {
	return &Children{
		watcher: watcher, scope: scoped, wake: wake, timeout: syncTimeout,
		by:      grouping{label: components.LabelComponent, platforms: true},
		started: make(chan struct{}), stores: map[scope]*Store{},
	}
}

// By selects the objects by a label, whose value stands for the component; they belong to no platform. It must be called before
// anything is watched.
func (c *Children) By(label string) *Children {
	c.by = grouping{label: label}
	return c
}

// Start implements manager.Runnable: watches run until the context ends.
func (c *Children) Start(ctx context.Context) error {
	c.ctx = ctx
	close(c.started)
	<-ctx.Done()
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: controllers, which do need it, start after this.
func (*Children) NeedLeaderElection() bool { return false }

// Ensure watches a kind for a component of a platform, and returns when its objects are known. It returns at once for a kind
// that is watched already.
func (c *Children) Ensure(ctx context.Context, kind schema.GroupVersionKind, platform types.NamespacedName, component string) error {
	timer := time.NewTimer(c.timeout)
	defer timer.Stop()
	select {
	case <-c.started:
	case <-ctx.Done():
		return fmt.Errorf("watching %s: %w", kind.Kind, ctx.Err())
	case <-timer.C:
		return fmt.Errorf("watching %s: watches are not started", kind.Kind)
	}
	store := c.start(scope{kind, c.scope(kind, platform.Namespace)}, user{component, platform})
	select {
	case <-store.synced:
		return nil
	case <-store.stopped:
		return fmt.Errorf("watching %s: the watch was given up", kind.Kind)
	case <-ctx.Done():
		return fmt.Errorf("watching %s: %w", kind.Kind, ctx.Err())
	case <-timer.C:
		if err := store.lastFailure(); err != nil {
			return fmt.Errorf("watching %s: %w", kind.Kind, err)
		}
		return fmt.Errorf("watching %s: its first list is not complete after %s", kind.Kind, c.timeout)
	}
}

// start returns the store of a scope, and starts its watch if there is none.
func (c *Children) start(of scope, by user) *Store {
	c.mu.Lock()
	defer c.mu.Unlock()
	if store, ok := c.stores[of]; ok {
		store.users[by] = true
		return store
	}
	ctx, cancel := context.WithCancel(c.ctx)
	store := newStore(of, c.by, func(concerned owner) { c.wake(concerned.component, concerned.platform) }, cancel)
	store.users[by] = true
	c.stores[of] = store
	go func() {
		defer close(store.stopped)
		c.watcher(ctx, store)
	}()
	return store
}

// Drop gives up the watches of a kind that is no longer served: their reflectors would retry for ever.
func (c *Children) Drop(kind schema.GroupVersionKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for of, store := range c.stores {
		if of.kind == kind {
			store.stop()
			delete(c.stores, of)
		}
	}
}

// Release tells that a component of a platform is gone. Watches of the platform's namespace that nobody needs any more are given up;
// the manager may have lost the right to them.
func (c *Children) Release(platform types.NamespacedName, component string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for of, store := range c.stores {
		if of.namespace != platform.Namespace || of.namespace == "" {
			continue
		}
		if delete(store.users, user{component, platform}); len(store.users) == 0 {
			store.stop()
			delete(c.stores, of)
		}
	}
}

// Get returns the object as last seen or written, or nil. It is shared, and must not be changed.
func (c *Children) Get(_ context.Context, kind schema.GroupVersionKind, key types.NamespacedName) (*unstructured.Unstructured, error) {
	store := c.store(kind, key.Namespace)
	if store == nil || !store.ready() {
		// Not nil, which would have it created.
		return nil, fmt.Errorf("%s is not watched", kind.Kind)
	}
	found := store.get(key)
	if found == nil {
		return nil, nil
	}
	return found.object()
}

// List returns the objects of a kind that belong to a component of a platform, as last seen or written, by name. They are shared,
// and must not be changed. A kind that is not watched has none.
func (c *Children) List(_ context.Context, kind schema.GroupVersionKind, platform types.NamespacedName, component string) ([]*unstructured.Unstructured, error) {
	store := c.store(kind, platform.Namespace)
	if store == nil {
		return nil, nil
	}
	if !store.ready() {
		return nil, fmt.Errorf("%s is not listed yet", kind.Kind)
	}
	var objects []*unstructured.Unstructured
	for _, found := range store.list(owner{platform, component}) {
		object, err := found.object()
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// Pods returns the Pods that carry a component's labels, whoever created them, by name. They are shared, and must not be changed.
func (c *Children) Pods(_ context.Context, platform types.NamespacedName, component string) ([]*corev1.Pod, error) {
	store := c.store(kinds.Pod.GVK(), platform.Namespace)
	if store == nil || !store.ready() {
		return nil, errors.New("Pods are not watched")
	}
	var pods []*corev1.Pod
	for _, found := range store.list(owner{platform, component}) {
		if found.key.Namespace == platform.Namespace || !c.by.platforms {
			pods = append(pods, found.pod)
		}
	}
	return pods, nil
}

// Wrote records the answer to a create, apply or patch.
func (c *Children) Wrote(object *unstructured.Unstructured) {
	if store := c.store(object.GroupVersionKind(), object.GetNamespace()); store != nil {
		if written, err := childOf(object, c.by); err == nil {
			store.overlay.Wrote(written)
		}
	}
}

// Deleting records that the deletion of an object was asked for, and returns whether it had been before, or whether the object is
// gone already. It is not asked for twice while the event is on its way.
func (c *Children) Deleting(object *unstructured.Unstructured) bool {
	store := c.store(object.GroupVersionKind(), object.GetNamespace())
	return store != nil && store.markDeleting(keyOf(object), object.GetUID())
}

// NotDeleting takes Deleting back, because the request failed.
func (c *Children) NotDeleting(object *unstructured.Unstructured) {
	if store := c.store(object.GroupVersionKind(), object.GetNamespace()); store != nil {
		store.unmarkDeleting(object.GetUID())
	}
}

// Pending is whether a watch still owes the event of a write to an object of the platform's component.
func (c *Children) Pending(platform types.NamespacedName, component string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for of, store := range c.stores {
		if (of.namespace == "" || of.namespace == platform.Namespace) && store.pending(owner{platform, component}) {
			return true
		}
	}
	return false
}

// store is the one that covers a kind in a namespace, or nil when there is none.
func (c *Children) store(kind schema.GroupVersionKind, namespace string) *Store {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stores[scope{kind, c.scope(kind, namespace)}]
}
