package controllers

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/status"
	"opendatahub.io/operator/controllers/watch"
)

// progressGrace is how long a component that was Ready may be Progressing before its condition says so. An annotation on a
// Deployment triggers a brief re-sync that is not worth reporting.
const progressGrace = time.Second

// updateGrace is how long a component stays Ready while it restarts what a new version of the operator changed: as long as Kubernetes gives a
// rollout (progressDeadlineSeconds).
const updateGrace = 10 * time.Minute

// versionInterval is how often an object is applied again whose definition was too old: what fields a definition has is not watched.
const versionInterval = time.Minute

// maxNote is the API server's bound for the note of an Event, in bytes.
const maxNote = 1024

// report turns what happened into the condition, events, metrics and the next look. It is the only place that does.
func (r *componentReconciler) report(ctx context.Context, odh *v1alpha1.OpenDataHub, state v1alpha1.ManagementState, observed outcome, err error) (ctrl.Result, error) {
	condition := metav1.Condition{
		Type:               r.condition,
		Status:             metav1.ConditionFalse,
		ObservedGeneration: odh.Generation,
		Message:            observed.Message,
	}
	report := status.Report{}
	result := ctrl.Result{}
	var retry error

	var failure *components.Failure
	if errors.As(err, &failure) {
		condition.Reason, condition.Message = failure.Reason, failure.Error()
		report.Component = componentStatus(odh, r.component.Name()) // where it was reached has not changed
		switch {
		case failure.Terminal:
		case failure.Reason == v1alpha1.ReasonAccessNotGranted && !r.access.known(odh.Namespace):
			result.RequeueAfter = accessInterval
		case failure.Reason == v1alpha1.ReasonPodSecurityTooStrict, failure.Reason == v1alpha1.ReasonAccessNotGranted,
			failure.Reason == v1alpha1.ReasonNotAllowed:
			result.RequeueAfter = admissionInterval
		case failure.Reason == v1alpha1.ReasonVersionNotSupported:
			result.RequeueAfter = versionInterval
		case failure.Reason == v1alpha1.ReasonAPINotInstalled, failure.Reason == v1alpha1.ReasonReferenceNotFound:
			// What is missing is watched, and wakes us.
		default:
			retry = err
		}
		if apierrors.IsForbidden(err) {
			r.access.forget(odh.Namespace)
		}
	} else {
		wait, updating := r.grace(odh, observed.State)
		if wait > 0 && !updating {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
		result.RequeueAfter = wait
		switch {
		case updating:
			condition.Status, observed.Reason = metav1.ConditionTrue, v1alpha1.ReasonUpdating
		case observed.State == components.Ready:
			condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonAvailable
		case observed.State == components.Degraded:
			condition.Reason = v1alpha1.ReasonDegraded
		case observed.State == components.Unknown:
			condition.Status, condition.Reason = metav1.ConditionUnknown, v1alpha1.ReasonOutdated
		default:
			condition.Reason = v1alpha1.ReasonProgressing
		}
		condition.Reason = cmp.Or(observed.Reason, condition.Reason)
		report.Component = &v1alpha1.ComponentStatus{
			Name: r.component.Name(), Version: observed.Version,
			Endpoints: observed.Endpoints, CredentialsSecret: observed.CredentialsSecret, CredentialsUser: observed.CredentialsUser,
			Instances: observed.Instances, Devices: observed.Devices, Objects: observed.objects,
		}
		if r.children.Pending(client.ObjectKeyFromObject(odh), r.component.Name()) {
			result.RequeueAfter = watch.Confirmation
		}
		if wait := observed.Expires.Sub(r.now()); !observed.Expires.IsZero() && (result.RequeueAfter == 0 || wait < result.RequeueAfter) {
			result.RequeueAfter = max(wait, time.Second)
		}
	}
	if state == v1alpha1.Unmanaged {
		condition.Reason = v1alpha1.ReasonUnmanaged
		condition.Message = "managementState is Unmanaged, so nothing is changed: " + condition.Message
	}
	// The API server explains some refusals with a comparison over several lines.
	condition.Message = strings.Join(strings.Fields(condition.Message), " ")
	report.Conditions = []metav1.Condition{condition}
	if _, ok := r.component.(components.WithRule); ok {
		report.Component = nil // the summary reports it
		if condition.Status == metav1.ConditionTrue {
			report.Conditions = nil
			componentReady.set(odh, r.component.Name(), true)
		}
	}

	wrote, wait, writeErr := r.write(ctx, odh, report)
	if wrote {
		r.transition(ctx, odh, condition)
	}
	if condition.Reason == v1alpha1.ReasonAPINotInstalled {
		r.await()
	}
	if wait > 0 && (result.RequeueAfter == 0 || wait < result.RequeueAfter) {
		result.RequeueAfter = wait
	}
	if err := errors.Join(retry, writeErr); err != nil {
		return ctrl.Result{}, err
	}
	return result, nil
}

// await asks again for the groups whose kinds are missing, if no watch tells when they are served.
func (r *componentReconciler) await() {
	for _, kind := range r.component.Kinds() {
		if _, served := r.apis.Version(kind); !served && !r.watchesCRDs {
			r.queues.Wake(apisController, types.NamespacedName{Name: kind.Group})
		}
	}
}

// grace is how long to wait before a component that is Progressing is no longer reported Ready, and whether it says meanwhile that it is updating.
func (r *componentReconciler) grace(odh *v1alpha1.OpenDataHub, state components.State) (wait time.Duration, updating bool) {
	current := meta.FindStatusCondition(odh.Status.Conditions, r.condition)
	if state != components.Progressing || current == nil || current.Status != metav1.ConditionTrue ||
		current.ObservedGeneration != odh.Generation {
		r.progressing.Delete(odh.UID)
		if state != components.Progressing && !r.children.Pending(client.ObjectKeyFromObject(odh), r.component.Name()) {
			r.updated.Store(odh.UID, time.Time{})
		}
		return 0, false
	}
	now := r.now()
	since, _ := r.progressing.LoadOrStore(odh.UID, now)
	if wait := progressGrace - now.Sub(since.(time.Time)); wait > 0 {
		return wait, false
	}
	changed, _ := r.updated.LoadOrStore(odh.UID, time.Time{})
	wait = max(0, updateGrace-now.Sub(changed.(time.Time)))
	return wait, wait > 0
}

// tookOver remembers whether this process, at its first look at the platform, changed what another one had deployed.
func (r *componentReconciler) tookOver(odh *v1alpha1.OpenDataHub, changes []apply.Change) {
	var at time.Time
	if slices.ContainsFunc(changes, func(change apply.Change) bool { return change.Action == apply.Configured }) {
		at = r.now()
	}
	r.updated.LoadOrStore(odh.UID, at)
}

func (r *componentReconciler) write(ctx context.Context, odh *v1alpha1.OpenDataHub, report status.Report) (bool, time.Duration, error) {
	for _, condition := range report.Conditions {
		componentReady.set(odh, r.component.Name(), condition.Status == metav1.ConditionTrue)
	}
	if report.Component != nil {
		componentVersion.set(client.ObjectKeyFromObject(odh), r.component.Name(), report.Component.Version)
	}
	return r.status.Write(ctx, odh, r.manager(), report)
}

// transition tells people that a component's condition changed. odh is the resource as it was before the write.
func (r *componentReconciler) transition(ctx context.Context, odh *v1alpha1.OpenDataHub, condition metav1.Condition) {
	before := meta.FindStatusCondition(odh.Status.Conditions, condition.Type)
	if before != nil && before.Status == condition.Status && before.Reason == condition.Reason {
		return
	}
	kind := corev1.EventTypeNormal
	if condition.Status != metav1.ConditionTrue && condition.Reason != v1alpha1.ReasonProgressing &&
		condition.Reason != v1alpha1.ReasonRemoving {
		kind = corev1.EventTypeWarning
	}
	ctrl.LoggerFrom(ctx).Info("Changed "+condition.Type, "status", condition.Status, "reason", condition.Reason, "message", condition.Message)
	if !r.access.seen(ctx, odh.Namespace) {
		return // Events are not ours to write there
	}
	note := r.component.Name() + ": " + condition.Message
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-3], "") + "..."
	}
	r.events.Eventf(odh, nil, kind, condition.Reason, "Reconcile", "%s", note)
}

// announce logs and counts what was done to objects, and tells people what they may want to know.
func (r *componentReconciler) announce(ctx context.Context, odh *v1alpha1.OpenDataHub, changes []apply.Change) {
	log := ctrl.LoggerFrom(ctx)
	for _, change := range changes {
		objectsApplied.WithLabelValues(r.component.Name(), string(change.Action)).Inc()
		log.Info(string(change.Action)+" "+change.Kind, change.Kind, klog.KRef(change.Namespace, change.Name))
		if change.Action == apply.Untied {
			r.events.Eventf(odh, nil, "Normal", string(change.Action), "Remove",
				"Took the owner reference to %s off %s %s, which must stay: its operator did not do so within %s",
				change.Owner, change.Kind, change.Name, apply.Patience)
		}
		if change.Action == apply.Restored {
			r.events.Eventf(odh, nil, "Normal", string(change.Action), "Apply",
				"Restored %s %s, which somebody else had changed or deleted", change.Kind, change.Name)
		}
	}
}

func componentStatus(odh *v1alpha1.OpenDataHub, name string) *v1alpha1.ComponentStatus {
	for i := range odh.Status.Components {
		if odh.Status.Components[i].Name == name {
			return &odh.Status.Components[i]
		}
	}
	return nil
}
