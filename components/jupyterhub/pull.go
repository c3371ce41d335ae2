package jupyterhub

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/native"
)

// pullResources are enough for a process that ends at once or sleeps.
var pullResources = native.Resources("1m", "8Mi", "", "32Mi")

// pullDaemonSet has a container of each image on every node where notebooks of any size may run. They end at once; then a container of the
// last image, which is there anyway, keeps the Pod running.
func pullDaemonSet(in inputs) *apps.DaemonSetApplyConfiguration {
	var images []string
	for _, image := range in.images {
		if !slices.Contains(images, image.Image) {
			images = append(images, image.Image)
		}
	}
	last := images[len(images)-1]
	pod := in.Pod(notebookPart, 1000, native.Container("wait", last, pullResources).WithCommand("sleep", "infinity")).
		WithTerminationGracePeriodSeconds(1)
	for i, image := range images {
		pod.WithInitContainers(native.Container("image-"+string(rune('a'+i/26))+string(rune('a'+i%26)), image, pullResources).WithCommand("true"))
	}
	native.Place(pod, in.spec.Placement)
	for _, size := range in.sizes {
		pod.WithTolerations(native.Tolerations(size.Placement.Tolerations)...)
		if size.GPUs > 0 {
			pod.WithTolerations(native.Tolerations([]v1alpha1.Toleration{{Key: gpuResource, Operator: "Exists", Effect: "NoSchedule"}})...)
		}
	}
	pod.Tolerations = compact(pod.Tolerations)
	return apps.DaemonSet(in.Object(pullPart), in.Platform.Namespace).
		WithLabels(in.Labels(pullPart)).
		WithSpec(apps.DaemonSetSpec().
			WithRevisionHistoryLimit(2).
			// Nobody waits for them, so all nodes may pull at once.
			WithUpdateStrategy(apps.DaemonSetUpdateStrategy().
				WithType(appsv1.RollingUpdateDaemonSetStrategyType).
				WithRollingUpdate(apps.RollingUpdateDaemonSet().WithMaxUnavailable(intstr.FromString("100%")))).
			WithSelector(meta.LabelSelector().WithMatchLabels(in.Selector(pullPart))).
			WithTemplate(core.PodTemplateSpec().
				WithLabels(in.PodLabels(pullPart)).
				WithSpec(pod)))
}

// compact leaves out duplicates.
func compact(tolerations []core.TolerationApplyConfiguration) []core.TolerationApplyConfiguration {
	var kept []core.TolerationApplyConfiguration
	seen := map[string]bool{}
	for _, toleration := range tolerations {
		if key := native.JSON(toleration); !seen[key] {
			seen[key] = true
			kept = append(kept, toleration)
		}
	}
	return kept
}

// pullPolicy: nobody talks to these Pods, nor they to anybody; the node pulls.
func pullPolicy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	return in.Policy(pullPart, nil, nil)
}
