package installer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

// A standby that becomes the leader must go on from the last report of the leader before it, not from what it would have read at its start.
func TestAStandbyKeepsTheLastWordsOfTheLeader(t *testing.T) {
	l := newLab(t)
	leader := l.r.report
	standby := &reporter{client: leader.client, reader: leader.reader, namespace: leader.namespace, authority: leader.authority}
	say := func(by *reporter, name string, state v1alpha1.DependencyState) {
		t.Helper()
		if _, err := by.set(t.Context(), name, &v1alpha1.DependencyStatus{Name: name, State: state}); err != nil {
			t.Fatal(err)
		}
	}
	if err := leader.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	say(leader, "Strimzi", v1alpha1.DependencyInstalling)
	if _, ok := standby.get("Strimzi"); ok {
		t.Error("the standby read the report before it leads")
	}
	say(leader, "Strimzi", v1alpha1.DependencyReady)

	for range 2 { // the second time it has its own report, and reads nothing
		if err := standby.load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	say(standby, "Rook", v1alpha1.DependencyInstalling)
	published := &corev1.ConfigMap{}
	if err := leader.reader.Get(t.Context(), client.ObjectKey{Namespace: leader.namespace, Name: dependencies.ReportName}, published); err != nil {
		t.Fatal(err)
	}
	report, err := dependencies.ReadReport(published.Data)
	if err != nil {
		t.Fatal(err)
	}
	if got := report["Strimzi"].State; got != v1alpha1.DependencyReady {
		t.Errorf("Strimzi is %q in the report, want what the leader said last", got)
	}
	if got := report["Rook"].State; got != v1alpha1.DependencyInstalling {
		t.Errorf("Rook is %q in the report", got)
	}
}

// The manager learns from the report who signed the certificate of the installer's metrics, also when it changes.
func TestTheReportSaysWhoSignedTheMetrics(t *testing.T) {
	l := newLab(t)
	authority := []byte("first")
	l.r.report.authority = func() []byte { return authority }
	if err := l.r.report.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	published := func() string {
		t.Helper()
		config := &corev1.ConfigMap{}
		if err := l.r.report.reader.Get(t.Context(), client.ObjectKey{Namespace: l.r.report.namespace, Name: dependencies.ReportName}, config); err != nil {
			t.Fatal(err)
		}
		return string(config.BinaryData[dependencies.ReportAuthority])
	}
	if got := published(); got != "first" {
		t.Errorf("the report says %q", got)
	}
	authority = []byte("second")
	if err := l.r.report.restore(t.Context(), l.r.report.reader); err != nil {
		t.Fatal(err)
	}
	if got := published(); got != "second" {
		t.Errorf("the report says %q after a change", got)
	}
}
