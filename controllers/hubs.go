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

// hubs reads OpenDataHubs through the cache, never older than our own last write.
type hubs struct {
	cache   cache.Cache
	overlay *watch.Overlay[*v1alpha1.OpenDataHub]
}

// observe keeps the overlay in step with the watch.
func (h *hubs) observe(ctx context.Context) error {
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
			if hub, ok := object.(*v1alpha1.OpenDataHub); ok {
				h.overlay.Gone(hub)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watching OpenDataHubs: %w", err)
	}
	return nil
}

func (h *hubs) saw(object any) {
	if hub, ok := object.(*v1alpha1.OpenDataHub); ok {
		h.overlay.Saw(hub)
	}
}

// get returns the resource, or nil when there is none.
func (h *hubs) get(ctx context.Context, key types.NamespacedName) (*v1alpha1.OpenDataHub, error) {
	hub := &v1alpha1.OpenDataHub{}
	err := h.cache.Get(ctx, key, hub)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading OpenDataHub %s: %w", key, err)
	}
	if hub, ok := h.overlay.Newest(key, hub, err == nil); ok {
		return hub.DeepCopy(), nil
	}
	return nil, nil
}

// platformOf returns the OpenDataHub of the namespace that is deployed.
func (h *hubs) platformOf(ctx context.Context, namespace string) (*v1alpha1.OpenDataHub, error) {
	var list v1alpha1.OpenDataHubList
	if err := h.cache.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing the OpenDataHubs of namespace %s: %w", namespace, err)
	}
	all := make([]*v1alpha1.OpenDataHub, 0, len(list.Items))
	for i := range list.Items {
		hub, _ := h.overlay.Newest(client.ObjectKeyFromObject(&list.Items[i]), &list.Items[i], true)
		all = append(all, hub)
	}
	return cluster.PlatformOf(all), nil
}
