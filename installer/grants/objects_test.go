package grants

import (
	"slices"
	"testing"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
)

// TestNothingIsGrantedThatNobodyAllowed: accounts that may run privileged Pods are for marked namespaces.
func TestNothingIsGrantedThatNobodyAllowed(t *testing.T) {
	odh := &v1alpha1.OpenDataHub{}
	odh.Namespace, odh.Name = "lab", "odh"
	for name, test := range map[string]struct {
		devices   v1alpha1.CephDevicesType
		openShift bool
		marks     map[string]string
		want      bool
	}{
		"volumes":                          {want: true},
		"devices":                          {devices: v1alpha1.CephDevicesAll},
		"devices, marked for installs":     {devices: v1alpha1.CephDevicesAll, marks: map[string]string{components.LabelAllowInstalls: "true"}},
		"devices, marked":                  {devices: v1alpha1.CephDevicesAll, marks: map[string]string{components.LabelAllowNodes: "true"}, want: true},
		"volumes, on OpenShift":            {openShift: true},
		"volumes, on OpenShift and marked": {openShift: true, marks: map[string]string{components.LabelAllowNodes: "true"}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			odh.Spec.Components.Ceph = &v1alpha1.CephSpec{Devices: v1alpha1.CephDevices{Type: test.devices}}
			all := catalog.All()
			cluster := components.Cluster{OpenShift: test.openShift, OperatorNamespaces: map[string]string{"Rook": "rook-ceph"}}
			objects, err := ForComponents(all, components.NewFacts(odh, cluster, all), test.marks)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(objects) > 0; got != test.want {
				t.Errorf("%d objects are granted", len(objects))
			}
		})
	}
}

// TestEveryGrantedKindIsWatched: what is not watched cannot be granted, repaired or taken back.
func TestEveryGrantedKindIsWatched(t *testing.T) {
	odh := &v1alpha1.OpenDataHub{}
	odh.Namespace, odh.Name = "lab", "odh"
	odh.Spec.Components = v1alpha1.ComponentsSpec{
		Ceph: &v1alpha1.CephSpec{}, Kafka: &v1alpha1.KafkaSpec{}, Spark: &v1alpha1.SparkSpec{}, JupyterHub: &v1alpha1.JupyterHubSpec{},
		Seldon: &v1alpha1.SeldonSpec{}, ArgoWorkflows: &v1alpha1.ArgoWorkflowsSpec{}, Monitoring: &v1alpha1.MonitoringSpec{Type: "Platform"},
		GPU: &v1alpha1.GPUSpec{}, MLflow: &v1alpha1.MLflowSpec{},
	}
	all := catalog.All()
	for _, openShift := range []bool{false, true} {
		cluster := components.Cluster{OpenShift: openShift, OperatorNamespaces: map[string]string{"Rook": "rook-ceph"}}
		marks := map[string]string{components.LabelAllowNodes: "true", components.LabelAllowInstalls: "true"}
		objects, err := ForComponents(all, components.NewFacts(odh, cluster, all), marks)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range objects {
			if kind := object.GroupVersionKind(); !slices.Contains(kindsOf(openShift), kind) {
				t.Errorf("%s %s is granted, and its kind is not watched", kind.Kind, object.GetName())
			}
		}
	}
}
