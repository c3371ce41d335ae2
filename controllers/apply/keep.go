package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
)

// Patience is how long a third-party operator has to let go of data that must stay, before its owner references are taken off
// for it. It may be down, paused, failing, or busy.
const Patience = 30 * time.Second

// tie is an owner reference of data that must stay: garbage collection would delete the data with its owner.
type tie struct {
	data  *unstructured.Unstructured
	owner metav1.OwnerReference
}

// ties are the owner references by which data may be deleted, sooner or later, when the objects that go are deleted. Only an
// owner that is known to stay is safe: one of the objects that stay, or the platform (its UID, empty if it goes too), and
// all of whose own owners are safe. Whoever else owns the data, such as an object that an operator made of one that goes,
// counts as going.
func ties(data, going, staying []*unstructured.Unstructured, platform types.UID) []tie {
	known := map[types.UID]*unstructured.Unstructured{}
	for _, object := range slices.Concat(staying, data) {
		known[object.GetUID()] = object
	}
	for _, object := range going {
		delete(known, object.GetUID())
	}
	var safe func(uid types.UID, seen []types.UID) bool
	safe = func(uid types.UID, seen []types.UID) bool {
		if uid == platform && platform != "" {
			return true
		}
		object, ok := known[uid]
		return ok && object.GetDeletionTimestamp() == nil && !slices.Contains(seen, uid) &&
			!slices.ContainsFunc(object.GetOwnerReferences(), func(owner metav1.OwnerReference) bool {
				return !safe(owner.UID, append(seen, uid))
			})
	}
	var found []tie
	for _, object := range data {
		if object.GetDeletionTimestamp() != nil {
			continue // somebody deletes it on purpose
		}
		for _, owner := range object.GetOwnerReferences() {
			if !safe(owner.UID, nil) {
				found = append(found, tie{data: object, owner: owner})
			}
		}
	}
	return found
}

// hold is a deletion that waits for operators to let go.
type hold struct {
	since time.Time
	// told are the objects whose operators were told, and have to act on it.
	told []told
}

type told struct {
	served     Served
	key        types.NamespacedName
	uid        types.UID
	generation int64
}

// Keep makes sure that the deletion of all that the component has takes no data along that must stay. It returns what is
// waited for, or nothing when the objects can be deleted. See [Applier.keep].
func (a *Applier) Keep(ctx context.Context, scope Scope) (string, []Change, error) {
	var going []Served
	var objects []*unstructured.Unstructured
	for _, served := range scope.Kinds {
		found, err := a.removable(ctx, scope, served)
		if err != nil {
			return "", nil, err
		}
		for _, object := range found {
			going, objects = append(going, served), append(objects, object)
		}
	}
	return a.keep(ctx, scope, going, objects)
}

// keep first tells the operators of what goes, see components.Use.Release. Then it waits until they have acted on that and
// no data has an owner any more that goes; operators that take longer than Patience are not waited for, and the
// owner references are taken off. An operator that acts later finds objects that say that the data stays.
func (a *Applier) keep(ctx context.Context, scope Scope, kinds []Served, going []*unstructured.Unstructured) (string, []Change, error) {
	key := scope.Component + "/" + scope.Platform.String()
	if !scope.KeepData || len(going) == 0 {
		a.holds.Delete(key)
		return "", nil, nil
	}
	stored, _ := a.holds.LoadOrStore(key, hold{since: a.now()})
	h := stored.(hold)
	for i, object := range going {
		answer, err := a.tell(ctx, scope, kinds[i], object)
		if err != nil {
			return "", nil, err
		}
		if answer != nil && answer.GetGeneration() != object.GetGeneration() {
			h.told = append(h.told, told{kinds[i], client.ObjectKeyFromObject(object), object.GetUID(), answer.GetGeneration()})
			h.since = a.now()
		}
	}
	a.holds.Store(key, h)

	data, staying, err := a.stays(ctx, scope, going)
	if err != nil {
		return "", nil, err
	}
	found := ties(data, going, staying, scope.PlatformUID)
	overdue := a.now().Sub(h.since) >= Patience
	if len(found) == 0 {
		late, err := a.late(ctx, h)
		if err != nil || late == "" || overdue {
			return "", nil, err
		}
		return "waiting for " + late + ", so that its operator knows that the data stays", nil, nil
	}
	if !overdue {
		return waitingToLetGo(scope, found), nil, nil
	}
	changes, err := a.untie(ctx, scope, found)
	return waitingToLetGo(scope, found), changes, err
}

// late is the first object that its operator has not acted on since it was told, or empty.
func (a *Applier) late(ctx context.Context, h hold) (string, error) {
	for _, t := range h.told {
		object, err := a.Children.Get(ctx, t.served.GVK, t.key)
		if err != nil {
			return "", err
		}
		if object != nil && object.GetUID() == t.uid && object.GetDeletionTimestamp() == nil &&
			(object.GetGeneration() < t.generation || !health.Current(object)) {
			return fmt.Sprintf("the %s to act on %s %s", operatorOf(t.served.Provider), object.GetKind(), object.GetName()), nil
		}
	}
	return "", nil
}

func waitingToLetGo(scope Scope, found []tie) string {
	first := found[0]
	operator := "its operator"
	for _, served := range scope.Kinds {
		if served.Provider != "" && served.GroupKind == schema.FromAPIVersionAndKind(first.owner.APIVersion, first.owner.Kind).GroupKind() {
			operator = "the " + served.Provider + " operator"
		}
	}
	others := map[types.UID]bool{}
	for _, t := range found {
		others[t.data.GetUID()] = true
	}
	text := fmt.Sprintf("%s %s", first.data.GetKind(), first.data.GetName())
	if len(others) > 1 {
		text += fmt.Sprintf(" and %d more", len(others)-1)
	}
	return fmt.Sprintf("waiting for %s to let go of %s: this data stays, and would be deleted together with %s %s; "+
		"after %s the owner references are taken off", operator, text, first.owner.Kind, first.owner.Name, Patience)
}

// stays lists the data that stays, and what else of the component does.
func (a *Applier) stays(ctx context.Context, scope Scope, going []*unstructured.Unstructured) (data, staying []*unstructured.Unstructured, err error) {
	gone := map[types.UID]bool{}
	for _, object := range going {
		gone[object.GetUID()] = true
	}
	seen := map[types.UID]bool{}
	for _, served := range scope.Kinds {
		objects, err := a.Children.List(ctx, served.GVK, scope.Platform, scope.Component)
		if err != nil {
			return nil, nil, err
		}
		for _, object := range objects {
			switch {
			case gone[object.GetUID()]:
			case object.GetLabels()[components.LabelData] == "true":
				seen[object.GetUID()] = true
				data = append(data, object)
			default:
				staying = append(staying, object)
			}
		}
	}
	for _, leftover := range scope.Leftovers {
		if !leftover.Data {
			continue
		}
		list, err := a.listLeftovers(ctx, scope, leftover)
		if err != nil {
			return nil, nil, err
		}
		for i := range list {
			if !seen[list[i].GetUID()] {
				seen[list[i].GetUID()] = true
				data = append(data, &list[i])
			}
		}
	}
	return data, staying, nil
}

// tell tells the operator of an object that what the object stands for stays. It returns the API server's answer, or nil when
// there is nothing to tell, or nothing to tell it with: an object without the fields is no longer as it was rendered.
func (a *Applier) tell(ctx context.Context, scope Scope, served Served, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if served.Release == "" || object.GetDeletionTimestamp() != nil || released(served.Release, object) {
		return nil, nil
	}
	patch := fmt.Appendf(nil, `[{"op":"test","path":"/metadata/uid","value":%q},%s`, object.GetUID(), served.Release[1:])
	answer := object.DeepCopy()
	err := a.Client.Patch(ctx, answer, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner(Manager(scope.Component)))
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsInvalid(err) {
		return nil, nil // gone, or recreated
	}
	if err != nil {
		return nil, fmt.Errorf("releasing %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
	}
	a.Children.Wrote(answer)
	return answer, nil
}

// released is whether a JSON patch would change nothing about an object, or cannot.
func released(release string, object *unstructured.Unstructured) bool {
	before, err := json.Marshal(object.Object)
	if err != nil {
		return true
	}
	patch, err := jsonpatch.DecodePatch([]byte(release))
	if err != nil {
		return true
	}
	after, err := patch.Apply(before)
	return err != nil || jsonpatch.Equal(before, after) || bytes.Equal(before, after)
}

// untie takes owner references off data. Whoever changed the data in between is faster: it is looked at again.
func (a *Applier) untie(ctx context.Context, scope Scope, found []tie) ([]Change, error) {
	var changes []Change
	for i, t := range found {
		if i > 0 && found[i-1].data == t.data {
			continue
		}
		var kept []metav1.OwnerReference
		for _, owner := range t.data.GetOwnerReferences() {
			if !slices.ContainsFunc(found, func(other tie) bool { return other.data == t.data && other.owner.UID == owner.UID }) {
				kept = append(kept, owner)
			}
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"uid": t.data.GetUID(), "resourceVersion": t.data.GetResourceVersion(), "ownerReferences": kept,
		}})
		if err != nil {
			return changes, fmt.Errorf("keeping %s %s: %w", t.data.GetKind(), t.data.GetName(), err)
		}
		answer := t.data.DeepCopy()
		err = a.Client.Patch(ctx, answer, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(Manager(scope.Component)))
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return changes, fmt.Errorf("keeping %s %s/%s: %w", t.data.GetKind(), t.data.GetNamespace(), t.data.GetName(), err)
		}
		changes = append(changes, Change{
			Action: Untied, Kind: t.data.GetKind(), Namespace: t.data.GetNamespace(), Name: t.data.GetName(),
			Owner: t.owner.Kind + " " + t.owner.Name,
		})
	}
	return changes, nil
}

func (a *Applier) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}
