package installer

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/dependencies"
)

// statusOf is an operator with a problem.
func statusOf(operator dependencies.Operator, problem *dependencies.Problem) *v1alpha1.DependencyStatus {
	return &v1alpha1.DependencyStatus{
		Name: operator.Name, State: problem.State, Reason: problem.Reason, Message: health.Shorten(problem.Message, maxMessage),
	}
}

// maxMessage is the bound of the field, in runes.
const maxMessage = 4096

func installing(operator dependencies.Operator, source v1alpha1.DependencySource, message string) *v1alpha1.DependencyStatus {
	return &v1alpha1.DependencyStatus{
		Name: operator.Name, Source: source, State: v1alpha1.DependencyInstalling, Reason: v1alpha1.ReasonProgressing, Message: message,
	}
}

// complete is a status read from OLM, which is not ready before the kinds are served.
func complete(status v1alpha1.DependencyStatus, found crds) *v1alpha1.DependencyStatus {
	if status.State == v1alpha1.DependencyReady && len(found.lacking) > 0 {
		status.State, status.Reason = v1alpha1.DependencyInstalling, v1alpha1.ReasonProgressing
		status.Message = "not served yet: " + join(found.lacking)
	}
	return &status
}

// refused is what somebody else installed and components cannot work with; or not yet, when it has just come.
func refused(operator dependencies.Operator, found crds) *v1alpha1.DependencyStatus {
	if found.coming() {
		return installing(operator, v1alpha1.DependencySourceExisting, "not served yet: "+join(found.lacking))
	}
	status := statusOf(operator, dependencies.Blocked(v1alpha1.ReasonVersionNotSupported,
		"%s is installed in a version that components cannot work with: the cluster does not serve %s; bring it to a version in the range %s",
		operator.Name, join(found.lacking), operator.Versions))
	status.Source = v1alpha1.DependencySourceExisting
	return status
}

// unchanged is the status of what works as it is, although the table asks for something else.
func unchanged(status v1alpha1.DependencyStatus, problem string, found crds) *v1alpha1.DependencyStatus {
	status.Message = health.Shorten("it works, but not as the table asks: "+problem, maxMessage)
	return complete(status, found)
}

// released is where an operator stands that Helm installed: what its charts brought must work, and its kinds be served.
func (r *reconciler) released(ctx context.Context, operator dependencies.Operator, version, note string, found crds) (outcome, error) {
	status := installing(operator, v1alpha1.DependencySourceHelm, "")
	status.Version = version
	if len(found.lacking) > 0 {
		status.Message = because("not served yet: "+join(found.lacking), note)
		return outcome{status: status}, nil
	}
	observed, err := r.workloads(ctx, operator)
	if err != nil {
		return outcome{}, err
	}
	verdict := health.Assess(observed, nil)
	switch verdict.State {
	case components.Ready:
		status.State, status.Reason, status.Message = v1alpha1.DependencyReady, v1alpha1.ReasonAvailable, ""
		if note != "" {
			status.Message = because("installed by Helm", note)
		}
	case components.Degraded:
		status.State, status.Reason, status.Message = v1alpha1.DependencyFailed, v1alpha1.ReasonDegraded, because(verdict.Message, note)
	default:
		status.Message = because(verdict.Message, note)
	}
	status.Message = health.Shorten(status.Message, maxMessage)
	return outcome{status: status}, nil
}

// workloads are what the charts of an operator run.
func (r *reconciler) workloads(ctx context.Context, operator dependencies.Operator) (components.Observed, error) {
	var observed components.Observed
	observed.Facts.Platform.Namespace = operator.Namespace
	ours := []client.ListOption{client.InNamespace(operator.Namespace), client.MatchingLabels{dependencies.Label: operator.ID()}}
	add := func(object runtime.Object, kind string) error {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return fmt.Errorf("reading a %s of %s: %w", kind, operator.Name, err)
		}
		live := &unstructured.Unstructured{Object: content}
		live.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind(kind))
		observed.Live = append(observed.Live, live)
		observed.Rendered = append(observed.Rendered, components.Rendered{
			Kind: live.GroupVersionKind(), Namespace: live.GetNamespace(), Name: live.GetName(),
		})
		return nil
	}
	var deployments appsv1.DeploymentList
	var daemons appsv1.DaemonSetList
	var sets appsv1.StatefulSetList
	var pods corev1.PodList
	for _, list := range []client.ObjectList{&deployments, &daemons, &sets, &pods} {
		if err := r.cache.List(ctx, list, ours...); err != nil {
			return observed, fmt.Errorf("listing what %s runs: %w", operator.Name, err)
		}
	}
	for i := range deployments.Items {
		if err := add(&deployments.Items[i], "Deployment"); err != nil {
			return observed, err
		}
	}
	for i := range daemons.Items {
		if err := add(&daemons.Items[i], "DaemonSet"); err != nil {
			return observed, err
		}
	}
	for i := range sets.Items {
		if err := add(&sets.Items[i], "StatefulSet"); err != nil {
			return observed, err
		}
	}
	for i := range pods.Items {
		observed.Pods = append(observed.Pods, &pods.Items[i])
	}
	return observed, nil
}

// because joins what is the matter with why Helm was taken where OLM would have been expected.
func because(message, note string) string {
	if note == "" {
		return message
	}
	return message + separator + note
}

const separator = ", because "

// noteOf is why Helm was taken, from what was reported earlier.
func noteOf(status v1alpha1.DependencyStatus) string {
	_, note, _ := strings.Cut(status.Message, separator)
	return note
}

func join(texts []string) string { return strings.Join(texts, ", ") }
