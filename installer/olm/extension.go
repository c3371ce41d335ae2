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
func extensionClaim(operator dependencies.Operator, e extension) claim {
	c := claim{
		object: "ClusterExtension " + e.Metadata.Name,
		remove: "kubectl delete clusterextensions.olm.operatorframework.io " + e.Metadata.Name,
	}
	c.Status = e.status(operator, statusOf(operator, false), c.object)
	return c
}

func (e extension) status(operator dependencies.Operator, status v1alpha1.DependencyStatus, object string) v1alpha1.DependencyStatus {
	version := e.Status.Install.Bundle.Version
	status.Version = version
	describe := "kubectl describe clusterextensions.olm.operatorframework.io " + e.Metadata.Name
	installed, progressing := find(e.Status.Conditions, extensionInstalled), find(e.Status.Conditions, extensionProgressing)
	trouble := ""
	if progressing.Type != "" && (progressing.Status == "False" || progressing.Reason != reasonSucceeded && progressing.Reason != reasonRollingOut) {
		trouble = reasoned(progressing)
	}
	switch {
	case e.Metadata.DeletionTimestamp != nil:
		return removing(status, "%s is being deleted", object)
	case installed.Status == "True" && !operator.Supports(version):
		return troubled(status, unsupported(operator, version, object,
			"change what spec.source.catalog asks for: kubectl edit clusterextensions.olm.operatorframework.io "+e.Metadata.Name))
	case installed.Status == "True":
		remark := ""
		if trouble != "" {
			remark = fmt.Sprintf("%s cannot be brought to what its spec asks for: %s; see %s", object, trouble, describe)
		}
		return ready(status, version, remark, e.deprecation())
	case max(installed.ObservedGeneration, progressing.ObservedGeneration) < e.Metadata.Generation:
		return onItsWay(status, "%s is new to OLM", object)
	case progressing.Status == "False":
		return troubled(status, dependencies.Blocked(v1alpha1.ReasonExtensionFailed,
			"%s is not installed, and OLM does not go on: %s; see %s", object, trouble, describe))
	case trouble != "" || installed.Status == "Unknown":
		return troubled(status, dependencies.Failed(v1alpha1.ReasonExtensionFailed,
			"%s is not installed: %s; OLM keeps trying; see %s", object, cmp.Or(trouble, reasoned(installed)), describe))
	}
	return onItsWay(status, "OLM is installing %s", object)
}

func (e extension) deprecation() string {
	if notice := isTrue(e.Status.Conditions, deprecated); notice != nil {
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
