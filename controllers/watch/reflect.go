package watch

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"opendatahub.io/operator/components/kinds"
)

// NewWatcher watches objects that carry the label of their [Children]. failed is called when a kind cannot be listed or watched.
func NewWatcher(config *rest.Config, client *http.Client, mapper meta.RESTMapper, failed func(schema.GroupVersionKind, error)) (Watcher, error) {
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
		objects, err := restClient(config, client, store.kind.GroupVersion())
		if told(err) != nil {
			<-ctx.Done()
			return
		}
		request := func(options metav1.ListOptions) *rest.Request {
			return objects.Get().NamespaceIfScoped(store.namespace, store.namespace != "").Resource(mapping.Resource.Resource).
				SpecificallyVersionedParams(&options, scheme.ParameterCodec, schema.GroupVersion{Version: "v1"})
		}
		reflect(ctx, store, nil,
			func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				answer := request(options).Do(ctx)
				if err := told(answer.Error()); err != nil {
					return nil, err
				}
				content, err := answer.Raw()
				if err != nil {
					return nil, err
				}
				return store.by.decodeList(content, store.kind)
			},
			func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				options.Watch = true
				timeout := time.Duration(0)
				if options.TimeoutSeconds != nil {
					timeout = time.Duration(*options.TimeoutSeconds) * time.Second
				}
				body, err := request(options).Timeout(timeout).Stream(ctx)
				if told(err) != nil {
					return nil, err
				}
				return watch.NewStreamWatcher(newEvents(body, store.kind, store.by),
					apierrors.NewClientErrorReporter(http.StatusInternalServerError, "watch", "ClientWatchDecoding")), nil
			})
	}, nil
}

// restClient decodes errors only; objects are read as text.
func restClient(config *rest.Config, client *http.Client, group schema.GroupVersion) (rest.Interface, error) {
	plain := rest.CopyConfig(config)
	plain.ContentType, plain.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	plain.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	plain.GroupVersion, plain.APIPath = &group, "/apis"
	if group.Group == "" {
		plain.APIPath = "/api"
	}
	made, err := rest.RESTClientForConfigAndClient(plain, client)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", group, err)
	}
	return made, nil
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
	}, expected, store, toolscache.ReflectorOptions{Name: "objects of platforms", TypeDescription: store.kind.String()})
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
