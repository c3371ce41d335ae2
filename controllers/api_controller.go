package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/watch"
)

// establishing is how often a group is asked again while what it serves does not agree with its
// CustomResourceDefinitions: a new one takes a moment to be served, and a deleted one to go.
const establishing = time.Second

// maxRechecks bounds how often a group is asked again. What it serves may disagree with its CustomResourceDefinitions for
// good: OpenShift serves Routes without one, and an outdated operator serves other versions than components render.
const maxRechecks = 10

// apiReconciler notices when the kinds that components render appear and go, and wakes the components concerned. Its
// requests are named after API groups.
type apiReconciler struct {
	cache    cache.Cache
	apis     *watch.APIs
	children *watch.Children
	all      []components.Component

	mu sync.Mutex
	// rechecks counts, by group, how often it was asked again since the last event of a CustomResourceDefinition.
	rechecks map[string]int
}

func setupAPIs(mgr manager.Manager, apis *watch.APIs, children *watch.Children, all []components.Component) error {
	r := &apiReconciler{cache: mgr.GetCache(), apis: apis, children: children, all: all, rechecks: map[string]int{}}
	toGroup := func(_ context.Context, object client.Object) []reconcile.Request {
		group, concerns := apis.GroupOfCRD(object.GetName())
		if !concerns {
			return nil
		}
		r.resetRechecks(group)
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: group}}}
	}
	// What was asked at the start may have changed before the watch began.
	everyGroup := source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		for _, group := range apis.Groups() {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: group}})
		}
		return nil
	})
	err := builder.ControllerManagedBy(mgr).
		Named("apis").
		WatchesMetadata(cluster.NewCRD(), handler.EnqueueRequestsFromMapFunc(toGroup)).
		WatchesRawSource(everyGroup).
		WithOptions(controllerOptions()).
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the look-out for CustomResourceDefinitions: %w", err)
	}
	return nil
}

// Reconcile implements reconcile.Reconciler.
func (r *apiReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	group := request.Name
	before := map[schema.GroupKind]string{}
	for _, kind := range r.apis.OfGroup(group) {
		if version, served := r.apis.Version(kind); served {
			before[kind.GroupKind] = version
		}
	}
	changed, err := r.apis.Refresh(ctx, group)
	if err != nil {
		return ctrl.Result{}, err
	}
	for _, kind := range changed {
		if version, served := before[kind.GroupKind]; served {
			// Its informer would ask for a version that is gone, for ever.
			if err := r.children.Drop(ctx, kind.WithVersion(version)); err != nil {
				return ctrl.Result{}, err
			}
		}
	}
	if len(changed) > 0 {
		concerned := func(own kinds.Kind) bool {
			return slices.ContainsFunc(changed, func(k kinds.Kind) bool { return k.GroupKind == own.GroupKind })
		}
		if err := wakePlatforms(ctx, r.cache, r.children, r.all, concerned); err != nil {
			return ctrl.Result{}, err
		}
	}
	return r.again(ctx, group)
}

// again is whether what the group serves still has to catch up with its CustomResourceDefinitions.
func (r *apiReconciler) again(ctx context.Context, group string) (ctrl.Result, error) {
	coming, leaving := false, false
	for _, kind := range r.apis.OfGroup(group) {
		err := r.cache.Get(ctx, types.NamespacedName{Name: kind.CRD()}, cluster.NewCRD())
		if client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, fmt.Errorf("reading CustomResourceDefinition %s: %w", kind.CRD(), err)
		}
		exists := err == nil
		_, served := r.apis.Version(kind)
		coming = coming || exists && !served
		leaving = leaving || !exists && served
	}
	if !coming && !leaving {
		r.resetRechecks(group)
		return ctrl.Result{}, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rechecks[group]++; r.rechecks[group] >= maxRechecks {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: establishing}, nil
}

func (r *apiReconciler) resetRechecks(group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rechecks, group)
}
