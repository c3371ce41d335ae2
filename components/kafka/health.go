package kafka

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
)

const maxText = 240

// Assess implements components.Component.
func (component) Assess(observed components.Observed) components.Health {
	platform := observed.Facts.Platform
	result := health.Assess(observed, map[schema.GroupKind]health.Rule{
		Kafka.GroupKind:    assessCluster,
		NodePool.GroupKind: assessPool,
		User.GroupKind:     assessEntity,
		Topic.GroupKind:    assessTopic,
	})
	if !slices.ContainsFunc(observed.Rendered, func(r components.Rendered) bool { return r.Kind.GroupKind() == Kafka.GroupKind }) {
		result.State = components.Progressing
		result.Message = "the cluster id that the kept volumes were written with is being restored"
	}
	result.CredentialsSecret, result.CredentialsUser = adminName(platform), adminName(platform)
	result.Endpoints = []v1alpha1.Endpoint{{
		Name: "bootstrap", URL: clusterName(platform) + "-kafka-bootstrap." + platform.Namespace + ".svc:9093",
	}}
	kafka := observed.Live.Find(Kafka.GroupKind, clusterName(platform))
	if kafka == nil {
		return result
	}
	result.Endpoints[0].URL = cmp.Or(bootstrapServers(kafka, listenerInternal), result.Endpoints[0].URL)
	result.Version, _, _ = unstructured.NestedString(kafka.Object, "status", "kafkaVersion")
	if external := bootstrapServers(kafka, listenerExternal); external != "" {
		result.Endpoints = append(result.Endpoints, v1alpha1.Endpoint{Name: "external-bootstrap", URL: external})
	}
	if warnings := warnings(kafka); result.State == components.Ready && warnings != "" {
		result.Message += "; Strimzi warns: " + warnings
	}
	return result
}

// assessCluster judges the Kafka resource. Strimzi says Ready=True, or NotReady=True with a reason; never Ready=False. It
// looks every two minutes, so its status may lag behind the Pods.
func assessCluster(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
	pods = health.Labelled(map[string]string{labelCluster: object.GetName()}, pods)
	verdict := clusterVerdict(object, len(pods) > 0)
	problem, state := health.PodProblem(pods)
	switch {
	case problem == "", verdict.State == components.Ready && state != components.Degraded:
		return verdict
	case verdict.State == components.Degraded:
		problem += "; " + verdict.Message
	}
	return health.Worst(health.Verdict{State: state, Message: problem}, health.Verdict{State: verdict.State, Message: problem})
}

// clusterVerdict is what Strimzi says itself. It writes Creating when it begins, and observedGeneration only at the end, after
// some minutes; acts is whether it has made Pods.
// (KafkaAssemblyOperator.initialStatus and createOrUpdate, Strimzi 1.2)
func clusterVerdict(object *unstructured.Unstructured, acts bool) health.Verdict {
	ready, _ := health.Condition(object, "Ready")
	notReady, _ := health.Condition(object, "NotReady")
	switch {
	case object.GetAnnotations()[annotationPause] == "true":
		return health.Progress("Strimzi does not act on it while it has the annotation %s; if you set it, remove it", annotationPause)
	case notReady.Status == metav1.ConditionTrue && notReady.Reason == "Creating":
		return health.Progress("Strimzi is creating it")
	case notReady.Status == metav1.ConditionTrue:
		return failing(notReady)
	case !health.Current(object) && acts:
		return health.Progress("Strimzi has not finished with the latest change, which takes minutes when nodes are restarted one by one; " +
			"if it takes longer, see that the Strimzi operator runs")
	case !health.Current(object):
		return health.Progress("the Strimzi operator has not acted on the latest change; does it run, and watch this namespace?")
	case ready.Status == metav1.ConditionTrue:
		return health.Healthy()
	default:
		return health.Progress("its nodes are starting")
	}
}

// assessPool judges a KafkaNodePool, which has no Ready condition: its nodes are ready when as many Pods are, all of them
// made from what the pool says now.
func assessPool(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
	wanted, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
	ids, _, _ := unstructured.NestedSlice(object.Object, "status", "nodeIds")
	switch nodes := int64(len(ids)); {
	case nodes > wanted && health.Current(object):
		return health.Progress("has %d nodes instead of %d: Strimzi takes away none that holds partitions; move them to other "+
			"brokers (a KafkaRebalance, or kafka-reassign-partitions.sh), or set %s.replicas back to %d", nodes, wanted, field, nodes)
	case !health.Current(object):
		return health.Progress("the Strimzi operator has not acted on the latest change")
	case nodes < wanted:
		return health.Progress("%d of %d nodes", nodes, wanted)
	}
	current, _, _ := unstructured.NestedString(object.Object, "spec", "template", "pod", "metadata", "annotations", annotationDigest)
	var ready, old int64
	forms := map[string]bool{}
	for _, pod := range health.Labelled(map[string]string{labelCluster: object.GetLabels()[labelCluster], labelPool: object.GetName()}, pods) {
		forms[form(pod)] = true
		switch {
		case pod.DeletionTimestamp != nil || !health.Serves(pod):
		case pod.Annotations[annotationDigest] != current:
			old++
		default:
			ready++
		}
	}
	switch {
	case ready >= wanted && len(forms) > 1:
		return health.Progress("Strimzi is replacing its Pods one by one: they differ in their certificates or version")
	case ready >= wanted:
		return health.Healthy()
	case old > 0:
		return health.Progress("%d of %d Pods are ready with the latest change, Strimzi is about to replace %d", ready, wanted, old)
	default:
		return health.Progress("%d of %d Pods are ready", ready, wanted)
	}
}

// form is what makes Strimzi replace all Pods of a cluster on its own when it changes: renewed authorities, another version of Kafka or
// of its image. It leaves Ready in the status of the Kafka until it has replaced the last.
// (KafkaReconciler.podSetPodAnnotations, ReconcilerUtils.reasonsToRestartPod, Strimzi 1.2)
func form(pod *corev1.Pod) string {
	var parts []string
	for _, annotation := range []string{"cluster-ca-cert-generation", "cluster-ca-key-generation", "clients-ca-cert-generation", "kafka-version"} {
		parts = append(parts, pod.Annotations["strimzi.io/"+annotation])
	}
	for _, container := range pod.Spec.Containers {
		if container.Name == "kafka" {
			parts = append(parts, container.Image)
		}
	}
	return strings.Join(parts, " ")
}

// assessTopic adds what to do about a change that Strimzi does not support.
func assessTopic(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
	verdict := assessEntity(object, pods)
	if ready, _ := health.Condition(object, "Ready"); ready.Status == metav1.ConditionFalse && ready.Reason == "NotSupported" {
		verdict.Message = "set its partitions and replicas back to what the topic has, or change the topic itself first " +
			"(kafka-reassign-partitions.sh): " + verdict.Message
	}
	return verdict
}

// assessEntity judges what the entity operator makes: a KafkaUser fails with NotReady=True, a KafkaTopic with Ready=False.
func assessEntity(object *unstructured.Unstructured, _ []*corev1.Pod) health.Verdict {
	ready, _ := health.Condition(object, "Ready")
	notReady, _ := health.Condition(object, "NotReady")
	switch {
	case notReady.Status == metav1.ConditionTrue:
		return failing(notReady)
	case ready.Status == metav1.ConditionFalse:
		return failing(ready)
	case !health.Current(object) || ready.Status != metav1.ConditionTrue:
		return health.Progress("the entity operator, which starts after the brokers, has not acted on it")
	default:
		return health.Healthy()
	}
}

func bootstrapServers(kafka *unstructured.Unstructured, name string) string {
	listeners, _, _ := unstructured.NestedSlice(kafka.Object, "status", "listeners")
	for _, entry := range listeners {
		if listener, ok := entry.(map[string]any); ok && listener["name"] == name {
			servers, _ := listener["bootstrapServers"].(string)
			return servers
		}
	}
	return ""
}

// warnings are what Strimzi finds doubtful about a cluster that works.
func warnings(kafka *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(kafka.Object, "status", "conditions")
	var texts []string
	for _, entry := range conditions {
		condition, ok := entry.(map[string]any)
		if !ok || condition["type"] != "Warning" || condition["status"] != "True" {
			continue
		}
		reason, _ := condition["reason"].(string)
		message, _ := condition["message"].(string)
		texts = append(texts, explain(metav1.Condition{Reason: reason, Message: message}))
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts[:min(len(texts), 2)]), "; ")
}

func failing(condition metav1.Condition) health.Verdict {
	return health.Failing("Strimzi reports %s; the log of the Strimzi operator says more", explain(condition))
}

func explain(condition metav1.Condition) string {
	text := cmp.Or(condition.Reason, "a failure")
	if condition.Message != "" {
		text += ": " + condition.Message
	}
	return health.Shorten(changing.ReplaceAllString(text, "…"), maxText)
}

// changing is what differs between two reports of the same problem: times, Java object ids, UIDs.
var changing = regexp.MustCompile(`\d{4}-\d{2}-\d{2}T[0-9:.]+Z?` +
	`|@[0-9a-f]{5,16}\b` +
	`|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
