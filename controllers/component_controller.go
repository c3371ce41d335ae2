package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
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

// componentReconciler makes one component of every platform so. There is one per component, each with its own queue,
// name and field manager, so that one component's trouble delays no other.
type componentReconciler struct {
	component components.Component
	condition string // KafkaReady

	client   client.Client
	reader   client.Reader // the API server itself
	hubs     *hubs
	children *watch.Children
	apis     *watch.APIs
	secrets  *watch.References
	applier  *apply.Applier
	status   *status.Writer
	events   events.EventRecorder
	cluster  components.Cluster
	// operators that the component needs.
	operators *operators
	// unsettled is since when, by UID, a platform's component is not ready that its status calls ready.
	unsettled sync.Map
	// now is the clock for that.
	now func() time.Time
	// watchesCRDs is false when the manager may only look at some namespaces; then missing kinds are asked for.
	watchesCRDs bool
}

// leftoverInterval is how often objects that nobody watches are asked for while a removal waits for them.
const leftoverInterval = 2 * time.Second

// settle is how long a component that was ready may be on its way again before its status says so. Somebody's note on a
// Deployment makes its controller look at it once more, which is over before anybody could read of it.
const settle = time.Second

// apiInterval is how often a missing kind is asked for when CustomResourceDefinitions cannot be watched.
const apiInterval = 30 * time.Second

func (r *componentReconciler) manager() string { return apply.Manager(r.component.Name()) }

func (r *componentReconciler) finalizer() string { return cluster.FinalizerPrefix + r.component.Name() }

// Reconcile implements reconcile.Reconciler.
func (r *componentReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	hub, err := r.hubs.get(ctx, request.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if hub == nil {
		return ctrl.Result{}, r.forget(ctx, request.NamespacedName)
	}
	platform, err := r.hubs.platformOf(ctx, hub.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	if platform == nil || platform.UID != hub.UID {
		// The summary says so. It has nothing deployed, even if, restored from a backup, it has our finalizers.
		if hub.DeletionTimestamp != nil && slices.Contains(hub.Finalizers, r.finalizer()) {
			return ctrl.Result{}, r.release(ctx, hub)
		}
		return ctrl.Result{}, nil
	}
	state, wanted := components.StateOf(r.component, cluster.FactsOf(hub, r.cluster))
	if hub.DeletionTimestamp != nil || !wanted {
		return r.remove(ctx, hub)
	}
	observed, err := r.deploy(ctx, hub, state == v1alpha1.Unmanaged)
	return r.report(ctx, hub, state, observed, err)
}

// outcome is what came of a deployment that did not fail.
type outcome struct {
	components.Health
	objects int32
}

// deploy is facts, render, apply, prune, observe, assess. The error, if any, is or holds a *components.Failure.
func (r *componentReconciler) deploy(ctx context.Context, hub *v1alpha1.OpenDataHub, unmanaged bool) (outcome, error) {
	served, err := r.watch(ctx)
	if err != nil {
		return outcome{}, components.AsFailure(err, v1alpha1.ReasonFactsUnavailable)
	}
	if !unmanaged {
		// Before anything can fail: data that was kept may be given up by somebody whose spec does not render.
		if err := r.hold(ctx, hub); err != nil {
			return outcome{}, components.AsFailure(err, v1alpha1.ReasonApplyFailed)
		}
	}
	facts, prepared, err := r.render(ctx, hub, served)
	if err != nil {
		return outcome{}, err
	}
	if unmanaged {
		return r.assess(ctx, facts, prepared)
	}

	generated, err := r.applier.Generate(ctx, r.manager(), prepared)
	r.announce(ctx, hub, generated)
	if err != nil {
		return outcome{}, components.AsFailure(err, v1alpha1.ReasonApplyFailed)
	}
	if len(generated) > 0 {
		// Pod templates carry a digest of the generated values; rendered before them, Pods would be replaced at once.
		if facts, prepared, err = r.render(ctx, hub, served); err != nil {
			return outcome{}, err
		}
	}

	applicable, missing := r.split(prepared, served)
	applied, err := r.applier.Apply(ctx, r.manager(), applicable)
	r.announce(ctx, hub, applied)
	if err != nil {
		return outcome{}, components.AsFailure(err, v1alpha1.ReasonApplyFailed)
	}
	scope := r.scope(facts, served)
	pruned, err := r.applier.Prune(ctx, scope, prepared)
	r.announce(ctx, hub, pruned)
	if err != nil {
		return outcome{}, components.AsFailure(err, v1alpha1.ReasonPruneFailed)
	}
	if len(missing) > 0 {
		return outcome{}, r.notInstalled(ctx, hub, missing)
	}
	observed, err := r.assess(ctx, facts, prepared)
	if err == nil && observed.State != components.Ready {
		// Whoever should act on the objects may be what all wait for.
		waiting := r.operators.notReady(ctx, hub, r.component)
		for _, operator := range slices.Sorted(maps.Keys(waiting)) {
			observed.Message += "; " + explain(waiting[operator])
		}
	}
	return observed, err
}

// watch watches every kind of the component that is served, and returns those.
func (r *componentReconciler) watch(ctx context.Context) ([]apply.Served, error) {
	if err := r.children.Ensure(ctx, kinds.Pod.GVK()); err != nil {
		return nil, err
	}
	var served []apply.Served
	for _, kind := range r.component.Kinds() {
		version, ok := r.apis.Version(kind)
		if !ok {
			continue
		}
		gvk := kind.WithVersion(version)
		if err := r.children.Ensure(ctx, gvk); err != nil {
			return nil, err
		}
		served = append(served, apply.Served{Kind: kind, GVK: gvk})
	}
	return served, nil
}

func (r *componentReconciler) render(ctx context.Context, hub *v1alpha1.OpenDataHub, served []apply.Served) (components.Facts, []apply.Prepared, error) {
	facts, err := r.facts(ctx, hub, served)
	if err != nil {
		return facts, nil, components.AsFailure(err, v1alpha1.ReasonFactsUnavailable)
	}
	prepared, err := Render(r.component, facts, ownerOf(hub))
	return facts, prepared, err
}

// split parts the objects whose kind is served, and so watched, from the kinds that are missing.
func (r *componentReconciler) split(prepared []apply.Prepared, served []apply.Served) (applicable []apply.Prepared, missing []kinds.Kind) {
	byKind := map[string]kinds.Kind{}
	for _, kind := range r.component.Kinds() {
		byKind[kind.GroupKind.String()] = kind
	}
	for _, p := range prepared {
		kind := byKind[p.Object.GroupVersionKind().GroupKind().String()]
		if slices.ContainsFunc(served, func(s apply.Served) bool { return s.Kind.GroupKind == kind.GroupKind }) {
			applicable = append(applicable, p)
		} else if !slices.ContainsFunc(missing, func(k kinds.Kind) bool { return k.GroupKind == kind.GroupKind }) {
			missing = append(missing, kind)
		}
	}
	return applicable, missing
}

func (r *componentReconciler) notInstalled(ctx context.Context, hub *v1alpha1.OpenDataHub, missing []kinds.Kind) error {
	var absent, facts, advice []string
	outdated := map[string][]string{} // by the versions that are needed
	waiting := r.operators.notReady(ctx, hub, r.component)
	alternative := ""
	for _, kind := range missing {
		status, ok := waiting[kind.Operator]
		if status.State != v1alpha1.DependencyInstalling { // what comes by itself needs nobody's decision
			alternative = fmt.Sprintf(", or set spec.components.%s.managementState to Removed", r.component.Name())
		}
		// One that has just come is not served at once.
		if status.State != v1alpha1.DependencyInstalling && r.operators.exists(ctx, kind) {
			versions := strings.Join(kind.Versions, " or ")
			outdated[versions] = append(outdated[versions], kind.CRD())
		} else {
			absent = append(absent, kind.CRD())
		}
		text := "install " + kind.Operator // nobody's to bring but people's
		if ok {
			text = explain(status)
		}
		if !slices.Contains(advice, text) {
			advice = append(advice, text)
		}
	}
	if len(absent) > 0 {
		facts = append(facts, crds(absent, "is", "are")+" not installed")
	}
	for _, versions := range slices.Sorted(maps.Keys(outdated)) {
		facts = append(facts, crds(outdated[versions], "does", "do")+" not serve "+versions)
	}
	return &components.Failure{Reason: v1alpha1.ReasonAPINotInstalled, Err: fmt.Errorf(
		"%s; %s%s", strings.Join(facts, ", "), strings.Join(advice, "; "), alternative)}
}

// crds names some, with a verb that agrees.
func crds(names []string, one, many string) string {
	if len(names) == 1 {
		return fmt.Sprintf("CRD %s %s", names[0], one)
	}
	return fmt.Sprintf("CRDs %s %s", strings.Join(names, ", "), many)
}

func (r *componentReconciler) assess(ctx context.Context, facts components.Facts, prepared []apply.Prepared) (outcome, error) {
	observed := components.Observed{Facts: facts}
	objects := int32(0)
	platform := types.NamespacedName{Namespace: facts.Platform.Namespace, Name: facts.Platform.Name}
	for _, p := range prepared {
		if p.Subresource != "" {
			continue
		}
		if p.Object.GetName() != recordName(facts.Platform.Name, r.component.Name()) {
			objects++ // the record comes when there is something to remember, which is no news
		}
		rendered := components.Rendered{
			Kind: p.Object.GroupVersionKind(), Namespace: p.Object.GetNamespace(), Name: p.Object.GetName(),
		}
		observed.Rendered = append(observed.Rendered, rendered)
		if _, ok := r.apis.Version(kindFor(r.component, rendered)); !ok {
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

// scope is what may be deleted. The facts must hold the live objects, see components.Keeper.
func (r *componentReconciler) scope(facts components.Facts, served []apply.Served) apply.Scope {
	keeper, ok := r.component.(components.Keeper)
	return apply.Scope{
		Platform:  types.NamespacedName{Namespace: facts.Platform.Namespace, Name: facts.Platform.Name},
		Component: r.component.Name(),
		Kinds:     served,
		KeepData:  facts.Retains() || ok && keeper.KeepsData(facts),
	}
}

// report turns what happened into the condition, events, metrics and the next look. It is the only place that does.
func (r *componentReconciler) report(ctx context.Context, hub *v1alpha1.OpenDataHub, state v1alpha1.ManagementState, observed outcome, err error) (ctrl.Result, error) {
	condition := metav1.Condition{
		Type:               r.condition,
		Status:             metav1.ConditionFalse,
		ObservedGeneration: hub.Generation,
		Message:            observed.Message,
	}
	report := status.Report{}
	result := ctrl.Result{}
	var retry error

	var failure *components.Failure
	if errors.As(err, &failure) {
		condition.Reason, condition.Message = failure.Reason, failure.Error()
		report.Component = componentStatus(hub, r.component.Name()) // where it was reached has not changed
		switch {
		case failure.Terminal:
		case failure.Reason == v1alpha1.ReasonAPINotInstalled && !r.watchesCRDs:
			result.RequeueAfter = apiInterval
		case failure.Reason == v1alpha1.ReasonAPINotInstalled, failure.Reason == v1alpha1.ReasonReferenceNotFound:
			// What is missing is watched, and wakes us.
		default:
			retry = err
		}
	} else {
		if wait := r.settling(hub, observed.State); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
		switch observed.State {
		case components.Ready:
			condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonAvailable
		case components.Degraded:
			condition.Reason = v1alpha1.ReasonDegraded
		default:
			condition.Reason = v1alpha1.ReasonProgressing
		}
		report.Component = &v1alpha1.ComponentStatus{
			Name: r.component.Name(), Version: observed.Version,
			Endpoints: observed.Endpoints, CredentialsSecret: observed.CredentialsSecret, Objects: observed.objects,
		}
		if r.children.Pending(client.ObjectKeyFromObject(hub), r.component.Name()) {
			result.RequeueAfter = watch.Confirmation
		}
	}
	if state == v1alpha1.Unmanaged {
		condition.Reason = v1alpha1.ReasonUnmanaged
		condition.Message = "managementState is Unmanaged, so nothing is changed: " + condition.Message
	}
	// The API server explains some refusals with a comparison over several lines.
	condition.Message = strings.Join(strings.Fields(condition.Message), " ")
	report.Conditions = []metav1.Condition{condition}
	if _, ok := r.component.(components.Part); ok {
		report.Component = nil // the summary speaks of it
		if condition.Status == metav1.ConditionTrue {
			report.Conditions = nil
			componentReady.set(hub, r.component.Name(), true)
		}
	}

	wrote, wait, writeErr := r.write(ctx, hub, report)
	if wrote {
		r.transition(ctx, hub, condition)
	}
	if wait > 0 && (result.RequeueAfter == 0 || wait < result.RequeueAfter) {
		result.RequeueAfter = wait
	}
	if err := errors.Join(retry, writeErr); err != nil {
		return ctrl.Result{}, err
	}
	return result, nil
}

// settling is how long to wait before a component that is on its way is no longer called ready.
func (r *componentReconciler) settling(hub *v1alpha1.OpenDataHub, state components.State) time.Duration {
	current := meta.FindStatusCondition(hub.Status.Conditions, r.condition)
	if state != components.Progressing || current == nil || current.Status != metav1.ConditionTrue ||
		current.ObservedGeneration != hub.Generation {
		r.unsettled.Delete(hub.UID)
		return 0
	}
	now := r.now()
	since, _ := r.unsettled.LoadOrStore(hub.UID, now)
	return max(0, settle-now.Sub(since.(time.Time)))
}

func (r *componentReconciler) write(ctx context.Context, hub *v1alpha1.OpenDataHub, report status.Report) (bool, time.Duration, error) {
	for _, condition := range report.Conditions {
		componentReady.set(hub, r.component.Name(), condition.Status == metav1.ConditionTrue)
	}
	return r.status.Write(ctx, hub, r.manager(), report)
}

// announce logs and counts what was done to objects, and tells people what they may want to know.
func (r *componentReconciler) announce(ctx context.Context, hub *v1alpha1.OpenDataHub, changes []apply.Change) {
	log := ctrl.LoggerFrom(ctx)
	for _, change := range changes {
		objectsApplied.WithLabelValues(r.component.Name(), string(change.Action)).Inc()
		log.Info(string(change.Action)+" "+change.Kind, change.Kind, klog.KRef(change.Namespace, change.Name))
		if change.Action == apply.Restored {
			r.events.Eventf(hub, nil, "Normal", string(change.Action), "Apply",
				"Restored %s %s, which somebody else had changed or deleted", change.Kind, change.Name)
		}
	}
}

func componentStatus(hub *v1alpha1.OpenDataHub, name string) *v1alpha1.ComponentStatus {
	for i := range hub.Status.Components {
		if hub.Status.Components[i].Name == name {
			return &hub.Status.Components[i]
		}
	}
	return nil
}

func ownerOf(hub *v1alpha1.OpenDataHub) *metav1.OwnerReference {
	owner := metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "OpenDataHub", Name: hub.Name, UID: hub.UID,
	}
	controller := true
	owner.Controller = &controller
	return &owner
}
