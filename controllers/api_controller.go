package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"opendatahub.io/operator/api/v1alpha1"
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

// apiInterval is how often a group is asked while a platform waits for one of its kinds, when CustomResourceDefinitions cannot
// be watched.
const apiInterval = 30 * time.Second

// optionalInterval is how often it is asked then for kinds that components do without.
const optionalInterval = 5 * time.Minute

// apisController is the name of the controller whose requests are named after API groups.
const apisController = "apis"

// apiReconciler notices when the kinds that components render appear and go, and wakes the components concerned.
type apiReconciler struct {
	cache    client.Reader
	odhs     *odhs
	apis     *watch.APIs
	children *watch.Children
	found    *watch.Found
	queues   *watch.Queues
	all      []components.Component
	// watchesCRDs is false when the manager may only look at some namespaces. Then groups are asked again while a
	// platform waits for them.
	watchesCRDs bool

	mu sync.Mutex
	// rechecks counts, by group, how often it was asked again since the last event of a CustomResourceDefinition.
	rechecks map[string]int
}

func (r *apiReconciler) setup(mgr manager.Manager) error {
	// What was asked at the start may have changed before the watch began.
	everyGroup := source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		for _, group := range r.apis.Groups() {
			q.Add(groupRequest(group))
		}
		return nil
	})
	controller := builder.ControllerManagedBy(mgr).
		Named(apisController).
		WatchesRawSource(everyGroup).
		WatchesRawSource(r.queues.Source(apisController)).
		WithOptions(controllerOptions())
	if r.watchesCRDs {
		controller = controller.WatchesMetadata(cluster.NewCRD(), handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
			group, concerns := r.apis.GroupOfCRD(object.GetName())
			if !concerns {
				return nil
			}
			r.resetRechecks(group)
			return []reconcile.Request{groupRequest(group)}
		}))
	}
	if err := controller.Complete(r); err != nil {
		return fmt.Errorf("setting up the controller of API groups: %w", err)
	}
	return nil
}

func groupRequest(group string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: group}}
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
			// Its reflector would retry a version that is gone, for ever.
			r.children.Drop(kind.WithVersion(version))
			if err := r.found.Drop(ctx, kind.WithVersion(version)); err != nil {
				return ctrl.Result{}, err
			}
		}
	}
	if len(changed) > 0 {
		concerned := func(own kinds.Kind) bool {
			return slices.ContainsFunc(changed, func(k kinds.Kind) bool { return k.GroupKind == own.GroupKind })
		}
		if err := wakePlatforms(ctx, r.odhs, r.queues, r.all, concerned); err != nil {
			return ctrl.Result{}, err
		}
	}
	if !r.watchesCRDs {
		awaited, err := r.awaited(ctx, group)
		switch {
		case err != nil:
			return ctrl.Result{}, err
		case awaited:
			return ctrl.Result{RequeueAfter: apiInterval}, nil
		case r.wouldUse(group):
			return ctrl.Result{RequeueAfter: optionalInterval}, nil
		}
		return ctrl.Result{}, nil
	}
	return r.again(ctx, group)
}

// wouldUse is whether components would use a kind of the group that is not served, and do without it.
func (r *apiReconciler) wouldUse(group string) bool {
	return slices.ContainsFunc(r.all, func(component components.Component) bool {
		return slices.ContainsFunc(components.UsesOf(component), func(use components.Use) bool {
			_, served := r.apis.Version(use.Kind)
			return use.Optional && use.Group == group && !served
		})
	})
}

// awaited is whether the status of a platform says that a kind of the group is missing.
func (r *apiReconciler) awaited(ctx context.Context, group string) (bool, error) {
	platforms, err := r.odhs.list(ctx)
	if err != nil {
		return false, err
	}
	for _, component := range r.all {
		condition, _ := components.ConditionOf(component)
		missing := slices.ContainsFunc(component.Kinds(), func(kind kinds.Kind) bool {
			_, served := r.apis.Version(kind)
			return kind.Group == group && !served
		})
		if missing && slices.ContainsFunc(platforms, func(odh *v1alpha1.OpenDataHub) bool {
			current := meta.FindStatusCondition(odh.Status.Conditions, condition)
			return current != nil && current.Reason == v1alpha1.ReasonAPINotInstalled
		}) {
			return true, nil
		}
	}
	return false, nil
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
