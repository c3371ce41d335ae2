package watch

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"opendatahub.io/operator/components/kinds"
)

// NewWatcher watches objects that carry the label of their [Children]. failed is told when a kind cannot be listed or watched.
func NewWatcher(config *rest.Config, client *http.Client, mapper meta.RESTMapper, failed func(schema.GroupVersionKind, error)) (Watcher, error) {
	objects, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("making a client for objects: %w", err)
	}
	protobuf := rest.CopyConfig(config)
	protobuf.ContentType = runtime.ContentTypeProtobuf
	protobuf.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	native, err := kubernetes.NewForConfigAndClient(protobuf, client)
	if err != nil {
		return nil, fmt.Errorf("making a client for Pods: %w", err)
	}
	return func(ctx context.Context, store *Store) {
		told := func(err error) error {
			if err != nil && ctx.Err() == nil {
				store.Fail(err)
				failed(store.kind, err)
			}
			return err
		}
		if store.kind == kinds.Pod.GVK() {
			pods := native.CoreV1().Pods(store.namespace)
			reflect(ctx, store, &corev1.Pod{},
				func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
					list, err := pods.List(ctx, options)
					return list, told(err)
				},
				func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
					events, err := pods.Watch(ctx, options)
					return events, told(err)
				})
			return
		}
		mapping, err := mapper.RESTMapping(store.kind.GroupKind(), store.kind.Version)
		if told(err) != nil {
			<-ctx.Done() // a kind that no component lists
			return
		}
		resource := objects.Resource(mapping.Resource).Namespace(store.namespace)
		expected := &unstructured.Unstructured{}
		expected.SetGroupVersionKind(store.kind)
		reflect(ctx, store, expected,
			func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				list, err := resource.List(ctx, options)
				return list, told(err)
			},
			func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				events, err := resource.Watch(ctx, options)
				return events, told(err)
			})
	}, nil
}

// reflect runs until the context ends.
func reflect(ctx context.Context, store *Store, expected any, list toolscache.ListWithContextFunc, watch toolscache.WatchFuncWithContext) {
	ours := func(options metav1.ListOptions) metav1.ListOptions {
		options.LabelSelector = store.by.label
		return options
	}
	reflector := toolscache.NewReflectorWithOptions(&toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return list(ctx, ours(options))
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch, error) {
			return watch(ctx, ours(options))
		},
	}, expected, store, toolscache.ReflectorOptions{Name: "objects of platforms"})
	reflector.RunWithContext(ctx)
}

type apiwatch = watch.Interface

// InAll is the scope of a manager that looks after all namespaces, in which one watch of a kind serves every platform. Kinds
// that are read with rights in the namespace of a platform only are given as apart: each platform gets a watch of its own.
func InAll(apart ...kinds.Kind) Scope {
	return func(kind schema.GroupVersionKind, namespace string) string {
		if slices.ContainsFunc(apart, func(k kinds.Kind) bool { return k.GroupKind == kind.GroupKind() }) {
			return namespace
		}
		return ""
	}
}

// InEach is the scope of a manager that looks after some namespaces: it has rights in these only, and each has watches of its own.
// Kinds without a namespace are watched as a whole.
func InEach(clusterScoped ...kinds.Kind) Scope {
	return func(kind schema.GroupVersionKind, namespace string) string {
		if slices.ContainsFunc(clusterScoped, func(k kinds.Kind) bool { return k.GroupKind == kind.GroupKind() }) {
			return ""
		}
		return namespace
	}
}
