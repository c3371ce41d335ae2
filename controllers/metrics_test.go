package controllers

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
)

// A version that is gone, because of an upgrade or with its component, must not be shown beside the new one.
func TestComponentVersionHasOneSeries(t *testing.T) {
	gauge := versionGauge{GaugeVec: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "info"}, []string{"namespace", "name", "component", "version"})}
	registry := prometheus.NewRegistry()
	registry.MustRegister(gauge.GaugeVec)
	versions := func() []string {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var versions []string
		for _, family := range families {
			for _, metric := range family.Metric {
				for _, label := range metric.Label {
					if label.GetName() == "version" {
						versions = append(versions, label.GetValue())
					}
				}
			}
		}
		slices.Sort(versions)
		return versions
	}
	set := func(namespace, version string, want ...string) {
		t.Helper()
		gauge.set(types.NamespacedName{Namespace: namespace, Name: "odh"}, "kafka", version)
		if diff := cmp.Diff(want, versions()); diff != "" {
			t.Errorf("versions after %s has %q (-want +got):\n%s", namespace, version, diff)
		}
	}
	set("lab", "4.1.0", "4.1.0")
	set("team", "4.2.0", "4.1.0", "4.2.0")
	set("lab", "4.2.0", "4.2.0", "4.2.0")
	set("lab", "4.2.0", "4.2.0", "4.2.0")
	set("lab", "", "4.2.0")
	set("team", "")
}
