package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// PlatformsAnnotation is on an object that platforms share, see components.Use.Shared. It lists those that want it as
// namespace/name, in the order in which they came. What the first of them wants decides; the others have joined because they want
// the same. Every change of the list carries the resource version that it was read in, so no two platforms undo each other's, and the
// object is deleted only in the version in which nobody else was on it.
const PlatformsAnnotation = "opendatahub.io/platforms"

// attempts to write while other platforms write too.
const attempts = 5

// applyShared brings a shared object to the desired state, and adds the platform to those that want it. A platform that wants
// something else than the first is told so, and changes nothing.
func (a *Applier) applyShared(ctx context.Context, manager string, p Prepared) (*Change, error) {
	live, err := a.live(ctx, p)
	if err != nil {
		return nil, err
	}
	if live == nil {
		exists, err := a.claim(ctx, manager, p)
		if err != nil {
			return nil, err
		}
		if !exists {
			change, err := a.write(ctx, manager, p, nil, false)
			if err != nil {
				return nil, err
			}
			return change, a.joinShared(ctx, manager, p)
		}
		if live, err = a.read(ctx, p.Object); err != nil || live == nil {
			return nil, err
		}
	}
	if live.GetDeletionTimestamp() != nil {
		return nil, nil // it is recreated when it is gone
	}
	if err := a.contradiction(live, p); err != nil {
		return nil, err
	}
	var change *Change
	if !a.upToDate(manager, live, p) {
		if change, err = a.write(ctx, manager, p, live, true); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(a.holders(live), p.Platform) {
		err = a.joinShared(ctx, manager, p)
	}
	return change, err
}

// contradiction is nil when the platform decides over the object, or wants it as it is.
func (a *Applier) contradiction(live *unstructured.Unstructured, p Prepared) error {
	holders := a.holders(live)
	if len(holders) == 0 || holders[0] == p.Platform || live.GetAnnotations()[HashAnnotation] == p.Hash {
		return nil
	}
	return &components.Failure{Reason: v1alpha1.ReasonConflict, Terminal: true, Err: fmt.Errorf(
		"%s is shared by the platforms of the cluster, and OpenDataHub %s wants it otherwise: have both specs agree, or remove the component from one",
		p, holders[0])}
}

// holders are the platforms on the list that exist.
func (a *Applier) holders(live *unstructured.Unstructured) []types.NamespacedName {
	var holders []types.NamespacedName
	for entry := range strings.SplitSeq(live.GetAnnotations()[PlatformsAnnotation], ",") {
		namespace, name, ok := strings.Cut(entry, "/")
		platform := types.NamespacedName{Namespace: namespace, Name: name}
		if ok && (a.Exists == nil || a.Exists(platform)) && !slices.Contains(holders, platform) {
			holders = append(holders, platform)
		}
	}
	return holders
}

// joinShared puts the platform on the list, last.
func (a *Applier) joinShared(ctx context.Context, manager string, p Prepared) error {
	var err error
	for range attempts {
		var live *unstructured.Unstructured
		if live, err = a.read(ctx, p.Object); err != nil {
			return err
		}
		if live == nil || live.GetDeletionTimestamp() != nil {
			return nil // its deletion wakes us
		}
		if err := a.contradiction(live, p); err != nil {
			return err
		}
		holders := a.holders(live)
		if slices.Contains(holders, p.Platform) {
			return nil
		}
		if err = a.list(ctx, manager, live, append(holders, p.Platform)); !apierrors.IsConflict(err) {
			break
		}
	}
	if err != nil {
		return explain(fmt.Errorf("joining %s: %w", p, err))
	}
	return nil
}

// leave takes the platform off the list of a shared object, and deletes the object when nobody else is on it. It reports whether
// the object goes.
func (a *Applier) leave(ctx context.Context, scope Scope, object *unstructured.Unstructured) (deleted bool, err error) {
	for range attempts {
		var live *unstructured.Unstructured
		if live, err = a.read(ctx, object); err != nil || live == nil || live.GetDeletionTimestamp() != nil {
			return false, err
		}
		others := slices.DeleteFunc(a.holders(live), func(holder types.NamespacedName) bool { return holder == scope.Platform })
		deleted = len(others) == 0
		if !deleted {
			err = a.list(ctx, Manager(scope.Component), live, others)
		} else {
			uid, version := live.GetUID(), live.GetResourceVersion()
			err = client.IgnoreNotFound(a.Client.Delete(ctx, live.DeepCopy(), client.Preconditions{UID: &uid, ResourceVersion: &version}))
		}
		if !apierrors.IsConflict(err) {
			break
		}
	}
	if err != nil {
		return false, fmt.Errorf("leaving %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return deleted, nil
}

// list writes the list of those that want a shared object.
func (a *Applier) list(ctx context.Context, manager string, live *unstructured.Unstructured, holders []types.NamespacedName) error {
	names := make([]string, 0, len(holders))
	for _, holder := range holders {
		names = append(names, holder.String())
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": string(live.GetUID()), "resourceVersion": live.GetResourceVersion(),
		"annotations": map[string]string{PlatformsAnnotation: strings.Join(names, ",")},
	}})
	if err != nil {
		return err
	}
	answer := live.DeepCopy()
	if err := a.Client.Patch(ctx, answer, client.RawPatch(types.MergePatchType, body), client.FieldOwner(manager)); err != nil {
		return err
	}
	a.Children.Wrote(answer)
	return nil
}

// read reads an object from the API server; nil if it is gone.
func (a *Applier) read(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(object.GroupVersionKind())
	if err := a.Reader.Get(ctx, client.ObjectKeyFromObject(object), live); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, explain(fmt.Errorf("reading %s %s: %w", object.GetKind(), object.GetName(), err))
	}
	return live, nil
}
