// Package controllers is the machinery: one loop for all components, and the summary. It knows how objects get into a
// cluster and come out of it again, and nothing about any product.
package controllers

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/status"
	"opendatahub.io/operator/controllers/watch"
	"opendatahub.io/operator/dependencies"
)

// CacheOptions restricts what the manager's own cache holds: OpenDataHubs, the names of CustomResourceDefinitions, and the
// RoleBindings that let the manager deploy. namespaces limits it further; none means all. What platforms consist of has a cache of its own.
func CacheOptions(namespaces []string) cache.Options {
	return cache.Options{
		// An object that nobody asked to watch is a mistake, not a reason for one more informer.
		ReaderFailOnMissingInformer: true,
		DefaultNamespaces:           within(namespaces),
		ByObject: map[client.Object]cache.ByObject{
			cluster.NewCRD():      {Transform: watch.StripMetadata},
			&rbacv1.RoleBinding{}: cachedBindings(),
		},
	}
}

func within(namespaces []string) map[string]cache.Config {
	if len(namespaces) == 0 {
		return nil
	}
	limits := map[string]cache.Config{}
	for _, namespace := range namespaces {
		limits[namespace] = cache.Config{}
	}
	return limits
}

// newChildren adds a cache to the manager for what platforms consist of. It is not the manager's own: a controller starts when
// every informer of its cache has synced, and the kind of one component that cannot be watched must not hold back the others,
// nor the look-out that would notice why.
//
// Secrets have a cache for each namespace that holds a platform. Those end with ctx.
func newChildren(ctx context.Context, mgr manager.Manager, namespaces []string) (*watch.Children, error) {
	ours, err := labels.NewRequirement(components.LabelComponent, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("selecting the operator's objects: %w", err)
	}
	options := cache.Options{
		HTTPClient:                  mgr.GetHTTPClient(),
		Scheme:                      mgr.GetScheme(),
		Mapper:                      mgr.GetRESTMapper(),
		ReaderFailOnMissingInformer: true,
		DefaultNamespaces:           within(namespaces),
		DefaultLabelSelector:        labels.NewSelector().Add(*ours),
		DefaultTransform:            watch.StripChild,
		ByObject:                    map[client.Object]cache.ByObject{&corev1.Pod{}: {Transform: watch.StripPod}},
	}
	objects, err := cache.New(mgr.GetConfig(), options)
	if err != nil {
		return nil, fmt.Errorf("making the cache of the operator's objects: %w", err)
	}
	if err := mgr.Add(startedFirst{objects}); err != nil {
		return nil, fmt.Errorf("adding the cache of the operator's objects: %w", err)
	}
	start := func(namespace string) (cache.Cache, func(), error) {
		options := options
		options.DefaultNamespaces = within([]string{namespace})
		secrets, err := cache.New(mgr.GetConfig(), options)
		if err != nil {
			return nil, nil, err
		}
		ctx, stop := context.WithCancel(ctx)
		go func() { _ = secrets.Start(ctx) }() // what it cannot do shows when it is read
		return secrets, stop, nil
	}
	return watch.NewChildren(objects, watch.NewSecrets(start)), nil
}

// startedFirst is a cache that a manager starts before controllers.
type startedFirst struct{ cache.Cache }

// GetCache is what a manager knows a cache by.
func (c startedFirst) GetCache() cache.Cache { return c.Cache }

// Mapper maps the kinds that the operator uses to their resources. They are known, so the API server is not asked.
func Mapper(all []components.Component) meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	add := func(gvk schema.GroupVersionKind, plural string, scope meta.RESTScope) {
		resource := gvk.GroupVersion().WithResource(plural)
		mapper.AddSpecific(gvk, resource, resource, scope)
		// A cache that is limited to namespaces asks for the kind of lists as well.
		mapper.AddSpecific(gvk.GroupVersion().WithKind(gvk.Kind+"List"), resource, resource, scope)
	}
	addKind := func(kind kinds.Kind) {
		scope := meta.RESTScopeNamespace
		if kind.ClusterScoped {
			scope = meta.RESTScopeRoot
		}
		for _, version := range kind.Versions {
			add(kind.WithVersion(version), kind.Plural, scope)
		}
	}
	for _, component := range all {
		for _, kind := range component.Kinds() {
			addKind(kind)
		}
		if leaver, ok := component.(components.Leaver); ok {
			for _, leftover := range leaver.Leftovers(components.Facts{}) {
				addKind(leftover.Kind)
			}
		}
	}
	addKind(kinds.Pod)
	add(v1alpha1.GroupVersion.WithKind("OpenDataHub"), "opendatahubs", meta.RESTScopeNamespace)
	add(cluster.CustomResourceDefinition, "customresourcedefinitions", meta.RESTScopeRoot)
	add(corev1.SchemeGroupVersion.WithKind("Namespace"), "namespaces", meta.RESTScopeRoot)
	add(rbacv1.SchemeGroupVersion.WithKind("RoleBinding"), "rolebindings", meta.RESTScopeNamespace)
	add(coordinationv1.SchemeGroupVersion.WithKind("Lease"), "leases", meta.RESTScopeNamespace)
	add(cluster.OpenShiftIngress, "ingresses", meta.RESTScopeRoot)
	return mapper
}

// Options are what Setup must know besides the components.
type Options struct {
	// Namespaces is as in CacheOptions.
	Namespaces []string
	// OwnNamespace is the operator's own, in which the installer reports. Without it there is no installer.
	OwnNamespace string
}

// Setup adds one controller per component, the summary, and the look-out for kinds that come later to the manager.
func Setup(ctx context.Context, mgr manager.Manager, all []components.Component, options Options) error {
	clients, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	detected, err := cluster.Detect(ctx, clients.Discovery(), mgr.GetAPIReader())
	if err != nil {
		return err
	}
	var every []kinds.Kind
	for _, component := range all {
		every = append(every, component.Kinds()...)
	}
	apis := watch.NewAPIs(clients.Discovery(), every)
	if err := apis.Discover(ctx); err != nil {
		return err
	}

	children, err := newChildren(ctx, mgr, options.Namespaces)
	if err != nil {
		return err
	}
	odhs := &odhs{cache: mgr.GetCache(), overlay: watch.NewOverlay[*v1alpha1.OpenDataHub](time.Now)}
	if err := odhs.observe(ctx); err != nil {
		return err
	}
	access, err := newAccess(ctx, clients.AuthorizationV1().SelfSubjectAccessReviews(), mgr.GetCache(), options.OwnNamespace,
		accessChanged(mgr.GetCache(), children, all))
	if err != nil {
		return err
	}
	writer := &status.Writer{Client: mgr.GetClient(), Now: time.Now, Wrote: odhs.overlay.Wrote}
	secrets := watch.NewReferences(clients, children.Wake)
	watchesCRDs := len(options.Namespaces) == 0
	table := dependencies.Default().For(detected.OpenShift)
	report, err := watch.NewReport(ctx, clients, options.OwnNamespace, reportChanged(mgr.GetCache(), children, all, table))
	if err != nil {
		return err
	}
	if err := mgr.Add(report); err != nil {
		return fmt.Errorf("watching what the installer reports: %w", err)
	}
	operators := &operators{table: table, all: all, cluster: detected, apis: apis, report: report.Current,
		leases: mgr.GetAPIReader(), namespace: options.OwnNamespace, now: time.Now}
	if watchesCRDs {
		operators.crds = mgr.GetCache()
	}

	for _, component := range all {
		condition, ok := conditionOf(component)
		if !ok {
			return fmt.Errorf("component %s has no field in spec.components", component.Name())
		}
		r := &componentReconciler{
			component: component,
			condition: condition,
			all:       all,
			client:    mgr.GetClient(),
			reader:    mgr.GetAPIReader(),
			odhs:      odhs,
			children:  children,
			apis:      apis,
			secrets:   secrets,
			access:    access,
			applier:   &apply.Applier{Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Children: children},
			status:    writer,
			events:    mgr.GetEventRecorder(apply.Manager(component.Name())),
			cluster:   detected,
			operators: operators,
			now:       time.Now,

			watchesCRDs: watchesCRDs,
		}
		err := builder.ControllerManagedBy(mgr).
			Named(component.Name()).
			Watches(&v1alpha1.OpenDataHub{}, siblings(mgr.GetCache()), builder.WithPredicates(specChanged)).
			WatchesRawSource(children.Source(component.Name())).
			WithOptions(controllerOptions()).
			Complete(r)
		if err != nil {
			return fmt.Errorf("setting up the controller of %s: %w", component.Name(), err)
		}
	}

	summary := &summaryReconciler{
		odhs: odhs, status: writer, events: mgr.GetEventRecorder(SummaryManager), all: all, cluster: detected, operators: operators,
		access: access,
	}
	err = builder.ControllerManagedBy(mgr).
		Named("summary").
		Watches(&v1alpha1.OpenDataHub{}, siblings(mgr.GetCache())).
		WatchesRawSource(children.Source(SummaryManager)).
		WithOptions(controllerOptions()).
		Complete(summary)
	if err != nil {
		return fmt.Errorf("setting up the summary controller: %w", err)
	}
	if !watchesCRDs {
		return nil // they are not ours to watch then
	}
	return setupAPIs(mgr, apis, children, all)
}

func conditionOf(component components.Component) (conditionType string, known bool) {
	if part, ok := component.(components.Part); ok {
		return part.Condition(), true
	}
	return components.Condition(component.Name())
}

func controllerOptions() controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: 4,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
			500*time.Millisecond, 2*time.Minute),
		// A platform that exists at the start of several managers in one process (tests) is no name clash.
		SkipNameValidation: new(true),
	}
}

// specChanged leaves out status writes: a component controller does not wake on its siblings' news.
var specChanged = predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})

// siblings wakes a resource for its own events, and, when it goes, the others of its namespace: the oldest of them is the platform now.
func siblings(reader client.Reader) handler.EventHandler {
	own := func(object client.Object) reconcile.Request {
		return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)}
	}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { q.Add(own(e.Object)) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { q.Add(own(e.ObjectNew)) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			q.Add(own(e.Object))
			var list v1alpha1.OpenDataHubList
			if err := reader.List(ctx, &list, client.InNamespace(e.Object.GetNamespace())); err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Cannot list the OpenDataHubs of a namespace")
				return
			}
			for i := range list.Items {
				q.Add(own(&list.Items[i]))
			}
		},
	}
}
