package olm

import (
	"fmt"
	"slices"
	"strings"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

// Phases of ClusterServiceVersions. The others are on the way between these.
const (
	phasePending   = "Pending"
	phaseReplacing = "Replacing"
	phaseDeleting  = "Deleting"
	phaseSucceeded = "Succeeded"
	phaseFailed    = "Failed"
)

// works is whether an operator runs: it succeeded, and if another replaces it, that was so before. OLM says Replacing as soon as the
// next one exists, long before it stops anything.
func (c csv) works() bool {
	phase := c.Status.Phase
	for i := len(c.Status.History) - 1; i >= 0 && (phase == phaseReplacing || phase == phaseDeleting); i-- {
		phase = c.Status.History[i].Phase
	}
	return phase == phaseSucceeded
}

// lasting returns it with its last failure as the phase while OLM tries again, about once a second: that is no news.
func (c csv) lasting() csv {
	for i := len(c.Status.History) - 1; i >= 0; i-- {
		switch before := c.Status.History[i]; before.Phase {
		case phaseSucceeded:
			return c
		case phaseFailed:
			c.Status.Phase, c.Status.Reason, c.Status.Message = before.Phase, before.Reason, before.Message
			return c
		}
	}
	return c
}

// unsatisfiable is a requirement that exists and will not do, such as the version of Kubernetes: no waiting changes it.
func (c csv) unsatisfiable() bool {
	return c.Status.Phase == phasePending && slices.ContainsFunc(c.Status.Requirements, func(r requirement) bool { return r.Status == "PresentNotSatisfied" })
}

// csvStatusOf says where a ClusterServiceVersion stands that has not succeeded. groups are those of its namespace.
func csvStatusOf(status v1alpha1.DependencyStatus, c csv, groups []operatorGroup) v1alpha1.DependencyStatus {
	switch {
	case c.Metadata.DeletionTimestamp != nil:
		return removing(status, "%s is being deleted", c.object())
	case c.Status.Phase == phaseFailed:
		return troubled(status, csvProblem(c, groups))
	case c.unsatisfiable():
		return troubled(status, gaveUp.of(c.object(), "%s", progress(c)))
	}
	return onItsWay(status, "%s", progress(c))
}

// csvProblem is why a ClusterServiceVersion failed.
func csvProblem(c csv, groups []operatorGroup) *components.Failure {
	if problem := groupProblem(c.Metadata.Namespace, groups); problem != nil {
		return problem // with which OLM does nothing at all
	}
	state, known := csvStates[c.Status.Reason]
	if !known {
		state = retrying
	}
	return state.of(c.object(), "%s failed: %s", c.object(), sentences(c.says(), c.unmet()))
}

// says is what OLM says of it.
func (c csv) says() string {
	return reasoned(condition{Reason: c.Status.Reason, Message: c.Status.Message})
}

// progress says what a ClusterServiceVersion that has not failed waits for.
func progress(c csv) string {
	if c.Status.Phase == "" {
		return c.object().String() + " is new to OLM"
	}
	says := c.says()
	if unmet := c.unmet(); unmet != "" && c.Status.Phase == phasePending {
		says = c.Status.Reason + ": " + unmet
	}
	return fmt.Sprintf("%s is %s: %s", c.object(), c.Status.Phase, says)
}

// unmet names the requirements that a ClusterServiceVersion lacks.
func (c csv) unmet() string {
	var lacking []string
	for _, r := range c.Status.Requirements {
		if r.Status == "NotPresent" || strings.HasPrefix(r.Status, "PresentNot") {
			lacking = append(lacking, strings.TrimSuffix(fmt.Sprintf("%s %s is %s (%s)", r.Kind, r.Name, r.Status, quote(r.Message)), " ()"))
		}
	}
	slices.Sort(lacking)
	return few(lacking)
}

// orphanClaim is for a ClusterServiceVersion that no Subscription asks for: what a Subscription left behind when it was
// deleted, or what we are removing. OLM would resolve no new Subscription beside it.
func orphanClaim(dependency dependencies.Dependency, c csv) claim {
	found := claim{object: c.object()}
	found.Ours = isOurs(dependency, c.Metadata.Labels)
	status := statusOf(dependency, found.Ours)
	status.Version = c.Spec.Version
	switch {
	case found.Ours:
		found.Status = removing(status, "%s is being removed", c.object())
	case c.Metadata.DeletionTimestamp != nil:
		found.Status = removing(status, "%s is being deleted", c.object())
	case !c.works():
		found.Status = troubled(status, orphan.of(c.object(), "%s belongs to no Subscription and does not work (%s: %s)", c.object(), c.Status.Phase, c.says()))
	case !dependency.Supports(c.Spec.Version):
		found.Status = troubled(status, unsupportedOrphan.of(c.object(), "%s belongs to no Subscription, and %s", c.object(), mismatch(dependency, c.Spec.Version)))
	default:
		remark := fmt.Sprintf("%s belongs to no Subscription, so OLM does not upgrade it; to have it upgraded, delete it, and OLM installs the package anew; "+
			"CustomResourceDefinitions and their objects stay (%s)", c.object(), c.object().kubectl("delete"))
		found.Status = ready(status, c.Spec.Version, remark, scope(dependency, c))
	}
	return found
}

// scope says of an operator that should watch all namespaces that it does not.
func scope(dependency dependencies.Dependency, c csv) string {
	targets := c.Metadata.Annotations[targetsAnnotation]
	all := slices.ContainsFunc(dependency.Packages, func(p dependencies.Package) bool { return p.InstallMode == dependencies.AllNamespaces })
	if targets == "" || !all {
		return ""
	}
	return "it looks after these namespaces only: " + few(slices.Sorted(strings.SplitSeq(targets, ",")))
}

func (c csv) object() object { return object{csvKind, c.Metadata.Namespace, c.Metadata.Name} }
