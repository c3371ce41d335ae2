package health

import (
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// workloads are the native kinds that are worth counting when all is well.
var workloads = map[schema.GroupKind]bool{
	kinds.Deployment.GroupKind:  true,
	kinds.StatefulSet.GroupKind: true,
	kinds.DaemonSet.GroupKind:   true,
}

// native are the rules for kinds that say in their status whether they work. An Ingress is not among them: many
// controllers never write its status.
var native = map[schema.GroupKind]Rule{
	kinds.Deployment.GroupKind:            deployment,
	kinds.StatefulSet.GroupKind:           statefulSet,
	kinds.DaemonSet.GroupKind:             daemonSet,
	kinds.PersistentVolumeClaim.GroupKind: claim,
	kinds.Route.GroupKind:                 route,
	kinds.HTTPRoute.GroupKind:             httpRoute,
	kinds.ConsoleLink.GroupKind:           Exists, // it has no status
}

func builtIn(kind schema.GroupKind) Rule {
	if rule, ok := native[kind]; ok {
		return rule
	}
	if !strings.Contains(kind.Group, ".") || strings.HasSuffix(kind.Group, ".k8s.io") {
		return Exists
	}
	return func(*unstructured.Unstructured, []*corev1.Pod) Verdict {
		return Progress("nothing is known about the state of this kind")
	}
}

func deployment(object *unstructured.Unstructured, pods []*corev1.Pod) Verdict {
	return convert(object, func(d *appsv1.Deployment) Verdict {
		replicas := desired(d.Spec.Replicas)
		status := d.Status
		var refused, late appsv1.DeploymentCondition
		for _, condition := range status.Conditions {
			switch {
			case condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue:
				refused = condition
			case condition.Type == appsv1.DeploymentProgressing && condition.Reason == "ProgressDeadlineExceeded":
				late = condition
			}
		}
		switch {
		case status.ObservedGeneration < d.Generation:
			return Progress("the latest change is not seen yet")
		case refused.Type != "":
			return Failing("its Pods are refused: %s", refusal(refused.Message))
		// An old Pod may still count as available while a new one starts, hence all three.
		case status.UpdatedReplicas == replicas && status.Replicas == replicas && status.AvailableReplicas == replicas:
			return Healthy()
		}
		verdict := incomplete(min(status.AvailableReplicas, status.UpdatedReplicas), replicas, Select(d.Spec.Selector, pods))
		if late.Type != "" && verdict.State != components.Degraded {
			verdict = Failing("%s; no progress within its deadline", verdict.Message)
		}
		return verdict
	})
}

func statefulSet(object *unstructured.Unstructured, pods []*corev1.Pod) Verdict {
	return convert(object, func(s *appsv1.StatefulSet) Verdict {
		replicas := desired(s.Spec.Replicas)
		status := s.Status
		// updatedReplicas is 0 on a set that never changed its revision until the controller has caught up.
		updated := status.UpdatedReplicas == replicas || status.CurrentRevision == status.UpdateRevision
		switch {
		case status.ObservedGeneration < s.Generation:
			return Progress("the latest change is not seen yet")
		case updated && status.Replicas == replicas && status.AvailableReplicas == replicas:
			return Healthy()
		}
		return incomplete(status.AvailableReplicas, replicas, Select(s.Spec.Selector, pods))
	})
}

// daemonSet is fine on no node at all: there may be none of the kind that it is for.
func daemonSet(object *unstructured.Unstructured, pods []*corev1.Pod) Verdict {
	return convert(object, func(d *appsv1.DaemonSet) Verdict {
		status := d.Status
		switch {
		case status.ObservedGeneration < d.Generation:
			return Progress("the latest change is not seen yet")
		case min(status.NumberAvailable, status.UpdatedNumberScheduled) >= status.DesiredNumberScheduled:
			return Healthy()
		}
		return incomplete(min(status.NumberAvailable, status.UpdatedNumberScheduled), status.DesiredNumberScheduled, Select(d.Spec.Selector, pods))
	})
}

// incomplete explains why a workload lacks Pods.
func incomplete(ready, replicas int32, pods []*corev1.Pod) Verdict {
	problem, state := PodProblem(pods)
	if problem == "" {
		if ready >= replicas {
			return Progress("old Pods are being replaced")
		}
		return Progress("%d of %d Pods ready", ready, replicas)
	}
	verdict := Progress("%d of %d Pods ready: %s", ready, replicas, problem)
	if ready >= replicas { // old Pods are among them
		verdict = Progress("old Pods are being replaced: %s", problem)
	}
	verdict.State = state
	return verdict
}

func desired(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// refusedPod is how the API server's message begins: the name is generated anew with every attempt.
var refusedPod = regexp.MustCompile(`^(Internal error occurred: )?pods "[^"]*" is forbidden: `)

func refusal(message string) string {
	return refusedPod.ReplaceAllString(message, "")
}

func claim(object *unstructured.Unstructured, _ []*corev1.Pod) Verdict {
	return convert(object, func(c *corev1.PersistentVolumeClaim) Verdict {
		class := c.Spec.StorageClassName
		switch {
		case c.Status.Phase == corev1.ClaimBound:
			return Healthy()
		case c.Status.Phase == corev1.ClaimLost:
			return Failing("its PersistentVolume %s is gone, and the data with it; restore the volume, or delete the claim to "+
				"start empty", c.Spec.VolumeName)
		case class == nil:
			return Failing("%s", noDefaultClass)
		case *class == "":
			return Progress("no PersistentVolume without a StorageClass is free for it")
		default:
			return Progress("StorageClass %s has not provided a volume yet", *class)
		}
	})
}

// noDefaultClass is what a claim without a StorageClass means: the API server fills in the default one if there is any.
const noDefaultClass = "no PersistentVolume is bound: the claim names no StorageClass and the cluster has no default one; " +
	"mark a StorageClass as default or name one in the spec"

func route(object *unstructured.Unstructured, _ []*corev1.Pod) Verdict {
	return attached(object, "ingress", "Admitted", "no router has admitted it yet")
}

func httpRoute(object *unstructured.Unstructured, _ []*corev1.Pod) Verdict {
	return attached(object, "parents", "Accepted",
		"no Gateway has accepted it yet; does the Gateway exist, and does it allow routes from this namespace?")
}

// attached judges a route by its entries, one per router or Gateway: one that took it is enough.
func attached(object *unstructured.Unstructured, list, conditionType, none string) Verdict {
	verdict := Progress("%s", none)
	entries, _, _ := unstructured.NestedSlice(object.Object, "status", list)
	for _, entry := range entries {
		fields, _ := entry.(map[string]any)
		conditions, _ := fields["conditions"].([]any)
		condition, found := inConditions(conditions, conditionType)
		switch {
		case !found || condition.ObservedGeneration != 0 && condition.ObservedGeneration < object.GetGeneration():
		case condition.Status == metav1.ConditionTrue:
			return Healthy()
		case condition.Status == metav1.ConditionFalse && verdict.State != components.Degraded:
			verdict = Failing("%s", Explain(condition))
		}
	}
	return verdict
}

// Select returns the Pods that a workload's spec.selector chooses. No selector chooses nothing.
func Select(selector *metav1.LabelSelector, pods []*corev1.Pod) []*corev1.Pod {
	matcher, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool {
		return !matcher.Matches(labels.Set(pod.Labels))
	})
}

// Labelled returns the Pods that have all these labels, for workloads of third-party kinds.
func Labelled(wanted map[string]string, pods []*corev1.Pod) []*corev1.Pod {
	return Select(&metav1.LabelSelector{MatchLabels: wanted}, pods)
}

func inNamespace(pods []*corev1.Pod, namespace string) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool {
		return namespace != "" && pod.Namespace != namespace
	})
}
