package monitoring_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serveRecorded stands for software that cannot run here: a GPU, Ceph's manager, Seldon's executor and the Kafka exporter. What they say is in
// testdata, in the form in which they say it; docs/metrics.md has the sources.
func (s *site) serveRecorded(ctx context.Context) {
	s.Helper()
	// Its Pods are in another namespace, where DNS finds them.
	s.addresses["odh-monitoring-gpu-exporter"] = s.recorded("dcgm-exporter.txt")
	for _, played := range []struct {
		pod, port, file string
		labels          map[string]string
	}{
		{"rook-ceph-mgr-a", "http-metrics", "ceph-manager.txt", map[string]string{"app": "rook-ceph-mgr", "rook_cluster": namespace, "mgr_role": "active"}},
		{"iris-default-0-model", "metrics", "seldon-executor.txt", map[string]string{"app.kubernetes.io/managed-by": "seldon-core"}},
		{"odh-kafka-exporter-0", kafkaPort, "kafka-exporter.txt", kafkaLabels},
	} {
		s.addPod(ctx, played.pod, played.port, s.recorded(played.file), played.labels)
	}
}

// recorded is the address of a server that answers with a file.
func (s *site) recorded(file string) string {
	s.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		s.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		response.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = response.Write(content)
	}))
	s.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// addPod plays a Pod that somebody else's operator makes. It has its metrics at an address of this machine.
func (s *site) addPod(ctx context.Context, name, port, address string, labels map[string]string) {
	s.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "main", Image: "registry.example.com/main:1", Ports: []corev1.ContainerPort{{Name: port, ContainerPort: 9404}},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if err := s.Admin.Create(ctx, pod); err != nil {
		s.Fatal(err)
	}
	s.pods[name] = address
}

// gpusOfOthersAreUnknown asks for all that is kept of the exporter of GPUs: it told of GPUs that nobody has, and of those of others.
func (s *site) gpusOfOthersAreUnknown(ctx context.Context) {
	s.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "dcgm-exporter.txt"))
	if err != nil {
		s.Fatal(err)
	}
	for _, other := range []string{`namespace="bank"`, `UUID="GPU-6a1c5f7e-8f0a-4d1b-9c55-3e2f7a8b9c04",pci_bus_id="00000000:03:00.0",device="nvidia3",modelName="NVIDIA A100-SXM4-40GB",hostname="gpu-1",DCGM_FI_DRIVER_VERSION="580.95.05"}`} {
		if !strings.Contains(string(content), other) {
			s.Fatalf("the exporter does not tell of %s", other)
		}
	}
	answer, _, err := s.prometheusAPI(ctx).Series(ctx, []string{`{job="gpu-exporter",__name__=~"DCGM_.*"}`}, time.Time{}, time.Time{})
	if err != nil {
		s.Fatal(err)
	}
	var holders []string
	g := NewWithT(s.T)
	for _, series := range answer {
		g.Expect(series).To(HaveKeyWithValue(model.LabelName("namespace"), model.LabelValue(namespace)))
		g.Expect(series).NotTo(HaveKey(model.LabelName("exported_namespace")))
		if holder := string(series["pod"] + "/" + series["container"]); !slices.Contains(holders, holder) {
			holders = append(holders, holder)
		}
	}
	g.Expect(holders).To(ConsistOf("jupyter-ada/notebook", "training/main"))
}
