package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlfake "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/clustertest"
	"opendatahub.io/operator/controllers/status"
	"opendatahub.io/operator/controllers/watch"
	"opendatahub.io/operator/dependencies"
)

// fakeKafka renders nothing by itself and refers to what it is told.
type fakeKafka struct{ references []components.Reference }

func (fakeKafka) Name() string { return "kafka" }

func (fakeKafka) Kinds() []kinds.Kind {
	return []kinds.Kind{kinds.ConfigMap, kinds.Route, kafka.Kafka, kafka.Topic}
}

func (fakeKafka) Render(components.Facts) ([]components.Object, error) { return nil, nil }

func (fakeKafka) Assess(components.Observed) components.Health { return components.Health{} }

func (k fakeKafka) References(components.Facts) []components.Reference { return k.references }

// bench is a component's reconciler with its cluster.
type bench struct {
	*componentReconciler
	cluster *clustertest.Cluster
	clients *fake.Clientset
	events  *events.FakeRecorder
	clock   time.Time
	// installer is what the installer reports; there is none without.
	installer dependencies.Report
}

func newBench(t *testing.T, objects ...client.Object) *bench {
	t.Helper()
	b := &bench{cluster: clustertest.New(t, objects...), clients: fake.NewClientset(), events: events.NewFakeRecorder(100), clock: time.Now()}
	now := func() time.Time { return b.clock }
	queues := watch.NewQueues()
	children := b.cluster.ChildrenWaking(queues.Wake, kinds.ConfigMap.GVK(), kinds.Pod.GVK())
	odhs := &odhs{cache: b.cluster.Cache(), overlay: watch.NewOverlay[*v1alpha1.OpenDataHub](now)}
	if err := odhs.observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.componentReconciler = &componentReconciler{
		component: fakeKafka{}, condition: "KafkaReady", all: []components.Component{fakeKafka{}},
		client: b.cluster, reader: b.cluster, odhs: odhs, children: children, queues: queues,
		apis:        watch.NewAPIs(b.clients.Discovery(), fakeKafka{}.Kinds()),
		secrets:     watch.NewReferences(b.clients, queues.Wake),
		applier:     &apply.Applier{Client: b.cluster, Reader: b.cluster, Children: children},
		status:      &status.Writer{Client: b.cluster, Now: now, Wrote: odhs.overlay.Wrote},
		events:      b.events,
		access:      &access{everywhere: true},
		now:         now,
		authorities: func() components.MetricsAuthorities { return components.MetricsAuthorities{} },
		watchesCRDs: true,
	}
	b.operators = &operators{
		table: dependencies.Default(), all: []components.Component{fakeKafka{}}, apis: b.apis,
		report: func() dependencies.Report { return b.installer },
	}
	t.Cleanup(func() { componentReady.remove(types.NamespacedName{Namespace: "lab", Name: "odh"}, "kafka") })
	return b
}

func odhNamed(name string, change func(*v1alpha1.OpenDataHub)) *v1alpha1.OpenDataHub {
	odh := &v1alpha1.OpenDataHub{}
	odh.Namespace, odh.Name, odh.Generation = "lab", name, 2
	if change != nil {
		change(odh)
	}
	return odh
}

func (b *bench) odh(t *testing.T) *v1alpha1.OpenDataHub {
	t.Helper()
	odh, err := b.odhs.get(t.Context(), types.NamespacedName{Namespace: "lab", Name: "odh"})
	if err != nil || odh == nil {
		t.Fatalf("reading the platform: %v, %v", odh, err)
	}
	return odh
}

func (b *bench) recorded() []string {
	var all []string
	for {
		select {
		case event := <-b.events.Events:
			all = append(all, event)
		default:
			return all
		}
	}
}

// readyMetrics are the values of opendatahub_component_ready.
func readyMetrics(t *testing.T) []float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var values []float64
	for _, family := range families {
		if family.GetName() == "opendatahub_component_ready" {
			for _, metric := range family.GetMetric() {
				values = append(values, metric.GetGauge().GetValue())
			}
		}
	}
	return values
}

func TestReport(t *testing.T) {
	clock := time.Now()
	failure := func(reason string, terminal bool) error {
		return &components.Failure{Reason: reason, Terminal: terminal, Err: errors.New("what is wrong")}
	}
	tests := map[string]struct {
		state     v1alpha1.ManagementState
		observed  outcome
		err       error
		oneByOne  bool // the manager watches some namespaces only
		want      string
		wantAgain time.Duration
		wantRetry bool
		wantEvent string
	}{
		"ready": {
			observed: outcome{Health: components.Health{State: components.Ready, Message: "3 of 3 brokers ready"}},
			want:     "True/Available: 3 of 3 brokers ready", wantEvent: "Normal Available kafka: 3 of 3 brokers ready",
		},
		"on its way": {
			observed: outcome{Health: components.Health{State: components.Progressing, Message: "1 of 3 brokers ready"}},
			want:     "False/Progressing: 1 of 3 brokers ready", wantEvent: "Normal Progressing kafka: 1 of 3 brokers ready",
		},
		"a state that says nothing is not healthy": {
			observed: outcome{}, want: "False/Progressing: ", wantEvent: "Normal Progressing kafka: ",
		},
		"broken": {
			observed: outcome{Health: components.Health{State: components.Degraded, Message: "no disk"}},
			want:     "False/Degraded: no disk", wantEvent: "Warning Degraded kafka: no disk",
		},
		"an invalid spec is not retried": {
			err:  failure(v1alpha1.ReasonInvalidSpec, true),
			want: "False/InvalidSpec: what is wrong", wantEvent: "Warning InvalidSpec kafka: what is wrong",
		},
		"a missing API is watched": {
			err:  failure(v1alpha1.ReasonAPINotInstalled, false),
			want: "False/APINotInstalled: what is wrong", wantEvent: "Warning APINotInstalled kafka: what is wrong",
		},
		"a missing API that cannot be watched is asked for": {
			err: failure(v1alpha1.ReasonAPINotInstalled, false), oneByOne: true,
			want: "False/APINotInstalled: what is wrong", wantEvent: "Warning APINotInstalled kafka: what is wrong",
		},
		"a namespace that is too strict is asked again": {
			err: failure(v1alpha1.ReasonPodSecurityTooStrict, false), wantAgain: admissionInterval,
			want: "False/PodSecurityTooStrict: what is wrong", wantEvent: "Warning PodSecurityTooStrict kafka: what is wrong",
		},
		"rights that nobody has granted are asked for again": {
			err: failure(v1alpha1.ReasonAccessNotGranted, false), wantAgain: admissionInterval,
			want: "False/AccessNotGranted: what is wrong", wantEvent: "Warning AccessNotGranted kafka: what is wrong",
		},
		"a definition that is too old is tried again, seldom": {
			err: failure(v1alpha1.ReasonVersionNotSupported, false), wantAgain: versionInterval,
			want: "False/VersionNotSupported: what is wrong", wantEvent: "Warning VersionNotSupported kafka: what is wrong",
		},
		"what was observed too long ago is not known": {
			observed: outcome{Health: components.Health{State: components.Unknown, Message: "silence"}},
			want:     "Unknown/Outdated: silence", wantEvent: "Warning Outdated kafka: silence",
		},
		"a verdict that expires is made again": {
			observed:  outcome{Health: components.Health{State: components.Ready, Message: "all is well", Expires: clock.Add(time.Hour)}},
			wantAgain: time.Hour, want: "True/Available: all is well", wantEvent: "Normal Available kafka: all is well",
		},
		"a missing Secret is watched": {
			err:  failure(v1alpha1.ReasonReferenceNotFound, false),
			want: "False/ReferenceNotFound: what is wrong", wantEvent: "Warning ReferenceNotFound kafka: what is wrong",
		},
		"a failed apply is retried": {
			err: failure(v1alpha1.ReasonApplyFailed, false), wantRetry: true,
			want: "False/ApplyFailed: what is wrong", wantEvent: "Warning ApplyFailed kafka: what is wrong",
		},
		"a conflict is retried": {
			err: failure(v1alpha1.ReasonConflict, false), wantRetry: true,
			want: "False/Conflict: what is wrong", wantEvent: "Warning Conflict kafka: what is wrong",
		},
		"left alone, and still judged": {
			state: v1alpha1.Unmanaged, observed: outcome{Health: components.Health{State: components.Ready, Message: "3 of 3 brokers ready"}},
			want:      "True/Unmanaged: managementState is Unmanaged, so nothing is changed: 3 of 3 brokers ready",
			wantEvent: "Normal Unmanaged kafka: managementState is Unmanaged, so nothing is changed: 3 of 3 brokers ready",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, odhNamed("odh", nil))
			b.watchesCRDs, b.clock = !test.oneByOne, clock
			result, err := b.report(t.Context(), b.odh(t), test.state, test.observed, test.err)
			if (err != nil) != test.wantRetry {
				t.Errorf("err = %v", err)
			}
			if result.RequeueAfter.Round(time.Second) != test.wantAgain {
				t.Errorf("looks again after %s, want %s", result.RequeueAfter, test.wantAgain)
			}
			condition := meta.FindStatusCondition(b.odh(t).Status.Conditions, "KafkaReady")
			if condition == nil {
				t.Fatal("there is no condition")
			}
			if got := string(condition.Status) + "/" + condition.Reason + ": " + condition.Message; got != test.want {
				t.Errorf("condition = %s\nwant        %s", got, test.want)
			}
			if condition.ObservedGeneration != 2 {
				t.Errorf("the condition speaks of generation %d", condition.ObservedGeneration)
			}
			if diff := cmp.Diff([]string{test.wantEvent}, b.recorded()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			ready := 0.0
			if strings.HasPrefix(test.want, "True") {
				ready = 1
			}
			if diff := cmp.Diff([]float64{ready}, readyMetrics(t)); diff != "" {
				t.Errorf("opendatahub_component_ready (-want +got):\n%s", diff)
			}

			// The same again: no write, no event.
			b.cluster.Writes()
			if _, err := b.report(t.Context(), b.odh(t), test.state, test.observed, test.err); (err != nil) != test.wantRetry {
				t.Errorf("again: err = %v", err)
			}
			if again := append(b.cluster.Writes(), b.recorded()...); len(again) > 0 {
				t.Errorf("the same outcome is reported twice: %q", again)
			}
		})
	}
}

func TestReportKeepsWhereTheComponentIsReached(t *testing.T) {
	b := newBench(t, odhNamed("odh", nil))
	ready := outcome{Health: components.Health{State: components.Ready, Version: "4.1.0", CredentialsSecret: "odh-kafka-admin",
		Endpoints: []v1alpha1.Endpoint{{Name: "bootstrap", URL: "odh:9093"}}}, objects: 7}
	if _, err := b.report(t.Context(), b.odh(t), v1alpha1.Managed, ready, nil); err != nil {
		t.Fatal(err)
	}
	want := b.odh(t).Status.Components
	if len(want) != 1 || want[0].Objects != 7 || want[0].Version != "4.1.0" || len(want[0].Endpoints) != 1 {
		t.Fatalf("components = %v", want)
	}
	failure := &components.Failure{Reason: v1alpha1.ReasonInvalidSpec, Terminal: true, Err: errors.New("edit it")}
	if _, err := b.report(t.Context(), b.odh(t), v1alpha1.Managed, outcome{}, failure); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.odh(t).Status.Components); diff != "" {
		t.Errorf("after a failure (-want +got):\n%s", diff)
	}
}

func TestReportTellsOfAFailedStatusWrite(t *testing.T) {
	b := newBench(t, odhNamed("odh", nil))
	unreachable := errors.New("no route to host")
	b.cluster.Fail = func(string, client.Object) error { return unreachable }
	_, err := b.report(t.Context(), b.odh(t), v1alpha1.Managed, outcome{}, nil)
	if !errors.Is(err, unreachable) {
		t.Errorf("err = %v", err)
	}
	if events := b.recorded(); len(events) > 0 {
		t.Errorf("Events although the status was not written: %q", events)
	}
}

// TestReportSettles: a component that is ready again within a moment stays reported as ready.
func TestReportSettles(t *testing.T) {
	b := newBench(t, odhNamed("odh", nil))
	ready := outcome{Health: components.Health{State: components.Ready}}
	moving := outcome{Health: components.Health{State: components.Progressing, Message: "2 of 3 brokers ready"}}
	report := func(observed outcome, wantAgain time.Duration, wantStatus metav1.ConditionStatus) {
		t.Helper()
		result, err := b.report(t.Context(), b.odh(t), v1alpha1.Managed, observed, nil)
		if err != nil {
			t.Fatal(err)
		}
		if result.RequeueAfter != wantAgain {
			t.Errorf("looks again after %s, want %s", result.RequeueAfter, wantAgain)
		}
		if got := meta.FindStatusCondition(b.odh(t).Status.Conditions, "KafkaReady").Status; got != wantStatus {
			t.Errorf("status = %s, want %s", got, wantStatus)
		}
	}
	report(ready, 0, metav1.ConditionTrue)
	report(moving, progressGrace, metav1.ConditionTrue)
	b.clock = b.clock.Add(progressGrace / 4)
	report(moving, progressGrace*3/4, metav1.ConditionTrue)
	report(ready, 0, metav1.ConditionTrue)
	b.clock = b.clock.Add(progressGrace)
	report(moving, progressGrace, metav1.ConditionTrue)
	b.clock = b.clock.Add(progressGrace)
	report(moving, 0, metav1.ConditionFalse)
	report(outcome{Health: components.Health{State: components.Ready}}, 0, metav1.ConditionTrue)
	report(outcome{Health: components.Health{State: components.Degraded}}, 0, metav1.ConditionFalse)
}

// TestReportUpdates: a component that was ready stays so while it restarts what this process changed at its first look, for some time and once.
func TestReportUpdates(t *testing.T) {
	ready := outcome{Health: components.Health{State: components.Ready}}
	moving := outcome{Health: components.Health{State: components.Progressing, Message: "0 of 1 Pods ready"}}
	broken := outcome{Health: components.Health{State: components.Degraded, Message: "it crashes"}}
	type look struct {
		after    time.Duration
		observed outcome
		want     string
		again    time.Duration
	}
	settled := look{progressGrace, moving, "True/Updating: 0 of 1 Pods ready", updateGrace - progressGrace}
	for name, test := range map[string]struct {
		change apply.Action
		looks  []look
	}{
		"until it is ready": {apply.Configured, []look{
			settled,
			{time.Minute, moving, "True/Updating: 0 of 1 Pods ready", updateGrace - progressGrace - time.Minute},
			{time.Second, ready, "True/Available: ", 0},
			{time.Second, moving, "True/Available: ", progressGrace},
			{progressGrace, moving, "False/Progressing: 0 of 1 Pods ready", 0}, // that is no update
		}},
		"until it has taken too long": {apply.Configured, []look{
			settled,
			{updateGrace, moving, "False/Progressing: 0 of 1 Pods ready", 0},
		}},
		"until it is broken": {apply.Configured, []look{
			settled,
			{time.Second, broken, "False/Degraded: it crashes", 0},
			{time.Second, moving, "False/Progressing: 0 of 1 Pods ready", 0},
		}},
		"not when somebody else had changed the object": {apply.Restored, []look{
			{progressGrace, moving, "False/Progressing: 0 of 1 Pods ready", 0},
		}},
		"not when nothing changed": {"", []look{
			{progressGrace, moving, "False/Progressing: 0 of 1 Pods ready", 0},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, odhNamed("odh", nil))
			if _, err := b.report(t.Context(), b.odh(t), v1alpha1.Managed, ready, nil); err != nil {
				t.Fatal(err)
			}
			b.updated.Clear() // what another process had deployed
			var changes []apply.Change
			if test.change != "" {
				changes = append(changes, apply.Change{Action: test.change})
			}
			b.tookOver(b.odh(t), changes)
			b.tookOver(b.odh(t), nil)
			for i, look := range append([]look{{0, moving, "True/Available: ", progressGrace}}, test.looks...) {
				b.clock = b.clock.Add(look.after)
				result, err := b.report(t.Context(), b.odh(t), v1alpha1.Managed, look.observed, nil)
				if err != nil {
					t.Fatal(err)
				}
				condition := meta.FindStatusCondition(b.odh(t).Status.Conditions, "KafkaReady")
				if got := string(condition.Status) + "/" + condition.Reason + ": " + condition.Message; got != look.want || result.RequeueAfter != look.again {
					t.Fatalf("look %d: %s, again after %s; want %s, %s", i, got, result.RequeueAfter, look.want, look.again)
				}
			}
		})
	}
}

func TestReportLooksAgainWhileAWriteIsUnconfirmed(t *testing.T) {
	b := newBench(t, odhNamed("odh", nil))
	written := &unstructured.Unstructured{}
	written.SetGroupVersionKind(kinds.ConfigMap.GVK())
	written.SetNamespace("lab")
	written.SetName("odh-a")
	written.SetResourceVersion("1000")
	written.SetLabels(components.Facts{Platform: components.Platform{Name: "odh"}}.Labels("kafka"))
	b.children.Wrote(written)
	result, err := b.report(t.Context(), b.odh(t), v1alpha1.Managed, outcome{Health: components.Health{State: components.Ready}}, nil)
	if err != nil || result.RequeueAfter != watch.Confirmation {
		t.Errorf("looks again after %s, %v", result.RequeueAfter, err)
	}
}

func TestPlatformOf(t *testing.T) {
	at := func(seconds int64, finalizers ...string) func(*v1alpha1.OpenDataHub) {
		return func(odh *v1alpha1.OpenDataHub) {
			odh.CreationTimestamp = metav1.Unix(seconds, 0)
			odh.Finalizers = finalizers
		}
	}
	elsewhere := odhNamed("a", at(1, "opendatahub.io/kafka"))
	elsewhere.Namespace = "other"
	tests := map[string]struct {
		odhs []client.Object
		want string
	}{
		"none":                         {nil, ""},
		"only in another namespace":    {[]client.Object{elsewhere}, ""},
		"the oldest":                   {[]client.Object{odhNamed("a", at(20)), odhNamed("b", at(10)), elsewhere}, "b"},
		"the name within one second":   {[]client.Object{odhNamed("b", at(10)), odhNamed("a", at(10))}, "a"},
		"who has something deployed":   {[]client.Object{odhNamed("a", at(10)), odhNamed("b", at(20, "opendatahub.io/kafka"))}, "b"},
		"the oldest who has":           {[]client.Object{odhNamed("a", at(30, "opendatahub.io/kafka")), odhNamed("b", at(20, "opendatahub.io/jupyterHub"))}, "b"},
		"somebody else's finalizer":    {[]client.Object{odhNamed("a", at(10)), odhNamed("b", at(20, "argocd.argoproj.io/hook"))}, "a"},
		"a finalizer that looks alike": {[]client.Object{odhNamed("a", at(10)), odhNamed("b", at(20, "opendatahub.io.example.com/x"))}, "a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, test.odhs...)
			platform, err := b.odhs.platformOf(t.Context(), "lab")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if platform != nil {
				got = platform.Name
			}
			if got != test.want {
				t.Errorf("platform = %q, want %q", got, test.want)
			}
		})
	}
}

func TestHubsAreNeverOlderThanOurOwnWrite(t *testing.T) {
	b := newBench(t, odhNamed("odh", nil))
	written := b.odh(t)
	written.ResourceVersion = "1000"
	written.Finalizers = []string{"opendatahub.io/kafka"}
	b.odhs.overlay.Wrote(written)
	if odh := b.odh(t); len(odh.Finalizers) != 1 {
		t.Error("the finalizer that was just written is not seen")
	}
	if platform, err := b.odhs.platformOf(t.Context(), "lab"); err != nil || len(platform.Finalizers) != 1 {
		t.Errorf("the platform's finalizer is not seen: %v", err)
	}
	b.odh(t).Labels = map[string]string{"changed": "by the caller"}
	if len(b.odh(t).Labels) > 0 {
		t.Error("callers share one object")
	}
	if odh, err := b.odhs.get(t.Context(), types.NamespacedName{Namespace: "lab", Name: "another"}); odh != nil || err != nil {
		t.Errorf("got %v, %v for a resource that does not exist", odh, err)
	}
}

func TestMissingReferences(t *testing.T) {
	b := newBench(t, odhNamed("odh", nil))
	b.component = fakeKafka{references: []components.Reference{
		{Field: "spec.a", Name: "complete", Keys: []string{"user", "password"}},
		{Field: "spec.b", Name: "half", Keys: []string{"user", "password"}},
		{Field: "spec.c", Name: "missing", Keys: []string{"key", "crt"}},
	}}
	for _, secret := range []*corev1.Secret{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "complete"}, Data: map[string][]byte{"user": nil, "password": nil}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "half"}, Data: map[string][]byte{"user": nil}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "missing"}, Data: map[string][]byte{"key": nil, "crt": nil}},
	} {
		if err := b.clients.Tracker().Add(secret); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		if err := b.forget(context.WithoutCancel(t.Context()), types.NamespacedName{Namespace: "lab", Name: "odh"}); err != nil {
			t.Error(err)
		}
	}()
	facts, err := b.facts(t.Context(), b.odh(t), nil)
	failure := components.AsFailure(err, "none")
	if failure.Reason != v1alpha1.ReasonReferenceNotFound || failure.Terminal {
		t.Fatalf("err = %v with reason %s", err, failure.Reason)
	}
	want := "Secret half, which spec.b names, lacks the key password; " +
		"Secret missing, which spec.c names, does not exist in namespace lab; create it with the keys key, crt"
	if err.Error() != want {
		t.Errorf("err = %v\nwant  %s", err, want)
	}
	if diff := cmp.Diff([]string{"password", "user"}, facts.Secrets["complete"].Keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// TestLateDefinitionsAreNoticedInNamedNamespaces: with WATCH_NAMESPACE no watch tells when a definition is installed.
func TestLateDefinitionsAreNoticedInNamedNamespaces(t *testing.T) {
	b := newBench(t, odhNamed("odh", func(odh *v1alpha1.OpenDataHub) { odh.Spec.Components.Kafka = &v1alpha1.KafkaSpec{} }))
	b.watchesCRDs = false
	work := map[string]workqueue.TypedRateLimitingInterface[ctrl.Request]{}
	for _, controller := range []string{apisController, "kafka", SummaryManager} {
		work[controller] = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[ctrl.Request]())
		t.Cleanup(work[controller].ShutDown)
		if err := b.queues.Source(controller).Start(t.Context(), work[controller]); err != nil {
			t.Fatal(err)
		}
	}
	groups := &apiReconciler{odhs: b.odhs, apis: b.apis, children: b.children, queues: b.queues, all: []components.Component{b.component}}
	ask := func() ctrl.Result {
		t.Helper()
		result, err := groups.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "kafka.strimzi.io"}})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	if result := ask(); result.RequeueAfter != 0 {
		t.Errorf("nobody waits, and the group is asked again after %s", result.RequeueAfter)
	}

	missing := &components.Failure{Reason: v1alpha1.ReasonAPINotInstalled, Err: errors.New("install Strimzi")}
	if _, err := b.report(t.Context(), b.odh(t), v1alpha1.Managed, outcome{}, missing); err != nil {
		t.Fatal(err)
	}
	if got := work[apisController].Len(); got != 2 { // kafka.strimzi.io and route.openshift.io
		t.Errorf("%d groups are asked for a component that waits", got)
	}
	for range 3 {
		if result := ask(); result.RequeueAfter != apiInterval {
			t.Errorf("the platform waits, and the group is asked again after %s", result.RequeueAfter)
		}
	}
	if got := work["kafka"].Len(); got != 0 {
		t.Error("nothing came, and the component is woken")
	}

	b.clients.Resources = []*metav1.APIResourceList{{GroupVersion: "kafka.strimzi.io/v1", APIResources: []metav1.APIResource{
		{Name: "kafkas", Kind: "Kafka"}, {Name: "kafkatopics", Kind: "KafkaTopic"},
	}}}
	if result := ask(); result.RequeueAfter != 0 {
		t.Errorf("everything came, and the group is asked again after %s", result.RequeueAfter)
	}
	for _, controller := range []string{"kafka", SummaryManager} {
		if work[controller].Len() != 1 {
			t.Errorf("%s is not woken by the definitions that came", controller)
		}
	}
}

func TestMissingKinds(t *testing.T) {
	b := newBench(t)
	b.clients.Resources = []*metav1.APIResourceList{{
		GroupVersion: "kafka.strimzi.io/v1", APIResources: []metav1.APIResource{{Name: "kafkas", Kind: "Kafka"}},
	}}
	b.apis.Discover(t.Context())
	var prepared []apply.Prepared
	for _, kind := range []kinds.Kind{kinds.ConfigMap, kafka.Kafka, kafka.Topic, kinds.Route, kafka.Topic} {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kind.GVK())
		prepared = append(prepared, apply.Prepared{Object: object})
	}
	served := []apply.Served{
		{Use: components.Use{Kind: kinds.ConfigMap}, GVK: kinds.ConfigMap.GVK()}, {Use: components.Use{Kind: kafka.Kafka}, GVK: kafka.Kafka.GVK()},
	}
	applicable, missing := b.split(prepared, served)
	var got []string
	for _, p := range applicable {
		got = append(got, p.Object.GetKind())
	}
	if diff := cmp.Diff([]string{"ConfigMap", "Kafka"}, got); diff != "" {
		t.Errorf("applicable (-want +got):\n%s", diff)
	}
	odh := odhNamed("odh", func(odh *v1alpha1.OpenDataHub) { odh.Spec.Components.Kafka = &v1alpha1.KafkaSpec{} })
	err := b.operators.notInstalled(t.Context(), odh, b.component, missing)
	want := "CRDs kafkatopics.kafka.strimzi.io, routes.route.openshift.io are not installed; install Strimzi, condition DependenciesReady says how; only OpenShift has Routes, " +
		"or set spec.components.kafka.managementState to Removed"
	if err.Error() != want {
		t.Errorf("err = %v\nwant  %s", err, want)
	}
	if reason := components.AsFailure(err, "none").Reason; reason != v1alpha1.ReasonAPINotInstalled {
		t.Errorf("reason = %s", reason)
	}
	for want, reported := range map[string]v1alpha1.DependencyStatus{
		"Strimzi (failed): quay.io does not answer; act on condition DependenciesReady, or set spec.components.kafka.managementState to Removed": {
			State: v1alpha1.DependencyFailed, Message: "quay.io does not answer",
		},
		"Strimzi (installing): Helm is installing it": {State: v1alpha1.DependencyInstalling, Message: "Helm is installing it"},
	} {
		reported.Name = "Strimzi"
		b.installer = dependencies.Report{"Strimzi": reported}
		want = "CRD kafkas.kafka.strimzi.io is not installed; " + want
		if err := b.operators.notInstalled(t.Context(), odh, b.component, []kinds.Kind{kafka.Kafka}); err.Error() != want {
			t.Errorf("err = %v\nwant  %s", err, want)
		}
	}
}

// exposed is a component that may be reached through the Gateway API.
type exposed struct{ fakeKafka }

func (exposed) Kinds() []kinds.Kind { return []kinds.Kind{kinds.ConfigMap, kinds.HTTPRoute} }

func (exposed) Uses() []components.Use {
	return []components.Use{{Kind: kinds.HTTPRoute, Optional: true}}
}

func (exposed) Assess(observed components.Observed) components.Health {
	var names []string
	for _, rendered := range observed.Rendered {
		names = append(names, rendered.Kind.Kind)
	}
	return components.Health{State: components.Ready, Message: strings.Join(names, " ")}
}

// Strimzi fails a Kafka without pools: what follows a kind that is not served yet waits for it.
func TestWhatFollowsAMissingKindOfItsOperatorWaits(t *testing.T) {
	b := newBench(t)
	var prepared []apply.Prepared
	for _, kind := range []kinds.Kind{kafka.Topic, kinds.ConfigMap, kafka.Kafka} {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kind.GVK())
		prepared = append(prepared, apply.Prepared{Object: object})
	}
	applicable, missing := b.split(prepared, []apply.Served{
		{Use: components.Use{Kind: kinds.ConfigMap}, GVK: kinds.ConfigMap.GVK()}, {Use: components.Use{Kind: kafka.Kafka}, GVK: kafka.Kafka.GVK()},
	})
	if len(applicable) != 1 || applicable[0].Object.GetKind() != "ConfigMap" || len(missing) != 1 || missing[0].Kind != "KafkaTopic" {
		t.Errorf("applied %v with %v missing, want the ConfigMap alone while KafkaTopics are", applicable, missing)
	}
}

func TestAnOptionalKindIsLeftOut(t *testing.T) {
	b := newBench(t)
	b.component = exposed{}
	b.apis = watch.NewAPIs(b.clients.Discovery(), exposed{}.Kinds())
	var prepared []apply.Prepared
	for _, kind := range (exposed{}).Kinds() {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kind.GVK())
		object.SetName("odh-web")
		prepared = append(prepared, apply.Prepared{Object: object})
	}
	served := []apply.Served{{Use: components.Use{Kind: kinds.ConfigMap}, GVK: kinds.ConfigMap.GVK()}}
	applicable, missing := b.split(prepared, served)
	if len(applicable) != 1 || len(missing) != 0 {
		t.Errorf("%d objects are applied and %d kinds are missing, want the ConfigMap and none", len(applicable), len(missing))
	}
	observed, err := b.assess(t.Context(), components.Facts{}, prepared)
	if err != nil {
		t.Fatal(err)
	}
	if observed.Message != "ConfigMap" || observed.objects != 1 {
		t.Errorf("judged by %q, %d objects; want the ConfigMap alone", observed.Message, observed.objects)
	}
}

func TestOptionalKindsAreNoticedInNamedNamespaces(t *testing.T) {
	b := newBench(t)
	groups := &apiReconciler{
		odhs: b.odhs, children: b.children, queues: b.queues, all: []components.Component{exposed{}},
		apis: watch.NewAPIs(b.clients.Discovery(), exposed{}.Kinds()),
	}
	request := ctrl.Request{NamespacedName: types.NamespacedName{Name: kinds.HTTPRoute.Group}}
	if result, err := groups.Reconcile(t.Context(), request); err != nil || result.RequeueAfter != optionalInterval {
		t.Errorf("asked again after %s, %v", result.RequeueAfter, err)
	}
	b.clients.Resources = []*metav1.APIResourceList{{GroupVersion: "gateway.networking.k8s.io/v1", APIResources: []metav1.APIResource{
		{Name: "httproutes", Kind: "HTTPRoute"},
	}}}
	if result, err := groups.Reconcile(t.Context(), request); err != nil || result.RequeueAfter != 0 {
		t.Errorf("it came, and is asked for again after %s, %v", result.RequeueAfter, err)
	}
}

func TestDefinitionsThatAreTooOld(t *testing.T) {
	b := newBench(t)
	failure := &components.Failure{Reason: v1alpha1.ReasonVersionNotSupported, Err: errors.New("no such field")}
	want := "no such field; upgrade Strimzi to a version in the range >=0.46.0 <2.0.0-0"
	if got := b.operators.upgrade(b.component, failure); got.Error() != want || got.Reason != failure.Reason {
		t.Errorf("got  %s: %s\nwant %s", got.Reason, got, want)
	}
	other := &components.Failure{Reason: v1alpha1.ReasonConflict, Err: errors.New("not mine")}
	if got := b.operators.upgrade(b.component, other); got != other {
		t.Errorf("another failure became %v", got)
	}
}

// TestAComponentThatWasNeverOursIsForgotten: it was Unmanaged from the start, so it has no finalizer.
func TestAComponentThatWasNeverOursIsForgotten(t *testing.T) {
	b := newBench(t, odhNamed("odh", nil))
	if _, err := b.report(t.Context(), b.odh(t), v1alpha1.Unmanaged, outcome{}, nil); err != nil {
		t.Fatal(err)
	}
	request := ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "lab", Name: "odh"}}
	if _, err := b.Reconcile(t.Context(), request); err != nil { // the spec names no component
		t.Fatal(err)
	}
	if conditions := b.odh(t).Status.Conditions; len(conditions) > 0 {
		t.Errorf("conditions = %v", conditions)
	}
	if writes := b.cluster.Writes(); len(writes) != 2 {
		t.Errorf("writes = %q, want one that reports and one that takes it back", writes)
	}
	if values := readyMetrics(t); len(values) > 0 {
		t.Errorf("opendatahub_component_ready still has the values %v, and an alert that never ends", values)
	}
}

func TestASecondPlatformIsLeftAlone(t *testing.T) {
	second := odhNamed("second", func(odh *v1alpha1.OpenDataHub) {
		odh.CreationTimestamp = metav1.Unix(20, 0)
		odh.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
	})
	b := newBench(t, odhNamed("odh", func(odh *v1alpha1.OpenDataHub) { odh.CreationTimestamp = metav1.Unix(10, 0) }), second)
	if _, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(second)}); err != nil {
		t.Fatal(err)
	}
	if writes := b.cluster.Writes(); len(writes) > 0 {
		t.Errorf("writes = %q", writes)
	}
}

func TestAStoppedInstallerIsNoticed(t *testing.T) {
	b := newBench(t, odhNamed("odh", func(odh *v1alpha1.OpenDataHub) { odh.Spec.Components.Kafka = &v1alpha1.KafkaSpec{} }))
	b.installer = dependencies.Report{"Strimzi": {Name: "Strimzi", State: v1alpha1.DependencyInstalling}}
	lease := &coordinationv1.Lease{}
	lease.Namespace, lease.Name = "operator", dependencies.LeaseName
	lease.Spec.RenewTime = &metav1.MicroTime{Time: b.clock}
	scheme, err := cluster.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	b.operators.namespace, b.operators.now = "operator", func() time.Time { return b.clock }
	state := func(leases ...client.Object) string {
		b.operators.leases = ctrlfake.NewClientBuilder().WithScheme(scheme).WithObjects(leases...).Build()
		return b.operators.of(t.Context(), b.odh(t))[0].Reason
	}
	if got := state(); got == v1alpha1.ReasonInstallerUnavailable {
		t.Error("an installer that elects no leader is not believed")
	}
	if got := state(lease); got == v1alpha1.ReasonInstallerUnavailable {
		t.Error("an installer that has just renewed its Lease is not believed")
	}
	b.clock = b.clock.Add(leaseExpired)
	if got := state(lease); got != v1alpha1.ReasonInstallerUnavailable {
		t.Errorf("reason = %q a minute after the Lease was renewed", got)
	}
	if text := explain(b.operators.notReady(t.Context(), b.odh(t), fakeKafka{})["Strimzi"]); text == "" {
		t.Error("the component says nothing of what it waits for")
	}
}

// threeMaps renders what is read again in every reconcile.
type threeMaps struct{ fakeKafka }

func (threeMaps) Render(facts components.Facts) ([]components.Object, error) {
	var objects []components.Object
	for _, name := range []string{"a", "b", "c"} {
		objects = append(objects, components.Owned(corev1ac.ConfigMap(facts.Platform.Name+"-"+name, "").WithData(map[string]string{"key": "value"})))
	}
	return objects, nil
}

// TestTheCostOfAReconcileDoesNotDependOnOtherPlatforms counts allocations, which do not depend on the machine.
func TestTheCostOfAReconcileDoesNotDependOnOtherPlatforms(t *testing.T) {
	allocations := func(platforms int) float64 {
		objects := []client.Object{odhNamed("odh", func(odh *v1alpha1.OpenDataHub) { odh.Spec.Components.Kafka = &v1alpha1.KafkaSpec{} })}
		for i := range platforms {
			for _, name := range []string{"a", "b", "c"} {
				labels := components.Facts{Platform: components.Platform{Name: "odh"}}.Labels("kafka")
				meta := metav1.ObjectMeta{Namespace: fmt.Sprintf("other-%d", i), Name: name, Labels: labels}
				objects = append(objects, &corev1.ConfigMap{ObjectMeta: meta}, &corev1.Pod{ObjectMeta: *meta.DeepCopy()})
			}
		}
		b := newBench(t, objects...)
		b.component = threeMaps{}
		odh := b.odh(t)
		deploy := func() {
			if _, err := b.deploy(t.Context(), odh, false); err != nil {
				t.Fatal(err)
			}
		}
		deploy()
		b.cluster.Writes()
		const runs = 20
		count := testing.AllocsPerRun(runs, deploy)
		if writes := b.cluster.Writes(); len(writes) > 0 {
			t.Errorf("writes with %d platforms: %v", platforms, writes)
		}
		return count
	}
	few, many := allocations(10), allocations(300)
	if many > few*1.02 {
		t.Errorf("a reconcile allocates %.0f times among 10 platforms, and %.0f times among 300", few, many)
	}
}
