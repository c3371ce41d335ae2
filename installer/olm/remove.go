package olm

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/dependencies"
)

// Remove takes away what the installer asked OLM for, wherever that is: the Subscription, then the ClusterServiceVersion, with
// which OLM stops the operator, then the OperatorGroup, unless something else in the namespace needs it. The namespace
// and the CustomResourceDefinitions stay, and with them every object of the operator's kinds. gone is false while OLM
// still works on it: call it again when something changed.
func (o *OLM) Remove(ctx context.Context, dependency dependencies.Dependency) (gone bool, err error) {
	apis, err := o.known(ctx)
	if err != nil || !apis.V0 {
		return err == nil, err
	}
	ours := client.MatchingLabels{dependencies.Label: dependency.ID()}
	if gone, err = o.removeSubscriptions(ctx, ours); err != nil {
		return false, fmt.Errorf("removing the Subscription of %s: %w", dependency.Name, err)
	}
	if !gone {
		return false, nil
	}
	if gone, err = o.removeCSVs(ctx, ours); err != nil || !gone {
		return false, err
	}
	if err := o.removeGroups(ctx, ours); err != nil {
		return false, fmt.Errorf("removing the OperatorGroup of %s: %w", dependency.Name, err)
	}
	return true, nil
}

// removeSubscriptions labels what a Subscription installed before it deletes the Subscription: nothing else says afterwards that
// it is ours, should we be interrupted in between. While OLM is creating what is not there yet, it waits.
func (o *OLM) removeSubscriptions(ctx context.Context, ours client.MatchingLabels) (gone bool, err error) {
	subscriptions, err := list[subscription](ctx, o.live, subscriptionKind, ours)
	if err != nil {
		return false, err
	}
	gone = true
	for _, s := range subscriptions {
		found, err := o.labelCSVs(ctx, s, ours)
		if err != nil {
			return false, err
		}
		if !found && s.executing() {
			gone = false
			continue
		}
		if err := o.delete(ctx, subscriptionKind, &s.Metadata); err != nil {
			return false, err
		}
	}
	return gone, nil
}

// executing is whether OLM is carrying out an InstallPlan.
func (s subscription) executing() bool {
	pending := find(s.Status.Conditions, planPending)
	return pending.Status == "True" && pending.Reason != requiresApproval
}

// labelCSVs labels what a Subscription names. It reports whether the latest of it was there.
func (o *OLM) labelCSVs(ctx context.Context, s subscription, ours client.MatchingLabels) (found bool, err error) {
	here := client.InNamespace(s.Metadata.Namespace)
	csvs, err := listCSVs(ctx, o.live, here, client.MatchingLabelsSelector{Selector: notCopied})
	if err != nil {
		return false, err
	}
	neighbours, err := list[subscription](ctx, o.live, subscriptionKind, here)
	if err != nil {
		return false, err
	}
	for i := range csvs {
		found = found || csvs[i].Name == s.Status.CurrentCSV
		object := &csvs[i]
		shared := slices.ContainsFunc(neighbours, func(other subscription) bool {
			return other.Metadata.UID != s.Metadata.UID && refersTo(other, object)
		})
		if !refersTo(s, object) || shared || object.Labels[dependencies.Label] != "" {
			continue
		}
		content := map[string]any{"metadata": map[string]any{"labels": ours}}
		if err := o.patch(ctx, csvKind, object.ObjectMeta, content); err != nil {
			return false, fmt.Errorf("labelling ClusterServiceVersion %s/%s: %w", object.Namespace, object.Name, err)
		}
	}
	return found, nil
}

func (o *OLM) removeCSVs(ctx context.Context, ours client.MatchingLabels) (gone bool, err error) {
	left, err := o.ourCSVs(ctx, ours)
	if err != nil || len(left) == 0 {
		return err == nil, err
	}
	for i := range left {
		if left[i].DeletionTimestamp != nil {
			continue
		}
		if err := o.delete(ctx, csvKind, &left[i]); err != nil {
			return false, err
		}
	}
	// OLM holds them with a finalizer while it cleans up.
	left, err = o.ourCSVs(ctx, ours)
	return err == nil && len(left) == 0, err
}

// ourCSVs are those that we labelled. Copies carry the labels of what they are copied from, and go with it.
func (o *OLM) ourCSVs(ctx context.Context, ours client.MatchingLabels) ([]metav1.PartialObjectMetadata, error) {
	requirements, _ := notCopied.Requirements()
	selector := labels.SelectorFromSet(labels.Set(ours)).Add(requirements...)
	return listCSVs(ctx, o.live, client.MatchingLabelsSelector{Selector: selector})
}

func (o *OLM) removeGroups(ctx context.Context, ours client.MatchingLabels) error {
	groups, err := list[operatorGroup](ctx, o.live, groupKind, ours)
	if err != nil {
		return err
	}
	for _, group := range groups {
		here := client.InNamespace(group.Metadata.Namespace)
		subscriptions, err := list[subscription](ctx, o.live, subscriptionKind, here)
		if err != nil {
			return err
		}
		csvs, err := listCSVs(ctx, o.live, here, client.MatchingLabelsSelector{Selector: notCopied})
		if err != nil {
			return err
		}
		if len(subscriptions)+len(csvs) > 0 {
			continue // somebody else's operator would lose its group
		}
		if err := o.delete(ctx, groupKind, &group.Metadata); err != nil {
			return err
		}
	}
	return nil
}

// delete deletes the very object that was read.
func (o *OLM) delete(ctx context.Context, kind schema.GroupVersionKind, metadata metav1.Object) error {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	object.SetNamespace(metadata.GetNamespace())
	object.SetName(metadata.GetName())
	err := o.writer.Delete(ctx, object, client.Preconditions{UID: new(metadata.GetUID())})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %s %s/%s: %w", kind.Kind, metadata.GetNamespace(), metadata.GetName(), err)
	}
	return nil
}
