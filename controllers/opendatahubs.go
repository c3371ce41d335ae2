package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/controllers/watch"
)

// odhs reads OpenDataHubs through the cache, never older than our own last write.
type odhs struct {
	cache   cache.Cache
	overlay *watch.Overlay[*v1alpha1.OpenDataHub]
}

// observe keeps the overlay in step with the watch.
func (h *odhs) observe(ctx context.Context) error {
	if err := h.cache.IndexField(ctx, &v1alpha1.OpenDataHub{}, indexHosts, indexByHosts); err != nil {
		return fmt.Errorf("indexing OpenDataHubs: %w", err)
	}
	informer, err := h.cache.GetInformer(ctx, &v1alpha1.OpenDataHub{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching OpenDataHubs: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { h.saw(object) },
		UpdateFunc: func(_, object any) { h.saw(object) },
		DeleteFunc: func(object any) {
			if tombstone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = tombstone.Obj
			}
			if odh, ok := object.(*v1alpha1.OpenDataHub); ok {
				h.overlay.Gone(odh)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watching OpenDataHubs: %w", err)
	}
	return nil
}

// keys are those of all OpenDataHubs that the manager may look at.
func (h *odhs) keys() []types.NamespacedName {
	all, err := h.list(context.Background())
	if err != nil {
		return nil // the cache has not begun, and everything is queued when it does
	}
	keys := make([]types.NamespacedName, 0, len(all))
	for _, odh := range all {
		keys = append(keys, client.ObjectKeyFromObject(odh))
	}
	return keys
}

func (h *odhs) saw(object any) {
	if odh, ok := object.(*v1alpha1.OpenDataHub); ok {
		h.overlay.Saw(odh)
	}
}

// get returns the resource, or nil when there is none. It is the caller's own.
func (h *odhs) get(ctx context.Context, key types.NamespacedName) (*v1alpha1.OpenDataHub, error) {
	odh := &v1alpha1.OpenDataHub{}
	err := h.cache.Get(ctx, key, odh, client.UnsafeDisableDeepCopy)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading OpenDataHub %s: %w", key, err)
	}
	if odh, ok := h.overlay.Newest(key, odh, err == nil); ok {
		return odh.DeepCopy(), nil
	}
	return nil, nil
}

// list returns the resources of all namespaces, or of one. They are shared, and must not be changed.
func (h *odhs) list(ctx context.Context, options ...client.ListOption) ([]*v1alpha1.OpenDataHub, error) {
	var list v1alpha1.OpenDataHubList
	if err := h.cache.List(ctx, &list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("listing OpenDataHubs: %w", err)
	}
	all := make([]*v1alpha1.OpenDataHub, 0, len(list.Items))
	for i := range list.Items {
		newest, _ := h.overlay.Newest(client.ObjectKeyFromObject(&list.Items[i]), &list.Items[i], true)
		all = append(all, newest)
	}
	return all, nil
}

// platformOf returns the OpenDataHub of the namespace that is deployed. It is shared, and must not be changed.
func (h *odhs) platformOf(ctx context.Context, namespace string) (*v1alpha1.OpenDataHub, error) {
	all, err := h.list(ctx, client.InNamespace(namespace))
	if err != nil {
		return nil, fmt.Errorf("finding the platform of namespace %s: %w", namespace, err)
	}
	return cluster.PlatformOf(all), nil
}
