package apply_test

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
)

const installer = "opendatahub-installer"

// setting is a ConfigMap of no platform. It has a component's label, because Children of tests holds nothing else.
func setting(t *testing.T) apply.Prepared {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"a": "1"}}}
	object.SetGroupVersionKind(kinds.ConfigMap.GVK())
	object.SetNamespace("operators")
	object.SetName("settings")
	object.SetLabels(map[string]string{components.LabelComponent: "strimzi"})
	prepared, err := apply.PrepareObject(object)
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}

func TestAnotherManagerAppliesAndDeletesItsObjects(t *testing.T) {
	s := newSite(t)
	want := setting(t)
	for _, writes := range []int{1, 0} {
		changes, err := s.applier.Apply(t.Context(), installer, []apply.Prepared{want})
		if err != nil || len(changes) != writes {
			t.Fatalf("%v, %v; want %d changes", changes, err, writes)
		}
	}
	live, err := s.applier.Children.Get(t.Context(), kinds.ConfigMap.GVK(), types.NamespacedName{Namespace: "operators", Name: "settings"})
	if err != nil || live == nil {
		t.Fatal(live, err)
	}
	if changes, err := s.applier.Delete(t.Context(), manager, live); err != nil || len(changes) > 0 {
		t.Errorf("a manager that never wrote it: %v, %v", changes, err)
	}
	if changes, err := s.applier.Delete(t.Context(), installer, live); err != nil || len(changes) != 1 {
		t.Errorf("the manager that wrote it: %v, %v", changes, err)
	}
}

func TestClaimDecidesAboutWhatExists(t *testing.T) {
	refused := errors.New("it is somebody else's")
	for name, claim := range map[string]error{"taken over": nil, "refused": refused} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			existing := setting(t).Object.DeepCopy()
			existing.SetLabels(nil)
			if err := s.cluster.Create(t.Context(), existing, client.FieldOwner("somebody")); err != nil {
				t.Fatal(err)
			}
			s.applier.Claim = func(string, apply.Prepared, *unstructured.Unstructured) error { return claim }
			changes, err := s.applier.Apply(t.Context(), installer, []apply.Prepared{setting(t)})
			if !errors.Is(err, claim) || (claim == nil) != (len(changes) == 1) {
				t.Errorf("%v, %v", changes, err)
			}
		})
	}
}

func TestPrepareObjectRefusesWhatHasNoName(t *testing.T) {
	object := setting(t).Object
	object.SetName("")
	if _, err := apply.PrepareObject(object); err == nil {
		t.Error("an object without a name was prepared")
	}
}
