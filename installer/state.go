package installer

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/dependencies"
)

// statusOf is a dependency with a problem.
func statusOf(dependency dependencies.Dependency, failure *components.Failure) *v1alpha1.DependencyStatus {
	return &v1alpha1.DependencyStatus{
		Name: dependency.Name, State: dependencies.StateOf(failure), Reason: failure.Reason, Message: health.Shorten(failure.Error(), maxMessage),
	}
}

// maxMessage is the bound of the field, in runes.
const maxMessage = 4096

func installing(dependency dependencies.Dependency, source v1alpha1.DependencySource, message string) *v1alpha1.DependencyStatus {
	return &v1alpha1.DependencyStatus{
		Name: dependency.Name, Source: source, State: v1alpha1.DependencyInstalling, Reason: v1alpha1.ReasonProgressing, Message: message,
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
func refused(dependency dependencies.Dependency, found crds) *v1alpha1.DependencyStatus {
	if found.coming() {
		return installing(dependency, v1alpha1.DependencySourceExisting, "not served yet: "+join(found.lacking))
	}
	status := statusOf(dependency, dependencies.Blocked(v1alpha1.ReasonVersionNotSupported,
		"%s is installed in a version that components cannot work with: the cluster does not serve %s; upgrade it to a version in the range %s",
		dependency.Name, join(found.lacking), dependency.Versions))
	status.Source = v1alpha1.DependencySourceExisting
	return status
}

// unchanged is the status of what works as it is, although the table asks for something else.
func unchanged(status v1alpha1.DependencyStatus, problem string, found crds) *v1alpha1.DependencyStatus {
	status.Message = health.Shorten("it works, but not as the table asks: "+problem, maxMessage)
	return complete(status, found)
}

// released is where a dependency stands whose charts are installed. It is ready when what they run works and its kinds are served,
// whatever else failed: then the failure is a remark.
func (r *reconciler) released(ctx context.Context, dependency dependencies.Dependency, known *record, failure *components.Failure, found crds) (outcome, error) {
	status := installing(dependency, v1alpha1.DependencySourceHelm, "")
	observed, runs, err := r.workloads(ctx, dependency, known)
	if err != nil {
		return outcome{}, err
	}
	if known != nil {
		status.Version = known.version(dependency)
	}
	verdict := health.Assess(observed, nil)
	before, reported := r.report.get(dependency.Name)
	// While a new version starts, or does not, the old one works.
	worked := reported && before.State == v1alpha1.DependencyReady
	works := known != nil && (verdict.State == components.Ready || runs) && (worked || verdict.State == components.Ready && failure == nil)
	if verdict.State != components.Ready && works && failure == nil {
		failure = &components.Failure{Reason: v1alpha1.ReasonDegraded, Err: errors.New(verdict.Message)}
	}
	switch {
	case failure != nil && works && len(found.lacking) == 0:
		return outcome{status: unchanged(ready(*status), failure.Error(), found)}, nil
	case failure != nil:
		failed := statusOf(dependency, failure)
		failed.Source, failed.Version = v1alpha1.DependencySourceHelm, status.Version
		return outcome{status: failed}, nil
	case len(found.lacking) > 0:
		status.Message = "not served yet: " + join(found.lacking)
	case works:
		*status = ready(*status)
		if known.Note != "" {
			status.Message = "installed by Helm, because " + known.Note
		}
	case verdict.State == components.Degraded:
		status.State, status.Reason, status.Message = v1alpha1.DependencyFailed, v1alpha1.ReasonDegraded, verdict.Message
	default:
		status.Message = verdict.Message
	}
	status.Message = health.Shorten(status.Message, maxMessage)
	return outcome{status: status}, nil
}

func ready(status v1alpha1.DependencyStatus) v1alpha1.DependencyStatus {
	status.State, status.Reason, status.Message = v1alpha1.DependencyReady, v1alpha1.ReasonAvailable, ""
	return status
}

// workloads are what the charts of a dependency run, and whether all of it is available, perhaps in an older version.
func (r *reconciler) workloads(ctx context.Context, dependency dependencies.Dependency, known *record) (observed components.Observed, runs bool, err error) {
	observed.Facts.Platform.Namespace = dependency.Namespace
	if known == nil {
		return observed, false, nil
	}
	runs = true
	for _, chart := range known.Charts {
		for _, content := range chart.Objects {
			object := &unstructured.Unstructured{Object: content}
			if !isWorkload(object) {
				continue
			}
			rendered := components.Rendered{
				Kind: object.GroupVersionKind(), Namespace: cmp.Or(object.GetNamespace(), chart.Namespace), Name: object.GetName(),
			}
			live, err := r.objects.Get(ctx, rendered.Kind, types.NamespacedName{Namespace: rendered.Namespace, Name: rendered.Name})
			if err != nil {
				return observed, false, err
			}
			observed.Rendered = append(observed.Rendered, rendered)
			runs = runs && live != nil && available(live)
			if live != nil {
				observed.Live = append(observed.Live, live)
			}
		}
	}
	observed.Pods, err = r.objects.Pods(ctx, types.NamespacedName{}, dependency.ID())
	return observed, runs && len(observed.Rendered) > 0, err
}

func join(texts []string) string { return strings.Join(texts, ", ") }
