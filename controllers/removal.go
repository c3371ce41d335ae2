package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/status"
)

// leftoverInterval is how often objects that nobody watches are asked for while a removal waits for them.
const leftoverInterval = 2 * time.Second

// keepInterval is how often data that must stay is looked at while its operator has to let go of it.
const keepInterval = time.Second

// remove takes the component away: first what its software created, then its objects in the reverse of their order,
// each kind when the one before is gone. Data stays unless the deletion policy says otherwise.
func (r *componentReconciler) remove(ctx context.Context, odh *v1alpha1.OpenDataHub) (ctrl.Result, error) {
	r.admitted.Delete(odh.UID)
	r.updated.Delete(odh.UID)
	if !slices.Contains(odh.Finalizers, r.finalizer()) {
		return ctrl.Result{}, errors.Join(r.released(ctx, odh), r.forget(ctx, client.ObjectKeyFromObject(odh)))
	}
	if odh.DeletionTimestamp != nil {
		terminating, err := r.namespaceTerminates(ctx, odh.Namespace)
		if err != nil {
			return ctrl.Result{}, err
		}
		if terminating {
			// Kubernetes deletes all that is in the namespace, in its own order: nothing may wait for us.
			r.sweep(ctx, odh)
			return ctrl.Result{}, r.release(ctx, odh)
		}
	}

	again, err := r.access.check(ctx, odh)
	var failure *components.Failure
	if errors.As(err, &failure) {
		_, _, err := r.write(ctx, odh, r.removing(odh, failure.Error()))
		return ctrl.Result{RequeueAfter: again}, errors.Join(err, r.unwatch(ctx, odh))
	}
	if err != nil || again > 0 {
		return ctrl.Result{RequeueAfter: again}, err
	}
	waiting, again, err := r.dismantle(ctx, odh)
	if err != nil {
		_, _, _ = r.write(ctx, odh, r.removing(odh, components.AsFailure(err, v1alpha1.ReasonPruneFailed).Error()))
		return ctrl.Result{}, err
	}
	if waiting != "" {
		wrote, wait, err := r.write(ctx, odh, r.removing(odh, waiting))
		if wrote {
			r.transition(ctx, odh, r.removing(odh, waiting).Conditions[0])
		}
		if again == 0 {
			again = wait
		}
		return ctrl.Result{RequeueAfter: again}, err
	}
	if odh.DeletionTimestamp == nil {
		if _, _, err := r.write(ctx, odh, status.Report{}); err != nil {
			return ctrl.Result{}, err
		}
	}
	// With the last component the operator loses its rights in the namespace, so people are told first.
	r.events.Eventf(odh, nil, corev1.EventTypeNormal, "Removed", "Remove", "Removed %s%s", r.component.Name(), r.kept(ctx, odh))
	if err := r.release(ctx, odh); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.forget(ctx, client.ObjectKeyFromObject(odh))
}

// sweep deletes what is outside the namespace and holds no data. Nothing waits for it, and a failure is only logged.
func (r *componentReconciler) sweep(ctx context.Context, odh *v1alpha1.OpenDataHub) {
	outside, err := r.watch(ctx, odh, slices.DeleteFunc(slices.Clone(r.component.Kinds()), func(kind kinds.Kind) bool { return !kind.ClusterScoped }))
	if err == nil {
		var changes []apply.Change
		_, changes, err = r.applier.Remove(ctx, apply.Scope{
			Platform: client.ObjectKeyFromObject(odh), Component: r.component.Name(), Kinds: outside, KeepData: true,
		})
		r.announce(ctx, odh, changes)
	}
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "objects outside the namespace may be left")
	}
}

// dismantle deletes what can be deleted now: what the component's software runs, then the component's own objects, then
// the data of its software, which those used. It says what it waits for, and when to look again if no watch will tell.
func (r *componentReconciler) dismantle(ctx context.Context, odh *v1alpha1.OpenDataHub) (waiting string, again time.Duration, err error) {
	served, err := r.watch(ctx, odh, r.component.Kinds())
	if err != nil {
		return "", 0, err
	}
	facts := components.NewFacts(odh, r.cluster, r.all)
	if facts.Live, err = r.live(ctx, client.ObjectKeyFromObject(odh), served); err != nil {
		return "", 0, err
	}
	scope := r.scope(facts, served)
	if err := r.record(ctx, odh, facts, scope); err != nil {
		return "", 0, err
	}
	if odh.DeletionTimestamp == nil {
		scope.PlatformUID = odh.UID
	}
	waiting, changes, err := r.applier.Keep(ctx, scope)
	r.announce(ctx, odh, changes)
	if err != nil || waiting != "" {
		return waiting, keepInterval, err
	}
	left, err := r.applier.Leftovers(ctx, scope, false)
	if err != nil {
		return "", 0, err
	}
	if left != nil {
		return left.String(), leftoverInterval, nil
	}
	left, changes, err = r.applier.Remove(ctx, scope)
	r.announce(ctx, odh, changes)
	if err != nil {
		return "", 0, err
	}
	if left != nil {
		return left.String(), 0, nil
	}
	if scope.KeepData && components.ServesKeptData(r.component) {
		return "", 0, nil
	}
	pods, err := r.children.Pods(ctx, scope.Platform, r.component.Name())
	if err != nil {
		return "", 0, err
	}
	if slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return !health.Finished(pod) }) {
		return "waiting for its Pods to end", 0, nil
	}
	// The software may have run something more until its last Pod ended.
	for _, data := range []bool{false, true} {
		left, err = r.applier.Leftovers(ctx, scope, data)
		if err != nil {
			return "", 0, err
		}
		if left != nil {
			return left.String(), leftoverInterval, nil
		}
	}
	return "", 0, nil
}

// record brings what must be remembered of live objects up to date, while they are there.
func (r *componentReconciler) record(ctx context.Context, odh *v1alpha1.OpenDataHub, facts components.Facts, scope apply.Scope) error {
	recorder, ok := r.component.(components.WithRecord)
	if !ok || !scope.KeepData {
		return nil
	}
	prepared, err := apply.Prepare(r.component.Name(), components.UsesOf(r.component), facts, OwnerOf(odh), recorder.Record(facts))
	if err != nil {
		return err
	}
	changes, err := r.applier.Apply(ctx, r.manager(), prepared)
	r.announce(ctx, odh, changes)
	return err
}

// kept names the objects that stay because they hold data.
func (r *componentReconciler) kept(ctx context.Context, odh *v1alpha1.OpenDataHub) string {
	served, err := r.watch(ctx, odh, r.component.Kinds())
	if err != nil {
		return ""
	}
	text := ""
	for _, kind := range served {
		objects, err := r.children.List(ctx, kind.GVK, client.ObjectKeyFromObject(odh), r.component.Name())
		if err != nil {
			return ""
		}
		for _, object := range objects {
			if object.GetLabels()[components.LabelData] == "true" && object.GetDeletionTimestamp() == nil {
				text += ", " + object.GetKind() + " " + object.GetName()
			}
		}
	}
	if text == "" {
		return ""
	}
	return "; kept because they hold data: " + text[len(", "):]
}

func (r *componentReconciler) removing(odh *v1alpha1.OpenDataHub, message string) status.Report {
	return status.Report{Conditions: []metav1.Condition{{
		Type: r.condition, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRemoving,
		Message: message, ObservedGeneration: odh.Generation,
	}}}
}

// released clears what a component that is not deployed may have left in the status.
func (r *componentReconciler) released(ctx context.Context, odh *v1alpha1.OpenDataHub) error {
	if odh.DeletionTimestamp != nil || meta.FindStatusCondition(odh.Status.Conditions, r.condition) == nil {
		return nil
	}
	_, _, err := r.write(ctx, odh, status.Report{})
	return err
}

// forget drops what is held in memory for a platform that no longer has the component.
func (r *componentReconciler) forget(ctx context.Context, platform types.NamespacedName) error {
	componentReady.remove(platform, r.component.Name())
	componentVersion.set(platform, r.component.Name(), "")
	r.children.Release(platform, r.component.Name())
	r.status.Forget(platform, r.manager())
	_, err := r.secrets.Use(ctx, r.component.Name(), platform)
	return err
}

// hold keeps the resource from vanishing before the component's objects are gone.
func (r *componentReconciler) hold(ctx context.Context, odh *v1alpha1.OpenDataHub) error {
	if slices.Contains(odh.Finalizers, r.finalizer()) {
		return nil
	}
	return r.applyFinalizers(ctx, odh, r.finalizer())
}

// release lets the resource go.
func (r *componentReconciler) release(ctx context.Context, odh *v1alpha1.OpenDataHub) error {
	err := r.applyFinalizers(ctx, odh)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // gone, or already another resource of that name
	}
	if err != nil || !slices.Contains(odh.Finalizers, r.finalizer()) {
		return err
	}
	// Somebody else set the finalizer too, as a restored backup does.
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": odh.ResourceVersion,
		"finalizers":      slices.DeleteFunc(slices.Clone(odh.Finalizers), func(f string) bool { return f == r.finalizer() }),
	}})
	if err != nil {
		return fmt.Errorf("releasing OpenDataHub %s: %w", odh.Name, err)
	}
	if err := r.client.Patch(ctx, odh, client.RawPatch(types.MergePatchType, body), client.FieldOwner(r.manager())); err != nil {
		return client.IgnoreNotFound(err)
	}
	r.status.Wrote(odh)
	return nil
}

// applyFinalizers makes these our finalizers, and the given resource the API server's answer.
func (r *componentReconciler) applyFinalizers(ctx context.Context, odh *v1alpha1.OpenDataHub, finalizers ...string) error {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OpenDataHub"))
	object.SetNamespace(odh.Namespace)
	object.SetName(odh.Name)
	object.SetUID(odh.UID) // an apply must not bring a deleted resource back
	object.SetFinalizers(finalizers)
	err := r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(r.manager()), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("setting the finalizer of OpenDataHub %s: %w", odh.Name, err)
	}
	answer := &v1alpha1.OpenDataHub{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, answer); err != nil {
		return fmt.Errorf("reading OpenDataHub %s: %w", odh.Name, err)
	}
	*odh = *answer
	r.status.Wrote(answer.DeepCopy())
	return nil
}

func (r *componentReconciler) namespaceTerminates(ctx context.Context, name string) (bool, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := r.reader.Get(ctx, types.NamespacedName{Name: name}, namespace)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	return namespace.DeletionTimestamp != nil, nil
}
