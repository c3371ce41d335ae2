package grants

import (
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
