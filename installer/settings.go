package installer

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/dependencies"
)

// lookAgain is how often it is looked for what nobody watches: an object of somebody else's, and Pods that keep ours.
const lookAgain = 5 * time.Minute

// merged are the settings that count, and which platform decided each.
type merged struct {
	values map[string]any
	by     map[string]string
}

// merge takes settings in the order of the platforms: the first that asks for a field decides it.
func merge(platforms []*v1alpha1.OpenDataHub, ask func(*v1alpha1.OpenDataHub) []components.Setting) merged {
	platforms = slices.Clone(platforms)
	slices.SortFunc(platforms, func(a, b *v1alpha1.OpenDataHub) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	result := merged{values: map[string]any{}, by: map[string]string{}}
	for _, platform := range platforms {
		for _, setting := range ask(platform) {
			if _, decided := result.by[setting.Path]; !decided {
				result.values[setting.Path] = setting.Value
				result.by[setting.Path] = platform.Namespace + "/" + platform.Name
			}
		}
	}
	return result
}

// shared is an object of which the cluster has one, as it should be.
type shared struct {
	components.SharedObject
	*unstructured.Unstructured
}

// shared are the objects of a dependency that platforms share.
func (r *reconciler) shared(ctx context.Context, platforms []*v1alpha1.OpenDataHub, dependency dependencies.Dependency) ([]shared, error) {
	detected := r.cluster
	detected.OperatorNamespaces = map[string]string{dependency.Name: dependency.Namespace}
	var all []shared
	for _, component := range r.all {
		sharing, ok := component.(components.WithSettings)
		if !ok {
			continue
		}
		asking, err := r.asking(ctx, platforms, component)
		if err != nil {
			return nil, err
		}
		settings := merge(asking, func(hub *v1alpha1.OpenDataHub) []components.Setting {
			return sharing.Settings(components.NewFacts(hub, r.cluster, r.all))
		})
		for _, object := range sharing.Shared(settings.values, detected) {
			if object.Dependency != dependency.Name {
				continue
			}
			made, err := prepareShared(object, dependency, settings.by)
			if err != nil {
				return nil, err
			}
			all = append(all, shared{object, made})
		}
	}
	return all, nil
}

// asking are the platforms that want a component managed and that an administrator lets set up nodes.
func (r *reconciler) asking(ctx context.Context, platforms []*v1alpha1.OpenDataHub, component components.Component) ([]*v1alpha1.OpenDataHub, error) {
	var asking []*v1alpha1.OpenDataHub
	for _, hub := range platforms {
		state, wanted := components.StateOf(component, components.NewFacts(hub, r.cluster, r.all))
		if !wanted || state != v1alpha1.Managed || hub.DeletionTimestamp != nil {
			continue
		}
		allowed, err := r.allows(ctx, hub.Namespace, components.LabelAllowNodes)
		if err != nil {
			return nil, err
		}
		if allowed {
			asking = append(asking, hub)
		}
	}
	return asking, nil
}

// prepareShared encodes an object, with the label of its dependency and, if it is the only one of its kind, what platforms decided.
func prepareShared(object components.SharedObject, dependency dependencies.Dependency, by map[string]string) (*unstructured.Unstructured, error) {
	content, err := json.Marshal(object.ApplyConfiguration)
	made := &unstructured.Unstructured{}
	if err == nil {
		err = made.UnmarshalJSON(content)
	}
	if err != nil {
		return nil, fmt.Errorf("encoding what platforms share of %s: %w", dependency.Name, err)
	}
	mark(made, dependency.ID())
	if object.Only {
		text, err := json.Marshal(by)
		if err != nil {
			return nil, fmt.Errorf("encoding who decided the settings of %s: %w", dependency.Name, err)
		}
		made.SetAnnotations(components.Merge(made.GetAnnotations(), map[string]string{components.AnnotationSettings: string(text)}))
	}
	return made, nil
}

// lay lays one object over another: maps are merged, everything else is replaced.
func lay(below, above map[string]any) map[string]any {
	result := maps.Clone(below)
	for key, value := range above {
		lower, isMap := result[key].(map[string]any)
		upper, both := value.(map[string]any)
		if isMap && both {
			value = lay(lower, upper)
		}
		result[key] = value
	}
	return result
}

// sharedKinds are the kinds of what keepShared applies.
func sharedKinds(all []shared) []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	for _, object := range all {
		if !object.Laid {
			kinds = append(kinds, object.GroupVersionKind())
		}
	}
	return kinds
}

// laidOverChart is what a chart is to be with what platforms share: its objects with the settings over them, and further ones. An object
// of which there is only one gives way to that of somebody else.
func (r *reconciler) laidOverChart(ctx context.Context, all []shared, objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	for _, object := range all {
		i := slices.IndexFunc(objects, func(other *unstructured.Unstructured) bool {
			return other.GroupVersionKind().GroupKind() == object.GroupVersionKind().GroupKind() && other.GetName() == object.GetName()
		})
		theirs := false
		if i >= 0 && object.Only {
			var err error
			if theirs, err = r.taken(ctx, object.Unstructured); err != nil {
				return nil, err
			}
		}
		switch {
		case theirs:
			objects = slices.Delete(objects, i, i+1)
		case i >= 0:
			objects[i] = &unstructured.Unstructured{Object: lay(objects[i].Object, object.Object)}
		case !object.Laid:
			objects = slices.Insert(objects, 0, object.Unstructured) // the chart's may refer to it
		}
	}
	return objects, nil
}

// keepShared applies what platforms share of a dependency that no chart of ours brings. What somebody else made is left as it is.
func (r *reconciler) keepShared(ctx context.Context, all []shared, existing []*unstructured.Unstructured) (again time.Duration, err error) {
	wanted := map[string]bool{}
	for _, object := range all {
		if object.Laid {
			continue
		}
		object.SetLabels(components.Merge(object.GetLabels(), map[string]string{components.LabelShared: "true"}))
		wanted[identity(object.Unstructured)] = true
		if object.Only {
			theirs, err := r.madeByOthers(ctx, object.Unstructured)
			if err != nil {
				return 0, err
			}
			if theirs {
				again = lookAgain
				continue
			}
		}
		if err := r.objects.ensure(ctx, object.GroupVersionKind()); err != nil {
			return 0, err
		}
		prepared, err := apply.PrepareObject(object.Unstructured)
		if err != nil {
			return 0, err
		}
		changes, err := r.applier.Apply(ctx, dependencies.FieldManager, []apply.Prepared{prepared})
		for _, change := range changes {
			ctrl.LoggerFrom(ctx).Info(string(change.Action)+" "+change.Kind, "namespace", change.Namespace, "name", change.Name)
		}
		if err != nil {
			return 0, explained(err)
		}
	}
	superfluous := slices.DeleteFunc(slices.Clone(existing), func(object *unstructured.Unstructured) bool { return wanted[identity(object)] })
	_, err = r.applier.Delete(ctx, dependencies.FieldManager, superfluous...)
	return again, err
}

// taken is whether the cluster has an object of the kind that is not ours, and none of ours.
func (r *reconciler) taken(ctx context.Context, object *unstructured.Unstructured) (bool, error) {
	if r.objects.watched(object.GroupVersionKind()) {
		own, err := r.objects.Get(ctx, object.GroupVersionKind(), client.ObjectKeyFromObject(object))
		if err != nil || own != nil {
			return false, err
		}
	}
	return r.madeByOthers(ctx, object)
}

// madeByOthers is whether the cluster has an object of the kind that is not ours.
func (r *reconciler) madeByOthers(ctx context.Context, object *unstructured.Unstructured) (bool, error) {
	list := &metav1.PartialObjectMetadataList{}
	kind := object.GroupVersionKind()
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	err := r.reader.List(ctx, list)
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for objects of kind %s: %w", kind.Kind, err)
	}
	return slices.ContainsFunc(list.Items, func(other metav1.PartialObjectMetadata) bool {
		return other.Labels[dependencies.Label] != object.GetLabels()[dependencies.Label]
	}), nil
}

// usedBy names a Pod that has something which a dependency sets up, as in "Pod lab/training"; empty when there is none.
func (r *reconciler) usedBy(ctx context.Context, dependency dependencies.Dependency) (string, error) {
	var uses []func(string) bool
	for _, component := range r.all {
		sharing, ok := component.(components.WithSettings)
		if ok && slices.ContainsFunc(component.Kinds(), func(kind kinds.Kind) bool { return kind.Provider == dependency.Name }) {
			uses = append(uses, sharing.UsesResource)
		}
	}
	if len(uses) == 0 {
		return "", nil
	}
	next := ""
	for {
		var pods corev1.PodList
		if err := r.reader.List(ctx, &pods, client.Limit(500), client.Continue(next)); err != nil {
			return "", fmt.Errorf("looking for Pods that need %s: %w", dependency.Name, err)
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
				continue
			}
			for _, container := range pod.Spec.Containers {
				for name := range container.Resources.Limits {
					if slices.ContainsFunc(uses, func(use func(string) bool) bool { return use(string(name)) }) {
						return "Pod " + types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}.String(), nil
					}
				}
			}
		}
		if next = pods.Continue; next == "" {
			return "", nil
		}
	}
}

// isShared is whether an object was made by keepShared.
func isShared(object *unstructured.Unstructured) bool {
	return object.GetLabels()[components.LabelShared] == "true"
}
