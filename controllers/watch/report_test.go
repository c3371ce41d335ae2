package watch

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	streams "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"opendatahub.io/operator/dependencies"
)

func reportOf(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "operator", Name: dependencies.ReportName}, Data: data}
}

// watchedFrom is closed once something is watched. The fake API loses what happens between a list and the watch that follows.
func watchedFrom(clients *fake.Clientset) <-chan struct{} {
	watching := make(chan struct{})
	watched := sync.OnceFunc(func() { close(watching) })
	clients.PrependWatchReactor("*", func(action clienttesting.Action) (bool, streams.Interface, error) {
		defer watched()
		w, err := clients.Tracker().Watch(action.GetResource(), action.GetNamespace())
		return true, w, err
	})
	return watching
}

func TestReportFollowsTheConfigMap(t *testing.T) {
	clients := fake.NewClientset()
	watching := watchedFrom(clients)
	news := make(chan []string, 10)
	changed := func(_ context.Context, operators []string) { news <- operators }
	report, err := NewReport(t.Context(), clients, "operator", changed)
	if err != nil {
		t.Fatal(err)
	}
	if report.Current() != nil {
		t.Error("there is an installer without its ConfigMap")
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- report.Start(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	next := func(want []string) {
		t.Helper()
		if got := <-news; !slices.Equal(got, want) {
			t.Errorf("changed = %q, want %q", got, want)
		}
	}

	<-watching
	maps := clients.CoreV1().ConfigMaps("operator")
	if _, err := maps.Create(ctx, reportOf(nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	next(nil) // the installer came
	if report.Current() == nil {
		t.Error("the installer is not known")
	}
	signed := reportOf(nil)
	signed.BinaryData = map[string][]byte{dependencies.ReportAuthority: []byte("somebody")}
	if _, err := maps.Update(ctx, signed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	next(nil) // it serves metrics
	if got := string(report.Authority()); got != "somebody" {
		t.Errorf("authority = %q", got)
	}
	if _, err := maps.Update(ctx, reportOf(nil), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	next(nil) // and no longer
	if _, err := maps.Update(ctx, reportOf(map[string]string{"strimzi": "{name: Strimzi, state: Ready}"}), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	next([]string{"Strimzi"})
	if diff := cmp.Diff(dependencies.Report{"Strimzi": {Name: "Strimzi", State: "Ready"}}, report.Current()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if err := maps.Delete(ctx, dependencies.ReportName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	next([]string{"Strimzi"})
	if report.Current() != nil {
		t.Error("the installer went, and is still there")
	}
}

func TestReportIsKnownFromTheStart(t *testing.T) {
	clients := fake.NewClientset(reportOf(map[string]string{"strimzi": "{name: Strimzi, state: Ready}"}))
	report, err := NewReport(t.Context(), clients, "operator", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Current()) != 1 {
		t.Errorf("report = %v", report.Current())
	}

	broken, err := NewReport(t.Context(), fake.NewClientset(reportOf(map[string]string{"strimzi": "["})), "operator", nil)
	if err != nil {
		t.Fatal(err)
	}
	if current := broken.Current(); current == nil || len(current) > 0 {
		t.Errorf("what cannot be read counts as %v; it says that there is an installer, and no more", current)
	}
}

func TestReportDoesWithoutTheRight(t *testing.T) {
	clients := fake.NewClientset()
	clients.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("configmaps"), dependencies.ReportName, nil)
	})
	for _, namespace := range []string{"operator", ""} {
		report, err := NewReport(t.Context(), clients, namespace, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := report.Start(t.Context()); err != nil || report.Current() != nil {
			t.Errorf("report = %v, %v", report.Current(), err)
		}
	}
}
