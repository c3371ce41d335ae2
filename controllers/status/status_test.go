package status_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/controllers/clustertest"
	"opendatahub.io/operator/controllers/status"
)

const (
	kafka = "opendatahub-kafka"
	other = "opendatahub-jupyterHub"
)

// desk is a writer, its cluster, and a clock that moves only when told.
type desk struct {
	*testing.T
	cluster *clustertest.Cluster
	now     time.Time
	wrote   int
	writer  *status.Writer
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	odh := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "odh", Generation: 1}}
	d := &desk{T: t, cluster: clustertest.New(t, odh), now: time.Now()}
	d.writer = &status.Writer{
		Client: d.cluster,
		Now:    func() time.Time { return d.now },
		Wrote:  func(*v1alpha1.OpenDataHub) { d.wrote++ },
	}
	return d
}

func (d *desk) odh() *v1alpha1.OpenDataHub {
	d.Helper()
	odh := &v1alpha1.OpenDataHub{}
	if err := d.cluster.Get(d.Context(), client.ObjectKey{Namespace: "lab", Name: "odh"}, odh); err != nil {
		d.Fatal(err)
	}
	return odh
}

// write writes a report, checks whether that took a request, and returns how long the report has to wait.
func (d *desk) write(manager string, report status.Report, wantWrite bool) time.Duration {
	d.Helper()
	wrote, wait, err := d.writer.Write(d.Context(), d.odh(), manager, report)
	if err != nil {
		d.Fatal(err)
	}
	if requests := d.cluster.Writes(); wrote != wantWrite || (len(requests) == 1) != wantWrite || len(requests) > 1 {
		d.Fatalf("wrote = %v with the requests %q, want %v", wrote, requests, wantWrite)
	}
	return wait
}

func (d *desk) condition(kind string) metav1.Condition {
	d.Helper()
	condition := meta.FindStatusCondition(d.odh().Status.Conditions, kind)
	if condition == nil {
		d.Fatalf("there is no condition %s", kind)
	}
	return *condition
}

func says(kind string, value metav1.ConditionStatus, reason, message string) status.Report {
	return status.Report{
		Conditions: []metav1.Condition{{Type: kind, Status: value, Reason: reason, Message: message, ObservedGeneration: 1}},
		Component:  &v1alpha1.ComponentStatus{Name: strings.ToLower(kind[:1]) + strings.TrimSuffix(kind[1:], "Ready"), Objects: 3},
	}
}

func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	d := newDesk(t)
	report := func() status.Report {
		return says("KafkaReady", metav1.ConditionFalse, "Progressing", "1 of 3 brokers ready")
	}
	d.write(kafka, report(), true)
	d.now = d.now.Add(time.Hour)
	if wait := d.write(kafka, report(), false); wait != 0 {
		t.Errorf("nothing changed, and still it waits %s", wait)
	}
	if d.wrote != 1 {
		t.Errorf("the answers of %d writes were passed on, want 1", d.wrote)
	}
}

func TestTransitionTimesMoveOnTransitionsOnly(t *testing.T) {
	d := newDesk(t)
	start := d.now.Truncate(time.Second)
	steps := []struct {
		name   string
		report status.Report
		want   time.Duration // after the start
	}{
		{"the first report", says("KafkaReady", metav1.ConditionFalse, "Progressing", "a"), 0},
		{"another reason", says("KafkaReady", metav1.ConditionFalse, "Degraded", "b"), 0},
		{"ready", says("KafkaReady", metav1.ConditionTrue, "Available", "c"), 2 * time.Minute},
		{"still ready, for the next generation", func() status.Report {
			report := says("KafkaReady", metav1.ConditionTrue, "Available", "c")
			report.Conditions[0].ObservedGeneration = 2
			return report
		}(), 2 * time.Minute},
		{"no longer ready", says("KafkaReady", metav1.ConditionFalse, "Degraded", "d"), 4 * time.Minute},
	}
	for _, step := range steps {
		d.write(kafka, step.report, true)
		if got := d.condition("KafkaReady").LastTransitionTime.Sub(start); got != step.want {
			t.Errorf("%s: the last transition was %s after the start, want %s", step.name, got, step.want)
		}
		d.now = d.now.Add(time.Minute)
	}
}

// TestNewsWaits tells news of progress from transitions: a rolling update must not become a stream of writes.
func TestNewsWaits(t *testing.T) {
	d := newDesk(t)
	d.write(kafka, says("KafkaReady", metav1.ConditionFalse, "Progressing", "0 of 3 brokers ready"), true)
	var written time.Time
	for _, entry := range d.odh().ManagedFields {
		if entry.Manager == kafka {
			written = entry.Time.Time
		}
	}
	news := says("KafkaReady", metav1.ConditionFalse, "Progressing", "1 of 3 brokers ready")

	d.now = written.Add(3 * time.Second)
	if wait := d.write(kafka, news, false); wait != status.Interval-3*time.Second {
		t.Errorf("it waits %s, want the rest of the interval", wait)
	}
	d.now = written.Add(-time.Hour) // the API server's clock is ahead
	if wait := d.write(kafka, news, false); wait != status.Interval {
		t.Errorf("it waits %s, want no more than the interval", wait)
	}
	d.now = written.Add(4 * time.Second)
	objects := says("KafkaReady", metav1.ConditionFalse, "Progressing", "0 of 3 brokers ready")
	objects.Component.Objects++
	if wait := d.write(kafka, objects, false); wait == 0 {
		t.Error("a changed object count is lost: nothing was written and nothing waits")
	}

	d.write(kafka, says("KafkaReady", metav1.ConditionFalse, "Degraded", "a transition does not wait"), true)
	d.now = time.Now().Add(2 * status.Interval)
	d.write(kafka, says("KafkaReady", metav1.ConditionFalse, "Degraded", "old news do not wait"), true)
	if got := d.condition("KafkaReady").Message; got != "old news do not wait" {
		t.Errorf("message = %q", got)
	}
}

func TestEveryWriterOwnsItsEntriesOnly(t *testing.T) {
	d := newDesk(t)
	d.write(kafka, says("KafkaReady", metav1.ConditionTrue, "Available", ""), true)
	d.write(other, says("JupyterHubReady", metav1.ConditionTrue, "Available", ""), true)
	summary := status.Report{
		Conditions: []metav1.Condition{
			{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Progressing", ObservedGeneration: 1},
			{Type: "Reconciling", Status: metav1.ConditionTrue, Reason: "Progressing", ObservedGeneration: 1},
		},
		Summary: &status.Summary{ObservedGeneration: 1, ComponentsReady: "2/2"},
	}
	d.write("opendatahub", summary, true)
	ready := summary
	ready.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Available", ObservedGeneration: 1}}
	d.write("opendatahub", ready, true)
	if diff := cmp.Diff([]string{"JupyterHubReady", "KafkaReady", "Ready"}, conditions(d.odh())); diff != "" {
		t.Errorf("Reconciling was left out of the last report (-want +got):\n%s", diff)
	}

	d.write(kafka, status.Report{}, true)
	odh := d.odh()
	if diff := cmp.Diff([]string{"JupyterHubReady", "Ready"}, conditions(odh)); diff != "" {
		t.Errorf("after Kafka took its entries back (-want +got):\n%s", diff)
	}
	if len(odh.Status.Components) != 1 || odh.Status.Components[0].Name != "jupyterHub" {
		t.Errorf("components = %v, want JupyterHub's only", odh.Status.Components)
	}
	if odh.Status.ComponentsReady != "2/2" || odh.Status.ObservedGeneration != 1 {
		t.Errorf("the summary is gone: %q, %d", odh.Status.ComponentsReady, odh.Status.ObservedGeneration)
	}
	d.write(kafka, status.Report{}, false)
}

func TestComponentsAreSorted(t *testing.T) {
	d := newDesk(t)
	names := []string{"kafka", "jupyterHub"}
	sort := func(odh *v1alpha1.OpenDataHub, wantAgain bool, wantRequests int) {
		t.Helper()
		again, err := d.writer.Sort(d.Context(), odh, "opendatahub", names)
		if requests := d.cluster.Writes(); err != nil || again != wantAgain || len(requests) != wantRequests {
			t.Fatalf("again %t, %v, %q", again, err, requests)
		}
	}
	d.write(other, says("JupyterHubReady", metav1.ConditionTrue, "Available", ""), true)
	stale := d.odh()
	d.write(kafka, says("KafkaReady", metav1.ConditionTrue, "Available", ""), true)
	stale.Status.Components = d.odh().Status.Components

	sort(stale, true, 1)
	sort(d.odh(), false, 1)
	odh := d.odh()
	if got := []string{odh.Status.Components[0].Name, odh.Status.Components[1].Name}; !slices.Equal(got, names) {
		t.Errorf("components are in the order %v", got)
	}
	sort(odh, false, 0)

	d.write(other, says("JupyterHubReady", metav1.ConditionFalse, "Degraded", ""), true)
	sort(d.odh(), false, 0)
	d.write(kafka, status.Report{}, true)
	if left := d.odh().Status.Components; len(left) != 1 || left[0].Name != "jupyterHub" {
		t.Errorf("kafka's entry is still its own, and is gone with it: %v", left)
	}
}

func TestTheObjectStorageComesAndGoesWithTheSummary(t *testing.T) {
	d := newDesk(t)
	report := func(storage *v1alpha1.ObjectStorageStatus) status.Report {
		return status.Report{Summary: &status.Summary{ObservedGeneration: 1, ComponentsReady: "0/0", ObjectStorage: storage}}
	}
	storage := &v1alpha1.ObjectStorageStatus{
		Type: v1alpha1.ObjectStorageExternal, Endpoint: "https://s3.example.com",
		Buckets: []v1alpha1.BucketStatus{{Purpose: "models", CredentialsSecret: "s3"}},
	}
	d.write("opendatahub", report(storage), true)
	if diff := cmp.Diff(storage, d.odh().Status.ObjectStorage); diff != "" {
		t.Errorf("status.objectStorage (-want +got):\n%s", diff)
	}
	d.write("opendatahub", report(storage), false)
	d.now = d.now.Add(status.Interval)
	d.write("opendatahub", report(nil), true)
	if got := d.odh().Status.ObjectStorage; got != nil {
		t.Errorf("it is still there: %v", got)
	}
}

func conditions(odh *v1alpha1.OpenDataHub) []string {
	var all []string
	for _, condition := range odh.Status.Conditions {
		all = append(all, condition.Type)
	}
	slices.Sort(all)
	return all
}

func TestASummaryOfAnotherGenerationIsWrittenAtOnce(t *testing.T) {
	d := newDesk(t)
	report := func(generation int64) status.Report {
		return status.Report{Summary: &status.Summary{ObservedGeneration: generation, ComponentsReady: "0/0"}}
	}
	d.write("opendatahub", report(1), true)
	d.write("opendatahub", report(1), false)
	d.write("opendatahub", report(2), true)
}

// TestADeletedResourceStaysDeleted writes for a resource that was deleted meanwhile, and for one that was recreated.
func TestADeletedResourceStaysDeleted(t *testing.T) {
	report := says("KafkaReady", metav1.ConditionTrue, "Available", "")
	d := newDesk(t)
	old := d.odh()
	d.cluster.Do(old, func(c client.Client) error { return c.Delete(t.Context(), old.DeepCopy()) })
	if _, _, err := d.writer.Write(t.Context(), old, kafka, report); !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		t.Errorf("err = %v, want a conflict or not found", err)
	}
	if d.cluster.Object(v1alpha1.GroupVersion.WithKind("OpenDataHub"), "lab", "odh") != nil {
		t.Fatal("the status write brought the resource back")
	}

	successor := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "odh", UID: "another"}}
	d.cluster.Do(successor, func(c client.Client) error { return c.Create(t.Context(), successor) })
	if _, _, err := d.writer.Write(t.Context(), old, kafka, report); !apierrors.IsConflict(err) {
		t.Errorf("err = %v, want a conflict", err)
	}
	if got := conditions(d.odh()); len(got) != 0 {
		t.Errorf("the successor has its predecessor's conditions %v", got)
	}
	if d.wrote != 0 {
		t.Error("a failed write was passed on as an answer")
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	d := newDesk(t)
	d.write(kafka, says("KafkaReady", metav1.ConditionFalse, "Degraded", strings.Repeat("ü", 5000)), true)
	message := []rune(d.condition("KafkaReady").Message)
	if len(message) != 4096 || message[4095] != '…' || message[4094] != 'ü' {
		t.Errorf("the message has %d characters and ends in %q", len(message), string(message[len(message)-2:]))
	}
	d.now = d.now.Add(time.Hour)
	d.write(kafka, says("KafkaReady", metav1.ConditionFalse, "Degraded", strings.Repeat("ü", 5000)), false)
}
