package controllers

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/api/v1alpha1"
)

// maxNote is the API server's bound for the note of an Event, in bytes.
const maxNote = 1024

// transition tells people that a component's condition changed. hub is the resource as it was before the write.
func (r *componentReconciler) transition(ctx context.Context, hub *v1alpha1.OpenDataHub, condition metav1.Condition) {
	before := meta.FindStatusCondition(hub.Status.Conditions, condition.Type)
	if before != nil && before.Status == condition.Status && before.Reason == condition.Reason {
		return
	}
	kind := corev1.EventTypeNormal
	if condition.Status != metav1.ConditionTrue && condition.Reason != v1alpha1.ReasonProgressing &&
		condition.Reason != v1alpha1.ReasonRemoving {
		kind = corev1.EventTypeWarning
	}
	ctrl.LoggerFrom(ctx).Info("Changed "+condition.Type, "status", condition.Status, "reason", condition.Reason, "message", condition.Message)
	note := r.component.Name() + ": " + condition.Message
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-3], "") + "..."
	}
	r.events.Eventf(hub, nil, kind, condition.Reason, "Reconcile", "%s", note)
}
