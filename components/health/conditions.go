package health

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Condition is the condition of that type in status.conditions. The fields that it lacks are empty; found is false when
// there is no such condition.
func Condition(object *unstructured.Unstructured, conditionType string) (condition metav1.Condition, found bool) {
	entries, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	return inConditions(entries, conditionType)
}

func inConditions(entries []any, conditionType string) (metav1.Condition, bool) {
	for _, entry := range entries {
		fields, ok := entry.(map[string]any)
		if !ok || fields["type"] != conditionType {
			continue
		}
		condition := metav1.Condition{Type: conditionType}
		status, _ := fields["status"].(string)
		condition.Status = metav1.ConditionStatus(status)
		condition.Reason, _ = fields["reason"].(string)
		condition.Message, _ = fields["message"].(string)
		condition.ObservedGeneration, _ = fields["observedGeneration"].(int64)
		return condition, true
	}
	return metav1.Condition{}, false
}

// Current reports whether status.observedGeneration has reached metadata.generation. An object whose status does not
// say is not current.
func Current(object *unstructured.Unstructured) bool {
	seen, found, err := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	return found && err == nil && seen >= object.GetGeneration()
}

// Explain words a condition that is not as it should be: "not Ready: NoNodes: 0 of 3 nodes".
func Explain(condition metav1.Condition) string {
	text := "not " + condition.Type
	if condition.Status == metav1.ConditionTrue {
		text = condition.Type
	}
	for _, part := range []string{condition.Reason, condition.Message} {
		if part = strings.TrimSpace(part); part != "" {
			text += ": " + part
		}
	}
	return text
}

// Blocked is what the operator of an object says about why it cannot let the object go, or empty. Rook says so in conditions
// such as DeletionIsBlocked and PoolDeletionIsBlocked.
func Blocked(object *unstructured.Unstructured) string {
	entries, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, entry := range entries {
		fields, _ := entry.(map[string]any)
		conditionType, _ := fields["type"].(string)
		message, _ := fields["message"].(string)
		if strings.HasSuffix(conditionType, "DeletionIsBlocked") && fields["status"] == string(metav1.ConditionTrue) && message != "" {
			return Shorten(message, maxProblem)
		}
	}
	return ""
}

// convert reads an unstructured object into its Go type.
func convert[T any](object *unstructured.Unstructured, then func(*T) Verdict) Verdict {
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed); err != nil {
		return Progress("%s", fmt.Errorf("cannot be read: %w", err))
	}
	return then(typed)
}
