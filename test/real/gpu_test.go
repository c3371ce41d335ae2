package real_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/gpu"
	"opendatahub.io/operator/hack/images"
)

// exporterServer answers with a file, as Prometheus wants it.
const exporterServer = `
import http.server

class Exporter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(open("/files/metrics", "rb").read())

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("", 9400), Exporter).serve_forever()
`

// gpuOperator is the namespace of NVIDIA's operator.
const gpuOperator = "nvidia-gpu-operator"

// addGPUs adds GPUs to the platform, of which this machine has none, and a Pod in the place of NVIDIA's exporter. Prometheus finds it by the
// Service that the installer makes for it.
func (e *env) addGPUs(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	content, err := os.ReadFile(filepath.Join(e.Root, "test", "monitoring", "testdata", "dcgm-exporter.txt"))
	if err != nil {
		t.Fatal(err)
	}
	metrics := strings.ReplaceAll(string(content), `namespace="lab"`, `namespace="`+namespace+`"`)
	place := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gpuOperator}}
	configuration := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: gpuOperator, Name: "exporter"},
		Data:       map[string]string{"metrics": metrics, "server.py": exporterServer},
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: gpuOperator, Name: "exporter", Labels: map[string]string{"app": "nvidia-dcgm-exporter"}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(1)),
			Containers: []corev1.Container{{
				Name: "exporter", Image: images.ShellName, ImagePullPolicy: corev1.PullNever, Command: []string{"python3", "/files/server.py"},
				VolumeMounts: []corev1.VolumeMount{{Name: "files", MountPath: "/files"}},
			}},
			Volumes: []corev1.Volume{{Name: "files", VolumeSource: corev1.VolumeSource{
				ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "exporter"}},
			}}},
		},
	}
	for _, object := range []client.Object{place, configuration, pod} {
		if err := e.Admin.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	settings, ok := gpu.New().(components.WithSettings)
	if !ok {
		t.Fatal("GPUs have no settings")
	}
	made := 0
	for _, shared := range settings.Shared(nil, components.Cluster{OperatorNamespaces: map[string]string{"NVIDIA GPU operator": gpuOperator}}) {
		if shared.Laid {
			continue
		}
		if err := e.Admin.Apply(ctx, shared.ApplyConfiguration, client.FieldOwner("opendatahub-installer")); err != nil {
			t.Fatal(err)
		}
		made++
	}
	if made != 1 {
		t.Fatalf("the installer would make %d objects, want the Service", made)
	}

	e.edit(t, `{"spec":{"components":{"gpu":{}}}}`)
}

// wantGPUs waits until Prometheus has metrics of GPUs, finds that all are about this namespace, and takes the exporter away.
func (e *env) wantGPUs(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	api, err := e.prometheus(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e.until(t, "Prometheus has the metrics of GPUs", func(ctx context.Context) error {
		found, _, err := api.Series(ctx, []string{`{job="gpu-exporter",__name__="DCGM_FI_DEV_GPU_TEMP"}`}, time.Time{}, time.Time{})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return errors.New("it has none")
		}
		for _, series := range found {
			if series["namespace"] != namespace {
				t.Fatalf("Prometheus keeps %s", series)
			}
		}
		return nil
	})
	if err := e.Admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gpuOperator}}); err != nil {
		t.Fatal(err)
	}
}
