package controllers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/status"
	"opendatahub.io/operator/controllers/watch"
)

// componentReconciler deploys one component on every platform. There is one per component, each with its own queue, name and field
// manager, so that a component in trouble delays no other.
type componentReconciler struct {
	component components.Component
	condition string // KafkaReady
	// all that platforms can consist of, whose declarations the component sees.
	all []components.Component

	client   client.Client
	reader   client.Reader // the API server itself
	odhs     *odhs
	children *watch.Children
	queues   *watch.Queues
	apis     *watch.APIs
	found    *watch.Found
	secrets  *watch.References
	applier  *apply.Applier
	status   *status.Writer
	events   events.EventRecorder
	cluster  components.Cluster
	// operators that the component needs.
	operators *operators
	access    *access
	// progressing is when a component that is still reported Ready began to be Progressing, by the UID of the OpenDataHub.
	progressing sync.Map
	// updated is when this process, at its first look at a platform, changed what another one had deployed; the zero time if it did not, or when
	// that has come to its end. By the UID of the OpenDataHub.
	updated sync.Map
	// admitted has, by UID, the platforms whose namespaces admit the component's Pods.
	admitted sync.Map
	// authorities signed the certificates of this operator's metrics and its installer's.
	authorities func() components.MetricsAuthorities
	now         func() time.Time
	// watchesCRDs is false when the manager may only look at some namespaces.
	watchesCRDs bool
}

func (r *componentReconciler) manager() string { return apply.Manager(r.component.Name()) }

func (r *componentReconciler) finalizer() string { return cluster.FinalizerPrefix + r.component.Name() }

// Reconcile implements reconcile.Reconciler.
func (r *componentReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	odh, err := r.odhs.get(ctx, request.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	platform, err := r.odhs.platformOf(ctx, request.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	if odh == nil {
		return ctrl.Result{}, r.forget(ctx, request.NamespacedName)
	}
	if platform == nil || platform.UID != odh.UID {
		// The summary reports it. Nothing is deployed for it, even if it was restored from a backup and has our finalizers.
		if odh.DeletionTimestamp != nil && slices.Contains(odh.Finalizers, r.finalizer()) {
			return ctrl.Result{}, r.release(ctx, odh)
		}
		return ctrl.Result{}, nil
	}
	state, wanted := components.StateOf(r.component, components.NewFacts(odh, r.cluster, r.all))
	if odh.DeletionTimestamp != nil || !wanted {
		return r.remove(ctx, odh)
	}
	again, err := r.access.check(ctx, odh)
	if err != nil {
		return r.report(ctx, odh, state, outcome{}, errors.Join(components.AsFailure(err, v1alpha1.ReasonFactsUnavailable), r.unwatch(ctx, odh)))
	}
	if again > 0 {
		return ctrl.Result{RequeueAfter: again}, nil
	}
	observed, err := r.deploy(ctx, odh, state == v1alpha1.Unmanaged)
	return r.report(ctx, odh, state, observed, err)
}

// outcome is what came of a deployment that did not fail.
type outcome struct {
	components.Health
	objects int32
}

// deploy is facts, render, apply, prune, observe, assess. The error, if any, is or holds a *components.Failure.
func (r *componentReconciler) deploy(ctx context.Context, odh *v1alpha1.OpenDataHub, unmanaged bool) (outcome, error) {
	served, err := r.watch(ctx, odh, r.component.Kinds())
	if err != nil {
		return outcome{}, components.AsFailure(err, v1alpha1.ReasonFactsUnavailable)
	}
	if !unmanaged {
		// Before anything can fail: kept data can be deleted even by an OpenDataHub whose spec does not render.
		if err := r.hold(ctx, odh); err != nil {
			return outcome{}, components.AsFailure(err, v1alpha1.ReasonApplyFailed)
		}
	}
	facts, prepared, err := r.render(ctx, odh, served)
	if err != nil {
		return outcome{}, err
	}
	if unmanaged {
		return r.assess(ctx, facts, prepared)
	}
	remark, err := r.admit(ctx, odh, facts, prepared, served)
	if err != nil {
		return outcome{}, components.AsFailure(err, v1alpha1.ReasonFactsUnavailable)
	}

	generated, err := r.applier.Generate(ctx, r.manager(), prepared)
	r.announce(ctx, odh, generated)
	if err != nil {
		return outcome{}, components.AsFailure(err, v1alpha1.ReasonApplyFailed)
	}
	if len(generated) > 0 {
		// Pod templates carry a digest of the generated values; rendered before them, Pods would be replaced at once.
		if facts, prepared, err = r.render(ctx, odh, served); err != nil {
			return outcome{}, err
		}
	}

	applicable, missing := r.split(prepared, served)
	end := r.timed("apply")
	applied, err := r.applier.Apply(ctx, r.manager(), applicable)
	end()
	r.announce(ctx, odh, applied)
	if err == nil {
		r.tookOver(odh, applied)
		objectsApplied.WithLabelValues(r.component.Name(), skipped).Add(float64(len(applicable) - len(applied)))
	}
	if err != nil {
		return outcome{}, r.refused(odh, r.operators.upgrade(r.component, components.AsFailure(err, v1alpha1.ReasonApplyFailed)))
	}
	scope := r.scope(facts, served)
	scope.PlatformUID = odh.UID
	end = r.timed("prune")
	pruned, err := r.applier.Prune(ctx, scope, prepared)
	end()
	r.announce(ctx, odh, pruned)
	if err != nil {
		return outcome{}, components.AsFailure(err, v1alpha1.ReasonPruneFailed)
	}
	if missing = append(missing, r.needed(facts, served, missing)...); len(missing) > 0 {
		if err := r.apis.Unknown(missing); err != nil {
			return outcome{}, components.AsFailure(err, v1alpha1.ReasonFactsUnavailable)
		}
		return outcome{}, r.operators.notInstalled(ctx, odh, r.component, missing)
	}
	observed, err := r.assess(ctx, facts, prepared)
	if err == nil && observed.State != components.Ready {
		// The cause may be a third-party operator that is not ready.
		waiting := r.operators.notReady(ctx, odh, r.component)
		for _, operator := range slices.Sorted(maps.Keys(waiting)) {
			observed.Message += "; " + explain(waiting[operator])
		}
		if remark != "" {
			observed.Message += "; " + remark
		}
		r.reconsider(odh)
	}
	return observed, err
}

// watch watches those of the component's kinds that are served, and returns them.
func (r *componentReconciler) watch(ctx context.Context, odh *v1alpha1.OpenDataHub, wanted []kinds.Kind) ([]apply.Served, error) {
	platform := client.ObjectKeyFromObject(odh)
	if err := r.children.Ensure(ctx, kinds.Pod.GVK(), platform, r.component.Name()); err != nil {
		return nil, err
	}
	var served []apply.Served
	for _, use := range components.UsesOf(r.component) {
		if use.Foreign || !slices.ContainsFunc(wanted, func(kind kinds.Kind) bool { return kind.GroupKind == use.GroupKind }) {
			continue
		}
		version, ok := r.apis.Version(use.Kind)
		if !ok {
			continue
		}
		gvk := use.WithVersion(version)
		if err := r.children.Ensure(ctx, gvk, platform, r.component.Name()); err != nil {
			return nil, err
		}
		served = append(served, apply.Served{Use: use, GVK: gvk})
	}
	return served, nil
}

// unwatch ends the watches that take rights in the platform's namespace.
func (r *componentReconciler) unwatch(ctx context.Context, odh *v1alpha1.OpenDataHub) error {
	platform := client.ObjectKeyFromObject(odh)
	r.children.Release(platform, r.component.Name())
	_, err := r.secrets.Use(ctx, r.component.Name(), platform)
	return err
}

func (r *componentReconciler) render(ctx context.Context, odh *v1alpha1.OpenDataHub, served []apply.Served) (components.Facts, []apply.Prepared, error) {
	end := r.timed("facts")
	facts, err := r.facts(ctx, odh, served)
	end()
	if err != nil {
		return facts, nil, components.AsFailure(err, v1alpha1.ReasonFactsUnavailable)
	}
	defer r.timed("render")()
	prepared, err := Render(r.component, facts, OwnerOf(odh))
	return facts, prepared, err
}

// split is [Split] for the reconciler's component.
func (r *componentReconciler) split(prepared []apply.Prepared, served []apply.Served) (applicable []apply.Prepared, missing []kinds.Kind) {
	return Split(r.component, prepared, served)
}

// Split separates the objects that can be applied from the kinds that are missing. Objects of a missing kind that is optional are left out.
// What follows a missing kind of the same third-party operator waits for it: a Kafka whose node pools cannot exist is reported as
// failed by Strimzi.
func Split(component components.Component, prepared []apply.Prepared, served []apply.Served) (applicable []apply.Prepared, missing []kinds.Kind) {
	uses := map[schema.GroupKind]components.Use{}
	for _, use := range components.UsesOf(component) {
		uses[use.GroupKind] = use
	}
	incomplete := map[string]bool{} // by provider
	for _, p := range prepared {
		use := uses[p.Object.GroupVersionKind().GroupKind()]
		switch {
		case slices.ContainsFunc(served, func(s apply.Served) bool { return s.Kind.GroupKind == use.GroupKind }):
			if use.Provider == "" || !incomplete[use.Provider] {
				applicable = append(applicable, p)
			}
		case !use.Optional && !slices.ContainsFunc(missing, func(k kinds.Kind) bool { return k.GroupKind == use.GroupKind }):
			missing = append(missing, use.Kind)
			incomplete[use.Provider] = true
		}
	}
	return applicable, missing
}

// needed lists the other kinds that are not served and that the spec needs, although only others make objects of them.
func (r *componentReconciler) needed(facts components.Facts, served []apply.Served, missing []kinds.Kind) []kinds.Kind {
	var needed []kinds.Kind
	for _, use := range components.UsesOf(r.component) {
		known := slices.ContainsFunc(missing, func(kind kinds.Kind) bool { return kind.GroupKind == use.GroupKind }) ||
			slices.ContainsFunc(served, func(s apply.Served) bool { return s.Kind.GroupKind == use.GroupKind })
		if _, ok := r.apis.Version(use.Kind); use.Foreign && ok {
			known = true
		}
		if !known && (use.Needed != nil || use.Foreign) && use.Needs(facts) {
			needed = append(needed, use.Kind)
		}
	}
	return needed
}

func (r *componentReconciler) assess(ctx context.Context, facts components.Facts, prepared []apply.Prepared) (outcome, error) {
	defer r.timed("assess")()
	observed := components.Observed{Facts: facts, Now: r.now()}
	observed.Live = nil
	objects := int32(0)
	platform := types.NamespacedName{Namespace: facts.Platform.Namespace, Name: facts.Platform.Name}
	for _, p := range prepared {
		if p.Subresource != "" {
			continue
		}
		rendered := components.Rendered{
			Kind: p.Object.GroupVersionKind(), Namespace: p.Object.GetNamespace(), Name: p.Object.GetName(),
		}
		use := components.UseOf(r.component, kindFor(r.component, rendered))
		_, served := r.apis.Version(use.Kind)
		if use.Optional && !served {
			continue
		}
		objects++
		observed.Rendered = append(observed.Rendered, rendered)
		if !served {
			continue
		}
		live, err := r.children.Get(ctx, rendered.Kind, client.ObjectKeyFromObject(p.Object))
		if err != nil {
			return outcome{}, components.AsFailure(err, v1alpha1.ReasonFactsUnavailable)
		}
		if live != nil {
			observed.Live = append(observed.Live, live)
		}
	}
	for _, object := range facts.Live { // what is kept, and not rendered
		if observed.Live.Find(object.GroupVersionKind().GroupKind(), object.GetName()) == nil {
			observed.Live = append(observed.Live, object)
		}
	}
	var err error
	if observed.Pods, err = r.children.Pods(ctx, platform, r.component.Name()); err != nil {
		return outcome{}, components.AsFailure(err, v1alpha1.ReasonFactsUnavailable)
	}
	return outcome{Health: r.component.Assess(observed), objects: objects}, nil
}

func kindFor(component components.Component, rendered components.Rendered) kinds.Kind {
	for _, kind := range component.Kinds() {
		if kind.GroupKind == rendered.Kind.GroupKind() {
			return kind
		}
	}
	return kinds.Kind{}
}

// scope is what may be deleted. The facts must hold the live objects, see components.Destruction.
func (r *componentReconciler) scope(facts components.Facts, served []apply.Served) apply.Scope {
	var leftovers []components.Leftover
	if withLeftovers, ok := r.component.(components.WithLeftovers); ok {
		leftovers = withLeftovers.Leftovers(facts)
	}
	return apply.Scope{
		Leftovers: leftovers,
		Platform:  types.NamespacedName{Namespace: facts.Platform.Namespace, Name: facts.Platform.Name},
		Component: r.component.Name(),
		Kinds:     served,
		KeepData:  components.KeepsData(r.component, facts),
	}
}
