package olm

import (
	"cmp"
	"fmt"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

// Conditions and reasons of ClusterExtensions.
const (
	extensionInstalled   = "Installed"
	extensionProgressing = "Progressing"
	reasonSucceeded      = "Succeeded"
	reasonRollingOut     = "RollingOut"
)

// extensionClaim is for a ClusterExtension. It is never ours.
func extensionClaim(dependency dependencies.Dependency, e extension) claim {
	c := claim{object: object{extensionKind, "", e.Metadata.Name}}
	c.Status = e.status(dependency, statusOf(dependency, false), c.object)
	return c
}

func (e extension) status(dependency dependencies.Dependency, status v1alpha1.DependencyStatus, o object) v1alpha1.DependencyStatus {
	status.Version = e.Status.Install.Bundle.Version
	installed, progressing := find(e.Status.Conditions, extensionInstalled), find(e.Status.Conditions, extensionProgressing)
	trouble := ""
	if progressing.Type != "" && (progressing.Status == "False" || progressing.Reason != reasonSucceeded && progressing.Reason != reasonRollingOut) {
		trouble = reasoned(progressing)
	}
	switch {
	case e.Metadata.DeletionTimestamp != nil:
		return removing(status, "%s is being deleted", o)
	case installed.Status == "True" && !dependency.Supports(status.Version):
		return troubled(status, unsupported.of(o, "%s: %s", o, mismatch(dependency, status.Version)))
	case installed.Status == "True":
		remark := ""
		if trouble != "" {
			remark = fmt.Sprintf("%s cannot be brought to what its spec asks for: %s; see %s", o, trouble, o.kubectl("describe"))
		}
		return ready(status, status.Version, remark, deprecation(e.Status.Conditions))
	case max(installed.ObservedGeneration, progressing.ObservedGeneration) < e.Metadata.Generation:
		return onItsWay(status, "%s is new to OLM", o)
	case progressing.Status == "False":
		return troubled(status, extensionBlocked.of(o, "%s is not installed: %s", o, trouble))
	case trouble != "" || installed.Status == "Unknown":
		return troubled(status, extensionRetrying.of(o, "%s is not installed: %s", o, cmp.Or(trouble, reasoned(installed))))
	}
	return onItsWay(status, "OLM is installing %s", o)
}

// deprecation is what the publisher of a package says of it.
func deprecation(conditions []condition) string {
	if notice := find(conditions, deprecated); notice.Status == "True" {
		return "deprecated: " + quote(notice.Message)
	}
	return ""
}

// find is the condition of a type, empty if there is none.
func find(conditions []condition, kind string) condition {
	for _, c := range conditions {
		if c.Type == kind {
			return c
		}
	}
	return condition{}
}
