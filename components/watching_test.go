package components_test

import (
	"testing"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// watchable has something to watch; it stands for any component.
type watchable struct {
	components.Component
	name string
}

func (w watchable) Name() string { return w.name }

func (w watchable) Declare(components.Facts) components.Declarations {
	return components.Declarations{
		Scrapes:    []components.Scrape{{Name: "server", Pods: map[string]string{"app": w.name}, Port: "http"}},
		Alerts:     []components.AlertRules{{Content: []byte("groups: []")}},
		Dashboards: []components.Dashboard{{Content: []byte("{}")}},
	}
}

// Whoever collects metrics knows whose they are, and gets nothing from components that the platform does not have.
func TestWhatIsWatchedNamesItsComponent(t *testing.T) {
	hub := &v1alpha1.OpenDataHub{}
	hub.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
	hub.Spec.Components.MLflow = &v1alpha1.MLflowSpec{}
	hub.Spec.Components.Ceph = &v1alpha1.CephSpec{ComponentSpec: v1alpha1.ComponentSpec{ManagementState: v1alpha1.Removed}}
	declared := components.NewFacts(hub, components.Cluster{}, []components.Component{
		watchable{name: "ceph"}, watchable{name: "kafka"}, watchable{name: "mlflow"}, watchable{name: "spark"},
	}).Declared
	want := []string{"kafka", "mlflow"}
	if len(declared.Scrapes) != 2 || len(declared.Alerts) != 2 || len(declared.Dashboards) != 2 {
		t.Fatalf("declared %+v, and 2 components have something to watch", declared)
	}
	for i, name := range want {
		if got := [3]string{declared.Scrapes[i].Component, declared.Alerts[i].Component, declared.Dashboards[i].Component}; got != [3]string{name, name, name} {
			t.Errorf("declaration %d is of %v, not of %s", i, got, name)
		}
	}
	if declared.Scraped {
		t.Error("nobody collects metrics")
	}
}
