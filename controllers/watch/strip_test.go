package watch_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/controllers/watch"
)

func secretObject(value string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret",
		"metadata": map[string]any{"namespace": "lab", "name": "login"},
		"data":     map[string]any{"password": value, "empty": ""},
	}}
}

func strip(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	stripped, err := watch.StripChild(object)
	if err != nil {
		t.Fatal(err)
	}
	return stripped
}

func TestStripChildKeepsNoSecretValue(t *testing.T) {
	original := secretObject("aHVudGVyMg==")
	stripped := strip(t, original)
	for round := range 2 { // the cache may transform an object twice
		text, err := json.Marshal(stripped)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "aHVudGVyMg") {
			t.Errorf("after round %d the value is still there: %s", round+1, text)
		}
		again := strip(t, stripped)
		if diff := cmp.Diff(stripped.Object, again.Object); diff != "" {
			t.Errorf("stripping twice is not stripping once:\n%s", diff)
		}
		stripped = again
	}
	if value, _, _ := unstructured.NestedString(original.Object, "data", "password"); value != "aHVudGVyMg==" {
		t.Error("the answer to a write was changed while it may be in use")
	}

	digest := func(object *unstructured.Unstructured) string {
		values, _, _ := unstructured.NestedStringMap(strip(t, object).Object, "data")
		return watch.SecretOf(values).Digest
	}
	if digest(secretObject("a")) == digest(secretObject("b")) {
		t.Error("a changed value does not change the digest")
	}
	if first, again := digest(secretObject("a")), digest(secretObject("a")); first != again {
		t.Error("equal values have different digests")
	}
	if got := len(digest(secretObject("a"))); got > 5 {
		t.Errorf("the digest has %d digits, enough to confirm a guessed value", got)
	}
}

func TestStripChildKeepsOurManagedFieldsOnly(t *testing.T) {
	object := secretObject("a")
	object.SetManagedFields([]metav1.ManagedFieldsEntry{
		{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(`{"f:data":{}}`)},
		{Manager: "opendatahub-kafka", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(`{"f:data":{}}`)},
	})
	stripped := strip(t, object)
	entries, _, _ := unstructured.NestedSlice(stripped.Object, "metadata", "managedFields")
	if len(entries) != 1 || entries[0].(map[string]any)["manager"] != "opendatahub-kafka" {
		t.Fatalf("managers = %v", entries)
	}
	if fields, err := watch.FieldSet(entries[0].(map[string]any)); err != nil || fields != `{"f:data":{}}` {
		t.Errorf("field set = %s, %v", fields, err)
	}
	if diff := cmp.Diff(stripped.Object, strip(t, stripped).Object); diff != "" {
		t.Errorf("stripping twice is not stripping once:\n%s", diff)
	}
	if len(object.GetManagedFields()) != 2 {
		t.Error("the answer to a write was changed while it may be in use")
	}
}

func TestStripChildLeavesOtherKinds(t *testing.T) {
	object := secretObject("aHVudGVyMg==")
	object.SetAPIVersion("example.com/v1") // some operator's own kind of that name
	if diff := cmp.Diff(object.Object, strip(t, object).Object); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
}

func TestStripPodKeepsWhatSaysWhyItFails(t *testing.T) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"l": "v"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}},
		Spec: corev1.PodSpec{
			NodeName:   "node-1",
			Containers: []corev1.Container{{Name: "hub", Image: "hub:1", Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "hunter2"}}}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	stripped, err := watch.StripPod(pod)
	if err != nil {
		t.Fatal(err)
	}
	want := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"l": "v"}},
		Spec: corev1.PodSpec{
			NodeName: "node-1", Containers: []corev1.Container{{Name: "hub", Image: "hub:1"}}, InitContainers: []corev1.Container{},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	if diff := cmp.Diff(want, stripped); diff != "" {
		t.Errorf("stripped (-want +got):\n%s", diff)
	}
}

func TestStripOpenDataHubNoticesAnnotationsAndKeepsNone(t *testing.T) {
	strip := func(annotations map[string]string) *v1alpha1.OpenDataHub {
		t.Helper()
		odh := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Annotations: annotations, ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(`{}`)}, {Manager: "opendatahub-author", FieldsV1: metav1.NewFieldsV1(`{}`)},
			{Manager: "kubectl", Subresource: "status", FieldsV1: metav1.NewFieldsV1(`{}`)},
			{Manager: "opendatahub-kafka", Subresource: "status", FieldsV1: metav1.NewFieldsV1(`{}`)},
		}}}
		for range 2 { // the cache may transform an object twice
			if _, err := watch.StripOpenDataHub(odh); err != nil {
				t.Fatal(err)
			}
		}
		if len(odh.ManagedFields) != 1 || odh.ManagedFields[0].Manager != "opendatahub-kafka" {
			t.Errorf("managers = %v", odh.ManagedFields)
		}
		return odh
	}
	large := strip(map[string]string{"retry": "1", "note": strings.Repeat("x", 1<<18)})
	size := 0
	for key, value := range large.Annotations {
		size += len(key) + len(value)
	}
	if size == 0 || size > 200 {
		t.Errorf("annotations take %d bytes", size)
	}
	if cmp.Equal(strip(map[string]string{"retry": "1"}).Annotations, strip(map[string]string{"retry": "2"}).Annotations) {
		t.Error("a changed annotation is not noticed")
	}
	if got := strip(nil).Annotations; len(got) > 0 {
		t.Errorf("annotations = %v where there are none", got)
	}
}
