package gpu

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// Operators in the table of dependencies.
const (
	nvidia = "NVIDIA GPU operator"
	nfd    = "Node Feature Discovery"
)

var (
	// ClusterPolicy says how the NVIDIA GPU operator sets up the nodes.
	ClusterPolicy = kinds.Kind{
		GroupKind: schema.GroupKind{Group: "nvidia.com", Kind: "ClusterPolicy"},
		Versions:  []string{"v1"}, Plural: "clusterpolicies", ClusterScoped: true, Provider: nvidia,
	}
	// NodeFeatureRule is served by Node Feature Discovery itself.
	NodeFeatureRule = kinds.Kind{
		GroupKind: schema.GroupKind{Group: "nfd.k8s-sigs.io", Kind: "NodeFeatureRule"},
		Versions:  []string{"v1alpha1"}, Plural: "nodefeaturerules", ClusterScoped: true, Provider: nfd,
	}
	// NodeFeatureDiscovery is what the operator of Node Feature Discovery acts on, which OpenShift has.
	NodeFeatureDiscovery = kinds.Kind{
		GroupKind: schema.GroupKind{Group: "nfd.openshift.io", Kind: "NodeFeatureDiscovery"},
		Versions:  []string{"v1"}, Plural: "nodefeaturediscoveries", Provider: nfd,
	}
)

// Kinds implements components.Component.
func (component) Kinds() []kinds.Kind {
	return []kinds.Kind{kinds.ConfigMap, ClusterPolicy, NodeFeatureRule, NodeFeatureDiscovery, kinds.Node}
}

// Uses implements components.WithUses: nodes and what is set up on them are the cluster's, and only read.
func (component) Uses() []components.Use {
	return []components.Use{
		{Kind: ClusterPolicy, Foreign: true, Keep: keepPolicy},
		{Kind: NodeFeatureRule, Foreign: true, Needed: func(facts components.Facts) bool { return !facts.Cluster.OpenShift }},
		{Kind: NodeFeatureDiscovery, Foreign: true, Needed: func(facts components.Facts) bool { return facts.Cluster.OpenShift }},
		{Kind: kinds.Node, Foreign: true, Keep: keepNode},
	}
}

// keepPolicy leaves what settings and the verdict are read from.
func keepPolicy(policy *unstructured.Unstructured) {
	conditions, _, _ := unstructured.NestedSlice(policy.Object, "status", "conditions")
	for _, condition := range conditions {
		if condition, ok := condition.(map[string]any); ok {
			delete(condition, "lastTransitionTime")
		}
	}
	if len(conditions) > 0 {
		_ = unstructured.SetNestedSlice(policy.Object, conditions, "status", "conditions")
	}
}

// keepNode leaves the name, and of labels, taints and resources what is about GPUs. Of other nodes only the name is left.
func keepNode(node *unstructured.Unstructured) {
	status := map[string]any{}
	for _, amounts := range []string{"capacity", "allocatable"} {
		all, _, _ := unstructured.NestedMap(node.Object, "status", amounts)
		for name := range all {
			if !isGPU(name) {
				delete(all, name)
			}
		}
		if len(all) > 0 {
			status[amounts] = all
		}
	}
	labels := map[string]any{}
	for name, value := range node.GetLabels() {
		if strings.HasPrefix(name, vendor) || isPCI(name) {
			labels[name] = value
		}
	}
	metadata := map[string]any{"name": node.GetName(), "resourceVersion": node.GetResourceVersion()}
	if len(labels) > 0 {
		metadata["labels"] = labels
	}
	kept := map[string]any{"apiVersion": node.GetAPIVersion(), "kind": node.GetKind(), "metadata": metadata}
	if taints, found, _ := unstructured.NestedSlice(node.Object, "spec", "taints"); found && len(labels) > 0 {
		for _, taint := range taints {
			if taint, ok := taint.(map[string]any); ok {
				delete(taint, "timeAdded")
			}
		}
		kept["spec"] = map[string]any{"taints": taints}
	}
	if len(status) > 0 {
		kept["status"] = status
	}
	node.Object = kept
}
