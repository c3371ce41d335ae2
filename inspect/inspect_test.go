package inspect

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
)

// TestConditionOfAnOlderGeneration: what was true of an earlier spec is neither the status nor the reason of this one.
func TestConditionOfAnOlderGeneration(t *testing.T) {
	odh := &v1alpha1.OpenDataHub{}
	odh.Generation = 2
	odh.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAvailable, Message: "all ready", ObservedGeneration: 1,
	}}
	if status, reason, message := Condition(odh, v1alpha1.ConditionReady); status != metav1.ConditionUnknown || reason != v1alpha1.ReasonPending || message == "all ready" {
		t.Errorf("of an older generation: %s, %s: %s", status, reason, message)
	}
	odh.Generation = 1
	if status, reason, _ := Condition(odh, v1alpha1.ConditionReady); status != metav1.ConditionTrue || reason != v1alpha1.ReasonAvailable {
		t.Errorf("of this generation: %s, %s", status, reason)
	}
}
