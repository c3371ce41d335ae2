package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/watch"
)

// establishing is how long a new CustomResourceDefinition may take to be served; it is asked for that often meanwhile.
const establishing = time.Second

// apiReconciler notices when the kinds that components render appear and go, and wakes the components concerned.
type apiReconciler struct {
	cache    cache.Cache
	apis     *watch.APIs
	children *watch.Children
	all      []components.Component
}

func setupAPIs(mgr manager.Manager, apis *watch.APIs, children *watch.Children, all []components.Component) error {
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(customResourceDefinition)
	concerns := predicate.NewPredicateFuncs(func(object client.Object) bool {
		_, ok := apis.ByCRD(object.GetName())
		return ok
	})
	err := builder.ControllerManagedBy(mgr).
		Named("apis").
		WatchesMetadata(crd, &handler.EnqueueRequestForObject{}, builder.WithPredicates(concerns)).
		WithOptions(options()).
		Complete(&apiReconciler{cache: mgr.GetCache(), apis: apis, children: children, all: all})
	if err != nil {
		return fmt.Errorf("setting up the look-out for CustomResourceDefinitions: %w", err)
	}
	return nil
}

// Reconcile implements reconcile.Reconciler.
func (r *apiReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	kind, ok := r.apis.ByCRD(request.Name)
	if !ok {
		return ctrl.Result{}, nil
	}
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(customResourceDefinition)
	err := r.cache.Get(ctx, request.NamespacedName, crd)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("reading CustomResourceDefinition %s: %w", request.Name, err)
	}
	exists := err == nil

	before, wasServed := r.apis.Version(kind)
	if wasServed && exists && crd.DeletionTimestamp == nil {
		// It may have changed which versions it serves; one request tells.
		ctrl.LoggerFrom(ctx).V(1).Info("Looking again which versions are served", "CustomResourceDefinition", request.Name)
	}
	changed, err := r.apis.Refresh(ctx, kind.Group)
	if err != nil {
		return ctrl.Result{}, err
	}
	if slices.ContainsFunc(changed, func(k kinds.Kind) bool { return k.GroupKind == kind.GroupKind }) && wasServed {
		// Its informer would ask for a version that is gone, for ever.
		if err := r.children.Drop(ctx, kind.WithVersion(before)); err != nil {
			return ctrl.Result{}, err
		}
	}
	if len(changed) > 0 {
		if err := r.wake(ctx, changed); err != nil {
			return ctrl.Result{}, err
		}
	}
	if _, served := r.apis.Version(kind); exists != served {
		return ctrl.Result{RequeueAfter: establishing}, nil
	}
	return ctrl.Result{}, nil
}

// wake queues every platform for the components that render one of the kinds.
func (r *apiReconciler) wake(ctx context.Context, changed []kinds.Kind) error {
	var list v1alpha1.OpenDataHubList
	if err := r.cache.List(ctx, &list); err != nil {
		return fmt.Errorf("listing OpenDataHubs: %w", err)
	}
	for _, component := range r.all {
		concerned := slices.ContainsFunc(component.Kinds(), func(own kinds.Kind) bool {
			return slices.ContainsFunc(changed, func(k kinds.Kind) bool { return k.GroupKind == own.GroupKind })
		})
		if !concerned {
			continue
		}
		for i := range list.Items {
			r.children.Wake(component.Name(), client.ObjectKeyFromObject(&list.Items[i]))
		}
	}
	return nil
}
