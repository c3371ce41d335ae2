package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
}

// Served is a kind in the version that the cluster serves.
type Served struct {
	components.Use
	GVK schema.GroupVersionKind
}

// Prune deletes the component's objects that are not among the prepared ones.
func (a *Applier) Prune(ctx context.Context, scope Scope, prepared []Prepared) ([]Change, error) {
	type identity struct {
		kind schema.GroupKind
		key  types.NamespacedName
	}
	wanted := map[identity]bool{}
	for _, p := range prepared {
		wanted[identity{p.Object.GroupVersionKind().GroupKind(), client.ObjectKeyFromObject(p.Object)}] = true
	}

	var changes []Change
	var failed []error
	for _, served := range slices.Backward(scope.Kinds) {
		objects, err := a.removable(ctx, scope, served)
		if err != nil {
			return changes, err
		}
		for _, object := range objects {
			if wanted[identity{served.Kind.GroupKind, client.ObjectKeyFromObject(object)}] {
				continue
			}
			deleted, err := a.delete(ctx, scope, served, object)
			if err != nil {
				failed = append(failed, err)
			}
			if deleted {
				changes = append(changes, changeOf(object))
			}
		}
	}
	return changes, join(failed)
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
	return text + fmt.Sprintf(", which the %s operator removes; see that the operator runs, or, if it is gone for good, "+
		`give the object up: kubectl patch %s -n %s %s --type=merge -p '{"metadata":{"finalizers":null}}'`,
		w.Operator, resource, object.GetNamespace(), object.GetName())
}

// Remove deletes the component's objects kind by kind, in the reverse of the component's order; the next kind is not
// touched before all of one are gone. It returns what it waits for, or nil when nothing is left.
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
		if served.Shared {
			if objects, err = a.removable(ctx, scope, served); err != nil {
				return nil, changes, err
			}
			if len(objects) == 0 {
				continue // others go on with them
			}
		}
		return &Waiting{Object: objects[0], Operator: served.Provider, Others: len(objects) - 1}, changes, nil
	}
	return nil, changes, nil
}

// removable lists the objects of a kind that we made, without data that is to be kept.
func (a *Applier) removable(ctx context.Context, scope Scope, served Served) ([]*unstructured.Unstructured, error) {
	if served.Shared {
		objects, err := a.Children.Shared(ctx, served.GVK, scope.Component)
		return slices.DeleteFunc(objects, func(object *unstructured.Unstructured) bool {
			holders := a.holders(object)
			return !IsOurs(object, Manager(scope.Component)) || len(holders) > 0 && !slices.Contains(holders, scope.Platform)
		}), err
	}
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
func (a *Applier) Leftovers(ctx context.Context, scope Scope, leftovers []components.Leftover, data bool) (*Waiting, error) {
	for _, leftover := range leftovers {
		if leftover.Data != data || leftover.Data && scope.KeepData {
			continue
		}
		list := &unstructured.UnstructuredList{}
		gvk := leftover.Kind.GVK()
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		err := a.Reader.List(ctx, list, client.InNamespace(scope.Platform.Namespace), client.MatchingLabels(leftover.Labels))
		if err != nil {
			return nil, fmt.Errorf("listing what %s left: %w", scope.Component, err)
		}
		for i := range list.Items {
			if list.Items[i].GetDeletionTimestamp() != nil {
				continue
			}
			if err := a.deleteNow(ctx, &list.Items[i]); err != nil {
				return nil, err
			}
		}
		if len(list.Items) > 0 {
			return &Waiting{Object: &list.Items[0], Others: len(list.Items) - 1}, nil
		}
	}
	return nil, nil
}

// delete asks for a deletion once. It reports whether it did.
func (a *Applier) delete(ctx context.Context, scope Scope, served Served, object *unstructured.Unstructured) (bool, error) {
	if object.GetDeletionTimestamp() != nil || a.Children.Deleting(object) {
		return false, nil
	}
	if served.Shared {
		deleted, err := a.leave(ctx, scope, object)
		if err != nil || !deleted {
			a.Children.NotDeleting(object)
		}
		return deleted, err
	}
	err := a.letGo(ctx, scope, served, object)
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

// letGo tells the operator of an object that what the object stands for is kept, or else that it is to be wiped.
func (a *Applier) letGo(ctx context.Context, scope Scope, served Served, object *unstructured.Unstructured) error {
	var change map[string]any
	switch {
	case scope.KeepData && len(served.Release) > 0:
		change = map[string]any{"metadata": map[string]any{"annotations": served.Release}}
	case !scope.KeepData && served.Destroy != "":
		if err := json.Unmarshal([]byte(served.Destroy), &change); err != nil {
			return fmt.Errorf("releasing %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	default:
		return nil
	}
	if err := unstructured.SetNestedField(change, string(object.GetUID()), "metadata", "uid"); err != nil {
		return fmt.Errorf("releasing %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	body, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("releasing %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	err = a.Client.Patch(ctx, object.DeepCopy(), client.RawPatch(types.MergePatchType, body), client.FieldOwner(Manager(scope.Component)))
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("releasing %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
	}
	return nil
}

// deleteNow deletes exactly the object that was looked at: an object made anew under the same name is another one.
func (a *Applier) deleteNow(ctx context.Context, object *unstructured.Unstructured) error {
	uid := object.GetUID()
	err := a.Client.Delete(ctx, object.DeepCopy(), client.Preconditions{UID: &uid})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("deleting %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
}

func changeOf(object *unstructured.Unstructured) Change {
	return Change{Action: Deleted, Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName()}
}
