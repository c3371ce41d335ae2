package status_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/controllers/status"
)

// definitionWithout has the API server refuse fields of the status, as it does with a definition that lacks them. The paths are its own.
func (d *desk) definitionWithout(paths ...string) {
	d.cluster.Fail = func(_ string, object client.Object) error {
		text, err := json.Marshal(object)
		if err != nil {
			d.Fatal(err)
		}
		var refused []string
		for _, path := range paths {
			if field := path[strings.LastIndex(path, ".")+1:]; strings.Contains(string(text), `"`+field+`":`) {
				refused = append(refused, fmt.Sprintf("  %s: field not declared in schema", path))
			}
		}
		if len(refused) == 0 {
			return nil
		}
		return apierrors.NewInternalError(errors.New("failed to create typed patch object (lab/odh; opendatahub.io/v1alpha1, Kind=OpenDataHub): errors:\n" +
			strings.Join(refused, "\n")))
	}
}

// TestAnOlderDefinition has the definition lack what a component says. What it does have is written, and the rest when it is there.
func TestAnOlderDefinition(t *testing.T) {
	d := newDesk(t)
	hub := types.NamespacedName{Namespace: "lab", Name: "odh"}
	changed := 0
	d.writer.Lacking = func(got types.NamespacedName) {
		if changed++; got != hub {
			t.Errorf("told of %s", got)
		}
	}
	report := func() status.Report {
		report := says("KafkaReady", metav1.ConditionTrue, "Available", "all brokers are ready")
		report.Component.Version, report.Component.CredentialsUser = "4.1.0", "admin"
		return report
	}
	write := func(wantWrote bool, wantWait time.Duration) {
		t.Helper()
		wrote, wait, err := d.writer.Write(t.Context(), d.odh(), kafka, report())
		if err != nil || wrote != wantWrote || wait != wantWait {
			t.Fatalf("wrote %t, waits %s, %v; want %t and %s", wrote, wait, err, wantWrote, wantWait)
		}
	}
	component := func() v1alpha1.ComponentStatus {
		t.Helper()
		if len(d.odh().Status.Components) != 1 {
			t.Fatalf("components = %v", d.odh().Status.Components)
		}
		return d.odh().Status.Components[0]
	}

	d.definitionWithout(`.status.components[name="kafka"].credentialsUser`)
	write(true, status.Recheck)
	if got := component(); got.Version != "4.1.0" || got.CredentialsUser != "" || d.condition("KafkaReady").Status != metav1.ConditionTrue {
		t.Errorf("the status has %v, want all but the user", got)
	}
	if diff := cmp.Diff([]string{"components.credentialsUser"}, d.writer.Lacks(hub)); diff != "" {
		t.Errorf("what the status lacks (-want +got):\n%s", diff)
	}
	d.cluster.Writes()

	d.now = d.now.Add(20 * time.Second)
	write(false, status.Recheck-20*time.Second)
	if requests := d.cluster.Writes(); len(requests) > 0 {
		t.Errorf("it asks again too early: %q", requests)
	}
	d.now = time.Now().Add(status.Recheck + status.Interval)
	write(false, status.Recheck)
	if requests := d.cluster.Writes(); len(requests) != 1 {
		t.Errorf("it asked again with the requests %q, want one", requests)
	}
	if changed != 1 {
		t.Errorf("told %d times that the definition lacks a field, want once", changed)
	}

	d.cluster.Fail = nil
	d.now = d.now.Add(status.Recheck)
	write(true, 0)
	if got := component().CredentialsUser; got != "admin" || len(d.writer.Lacks(hub)) > 0 || changed != 2 {
		t.Errorf("with the definition of this version the user is %q, %v is lacking, and it was told %d times", got, d.writer.Lacks(hub), changed)
	}
}

// TestWhatIsGoneLacksNothing removes a component, and the platform, of which the definition lacks a field. A component that the platform does not
// have is forgotten whenever somebody looks, which is nothing to the others.
func TestWhatIsGoneLacksNothing(t *testing.T) {
	hub := types.NamespacedName{Namespace: "lab", Name: "odh"}
	for name, goes := range map[string]func(d *desk) error{
		"the component": func(d *desk) error {
			_, _, err := d.writer.Write(t.Context(), d.odh(), kafka, status.Report{})
			return err
		},
		"the platform": func(d *desk) error {
			d.writer.Forget(hub, kafka)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.definitionWithout(`.status.components[name="kafka"].objects`)
			if _, _, err := d.writer.Write(t.Context(), d.odh(), kafka, says("KafkaReady", metav1.ConditionTrue, "Available", "")); err != nil {
				t.Fatal(err)
			}
			if lacks := d.writer.Lacks(hub); !slices.Equal(lacks, []string{"components.objects"}) {
				t.Fatalf("it lacks %q", lacks)
			}
			d.writer.Forget(hub, "opendatahub-another")
			if lacks := d.writer.Lacks(hub); len(lacks) != 1 {
				t.Errorf("without another component it lacks %q", lacks)
			}
			if err := goes(d); err != nil {
				t.Fatal(err)
			}
			if lacks := d.writer.Lacks(hub); len(lacks) > 0 {
				t.Errorf("it still lacks %q", lacks)
			}
		})
	}
}

// TestAnOlderDefinitionOfTheSummary has the definition lack a list of which the API server names the entries, and another field.
func TestAnOlderDefinitionOfTheSummary(t *testing.T) {
	d := newDesk(t)
	d.definitionWithout(`.status.dependencies[name="strimzi"].source`, `.status.objectStorage.endpoint`)
	report := status.Report{
		Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Available", ObservedGeneration: 1}},
		Summary: &status.Summary{
			ObservedGeneration: 1, ComponentsReady: "1/1",
			ObjectStorage: &v1alpha1.ObjectStorageStatus{Type: v1alpha1.ObjectStorageExternal, Endpoint: "https://s3.example.com"},
			Dependencies:  []v1alpha1.DependencyStatus{{Name: "strimzi", State: v1alpha1.DependencyMissing, Source: v1alpha1.DependencySourceExisting}},
		},
	}
	if _, _, err := d.writer.Write(t.Context(), d.odh(), "opendatahub", report); err != nil {
		t.Fatal(err)
	}
	got := d.odh().Status
	if got.ComponentsReady != "1/1" || got.ObservedGeneration != 1 || got.ObjectStorage == nil || got.ObjectStorage.Endpoint != "" || len(got.Dependencies) != 0 {
		t.Errorf("the status is %v, want one without the endpoint and the dependencies", got)
	}
	if lacks := d.writer.Lacks(types.NamespacedName{Namespace: "lab", Name: "odh"}); !slices.Equal(lacks, []string{"dependencies", "objectStorage.endpoint"}) {
		t.Errorf("it lacks %q", lacks)
	}
	if report.Summary.ObjectStorage.Endpoint == "" {
		t.Error("the caller's report was changed")
	}
}

// TestADefinitionWithoutComponents has the definition lack all of what a component reports.
func TestADefinitionWithoutComponents(t *testing.T) {
	d := newDesk(t)
	d.definitionWithout(`.status.components`)
	if _, _, err := d.writer.Write(t.Context(), d.odh(), kafka, says("KafkaReady", metav1.ConditionTrue, "Available", "")); err != nil {
		t.Fatal(err)
	}
	if d.condition("KafkaReady").Status != metav1.ConditionTrue || len(d.odh().Status.Components) > 0 {
		t.Errorf("the status is %v, want the condition only", d.odh().Status)
	}
}

// TestWhatIsRefusedForAnotherReason is still an error.
func TestWhatIsRefusedForAnotherReason(t *testing.T) {
	d := newDesk(t)
	d.cluster.Fail = func(string, client.Object) error { return apierrors.NewInternalError(errors.New("etcd is gone")) }
	if _, _, err := d.writer.Write(t.Context(), d.odh(), kafka, says("KafkaReady", metav1.ConditionTrue, "Available", "")); !apierrors.IsInternalError(err) {
		t.Errorf("err = %v", err)
	}
	if lacks := d.writer.Lacks(types.NamespacedName{Namespace: "lab", Name: "odh"}); len(lacks) > 0 {
		t.Errorf("it lacks %q", lacks)
	}
}
