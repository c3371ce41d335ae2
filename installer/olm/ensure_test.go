package olm

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

const namespace = `
apiVersion: v1
kind: Namespace
metadata: {name: strimzi}
---
`

func TestEnsure(t *testing.T) {
	const (
		applyNamespace    = "apply Namespace /strimzi"
		applyGroup        = "apply OperatorGroup strimzi/strimzi"
		applySubscription = "apply Subscription strimzi/strimzi-kafka-operator"
	)
	tests := map[string]struct {
		change  func(*dependencies.Dependency)
		objects string
		writes  []string
		want    string // state and reason of the problem
		says    string
	}{
		"from nothing": {objects: "", writes: []string{applyNamespace, applyGroup, applySubscription}},
		"all there":    {objects: namespace + group + subscribed("{}")},
		"only the Subscription is missing": {
			objects: namespace + group, writes: []string{applySubscription},
		},
		"somebody's OperatorGroup that fits": {
			objects: namespace + strings.NewReplacer("name: strimzi,", "name: theirs,", "opendatahub.io/dependency: strimzi", "a: b").Replace(group),
			writes:  []string{applySubscription},
		},
		"somebody's OperatorGroup by labels that fits": {
			change: func(d *dependencies.Dependency) { d.Packages[0].InstallMode = dependencies.OwnNamespace },
			objects: namespace + strings.NewReplacer("opendatahub.io/dependency: strimzi", "a: b", "spec: {}", "spec: {selector: {matchLabels: {a: b}}}", `[""]`, "[strimzi]").
				Replace(group),
			writes: []string{applySubscription},
		},
		"somebody's OperatorGroup by labels that does not fit": {
			objects: namespace + strings.NewReplacer("opendatahub.io/dependency: strimzi", "a: b", "spec: {}", "spec: {selector: {matchLabels: {a: b}}}", `[""]`, "[strimzi]").
				Replace(group),
			want: "Blocked OperatorGroupConflict", says: "selects the namespaces with the labels a=b, and Strimzi must watch all namespaces",
		},
		"our OperatorGroup, changed": {
			objects: namespace + strings.Replace(group, "spec: {}", "spec: {targetNamespaces: [a]}", 1) + subscribed("{}"),
			writes:  []string{"patch OperatorGroup strimzi/strimzi"},
		},
		"our Subscription, changed": {
			objects: namespace + group + strings.Replace(subscribed("{}"), "channel: stable", "channel: alpha", 1),
			writes:  []string{applySubscription},
		},
		"two OperatorGroups, of which one is ours": {
			objects: namespace + group + strings.NewReplacer("name: strimzi,", "name: theirs,", "opendatahub.io/dependency: strimzi", "a: b").Replace(group),
			want:    "Blocked OperatorGroupConflict", says: "strimzi/strimzi, strimzi/theirs",
		},
		"a Subscription of that name that is not ours": {
			objects: namespace + group + strings.Replace(subscribed("{}"), "opendatahub.io/dependency: strimzi", "opendatahub.io/dependency: grafana", 1),
			want:    "Blocked SubscriptionConflict", says: "Subscription strimzi/strimzi-kafka-operator exists already",
		},
		"ours in another namespace": {
			objects: strings.Replace(subscribed("{}"), "namespace: strimzi", "namespace: before", 1),
			want:    "Blocked SubscriptionConflict", says: "Subscription before/strimzi-kafka-operator",
		},
		"somebody's in another namespace, beside ours": {
			objects: namespace + group + subscribed("{}") +
				strings.NewReplacer("namespace: strimzi", "namespace: z", "opendatahub.io/dependency: strimzi", "a: b").Replace(subscribed("{}")),
			want: "Blocked SubscriptionConflict", says: "Subscription z/strimzi-kafka-operator",
		},
		"Subscriptions of other packages": {
			objects: namespace + group + strings.NewReplacer("name: strimzi-kafka-operator,", "name: other,", "opendatahub.io/dependency: strimzi", "a: b").Replace(subscribed("{}")),
			writes:  []string{applySubscription},
		},
		"an orphan": {
			objects: namespace + group + version("1.1.0", "", succeeded),
			want:    "Blocked SubscriptionConflict", says: "strimzi/strimzi.v1.1.0",
		},
		"a copy, and the version of another package": {
			objects: namespace + group + strings.Replace(version("1.1.0", "", succeeded), "labels: {", "labels: {olm.copiedFrom: kafka, ", 1) +
				strings.Replace(version("1.0.0", "", succeeded), "strimzi-kafka-operator.", "other.", 1),
			writes: []string{applySubscription},
		},
		"the namespace is being deleted": {
			objects: strings.Replace(namespace, "name: strimzi", "name: strimzi, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [example.com/x]", 1),
			want:    "Failed InstallFailed", says: "namespace strimzi is being deleted",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dependency := kafkaOperator()
			if test.change != nil {
				test.change(&dependency)
			}
			l := newLab(t, test.objects)
			candidate := Candidate{Package: dependency.Packages[0], Catalog: dependency.Packages[0].Catalogs[0]}
			changed, err := l.olm.ensure(t.Context(), dependency, candidate)
			l.writes(test.writes...)
			if changed != (len(test.writes) > 0) {
				t.Errorf("changed = %v", changed)
			}
			var problem *components.Failure
			if errors.As(err, &problem) {
				if got := string(dependencies.StateOf(problem)) + " " + problem.Reason; got != test.want || !strings.Contains(problem.Error(), test.says) {
					t.Errorf("got %s: %s", got, problem.Error())
				}
				return
			}
			if err != nil || test.want != "" {
				t.Fatalf("err = %v, want %s", err, test.want)
			}
			if err := l.olm.Ensure(t.Context(), dependency, candidate); err != nil {
				t.Error(err)
			}
			l.writes()
			for _, object := range []client.Object{
				l.cluster.Object(groupKind, "strimzi", "strimzi"), l.cluster.Object(subscriptionKind, "strimzi", "strimzi-kafka-operator"),
			} {
				if u := object.(*unstructured.Unstructured); u != nil && u.GetLabels()["a"] == "" && !isOurs(dependency, u.GetLabels()) {
					t.Errorf("%s has the labels %v", u.GetKind(), u.GetLabels())
				}
			}
		})
	}
}

// TestEnsureStopsAtTheFirstError: what was written is reported all the same.
func TestEnsureStopsAtTheFirstError(t *testing.T) {
	l := newLab(t, "")
	l.cluster.Fail = func(_ string, object client.Object) error {
		if object.GetObjectKind().GroupVersionKind().Kind == "OperatorGroup" {
			return errors.New("not now")
		}
		return nil
	}
	dependency := kafkaOperator()
	changed, err := l.olm.ensure(t.Context(), dependency, Candidate{Package: dependency.Packages[0]})
	if err == nil || err.Error() != "creating OperatorGroup strimzi/strimzi: not now" || !changed {
		t.Errorf("changed = %v, err = %v", changed, err)
	}
	l.writes("apply Namespace /strimzi", "apply OperatorGroup strimzi/strimzi")
}

// TestWhatIsAskedFor: the objects follow the table, and our objects that somebody changed follow it again.
func TestWhatIsAskedFor(t *testing.T) {
	dependency := kafkaOperator(func(d *dependencies.Dependency) {
		d.NamespaceLabels = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
		d.Packages[0].InstallMode = dependencies.OwnNamespace
	})
	l := newLab(t, "")
	ask := func() {
		t.Helper()
		if err := l.olm.Ensure(t.Context(), dependency, Candidate{Package: dependency.Packages[0], Catalog: dependency.Packages[0].Catalogs[0]}); err != nil {
			t.Fatal(err)
		}
	}
	has := func(kind schema.GroupVersionKind, namespace, name, field string, want any) {
		t.Helper()
		got, _, _ := unstructured.NestedFieldNoCopy(l.cluster.Object(kind, namespace, name).Object, strings.Split(field, ".")...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", field, kind.Kind, diff)
		}
	}
	ask()
	has(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, "", "strimzi", "metadata.labels", map[string]any{
		"pod-security.kubernetes.io/enforce": "restricted", dependencies.Label: "strimzi",
	})
	has(groupKind, "strimzi", "strimzi", "spec.targetNamespaces", []any{"strimzi"})
	has(subscriptionKind, "strimzi", "strimzi-kafka-operator", "spec", map[string]any{
		"name": "strimzi-kafka-operator", "channel": "stable", "source": "community", "sourceNamespace": "olm", "installPlanApproval": "Automatic",
	})
	dependency.Packages[0].InstallMode = dependencies.AllNamespaces
	ask()
	has(groupKind, "strimzi", "strimzi", "spec.targetNamespaces", nil)
}

func TestUpdate(t *testing.T) {
	present := catalog + namespace + group
	tests := map[string]struct {
		change  func(*dependencies.Dependency)
		objects string
		writes  []string
		changed bool
		problem string
	}{
		"nothing differs": {objects: present + subscribed(with(atLatest))},
		"another channel": {
			change: func(d *dependencies.Dependency) { d.Packages[0].Channel = "next" }, objects: present + subscribed(with(atLatest)),
			writes: []string{"apply Subscription strimzi/strimzi-kafka-operator"}, changed: true,
		},
		"a channel that no catalogue has": {
			change: func(d *dependencies.Dependency) { d.Packages[0].Channel = "none" }, objects: present + subscribed(with(atLatest)),
			problem: "has no channel none",
		},
		"another namespace in the table, where it does not move": {
			change: func(d *dependencies.Dependency) { d.Namespace, d.Packages[0].Channel = "elsewhere", "next" }, objects: present + subscribed(with(atLatest)),
			writes: []string{"apply Subscription strimzi/strimzi-kafka-operator"}, changed: true,
		},
		"the OperatorGroup is gone": {
			objects: catalog + namespace + subscribed(with(atLatest)), writes: []string{"apply OperatorGroup strimzi/strimzi"}, changed: true,
		},
		"the Subscription is being deleted": {
			change:  func(d *dependencies.Dependency) { d.Packages[0].Channel = "next" },
			objects: present + strings.Replace(subscribed(with(atLatest)), "labels: {", "deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [example.com/x], labels: {", 1),
		},
		"somebody else's": {
			objects: present + strings.Replace(subscribed(with(atLatest)), "opendatahub.io/dependency: strimzi", "a: b", 1),
			change:  func(d *dependencies.Dependency) { d.Packages[0].Channel = "next" },
		},
		"what is left of a removal": {
			objects: present + strings.Replace(version("1.1.0", "", succeeded), "labels: {", "labels: {opendatahub.io/dependency: strimzi, ", 1),
			writes:  []string{"delete ClusterServiceVersion strimzi/strimzi.v1.1.0", "delete OperatorGroup strimzi/strimzi"}, changed: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dependency := kafkaOperator()
			if test.change != nil {
				test.change(&dependency)
			}
			l := newLab(t, test.objects, offering("community", "stable", "1.2.0"), offering("operatorhub", "next", "1.3.0"))
			changed, err := l.olm.Update(t.Context(), dependency, *l.find(dependency))
			if changed != test.changed || (err != nil) != (test.problem != "") || err != nil && !strings.Contains(err.Error(), test.problem) {
				t.Errorf("changed = %v, err = %v", changed, err)
			}
			l.writes(test.writes...)
		})
	}
}

func TestRemove(t *testing.T) {
	const (
		label              = "patch ClusterServiceVersion strimzi/strimzi.v1.1.0"
		deleteSubscription = "delete Subscription strimzi/strimzi-kafka-operator"
		deleteVersion      = "delete ClusterServiceVersion strimzi/strimzi.v1.1.0"
		deleteGroup        = "delete OperatorGroup strimzi/strimzi"
	)
	theirs := strings.NewReplacer("name: strimzi-kafka-operator, namespace", "name: theirs, namespace", "opendatahub.io/dependency: strimzi", "a: b").
		Replace(subscribed(with(atLatest)))
	tests := map[string]struct {
		objects string
		writes  []string
		waits   bool
	}{
		"nothing is ours": {
			objects: namespace + strings.Replace(group, "opendatahub.io/dependency: strimzi", "a: b", 1) + theirs + version("1.1.0", "", succeeded),
		},
		"everything": {
			objects: namespace + group + subscribed(with(atLatest)) + version("1.1.0", "", succeeded) + version("0.9.0", "", succeeded),
			// The OperatorGroup stays: nobody knows whose 0.9.0 is.
			writes: []string{label, deleteSubscription, deleteVersion},
		},
		"nothing was installed yet": {
			objects: namespace + group + subscribed(with(pending, "{type: InstallPlanPending, status: 'True', reason: RequiresApproval}")),
			writes:  []string{deleteSubscription, deleteGroup},
		},
		"OLM is installing it right now": {
			objects: namespace + group + subscribed(with(pending, "{type: InstallPlanPending, status: 'True', reason: Installing}")),
			waits:   true,
		},
		"OLM is upgrading, and the new version is there": {
			objects: namespace + group + subscribed(with(atLatest, "{type: InstallPlanPending, status: 'True', reason: Installing}")) + version("1.1.0", "", "{phase: Pending}"),
			writes:  []string{label, deleteSubscription, deleteVersion, deleteGroup},
		},
		"an upgrade waits for approval": {
			objects: namespace + group + subscribed("{state: UpgradePending, currentCSV: strimzi.v1.2.0, installedCSV: strimzi.v1.1.0, installPlanRef: {name: install-abc}, "+
				"conditions: [{type: InstallPlanPending, status: 'True', reason: RequiresApproval}]}") + version("1.1.0", "", succeeded),
			writes: []string{label, deleteSubscription, deleteVersion, deleteGroup},
		},
		"two of ours, of which one is being installed": {
			objects: namespace + strings.Replace(subscribed(with(pending, "{type: InstallPlanPending, status: 'True', reason: Installing}")), "namespace: strimzi", "namespace: a", 1) +
				subscribed(with(atLatest)) + version("1.1.0", "", succeeded),
			writes: []string{label, deleteSubscription}, waits: true,
		},
		"somebody's Subscription asks for the same version": {
			objects: namespace + group + subscribed(with(atLatest)) + theirs + version("1.1.0", "", succeeded),
			writes:  []string{deleteSubscription},
		},
		"OLM is cleaning up": {
			objects: namespace + group + strings.Replace(version("1.1.0", "", succeeded), "labels: {",
				"deletionTimestamp: '2026-01-01T00:00:00Z'\n  finalizers: [example.com/x]\n  labels: {opendatahub.io/dependency: strimzi, ", 1),
			waits: true,
		},
		"OLM is cleaning up one of two": {
			objects: strings.Replace(version("1.0.0", "", succeeded), "labels: {",
				"deletionTimestamp: '2026-01-01T00:00:00Z'\n  finalizers: [example.com/x]\n  labels: {opendatahub.io/dependency: strimzi, ", 1) +
				strings.Replace(version("1.1.0", "", succeeded), "labels: {", "labels: {opendatahub.io/dependency: strimzi, ", 1),
			writes: []string{deleteVersion}, waits: true,
		},
		"two groups of ours, of which somebody uses one": {
			objects: namespace + strings.Replace(group, "namespace: strimzi", "namespace: a", 1) + strings.Replace(theirs, "namespace: strimzi", "namespace: a", 1) + group,
			writes:  []string{deleteGroup},
		},
		"a copy that has our label": {
			objects: namespace + group + strings.Replace(version("1.1.0", "", succeeded), "labels: {", "labels: {olm.copiedFrom: kafka, opendatahub.io/dependency: strimzi, ", 1),
			writes:  []string{deleteGroup},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.objects)
			gone, err := l.olm.Remove(t.Context(), kafkaOperator())
			if err != nil || gone == test.waits {
				t.Errorf("gone = %v, err = %v", gone, err)
			}
			l.writes(test.writes...)
		})
	}
}

// TestRemoveIsInterrupted: whatever was done before, what is left is still ours, and the next attempt goes on.
func TestRemoveIsInterrupted(t *testing.T) {
	const all = 4
	for done := range all {
		l := newLab(t, namespace+group+subscribed(with(atLatest))+version("1.1.0", "", succeeded))
		left := done
		l.cluster.Fail = func(string, client.Object) error {
			if left--; left < 0 {
				return errors.New("interrupted")
			}
			return nil
		}
		if _, err := l.olm.Remove(t.Context(), kafkaOperator()); err == nil {
			t.Fatalf("%d writes were enough", done)
		}
		if found := l.find(kafkaOperator()); found != nil && !found.Ours {
			t.Errorf("after %d writes it is somebody else's: %+v", done, found.Status)
		}
		l.cluster.Fail = nil
		if gone, err := l.olm.Remove(t.Context(), kafkaOperator()); !gone || err != nil {
			t.Errorf("after %d writes: gone = %v, err = %v", done, gone, err)
		}
		if l.cluster.Object(groupKind, "strimzi", "strimzi") != nil || l.find(kafkaOperator()) != nil {
			t.Errorf("after %d writes something is left", done)
		}
	}
}
