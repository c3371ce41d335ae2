package native

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
)

// NodeAffinity requires nodes with all of these labels. Nil without any.
func NodeAffinity(labels map[string]v1alpha1.LabelValue) *core.NodeAffinityApplyConfiguration {
	if len(labels) == 0 {
		return nil
	}
	term := core.NodeSelectorTerm()
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		term.WithMatchExpressions(core.NodeSelectorRequirement().
			WithKey(key).WithOperator(corev1.NodeSelectorOpIn).WithValues(string(labels[key])))
	}
	return core.NodeAffinity().WithRequiredDuringSchedulingIgnoredDuringExecution(core.NodeSelector().WithNodeSelectorTerms(term))
}

// Place has a Pod run on these nodes, besides what it asks of them itself.
func Place(pod *core.PodSpecApplyConfiguration, placement v1alpha1.Placement) {
	for key, value := range placement.NodeSelector {
		pod.WithNodeSelector(map[string]string{key: string(value)})
	}
	pod.WithTolerations(Tolerations(placement.Tolerations)...)
}

// Tolerations are those of a spec, as Pods have them.
func Tolerations(wanted []v1alpha1.Toleration) []*core.TolerationApplyConfiguration {
	var all []*core.TolerationApplyConfiguration
	for _, t := range wanted {
		toleration := core.Toleration().WithOperator(corev1.TolerationOperator(cmp.Or(t.Operator, "Equal")))
		if t.Key != "" {
			toleration.WithKey(t.Key)
		}
		if t.Value != "" {
			toleration.WithValue(string(t.Value))
		}
		if t.Effect != "" {
			toleration.WithEffect(corev1.TaintEffect(t.Effect))
		}
		all = append(all, toleration)
	}
	return all
}
