package components

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"opendatahub.io/operator/api/v1alpha1"
)

func TestWanted(t *testing.T) {
	in := func(state v1alpha1.ManagementState) v1alpha1.ComponentSpec {
		return v1alpha1.ComponentSpec{ManagementState: state}
	}
	tests := map[string]struct {
		spec v1alpha1.ComponentsSpec
		want []WantedComponent
	}{
		"nothing is named": {},
		"all components, in the order of the API, managed unless said otherwise": {
			spec: v1alpha1.ComponentsSpec{
				GPU: &v1alpha1.GPUSpec{}, Monitoring: &v1alpha1.MonitoringSpec{}, ArgoWorkflows: &v1alpha1.ArgoWorkflowsSpec{},
				Seldon: &v1alpha1.SeldonSpec{}, JupyterHub: &v1alpha1.JupyterHubSpec{}, Spark: &v1alpha1.SparkSpec{},
				Kafka: &v1alpha1.KafkaSpec{}, Ceph: &v1alpha1.CephSpec{},
			},
			want: []WantedComponent{
				{"ceph", "CephReady", v1alpha1.Managed},
				{"kafka", "KafkaReady", v1alpha1.Managed},
				{"spark", "SparkReady", v1alpha1.Managed},
				{"jupyterHub", "JupyterHubReady", v1alpha1.Managed},
				{"seldon", "SeldonReady", v1alpha1.Managed},
				{"argoWorkflows", "ArgoWorkflowsReady", v1alpha1.Managed},
				{"monitoring", "MonitoringReady", v1alpha1.Managed},
				{"gpu", "GPUReady", v1alpha1.Managed},
			},
		},
		"removed is as good as absent": {
			spec: v1alpha1.ComponentsSpec{
				Kafka: &v1alpha1.KafkaSpec{ComponentSpec: in(v1alpha1.Removed)},
				Spark: &v1alpha1.SparkSpec{ComponentSpec: in(v1alpha1.Unmanaged)},
				Ceph:  &v1alpha1.CephSpec{ComponentSpec: in(v1alpha1.Managed)},
			},
			want: []WantedComponent{
				{"ceph", "CephReady", v1alpha1.Managed},
				{"spark", "SparkReady", v1alpha1.Unmanaged},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Wanted(test.spec)); diff != "" {
				t.Errorf("Wanted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindWanted(t *testing.T) {
	spec := v1alpha1.ComponentsSpec{
		Kafka: &v1alpha1.KafkaSpec{},
		Spark: &v1alpha1.SparkSpec{ComponentSpec: v1alpha1.ComponentSpec{ManagementState: v1alpha1.Removed}},
	}
	if got, ok := FindWanted(spec, "kafka"); !ok || got.Condition != "KafkaReady" {
		t.Errorf("kafka: %v, %t", got, ok)
	}
	for _, name := range []string{"spark", "ceph", "hive"} {
		if got, ok := FindWanted(spec, name); ok {
			t.Errorf("%s should not be wanted: %v", name, got)
		}
	}
}

func TestCondition(t *testing.T) {
	tests := map[string]struct {
		want      string
		wantKnown bool
	}{
		"jupyterHub": {"JupyterHubReady", true},
		"gpu":        {"GPUReady", true},
		"GPU":        {"", false},
		"hive":       {"", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got, known := Condition(name); got != test.want || known != test.wantKnown {
				t.Errorf("Condition(%q) = %q, %t; want %q, %t", name, got, known, test.want, test.wantKnown)
			}
		})
	}
}
