// Package status writes the status of an OpenDataHub. Every writer owns its own list entries, by server-side apply
// under its own field manager, and writes only when something changed.
package status

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"opendatahub.io/operator/api/v1alpha1"
)

// Interval is the shortest time between two writes that report mere progress. Transitions are written at once.
const Interval = 10 * time.Second

// maxMessage keeps a condition readable, with room for the commands that install several operators by hand.
const maxMessage = 4096

// Report is what one writer has to say. Entries that it reported before and leaves out are removed.
type Report struct {
	Conditions []metav1.Condition
	Component  *v1alpha1.ComponentStatus
	// Summary fields, of the summary's writer only.
	Summary *Summary
}

// Summary is the part of the status that belongs to no component.
type Summary struct {
	ObservedGeneration int64
	ComponentsReady    string
	Authentication     *v1alpha1.AuthenticationStatus
	ObjectStorage      *v1alpha1.ObjectStorageStatus
	Databases          []v1alpha1.DatabaseStatus
	Dependencies       []v1alpha1.DependencyStatus
}

// Writer writes reports.
type Writer struct {
	Client client.Client
	// Now is the clock for transition times and Interval.
	Now func() time.Time
	// Wrote receives the API server's answer.
	Wrote func(*v1alpha1.OpenDataHub)
	// Lacking, if set, is called with a resource whose Lacks have changed.
	Lacking func(types.NamespacedName)

	mu     sync.Mutex
	lacked map[lackKey]lack
}

// Write brings the writer's part of the status up to date, but for fields that the definition in the cluster is too old for. It returns whether it
// wrote, and how long to wait before the next call if the change can wait, or if there are such fields.
func (w *Writer) Write(ctx context.Context, odh *v1alpha1.OpenDataHub, manager string, report Report) (wrote bool, wait time.Duration, err error) {
	key := lackKey{client.ObjectKeyFromObject(odh), manager}
	fields, recheck := w.lacks(key)
	left, wrote, wait, err := w.writeWithout(ctx, odh, manager, report, fields)
	if lacks := lacking(err); len(lacks) > 0 {
		fields, recheck = append(lacks, fields...), Recheck
		if w.lack(key, fields) {
			log.FromContext(ctx).Info("Warning: the definition of OpenDataHub is older than the operator, so fields of the status are left out", "fields", fields)
		}
		left, wrote, wait, err = w.writeWithout(ctx, odh, manager, report, fields)
	}
	switch {
	case err != nil:
	case left && (wait == 0 || recheck < wait):
		wait = recheck
	case !left && wait == 0: // all of it is in the status
		w.complete(key)
	}
	return wrote, wait, err
}

// writeWithout leaves fields out, and returns whether the report had one of them.
func (w *Writer) writeWithout(ctx context.Context, odh *v1alpha1.OpenDataHub, manager string, report Report, fields []string) (left, wrote bool, wait time.Duration, err error) {
	if report, left, err = report.without(odh, fields); err != nil {
		return left, false, 0, err
	}
	wrote, wait, err = w.write(ctx, odh, manager, report)
	return left, wrote, wait, err
}

func (w *Writer) write(ctx context.Context, odh *v1alpha1.OpenDataHub, manager string, report Report) (wrote bool, wait time.Duration, err error) {
	now := metav1.NewTime(w.Now().Truncate(time.Second))
	urgent, news := false, false
	for i := range report.Conditions {
		condition := &report.Conditions[i]
		condition.Message = shorten(condition.Message)
		current := meta.FindStatusCondition(odh.Status.Conditions, condition.Type)
		condition.LastTransitionTime = now
		switch {
		case current == nil:
			urgent = true
			continue
		case current.Status == condition.Status:
			condition.LastTransitionTime = current.LastTransitionTime
		}
		if current.Status != condition.Status || current.Reason != condition.Reason ||
			current.ObservedGeneration != condition.ObservedGeneration {
			urgent = true
		}
		if condition.Reason == v1alpha1.ReasonRemoving && current.Message != condition.Message {
			urgent = true // the message may ask a person to do something
		}
		news = news || *current != *condition
	}
	if w.leavesOut(odh, manager, report) {
		urgent = true
	}
	news = news || !sameComponent(odh, report.Component) || !sameSummary(odh, report.Summary)
	if summary := report.Summary; summary != nil && odh.Status.ObservedGeneration != summary.ObservedGeneration {
		urgent = true
	}
	if !urgent && !news {
		return false, 0, nil
	}
	if !urgent {
		if wait := Interval - w.Now().Sub(lastWrite(odh, manager)); wait > 0 {
			return false, min(wait, Interval), nil // the API server's clock may be ahead
		}
	}

	object, err := report.object(odh)
	if err != nil {
		return false, 0, err
	}
	err = w.Client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(manager), client.ForceOwnership)
	if err != nil {
		return false, 0, fmt.Errorf("writing the status: %w", err)
	}
	answer := &v1alpha1.OpenDataHub{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, answer); err != nil {
		return true, 0, fmt.Errorf("reading the answer to a status write: %w", err)
	}
	w.Wrote(answer)
	return true, 0, nil
}

// Sort puts status.components into the order of the names. Every component's entry is its own controller's, and new ones come last, so
// the order was that of the first reports. An order is no field that anybody owns. Whoever writes at the same time wins: Sort says then
// that it has to be done again.
func (w *Writer) Sort(ctx context.Context, odh *v1alpha1.OpenDataHub, manager string, names []string) (again bool, err error) {
	byName := func(a, b v1alpha1.ComponentStatus) int {
		return cmp.Compare(slices.Index(names, a.Name), slices.Index(names, b.Name))
	}
	if slices.IsSortedFunc(odh.Status.Components, byName) {
		return false, nil
	}
	before := odh.DeepCopy()
	slices.SortStableFunc(odh.Status.Components, byName)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	switch err := w.Client.Status().Patch(ctx, odh, patch, client.FieldOwner(manager)); {
	case apierrors.IsConflict(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("sorting the status: %w", err)
	}
	w.Wrote(odh.DeepCopy())
	return false, nil
}

// leavesOut is whether the writer has entries in the status that are not in the report.
func (w *Writer) leavesOut(odh *v1alpha1.OpenDataHub, manager string, report Report) bool {
	owned := ownedEntries(odh, manager)
	for _, condition := range report.Conditions {
		delete(owned, "condition/"+condition.Type)
	}
	if report.Component != nil {
		delete(owned, "component/"+report.Component.Name)
	}
	return len(owned) > 0
}

func (r Report) object(odh *v1alpha1.OpenDataHub) (*unstructured.Unstructured, error) {
	status := map[string]any{}
	if r.Summary != nil {
		status["observedGeneration"] = r.Summary.ObservedGeneration
		status["componentsReady"] = r.Summary.ComponentsReady
		if r.Summary.Authentication != nil {
			authentication, err := runtime.DefaultUnstructuredConverter.ToUnstructured(r.Summary.Authentication)
			if err != nil {
				return nil, fmt.Errorf("encoding the status of the authentication: %w", err)
			}
			status["authentication"] = authentication
		}
		if r.Summary.ObjectStorage != nil {
			storage, err := runtime.DefaultUnstructuredConverter.ToUnstructured(r.Summary.ObjectStorage)
			if err != nil {
				return nil, fmt.Errorf("encoding the status of the object storage: %w", err)
			}
			status["objectStorage"] = storage
		}
		if err := addList(status, "databases", r.Summary.Databases, func(d v1alpha1.DatabaseStatus) string { return d.Purpose }); err != nil {
			return nil, err
		}
		if err := addList(status, "dependencies", r.Summary.Dependencies, func(d v1alpha1.DependencyStatus) string { return d.Name }); err != nil {
			return nil, err
		}
	}
	if err := addList(status, "conditions", r.Conditions, func(c metav1.Condition) string { return c.Type }); err != nil {
		return nil, err
	}
	if r.Component != nil {
		component, err := runtime.DefaultUnstructuredConverter.ToUnstructured(r.Component)
		if err != nil {
			return nil, fmt.Errorf("encoding the status of %s: %w", r.Component.Name, err)
		}
		status["components"] = []any{component}
	}
	object := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OpenDataHub"))
	object.SetNamespace(odh.Namespace)
	object.SetName(odh.Name)
	// A resource that was deleted and recreated must not get its predecessor's status.
	object.SetUID(odh.UID)
	return object, nil
}

// addList adds entries to the status, unless there are none.
func addList[T any](status map[string]any, field string, entries []T, name func(T) string) error {
	list := make([]any, 0, len(entries))
	for i := range entries {
		entry, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&entries[i])
		if err != nil {
			return fmt.Errorf("encoding status.%s of %s: %w", field, name(entries[i]), err)
		}
		list = append(list, entry)
	}
	if len(list) > 0 {
		status[field] = list
	}
	return nil
}

func sameComponent(odh *v1alpha1.OpenDataHub, component *v1alpha1.ComponentStatus) bool {
	if component == nil {
		return true // leaving it out is seen by leavesOut
	}
	i := slices.IndexFunc(odh.Status.Components, func(c v1alpha1.ComponentStatus) bool { return c.Name == component.Name })
	return i >= 0 && equality.Semantic.DeepEqual(odh.Status.Components[i], *component)
}

func sameSummary(odh *v1alpha1.OpenDataHub, summary *Summary) bool {
	return summary == nil ||
		odh.Status.ObservedGeneration == summary.ObservedGeneration && odh.Status.ComponentsReady == summary.ComponentsReady &&
			equality.Semantic.DeepEqual(odh.Status.Authentication, summary.Authentication) &&
			equality.Semantic.DeepEqual(odh.Status.ObjectStorage, summary.ObjectStorage) &&
			equality.Semantic.DeepEqual(odh.Status.Databases, summary.Databases) &&
			equality.Semantic.DeepEqual(odh.Status.Dependencies, summary.Dependencies)
}

func shorten(message string) string {
	runes := []rune(message)
	if len(runes) <= maxMessage {
		return message
	}
	return string(runes[:maxMessage-1]) + "…"
}
