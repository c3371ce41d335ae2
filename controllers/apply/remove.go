package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
)

// Scope is whose objects are pruned or removed.
type Scope struct {
	Platform  types.NamespacedName
	Component string
	// Kinds in the versions that are served, in the component's order.
	Kinds []Served
	// KeepData leaves objects that hold data.
	KeepData bool
	// Leftovers are what the component's software created.
	Leftovers []components.Leftover
	// PlatformUID is the OpenDataHub's, as long as it stays.
	PlatformUID types.UID
}

// Served is a kind in the version that the cluster serves.
type Served struct {
	components.Use
	GVK schema.GroupVersionKind
}

// Prune deletes the component's objects that are not among the prepared ones.
func (a *Applier) Prune(ctx context.Context, scope Scope, prepared []Prepared) ([]Change, error) {
	kinds, going, err := a.surplus(ctx, scope, prepared)
	if err != nil {
		return nil, err
	}
	waiting, changes, err := a.keep(ctx, scope, kinds, going)
	if err != nil {
		return changes, err
	}
	if waiting != "" {
		return changes, &components.Failure{Reason: v1alpha1.ReasonPruneFailed, Err: fmt.Errorf("not deleting %s %s: %s",
			going[0].GetKind(), going[0].GetName(), waiting)}
	}
	var failed []error
	for i, object := range going {
		deleted, err := a.delete(ctx, scope, kinds[i], object)
		if err != nil {
			failed = append(failed, err)
		}
		if deleted {
			changes = append(changes, changeOf(object))
		}
	}
	return changes, join(failed)
}

// Surplus lists what Prune would delete, in its order.
func (a *Applier) Surplus(ctx context.Context, scope Scope, prepared []Prepared) ([]*unstructured.Unstructured, error) {
	_, going, err := a.surplus(ctx, scope, prepared)
	return going, err
}

func (a *Applier) surplus(ctx context.Context, scope Scope, prepared []Prepared) ([]Served, []*unstructured.Unstructured, error) {
	type identity struct {
		kind schema.GroupKind
		key  types.NamespacedName
	}
	wanted := map[identity]bool{}
	for _, p := range prepared {
		wanted[identity{p.Object.GroupVersionKind().GroupKind(), client.ObjectKeyFromObject(p.Object)}] = true
	}

	var kinds []Served
	var going []*unstructured.Unstructured
	for _, served := range slices.Backward(scope.Kinds) {
		objects, err := a.removable(ctx, scope, served)
		if err != nil {
			return nil, nil, err
		}
		for _, object := range objects {
			if !wanted[identity{served.Kind.GroupKind, client.ObjectKeyFromObject(object)}] {
				kinds, going = append(kinds, served), append(going, object)
			}
		}
	}
	return kinds, going, nil
}

// Waiting is what a removal waits for.
type Waiting struct {
	Object   *unstructured.Unstructured
	Operator string
	// Others is how many more objects of the kind there are.
	Others int
}

// String says what blocks, and what to do if it lasts.
func (w *Waiting) String() string {
	object := w.Object
	kind := object.GetKind()
	text := fmt.Sprintf("waiting for %s %s/%s to be gone", kind, object.GetNamespace(), object.GetName())
	if w.Others > 0 {
		text = fmt.Sprintf("waiting for %s %s/%s and %d more to be gone", kind, object.GetNamespace(), object.GetName(), w.Others)
	}
	finalizers := object.GetFinalizers()
	if len(finalizers) == 0 {
		return text
	}
	text += ": it has the finalizer " + strings.Join(finalizers, ", ")
	if reason := health.Blocked(object); reason != "" {
		return text + ", and is blocked: " + reason
	}
	resource := strings.ToLower(kind) + "." + object.GroupVersionKind().Group
	if w.Operator == "" {
		return text
	}
	return text + fmt.Sprintf(", which the %s removes; see that the operator runs, or, if it is gone for good, "+
		`give the object up: kubectl patch %s -n %s %s --type=merge -p '{"metadata":{"finalizers":null}}'`,
		operatorOf(w.Operator), resource, object.GetNamespace(), object.GetName())
}

// operatorOf names a third-party operator: some have the word in their name.
func operatorOf(provider string) string {
	return strings.TrimSuffix(provider, " operator") + " operator"
}

// Remove deletes the component's objects kind by kind, in the reverse of the component's order; the next kind is not
// touched before all of one are gone. It returns what it waits for, or nil when nothing is left. Data that must stay is the
// caller's concern, see [Applier.Keep].
func (a *Applier) Remove(ctx context.Context, scope Scope) (*Waiting, []Change, error) {
	var changes []Change
	for _, served := range slices.Backward(scope.Kinds) {
		objects, err := a.removable(ctx, scope, served)
		if err != nil {
			return nil, changes, err
		}
		if len(objects) == 0 {
			continue
		}
		var failed []error
		for _, object := range objects {
			deleted, err := a.delete(ctx, scope, served, object)
			if err != nil {
				failed = append(failed, err)
			}
			if deleted {
				changes = append(changes, changeOf(object))
			}
		}
		if len(failed) > 0 {
			return nil, changes, join(failed)
		}
		return &Waiting{Object: objects[0], Operator: served.Provider, Others: len(objects) - 1}, changes, nil
	}
	return nil, changes, nil
}

// removable lists the objects of a kind that we made, without data that is to be kept.
func (a *Applier) removable(ctx context.Context, scope Scope, served Served) ([]*unstructured.Unstructured, error) {
	objects, err := a.Children.List(ctx, served.GVK, scope.Platform, scope.Component)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(objects, func(object *unstructured.Unstructured) bool {
		return !IsOurs(object, Manager(scope.Component)) ||
			scope.KeepData && object.GetLabels()[components.LabelData] == "true"
	}), nil
}

// Leftovers deletes what the component's software created, either what holds data or what does not, and returns what it
// waits for. These objects are not watched, so the caller must ask again. Data is deleted only if it is not to be kept.
func (a *Applier) Leftovers(ctx context.Context, scope Scope, data bool) (*Waiting, error) {
	for _, leftover := range scope.Leftovers {
		if leftover.Data != data || leftover.Data && scope.KeepData {
			continue
		}
		list, err := a.listLeftovers(ctx, scope, leftover)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if list[i].GetDeletionTimestamp() != nil {
				continue
			}
			if err := a.deleteNow(ctx, &list[i]); err != nil {
				return nil, err
			}
		}
		if len(list) > 0 {
			return &Waiting{Object: &list[0], Others: len(list) - 1}, nil
		}
	}
	return nil, nil
}

func (a *Applier) listLeftovers(ctx context.Context, scope Scope, leftover components.Leftover) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	gvk := leftover.Kind.GVK()
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	err := a.Reader.List(ctx, list, client.InNamespace(scope.Platform.Namespace), client.MatchingLabels(leftover.Labels))
	if err != nil {
		return nil, fmt.Errorf("listing what %s left: %w", scope.Component, err)
	}
	return list.Items, nil
}

// delete asks for a deletion once. It reports whether it did.
func (a *Applier) delete(ctx context.Context, scope Scope, served Served, object *unstructured.Unstructured) (bool, error) {
	if object.GetDeletionTimestamp() != nil || a.Children.Deleting(object) {
		return false, nil
	}
	err := a.wipe(ctx, scope, served, object)
	if err == nil {
		err = a.deleteNow(ctx, object)
	}
	if err != nil {
		a.Children.NotDeleting(object)
		return false, err
	}
	a.receipts.Delete(receiptKey{
		manager: Manager(object.GetLabels()[components.LabelComponent]),
		gvk:     object.GroupVersionKind(), name: client.ObjectKeyFromObject(object),
	})
	return true, nil
}

// Delete asks for the deletion of objects that the manager wrote, each once. Objects that it never wrote stay.
func (a *Applier) Delete(ctx context.Context, manager string, objects ...*unstructured.Unstructured) ([]Change, error) {
	var changes []Change
	var failed []error
	for _, object := range objects {
		if !IsOurs(object, manager) || object.GetDeletionTimestamp() != nil || a.Children.Deleting(object) {
			continue
		}
		if err := a.deleteNow(ctx, object); err != nil {
			a.Children.NotDeleting(object)
			failed = append(failed, err)
			continue
		}
		a.receipts.Delete(receiptKey{manager: manager, gvk: object.GroupVersionKind(), name: client.ObjectKeyFromObject(object)})
		changes = append(changes, changeOf(object))
	}
	return changes, join(failed)
}

// wipe tells the operator of an object that what the object stands for is to be wiped.
func (a *Applier) wipe(ctx context.Context, scope Scope, served Served, object *unstructured.Unstructured) error {
	if scope.KeepData || served.Destroy == nil {
		return nil
	}
	var change map[string]any
	if err := json.Unmarshal([]byte(served.Destroy.Patch), &change); err != nil {
		return fmt.Errorf("wiping %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	if err := unstructured.SetNestedField(change, string(object.GetUID()), "metadata", "uid"); err != nil {
		return fmt.Errorf("wiping %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	body, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("wiping %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	err = a.Client.Patch(ctx, object.DeepCopy(), client.RawPatch(types.MergePatchType, body), client.FieldOwner(Manager(scope.Component)))
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("wiping %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
	}
	return nil
}

// deleteNow deletes exactly the object that was looked at: an object recreated under the same name is another one.
func (a *Applier) deleteNow(ctx context.Context, object *unstructured.Unstructured) error {
	uid := object.GetUID()
	// What every kind does when it is not asked, but for Jobs, which would leave their Pods behind.
	background := client.PropagationPolicy(metav1.DeletePropagationBackground)
	err := a.Client.Delete(ctx, object.DeepCopy(), client.Preconditions{UID: &uid}, background)
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("deleting %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
}

func changeOf(object *unstructured.Unstructured) Change {
	return Change{Action: Deleted, Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName()}
}
