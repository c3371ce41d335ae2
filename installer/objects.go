package installer

import (
	"context"
	"fmt"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/watch"
	"opendatahub.io/operator/dependencies"
)

// objects is what the cluster holds of all dependencies: everything that carries the installer's label, watched apart from the manager's
// cache, because a controller starts when every informer of that has synced.
type objects struct {
	*watch.Children
	mapper meta.RESTMapper

	mu    sync.Mutex
	kinds map[schema.GroupVersionKind]bool
}

// usual are the kinds that charts consist of. They are always watched, so that what was installed is found wherever it is, and
// so are Pods and the Secrets of Helm's releases.
var usual = func() []schema.GroupVersionKind {
	var all []schema.GroupVersionKind
	for version, names := range map[schema.GroupVersion][]string{
		appsv1.SchemeGroupVersion:                              {"Deployment", "DaemonSet", "StatefulSet"},
		corev1.SchemeGroupVersion:                              {"Secret", "ConfigMap", "Service", "ServiceAccount"},
		{Group: "rbac.authorization.k8s.io", Version: "v1"}:    {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"},
		{Group: "admissionregistration.k8s.io", Version: "v1"}: {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"},
		{Group: "networking.k8s.io", Version: "v1"}:            {"NetworkPolicy"},
		{Group: "policy", Version: "v1"}:                       {"PodDisruptionBudget"},
		{Group: "scheduling.k8s.io", Version: "v1"}:            {"PriorityClass"},
	} {
		for _, name := range names {
			all = append(all, version.WithKind(name))
		}
	}
	return append(all, kinds.Pod.GVK())
}()

// newObjects watches when the manager starts it. wake is called with the label's value when an object changes.
func newObjects(mgr manager.Manager, wake func(id string)) (*objects, error) {
	o := &objects{mapper: mgr.GetRESTMapper(), kinds: map[schema.GroupVersionKind]bool{}}
	watcher, err := watch.NewWatcher(mgr.GetConfig(), mgr.GetHTTPClient(), o.mapper, func(kind schema.GroupVersionKind, err error) {
		if apierrors.IsNotFound(err) {
			o.drop(kind)
		}
	})
	if err != nil {
		return nil, err
	}
	o.Children = watch.NewChildren(watcher, watch.InAll(), func(id string, _ types.NamespacedName) { wake(id) }).By(dependencies.Label)
	if err := mgr.Add(o.Children); err != nil {
		return nil, fmt.Errorf("adding the watches of objects: %w", err)
	}
	return o, nil
}

// ensure watches kinds, and returns when their objects are known. A kind that is not served is not watched.
func (o *objects) ensure(ctx context.Context, kinds ...schema.GroupVersionKind) error {
	for _, kind := range kinds {
		_, err := o.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		switch {
		case meta.IsNoMatchError(err):
			continue
		case err != nil:
			return fmt.Errorf("asking for the kind %s: %w", kind.Kind, err)
		}
		if err := o.Ensure(ctx, kind, types.NamespacedName{}, ""); err != nil {
			if slices.Contains(usual, kind) || ctx.Err() != nil {
				return err
			}
			continue // its CustomResourceDefinition may be gone, which the mapper learns later
		}
		o.mu.Lock()
		o.kinds[kind] = true
		o.mu.Unlock()
	}
	return nil
}

// drop gives up the watch of a kind that is no longer served.
func (o *objects) drop(kind schema.GroupVersionKind) {
	o.mu.Lock()
	delete(o.kinds, kind)
	o.mu.Unlock()
	o.Drop(kind)
}

func (o *objects) watched(kind schema.GroupVersionKind) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kinds[kind]
}

// all lists what a dependency has, of every kind that is watched but Pods.
func (o *objects) all(ctx context.Context, id string) ([]*unstructured.Unstructured, error) {
	o.mu.Lock()
	var watched []schema.GroupVersionKind
	for kind := range o.kinds {
		if kind != kinds.Pod.GVK() {
			watched = append(watched, kind)
		}
	}
	o.mu.Unlock()
	var all []*unstructured.Unstructured
	for _, kind := range watched {
		found, err := o.List(ctx, kind, types.NamespacedName{}, id)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// mark puts the label of a dependency on an object, and on the Pods that it makes: its health is read from both.
func mark(object *unstructured.Unstructured, id string) {
	label := func(holder map[string]any) {
		labels := child(child(holder, "metadata"), "labels")
		labels[dependencies.Label] = id
	}
	label(object.Object)
	template, ok, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "template")
	if template, isMap := template.(map[string]any); ok && isMap && (isWorkload(object) || object.GetKind() == "Job") {
		label(template)
	}
}

func child(parent map[string]any, key string) map[string]any {
	value, ok := parent[key].(map[string]any)
	if !ok {
		value = map[string]any{}
		parent[key] = value
	}
	return value
}

func isWorkload(object *unstructured.Unstructured) bool {
	kind := object.GroupVersionKind()
	return kind.Group == appsv1.GroupName && (kind.Kind == "Deployment" || kind.Kind == "DaemonSet" || kind.Kind == "StatefulSet")
}

// available is whether a workload works, even if a newer version of it does not.
func available(object *unstructured.Unstructured) bool {
	number := func(fields ...string) int64 {
		value, _, _ := unstructured.NestedInt64(object.Object, fields...)
		return value
	}
	switch object.GetKind() {
	case "DaemonSet":
		return number("status", "numberAvailable") >= number("status", "desiredNumberScheduled") && number("status", "observedGeneration") > 0
	case "StatefulSet":
		return number("status", "availableReplicas") >= number("spec", "replicas") && number("status", "observedGeneration") > 0
	}
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, condition := range conditions {
		if condition, _ := condition.(map[string]any); condition["type"] == string(appsv1.DeploymentAvailable) {
			return condition["status"] == string(metav1.ConditionTrue)
		}
	}
	return false
}
