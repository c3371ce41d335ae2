package helm

import (
	"context"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

// establishedPoll is how often a new CustomResourceDefinition is looked at.
const establishedPoll = 100 * time.Millisecond

var (
	definitionKind     = schema.GroupKind{Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition"}
	definitionResource = apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")
)

func isDefinition(object *unstructured.Unstructured) bool {
	return object.GroupVersionKind().GroupKind() == definitionKind
}

// define applies CustomResourceDefinitions and waits until their kinds are served. They are no part of a release, so that
// an upgrade changes them and an uninstall leaves them. Those that somebody else brought stay as they are.
func (s *session) define(objects []*unstructured.Unstructured) error {
	var applied []*unstructured.Unstructured
	for _, object := range objects {
		live, err := s.dynamic.Resource(definitionResource).Get(s.ctx, object.GetName(), metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("reading CustomResourceDefinition %s: %w", object.GetName(), err)
		}
		if err == nil && live.GetLabels()[dependencies.Label] != s.id {
			s.log.Info("Left CustomResourceDefinition, which is not of this operator", "name", object.GetName())
			continue
		}
		setLabel(object, s.id)
		unstructured.RemoveNestedField(object.Object, "status")
		unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
		options := metav1.ApplyOptions{FieldManager: dependencies.FieldManager, Force: true}
		if _, err := s.dynamic.Resource(definitionResource).Apply(s.ctx, object.GetName(), object, options); err != nil {
			return s.refused("CustomResourceDefinition "+object.GetName(), err)
		}
		applied = append(applied, object)
	}
	if len(applied) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	for _, object := range applied {
		if err := s.established(ctx, object.GetName()); err != nil {
			return err
		}
	}
	return s.served(ctx, applied)
}

func (s *session) established(ctx context.Context, name string) error {
	why := "it has no conditions"
	err := wait.PollUntilContextCancel(ctx, establishedPoll, true, func(ctx context.Context) (bool, error) {
		live, err := s.dynamic.Resource(definitionResource).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &crd); err != nil {
			return false, err
		}
		for _, condition := range crd.Status.Conditions {
			switch {
			case condition.Type == apiextensionsv1.NamesAccepted && condition.Status == apiextensionsv1.ConditionFalse:
				return false, dependencies.Failed(v1alpha1.ReasonInstallFailed, "CustomResourceDefinition %s cannot be served: %s", name, condition.Message)
			case condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue:
				return true, nil
			case condition.Type == apiextensionsv1.Established:
				why = condition.Message
			}
		}
		return false, nil
	})
	if wait.Interrupted(err) && s.ctx.Err() == nil {
		return dependencies.Failed(v1alpha1.ReasonInstallFailed,
			"CustomResourceDefinition %s is not established after %s: %s", name, s.Timeout, why)
	}
	return err
}

// served waits until Helm will find the kinds: the API server publishes them a moment after they are established.
func (s *session) served(ctx context.Context, definitions []*unstructured.Unstructured) error {
	var lacking string
	s.clients.mapper.Reset()
	err := wait.PollUntilContextCancel(ctx, establishedPoll, true, func(context.Context) (bool, error) {
		for _, object := range definitions {
			var crd apiextensionsv1.CustomResourceDefinition
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &crd); err != nil {
				return false, err
			}
			for _, version := range crd.Spec.Versions {
				if !version.Served {
					continue
				}
				kind := schema.GroupKind{Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind}
				_, err := s.clients.mapper.RESTMapping(kind, version.Name)
				if meta.IsNoMatchError(err) {
					lacking = kind.WithVersion(version.Name).String()
					s.clients.mapper.Reset()
					return false, nil
				}
				if err != nil {
					return false, err
				}
			}
		}
		return true, nil
	})
	if wait.Interrupted(err) && s.ctx.Err() == nil {
		return dependencies.Failed(v1alpha1.ReasonInstallFailed, "the API server does not list %s after %s", lacking, s.Timeout)
	}
	return err
}

// namespace creates the operator's namespace. One that exists stays as it is.
func (s *session) namespace() error {
	namespaces := s.kubernetes.CoreV1().Namespaces()
	_, err := namespaces.Get(s.ctx, s.operator.Namespace, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	namespace := applycorev1.Namespace(s.operator.Namespace).
		WithLabels(s.operator.NamespaceLabels).WithLabels(map[string]string{dependencies.Label: s.id})
	if _, err := namespaces.Apply(s.ctx, namespace, metav1.ApplyOptions{FieldManager: dependencies.FieldManager, Force: true}); err != nil {
		return s.refused("Namespace "+s.operator.Namespace, err)
	}
	return nil
}

// refused is for an object that the API server does not take.
func (s *session) refused(object string, err error) error {
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) || apierrors.IsRequestEntityTooLargeError(err) {
		return dependencies.Failed(v1alpha1.ReasonInstallFailed, "the API server refuses %s: %s", object, oneLine(err.Error()))
	}
	return fmt.Errorf("applying %s: %w", object, err)
}
