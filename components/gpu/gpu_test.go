package gpu_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/gpu"
	"opendatahub.io/operator/components/kinds"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, gpu.New()) }

func TestHealth(t *testing.T) { componenttest.Health(t, gpu.New()) }

// keep applies what the manager keeps of an object.
func keep(t *testing.T, kind kinds.Kind, text string) map[string]any {
	t.Helper()
	object := &unstructured.Unstructured{}
	content, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = object.UnmarshalJSON(content)
	}
	if err != nil {
		t.Fatal(err)
	}
	components.UseOf(gpu.New(), kind).Keep(object)
	return object.Object
}

// What a node reports every few seconds must not wake anybody, and fill no memory.
func TestWhatIsKeptOfANode(t *testing.T) {
	got := keep(t, kinds.Node, `
apiVersion: v1
kind: Node
metadata: {name: gpu-1, resourceVersion: "7", uid: u, annotations: {a: b}, labels: {kubernetes.io/hostname: gpu-1, nvidia.com/gpu.product: Tesla-T4, feature.node.kubernetes.io/pci-10de.present: "true", feature.node.kubernetes.io/cpu-model.id: "1"}}
spec: {podCIDR: 10.0.0.0/24, taints: [{key: nvidia.com/gpu, effect: NoSchedule, timeAdded: "2026-01-01T00:00:00Z"}]}
status:
  capacity: {cpu: "4", nvidia.com/gpu: "1", nvidia.com/mig-1g.5gb: "2", nvidia.com/gpumem: "3"}
  allocatable: {cpu: "4", nvidia.com/gpu: "1"}
  conditions: [{type: Ready, status: "True", lastHeartbeatTime: "2026-01-01T00:00:00Z"}]
`)
	want := map[string]any{
		"apiVersion": "v1", "kind": "Node",
		"metadata": map[string]any{"name": "gpu-1", "resourceVersion": "7", "labels": map[string]any{
			"nvidia.com/gpu.product": "Tesla-T4", "feature.node.kubernetes.io/pci-10de.present": "true",
		}},
		"spec": map[string]any{"taints": []any{map[string]any{"key": "nvidia.com/gpu", "effect": "NoSchedule"}}},
		"status": map[string]any{
			"capacity":    map[string]any{"nvidia.com/gpu": "1", "nvidia.com/mig-1g.5gb": "2"},
			"allocatable": map[string]any{"nvidia.com/gpu": "1"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	plain := keep(t, kinds.Node, `{apiVersion: v1, kind: Node, metadata: {name: worker, resourceVersion: "8", labels: {a: b}}, spec: {taints: [{key: x, effect: NoSchedule}]}, status: {capacity: {cpu: "4"}}}`)
	if diff := cmp.Diff(map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": "worker", "resourceVersion": "8"}}, plain); diff != "" {
		t.Errorf("kept of a node without GPUs (-want +got):\n%s", diff)
	}
}

// A spec is free to say nothing, and then needs no mark; each setting needs one.
func TestSettingsNeedAMark(t *testing.T) {
	facts := func(spec v1alpha1.GPUSpec) components.Facts {
		return components.Facts{Spec: v1alpha1.OpenDataHubSpec{Components: v1alpha1.ComponentsSpec{GPU: &spec}}}
	}
	if reach := components.ReachOf(gpu.New(), facts(v1alpha1.GPUSpec{})); len(reach) > 0 {
		t.Errorf("an empty block asks for %v", reach)
	}
	for field, spec := range map[string]v1alpha1.GPUSpec{
		"driver.type":        {Driver: v1alpha1.GPUDriver{Type: v1alpha1.GPUDriverHost}},
		"driver.version":     {Driver: v1alpha1.GPUDriver{Version: "580.95.05"}},
		"driver.autoUpgrade": {Driver: v1alpha1.GPUDriver{AutoUpgrade: v1alpha1.Disabled}},
		"toolkit":            {Toolkit: v1alpha1.Disabled},
		"devicePlugin":       {DevicePlugin: v1alpha1.Disabled},
		"mig.strategy":       {MIG: v1alpha1.GPUMIG{Strategy: "Mixed"}},
		"sharing":            {Sharing: v1alpha1.GPUSharing{Type: "MPS", Replicas: 2}},
		"metrics":            {Metrics: v1alpha1.Disabled},
		"tolerations":        {Tolerations: []v1alpha1.Toleration{{Key: "x"}}},
	} {
		reach := components.ReachOf(gpu.New(), facts(spec))
		if len(reach) != 1 || reach[0].Mark != components.LabelAllowNodes || reach[0].Field != "spec.components.gpu."+field {
			t.Errorf("%s asks for %v", field, reach)
		}
	}
}

// Without the exporter there is nothing to ask, to warn of or to show.
func TestMetricsAreDisabled(t *testing.T) {
	for metrics, want := range map[v1alpha1.Toggle]int{"": 1, v1alpha1.Enabled: 1, v1alpha1.Disabled: 0} {
		facts := components.Facts{Spec: v1alpha1.OpenDataHubSpec{Components: v1alpha1.ComponentsSpec{GPU: &v1alpha1.GPUSpec{Metrics: metrics}}}}
		declared := gpu.New().(components.WithDeclarations).Declare(facts)
		if len(declared.Scrapes) != want || len(declared.Alerts) != want || len(declared.Dashboards) != want {
			t.Errorf("metrics: %q: %d endpoints, %d files of rules, %d dashboards, and not %d of each", metrics, len(declared.Scrapes),
				len(declared.Alerts), len(declared.Dashboards), want)
		}
	}
}

// A cluster has any number of nodes, and a status has not.
func TestAThousandNodes(t *testing.T) {
	observed := components.Observed{}
	observed.Platform = components.Platform{Name: "odh", Namespace: "lab"}
	observed.Found = components.Objects{{Object: map[string]any{
		"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "metadata": map[string]any{"name": "p"}, "status": map[string]any{"state": "ready"},
	}}}
	for i := range 1000 {
		amounts := map[string]any{"nvidia.com/gpu": "16"}
		observed.Found = append(observed.Found, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Node",
			"metadata": map[string]any{"name": fmt.Sprintf("gpu-%04d", i), "labels": map[string]any{"nvidia.com/gpu.product": fmt.Sprintf("Model-%d", i%40)}},
			"status":   map[string]any{"capacity": amounts, "allocatable": amounts},
		}})
	}
	health := gpu.New().Assess(observed)
	if health.State != components.Ready || len(health.Devices) != 256 || !strings.Contains(health.Message, "the first 256 of 1000") {
		t.Errorf("%d devices, %s: %s", len(health.Devices), health.State, health.Message)
	}
	objects, err := gpu.New().Render(observed.Facts)
	if err != nil {
		t.Fatal(err)
	}
	content, err := yaml.Marshal(objects[0].ApplyConfiguration)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(regexp.MustCompile(`displayName`).FindAll(content, -1)); got != 64 {
		t.Errorf("%d sizes are offered, want 64", got)
	}
}

// What is being deleted sets nothing up any more.
func TestADeletedClusterPolicy(t *testing.T) {
	policy := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "metadata": map[string]any{"name": "p"}, "status": map[string]any{"state": "ready"},
	}}
	policy.SetDeletionTimestamp(&metav1.Time{Time: metav1.Now().Time})
	health := gpu.New().Assess(components.Observed{Facts: components.Facts{Found: components.Objects{policy}}})
	if health.State != components.Progressing || !strings.Contains(health.Message, "there is no ClusterPolicy") {
		t.Errorf("%s: %s", health.State, health.Message)
	}
}

// What the installer makes, with every setting: over the chart's ClusterPolicy on Kubernetes, and whole on OpenShift, where it must be
// what the operators accept.
func TestShared(t *testing.T) {
	sharing := gpu.New().(components.WithSettings)
	spec := v1alpha1.GPUSpec{
		Driver: v1alpha1.GPUDriver{Type: v1alpha1.GPUDriverContainer, Version: "580.95.05", AutoUpgrade: v1alpha1.Disabled}, Toolkit: v1alpha1.Enabled,
		DevicePlugin: v1alpha1.Enabled, MIG: v1alpha1.GPUMIG{Strategy: "Mixed"}, Metrics: v1alpha1.Disabled,
		Tolerations: []v1alpha1.Toleration{{Key: "node.example.com/pool", Operator: "Equal", Value: "gpu", Effect: "NoSchedule"}},
	}
	shared := spec
	shared.Sharing = v1alpha1.GPUSharing{Type: "TimeSlicing", Replicas: 4}
	for name, test := range map[string]struct {
		spec      v1alpha1.GPUSpec
		openShift bool
	}{"kubernetes": {spec: shared}, "kubernetes-without-settings": {}, "openshift": {spec: spec, openShift: true}, "openshift-without-settings": {openShift: true}} {
		t.Run(name, func(t *testing.T) {
			values := map[string]any{}
			for _, setting := range sharing.Settings(components.Facts{Spec: v1alpha1.OpenDataHubSpec{Components: v1alpha1.ComponentsSpec{GPU: &test.spec}}}) {
				values[setting.Path] = setting.Value
			}
			var documents []string
			for _, object := range sharing.Shared(values, components.Cluster{OpenShift: test.openShift, OperatorNamespaces: map[string]string{
				"NVIDIA GPU operator": "nvidia-gpu-operator", "Node Feature Discovery": "openshift-nfd",
			}}) {
				content, err := yaml.Marshal(object.ApplyConfiguration)
				if err != nil {
					t.Fatal(err)
				}
				documents = append(documents, string(content))
			}
			got, file := strings.Join(documents, "---\n"), filepath.Join("testdata", "shared", name+".yaml")
			if flag.Lookup("update").Value.String() == "true" {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
			if test.openShift {
				componenttest.Sample(t, "components/gpu/"+filepath.ToSlash(file), "nvidia.com", "nfd.openshift.io")
			}
		})
	}
}

// MPS and time slicing are the two ways of NVIDIA's device plugin.
func TestWaysOfSharing(t *testing.T) {
	sharing := gpu.New().(components.WithSettings)
	for way, want := range map[string]string{"TimeSlicing": "timeSlicing", "MPS": "mps"} {
		spec := v1alpha1.GPUSpec{Sharing: v1alpha1.GPUSharing{Type: way, Replicas: 10}}
		setting := sharing.Settings(components.Facts{Spec: v1alpha1.OpenDataHubSpec{Components: v1alpha1.ComponentsSpec{GPU: &spec}}})[0]
		objects := sharing.Shared(map[string]any{setting.Path: setting.Value}, components.Cluster{})
		content, err := yaml.Marshal(objects[0].ApplyConfiguration)
		if err != nil || !strings.Contains(string(content), `"`+want+`": {`) || !strings.Contains(string(content), `"replicas": 10`) {
			t.Errorf("%s: %v\n%s", way, err, content)
		}
	}
}
