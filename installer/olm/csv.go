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

// lasting has the last failure for the phase while OLM tries again, about once a second: that is no news.
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
		return troubled(status, dependencies.Blocked(v1alpha1.ReasonCSVFailed,
			"%s; choose a channel or catalogue with a version that fits this cluster, or see %s", progress(c), c.describe()))
	}
	return onItsWay(status, "%s", progress(c))
}

// csvProblem is why a ClusterServiceVersion failed. What no retry of OLM's changes is blocked.
func csvProblem(c csv, groups []operatorGroup) *components.Failure {
	namespace, says := c.Metadata.Namespace, c.Status.Reason+": "+quote(c.Status.Message)
	switch c.Status.Reason {
	case "TooManyOperatorGroups", "NoOperatorGroup":
		if problem := groupProblem(namespace, groups); problem != nil {
			return problem
		}
		return dependencies.Failed(v1alpha1.ReasonCSVFailed, "%s failed: %s; OLM is about to look at it again", c.object(), says)
	case "UnsupportedOperatorGroup", "NoTargetNamespaces", "CannotModifyStaticOperatorGroupProvidedAPIs":
		names, selects := []string{"none"}, "nothing"
		if len(groups) > 0 {
			names, selects = groupNames(groups), groups[0].selects()
		}
		return dependencies.Blocked(v1alpha1.ReasonOperatorGroupConflict,
			"%s failed: %s; OperatorGroup %s selects %s, and the operator supports something else: change it (%s), or install the operator in another namespace",
			c.object(), says, strings.Join(names, ", "), selects, kubectl(namespace, "edit operatorgroups.operators.coreos.com"))
	case "OwnerConflict", "InterOperatorGroupOwnerConflict":
		return dependencies.Blocked(v1alpha1.ReasonCSVFailed,
			"%s failed: %s; another operator of OLM serves the same kinds: find it, and keep one of the two: "+
				"kubectl get clusterserviceversions.operators.coreos.com --all-namespaces --selector '!%s'", c.object(), says, copiedFrom)
	case "InstallComponentFailedNoRetry", "InvalidInstallStrategy", "InvalidInstallModes", "InvalidWebhookDescription":
		return dependencies.Blocked(v1alpha1.ReasonCSVFailed,
			"%s failed: %s; OLM does not try this again: choose another channel or catalogue, or see what it objects to: %s",
			c.object(), says, c.describe())
	}
	return dependencies.Failed(v1alpha1.ReasonCSVFailed, "%s failed: %s; see %s and %s",
		c.object(), sentences(says, c.unmet()), c.describe(), kubectl(namespace, "get deployments,pods"))
}

// progress says what a ClusterServiceVersion that has not failed waits for.
func progress(c csv) string {
	if c.Status.Phase == "" {
		return c.object() + " is new to OLM"
	}
	text := fmt.Sprintf("%s is %s: %s", c.object(), c.Status.Phase, c.Status.Reason)
	if unmet := c.unmet(); unmet != "" && c.Status.Phase == phasePending {
		return text + ": " + unmet
	}
	if c.Status.Message != "" {
		text += ": " + quote(c.Status.Message)
	}
	return text
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
	const shown = 5
	if len(lacking) > shown {
		lacking = append(lacking[:shown], fmt.Sprintf("and %d more", len(lacking)-shown))
	}
	return strings.Join(lacking, ", ")
}

// orphanClaim is for a ClusterServiceVersion that no Subscription asks for: what a Subscription left behind when it was
// deleted, or what we are removing. OLM would resolve no new Subscription beside it.
func orphanClaim(operator dependencies.Operator, c csv) claim {
	found := claim{object: c.object(), remove: deleteCSV(c.Metadata.Namespace, c.Metadata.Name)}
	found.Ours = isOurs(operator, c.Metadata.Labels)
	found.Namespaces = watches(c)
	status := statusOf(operator, found.Ours)
	status.Version = c.Spec.Version
	switch {
	case found.Ours:
		found.Status = removing(status, "%s is being removed", c.object())
	case c.Metadata.DeletionTimestamp != nil:
		found.Status = removing(status, "%s is being deleted", c.object())
	case !c.works():
		found.Status = troubled(status, dependencies.Blocked(v1alpha1.ReasonOrphanCSV,
			"%s belongs to no Subscription and does not work (%s: %s: %s); either repair it (see %s), or delete it, "+
				"and the installer asks OLM for the package anew; CustomResourceDefinitions and their objects stay (%s)",
			c.object(), c.Status.Phase, c.Status.Reason, quote(c.Status.Message), c.describe(), found.remove))
	case !operator.Supports(c.Spec.Version):
		found.Status = troubled(status, unsupported(operator, c.Spec.Version, c.object(),
			"it belongs to no Subscription: delete it, and the installer asks OLM for the package anew; "+
				"CustomResourceDefinitions and their objects stay ("+found.remove+")"))
	default:
		found.Status = ready(status, c.Spec.Version,
			fmt.Sprintf("%s belongs to no Subscription, so OLM does not upgrade it; to have it upgraded, delete it, and the installer asks OLM "+
				"for the package anew; CustomResourceDefinitions and their objects stay (%s)", c.object(), found.remove),
			scope(operator, c))
	}
	return found
}

// watches are the namespaces that an operator watches, sorted; none for all.
func watches(c csv) []string {
	targets := c.Metadata.Annotations[targetsAnnotation]
	if targets == "" {
		return nil
	}
	namespaces := strings.Split(targets, ",")
	slices.Sort(namespaces)
	return namespaces
}

// scope says of an operator that should watch all namespaces that it does not.
func scope(operator dependencies.Operator, c csv) string {
	namespaces := watches(c)
	all := slices.ContainsFunc(operator.Packages, func(p dependencies.Package) bool { return p.InstallMode == dependencies.AllNamespaces })
	if len(namespaces) == 0 || !all {
		return ""
	}
	const shown = 5
	if len(namespaces) > shown {
		namespaces = append(slices.Clone(namespaces[:shown]), fmt.Sprintf("and %d more", len(namespaces)-shown))
	}
	return "it looks after these namespaces only: " + strings.Join(namespaces, ", ")
}

func (c csv) object() string {
	return "ClusterServiceVersion " + c.Metadata.Namespace + "/" + c.Metadata.Name
}

func (c csv) describe() string {
	return kubectl(c.Metadata.Namespace, "describe clusterserviceversions.operators.coreos.com %s", c.Metadata.Name)
}

func deleteCSV(namespace, name string) string {
	return kubectl(namespace, "delete clusterserviceversions.operators.coreos.com %s", name)
}
