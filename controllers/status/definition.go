package status

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
)

// Recheck is how long a field that the definition of OpenDataHub lacks is left out before it is tried again: what fields a definition has is
// not watched.
const Recheck = time.Minute

// lack are the fields that a definition older than the operator does not have, as dotted paths.
type lack struct {
	fields []string
	until  time.Time
}

type lackKey struct {
	hub     types.NamespacedName
	manager string
}

// entry is the key of a list's entry in such a path.
var entry = regexp.MustCompile(`^components\[name="[^"]*"\]`)

// lacking are the fields that an error says the definition lacks. That is no component's fault, and no reason to say nothing.
func lacking(err error) (fields []string) {
	for _, field := range cluster.Undeclared(err) {
		field, ok := strings.CutPrefix(field, "status.")
		if !ok {
			continue
		}
		// A writer reports one component. Of any other list, the whole field is left out.
		path := entry.ReplaceAllString(field, "components")
		path, _, _ = strings.Cut(path, "[")
		fields = append(fields, path)
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// leaveOut takes fields out of a status. It returns whether one was there.
func leaveOut(status map[string]any, fields []string) (left bool) {
	for _, field := range fields {
		path := strings.Split(field, ".")
		object := status
		if path[0] == "components" && len(path) > 1 {
			components, _ := status["components"].([]any)
			if len(components) == 0 {
				continue
			}
			object, path = components[0].(map[string]any), path[1:]
		}
		_, found, _ := unstructured.NestedFieldNoCopy(object, path...)
		left = left || found
		unstructured.RemoveNestedField(object, path...)
	}
	return left
}

// without is the report without the fields, and whether it had one of them.
func (r Report) without(odh *v1alpha1.OpenDataHub, fields []string) (without Report, left bool, err error) {
	if len(fields) == 0 {
		return r, false, nil
	}
	object, err := r.object(odh)
	if err != nil {
		return r, false, err
	}
	if !leaveOut(object.Object["status"].(map[string]any), fields) {
		return r, false, nil
	}
	rest := &v1alpha1.OpenDataHub{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, rest); err != nil {
		return r, false, fmt.Errorf("leaving fields out of a status: %w", err)
	}
	r.Component = nil
	if len(rest.Status.Components) > 0 {
		r.Component = &rest.Status.Components[0]
	}
	if r.Summary != nil {
		r.Summary = &Summary{
			ObservedGeneration: rest.Status.ObservedGeneration, ComponentsReady: rest.Status.ComponentsReady,
			Authentication: rest.Status.Authentication, ObjectStorage: rest.Status.ObjectStorage,
			Databases: rest.Status.Databases, Dependencies: rest.Status.Dependencies,
		}
	}
	return r, true, nil
}

// lacks are the fields that a writer has to leave out, and for how long: none when they are to be tried.
func (w *Writer) lacks(key lackKey) (fields []string, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := w.lacked[key]
	if wait = known.until.Sub(w.Now()); wait <= 0 {
		return nil, 0
	}
	return known.fields, wait
}

// lack remembers that a writer has to leave out fields. It returns whether that is news.
func (w *Writer) lack(key lackKey, fields []string) bool {
	w.mu.Lock()
	if w.lacked == nil {
		w.lacked = map[lackKey]lack{}
	}
	news := !slices.Equal(w.lacked[key].fields, fields)
	w.lacked[key] = lack{fields, w.Now().Add(Recheck)}
	w.mu.Unlock()
	if news && w.Lacking != nil {
		w.Lacking(key.hub)
	}
	return news
}

// complete remembers that a writer has to leave out nothing.
func (w *Writer) complete(key lackKey) {
	w.mu.Lock()
	_, lacked := w.lacked[key]
	delete(w.lacked, key)
	w.mu.Unlock()
	if lacked && w.Lacking != nil {
		w.Lacking(key.hub)
	}
}

// Lacks are the fields that a resource's status is without, because the definition of OpenDataHub in the cluster is older than this operator.
// They are dotted paths below the status.
func (w *Writer) Lacks(hub types.NamespacedName) (fields []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, known := range w.lacked {
		if key.hub == hub {
			fields = append(fields, known.fields...)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// Forget drops what is known of a manager's part of a status that is gone.
func (w *Writer) Forget(hub types.NamespacedName, manager string) { w.complete(lackKey{hub, manager}) }
