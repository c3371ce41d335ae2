package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/dependencies"
)

// Platforms lists the OpenDataHubs of the cluster; none where the kind is not known.
func (s *Setup) Platforms(ctx context.Context) ([]v1alpha1.OpenDataHub, error) {
	list := &v1alpha1.OpenDataHubList{}
	err := s.Client.List(ctx, list)
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for platforms: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.OpenDataHub) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

// DeletePlatforms deletes platforms, and waits until the operator has let go of all. It begins only where the operator runs, and refuses
// platforms whose data would be deleted with them: data is never deleted here.
func (s *Setup) DeletePlatforms(ctx context.Context, platforms []v1alpha1.OpenDataHub) error {
	var lossy []string
	for i := range platforms {
		if platforms[i].Spec.DeletionPolicy == v1alpha1.DeletionPolicyDelete && platforms[i].DeletionTimestamp == nil {
			lossy = append(lossy, fmt.Sprintf("the deletionPolicy of OpenDataHub %[1]s/%[2]s is Delete, so that its data would go with it: keep the data with "+
				`kubectl patch odh %[2]s -n %[1]s --type=merge -p '{"spec":{"deletionPolicy":"Retain"}}', or delete both with kubectl delete odh %[2]s -n %[1]s`,
				platforms[i].Namespace, platforms[i].Name))
		}
	}
	if len(lossy) > 0 {
		return errors.New(strings.Join(lossy, "\n"))
	}
	if err := s.runs(ctx); err != nil {
		return err
	}
	for i := range platforms {
		uid := platforms[i].UID
		if err := client.IgnoreNotFound(s.Client.Delete(ctx, &platforms[i], client.Preconditions{UID: &uid})); err != nil {
			return fmt.Errorf("deleting OpenDataHub %s/%s: %w", platforms[i].Namespace, platforms[i].Name, err)
		}
	}
	said := map[string]string{}
	var left []v1alpha1.OpenDataHub
	err := wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
		var err error
		if left, err = s.Platforms(ctx); err != nil {
			return false, err
		}
		for i := range left {
			key, message := left[i].Namespace+"/"+left[i].Name, waitsFor(&left[i])
			if said[key] != message {
				said[key] = message
				s.Say("waiting: OpenDataHub " + key + ": " + message)
			}
		}
		return len(left) == 0, nil
	})
	if wait.Interrupted(err) {
		var names []string
		for i := range left {
			names = append(names, fmt.Sprintf("OpenDataHub %s/%s: %s", left[i].Namespace, left[i].Name, waitsFor(&left[i])))
		}
		return fmt.Errorf("platforms are left, and the operator stays until they are gone:\n%s", strings.Join(names, "\n"))
	}
	if err == nil {
		for i := range platforms {
			s.Say(fmt.Sprintf("OpenDataHub %s/%s  deleted", platforms[i].Namespace, platforms[i].Name))
		}
	}
	return err
}

// waitsFor says what keeps a platform that is being deleted.
func waitsFor(odh *v1alpha1.OpenDataHub) string {
	if odh.DeletionTimestamp == nil {
		return "it was created meanwhile, and is not being deleted"
	}
	var waiting []string
	for _, condition := range odh.Status.Conditions {
		if condition.Reason == v1alpha1.ReasonRemoving && condition.Type != v1alpha1.ConditionReady && condition.Message != "" {
			waiting = append(waiting, strings.TrimSuffix(condition.Type, v1alpha1.ConditionReady)+": "+condition.Message)
		}
	}
	if len(waiting) > 0 {
		return strings.Join(waiting, "; ")
	}
	return "it has the finalizers " + strings.Join(odh.Finalizers, ", ")
}

// runs fails where no operator would take the finalizers of platforms away.
func (s *Setup) runs(ctx context.Context) error {
	list := &appsv1.DeploymentList{}
	if err := s.Client.List(ctx, list, client.MatchingLabels{Label: LabelValue, "app.kubernetes.io/component": "manager"}); err != nil {
		return fmt.Errorf("looking for the operator: %w", err)
	}
	for i := range list.Items {
		if list.Items[i].Status.AvailableReplicas > 0 {
			return nil
		}
	}
	return errors.New("the operator does not run, and without it nobody takes the finalizers of platforms away: nothing is deleted. " +
		"Have it run again (opendatahub install repairs it), or let go of the platforms as the documentation says: docs/operations.md, If the operator is gone")
}

// Removal is what Uninstall takes away besides the operator.
type Removal struct {
	// CRD is the definition of OpenDataHubs.
	CRD bool
}

// Uninstall removes the operator. There must be no platforms.
func (s *Setup) Uninstall(ctx context.Context, removal Removal) error {
	present, err := s.Present(ctx)
	if err != nil {
		return err
	}
	if err := s.notThroughOLM(ctx, present); err != nil {
		return err
	}
	var namespaces, deployments, others []*unstructured.Unstructured
	for _, object := range slices.Backward(present) {
		switch object.GetKind() {
		case kinds.Deployment.Kind:
			deployments = append(deployments, object)
		case "Namespace":
			namespaces = append(namespaces, object)
		default:
			others = append(others, object)
		}
	}
	// The installer would go on granting, and a leader gives up its Lease with the rights that go next.
	if err := s.stop(ctx, deployments); err != nil {
		return err
	}
	granted, err := s.granted(ctx)
	if err != nil {
		return err
	}
	for _, object := range append(others, granted...) {
		if err := s.delete(ctx, object, false); err != nil {
			return err
		}
	}
	for _, namespace := range namespaces {
		if err := s.removeNamespace(ctx, namespace); err != nil {
			return err
		}
	}
	if !removal.CRD {
		return nil
	}
	return s.removeDefinition(ctx)
}

// stop deletes Deployments, and waits until their Pods have ended.
func (s *Setup) stop(ctx context.Context, deployments []*unstructured.Unstructured) error {
	for _, deployment := range deployments {
		if err := s.delete(ctx, deployment, false); err != nil {
			return err
		}
	}
	var left []string
	err := wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
		left = nil
		for _, deployment := range deployments {
			pods := &corev1.PodList{}
			if err := s.Client.List(ctx, pods, client.InNamespace(deployment.GetNamespace()), client.MatchingLabels{Label: LabelValue}); err != nil {
				return false, err
			}
			for i := range pods.Items {
				left = append(left, pods.Items[i].Name)
			}
		}
		return len(left) == 0, nil
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("the operator's Pods have not ended: %s", strings.Join(left, ", "))
	}
	return err
}

// granted are the manager's rights in the namespaces of platforms, which the installer or an administrator gave it.
func (s *Setup) granted(ctx context.Context) ([]*unstructured.Unstructured, error) {
	bindings := &unstructured.UnstructuredList{}
	bindings.SetGroupVersionKind(kinds.RoleBinding.GVK().GroupVersion().WithKind("RoleBindingList"))
	if err := s.Client.List(ctx, bindings); err != nil {
		return nil, fmt.Errorf("looking for the operator's rights in namespaces: %w", err)
	}
	var granted []*unstructured.Unstructured
	for i := range bindings.Items {
		role, _, _ := unstructured.NestedString(bindings.Items[i].Object, "roleRef", "name")
		if role == authority.PlatformRole && bindings.Items[i].GetName() == authority.PlatformRole && bindings.Items[i].GetLabels()[Label] != LabelValue {
			granted = append(granted, &bindings.Items[i])
		}
	}
	return granted, nil
}

// removeNamespace deletes the operator's namespace if nothing is in it that somebody may miss.
func (s *Setup) removeNamespace(ctx context.Context, namespace *unstructured.Unstructured) error {
	holds, err := s.held(ctx, namespace.GetName())
	if err != nil {
		return err
	}
	if len(holds) > 0 {
		s.Say(fmt.Sprintf("Namespace %s  kept, because it holds %s", namespace.GetName(), strings.Join(holds, ", ")))
		return nil
	}
	return s.delete(ctx, namespace, false)
}

// held are the objects of a namespace that neither Kubernetes nor the operator put there as a matter of course.
func (s *Setup) held(ctx context.Context, namespace string) ([]string, error) {
	var held []string
	for _, kind := range []kinds.Kind{
		kinds.ConfigMap, kinds.Secret, kinds.PersistentVolumeClaim, kinds.Pod, kinds.Deployment, kinds.StatefulSet, kinds.DaemonSet, kinds.Job, kinds.Service,
	} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GVK().GroupVersion().WithKind(kind.Kind + "List"))
		if err := s.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("looking at what namespace %s holds: %w", namespace, err)
		}
		for i := range list.Items {
			object := &list.Items[i]
			if object.Labels[Label] == LabelValue || object.DeletionTimestamp != nil || slices.Contains([]string{"kube-root-ca.crt", components.OpenShiftServiceCA}, object.Name) ||
				object.Annotations[corev1.ServiceAccountNameKey] != "" {
				continue
			}
			what := kind.Kind + " " + object.Name
			if operator := object.Labels[dependencies.Label]; operator != "" {
				what += " (the record of " + operator + ", which the installer installed)"
			}
			held = append(held, what)
		}
	}
	return held, nil
}

// removeDefinition deletes the kind, if there is still no platform: it would take them along.
func (s *Setup) removeDefinition(ctx context.Context) error {
	platforms, err := s.Platforms(ctx)
	if err != nil {
		return err
	}
	if len(platforms) > 0 {
		return fmt.Errorf("OpenDataHub %s/%s was created meanwhile: the definition stays", platforms[0].Namespace, platforms[0].Name)
	}
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(cluster.CustomResourceDefinition)
	definition.SetName("opendatahubs." + v1alpha1.GroupVersion.Group)
	live, err := s.get(ctx, definition)
	if err != nil || live == nil {
		return err
	}
	return s.delete(ctx, live, false)
}

// Kept counts what platforms left behind because it holds data, by namespace.
func (s *Setup) Kept(ctx context.Context) (map[string]int, error) {
	kept := map[string]int{}
	for _, kind := range []kinds.Kind{kinds.PersistentVolumeClaim, kinds.Secret, kinds.ConfigMap} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GVK().GroupVersion().WithKind(kind.Kind + "List"))
		if err := s.Client.List(ctx, list, client.MatchingLabels{components.LabelData: "true"}); err != nil {
			return nil, fmt.Errorf("looking for data that is kept: %w", err)
		}
		for i := range list.Items {
			kept[list.Items[i].Namespace]++
		}
	}
	return kept, nil
}
