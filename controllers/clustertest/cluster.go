// Package clustertest is a cluster in memory for the tests of the controllers: an API server with server-side apply,
// and the filtered cache that the manager reads from, whose watch delivers every write at once.
package clustertest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	clientgoac "k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"

	"opendatahub.io/operator/api/v1alpha1"
	odhac "opendatahub.io/operator/api/v1alpha1/applyconfiguration"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/watch"
	"opendatahub.io/operator/dependencies"
)

// Cluster is the API server. It gives UIDs, and refuses writes whose UID is not the object's, as a real one does.
type Cluster struct {
	client.Client

	// Fail, if set, is asked before every write; the write fails with what it returns.
	Fail func(verb string, object client.Object) error

	t         *testing.T
	scheme    *runtime.Scheme
	direct    client.Client // without all that this type adds
	writes    []string
	uids      int
	informers map[schema.GroupVersionKind]*controllertest.FakeInformer
	indexes   map[string]client.IndexerFunc

	mu     sync.Mutex
	stores []*watch.Store // of Children
}

// New is a cluster that holds the objects. Their managed fields say that no part of the operator wrote them.
func New(t *testing.T, objects ...client.Object) *Cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	// Converters take any kind of their scheme, so each gets one with its own kinds only.
	native := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(native); err != nil {
		t.Fatal(err)
	}
	own := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(own); err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, scheme: scheme, informers: map[schema.GroupVersionKind]*controllertest.FakeInformer{}, indexes: map[string]client.IndexerFunc{}}
	for _, object := range objects {
		if object.GetUID() == "" {
			object.SetUID(c.uid())
		}
	}
	base := fake.NewClientBuilder().
		WithScheme(scheme).
		WithTypeConverters(clientgoac.NewTypeConverter(native), odhac.NewTypeConverter(own), managedfields.NewDeducedTypeConverter()).
		WithReturnManagedFields().
		WithGlobalResourceVersionCounter().
		WithStatusSubresource(&v1alpha1.OpenDataHub{}).
		WithObjects(objects...).
		Build()
	c.direct = base
	c.Client = interceptor.NewClient(base, interceptor.Funcs{
		Create: func(ctx context.Context, inner client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return c.write(ctx, "create", object, func() error { return inner.Create(ctx, object, opts...) })
		},
		Apply: func(ctx context.Context, inner client.WithWatch, config runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			object, ok := config.(client.Object)
			if !ok { // one of client-go's
				content, err := json.Marshal(config)
				if err != nil {
					return err
				}
				untyped := &unstructured.Unstructured{}
				if err := untyped.UnmarshalJSON(content); err != nil {
					return err
				}
				object, config = untyped, client.ApplyConfigurationFromUnstructured(untyped)
			}
			return c.write(ctx, "apply", object, func() error { return inner.Apply(ctx, config, opts...) })
		},
		Patch: func(ctx context.Context, inner client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return c.write(ctx, "patch", object, func() error { return inner.Patch(ctx, object, patch, opts...) })
		},
		Delete: func(ctx context.Context, inner client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			var options client.DeleteOptions
			options.ApplyOptions(opts)
			if options.Preconditions == nil || options.Preconditions.UID == nil {
				t.Errorf("%s is deleted without a UID precondition", name(object))
			} else {
				object.SetUID(*options.Preconditions.UID)
			}
			return c.write(ctx, "delete", object, func() error { return inner.Delete(ctx, object, opts...) })
		},
		SubResourceApply: func(ctx context.Context, inner client.Client, subresource string, config runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
			var options client.SubResourceApplyOptions
			options.ApplyOpts(opts)
			// The fake does not tell the fields that a manager owns through a subresource from the others.
			opts = append(opts, client.FieldOwner(options.FieldManager+statusSuffix))
			return c.write(ctx, "apply "+subresource+" of", config.(client.Object), func() error {
				return inner.SubResource(subresource).Apply(ctx, config, opts...)
			})
		},
		SubResourcePatch: func(ctx context.Context, inner client.Client, subresource string, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return c.write(ctx, "patch "+subresource+" of", object, func() error {
				return inner.SubResource(subresource).Patch(ctx, object, patch, opts...)
			})
		},
		Get: func(ctx context.Context, inner client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			err := inner.Get(ctx, key, object, opts...)
			present(object)
			return err
		},
	})
	return c
}

// Writes are the writes so far, in order, as in "apply ConfigMap lab/odh-a", and starts counting anew.
func (c *Cluster) Writes() []string {
	writes := c.writes
	c.writes = nil
	return writes
}

// Do changes the cluster as somebody else would: no write is counted, and the watch delivers it.
func (c *Cluster) Do(object client.Object, change func(client.Client) error) {
	c.t.Helper()
	before := c.current(c.t.Context(), object)
	if err := change(c.direct); err != nil {
		c.t.Fatal(err)
	}
	c.deliver(before, c.current(c.t.Context(), object))
}

// Object reads what the API server has, or nil.
func (c *Cluster) Object(gvk schema.GroupVersionKind, namespace, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	object.SetNamespace(namespace)
	object.SetName(name)
	return c.current(c.t.Context(), object)
}

// Children are the objects of platforms as the manager sees them, with these kinds watched. Secrets are in namespace lab. Nobody
// is woken by events.
func (c *Cluster) Children(gvks ...schema.GroupVersionKind) *watch.Children {
	c.t.Helper()
	return c.ChildrenWaking(func(string, types.NamespacedName) {}, gvks...)
}

// Labelled are the objects that carry a label, of kinds that are watched from when they are asked for.
func (c *Cluster) Labelled(label string) *watch.Children {
	children := watch.NewChildren(c.watch, watch.InAll(), func(string, types.NamespacedName) {}).By(label)
	go func() { _ = children.Start(c.t.Context()) }()
	return children
}

// ChildrenWaking is Children with somebody to wake.
func (c *Cluster) ChildrenWaking(wake func(component string, platform types.NamespacedName), gvks ...schema.GroupVersionKind) *watch.Children {
	c.t.Helper()
	children := watch.NewChildren(c.watch, watch.InAll(kinds.Secret), wake)
	go func() { _ = children.Start(c.t.Context()) }()
	for _, gvk := range gvks {
		if err := children.Ensure(c.t.Context(), gvk, types.NamespacedName{Namespace: "lab", Name: "odh"}, "test"); err != nil {
			c.t.Fatal(err)
		}
	}
	return children
}

// watch is a watch.Watcher.
func (c *Cluster) watch(ctx context.Context, store *watch.Store) {
	c.mu.Lock()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(store.Kind().GroupVersion().WithKind(store.Kind().Kind + "List"))
	err := c.direct.List(ctx, list, client.InNamespace(store.Namespace()))
	if err == nil {
		var all []any
		for i := range list.Items {
			if present(&list.Items[i]); selected(&list.Items[i]) {
				all = append(all, c.delivered(&list.Items[i]))
			}
		}
		err = store.Replace(all, "")
	}
	c.stores = append(c.stores, store)
	c.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		c.t.Error(err)
	}
	<-ctx.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stores = slices.DeleteFunc(c.stores, func(s *watch.Store) bool { return s == store })
}

// delivered is an object in the form in which a watch delivers it.
func (c *Cluster) delivered(object *unstructured.Unstructured) client.Object {
	if object.GetKind() != "Pod" {
		return object.DeepCopy()
	}
	pod := &corev1.Pod{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, pod); err != nil {
		c.t.Fatal(err)
	}
	return pod
}

func (c *Cluster) write(ctx context.Context, verb string, object client.Object, do func() error) error {
	if verb == "apply" && object.GetResourceVersion() != "" {
		// A real API server compares the version with that of an object that exists, and creates one that does not. The fake's first
		// version is a real one's last before the first.
		const none = "1"
		if existing := c.current(ctx, object); existing != nil &&
			(object.GetResourceVersion() == none || existing.GetResourceVersion() != object.GetResourceVersion()) {
			return apierrors.NewConflict(schema.GroupResource{}, object.GetName(), fmt.Errorf("the object has been modified"))
		}
		object.SetResourceVersion("")
	}
	c.writes = append(c.writes, verb+" "+name(object))
	if c.Fail != nil {
		if err := c.Fail(verb, object); err != nil {
			return err
		}
	}
	before := c.current(ctx, object)
	if before != nil && object.GetUID() != "" && object.GetUID() != before.GetUID() {
		return apierrors.NewConflict(schema.GroupResource{}, object.GetName(), fmt.Errorf("the UID in the precondition does not match"))
	}
	if err := do(); err != nil {
		return err
	}
	after := c.current(ctx, object)
	if after != nil && after.GetUID() == "" {
		after.SetUID(c.uid())
		raw := after.DeepCopy()
		raw.SetManagedFields(nil) // leaves them alone
		if err := c.direct.Update(ctx, raw, client.FieldOwner("apiserver")); err != nil {
			return err
		}
		after = c.current(ctx, object)
		object.SetUID(after.GetUID())
		object.SetResourceVersion(after.GetResourceVersion())
	}
	present(object)
	c.deliver(before, after)
	return nil
}

const statusSuffix = "/status"

// present gives managed fields the form that a real API server gives them.
func present(object client.Object) {
	entries := object.GetManagedFields()
	for i := range entries {
		if manager, ok := strings.CutSuffix(entries[i].Manager, statusSuffix); ok {
			entries[i].Manager, entries[i].Subresource = manager, "status"
		}
	}
	object.SetManagedFields(entries)
}

func (c *Cluster) current(ctx context.Context, object client.Object) *unstructured.Unstructured {
	gvk, err := apiutil.GVKForObject(object, c.scheme)
	if err != nil {
		c.t.Fatal(err)
	}
	current := &unstructured.Unstructured{}
	current.SetGroupVersionKind(gvk)
	err = c.direct.Get(ctx, client.ObjectKeyFromObject(object), current)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		c.t.Fatal(err)
	}
	present(current)
	return current
}

// deliver is the watch, which sees only what the label selector of the cache selects.
func (c *Cluster) deliver(before, after *unstructured.Unstructured) {
	gvk := schema.GroupVersionKind{}
	for _, object := range []*unstructured.Unstructured{before, after} {
		if object != nil {
			gvk = object.GroupVersionKind()
		}
	}
	saw, sees := selected(before), selected(after)
	c.mu.Lock()
	stores := slices.Clone(c.stores)
	c.mu.Unlock()
	for _, store := range stores {
		if store.Kind() != gvk {
			continue
		}
		var err error
		switch {
		case sees:
			err = store.Update(c.delivered(after))
		case saw:
			err = store.Delete(c.delivered(before))
		}
		if err != nil {
			c.t.Error(err)
		}
	}
	informer, ok := c.informers[gvk]
	if !ok {
		return
	}
	switch {
	case !saw && sees:
		informer.Add(c.seen(after))
	case saw && sees:
		informer.Update(c.seen(before), c.seen(after))
	case saw && !sees:
		informer.Delete(c.seen(before))
	}
}

// seen is the object in the form in which the cache holds it.
func (c *Cluster) seen(object *unstructured.Unstructured) client.Object {
	if object.GetKind() == "OpenDataHub" {
		hub := &v1alpha1.OpenDataHub{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, hub); err != nil {
			c.t.Fatal(err)
		}
		return hub
	}
	return object
}

func selected(object *unstructured.Unstructured) bool {
	if object == nil {
		return false
	}
	_, ok := object.GetLabels()[components.LabelComponent]
	_, dependency := object.GetLabels()[dependencies.Label]
	return ok || dependency || object.GetKind() == "OpenDataHub"
}

func (c *Cluster) uid() types.UID {
	c.uids++
	return types.UID("uid-" + strconv.Itoa(c.uids))
}

func name(object client.Object) string {
	kind := object.GetObjectKind().GroupVersionKind().Kind
	if kind == "" {
		kind = fmt.Sprintf("%T", object)
	}
	return kind + " " + object.GetNamespace() + "/" + object.GetName()
}

// Cache is what the manager reads from.
func (c *Cluster) Cache() cache.Cache { return view{cluster: c} }

// view has the methods of a cache that the controllers use; the others panic.
type view struct {
	cache.Cache
	cluster *Cluster
}

func (v view) GetInformer(_ context.Context, object client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	gvk, err := apiutil.GVKForObject(object, v.cluster.scheme)
	if err != nil {
		return nil, err
	}
	if _, ok := v.cluster.informers[gvk]; !ok {
		v.cluster.informers[gvk] = controllertest.NewFakeInformer(controllertest.Synced)
	}
	return v.cluster.informers[gvk], nil
}

func (v view) RemoveInformer(_ context.Context, object client.Object) error {
	gvk, err := apiutil.GVKForObject(object, v.cluster.scheme)
	delete(v.cluster.informers, gvk)
	return err
}

func (v view) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if err := v.watched(object); err != nil {
		return err
	}
	if err := v.cluster.direct.Get(ctx, key, object, opts...); err != nil {
		return err
	}
	present(object)
	return nil
}

func (v view) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := v.watched(list); err != nil {
		return err
	}
	all := &client.ListOptions{}
	all.ApplyOptions(opts)
	selector := all.FieldSelector
	all.FieldSelector = nil
	if err := v.cluster.direct.List(ctx, list, all); err != nil || selector == nil {
		return err
	}
	objects, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	objects = slices.DeleteFunc(objects, func(object runtime.Object) bool {
		term := selector.Requirements()[0]
		indexed, ok := object.(client.Object)
		return !ok || !slices.Contains(v.cluster.indexes[term.Field](indexed), term.Value)
	})
	return meta.SetList(list, objects)
}

func (v view) IndexField(_ context.Context, _ client.Object, field string, values client.IndexerFunc) error {
	v.cluster.indexes[field] = values
	return nil
}

// watched is ReaderFailOnMissingInformer.
func (v view) watched(object runtime.Object) error {
	gvk, err := apiutil.GVKForObject(object, v.cluster.scheme)
	if err != nil {
		return err
	}
	gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	if _, ok := v.cluster.informers[gvk]; !ok {
		return &cache.ErrResourceNotCached{GVK: gvk}
	}
	return nil
}
