package apply_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/clustertest"
)

// policy is a kind of which a cluster has one object, which all platforms share.
var policy = kinds.Kind{
	GroupKind: schema.GroupKind{Group: "example.com", Kind: "Policy"}, Versions: []string{"v1"}, Plural: "policies", ClusterScoped: true,
	Provider: "Policies",
}

const policyManager = "opendatahub-gpu"

var (
	platformA = types.NamespacedName{Namespace: "lab", Name: "odh"}
	platformB = types.NamespacedName{Namespace: "dev", Name: "odh"}
)

// sharing is a cluster with two platforms whose component renders the policy.
type sharing struct {
	*testing.T
	cluster *clustertest.Cluster
	applier *apply.Applier
}

func newSharing(t *testing.T) *sharing {
	t.Helper()
	s := &sharing{T: t, cluster: clustertest.New(t)}
	s.restart()
	return s
}

func (s *sharing) restart() {
	s.applier = &apply.Applier{Client: s.cluster, Reader: s.cluster, Children: s.cluster.Children(policy.GVK())}
}

func (s *sharing) want(platform types.NamespacedName, driver string) ([]apply.Change, error) {
	s.Helper()
	facts := components.Facts{Platform: components.Platform{Name: platform.Name, Namespace: platform.Namespace}}
	prepared, err := apply.Prepare("gpu", []components.Use{{Kind: policy, Shared: true}}, facts, &odh,
		[]components.Object{components.Owned(kinds.New(policy.GVK(), "", "gpu", map[string]any{"driver": driver}))})
	if err != nil {
		s.Fatal(err)
	}
	return s.applier.Apply(s.Context(), policyManager, prepared)
}

func (s *sharing) leave(platform types.NamespacedName) (*apply.Waiting, error) {
	s.Helper()
	waiting, _, err := s.applier.Remove(s.Context(), apply.Scope{
		Platform: platform, Component: "gpu", Kinds: []apply.Served{{Use: components.Use{Kind: policy, Shared: true}, GVK: policy.GVK()}},
	})
	return waiting, err
}

// state is what is in the cluster: "driver: platforms".
func (s *sharing) state() string {
	s.Helper()
	object := s.cluster.Object(policy.GVK(), "", "gpu")
	if object == nil {
		return "none"
	}
	driver, _, _ := unstructured.NestedString(object.Object, "spec", "driver")
	return driver + ": " + object.GetAnnotations()[apply.PlatformsAnnotation]
}

func (s *sharing) expect(what, want string) {
	s.Helper()
	if got := s.state(); got != want {
		s.Errorf("%s: the policy is %q, want %q", what, got, want)
	}
}

func (s *sharing) must(_ any, err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *sharing) silent(what string) {
	s.Helper()
	if writes := s.cluster.Writes(); len(writes) > 0 {
		s.Errorf("%s: %q", what, writes)
	}
}

func TestPlatformsShareAnObject(t *testing.T) {
	s := newSharing(t)
	s.must(s.want(platformA, "570"))
	s.expect("the first makes it", "570: lab/odh")
	s.must(s.want(platformB, "570"))
	s.expect("another that wants the same joins", "570: lab/odh,dev/odh")
	object := s.cluster.Object(policy.GVK(), "", "gpu")
	if object.GetLabels()[components.LabelPlatform] != "" || len(object.GetOwnerReferences()) > 0 {
		t.Errorf("it belongs to one platform: %v, %v", object.GetLabels(), object.GetOwnerReferences())
	}

	s.cluster.Writes()
	for range 3 {
		s.must(s.want(platformA, "570"))
		s.must(s.want(platformB, "570"))
	}
	s.silent("nothing changes, and still there are writes")
	s.restart()
	s.must(s.want(platformB, "570"))
	s.must(s.want(platformA, "570"))
	s.silent("a restart writes")

	s.must(s.want(platformA, "580"))
	s.expect("the first decides", "580: lab/odh,dev/odh")
	s.cluster.Writes()
	_, err := s.want(platformB, "570")
	want := "Policy gpu is shared by the platforms of the cluster, and OpenDataHub lab/odh wants it otherwise: " +
		"have both specs agree, or remove the component from one"
	failure := components.AsFailure(err, "")
	if failure.Err == nil || failure.Error() != want || failure.Reason != v1alpha1.ReasonConflict || !failure.Terminal {
		t.Errorf("err = %v (%s)\nwant  %s", err, failure.Reason, want)
	}
	s.silent("the other one fights")

	s.must(s.leave(platformA))
	s.expect("it stays for the other one", "580: dev/odh")
	s.must(s.want(platformB, "570"))
	s.expect("which decides now", "570: dev/odh")
	s.must(s.leave(platformB))
	s.expect("the last one takes it away", "none")
}

// A platform that comes later and wants something else changes nothing, not even the list.
func TestALaterPlatformChangesNothing(t *testing.T) {
	s := newSharing(t)
	s.must(s.want(platformA, "570"))
	before := s.cluster.Object(policy.GVK(), "", "gpu").GetResourceVersion()
	if _, err := s.want(platformB, "580"); components.AsFailure(err, "").Reason != v1alpha1.ReasonConflict {
		t.Errorf("err = %v", err)
	}
	if after := s.cluster.Object(policy.GVK(), "", "gpu").GetResourceVersion(); after != before {
		t.Error("the object was written")
	}
	s.must(s.leave(platformB))
	s.expect("who never had it takes nothing away", "570: lab/odh")
	s.must(s.leave(platformA))
	s.must(s.want(platformB, "580"))
	s.expect("then it is the other one's turn", "580: dev/odh")
}

func TestSharedObjectIsRepaired(t *testing.T) {
	s := newSharing(t)
	s.must(s.want(platformA, "570"))
	s.must(s.want(platformB, "570"))
	edit := func(change func(*unstructured.Unstructured)) {
		object := s.cluster.Object(policy.GVK(), "", "gpu")
		change(object)
		s.cluster.Do(object, func(c client.Client) error { return c.Update(t.Context(), object, client.FieldOwner("kubectl-edit")) })
	}
	edit(func(object *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(object.Object, "550", "spec", "driver")
	})
	s.must(s.want(platformB, "570"))
	s.expect("whoever looks first puts it back", "570: lab/odh,dev/odh")
	edit(func(object *unstructured.Unstructured) {
		annotations := object.GetAnnotations()
		delete(annotations, apply.PlatformsAnnotation)
		object.SetAnnotations(annotations)
	})
	s.must(s.want(platformB, "570"))
	s.must(s.want(platformA, "570"))
	s.expect("and joins again", "570: dev/odh,lab/odh")
	edit(func(object *unstructured.Unstructured) { object.SetLabels(nil) })
	s.must(s.want(platformA, "570"))
	s.must(s.want(platformB, "570"))
	s.expect("without labels it is found all the same", "570: dev/odh,lab/odh")
}

func TestSharedObjectOfPeople(t *testing.T) {
	s := newSharing(t)
	theirs := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"driver": "500"}}}
	theirs.SetGroupVersionKind(policy.GVK())
	theirs.SetName("gpu")
	s.cluster.Do(theirs, func(c client.Client) error { return c.Create(t.Context(), theirs, client.FieldOwner("kubectl")) })
	if _, err := s.want(platformA, "570"); components.AsFailure(err, "").Reason != v1alpha1.ReasonConflict {
		t.Errorf("err = %v", err)
	}
	s.must(s.leave(platformA))
	s.expect("it is theirs", "500: ")
}

// A namespace may end before its platform has left.
func TestAPlatformThatIsGoneHoldsNothing(t *testing.T) {
	s := newSharing(t)
	s.must(s.want(platformA, "570"))
	s.must(s.want(platformB, "570"))
	s.applier.Exists = func(platform types.NamespacedName) bool { return platform != platformA }
	s.must(s.want(platformB, "580"))
	s.must(s.leave(platformB))
	s.expect("the last one that exists takes it away", "none")
}

// TestSharingSurvivesCrashes ends the process before each write of the whole lifecycle, and starts it again: each step ends in the same
// state.
func TestSharingSurvivesCrashes(t *testing.T) {
	crash := errors.New("killed")
	life := []struct {
		do   func(*sharing) error
		want string
	}{
		{func(s *sharing) error { _, err := s.want(platformA, "570"); return err }, "570: lab/odh"},
		{func(s *sharing) error { _, err := s.want(platformB, "570"); return err }, "570: lab/odh,dev/odh"},
		{func(s *sharing) error { _, err := s.want(platformA, "580"); return err }, "580: lab/odh,dev/odh"},
		{func(s *sharing) error { _, err := s.leave(platformA); return err }, "580: dev/odh"},
		{func(s *sharing) error { _, err := s.leave(platformB); return err }, "none"},
	}
	live := func(at int) (writes int) {
		s := newSharing(t)
		s.cluster.Fail = func(string, client.Object) error {
			writes++
			if writes == at {
				return crash
			}
			return nil
		}
		for number, step := range life {
			err := step.do(s)
			if errors.Is(err, crash) {
				s.restart()
				err = step.do(s)
			}
			if err != nil {
				t.Fatalf("killed at write %d, step %d: %v", at, number+1, err)
			}
			if diff := cmp.Diff(step.want, s.state()); diff != "" {
				t.Errorf("killed at write %d, after step %d (-want +got):\n%s", at, number+1, diff)
			}
		}
		return writes
	}
	writes := live(0)
	if writes < 6 {
		t.Fatalf("a whole lifecycle takes only %d writes", writes)
	}
	for at := 1; at <= writes; at++ {
		live(at)
	}
}

// Until it has its list of platforms, a new object belongs to whoever comes first.
func TestAnObjectThatNobodyIsOn(t *testing.T) {
	s := newSharing(t)
	s.cluster.Fail = func(verb string, _ client.Object) error {
		if verb == "patch" {
			return errors.New("killed")
		}
		return nil
	}
	if _, err := s.want(platformA, "570"); err == nil {
		t.Fatal("it joined")
	}
	s.expect("nobody is on it", "570: ")
	s.cluster.Fail = nil
	s.must(s.want(platformB, "580"))
	s.expect("the one who comes first decides", "580: dev/odh")
	if _, err := s.want(platformA, "570"); components.AsFailure(err, "").Reason != v1alpha1.ReasonConflict {
		t.Errorf("err = %v", err)
	}
}

// The field manager is the component's, so an object outside the namespaces says by its labels whose it is.
func TestTwoPlatformsDoNotTakeAnObjectFromEachOther(t *testing.T) {
	cluster := clustertest.New(t)
	applier := &apply.Applier{Client: cluster, Reader: cluster, Children: cluster.Children(policy.GVK())}
	want := func(platform types.NamespacedName) error {
		facts := components.Facts{Platform: components.Platform{Name: platform.Name, Namespace: platform.Namespace}}
		prepared, err := apply.Prepare("gpu", []components.Use{{Kind: policy}}, facts, nil,
			[]components.Object{components.Owned(kinds.New(policy.GVK(), "", "gpu", map[string]any{"driver": "570"}))})
		if err != nil {
			t.Fatal(err)
		}
		_, err = applier.Apply(t.Context(), policyManager, prepared)
		return err
	}
	if err := want(platformA); err != nil {
		t.Fatal(err)
	}
	cluster.Writes()
	if err := want(platformB); components.AsFailure(err, "").Reason != v1alpha1.ReasonConflict {
		t.Errorf("err = %v", err)
	}
	if err := want(platformA); err != nil {
		t.Error(err)
	}
	if writes := cluster.Writes(); len(writes) > 0 {
		t.Errorf("they fight: %q", writes)
	}
	// A label that somebody else wrote does not make it another platform's.
	object := cluster.Object(policy.GVK(), "", "gpu")
	object.SetLabels(components.Merge(object.GetLabels(), map[string]string{components.LabelPlatform: "other"}))
	cluster.Do(object, func(c client.Client) error { return c.Update(t.Context(), object, client.FieldOwner("kubectl-label")) })
	if err := want(platformA); err != nil {
		t.Error(err)
	}
	if got := cluster.Object(policy.GVK(), "", "gpu").GetLabels()[components.LabelPlatform]; got != "odh" {
		t.Errorf("the label stays %q", got)
	}
}
