package apply

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/watch"
)

// owned is a node of the field set that the API server keeps for one manager, in the format of FieldsV1:
// "f:name" leads to a field, `k:{"name":"http"}` to the list item with those keys, "v:..." to a set's value.
type owned map[string]owned

// fieldsOf returns what the API server says that the manager applied, as JSON, and whether it applied anything.
func fieldsOf(object *unstructured.Unstructured, manager string) (string, bool) {
	for entry := range entriesOf(object, manager) {
		if entry["operation"] != string(metav1.ManagedFieldsOperationApply) || entry["fieldsV1"] == nil {
			continue
		}
		fields, err := watch.FieldSet(entry)
		return fields, err == nil
	}
	return "", false
}

// entriesOf are the entries of a manager in the managed fields, without those of subresources. The accessors of unstructured objects
// decode every entry, which is too much for objects that are only looked at.
func entriesOf(object *unstructured.Unstructured, manager string) iter.Seq[map[string]any] {
	return func(yield func(map[string]any) bool) {
		metadata, _ := object.Object["metadata"].(map[string]any)
		entries, _ := metadata["managedFields"].([]any)
		for _, entry := range entries {
			entry, _ := entry.(map[string]any)
			if entry["manager"] != manager || entry["subresource"] != nil && entry["subresource"] != "" {
				continue
			}
			if !yield(entry) {
				return
			}
		}
	}
}

// parseFields reads a field set. One that cannot be read covers nothing.
func parseFields(text string) owned {
	var fields owned
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return nil
	}
	return fields
}

// covers is whether the manager still owns every field of what it applied. Whoever changes an owned field takes it
// out of the manager's set, whatever the means; so an object whose set covers the intent, and which was made from that
// intent, has not drifted. No schema is needed to know that, and values that the API server rewrites
// (quantities, durations) do not matter.
func (o owned) covers(intent map[string]any) bool {
	for name, value := range intent {
		field, ok := o["f:"+name]
		if !ok || !field.coversValue(value) {
			return false
		}
	}
	return true
}

// coversObject is covers for a whole object: what identifies it is owned by nobody.
func (o owned) coversObject(object *unstructured.Unstructured) bool {
	for name, value := range object.Object {
		switch name {
		case "apiVersion", "kind":
			continue
		case "metadata":
			metadata, _ := value.(map[string]any)
			for name, value := range metadata {
				if name == "name" || name == "namespace" {
					continue
				}
				if field, ok := o["f:metadata"]["f:"+name]; !ok || !field.coversValue(value) {
					return false
				}
			}
		default:
			if field, ok := o["f:"+name]; !ok || !field.coversValue(value) {
				return false
			}
		}
	}
	return true
}

func (o owned) coversValue(value any) bool {
	if o.isLeaf() {
		return true // a scalar, or an atomic map or list that is owned as a whole
	}
	switch value := value.(type) {
	case map[string]any:
		return o.covers(value)
	case []any:
		return o.coversList(value)
	default:
		return true
	}
}

// isLeaf: "." alone stands for the field itself.
func (o owned) isLeaf() bool {
	_, self := o["."]
	return len(o) == 0 || self && len(o) == 1
}

func (o owned) coversList(items []any) bool {
	count := 0
	for path := range o {
		if path != "." {
			count++
		}
	}
	if count != len(items) {
		return false
	}
	for _, item := range items {
		keyed, ok := item.(map[string]any)
		if !ok {
			continue // the values of a set: their number is enough, since a changed value leaves the set
		}
		if !o.coversItem(keyed) {
			return false
		}
	}
	return true
}

// coversItem finds the list item by its keys. A key that the intent leaves out was given a default by the API server.
func (o owned) coversItem(item map[string]any) bool {
	for path, fields := range o {
		encoded, ok := strings.CutPrefix(path, "k:")
		if !ok {
			continue
		}
		var keys map[string]any
		if err := json.Unmarshal([]byte(encoded), &keys); err != nil {
			return false
		}
		if matches(item, keys) && fields.coversValue(item) {
			return true
		}
	}
	return false
}

func matches(item, keys map[string]any) bool {
	for name, key := range keys {
		value, ok := item[name]
		if !ok {
			continue
		}
		a, errA := json.Marshal(value)
		b, errB := json.Marshal(key)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			return false
		}
	}
	return true
}

// ofAnother refuses an object outside the namespaces of platforms that another platform wrote: the field manager is the component's, and
// so the same for all platforms. Labels that somebody else put there do not count.
func ofAnother(object *unstructured.Unstructured, manager string, p Prepared) error {
	labels := object.GetLabels()
	platform := types.NamespacedName{Namespace: labels[components.LabelPlatformNamespace], Name: labels[components.LabelPlatform]}
	if p.Object.GetNamespace() != "" || platform.Namespace == "" || platform.Name == "" || platform == p.Platform {
		return nil
	}
	fields, _ := fieldsOf(object, manager)
	labelled := parseFields(fields)["f:metadata"]["f:labels"]
	for _, key := range []string{components.LabelPlatformNamespace, components.LabelPlatform} {
		if _, ours := labelled["f:"+key]; !ours {
			return nil
		}
	}
	return &components.Failure{Reason: v1alpha1.ReasonConflict, Err: fmt.Errorf("%s belongs to OpenDataHub %s", p, platform)}
}

// IsOurs is whether the field manager ever wrote the object. Labels alone do not tell: operators such as Strimzi copy
// the labels of a custom resource to everything they make of it.
func IsOurs(object *unstructured.Unstructured, manager string) bool {
	for range entriesOf(object, manager) {
		return true
	}
	return false
}
