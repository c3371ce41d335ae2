package health

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/components"
)

// trouble is something wrong with a Pod. The lower the rank, the more a person must act.
type trouble struct {
	rank int
	text string
}

const (
	rankContainer = iota
	rankUnschedulable
	rankNotReady
	rankFinished
)

// PodProblem explains what keeps Pods of one workload from being ready: the worst problem, worded without generated names,
// so that the same problem gives the same text whichever Pod has it. Pods whose names are stable, such as those of a
// StatefulSet, are named. The text is empty when nothing is known to be wrong; the state is then Progressing if a Pod is
// still on its way and Ready otherwise.
//
// Pods that are being deleted or are finished do not count; why one failed is told, but makes nothing worse than
// Progressing: a workload that needs the Pod replaces it, and says itself that it lacks one. Conditions alone are read, never
// the clock.
func PodProblem(pods []*corev1.Pod) (string, components.State) {
	var troubles []trouble
	state := components.Ready
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || Serves(pod) {
			continue
		}
		if pod.Status.Phase != corev1.PodFailed {
			state = components.Progressing
		}
		for _, t := range inspect(pod) {
			if stableName(pod) {
				t.text = "Pod " + pod.Name + ": " + t.text
			}
			troubles = append(troubles, t)
		}
	}
	if len(troubles) == 0 {
		return "", state
	}
	worst := slices.MinFunc(troubles, func(a, b trouble) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.text, b.text))
	})
	if worst.rank >= rankNotReady {
		return worst.text, components.Progressing
	}
	return worst.text, components.Degraded
}

// Finished reports whether a Pod has ended for good: nothing of it runs, and nothing of it will.
func Finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func inspect(pod *corev1.Pod) []trouble {
	if pod.Status.Phase == corev1.PodFailed {
		text := cmp.Or(pod.Status.Reason, "failed")
		if pod.Status.Message != "" {
			text += ": " + Shorten(scrub(pod.Status.Message, pod), 200)
		}
		return []trouble{{rankFinished, text}}
	}
	if text := unschedulable(pod); text != "" {
		return []trouble{{rankUnschedulable, text}}
	}
	var troubles []trouble
	for i := range pod.Status.InitContainerStatuses {
		troubles = append(troubles, container(pod, &pod.Status.InitContainerStatuses[i], "init container")...)
	}
	for i := range pod.Status.ContainerStatuses {
		troubles = append(troubles, container(pod, &pod.Status.ContainerStatuses[i], "container")...)
	}
	return troubles
}

func unschedulable(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type != corev1.PodScheduled || condition.Status != corev1.ConditionFalse ||
			condition.Reason != corev1.PodReasonUnschedulable {
			continue
		}
		// What follows about preemption repeats the same, and before it the scheduler says what it did not do with claims of devices.
		message, _, _ := strings.Cut(condition.Message, " preemption:")
		message, _, _ = strings.Cut(message, " no new claims to deallocate")
		message = strings.TrimSuffix(strings.TrimSpace(message), ".")
		switch {
		case strings.Contains(message, "unbound immediate PersistentVolumeClaims"):
			return "unschedulable: no PersistentVolume is bound to its claim; does its StorageClass exist, or the cluster have a " +
				"default one?"
		case strings.Contains(message, "Insufficient "):
			return "unschedulable: " + Shorten(message, 200) + "; add nodes or lower the requests"
		case strings.Contains(message, "untolerated taint"), strings.Contains(message, "node affinity/selector"):
			return "unschedulable: " + Shorten(scrub(message, pod), 200) + "; label a node or take its taint away, or change the placement in the spec"
		default:
			return "unschedulable: " + Shorten(scrub(message, pod), 220)
		}
	}
	return ""
}

func container(pod *corev1.Pod, status *corev1.ContainerStatus, noun string) []trouble {
	subject := noun + " " + status.Name
	if waiting := status.State.Waiting; waiting != nil {
		message := Shorten(scrub(waiting.Message, pod), 200)
		switch waiting.Reason {
		case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError",
			"InvalidImageName", "SignatureValidationFailed":
			return []trouble{{rankContainer, imageProblem(status.Image, waiting)}}
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreStartHookError", "PostStartHookError":
			return []trouble{{rankContainer, fmt.Sprintf("%s cannot start: %s", subject, cmp.Or(message, waiting.Reason))}}
		}
	}
	if text := crash(pod, status, subject); text != "" {
		return []trouble{{rankContainer, text}}
	}
	// Before the init containers are done the others wait, which says nothing.
	if status.State.Running != nil && !status.Ready && noun == "container" {
		return []trouble{{rankNotReady, subject + " runs but is not ready: its probe fails so far"}}
	}
	return nil
}

// crash tells containers that end again and again from those that ended once. Between two attempts such a container
// runs for a while, and must not look healthy then.
func crash(pod *corev1.Pod, status *corev1.ContainerStatus, subject string) string {
	last := status.LastTerminationState.Terminated
	if status.State.Terminated != nil {
		last = status.State.Terminated
	}
	looping := status.State.Waiting != nil && status.State.Waiting.Reason == "CrashLoopBackOff"
	again := last != nil && !status.Ready && status.RestartCount >= 2 && (last.ExitCode != 0 || status.State.Running == nil)
	finished := status.State.Terminated != nil && last.ExitCode == 0 && strings.HasPrefix(subject, "init")
	if !looping && !again || finished {
		return ""
	}
	if last != nil && last.Reason == "OOMKilled" {
		return fmt.Sprintf("%s runs out of memory%s; raise its memory limit", subject, memoryLimit(pod, status.Name))
	}
	text := subject + " keeps crashing"
	if last != nil {
		text += fmt.Sprintf(": exit code %d", last.ExitCode)
		if message := cause(last.Message); message != "" {
			text += fmt.Sprintf(", %q", Shorten(scrub(message, pod), 120))
		}
	}
	return text + fmt.Sprintf(", see: kubectl logs -n %s %s -c %s --previous", pod.Namespace, logsOf(pod), status.Name)
}

func memoryLimit(pod *corev1.Pod, name string) string {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok && c.Name == name {
			return " (limit " + limit.String() + ")"
		}
	}
	return ""
}

// imageProblem words the few causes that cover nearly all failures: what registries and runtimes write holds addresses
// and ids that differ between attempts.
func imageProblem(image string, waiting *corev1.ContainerStateWaiting) string {
	text := "cannot pull image " + image
	message := strings.ToLower(waiting.Message)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(message, word) })
	}
	switch {
	case waiting.Reason == "InvalidImageName":
		return text + ": this is not a valid image name"
	case waiting.Reason == "ErrImageNeverPull":
		return text + ": its pull policy is Never and the node does not have it"
	case has("toomanyrequests", "rate limit"):
		return text + ": the registry limits how often it may be pulled; use credentials or a mirror"
	case has("unauthorized", "denied", "authentication required", "forbidden", "no basic auth credentials"):
		return text + ": the registry refuses access; it may not exist, or the cluster lacks a pull secret for it"
	case has("no such host", "dial tcp", "i/o timeout", "connection refused", "deadline exceeded", "tls handshake", "eof"):
		return text + ": the registry cannot be reached from the node"
	case has("x509", "certificate"):
		return text + ": the node does not trust the registry's certificate"
	case has("not found", "manifest unknown", "does not exist"):
		return text + ": the registry does not have it"
	case has("no match for platform", "no matching manifest"):
		return text + ": it does not exist for the node's architecture"
	}
	// "Back-off pulling image ..." alternates with the error itself, and on old kubelets hides it.
	_, cause, found := strings.Cut(waiting.Message, "ErrImagePull: ")
	if !found && !strings.HasPrefix(waiting.Message, "Back-off") {
		cause = waiting.Message
	}
	if cause == "" {
		return text
	}
	return text + ": " + Shorten(scrub(cause, nil), 160)
}

// Serves reports whether a Pod is ready.
func Serves(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// stableName reports whether a Pod that replaces this one has the same name. Those of a StatefulSet do, although they
// have a generateName.
func stableName(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return pod.GenerateName == "" && (owner == nil || owner.Kind != "ReplicaSet") ||
		owner != nil && owner.Kind == "StatefulSet"
}

// logsOf is what kubectl logs takes: the Deployment where the Pod's own name would not live long.
func logsOf(pod *corev1.Pod) string {
	if stableName(pod) {
		return pod.Name
	}
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind == "ReplicaSet" {
		if name, ok := strings.CutSuffix(owner.Name, "-"+pod.Labels["pod-template-hash"]); ok {
			return "deployment/" + name
		}
	}
	var selector []string
	for _, key := range []string{components.LabelPlatform, components.LabelComponent, "app.kubernetes.io/component"} {
		if value := pod.Labels[key]; value != "" {
			selector = append(selector, key+"="+value)
		}
	}
	return "-l " + strings.Join(selector, ",")
}

var (
	timestamp = regexp.MustCompile(
		`\[?\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}:\d{2}([.,]\d+)?(Z| ?[+-]\d{2}:?\d{2})?\]?|\b[IWEF]\d{4} \d{2}:\d{2}:\d{2}\.\d+\b`)
	podOfMessage = regexp.MustCompile(` ?\(pod: "[^"]*", container: [^)]*\)`)
	longHex      = regexp.MustCompile(`(sha256:)?\b[0-9a-f]{12,}\b`)
	sourcePort   = regexp.MustCompile(`(\d+\.\d+\.\d+\.\d+):\d+->`)
)

// scrub takes out what differs between two reports of the same problem.
func scrub(text string, pod *corev1.Pod) string {
	text = podOfMessage.ReplaceAllString(text, "")
	text = timestamp.ReplaceAllString(text, "")
	text = sourcePort.ReplaceAllString(text, "$1->")
	if pod != nil {
		if pod.UID != "" {
			text = strings.ReplaceAll(text, string(pod.UID), "")
		}
		if !stableName(pod) && pod.Name != "" {
			text = strings.ReplaceAll(text, pod.Name, "the Pod")
		}
	}
	text = longHex.ReplaceAllStringFunc(text, func(id string) string {
		if strings.HasPrefix(id, "sha256:") {
			return id
		}
		return "…"
	})
	return strings.Join(strings.Fields(text), " ")
}

// cause is the line of a container's termination message that says why it ended: the last one that is not part of a
// stack trace. The message is what the container wrote to its termination log, or the end of its log.
func cause(words string) string {
	lines := strings.Split(strings.TrimSpace(words), "\n")
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); line != "" && !stackFrame.MatchString(line) {
			return line
		}
	}
	return ""
}

// stackFrame are the lines below the error in what Java, Go and Node.js write. Python writes the error last.
var stackFrame = regexp.MustCompile(`^(at |\.\.\. \d+ more|goroutine \d+ \[|created by |exit status \d+$|\S+\.go:\d+( |$)|[\w./*()-]+\([^()]*\)$|[})\]]+;?$|Node\.js v\d)`)
