// Package controllers is the machinery: one loop for all components, and the summary. It knows how objects get into a
// cluster and come out of it again, and nothing about any product.
package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
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
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/controllers/serving"
	"opendatahub.io/operator/controllers/status"
	"opendatahub.io/operator/controllers/watch"
	"opendatahub.io/operator/dependencies"
)

// CacheOptions restricts what the manager's own cache holds: OpenDataHubs, the names of CustomResourceDefinitions, the
// RoleBindings that let the manager deploy, and what controllers of components read. namespaces limits it further; none means all.
// The objects of platforms have a cache of their own.
func CacheOptions(all []components.Component, namespaces []string) cache.Options {
	options := cache.Options{
		// An object that nobody asked to watch is a mistake, not a reason for one more informer.
		ReaderFailOnMissingInformer: true,
		DefaultNamespaces:           within(namespaces),
		ByObject: map[client.Object]cache.ByObject{
			cluster.NewCRD():      {Transform: watch.StripMetadata},
			&rbacv1.RoleBinding{}: cachedBindings(),
		},
	}
	for _, component := range all {
		for _, kind := range components.ControllerKindsOf(component) {
			if kind.Labels != nil {
				object := &unstructured.Unstructured{}
				object.SetGroupVersionKind(kind.GVK())
				options.ByObject[object] = cache.ByObject{Label: labels.SelectorFromSet(kind.Labels)}
			}
		}
	}
	return options
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

// newFound watches what components read of the cluster, and wakes all platforms that have such a component: what is found is everybody's.
func newFound(mgr manager.Manager, all []components.Component, queues *watch.Queues, odhs *odhs) (*watch.Found, error) {
	var uses []components.Use
	concerned := map[schema.GroupKind][]string{}
	for _, component := range all {
		for _, use := range components.UsesOf(component) {
			if use.Foreign && use.Keep != nil {
				uses = append(uses, use)
				concerned[use.GroupKind] = append(concerned[use.GroupKind], component.Name())
			}
		}
	}
	found, err := watch.NewFound(mgr.GetConfig(), mgr.GetHTTPClient(), mgr.GetRESTMapper(), uses, func(kind schema.GroupKind) {
		for _, component := range concerned[kind] {
			for _, key := range odhs.keys() {
				queues.WakeAfter(component, key, childDelay)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(found); err != nil {
		return nil, fmt.Errorf("adding the watches of the cluster: %w", err)
	}
	return found, nil
}

// childDelay lets a component react once to what several of its objects report at about the same time, as when a platform is new: each
// object is created, gets a status from its operator, and another one when it is ready.
const childDelay = 100 * time.Millisecond

// newChildren watches what platforms consist of, apart from the manager's own cache: a controller starts when every informer of its
// cache has synced, and the kind of one component that cannot be watched must not hold back the others. Secrets are watched in
// namespaces that hold a platform only: the manager has no right to them elsewhere.
func newChildren(mgr manager.Manager, all []components.Component, namespaces []string, queues *watch.Queues, odhs *odhs) (*watch.Children, error) {
	watcher, err := watch.NewWatcher(mgr.GetConfig(), mgr.GetHTTPClient(), mgr.GetRESTMapper(), func(kind schema.GroupVersionKind, err error) {
		if apierrors.IsNotFound(err) {
			queues.Wake(apisController, types.NamespacedName{Name: kind.Group})
		}
	})
	if err != nil {
		return nil, err
	}
	scope := watch.InAll(kinds.Secret)
	if len(namespaces) > 0 {
		var clusterScoped []kinds.Kind
		for _, component := range all {
			clusterScoped = append(clusterScoped, slices.DeleteFunc(slices.Clone(component.Kinds()), func(kind kinds.Kind) bool { return !kind.ClusterScoped })...)
		}
		scope = watch.InEach(clusterScoped...)
	}
	children := watch.NewChildren(watcher, scope, func(component string, platform types.NamespacedName) {
		if platform.Name != "" {
			queues.WakeAfter(component, platform, childDelay)
			return
		}
		// Platforms share the object: those that want it, and those that were refused it, must reconcile again.
		for _, key := range odhs.keys() {
			queues.WakeAfter(component, key, childDelay)
		}
	})
	if err := mgr.Add(children); err != nil {
		return nil, fmt.Errorf("adding the watches of objects: %w", err)
	}
	return children, nil
}

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
		for _, kind := range components.ControllerKindsOf(component) {
			addKind(kind.Kind)
		}
		if withLeftovers, ok := component.(components.WithLeftovers); ok {
			for _, kind := range withLeftovers.LeftoverKinds() {
				addKind(kind)
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
	add(cluster.OpenShiftProxy, "proxies", meta.RESTScopeRoot)
	return mapper
}

// Options are what Setup must know besides the components.
type Options struct {
	// Namespaces is as in CacheOptions.
	Namespaces []string
	// OwnNamespace is the operator's own, in which the installer reports. Without it there is no installer.
	OwnNamespace string
	// MetricsCertificate is that of this process. Nil: it serves no metrics.
	MetricsCertificate *serving.Certificate
	// Image that this operator runs from. Empty: that of this version.
	Image string
	// Images and UnsafePatches are as in components.Cluster.
	Images        images.Table
	UnsafePatches bool
}

// Setup adds to the manager one controller per component, the summary, and the controller that notices kinds which are installed later.
func Setup(ctx context.Context, mgr manager.Manager, all []components.Component, options Options) error {
	clients, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	detected, err := cluster.Detect(ctx, clients.Discovery(), mgr.GetAPIReader())
	if err != nil {
		return err
	}
	detected.ManagerNamespace, detected.OperatorImage = options.OwnNamespace, options.Image
	detected.Images, detected.UnsafePatches = options.Images, options.UnsafePatches
	var every []kinds.Kind
	for _, component := range all {
		every = append(every, component.Kinds()...)
	}
	apis := watch.NewAPIs(clients.Discovery(), every)
	apis.Discover(ctx)

	queues := watch.NewQueues()
	odhs := &odhs{cache: mgr.GetCache(), overlay: watch.NewOverlay[*v1alpha1.OpenDataHub](time.Now)}
	if err := odhs.observe(ctx); err != nil {
		return err
	}
	children, err := newChildren(mgr, all, options.Namespaces, queues, odhs)
	if err != nil {
		return err
	}
	found, err := newFound(mgr, all, queues, odhs)
	if err != nil {
		return err
	}
	access, err := newAccess(ctx, clients.AuthorizationV1().SelfSubjectAccessReviews(), mgr.GetCache(), options.OwnNamespace,
		accessChanged(odhs, queues, all))
	if err != nil {
		return err
	}
	writer := &status.Writer{
		Client: mgr.GetClient(), Now: time.Now, Wrote: odhs.overlay.Wrote,
		Lacking: func(hub types.NamespacedName) { queues.Wake(SummaryManager, hub) },
	}
	secrets := watch.NewReferences(clients, queues.Wake)
	if err := mgr.Add(secrets); err != nil {
		return fmt.Errorf("watching Secrets that people provide: %w", err)
	}
	watchesCRDs := len(options.Namespaces) == 0
	table := dependencies.Default().For(detected.OpenShift)
	reportChanged := reportChanged(odhs, queues, all, table)
	report, err := watch.NewReport(ctx, clients, options.OwnNamespace, reportChanged)
	if err != nil {
		return err
	}
	options.MetricsCertificate.OnChange(func(ctx context.Context) { reportChanged(ctx, nil) })
	if err := mgr.Add(report); err != nil {
		return fmt.Errorf("watching what the installer reports: %w", err)
	}
	policies := watch.NewPolicies(clients, authority.Policies, policyChanged(odhs, queues))
	if err := mgr.Add(policies); err != nil {
		return fmt.Errorf("watching the admission policies: %w", err)
	}
	operators := &operators{table: table, all: all, cluster: detected, apis: apis, report: report.Current,
		leases: mgr.GetAPIReader(), namespace: options.OwnNamespace, now: time.Now}
	if watchesCRDs {
		operators.crds = mgr.GetCache()
	}

	for _, component := range all {
		condition, ok := components.ConditionOf(component)
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
			queues:    queues,
			apis:      apis,
			found:     found,
			secrets:   secrets,
			access:    access,
			applier:   &apply.Applier{Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Children: children},
			status:    writer,
			events:    mgr.GetEventRecorder(apply.Manager(component.Name())),
			cluster:   detected,
			operators: operators,
			now:       time.Now,
			authorities: func() components.MetricsAuthorities {
				return components.MetricsAuthorities{Operator: string(options.MetricsCertificate.Authority()), Installer: string(report.Authority())}
			},

			watchesCRDs: watchesCRDs,
		}
		err := builder.ControllerManagedBy(mgr).
			Named(component.Name()).
			Watches(&v1alpha1.OpenDataHub{}, siblings(mgr.GetCache(), 0), builder.WithPredicates(specChanged)).
			WatchesRawSource(queues.Source(component.Name())).
			WithOptions(controllerOptions()).
			Complete(r)
		if err != nil {
			return fmt.Errorf("setting up the controller of %s: %w", component.Name(), err)
		}
		if own, ok := component.(components.WithController); ok {
			if err := own.SetupWithManager(mgr, platformIn(odhs, detected, all)); err != nil {
				return fmt.Errorf("setting up the controller of component %s: %w", component.Name(), err)
			}
		}
	}

	summary := &summaryReconciler{
		odhs: odhs, status: writer, events: mgr.GetEventRecorder(SummaryManager), all: all, cluster: detected, operators: operators,
		access: access, policies: policies.Missing,
	}
	err = builder.ControllerManagedBy(mgr).
		Named("summary").
		Watches(&v1alpha1.OpenDataHub{}, siblings(mgr.GetCache(), summaryDelay)).
		WatchesRawSource(queues.Source(SummaryManager)).
		WithOptions(controllerOptions()).
		Complete(summary)
	if err != nil {
		return fmt.Errorf("setting up the summary controller: %w", err)
	}
	groups := &apiReconciler{
		cache: mgr.GetCache(), odhs: odhs, apis: apis, children: children, found: found, queues: queues, all: all, watchesCRDs: watchesCRDs,
		rechecks: map[string]int{},
	}
	return groups.setup(mgr)
}

func platformIn(odhs *odhs, detected components.Cluster, all []components.Component) components.PlatformIn {
	return func(ctx context.Context, namespace string) (components.Facts, bool, error) {
		list, err := odhs.list(ctx, client.InNamespace(namespace))
		if err != nil {
			return components.Facts{}, false, err
		}
		odh := cluster.PlatformOf(list)
		if odh == nil || odh.DeletionTimestamp != nil {
			return components.Facts{}, false, nil
		}
		return components.NewFacts(odh, detected, all), true, nil
	}
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

// specChanged ignores status writes: a component does not reconcile because another one reported something.
var specChanged = predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})

// summaryDelay lets the summary be written once for what components report at about the same time, as when a platform is new.
const summaryDelay = 200 * time.Millisecond

// siblings wakes a resource for its own events, and, when it goes, the others of its namespace: the oldest of them is the platform now.
// Changes wait for the delay, counted from the first.
func siblings(reader client.Reader, delay time.Duration) handler.EventHandler {
	own := func(object client.Object) reconcile.Request {
		return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)}
	}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { q.Add(own(e.Object)) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { q.AddAfter(own(e.ObjectNew), delay) },
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
