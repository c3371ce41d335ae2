package grants

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/dependencies"
)

// FieldManager applies the grants. The name is API, as those of the other field managers are.
const FieldManager = "opendatahub-grants"

const (
	// lingering is how long rights stay when the last platform of a namespace is gone: the manager's last Events are on their way.
	lingering = 5 * time.Second
	// keptInterval is how often it is asked whether data still exists for which a third-party operator needs its rights.
	keptInterval = time.Hour
)

// Options of the controller.
type Options struct {
	// Namespace is the operator's own, in which the manager runs.
	Namespace string
	// Table of third-party operators, without what administrators changed.
	Table   dependencies.Table
	Cluster components.Cluster
}

// reconciler grants what one namespace needs. Its requests are named after namespaces.
type reconciler struct {
	Options
	all     []components.Component
	cache   client.Reader // OpenDataHubs, and the installer's configuration
	reader  client.Reader // the API server itself
	objects *objects
	applier *apply.Applier

	mu sync.Mutex
	// queue is nil before the controller starts; meanwhile namespaces wait in early.
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
	early map[string]bool
}

// Setup adds the controller to the manager of the installer, whose cache must hold OpenDataHubs and the installer's ConfigMaps.
func Setup(ctx context.Context, mgr manager.Manager, all []components.Component, options Options) error {
	r := &reconciler{Options: options, all: all, cache: mgr.GetCache(), reader: mgr.GetAPIReader(), early: map[string]bool{}}
	var err error
	if r.objects, err = newObjects(ctx, mgr, options.Cluster.OpenShift, r.wake); err != nil {
		return err
	}
	r.applier = &apply.Applier{Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Children: r.objects, Claim: claim}

	config := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		if object.GetName() != dependencies.ConfigName {
			return nil
		}
		return r.everyNamespace(ctx)
	})
	err = builder.ControllerManagedBy(mgr).
		Named("grants").
		WatchesRawSource(source.Func(r.start)).
		Watches(&v1alpha1.OpenDataHub{}, byNamespace(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.ConfigMap{}, config).
		WatchesMetadata(cluster.NewNamespace(), handler.EnqueueRequestsFromMapFunc(r.ofNamespace), builder.WithPredicates(marksChanged)).
		WithOptions(controller.Options{
			RateLimiter:        workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Second, 5*time.Minute),
			SkipNameValidation: new(true), // tests run several installers in one process
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the controller of grants: %w", err)
	}
	return nil
}

// marksChanged passes what the cache keeps of namespaces.
var marksChanged = predicate.Or(predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{})

func requestFor(namespace string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: namespace}}
}

// byNamespace names the namespace of an OpenDataHub, a while later if the resource is gone.
func byNamespace() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { q.Add(requestFor(e.Object.GetNamespace())) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { q.Add(requestFor(e.ObjectNew.GetNamespace())) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			q.AddAfter(requestFor(e.Object.GetNamespace()), lingering)
		},
	}
}

// ofNamespace is the request for a namespace that holds a platform, or those for all of them when it is one in which a third-party operator
// runs: what is granted there was waiting for it.
func (r *reconciler) ofNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	platform, err := r.platform(ctx, namespace.GetName())
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot tell whether a namespace holds a platform")
	}
	if platform != nil {
		return []reconcile.Request{requestFor(namespace.GetName())}
	}
	operators, err := r.operatorNamespaces(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot tell whether third-party operators run in a namespace")
	}
	if slices.Contains(slices.Collect(maps.Values(operators)), namespace.GetName()) {
		return r.everyNamespace(ctx)
	}
	return nil
}

func (r *reconciler) everyNamespace(ctx context.Context) []reconcile.Request {
	var hubs v1alpha1.OpenDataHubList
	if err := r.cache.List(ctx, &hubs); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list OpenDataHubs")
		return nil
	}
	var requests []reconcile.Request
	for i := range hubs.Items {
		requests = append(requests, requestFor(hubs.Items[i].Namespace))
	}
	return requests
}

// start takes over what was seen before the controller ran.
func (r *reconciler) start(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = q
	for namespace := range r.early {
		q.Add(requestFor(namespace))
	}
	r.early = nil
	return nil
}

// wake has a namespace looked at, because something that was granted changed.
func (r *reconciler) wake(namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.queue == nil {
		r.early[namespace] = true
		return
	}
	r.queue.Add(requestFor(namespace))
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	namespace := request.Name
	if err := r.objects.wait(ctx); err != nil {
		return ctrl.Result{}, err
	}
	platform, err := r.platform(ctx, namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	existing, err := r.objects.of(ctx, namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	desired, err := r.desired(ctx, namespace, platform)
	if err != nil {
		return ctrl.Result{}, err
	}
	failed := r.apply(ctx, desired)
	again, err := r.prune(ctx, namespace, platform, existing, desired)
	return ctrl.Result{RequeueAfter: again}, errors.Join(failed, err)
}

// platform is the OpenDataHub of a namespace that is deployed, or nil.
func (r *reconciler) platform(ctx context.Context, namespace string) (*v1alpha1.OpenDataHub, error) {
	var list v1alpha1.OpenDataHubList
	if err := r.cache.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing the OpenDataHubs of namespace %s: %w", namespace, err)
	}
	var hubs []*v1alpha1.OpenDataHub
	for i := range list.Items {
		hubs = append(hubs, &list.Items[i])
	}
	return cluster.PlatformOf(hubs), nil
}

func (r *reconciler) desired(ctx context.Context, namespace string, platform *v1alpha1.OpenDataHub) ([]*unstructured.Unstructured, error) {
	if platform == nil {
		return nil, nil
	}
	marks, err := r.marks(ctx, namespace)
	if err != nil {
		return nil, err
	}
	binding, err := ForManager(r.Namespace, namespace)
	if err != nil {
		return nil, err
	}
	tell(binding, marks)
	detected := r.Cluster
	detected.ManagerNamespace = r.Namespace
	if detected.OperatorNamespaces, err = r.operatorNamespaces(ctx); err != nil {
		return nil, err
	}
	declared, err := ForComponents(r.all, components.NewFacts(platform, detected, r.all), marks.Labels)
	return append([]*unstructured.Unstructured{binding}, declared...), err
}

// marks are the namespace, with the labels and annotations by which an administrator allows its platform what reaches beyond it.
func (r *reconciler) marks(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	namespace := cluster.NewNamespace()
	if err := r.cache.Get(ctx, types.NamespacedName{Name: name}, namespace); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	return namespace, nil
}

// operatorNamespaces are where the third-party operators run, as the installer would install them.
func (r *reconciler) operatorNamespaces(ctx context.Context) (map[string]string, error) {
	table := r.Table
	object := &corev1.ConfigMap{}
	err := r.cache.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: dependencies.ConfigName}, object)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading ConfigMap %s/%s: %w", r.Namespace, dependencies.ConfigName, err)
	}
	// The other controller reports a configuration that cannot be read.
	if config, err := dependencies.ParseConfig(object.Data); err == nil {
		table = config.Table.For(r.Cluster.OpenShift)
	}
	namespaces := map[string]string{}
	for _, dependency := range table {
		namespaces[dependency.Name] = dependency.Namespace
	}
	return namespaces, nil
}

// apply tries every object.
func (r *reconciler) apply(ctx context.Context, desired []*unstructured.Unstructured) error {
	var failed []error
	for _, object := range desired {
		prepared, err := apply.PrepareObject(object)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		changes, err := r.applier.Apply(ctx, FieldManager, []apply.Prepared{prepared})
		announce(ctx, changes)
		switch {
		case errors.Is(err, errForeign): // somebody else granted it, and may take it back
		case lacksNamespace(err): // which has everything looked at when it comes
		case err != nil:
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// lacksNamespace is whether an object could not be written because its namespace does not exist, or is about to go.
func lacksNamespace(err error) bool {
	var status apierrors.APIStatus
	missing := apierrors.IsNotFound(err) && errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
	return missing || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

var errForeign = errors.New("somebody else made it")

// claim takes back what lost its label, and leaves alone what is somebody else's.
func claim(manager string, _ apply.Prepared, existing *unstructured.Unstructured) error {
	if apply.IsOurs(existing, manager) {
		return nil
	}
	return errForeign
}

// prune takes back what is no longer needed. It says when to look again.
func (r *reconciler) prune(ctx context.Context, namespace string, platform *v1alpha1.OpenDataHub, existing, desired []*unstructured.Unstructured) (again time.Duration, err error) {
	keeps := map[string]bool{} // by component
	for _, object := range existing {
		if slices.ContainsFunc(desired, func(other *unstructured.Unstructured) bool { return same(object, other) }) {
			continue
		}
		by := object.GetLabels()[Label]
		keep, known := keeps[by]
		if !known {
			if keep, err = r.keeps(ctx, namespace, platform, by); err != nil {
				return 0, err
			}
			keeps[by] = keep
		}
		if keep {
			again = keptInterval
			continue
		}
		changes, err := r.applier.Delete(ctx, FieldManager, object)
		announce(ctx, changes)
		if err != nil {
			return 0, err
		}
	}
	return again, nil
}

func same(a, b *unstructured.Unstructured) bool {
	return a.GroupVersionKind().GroupKind() == b.GroupVersionKind().GroupKind() && a.GetNamespace() == b.GetNamespace() && a.GetName() == b.GetName()
}

// keeps is whether rights that a component declared stay although the spec no longer asks for them: while it is being removed, and
// while its third-party operator serves data that was kept.
func (r *reconciler) keeps(ctx context.Context, namespace string, platform *v1alpha1.OpenDataHub, by string) (bool, error) {
	i := slices.IndexFunc(r.all, func(component components.Component) bool { return component.Name() == by })
	if i < 0 {
		return false, nil
	}
	if platform != nil {
		facts := components.NewFacts(platform, r.Cluster, r.all)
		if _, wanted := components.StateOf(r.all[i], facts); wanted {
			marks, err := r.marks(ctx, namespace)
			// Either it declares something else now, or what runs was allowed once.
			return err == nil && !allowed(r.all[i], facts, marks.Labels), err
		}
		if slices.Contains(platform.Finalizers, cluster.FinalizerPrefix+by) {
			return true, nil
		}
	}
	return r.hasData(ctx, namespace, r.all[i])
}

// hasData is whether objects of third-party kinds exist that the component made and left.
func (r *reconciler) hasData(ctx context.Context, namespace string, component components.Component) (bool, error) {
	for _, kind := range component.Kinds() {
		if !kind.ThirdParty() || kind.ClusterScoped {
			continue
		}
		for _, version := range kind.Versions {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(schema.GroupVersionKind{Group: kind.Group, Version: version, Kind: kind.Kind + "List"})
			err := r.reader.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{components.LabelComponent: component.Name()}, client.Limit(1))
			switch {
			case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
				continue
			case err != nil:
				return false, fmt.Errorf("looking for objects of kind %s in namespace %s: %w", kind.Kind, namespace, err)
			case len(list.Items) > 0:
				return true, nil
			}
			break
		}
	}
	return false, nil
}

func announce(ctx context.Context, changes []apply.Change) {
	log := ctrl.LoggerFrom(ctx)
	for _, change := range changes {
		log.Info(string(change.Action)+" "+change.Kind, change.Kind, klog.KRef(change.Namespace, change.Name))
	}
}
