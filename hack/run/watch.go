package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"opendatahub.io/operator/api/v1alpha1"
)

// watch sends the OpenDataHub whenever it changes, until the context ends.
func watch(ctx context.Context, config *rest.Config, name types.NamespacedName) (<-chan *v1alpha1.OpenDataHub, error) {
	clients, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(clients, v1alpha1.GroupVersion.WithResource("opendatahubs"), name.Namespace, 0,
		cache.Indexers{}, func(options *metav1.ListOptions) {
			options.FieldSelector = fields.OneTermEqualSelector("metadata.name", name.Name).String()
		}).Informer()

	updates := make(chan *v1alpha1.OpenDataHub)
	send := func(object any) {
		hub := &v1alpha1.OpenDataHub{}
		content, ok := object.(*unstructured.Unstructured)
		if !ok || runtime.DefaultUnstructuredConverter.FromUnstructured(content.Object, hub) != nil {
			return
		}
		select {
		case updates <- hub:
		case <-ctx.Done():
		}
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    send,
		UpdateFunc: func(_, object any) { send(object) },
	})
	if err != nil {
		return nil, fmt.Errorf("watching the OpenDataHub: %w", err)
	}
	go informer.RunWithContext(ctx)
	return updates, nil
}
