package kafka

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

func liveKafka(id string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "kafka.strimzi.io/v1", "kind": "Kafka",
		"metadata": map[string]any{"name": "odh"},
		"status":   map[string]any{"clusterId": id},
	}}
}

func readyKafka(id string) *unstructured.Unstructured {
	kafka := liveKafka(id)
	kafka.Object["status"] = map[string]any{
		"clusterId": id, "observedGeneration": int64(0),
		"conditions": []any{map[string]any{"type": "Ready", "status": "True"}},
	}
	return kafka
}

func livePool(name string, replicas int64, size string, ids ...any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaNodePool",
		"metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"replicas": replicas,
			"storage":  map[string]any{"volumes": []any{map[string]any{"size": size}}},
		},
		"status": map[string]any{"nodeIds": ids},
	}}
}

func withID(object *unstructured.Unstructured, id string) *unstructured.Unstructured {
	if err := unstructured.SetNestedField(object.Object, id, "status", "clusterId"); err != nil {
		panic(err)
	}
	return object
}

// recorded is the ConfigMap of a record, as the cluster holds it.
func recorded(r record) components.Objects {
	if r == nil {
		return nil
	}
	data := map[string]any{}
	for key, value := range r {
		data[key] = value
	}
	return components.Objects{{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "odh-kafka-record"}, "data": data,
	}}}
}

func TestWhatIsRememberedOfACluster(t *testing.T) {
	development := v1alpha1.OpenDataHubSpec{
		Profile:    v1alpha1.ProfileDevelopment,
		Components: v1alpha1.ComponentsSpec{Kafka: &v1alpha1.KafkaSpec{}},
	}
	standard := *development.DeepCopy()
	standard.Profile = v1alpha1.ProfileStandard
	tests := map[string]struct {
		spec   v1alpha1.OpenDataHubSpec
		record record
		live   components.Objects
		want   record
	}{
		"a cluster without an id yet": {
			spec: development,
			live: components.Objects{liveKafka(""), livePool(combinedPool, 1, "5Gi")},
		},
		"dedicated controllers": {
			spec: standard,
			live: components.Objects{liveKafka("id"), livePool(brokerPool, 3, "50Gi"), livePool(controllerPool, 3, "10Gi")},
			want: record{
				"clusterId": "id", "controllerType": "Dedicated",
				"brokers": "3", "brokerStorage": "50Gi", "controllers": "3", "controllerStorage": "10Gi",
			},
		},
		"combined nodes": {
			spec: development,
			live: components.Objects{liveKafka("id"), livePool(combinedPool, 1, "5Gi")},
			want: record{
				"clusterId": "id", "controllerType": "Combined",
				"brokers": "1", "brokerStorage": "5Gi", "controllers": "1",
			},
		},
		"what somebody else made of the pools is not remembered": {
			spec: standard,
			live: components.Objects{liveKafka("id"), livePool(brokerPool, 7, "90Gi"), livePool(controllerPool, 5, "90Gi")},
			want: record{
				"clusterId": "id", "controllerType": "Dedicated",
				"brokers": "3", "brokerStorage": "50Gi", "controllers": "3", "controllerStorage": "10Gi",
			},
		},
		"brokers that Strimzi did not take away": {
			spec: standard,
			live: components.Objects{liveKafka("id"), livePool(brokerPool, 3, "50Gi", int64(0), int64(1), int64(2), int64(3)), livePool(controllerPool, 3, "10Gi")},
			want: record{
				"clusterId": "id", "controllerType": "Dedicated",
				"brokers": "4", "brokerStorage": "50Gi", "controllers": "3", "controllerStorage": "10Gi",
			},
		},
		"a new id that does not work yet does not replace that of kept volumes": {
			spec:   development,
			record: record{"clusterId": "kept"},
			live:   components.Objects{liveKafka("id"), livePool(combinedPool, 1, "5Gi")},
			want:   record{"clusterId": "kept"},
		},
		"the id that only the pools have, as before the first broker answered": {
			spec: development,
			live: components.Objects{liveKafka(""), withID(livePool(combinedPool, 1, "5Gi"), "id")},
			want: record{
				"clusterId": "id", "controllerType": "Combined",
				"brokers": "1", "brokerStorage": "5Gi", "controllers": "1",
			},
		},
		"the id of a cluster that works replaces a corrupted record": {
			spec:   development,
			record: record{"clusterId": "corrupted"},
			live:   components.Objects{readyKafka("id"), livePool(combinedPool, 1, "5Gi")},
			want: record{
				"clusterId": "id", "controllerType": "Combined",
				"brokers": "1", "brokerStorage": "5Gi", "controllers": "1",
			},
		},
		"nothing is forgotten while pools are gone": {
			spec:   development,
			record: record{"clusterId": "id"},
			live:   components.Objects{liveKafka("id")},
			want:   record{"clusterId": "id"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			facts := components.Facts{Platform: components.Platform{Name: "odh"}, Spec: test.spec, Live: append(test.live, recorded(test.record)...)}
			l, err := newLayout(*test.spec.Components.Kafka, sizesOf(test.spec.Profile))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, newRecord(facts, l)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	facts := components.Facts{
		Platform: components.Platform{Name: "odh"},
		Spec: v1alpha1.OpenDataHubSpec{Profile: v1alpha1.ProfileStandard, Components: v1alpha1.ComponentsSpec{Kafka: &v1alpha1.KafkaSpec{
			Replicas: 4, Controllers: v1alpha1.KafkaControllers{Replicas: 5},
		}}},
	}
	live := components.Objects{liveKafka("id"), livePool(brokerPool, 4, "50Gi"), livePool(controllerPool, 5, "10Gi")}
	facts.Live = live
	l, err := newLayout(*facts.Spec.Components.Kafka, sizesOf(facts.Spec.Profile))
	if err != nil {
		t.Fatal(err)
	}
	facts.Live = recorded(newRecord(facts, l))
	want := liveLayout(live)
	want.kept = true
	if diff := cmp.Diff(want, previousLayout(facts), cmp.AllowUnexported(layout{}), cmp.Comparer(resource.Quantity.Equal)); diff != "" {
		t.Error(diff)
	}
}

// TestARemovalRecordsWhatStrimziDid: with the block gone, or with one that is refused.
func TestARemovalRecordsWhatStrimziDid(t *testing.T) {
	want := record{"clusterId": "id", "controllerType": "Combined", "brokers": "3", "brokerStorage": "50Gi", "controllers": "3"}
	pool := func(id string) components.Objects {
		return components.Objects{liveKafka(""), withID(livePool(combinedPool, 3, "50Gi"), id)}
	}
	tests := map[string]struct {
		spec *v1alpha1.KafkaSpec
		live components.Objects
		want record
	}{
		"the id came while nobody looked": {live: pool("id"), want: want},
		"the spec is refused":             {spec: &v1alpha1.KafkaSpec{Replicas: 1}, live: pool("id"), want: want},
		"there is no id":                  {live: pool("")},
		"nothing is left but the record":  {live: recorded(want), want: want},
		"nothing is left":                 {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}, Live: test.live}
			facts.Spec.Components.Kafka = test.spec
			var got record
			for _, object := range (component{}).Record(facts) {
				got = object.ApplyConfiguration.(*coreapply.ConfigMapApplyConfiguration).Data
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestACorruptedRecordRefusesNothing(t *testing.T) {
	facts := components.Facts{
		Platform: components.Platform{Name: "odh", Namespace: "data"},
		Spec:     v1alpha1.OpenDataHubSpec{Components: v1alpha1.ComponentsSpec{Kafka: &v1alpha1.KafkaSpec{}}},
		Live:     recorded(record{"clusterId": "id", "controllerType": "Dedicated", "controllers": "three", "brokerStorage": "much"}),
	}
	if _, err := newInputs(facts); err != nil {
		t.Error(err)
	}
}

func TestNamesOfTopicsFitObjectsAndStayApart(t *testing.T) {
	platform := components.Platform{Name: "odh"}
	seen := map[string]string{}
	for _, topic := range []string{"events", "a.b", "a-b", "a_b", "A-b", "a..b", "a.-b", "a-b-", "Ab", "AB", "0"} {
		name := topicObjectName(platform, topic)
		if other, ok := seen[name]; ok {
			t.Errorf("topics %s and %s are both called %s", other, topic, name)
		}
		seen[name] = topic
		if !subdomain.MatchString(name) {
			t.Errorf("topic %s: %s is no name for an object", topic, name)
		}
	}
	if got := topicObjectName(platform, "events"); got != "odh-kafka-events" {
		t.Errorf("got %s", got)
	}
}

// The longest names that Strimzi makes of ours are label values too.
func TestPodNamesFitLabels(t *testing.T) {
	for _, pool := range []string{brokerPool, controllerPool, combinedPool} {
		if name := clusterName(components.Platform{Name: "a23456789012345678901234567890"}) + "-" + pool + "-199"; len(name) > 63 {
			t.Errorf("%s has %d characters", name, len(name))
		}
	}
}
