// Package installer installs the third-party operators that platforms need, or uses those that are there. It
// runs as a process of its own, with the rights that this takes. What it installs is in its table and in a ConfigMap beside
// it; OpenDataHubs say only which dependencies are needed.
package installer

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
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
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/serving"
	"opendatahub.io/operator/controllers/watch"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/grants"
	"opendatahub.io/operator/installer/helm"
	"opendatahub.io/operator/installer/olm"
)

// Options of the installer.
type Options struct {
	// MetricsCertificate is that of this process. Nil: it serves no metrics.
	MetricsCertificate *serving.Certificate
	// Namespace is the installer's own: its configuration and its report are there.
	Namespace string
	// WatchNamespaces are those whose OpenDataHubs count; all without any.
	WatchNamespaces []string
	// RegistryConfig is a file with the credentials of OCI registries, as docker login writes it. May be empty.
	RegistryConfig string
	// CAFile has the authorities of repositories, see helm.Client. May be empty.
	CAFile string
	// Images are what an administrator puts in the places of the images in charts.
	Images images.Table
	// UserAgent that chart repositories see.
	UserAgent string
}

// CacheOptions restricts what the installer watches: OpenDataHubs, the ConfigMaps of its own namespace, the names of
// CustomResourceDefinitions and Deployments, and the marks of namespaces. What it installed and what OLM has are in caches of their own.
func CacheOptions(options Options) (cache.Options, error) {
	hubs := cache.ByObject{Transform: stripOpenDataHub}
	if len(options.WatchNamespaces) > 0 {
		hubs.Namespaces = map[string]cache.Config{}
		for _, namespace := range options.WatchNamespaces {
			hubs.Namespaces[namespace] = cache.Config{}
		}
	}
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            watch.StripMetadata, // of objects that keep a dependency, which exist and no more
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.OpenDataHub{}: hubs,
			&corev1.ConfigMap{}:     {Namespaces: map[string]cache.Config{options.Namespace: {}}},
			newDeployment():         {Transform: stripDeployment},
			cluster.NewCRD():        {Transform: stripCRD},
			cluster.NewNamespace():  {Transform: stripNamespace},
		},
	}, nil
}

// stripOpenDataHub keeps what says which dependencies a platform needs.
func stripOpenDataHub(object any) (any, error) {
	if hub, ok := object.(*v1alpha1.OpenDataHub); ok {
		hub.ManagedFields, hub.Annotations, hub.Status = nil, nil, v1alpha1.OpenDataHubStatus{}
	}
	return object, nil
}

// stripCRD keeps what says whose a CustomResourceDefinition is.
func stripCRD(object any) (any, error) {
	if crd, ok := object.(*metav1.PartialObjectMetadata); ok {
		crd.ObjectMeta = metav1.ObjectMeta{
			Name: crd.Name, UID: crd.UID, ResourceVersion: crd.ResourceVersion, Labels: only(crd.Labels, dependencies.Label, olmManaged),
			CreationTimestamp: crd.CreationTimestamp, DeletionTimestamp: crd.DeletionTimestamp,
		}
	}
	return object, nil
}

// stripNamespace keeps what an administrator allows the platform of a namespace.
func stripNamespace(object any) (any, error) {
	if namespace, ok := object.(*metav1.PartialObjectMetadata); ok {
		namespace.ObjectMeta = metav1.ObjectMeta{
			Name: namespace.Name, UID: namespace.UID, ResourceVersion: namespace.ResourceVersion,
			Labels:      only(namespace.Labels, components.LabelAllowInstalls, components.LabelAllowNodes, components.LabelAllowCode),
			Annotations: only(namespace.Annotations, components.AnnotationAllowDomains),
		}
	}
	return object, nil
}

// marked selects what happens to a mark of namespaces.
func marked(mark string) predicate.Predicate {
	has := func(object client.Object) bool { return object.GetLabels()[mark] != "" }
	return predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return has(e.Object) },
		UpdateFunc:  func(e event.UpdateEvent) bool { return e.ObjectOld.GetLabels()[mark] != e.ObjectNew.GetLabels()[mark] },
		DeleteFunc:  func(e event.DeleteEvent) bool { return has(e.Object) },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// stripDeployment keeps what says whose dependency a Deployment is.
func stripDeployment(object any) (any, error) {
	if deployment, ok := object.(*metav1.PartialObjectMetadata); ok {
		deployment.ObjectMeta = metav1.ObjectMeta{
			Namespace: deployment.Namespace, Name: deployment.Name, UID: deployment.UID, ResourceVersion: deployment.ResourceVersion,
			Labels: deployment.Labels, OwnerReferences: deployment.OwnerReferences,
			Annotations: only(deployment.Annotations, helm.ReleaseAnnotation, helm.ReleaseNamespaceAnnotation),
		}
	}
	return object, nil
}

// only keeps these keys of a map.
func only(all map[string]string, keys ...string) map[string]string {
	kept := map[string]string{}
	for _, key := range keys {
		if value, ok := all[key]; ok {
			kept[key] = value
		}
	}
	return kept
}

// Setup adds the installer to the manager. all are the components that platforms can have.
func Setup(ctx context.Context, mgr manager.Manager, all []components.Component, options Options) error {
	clients, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	detected, err := cluster.Detect(ctx, clients.Discovery(), mgr.GetAPIReader())
	if err != nil {
		return err
	}
	r := &reconciler{
		table:     dependencies.Default().For(detected.OpenShift),
		all:       all,
		cluster:   detected,
		namespace: options.Namespace,
		now:       time.Now,
		cache:     mgr.GetCache(),
		discovery: clients.Discovery(),
		helm:      &helm.Client{RegistryConfig: options.RegistryConfig, CAFile: options.CAFile, UserAgent: options.UserAgent, Images: options.Images},
		client:    mgr.GetClient(),
		reader:    mgr.GetAPIReader(),
		mapper:    mgr.GetRESTMapper(),
		records:   &records{client: mgr.GetClient(), reader: mgr.GetAPIReader(), namespace: options.Namespace, known: map[string]*record{}},
		report:    &reporter{client: mgr.GetClient(), reader: mgr.GetAPIReader(), namespace: options.Namespace, authority: options.MetricsCertificate.Authority},
		retries:   newRetries(time.Now),
		uses:      newUses(mgr.GetCache(), mgr.GetAPIReader(), clients.Discovery()),
	}
	if r.objects, err = newObjects(mgr, func(id string) {
		if r.queue != nil {
			r.queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: id}})
		}
	}); err != nil {
		return err
	}
	r.applier = &apply.Applier{Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Children: r.objects, Claim: claim}
	r.packages = &packages{
		parent: ctx,
		table:  r.configured,
		wake:   func(dependency dependencies.Dependency) { r.queue.Add(requestFor(dependency)) },
		build: func(options cache.Options) (cache.Cache, error) {
			options.Scheme, options.HTTPClient = mgr.GetScheme(), mgr.GetHTTPClient()
			return cache.New(mgr.GetConfig(), options)
		},
	}
	r.olm = olm.New(r.packages, mgr.GetAPIReader(), mgr.GetClient(), clients.Discovery())
	options.MetricsCertificate.OnChange(func(context.Context) {
		if r.queue != nil {
			r.queue.Add(reportRequest)
		}
	})
	if err := r.setup(mgr); err != nil {
		return err
	}
	return grants.Setup(ctx, mgr, all, grants.Options{Namespace: options.Namespace, Table: r.table, Cluster: r.cluster})
}

// reportRequest is no dependency's: their IDs do not begin like this.
var reportRequest = reconcile.Request{NamespacedName: types.NamespacedName{Name: "/" + dependencies.ReportName}}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// requestFor names a dependency, in lower case.
func requestFor(dependency dependencies.Dependency) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: dependency.ID()}}
}

func (r *reconciler) setup(mgr manager.Manager) error {
	every := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request { return r.everyDependency() })
	// What it left behind when it was last stopped is looked at, wanted or not.
	atStart := source.Func(func(_ context.Context, q queue) error {
		r.queue = q
		for _, request := range r.everyDependency() {
			q.Add(request)
		}
		return nil
	})
	// The report is put back when somebody changes or deletes it.
	configOrReport := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
		switch object.GetName() {
		case dependencies.ConfigName:
			return r.everyDependency()
		case dependencies.ReportName:
			return []reconcile.Request{reportRequest}
		}
		return nil
	})
	err := builder.ControllerManagedBy(mgr).
		Named("installer").
		WatchesRawSource(atStart).
		Watches(&v1alpha1.OpenDataHub{}, every, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.ConfigMap{}, configOrReport).
		WatchesMetadata(cluster.NewNamespace(), handler.EnqueueRequestsFromMapFunc(r.concernedByNamespace), builder.WithPredicates(
			predicate.Or(marked(components.LabelAllowInstalls), marked(components.LabelAllowNodes)))).
		WatchesMetadata(newDeployment(), handler.EnqueueRequestsFromMapFunc(r.concernedByDeployment)).
		WatchesMetadata(cluster.NewCRD(), handler.EnqueueRequestsFromMapFunc(r.concernedByCRD)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 4, // fetching a chart may take a while
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				time.Second, maxPause),
			SkipNameValidation: new(true), // tests run several installers in one process
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the installer: %w", err)
	}
	return nil
}

// concernedByNamespace wakes every dependency when what a platform's namespace allows changes. A namespace without a platform concerns
// none: the platform wakes them when it comes.
func (r *reconciler) concernedByNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	odhs := &v1alpha1.OpenDataHubList{}
	if err := r.cache.List(ctx, odhs, client.InNamespace(namespace.GetName())); err == nil && len(odhs.Items) == 0 {
		return nil
	}
	return r.everyDependency()
}

func (r *reconciler) everyDependency() []reconcile.Request {
	var requests []reconcile.Request
	for _, dependency := range r.table {
		requests = append(requests, requestFor(dependency))
	}
	return requests
}
