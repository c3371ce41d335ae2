package helm

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/kube"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/resource"
)

// hookWaiter says why a hook failed while it is there: the chart may have it deleted next.
type hookWaiter struct {
	kube.Waiter
	session *session
}

// WatchUntilReady waits for a hook to end.
func (w hookWaiter) WatchUntilReady(objects kube.ResourceList, timeout time.Duration) error {
	err := w.Waiter.WatchUntilReady(objects, timeout)
	if err == nil || len(objects) == 0 || w.session.ctx.Err() != nil {
		return err
	}
	failed := &hookError{hook: hookName(objects[0]), why: err.Error()}
	if why := w.session.why(objects[0]); why != "" {
		failed.why = why
	}
	return failed
}

// why says why a Job or Pod does not succeed; it says nothing when it cannot find out, or when it is another kind.
func (s *session) why(info *resource.Info) string {
	var reasons []string
	selector := "metadata.name=" + info.Name
	options := metav1.ListOptions{FieldSelector: selector}
	switch info.Mapping.GroupVersionKind.Kind {
	case "Job":
		job, err := s.kubernetes.BatchV1().Jobs(info.Namespace).Get(s.ctx, info.Name, metav1.GetOptions{})
		if err != nil {
			return ""
		}
		for _, condition := range job.Status.Conditions {
			if condition.Type == batchv1.JobFailed && condition.Status == corev1.ConditionTrue {
				reasons = append(reasons, sentence(condition.Reason, condition.Message))
			}
		}
		options = metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + info.Name}
	case "Pod":
	default:
		return ""
	}
	if len(reasons) == 0 {
		reasons = append(reasons, fmt.Sprintf("it has not ended after %s", s.Timeout))
	}
	pods, err := s.kubernetes.CoreV1().Pods(info.Namespace).List(s.ctx, options)
	if err == nil {
		for _, pod := range pods.Items {
			if reason := podTrouble(&pod); reason != "" {
				return strings.Join(append(reasons, reason), "; ")
			}
		}
	}
	return strings.Join(reasons, "; ")
}

// podTrouble says what keeps a Pod from succeeding. The Pods of a Job have generated names, so it does not name it.
func podTrouble(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return sentence(condition.Reason, condition.Message)
		}
	}
	for _, status := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		waiting, ended := status.State.Waiting, cmp.Or(status.State.Terminated, status.LastTerminationState.Terminated)
		switch {
		case ended != nil && ended.ExitCode != 0:
			return fmt.Sprintf("container %s ended with exit code %d, %s", status.Name, ended.ExitCode, sentence(ended.Reason, ended.Message))
		case waiting != nil && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing":
			return fmt.Sprintf("container %s does not start, %s", status.Name, sentence(waiting.Reason, waiting.Message))
		}
	}
	return ""
}

func sentence(reason, message string) string {
	if message == "" || reason == "" {
		return reason + message
	}
	return reason + ": " + strings.TrimSpace(message)
}
