package health

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// kafkaKind stands for a kind that only its component can judge.
var kafkaKind = kinds.Kind{GroupKind: schema.GroupKind{Group: "kafka.strimzi.io", Kind: "Kafka"}, Versions: []string{"v1"}, Plural: "kafkas", Provider: "Strimzi"}

func TestAssess(t *testing.T) {
	const healthyHub = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: odh-hub, namespace: lab, generation: 2}
spec: {replicas: 1, selector: {matchLabels: {app: hub}}}
status: {observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1}
`
	hub := rendered(kinds.Deployment, "lab", "odh-hub")
	kafka := rendered(kafkaKind, "lab", "odh-kafka")
	tests := map[string]struct {
		rendered    []components.Rendered
		live        string
		pods        string
		rules       map[schema.GroupKind]Rule
		wantState   components.State
		wantMessage string
	}{
		"no objects at all are in place": {
			wantState:   components.Ready,
			wantMessage: "0 objects in place",
		},
		"objects that only exist are counted when there is no workload": {
			rendered:    []components.Rendered{rendered(kinds.Service, "lab", "odh-hub")},
			live:        `{apiVersion: v1, kind: Service, metadata: {name: odh-hub, namespace: lab}}`,
			wantState:   components.Ready,
			wantMessage: "1 object in place",
		},
		"workloads are counted by kind, others left out": {
			rendered: []components.Rendered{rendered(kinds.Service, "lab", "odh-hub"), kafka, hub},
			live: healthyHub + `---
{apiVersion: v1, kind: Service, metadata: {name: odh-hub, namespace: lab}}
---
{apiVersion: kafka.strimzi.io/v1, kind: Kafka, metadata: {name: odh-kafka, namespace: lab}}
`,
			rules:       map[schema.GroupKind]Rule{kafkaKind.GroupKind: Exists},
			wantState:   components.Ready,
			wantMessage: "1 Kafka and 1 Deployment ready",
		},
		"an object that is not live is on its way": {
			rendered:    []components.Rendered{hub},
			wantState:   components.Progressing,
			wantMessage: "Deployment odh-hub: not there yet",
		},
		"an object of that name in another namespace does not count": {
			rendered:    []components.Rendered{hub},
			live:        strings.Replace(healthyHub, "namespace: lab", "namespace: other", 1),
			wantState:   components.Progressing,
			wantMessage: "Deployment odh-hub: not there yet",
		},
		"an object of that name and another kind does not count": {
			rendered:    []components.Rendered{hub},
			live:        `{apiVersion: v1, kind: Service, metadata: {name: odh-hub, namespace: lab}}`,
			wantState:   components.Progressing,
			wantMessage: "Deployment odh-hub: not there yet",
		},
		"an object outside the platform's namespace is named with its own": {
			rendered:    []components.Rendered{rendered(kinds.ConfigMap, "elsewhere", "odh")},
			wantState:   components.Progressing,
			wantMessage: "ConfigMap elsewhere/odh: not there yet",
		},
		"an object that is being deleted is not healthy, and says what it waits for": {
			rendered: []components.Rendered{hub},
			live: strings.Replace(healthyHub, "generation: 2",
				`generation: 2, deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: [foregroundDeletion]`, 1),
			wantState:   components.Progressing,
			wantMessage: "Deployment odh-hub: being deleted, which waits for foregroundDeletion; it is recreated after that",
		},
		"a third-party kind without a rule is never ready": {
			rendered:    []components.Rendered{kafka},
			live:        `{apiVersion: kafka.strimzi.io/v1, kind: Kafka, metadata: {name: odh-kafka, namespace: lab}}`,
			wantState:   components.Progressing,
			wantMessage: "Kafka odh-kafka: nothing is known about the state of this kind",
		},
		"the served version does not matter": {
			rendered:    []components.Rendered{kafka},
			live:        `{apiVersion: kafka.strimzi.io/v1beta2, kind: Kafka, metadata: {name: odh-kafka, namespace: lab}}`,
			rules:       map[schema.GroupKind]Rule{kafkaKind.GroupKind: Exists},
			wantState:   components.Ready,
			wantMessage: "1 Kafka ready",
		},
		"a component's rule comes before the built-in one": {
			rendered: []components.Rendered{hub},
			live:     healthyHub,
			rules: map[schema.GroupKind]Rule{kinds.Deployment.GroupKind: func(*unstructured.Unstructured, []*corev1.Pod) Verdict {
				return Failing("does not please")
			}},
			wantState:   components.Degraded,
			wantMessage: "Deployment odh-hub: does not please",
		},
		"a rule that says nothing is not ready": {
			rendered: []components.Rendered{hub},
			live:     healthyHub,
			rules: map[schema.GroupKind]Rule{kinds.Deployment.GroupKind: func(*unstructured.Unstructured, []*corev1.Pod) Verdict {
				return Verdict{Message: "?"}
			}},
			wantState:   components.Progressing,
			wantMessage: "Deployment odh-hub: ?",
		},
		"the worst comes first, the rest in rendered order, three at most": {
			rendered: []components.Rendered{
				rendered(kinds.Service, "lab", "b"), rendered(kinds.Service, "lab", "a"), kafka,
				rendered(kinds.Service, "lab", "c"), rendered(kinds.Service, "lab", "d"),
			},
			live: `{apiVersion: kafka.strimzi.io/v1, kind: Kafka, metadata: {name: odh-kafka, namespace: lab}}`,
			rules: map[schema.GroupKind]Rule{kafkaKind.GroupKind: func(*unstructured.Unstructured, []*corev1.Pod) Verdict {
				return Failing("on fire")
			}},
			wantState:   components.Degraded,
			wantMessage: "Kafka odh-kafka: on fire; Service b: not there yet; Service a: not there yet; and 2 more",
		},
		"Pods of another namespace do not explain anything": {
			rendered: []components.Rendered{hub},
			live:     strings.Replace(healthyHub, "availableReplicas: 1", "availableReplicas: 0", 1),
			pods: `{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: other, labels: {app: hub}},
  status: {containerStatuses: [{name: hub, image: "hub:1", state: {waiting: {reason: InvalidImageName}}}]}}`,
			wantState:   components.Progressing,
			wantMessage: "Deployment odh-hub: 0 of 1 Pods ready",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Assess(components.Observed{
				Facts:    components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}, Live: objects(t, test.live)},
				Rendered: test.rendered,
				Pods:     pods(t, test.pods),
			}, test.rules)
			want := components.Health{State: test.wantState, Message: test.wantMessage}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Assess (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAssessBoundsTheMessage(t *testing.T) {
	var many []components.Rendered
	for i := range 20 {
		many = append(many, rendered(kinds.Service, "lab", fmt.Sprint("s", i)))
	}
	live := components.Objects{}
	for _, r := range many {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(r.Kind)
		object.SetNamespace(r.Namespace)
		object.SetName(r.Name)
		live = append(live, object)
	}
	got := Assess(components.Observed{Facts: components.Facts{Live: live}, Rendered: many}, map[schema.GroupKind]Rule{
		kinds.Service.GroupKind: func(*unstructured.Unstructured, []*corev1.Pod) Verdict {
			return Failing("%s", strings.Repeat("too much\n", 500))
		},
	})
	if length := utf8.RuneCountInString(got.Message); length > 1000 || length < 500 {
		t.Errorf("the message has %d characters, want at most 1000 and something in them", length)
	}
	if !strings.HasSuffix(got.Message, "; and 17 more") || strings.Contains(got.Message, "\n") {
		t.Errorf("the message should be one line that counts the rest: %q", got.Message)
	}
}

func TestWorst(t *testing.T) {
	progressing, degraded := Progress("slow"), Failing("broken")
	if got := Worst(progressing, degraded); got != degraded {
		t.Errorf("Worst(progressing, degraded) = %v", got)
	}
	if got := Worst(degraded, Healthy()); got != degraded {
		t.Errorf("Worst(degraded, healthy) = %v", got)
	}
	if got := Worst(progressing, Progress("later")); got != progressing {
		t.Errorf("Worst of equals = %v, want the first", got)
	}
}

func TestShorten(t *testing.T) {
	tests := map[string]struct {
		text  string
		limit int
		want  string
	}{
		"short":             {"abc", 3, "abc"},
		"long":              {"abcdef", 4, "abc…"},
		"several lines":     {"a\n  b\tc", 10, "a b c"},
		"runes, not bytes":  {"ééé", 3, "ééé"},
		"no dangling comma": {"ab, cdef", 5, "ab…"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Shorten(test.text, test.limit); got != test.want {
				t.Errorf("Shorten(%q, %d) = %q, want %q", test.text, test.limit, got, test.want)
			}
		})
	}
}

func rendered(kind kinds.Kind, namespace, name string) components.Rendered {
	return components.Rendered{Kind: kind.GVK(), Namespace: namespace, Name: name}
}

func objects(t *testing.T, documents string) components.Objects {
	t.Helper()
	var all components.Objects
	for document := range strings.SplitSeq(documents, "---\n") {
		if strings.TrimSpace(document) == "" {
			continue
		}
		raw, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(raw); err != nil {
			t.Fatal(err)
		}
		all = append(all, object)
	}
	return all
}

func pods(t *testing.T, documents string) []*corev1.Pod {
	t.Helper()
	var all []*corev1.Pod
	for _, object := range objects(t, documents) {
		pod := &corev1.Pod{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, pod, true); err != nil {
			t.Fatal(err)
		}
		all = append(all, pod)
	}
	return all
}
