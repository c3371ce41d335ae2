package real_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/hack/node"
)

// failByQuota has a user's notebook fail to start twice, because the namespace may have no more Pods. The user reads that.
func (e *env) failByQuota(t *testing.T, b *browser, user string) {
	t.Helper()
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "no-more-pods"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}},
	}
	if err := e.Admin.Create(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Admin.Delete(context.WithoutCancel(t.Context()), quota); err != nil {
			t.Error(err)
		}
	}()
	for range 2 {
		if said := b.failToStart(t, user, "team"); !strings.Contains(said, "exceeded quota") {
			t.Errorf("the user reads %q", said)
		}
	}
}

// wantAlert waits until the receiver of alerts has got one of that name, which fires.
func (e *env) wantAlert(t *testing.T, name string) {
	t.Helper()
	e.until(t, "the receiver has the alert "+name, func(ctx context.Context) error { return e.alerted(ctx, name, "/") })
}

// alerted is nil when the receiver of alerts has got one of that name, which fires, at a path.
func (e *env) alerted(ctx context.Context, name, path string) error {
	pods, err := e.kube.CoreV1().Pods(node.ReceiverNamespace).List(ctx, listAll)
	if err != nil || len(pods.Items) != 1 {
		return fmt.Errorf("%d Pods receive alerts: %w", len(pods.Items), err)
	}
	printed, err := e.kube.CoreV1().Pods(node.ReceiverNamespace).GetLogs(pods.Items[0].Name, &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil {
		return err
	}
	var names []string
	for line := range strings.Lines(string(printed)) {
		var sent struct {
			Path   string
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.Unmarshal([]byte(line), &sent); err != nil {
			return fmt.Errorf("reading %q: %w", line, err)
		}
		for _, alert := range sent.Alerts {
			if alert.Status == "firing" && alert.Labels["alertname"] == name && alert.Labels["namespace"] == namespace && sent.Path == path {
				return nil
			}
			names = append(names, alert.Labels["alertname"]+" at "+sent.Path)
		}
	}
	return fmt.Errorf("it has %q", names)
}
