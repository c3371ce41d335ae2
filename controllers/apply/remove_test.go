package apply_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/ceph"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/clustertest"
)

// used is how the component that renders a kind uses it.
func used(kind kinds.Kind) components.Use {
	for _, component := range catalog.All() {
		for _, use := range components.UsesOf(component) {
			if use.GroupKind == kind.GroupKind {
				return use
			}
		}
	}
	return components.Use{Kind: kind}
}

func scope(keepData bool) apply.Scope {
	s := apply.Scope{Platform: types.NamespacedName{Namespace: "lab", Name: "odh"}, Component: "kafka", KeepData: keepData}
	for _, kind := range all() {
		s.Kinds = append(s.Kinds, apply.Served{Use: used(kind), GVK: kind.GVK()})
	}
	return s
}

func topic(name string) components.Object {
	return components.Data(kinds.New(kafka.Topic.GVK(), "lab", name, map[string]any{"partitions": int64(1)}))
}

func kafkaNamed(name string) components.Object {
	return components.Owned(kinds.New(kafka.Kafka.GVK(), "lab", name, map[string]any{"kafka": map[string]any{"version": "4.1.0"}}))
}

func (s *site) prune(rendered ...components.Object) []string {
	s.Helper()
	changes, err := s.applier.Prune(s.Context(), scope(true), s.prepare(rendered...))
	if err != nil {
		s.Fatal(err)
	}
	return list(changes)
}

// remove returns what was done, and what it waits for.
func (s *site) remove(keepData bool) (string, []string) {
	s.Helper()
	text, kept, err := s.applier.Keep(s.Context(), scope(keepData))
	if err != nil {
		s.Fatal(err)
	}
	if text != "" {
		return text, list(kept)
	}
	waiting, changes, err := s.applier.Remove(s.Context(), scope(keepData))
	if err != nil {
		s.Fatal(err)
	}
	if waiting == nil {
		return "", list(changes)
	}
	return waiting.String(), list(changes)
}

func TestPruneDeletesWhatIsNoLongerRendered(t *testing.T) {
	s := newSite(t)
	s.apply(settings("odh-a", "1"), settings("odh-b", "1"), kafkaNamed("odh-kafka"), topic("odh-orders"))
	s.cluster.Writes()
	s.expect("all is rendered", nil, s.prune(settings("odh-a", "1"), settings("odh-b", "1"), kafkaNamed("odh-kafka"), topic("odh-orders")))

	// Under Retain what holds data stays, rendered or not.
	s.expect("b and the cluster are not", []string{"Deleted Kafka odh-kafka", "Deleted ConfigMap odh-b"}, s.prune(settings("odh-a", "1")))
	s.expect("requests", []string{"delete Kafka lab/odh-kafka", "delete ConfigMap lab/odh-b"}, s.cluster.Writes())
	s.expect("again", nil, s.prune(settings("odh-a", "1")))
}

// TestPruneLeavesWhatOnlyCarriesOurLabels: Strimzi copies the labels of a Kafka to everything that it makes of it, and
// deleting its certificate authority would cut off every client.
func TestPruneLeavesWhatOnlyCarriesOurLabels(t *testing.T) {
	labels := components.Facts{Platform: components.Platform{Name: "odh"}}.Labels("kafka")
	s := newSite(t)
	for namespace, name := range map[string]string{"lab": "odh-cluster-ca-cert", "other-lab": "odh-a"} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
		s.cluster.Do(secret, func(c client.Client) error {
			return c.Create(t.Context(), secret, client.FieldOwner("strimzi-cluster-operator"))
		})
	}
	s.apply(settings("odh-a", "1"))
	s.cluster.Writes()
	s.expect("pruned", []string{"Deleted ConfigMap odh-a"}, s.prune())
	waiting, changes := s.remove(false)
	s.expect("removed", nil, changes)
	if waiting != "" {
		t.Errorf("waits for somebody else's object: %s", waiting)
	}
	s.get(kinds.Secret, "odh-cluster-ca-cert")
}

func TestPruneLeavesOtherPlatformsAndComponents(t *testing.T) {
	s := newSite(t)
	for _, other := range []struct {
		platform  components.Platform
		component string
	}{
		{components.Platform{Name: "odh", Namespace: "other-lab"}, "kafka"},
		{components.Platform{Name: "second", Namespace: "lab"}, "kafka"},
		{components.Platform{Name: "odh", Namespace: "lab"}, "jupyterHub"},
	} {
		object := components.Owned(coreac.ConfigMap(other.platform.Name+"-"+strings.ToLower(other.component), other.platform.Namespace))
		prepared, err := apply.Prepare(other.component, allUses(), components.Facts{Platform: other.platform}, nil, []components.Object{object})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.applier.Apply(t.Context(), apply.Manager(other.component), prepared); err != nil {
			t.Fatal(err)
		}
	}
	s.expect("pruned", nil, s.prune())
	_, changes := s.remove(false)
	s.expect("removed", nil, changes)
}

// TestPruneDoesNotDeleteASuccessor: the object was deleted and recreated by somebody else after it was looked at.
func TestPruneDoesNotDeleteASuccessor(t *testing.T) {
	s := newSite(t)
	s.apply(settings("odh-a", "1"))
	s.cluster.Fail = func(verb string, _ client.Object) error {
		if verb != "delete" {
			return nil
		}
		s.cluster.Fail = nil
		old := s.get(kinds.ConfigMap, "odh-a")
		s.cluster.Do(old, func(c client.Client) error { return c.Delete(t.Context(), old) })
		successor := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "odh-a", UID: "successor"}}
		s.cluster.Do(successor, func(c client.Client) error { return c.Create(t.Context(), successor) })
		return nil
	}
	s.prune()
	if uid := s.get(kinds.ConfigMap, "odh-a").GetUID(); uid != "successor" {
		t.Errorf("UID = %s", uid)
	}
}

func TestAFailedDeletionIsAskedForAgain(t *testing.T) {
	s := newSite(t)
	s.apply(settings("odh-a", "1"), settings("odh-b", "1"))
	s.cluster.Writes()
	s.cluster.Fail = func(_ string, object client.Object) error {
		if object.GetName() == "odh-a" {
			return errors.New("no route to host")
		}
		return nil
	}
	changes, err := s.applier.Prune(t.Context(), scope(true), nil)
	if err == nil || err.Error() != "deleting ConfigMap lab/odh-a: no route to host" {
		t.Errorf("err = %v", err)
	}
	s.expect("the other is deleted", []string{"Deleted ConfigMap odh-b"}, list(changes))
	s.cluster.Fail = nil
	s.expect("afterwards", []string{"Deleted ConfigMap odh-a"}, s.prune())
}

// TestRemoveGoesKindByKind: what an operator must act on goes before what it needs for that.
func TestRemoveGoesKindByKind(t *testing.T) {
	s := newSite(t)
	s.apply(settings("odh-a", "1"), settings("odh-b", "1"), topic("odh-orders"), kafkaNamed("odh-kafka"), kafkaNamed("odh-mirror"))
	for _, name := range []string{"odh-kafka", "odh-mirror"} {
		s.edit(kafka.Kafka, name, func(object *unstructured.Unstructured) { object.SetFinalizers([]string{"strimzi.io/hold"}) })
	}
	s.cluster.Writes()

	waiting, changes := s.remove(false)
	s.expect("first", []string{"Deleted Kafka odh-kafka", "Deleted Kafka odh-mirror"}, changes)
	want := "waiting for Kafka lab/odh-kafka and 1 more to be gone: it has the finalizer strimzi.io/hold, which the Strimzi operator " +
		"removes; see that the operator runs, or, if it is gone for good, give the object up: kubectl patch kafka.kafka.strimzi.io " +
		`-n lab odh-kafka --type=merge -p '{"metadata":{"finalizers":null}}'`
	if waiting != want {
		t.Errorf("waiting = %s\nwant      %s", waiting, want)
	}
	waiting, changes = s.remove(false)
	s.expect("while the finalizers stay", nil, changes)
	if waiting != want {
		t.Errorf("the same wait has another text: %s", waiting)
	}
	s.expect("requests", []string{"delete Kafka lab/odh-kafka", "delete Kafka lab/odh-mirror"}, s.cluster.Writes())

	for _, name := range []string{"odh-kafka", "odh-mirror"} {
		s.edit(kafka.Kafka, name, func(object *unstructured.Unstructured) { object.SetFinalizers(nil) })
	}
	waiting, changes = s.remove(false)
	s.expect("then", []string{"Deleted KafkaTopic odh-orders"}, changes)
	if waiting != "waiting for KafkaTopic lab/odh-orders to be gone" {
		t.Errorf("waiting = %s", waiting)
	}
	_, changes = s.remove(false)
	s.expect("at last", []string{"Deleted ConfigMap odh-a", "Deleted ConfigMap odh-b"}, changes)
	waiting, changes = s.remove(false)
	s.expect("nothing is left", nil, changes)
	if waiting != "" {
		t.Errorf("waits for what is gone: %s", waiting)
	}
}

func TestRemoveKeepsData(t *testing.T) {
	s := newSite(t)
	s.generate(login("password"))
	s.apply(settings("odh-a", "1"), topic("odh-orders"), login("password"))
	_, changes := s.remove(true)
	s.expect("first", []string{"Deleted ConfigMap odh-a"}, changes)
	waiting, changes := s.remove(true)
	s.expect("then", nil, changes)
	if waiting != "" {
		t.Errorf("waits for data that is kept: %s", waiting)
	}
	s.get(kafka.Topic, "odh-orders")
	s.get(kinds.Secret, "odh-login")

	_, changes = s.remove(false)
	s.expect("under Delete", []string{"Deleted KafkaTopic odh-orders"}, changes)
	_, changes = s.remove(false)
	s.expect("under Delete, then", []string{"Deleted Secret odh-login"}, changes)
}

// TestRemoveLetsGoFirst: an operator that would delete what the object stands for is told not to.
func TestRemoveLetsGoFirst(t *testing.T) {
	owned := func() components.Object { // a topic whose object is not kept, but whose messages are
		return components.Owned(kinds.New(kafka.Topic.GVK(), "lab", "odh-orders", map[string]any{"partitions": int64(1)}))
	}
	tests := map[string]struct {
		keepData bool
		want     []string
	}{
		"under Retain": {true, []string{"patch KafkaTopic lab/odh-orders", "delete KafkaTopic lab/odh-orders"}},
		"under Delete": {false, []string{"delete KafkaTopic lab/odh-orders"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.apply(owned())
			s.cluster.Writes()
			s.cluster.Fail = func(verb string, _ client.Object) error {
				managed := s.get(kafka.Topic, "odh-orders").GetAnnotations()["strimzi.io/managed"]
				if verb == "delete" && (managed == "false") != test.keepData {
					t.Errorf("at the deletion strimzi.io/managed is %q", managed)
				}
				return nil
			}
			s.remove(test.keepData)
			s.expect("requests", test.want, s.cluster.Writes())
		})
	}

	t.Run("not let go, not deleted", func(t *testing.T) {
		s := newSite(t)
		s.apply(owned())
		s.cluster.Writes()
		s.cluster.Fail = func(verb string, _ client.Object) error {
			if verb == "patch" {
				return errors.New("no route to host")
			}
			return nil
		}
		if _, _, err := s.applier.Keep(t.Context(), scope(true)); err == nil || !strings.Contains(err.Error(), "releasing KafkaTopic lab/odh-orders") {
			t.Errorf("err = %v", err)
		}
		s.expect("requests", []string{"patch KafkaTopic lab/odh-orders"}, s.cluster.Writes())
	})
}

func TestLeftovers(t *testing.T) {
	labelled := func(kind client.Object, name string, labels map[string]string) client.Object {
		kind.SetNamespace("lab")
		kind.SetName(name)
		kind.SetLabels(labels)
		return kind
	}
	notebook := map[string]string{"app": "notebook"}
	s := newSite(t,
		labelled(&corev1.Pod{}, "notebook-ada", notebook),
		labelled(&corev1.Pod{}, "notebook-bob", notebook),
		labelled(&corev1.Pod{}, "bystander", map[string]string{"app": "other"}),
		labelled(&corev1.PersistentVolumeClaim{}, "home-ada", notebook),
	)
	leftovers := []components.Leftover{
		{Kind: kinds.Pod, Labels: notebook},
		{Kind: kinds.PersistentVolumeClaim, Labels: notebook, Data: true},
	}
	ask := func(keepData, data bool) string {
		t.Helper()
		of := scope(keepData)
		of.Leftovers = leftovers
		waiting, err := s.applier.Leftovers(t.Context(), of, data)
		if err != nil {
			t.Fatal(err)
		}
		if waiting == nil {
			return ""
		}
		return waiting.String()
	}
	if got, want := ask(true, false), "waiting for Pod lab/notebook-ada and 1 more to be gone"; got != want {
		t.Errorf("waiting = %q, want %q", got, want)
	}
	if got := ask(true, false); got != "" {
		t.Errorf("the Pods are gone, and still: %s", got)
	}
	if got := ask(true, true); got != "" {
		t.Errorf("data is kept, and still: %s", got)
	}
	s.expect("requests under Retain", []string{"delete Pod lab/notebook-ada", "delete Pod lab/notebook-bob"}, s.cluster.Writes())
	if got, want := ask(false, true), "waiting for PersistentVolumeClaim lab/home-ada to be gone"; got != want {
		t.Errorf("waiting = %q, want %q", got, want)
	}
	s.expect("requests under Delete", []string{"delete PersistentVolumeClaim lab/home-ada"}, s.cluster.Writes())
	s.get(kinds.Pod, "bystander")
}

// TestRemoveDestroysLast: an operator that wipes what an object stands for is told so right before the deletion, and only
// when data goes.
func TestRemoveDestroysLast(t *testing.T) {
	cluster := kinds.New(ceph.Cluster.GVK(), "lab", "odh", map[string]any{"cephVersion": map[string]any{"image": "ceph:1"}})
	destroying := func(keepData bool) apply.Scope {
		scope := scope(keepData)
		scope.Kinds = []apply.Served{{Use: used(ceph.Cluster), GVK: ceph.Cluster.GVK()}}
		return scope
	}
	s := &site{T: t, cluster: clustertest.New(t)}
	s.applier = &apply.Applier{Client: s.cluster, Reader: s.cluster, Children: s.cluster.Children(ceph.Cluster.GVK())}
	facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}}
	prepared, err := apply.Prepare("kafka", []components.Use{used(ceph.Cluster)}, facts, &odh, []components.Object{components.Data(cluster)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.applier.Apply(t.Context(), manager, prepared); err != nil {
		t.Fatal(err)
	}
	confirmation := func() string {
		text, _, _ := unstructured.NestedString(s.get(ceph.Cluster, "odh").Object, "spec", "cleanupPolicy", "confirmation")
		return text
	}
	if _, _, err := s.applier.Remove(t.Context(), destroying(true)); err != nil || confirmation() != "" {
		t.Errorf("data is kept, and still: %q, %v", confirmation(), err)
	}
	s.edit(ceph.Cluster, "odh", func(object *unstructured.Unstructured) { object.SetFinalizers([]string{"example.com/hold"}) })
	if _, _, err := s.applier.Remove(t.Context(), destroying(false)); err != nil {
		t.Fatal(err)
	}
	if got := confirmation(); got != "yes-really-destroy-data" {
		t.Errorf("cleanupPolicy.confirmation = %q", got)
	}
	if s.get(ceph.Cluster, "odh").GetDeletionTimestamp() == nil {
		t.Error("it is not deleted")
	}
}

func TestWaitingPassesOnWhatBlocks(t *testing.T) {
	store := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "ceph.rook.io/v1", "kind": "CephObjectStore",
		"metadata": map[string]any{"namespace": "lab", "name": "odh", "finalizers": []any{"cephobjectstore.ceph.rook.io"}},
		"status": map[string]any{"conditions": []any{
			map[string]any{"type": "Ready", "status": "False", "message": "not this"},
			map[string]any{"type": "DeletionIsBlocked", "status": "True", "message": "buckets in the object store: [mine]"},
		}},
	}}
	want := "waiting for CephObjectStore lab/odh to be gone: it has the finalizer cephobjectstore.ceph.rook.io, and is blocked: " +
		"buckets in the object store: [mine]"
	if got := (&apply.Waiting{Object: store, Operator: "Rook"}).String(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestWaitingNamesTheOperatorOnce(t *testing.T) {
	dashboard := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "grafana.integreatly.org/v1beta1", "kind": "GrafanaDashboard",
		"metadata": map[string]any{"namespace": "lab", "name": "odh", "finalizers": []any{"operator.grafana.com/finalizer"}},
	}}
	for operator, want := range map[string]string{"Strimzi": "which the Strimzi operator removes;", "Grafana operator": "which the Grafana operator removes;"} {
		if got := (&apply.Waiting{Object: dashboard, Operator: operator}).String(); !strings.Contains(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
