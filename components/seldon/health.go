package seldon

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/components/health"
)

// The states of a SeldonDeployment. They say nothing of the generation that they are about.
// (StatusState, operator/apis/machinelearning.seldon.io/v1, Seldon Core 1.17.1)
const (
	stateCreating  = "Creating"
	stateAvailable = "Available"
	stateFailed    = "Failed"
)

// assess judges a SeldonDeployment by its state, and by the Pods of its current specification.
func assess(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
	state, _, _ := unstructured.NestedString(object.Object, "status", "state")
	description, _, _ := unstructured.NestedString(object.Object, "status", "description")
	revision, wanted := wantedPods(object)
	pods = health.Labelled(map[string]string{labelDeployment: object.GetName(), LabelRevision: revision}, pods)
	var ready int64
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && health.Serves(pod) {
			ready++
		}
	}
	if state == stateAvailable && ready >= wanted {
		return health.Healthy() // whatever became of Pods before them
	}
	if problem, state := health.PodProblem(pods); problem != "" {
		return health.Verdict{State: state, Message: problem}
	}
	switch {
	case state == "":
		return health.Progress("Seldon's operator has not acted on it; does it run, and watch this namespace?")
	case state == stateFailed:
		return health.Failing("Seldon's operator says: %s", health.Shorten(description, 240))
	case ready < wanted:
		return health.Progress("%d of %d Pods are ready", ready, wanted)
	case state == stateCreating:
		return health.Progress("Seldon's operator is creating it")
	}
	return health.Progress("its state is %s", state)
}

// wantedPods is how many Pods of which revision the specification asks for.
func wantedPods(object *unstructured.Unstructured) (revision string, count int64) {
	predictors, _, _ := unstructured.NestedSlice(object.Object, "spec", "predictors")
	for _, entry := range predictors {
		predictor, _ := entry.(map[string]any)
		replicas, _, _ := unstructured.NestedInt64(predictor, "replicas")
		count += replicas
		specs, _, _ := unstructured.NestedSlice(predictor, "componentSpecs")
		for _, entry := range specs {
			spec, _ := entry.(map[string]any)
			revision, _, _ = unstructured.NestedString(spec, "metadata", "labels", LabelRevision)
		}
	}
	return revision, count
}
