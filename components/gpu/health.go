package gpu

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
)

// maxDevices is the bound of the status.
const maxDevices = 256

// maxNames bounds the nodes that a message names.
const maxNames = 5

// Assess implements components.Component: first the ClusterPolicy, then what the nodes have.
func (component) Assess(observed components.Observed) components.Health {
	result := health.Assess(observed, nil)
	nodes := nodesOf(observed.Found)
	for _, node := range nodes {
		for _, device := range node.devices {
			result.Devices = append(result.Devices, device.NodeDevice)
		}
	}
	result.Devices = result.Devices[:min(len(result.Devices), maxDevices)]
	if result.State != components.Ready {
		return result
	}
	policy := policyOf(observed.Found)
	if policy == nil {
		result.State = components.Progressing
		result.Message = "there is no ClusterPolicy, without which the NVIDIA GPU operator does nothing: the installer makes one for an operator that it installed, otherwise somebody must"
		return result
	}
	verdict, reason := judge(policy, observed.Facts)
	if verdict.State != components.Ready {
		result.State, result.Reason = verdict.State, reason
		result.Message = health.Shorten("ClusterPolicy "+policy.GetName()+": "+verdict.Message, 3000)
		return result
	}
	var offering int
	for _, node := range nodes {
		if slices.ContainsFunc(node.devices, func(d device) bool { return d.Allocatable > 0 }) {
			offering++
		}
	}
	switch {
	case len(nodes) == 0:
		result.Reason, result.Message = v1alpha1.ReasonNoGPUNodes, "no node has a GPU; nodes that come are found by themselves"
		if condition, _ := health.Condition(policy, "Ready"); condition.Reason == "NFDLabelsMissing" {
			result.Message += ". No node has a label of Node Feature Discovery, by which GPUs are found: look at its Pods if some should"
		}
	case offering == 0:
		result.State = components.Progressing
		result.Message = fmt.Sprintf("nodes with GPUs that offer none to Pods yet: %s; look at the Pods of the NVIDIA GPU operator there",
			names(nodes, func(node) bool { return true }))
	default:
		result.Message = summary(nodes, offering)
	}
	return result
}

// policyOf is the ClusterPolicy that the operator acts on: the oldest, and of those of the same second the first by name
// (getSingletonClusterPolicy in controllers/clusterpolicy_controller.go of v26.7.0).
func policyOf(found components.Objects) *unstructured.Unstructured {
	var policies []*unstructured.Unstructured
	for _, object := range found {
		if object.GroupVersionKind().GroupKind() == ClusterPolicy.GroupKind && object.GetDeletionTimestamp() == nil {
			policies = append(policies, object)
		}
	}
	if len(policies) == 0 {
		return nil
	}
	return slices.MinFunc(policies, func(a, b *unstructured.Unstructured) int {
		first, second := a.GetCreationTimestamp(), b.GetCreationTimestamp()
		return cmp.Or(first.Compare(second.Time), cmp.Compare(a.GetName(), b.GetName()))
	})
}

// judge reads what the operator says, and whether the settings are those of the spec. The reason is empty if the state says it all.
func judge(policy *unstructured.Unstructured, facts components.Facts) (health.Verdict, string) {
	if differences := components.Differences(policy, settings(specOf(facts))); len(differences) > 0 {
		return differ(differences, components.DecidedBy(policy) != nil, facts.Platform)
	}
	state, _, _ := unstructured.NestedString(policy.Object, "status", "state")
	if state == "ready" {
		return health.Healthy(), ""
	}
	// ReconcileFailed is an error of the operator; the other reasons say what it waits for.
	failed, _ := health.Condition(policy, "Error")
	switch {
	case failed.Status == metav1.ConditionTrue && failed.Reason == "ReconcileFailed":
		return health.Failing("%s", health.Explain(failed)), ""
	case failed.Status == metav1.ConditionTrue:
		return health.Progress("%s", health.Explain(failed)), ""
	case state == "":
		return health.Progress("the NVIDIA GPU operator has not looked at it yet"), ""
	}
	return health.Progress("its state is %s", state), ""
}

// differ words settings that the ClusterPolicy has otherwise. The installer writes those that no other platform decided.
func differ(differences []components.Difference, ours bool, platform components.Platform) (health.Verdict, string) {
	var conflicts, pending []string
	for _, difference := range differences {
		text := fmt.Sprintf("%s is %s, and %s asks for %s", difference.Path, shown(difference.Has), difference.Field, shown(difference.Value))
		switch by := difference.By; {
		case !ours:
			conflicts = append(conflicts, text)
		case by == "" || by == platform.Namespace+"/"+platform.Name:
			pending = append(pending, text)
		default:
			conflicts = append(conflicts, fmt.Sprintf("%s; OpenDataHub %s, which is older, decides", text, by))
		}
	}
	switch {
	case len(conflicts) == 0:
		return health.Progress("waiting for the installer: %s", strings.Join(pending, "; ")), ""
	case !ours:
		return health.Failing("%s; the installer did not make it, so it is left as it is: change it, or take the field out of the spec",
			strings.Join(conflicts, "; ")), v1alpha1.ReasonConflict
	}
	return health.Failing("%s; nothing is changed: agree with the other platform, or take the field out of the spec",
		strings.Join(conflicts, "; ")), v1alpha1.ReasonConflict
}

func shown(value any) string {
	if value == nil {
		return "not set"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

// summary says what Pods can have: "3 GPUs on 2 nodes: 1 NVIDIA-A100-SXM4-40GB, 2 Tesla-T4".
func summary(nodes []node, offering int) string {
	total, listed := int32(0), 0
	sums := map[string]int32{}
	for _, node := range nodes {
		for _, device := range node.devices {
			listed++
			name := cmp.Or(device.Model, device.Resource)
			if profile, ok := strings.CutPrefix(device.Resource, partition); ok && !strings.Contains(name, profile) {
				name += " MIG " + profile
			}
			sums[name] += device.Allocatable
			total += device.Allocatable
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		parts = append(parts, fmt.Sprintf("%d %s", sums[name], name))
	}
	text := fmt.Sprintf("%d for Pods on %d of %d nodes with GPUs: %s", total, offering, len(nodes), strings.Join(parts, ", "))
	if idle := names(nodes, func(n node) bool {
		return !slices.ContainsFunc(n.devices, func(d device) bool { return d.Allocatable > 0 })
	}); idle != "" {
		text += "; none can be used on " + idle
	}
	if apart := names(nodes, func(n node) bool { return n.reserved && len(n.devices) > 0 }); apart != "" {
		text += "; not offered to notebooks, because of other taints: " + apart
	}
	if listed > maxDevices {
		text += fmt.Sprintf("; the status lists the first %d of %d", maxDevices, listed)
	}
	return health.Shorten(text, 3000)
}

func names(nodes []node, which func(node) bool) string {
	var all []string
	for _, node := range nodes {
		if which(node) {
			all = append(all, node.name)
		}
	}
	if more := len(all) - maxNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:maxNames], ", "), more)
	}
	return strings.Join(all, ", ")
}
