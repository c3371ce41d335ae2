package olm

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	selector := g.Spec.Selector
	return len(g.Spec.Targets) == 0 && (selector == nil || len(selector.MatchLabels)+len(selector.MatchExpressions) == 0)
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

func (g operatorGroup) object() object {
	return object{groupKind, g.Metadata.Namespace, g.Metadata.Name}
}

// needs says which namespaces an operator is to watch.
func needs(mode dependencies.InstallMode, namespace string) string {
	if mode == dependencies.AllNamespaces {
		return "all namespaces"
	}
	return "the namespace " + namespace + " alone"
}

// targets are the namespaces that the group which we make selects; none are all.
func targets(mode dependencies.InstallMode, namespace string) []string {
	if mode == dependencies.OwnNamespace {
		return []string{namespace}
	}
	return nil
}

func groupsIn(groups []operatorGroup, namespace string) []operatorGroup {
	return slices.DeleteFunc(slices.Clone(groups), func(g operatorGroup) bool { return g.Metadata.Namespace != namespace })
}

// groupProblem is why OLM installs nothing in a namespace. Subscriptions there do not say so.
func groupProblem(namespace string, groups []operatorGroup) *components.Failure {
	in := object{groupKind, namespace, ""}
	switch len(groups) {
	case 0:
		return noGroup.of(in, "namespace %s has no OperatorGroup, and OLM installs nothing in it", namespace)
	case 1:
		return nil
	}
	var names []string
	for _, g := range groups {
		names = append(names, g.Metadata.Namespace+"/"+g.Metadata.Name)
	}
	return manyGroups.of(in, "namespace %s has %d OperatorGroups, and OLM installs nothing in it until there is one: %s",
		namespace, len(groups), strings.Join(names, ", "))
}
