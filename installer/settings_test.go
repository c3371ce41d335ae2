package installer

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/gpu"
)

func asking(namespace string, seconds int64, spec v1alpha1.GPUSpec) *v1alpha1.OpenDataHub {
	hub := &v1alpha1.OpenDataHub{}
	hub.Name, hub.Namespace, hub.CreationTimestamp = "odh", namespace, metav1.Time{Time: time.Unix(seconds, 0)}
	hub.Spec.Components.GPU = &spec
	return hub
}

func gpuSettings(hub *v1alpha1.OpenDataHub) []components.Setting {
	return gpu.New().(components.WithSettings).Settings(components.Facts{Spec: hub.Spec})
}

func TestMerge(t *testing.T) {
	version := func(v string) v1alpha1.GPUSpec { return v1alpha1.GPUSpec{Driver: v1alpha1.GPUDriver{Version: v}} }
	for name, test := range map[string]struct {
		platforms []*v1alpha1.OpenDataHub
		values    map[string]any
		by        map[string]string
	}{
		"nobody": {nil, map[string]any{}, map[string]string{}},
		"equal settings": {
			[]*v1alpha1.OpenDataHub{asking("b", 2, version("580.1")), asking("a", 1, version("580.1"))},
			map[string]any{"spec.driver.version": "580.1"}, map[string]string{"spec.driver.version": "a/odh"},
		},
		"contradicting settings: the older one decides": {
			[]*v1alpha1.OpenDataHub{asking("a", 2, version("580.1")), asking("b", 1, version("570.1"))},
			map[string]any{"spec.driver.version": "570.1"}, map[string]string{"spec.driver.version": "b/odh"},
		},
		"of the same second: the name decides": {
			[]*v1alpha1.OpenDataHub{asking("b", 1, version("580.1")), asking("a", 1, version("570.1"))},
			map[string]any{"spec.driver.version": "570.1"}, map[string]string{"spec.driver.version": "a/odh"},
		},
		"different settings add up": {
			[]*v1alpha1.OpenDataHub{asking("a", 1, version("580.1")), asking("b", 2, v1alpha1.GPUSpec{MIG: v1alpha1.GPUMIG{Strategy: "Mixed"}, Metrics: v1alpha1.Disabled})},
			map[string]any{"spec.driver.version": "580.1", "spec.mig.strategy": "mixed", "spec.dcgmExporter.enabled": false},
			map[string]string{"spec.driver.version": "a/odh", "spec.mig.strategy": "b/odh", "spec.dcgmExporter.enabled": "b/odh"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := merge(test.platforms, gpuSettings)
			if diff := cmp.Diff(test.values, got.values); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.by, got.by); diff != "" {
				t.Errorf("who decided (-want +got):\n%s", diff)
			}
		})
	}
}

// The chart has the names of all images in its ClusterPolicy; what it says besides the settings stays.
func TestLay(t *testing.T) {
	var chart, settings, want map[string]any
	for text, into := range map[string]*map[string]any{
		`{"metadata": {"labels": {"app": "x"}}, "spec": {"driver": {"image": "driver", "version": "595", "enabled": true}, "daemonsets": {"tolerations": [1, 2]}}}`:                                        &chart,
		`{"metadata": {"labels": {"own": "y"}}, "spec": {"driver": {"version": "580"}, "mig": {"strategy": "mixed"}, "daemonsets": {"tolerations": [3]}}}`:                                                 &settings,
		`{"metadata": {"labels": {"app": "x", "own": "y"}}, "spec": {"driver": {"image": "driver", "version": "580", "enabled": true}, "mig": {"strategy": "mixed"}, "daemonsets": {"tolerations": [3]}}}`: &want,
	} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := json.Marshal(chart)
	if diff := cmp.Diff(want, lay(chart, settings)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if after, _ := json.Marshal(chart); !bytes.Equal(after, before) {
		t.Error("what is below was changed")
	}
}
