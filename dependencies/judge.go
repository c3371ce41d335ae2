package dependencies

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// View is what a platform sees of the dependencies that it needs.
type View struct {
	// Served is whether the cluster serves a kind in a version that components render.
	Served func(kinds.Kind) bool
	// Exists is whether the kind's CustomResourceDefinition is in the cluster, in whatever version.
	Exists func(kinds.Kind) bool
	// OpenShift is whether this is OpenShift: its catalogues offer other packages.
	OpenShift bool
	// Namespace of the platform.
	Namespace string
	// Manual is whether nothing may be installed for the platform.
	Manual bool
	// Report is what the installer says; nil without an installer.
	Report Report
	// Stopped says where an installer is that does not run; empty while it does. It is asked only when somebody waits for it.
	Stopped func() string
}

// Judge says where a dependency that a platform needs stands.
func (v View) Judge(dependency Dependency, required Requirement) v1alpha1.DependencyStatus {
	status := v.judge(dependency, required)
	if v.Report == nil || !Awaits(status) {
		return status
	}
	where := v.Stopped()
	switch {
	case where != "" && status.Reason == v1alpha1.ReasonPending && v.serves(required):
		status = v1alpha1.DependencyStatus{
			Name: dependency.Name, Source: v1alpha1.DependencySourceExisting, State: v1alpha1.DependencyReady, Reason: v1alpha1.ReasonAvailable,
		}
	case where != "":
		status.State, status.Reason = v1alpha1.DependencyBlocked, v1alpha1.ReasonInstallerUnavailable
		status.Message = fmt.Sprintf("%s waits for the installer, which does not run: %s", dependency.Name, where)
	}
	return status
}

func (v View) serves(required Requirement) bool {
	return !slices.ContainsFunc(required.Kinds, func(kind kinds.Kind) bool { return !v.Served(kind) })
}

// Awaits is whether the installer must act next.
func Awaits(status v1alpha1.DependencyStatus) bool {
	return status.State == v1alpha1.DependencyInstalling || status.State == v1alpha1.DependencyFailed ||
		status.Reason == v1alpha1.ReasonInstallerUnavailable
}

func (v View) judge(dependency Dependency, required Requirement) v1alpha1.DependencyStatus {
	status := v1alpha1.DependencyStatus{Name: dependency.Name}
	var absent, outdated []string
	for _, kind := range required.Kinds {
		switch {
		case v.Served(kind):
		case v.Exists(kind):
			outdated = append(outdated, fmt.Sprintf("%s (%s)", kind.CRD(), strings.Join(kind.Versions, ", ")))
		default:
			absent = append(absent, kind.CRD())
		}
	}

	reported, known := v.Report[dependency.Name]
	if known && reported.State != v1alpha1.DependencyMissing {
		if late := slices.Concat(absent, outdated); reported.State == v1alpha1.DependencyReady && len(late) > 0 {
			// The installer sees it a moment earlier.
			reported.State, reported.Reason = v1alpha1.DependencyInstalling, v1alpha1.ReasonProgressing
			reported.Message = "not served yet: " + strings.Join(late, ", ")
		}
		return reported
	}
	if known && !v.Manual {
		if reported.Reason == v1alpha1.ReasonNotAllowed {
			reported.Message = fmt.Sprintf("%s is not installed, and nobody may have operators installed for namespace %s until an administrator allows it: %s; "+
				"or to install it by hand: %s", dependency.Name, v.Namespace, components.AllowCommand(v.Namespace, components.LabelAllowInstalls), Hint(dependency, v.OpenShift))
		}
		return reported // the installer knows best, even that what is served was left behind by a dependency that is gone
	}
	switch {
	case known && len(outdated)+len(absent) == 0:
		status.State, status.Reason = v1alpha1.DependencyMissing, v1alpha1.ReasonNotInstalled
		status.Message = fmt.Sprintf("%s is not installed, only its CustomResourceDefinitions are left, and %s; to install it: %s",
			dependency.Name, v.nobody(), Hint(dependency, v.OpenShift))
	case v.Report != nil && !known && len(absent)+len(outdated) == 0:
		// What is served may be left of a dependency that is gone, which the installer knows.
		status.State, status.Reason, status.Message = v1alpha1.DependencyInstalling, v1alpha1.ReasonPending, notReported
	case len(outdated) > 0:
		status.Source, status.State, status.Reason = v1alpha1.DependencySourceExisting, v1alpha1.DependencyBlocked, v1alpha1.ReasonVersionNotSupported
		status.Message = fmt.Sprintf("%s is installed in a version that this operator does not work with: the cluster does not serve %s; "+
			"upgrade %s to a version in the range %s", dependency.Name, strings.Join(outdated, ", "), dependency.Name, dependency.Versions)
	case len(absent) == 0:
		status.Source, status.State, status.Reason = v1alpha1.DependencySourceExisting, v1alpha1.DependencyReady, v1alpha1.ReasonAvailable
	case v.Report == nil || v.Manual:
		status.State, status.Reason = v1alpha1.DependencyMissing, v1alpha1.ReasonNotInstalled
		status.Message = fmt.Sprintf("%s is not installed, and %s; to install it: %s", dependency.Name, v.nobody(), Hint(dependency, v.OpenShift))
	default:
		status.State, status.Reason, status.Message = v1alpha1.DependencyInstalling, v1alpha1.ReasonPending, notReported
	}
	return status
}

const notReported = "the installer has not reported on it yet"

// nobody says why what is missing is not installed.
func (v View) nobody() string {
	if v.Manual {
		return "spec.dependencies.installation is Manual"
	}
	return "this cluster has no installer"
}

// Condition sums up where the dependencies that a platform needs stand. The worst comes first.
func Condition(all []v1alpha1.DependencyStatus) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionDependenciesReady, Status: metav1.ConditionTrue}
	if len(all) == 0 {
		condition.Reason, condition.Message = v1alpha1.ReasonNotNeeded, "no component needs a third-party operator"
		return condition
	}
	var names, messages []string
	for _, state := range []v1alpha1.DependencyState{
		v1alpha1.DependencyBlocked, v1alpha1.DependencyMissing, v1alpha1.DependencyFailed,
		v1alpha1.DependencyRemoving, v1alpha1.DependencyInstalling,
	} {
		for _, status := range all {
			if status.State != state {
				continue
			}
			if condition.Reason == "" {
				condition.Reason = status.Reason
			}
			messages = append(messages, Explain(status))
		}
	}
	if len(messages) > 0 {
		condition.Status, condition.Message = metav1.ConditionFalse, strings.Join(messages, "; ")
		return condition
	}
	for _, status := range all {
		names = append(names, strings.TrimSpace(status.Name+" "+status.Version))
	}
	condition.Reason, condition.Message = v1alpha1.ReasonAvailable, "ready: "+strings.Join(names, ", ")
	return condition
}

// Explain says in a sentence where a dependency that is not ready stands.
func Explain(status v1alpha1.DependencyStatus) string {
	switch {
	case status.Message == "":
		return status.Name + " is " + strings.ToLower(string(status.State))
	case strings.HasPrefix(status.Message, status.Name):
		return status.Message
	}
	return fmt.Sprintf("%s (%s): %s", status.Name, strings.ToLower(string(status.State)), status.Message)
}
