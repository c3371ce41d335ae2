package spark

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/components/health"
)

// The states of a SparkCluster. The operator says RunningHealthy when it has made the StatefulSets, whatever becomes of them, and looks at
// a cluster that failed never again but to say so. (ClusterInitStep, ClusterUnknownStateStep, Spark operator 1.0.0)
const (
	stateSubmitted         = "Submitted"
	stateRunningHealthy    = "RunningHealthy"
	stateSchedulingFailure = "SchedulingFailure"
	stateFailed            = "Failed"
)

// assessShared judges a SparkCluster by its Pods.
func assessShared(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
	state, _, _ := unstructured.NestedString(object.Object, "status", "currentState", "currentStateSummary")
	switch state {
	case "", stateSubmitted:
		return health.Progress("the Spark operator has not acted on it; does it run, and watch this namespace?")
	case stateRunningHealthy:
	case stateSchedulingFailure, stateFailed:
		return health.Failing("the Spark operator could not create it and does not try again; mend the cause and delete it, it is made anew: %s", failure(object))
	default:
		return health.Failing("its state is %s; delete it, it is made anew", state)
	}
	pods = health.Labelled(map[string]string{labelSparkCluster: object.GetName()}, pods)
	if problem, state := health.PodProblem(pods); problem != "" {
		return health.Verdict{State: state, Message: problem}
	}
	wanted, _, _ := unstructured.NestedInt64(object.Object, "spec", "clusterTolerations", "instanceConfig", "initWorkers")
	ready := map[string]int64{}
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && health.Serves(pod) {
			ready[pod.Labels[labelSparkRole]]++
		}
	}
	switch {
	case ready[masterPart] == 0:
		return health.Progress("its master is not ready")
	case ready[workerPart] < wanted:
		return health.Progress("%d of %d workers are ready", ready[workerPart], wanted)
	}
	return health.Healthy()
}

// failure is the first line of what the operator says of why it could not create a cluster. It is in the history: the state that follows
// says nothing of it.
func failure(object *unstructured.Unstructured) string {
	history, _, _ := unstructured.NestedMap(object.Object, "status", "stateTransitionHistory")
	for _, number := range []string{"1", "2", "3"} {
		entry, _ := history[number].(map[string]any)
		if entry["currentStateSummary"] == stateSchedulingFailure {
			text, _, _ := strings.Cut(fmt.Sprint(entry["message"]), "\n")
			// The client's exceptions end with what the API server said.
			if _, after, found := strings.Cut(text, " Message: "); found {
				text = after
			}
			return health.Shorten(strings.TrimSpace(text), 240)
		}
	}
	message, _, _ := unstructured.NestedString(object.Object, "status", "currentState", "message")
	return health.Shorten(message, 240)
}
