package olm

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

// fits is whether operators of the group watch the namespaces that they should.
func (g operatorGroup) fits(mode dependencies.InstallMode) bool {
	switch {
	case mode == dependencies.AllNamespaces:
		return g.global()
	case len(g.Spec.Targets) > 0:
		return slices.Equal(g.Spec.Targets, []string{g.Metadata.Namespace})
	default: // by labels, which OLM has looked up
		return slices.Equal(g.Status.Namespaces, []string{g.Metadata.Namespace})
	}
}

func (g operatorGroup) global() bool {
	return len(g.Spec.Targets) == 0 && !selectsByLabel(g.Spec.Selector)
}

func selectsByLabel(selector *metav1.LabelSelector) bool {
	return selector != nil && len(selector.MatchLabels)+len(selector.MatchExpressions) > 0
}

// selects says which namespaces the group selects.
func (g operatorGroup) selects() string {
	switch {
	case g.global():
		return "all namespaces"
	case len(g.Spec.Targets) > 0:
		return "the namespaces " + strings.Join(g.Spec.Targets, ", ")
	default:
		return "the namespaces with the labels " + metav1.FormatLabelSelector(g.Spec.Selector)
	}
}

func needs(mode dependencies.InstallMode, namespace string) string {
	if mode == dependencies.AllNamespaces {
		return "all namespaces"
	}
	return "the namespace " + namespace + " alone"
}

func groupsIn(groups []operatorGroup, namespace string) []operatorGroup {
	var found []operatorGroup
	for _, g := range groups {
		if g.Metadata.Namespace == namespace {
			found = append(found, g)
		}
	}
	return found
}

func groupNames(groups []operatorGroup) []string {
	names := make([]string, 0, len(groups))
	for _, g := range groups {
		names = append(names, g.Metadata.Namespace+"/"+g.Metadata.Name)
	}
	return names
}

// groupProblem is why OLM installs nothing in a namespace, of which Subscriptions there say nothing.
func groupProblem(namespace string, groups []operatorGroup) *components.Failure {
	switch len(groups) {
	case 0:
		return dependencies.Blocked(v1alpha1.ReasonOperatorGroupConflict,
			"namespace %s has no OperatorGroup, and OLM installs nothing in it; create one, such as this for all namespaces: "+
				`echo '{"apiVersion":"operators.coreos.com/v1","kind":"OperatorGroup","metadata":{"name":"%s","namespace":"%s"}}' | kubectl create --filename -`,
			namespace, namespace, namespace)
	case 1:
		return nil
	}
	return dependencies.Blocked(v1alpha1.ReasonTooManyOperatorGroups,
		"namespace %s has %d OperatorGroups, and OLM installs nothing in it until there is one: %s; delete the others: %s",
		namespace, len(groups), strings.Join(groupNames(groups), ", "),
		kubectl(namespace, "delete operatorgroups.operators.coreos.com NAME"))
}

// misfit is why the one group of a namespace does not do.
func misfit(operator dependencies.Operator, mode dependencies.InstallMode, g operatorGroup) *components.Failure {
	return dependencies.Blocked(v1alpha1.ReasonOperatorGroupConflict,
		"OperatorGroup %s/%s selects %s, and %s must watch %s; a namespace can have one OperatorGroup only: change it (%s), "+
			"or let the ConfigMap of the installer name another namespace for %s",
		g.Metadata.Namespace, g.Metadata.Name, g.selects(), operator.Name, needs(mode, g.Metadata.Namespace),
		kubectl(g.Metadata.Namespace, "edit operatorgroups.operators.coreos.com %s", g.Metadata.Name), operator.Name)
}

// groupSpec is the spec of the group that we make.
func groupSpec(mode dependencies.InstallMode, namespace string) operatorGroupSpec {
	if mode == dependencies.OwnNamespace {
		return operatorGroupSpec{Targets: []string{namespace}}
	}
	return operatorGroupSpec{}
}
