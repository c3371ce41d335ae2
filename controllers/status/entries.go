package status

import (
	"encoding/json"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
)

// ownedEntries are the list entries that the manager owns: "condition/KafkaReady", "component/kafka". The API server
// keeps that record; a copy in memory would be lost with the process.
func ownedEntries(odh *v1alpha1.OpenDataHub, manager string) map[string]bool {
	owned := map[string]bool{}
	entry := statusEntry(odh, manager)
	if entry == nil || entry.FieldsV1 == nil {
		return owned
	}
	var fields struct {
		Status struct {
			Conditions map[string]json.RawMessage `json:"f:conditions"`
			Components map[string]json.RawMessage `json:"f:components"`
		} `json:"f:status"`
	}
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		return owned
	}
	collect := func(prefix, key string, entries map[string]json.RawMessage) {
		for path := range entries {
			encoded, ok := strings.CutPrefix(path, "k:")
			if !ok {
				continue
			}
			keys := map[string]string{}
			if err := json.Unmarshal([]byte(encoded), &keys); err == nil {
				owned[prefix+keys[key]] = true
			}
		}
	}
	collect("condition/", "type", fields.Status.Conditions)
	collect("component/", "name", fields.Status.Components)
	return owned
}

// lastWrite is when the manager last changed the status.
func lastWrite(odh *v1alpha1.OpenDataHub, manager string) time.Time {
	if entry := statusEntry(odh, manager); entry != nil && entry.Time != nil {
		return entry.Time.Time
	}
	return time.Time{}
}

func statusEntry(odh *v1alpha1.OpenDataHub, manager string) *metav1.ManagedFieldsEntry {
	for i := range odh.ManagedFields {
		entry := &odh.ManagedFields[i]
		if entry.Manager == manager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "status" {
			return entry
		}
	}
	return nil
}
