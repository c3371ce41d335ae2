// Package setup installs the operator itself, and removes it again, with the rights of whoever asks.
package setup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/config"
)

// FieldManager owns the fields that an installation sets.
const FieldManager = "opendatahub-install"

// Label is on every object of the operator but the CustomResourceDefinition, with LabelValue.
const (
	Label      = "app.kubernetes.io/name"
	LabelValue = "opendatahub-operator"
)

// interval between two looks at what is waited for.
const interval = time.Second

// Setup installs and removes.
type Setup struct {
	Client client.Client
	// Say is told what is done, and what is waited for, a line each.
	Say func(string)
}

// order in which kinds are applied; those that are not named come before the last ones. Removal goes the other way.
var order = map[string]int{
	"CustomResourceDefinition": -9, "Namespace": -8, "ServiceAccount": -7, "ClusterRole": -6, "Role": -6, "ClusterRoleBinding": -5, "RoleBinding": -5,
	"ValidatingAdmissionPolicy": -4, "ValidatingAdmissionPolicyBinding": -3, "Deployment": 1,
}

// Sort puts objects into the order in which they are applied.
func Sort(objects []*unstructured.Unstructured) {
	slices.SortFunc(objects, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(order[a.GetKind()], order[b.GetKind()]), cmp.Compare(a.GetKind(), b.GetKind()),
			cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
}

// Installation is what Install makes of the cluster.
type Installation struct {
	Objects []*unstructured.Unstructured
	// DryRun has the API server try everything, and change nothing.
	DryRun bool
	// Force takes over fields that others have set.
	Force bool
}

// Install applies the objects, and deletes what an earlier installation had besides them. Repeated, it changes nothing.
func (s *Setup) Install(ctx context.Context, installation Installation) error {
	objects := slices.Clone(installation.Objects)
	Sort(objects)
	if err := s.notThroughOLM(ctx, objects); err != nil {
		return err
	}
	for _, object := range objects {
		if err := s.apply(ctx, object, installation); err != nil {
			return err
		}
		if object.GetKind() == cluster.CustomResourceDefinition.Kind && !installation.DryRun {
			if err := s.established(ctx, object.GetName()); err != nil {
				return err
			}
		}
	}
	return s.prune(ctx, objects, installation)
}

func (s *Setup) apply(ctx context.Context, object *unstructured.Unstructured, installation Installation) error {
	before, err := s.get(ctx, object)
	if err != nil {
		return err
	}
	applied := object.DeepCopy()
	options := []client.ApplyOption{client.FieldOwner(FieldManager)}
	if installation.Force {
		options = append(options, client.ForceOwnership)
	}
	if installation.DryRun {
		options = append(options, client.DryRunAll)
	}
	err = s.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), options...)
	switch {
	case installation.DryRun && before == nil && apierrors.IsNotFound(err): // its namespace would be there
		applied = nil
	case apierrors.IsConflict(err):
		return fmt.Errorf("%s: somebody else has set what the installation sets; look at it, and take it over with --force-conflicts: %w", nameOf(object), err)
	case err != nil:
		return fmt.Errorf("applying %s: %w", nameOf(object), err)
	}
	switch {
	case before == nil:
		s.Say(nameOf(object) + "  created")
	case differs(before, applied):
		s.Say(nameOf(object) + "  configured")
	default:
		s.Say(nameOf(object) + "  unchanged")
	}
	return nil
}

// differs is whether something is otherwise than before, but for what the API server keeps about it: it gives some kinds a new version with
// every apply.
func differs(before, after *unstructured.Unstructured) bool {
	content := func(object *unstructured.Unstructured) map[string]any {
		content := object.DeepCopy().Object
		delete(content, "status")
		for _, kept := range []string{"managedFields", "resourceVersion", "generation"} {
			unstructured.RemoveNestedField(content, "metadata", kept)
		}
		return content
	}
	return !equality.Semantic.DeepEqual(content(before), content(after))
}

// established waits until the API server serves the kind.
func (s *Setup) established(ctx context.Context, name string) error {
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(cluster.CustomResourceDefinition)
	err := wait.PollUntilContextCancel(ctx, interval/4, true, func(ctx context.Context) (bool, error) {
		if err := s.Client.Get(ctx, client.ObjectKey{Name: name}, definition); err != nil {
			return false, err
		}
		condition, _ := health.Condition(definition, "Established")
		return condition.Status == metav1.ConditionTrue, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for CustomResourceDefinition %s: %w", name, err)
	}
	return nil
}

// prune deletes what an installation made and this one does not have.
func (s *Setup) prune(ctx context.Context, wanted []*unstructured.Unstructured, installation Installation) error {
	present, err := s.Present(ctx)
	if err != nil {
		return err
	}
	for _, object := range slices.Backward(present) {
		keeps := slices.ContainsFunc(wanted, func(want *unstructured.Unstructured) bool { return identity(want) == identity(object) })
		if keeps || object.GetKind() == "Namespace" || !slices.ContainsFunc(object.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool { return entry.Manager == FieldManager }) {
			continue
		}
		if err := s.delete(ctx, object, installation.DryRun); err != nil {
			return err
		}
	}
	return nil
}

// Present lists the operator's objects, in the order in which they are applied, without the CustomResourceDefinition.
func (s *Setup) Present(ctx context.Context) ([]*unstructured.Unstructured, error) {
	all, err := config.Render(config.Options{Installer: true, ClusterWide: true})
	if err != nil {
		return nil, err
	}
	listed := map[schema.GroupVersionKind]bool{}
	for _, object := range all {
		listed[object.GroupVersionKind()] = object.GetKind() != cluster.CustomResourceDefinition.Kind
	}
	var present []*unstructured.Unstructured
	for kind, list := range listed {
		if !list {
			continue
		}
		objects := &unstructured.UnstructuredList{}
		objects.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := s.Client.List(ctx, objects, client.MatchingLabels{Label: LabelValue}); err != nil {
			return nil, fmt.Errorf("looking for what there is of the operator: %w", err)
		}
		for i := range objects.Items {
			present = append(present, &objects.Items[i])
		}
	}
	Sort(present)
	return present, nil
}

// Wait waits until the Deployments among the objects work, and says what keeps them from it.
func (s *Setup) Wait(ctx context.Context, objects []*unstructured.Unstructured) error {
	observed := components.Observed{}
	namespace := ""
	for _, object := range objects {
		if object.GroupVersionKind().GroupKind() == kinds.Deployment.GroupKind {
			namespace = object.GetNamespace()
			observed.Rendered = append(observed.Rendered, components.Rendered{Kind: object.GroupVersionKind(), Namespace: namespace, Name: object.GetName()})
		}
	}
	observed.Platform.Namespace = namespace
	last := ""
	err := wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
		observed.Live, observed.Pods, observed.Now = nil, nil, time.Now()
		for _, rendered := range observed.Rendered {
			deployment := &unstructured.Unstructured{}
			deployment.SetGroupVersionKind(rendered.Kind)
			if err := s.Client.Get(ctx, client.ObjectKey{Namespace: rendered.Namespace, Name: rendered.Name}, deployment); err != nil {
				return false, err
			}
			observed.Live = append(observed.Live, deployment)
		}
		pods := &corev1.PodList{}
		if err := s.Client.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels{Label: LabelValue}); err != nil {
			return false, err
		}
		for i := range pods.Items {
			observed.Pods = append(observed.Pods, &pods.Items[i])
		}
		verdict := health.Assess(observed, nil)
		if verdict.State == components.Ready {
			return true, nil
		}
		if verdict.Message != last {
			last = verdict.Message
			s.Say("waiting: " + last)
		}
		return false, nil
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("the operator is installed, but does not run yet: %s", cmp.Or(last, "the API server has not answered"))
	}
	return err
}

// notThroughOLM fails where the Operator Lifecycle Manager looks after the operator: it would put back what is changed here.
func (s *Setup) notThroughOLM(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if object.GroupVersionKind().GroupKind() != kinds.Deployment.GroupKind {
			continue
		}
		deployment := &appsv1.Deployment{}
		err := s.Client.Get(ctx, client.ObjectKeyFromObject(object), deployment)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		for _, owner := range deployment.OwnerReferences {
			if owner.Kind == "ClusterServiceVersion" {
				return fmt.Errorf("the Operator Lifecycle Manager installed the operator in namespace %s (%s): upgrade or remove it there, with its Subscription", object.GetNamespace(), owner.Name)
			}
		}
	}
	return nil
}

// get returns nil for an object, or a kind, that is not there.
func (s *Setup) get(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(object.GroupVersionKind())
	err := s.Client.Get(ctx, client.ObjectKeyFromObject(object), live)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", nameOf(object), err)
	}
	return live, nil
}

// delete deletes the object that was looked at, not another one of its name.
func (s *Setup) delete(ctx context.Context, object *unstructured.Unstructured, dry bool) error {
	uid := object.GetUID()
	options := []client.DeleteOption{client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground)}
	if dry {
		options = append(options, client.DryRunAll)
	}
	if err := client.IgnoreNotFound(s.Client.Delete(ctx, object.DeepCopy(), options...)); err != nil {
		return fmt.Errorf("deleting %s: %w", nameOf(object), err)
	}
	s.Say(nameOf(object) + "  deleted")
	return nil
}

type objectIdentity struct {
	kind            schema.GroupKind
	namespace, name string
}

func identity(object *unstructured.Unstructured) objectIdentity {
	return objectIdentity{object.GroupVersionKind().GroupKind(), object.GetNamespace(), object.GetName()}
}

func nameOf(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetKind() + " " + object.GetName()
	}
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}
