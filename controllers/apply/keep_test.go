package apply_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
)

// keeping is a Kafka that was created under Delete and owns a Secret that must stay now.
type keeping struct {
	*site
	scope apply.Scope
	now   time.Time
}

func newKeeping(t *testing.T) *keeping {
	t.Helper()
	k := &keeping{site: newSite(t), scope: scope(true), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	labels := map[string]string{"strimzi.io/cluster": "odh"}
	k.scope.Leftovers = []components.Leftover{{Kind: kinds.Secret, Labels: labels, Data: true}}
	k.scope.PlatformUID = odh.UID
	k.applier.Now = func() time.Time { return k.now }
	k.apply(components.Owned(kinds.New(kafka.Kafka.GVK(), "lab", "odh", map[string]any{
		"clusterCa": map[string]any{"generateSecretOwnerReference": true}, "clientsCa": map[string]any{"generateSecretOwnerReference": true},
	})))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "odh-cluster-ca", Labels: labels, OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "kafka.strimzi.io/v1", Kind: "Kafka", Name: "odh", UID: k.get(kafka.Kafka, "odh").GetUID()},
	}}}
	k.cluster.Do(secret, func(c client.Client) error { return c.Create(t.Context(), secret) })
	k.cluster.Writes()
	return k
}

func (k *keeping) keep() (string, []string) {
	k.Helper()
	text, changes, err := k.applier.Keep(k.Context(), k.scope)
	if err != nil {
		k.Fatal(err)
	}
	return text, list(changes)
}

func (k *keeping) letGo() {
	k.Helper()
	k.edit(kinds.Secret, "odh-cluster-ca", func(secret *unstructured.Unstructured) { secret.SetOwnerReferences(nil) })
}

const letGoOfSecret = "waiting for the Strimzi operator to let go of Secret odh-cluster-ca: this data stays, and would be deleted together with " +
	"Kafka odh; after 30s the owner references are taken off"

func TestKeepTellsTheOperatorAndWaits(t *testing.T) {
	k := newKeeping(t)
	if text, _ := k.keep(); text != letGoOfSecret {
		t.Errorf("waits for %q", text)
	}
	k.expect("requests", []string{"patch Kafka lab/odh"}, k.cluster.Writes())
	for _, authority := range []string{"clusterCa", "clientsCa"} {
		if own, _, _ := unstructured.NestedBool(k.get(kafka.Kafka, "odh").Object, "spec", authority, "generateSecretOwnerReference"); own {
			t.Errorf("the operator is not told of %s", authority)
		}
	}
	k.now = k.now.Add(apply.Patience - time.Second)
	if text, _ := k.keep(); text != letGoOfSecret {
		t.Errorf("waits for %q", text)
	}
	k.expect("told once", nil, k.cluster.Writes())

	k.letGo()
	k.cluster.Writes()
	k.now = k.now.Add(apply.Patience)
	if text, _ := k.keep(); text != "" {
		t.Errorf("still waits for %q", text)
	}
	k.expect("nothing is done", nil, k.cluster.Writes())
}

// TestWhatIsToldFirstHasNoOwner: a foreground deletion of the platform would collect it before its operator is told.
func TestWhatIsToldFirstHasNoOwner(t *testing.T) {
	k := newKeeping(t)
	if owners := k.get(kafka.Kafka, "odh").GetOwnerReferences(); len(owners) > 0 {
		t.Errorf("owners = %v", owners)
	}
	k.apply(settings("odh-a", "1"))
	if owners := k.get(kinds.ConfigMap, "odh-a").GetOwnerReferences(); len(owners) != 1 {
		t.Errorf("owners of another object = %v", owners)
	}
}

// patched gives what is patched a second generation.
type patched struct{ client.Client }

func (g patched) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	err := g.Client.Patch(ctx, object, patch, options...)
	object.SetGeneration(2)
	return err
}

// acted shows the second generation, and whether an operator has acted on it.
type acted struct {
	apply.Objects
	yes bool
}

func (g *acted) Get(ctx context.Context, kind schema.GroupVersionKind, key types.NamespacedName) (*unstructured.Unstructured, error) {
	object, err := g.Objects.Get(ctx, kind, key)
	if object != nil {
		object = object.DeepCopy()
		object.SetGeneration(2)
		if g.yes {
			object.Object["status"] = map[string]any{"observedGeneration": int64(2)}
		}
	}
	return object, err
}

// TestKeepWaitsForAnOperatorThatIsTold: no data has an owner yet, but the operator may be about to set one.
func TestKeepWaitsForAnOperatorThatIsTold(t *testing.T) {
	k := newKeeping(t)
	k.letGo()
	operator := &acted{Objects: k.applier.Children}
	k.applier.Client, k.applier.Children = patched{k.applier.Client}, operator
	want := "waiting for the Strimzi operator to act on Kafka odh, so that its operator knows that the data stays"
	for range 2 {
		if text, _ := k.keep(); text != want {
			t.Errorf("waits for %q", text)
		}
	}
	operator.yes = true
	if text, _ := k.keep(); text != "" {
		t.Errorf("still waits for %q", text)
	}
	operator.yes = false
	k.now = k.now.Add(apply.Patience)
	if text, _ := k.keep(); text != "" {
		t.Errorf("waits for ever: %q", text)
	}
}

func TestKeepTakesOwnersOffThatAnOperatorLeaves(t *testing.T) {
	k := newKeeping(t)
	k.keep()
	k.now = k.now.Add(apply.Patience)
	text, changes := k.keep()
	k.expect("changes", []string{"Untied Secret odh-cluster-ca"}, changes)
	if text == "" {
		t.Error("it does not look whether the owner is back")
	}
	if owners := k.get(kinds.Secret, "odh-cluster-ca").GetOwnerReferences(); len(owners) > 0 {
		t.Errorf("owners are left: %v", owners)
	}
	if text, changes := k.keep(); text != "" || changes != nil {
		t.Errorf("waits for %q, did %v", text, changes)
	}
}

func TestKeepDoesNotTakeOwnersOffAChangedObject(t *testing.T) {
	k := newKeeping(t)
	k.keep()
	k.now = k.now.Add(apply.Patience)
	k.cluster.Fail = func(verb string, object client.Object) error {
		if object.GetName() == "odh-cluster-ca" && verb == "patch" {
			k.cluster.Fail = nil
			k.edit(kinds.Secret, "odh-cluster-ca", func(secret *unstructured.Unstructured) { secret.SetAnnotations(map[string]string{"a": "b"}) })
		}
		return nil
	}
	if _, changes := k.keep(); changes != nil {
		t.Errorf("an object that had changed was written: %v", changes)
	}
	if _, changes := k.keep(); changes == nil {
		t.Error("it was not looked at again")
	}
}

func TestKeepIsNotNeeded(t *testing.T) {
	t.Run("under Delete", func(t *testing.T) {
		k := newKeeping(t)
		k.scope.KeepData = false
		if text, _ := k.keep(); text != "" {
			t.Errorf("waits for %q", text)
		}
		k.expect("requests", nil, k.cluster.Writes())
	})
	t.Run("for data without an owner", func(t *testing.T) {
		k := newKeeping(t)
		k.letGo()
		k.keep() // tells the operator, who may be about to set one
		k.now = k.now.Add(apply.Patience)
		if text, _ := k.keep(); text != "" {
			t.Errorf("waits for %q", text)
		}
	})
}

// TestPruneKeepsDataOfWhatGoes: the Kafka is no longer rendered, and owns data.
func TestPruneKeepsDataOfWhatGoes(t *testing.T) {
	k := newKeeping(t)
	_, err := k.applier.Prune(t.Context(), k.scope, nil)
	var failure *components.Failure
	if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonPruneFailed || failure.Terminal || !strings.HasSuffix(err.Error(), letGoOfSecret) {
		t.Fatalf("err = %v", err)
	}
	k.get(kafka.Kafka, "odh")
	k.letGo()
	k.now = k.now.Add(apply.Patience)
	changes, err := k.applier.Prune(t.Context(), k.scope, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.expect("changes", []string{"Deleted Kafka odh"}, list(changes))
}
