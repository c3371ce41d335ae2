package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
)

// Found holds the objects of foreign kinds, see components.Use.Keep: all that the cluster has, and of each what components look at. A
// watch starts when a component first needs a kind. They are watched apart from the manager's cache, because a controller starts when
// every informer of that has synced.
type Found struct {
	cache.Cache
	wake func(schema.GroupKind)

	mu sync.Mutex
	// failures are why a kind could not be listed or watched, by how a reflector calls it.
	failures map[string]error
	watched  map[schema.GroupVersionKind]bool
}

// NewFound watches once it is started, and calls wake when what is kept of an object changes.
func NewFound(config *rest.Config, http *http.Client, mapper meta.RESTMapper, uses []components.Use, wake func(schema.GroupKind)) (*Found, error) {
	found := &Found{wake: wake, failures: map[string]error{}, watched: map[schema.GroupVersionKind]bool{}}
	options := cache.Options{
		HTTPClient: http, Mapper: mapper, ReaderFailOnMissingInformer: true, ByObject: map[client.Object]cache.ByObject{},
		DefaultWatchErrorHandler: func(_ context.Context, reflector *toolscache.Reflector, err error) {
			found.mu.Lock()
			defer found.mu.Unlock()
			found.failures[reflector.TypeDescription()] = err
		},
	}
	for _, use := range uses {
		for _, version := range use.Versions {
			options.ByObject[newObject(use.WithVersion(version))] = cache.ByObject{Transform: kept(use)}
		}
	}
	var err error
	if found.Cache, err = cache.New(config, options); err != nil {
		return nil, fmt.Errorf("making a cache for objects of the cluster: %w", err)
	}
	return found, nil
}

func newObject(kind schema.GroupVersionKind) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	return object
}

// kept is the transform for a kind.
func kept(use components.Use) toolscache.TransformFunc {
	return func(object any) (any, error) {
		if object, ok := object.(*unstructured.Unstructured); ok {
			object.SetManagedFields(nil)
			use.Keep(object)
		}
		return object, nil
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: controllers, which do need it, start after this.
func (*Found) NeedLeaderElection() bool { return false }

// Ensure watches a kind, and returns when its objects are known.
func (f *Found) Ensure(ctx context.Context, kind schema.GroupVersionKind) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watched[kind] {
		return nil
	}
	object := newObject(kind)
	informer, err := f.GetInformer(ctx, object, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching %s: %w", kind.Kind, err)
	}
	syncing, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	f.mu.Unlock() // failures are noted meanwhile
	synced := toolscache.WaitForCacheSync(syncing.Done(), informer.HasSynced)
	f.mu.Lock()
	if !synced {
		err := cmp.Or(f.failures[kind.String()], fmt.Errorf("its first list is not complete after %s", syncTimeout))
		return fmt.Errorf("watching %s: %w", kind.Kind, err)
	}
	if f.watched[kind] { // by another platform, meanwhile
		return nil
	}
	if _, err := informer.AddEventHandler(f.handler(kind.GroupKind())); err != nil {
		return fmt.Errorf("watching %s: %w", kind.Kind, err)
	}
	f.watched[kind] = true
	delete(f.failures, kind.String())
	return nil
}

func (f *Found) handler(kind schema.GroupKind) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(_ any, listed bool) {
			if !listed {
				f.wake(kind)
			}
		},
		UpdateFunc: func(before, after any) {
			if !equality.Semantic.DeepEqual(content(before), content(after)) {
				f.wake(kind)
			}
		},
		DeleteFunc: func(any) { f.wake(kind) },
	}
}

// content is an object without its versions.
func content(object any) map[string]any {
	found, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	content := maps.Clone(found.Object)
	metadata, _ := content["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	delete(metadata, "resourceVersion")
	content["metadata"] = metadata
	return content
}

// Drop gives up the watch of a kind that is no longer served.
func (f *Found) Drop(ctx context.Context, kind schema.GroupVersionKind) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.watched[kind] {
		return nil
	}
	delete(f.watched, kind)
	return f.RemoveInformer(ctx, newObject(kind))
}

// All are the objects of a kind, by name. They are shared, and must not be changed.
func (f *Found) All(ctx context.Context, kind schema.GroupVersionKind) (components.Objects, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := f.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		if notCached := (*cache.ErrResourceNotCached)(nil); errors.As(err, &notCached) || apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("%s is not watched", kind.Kind)
		}
		return nil, fmt.Errorf("listing objects of kind %s: %w", kind.Kind, err)
	}
	all := make(components.Objects, 0, len(list.Items))
	for i := range list.Items {
		all = append(all, &list.Items[i])
	}
	slices.SortFunc(all, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return all, nil
}
