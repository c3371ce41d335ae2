package native

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
)

func TestFill(t *testing.T) {
	defaults := Resources("50m", "256Mi", "", "1Gi")
	tests := map[string]struct {
		spec, want v1alpha1.Resources
	}{
		"nothing set is the profile's":                      {v1alpha1.Resources{}, defaults},
		"what is set wins":                                  {Resources("2", "512Mi", "4", "2Gi"), Resources("2", "512Mi", "4", "2Gi")},
		"a limit below the profile's request lowers it":     {Resources("", "0", "", "128Mi"), Resources("50m", "128Mi", "", "128Mi")},
		"a request above the profile's limit raises it":     {Resources("", "3Gi", "", "0"), Resources("50m", "3Gi", "", "3Gi")},
		"a CPU limit where the profile has none is a limit": {Resources("", "0", "20m", "0"), Resources("20m", "256Mi", "20m", "1Gi")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			amount := cmp.Comparer(func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 })
			if diff := cmp.Diff(test.want, Fill(test.spec, defaults), amount); diff != "" {
				t.Errorf("resources differ (-want +got):\n%s", diff)
			}
		})
	}
}

// The operator itself reaches the API server where its components do.
func TestPoliciesOfTheOperatorAdmitTheSamePorts(t *testing.T) {
	for _, path := range []string{"../../config/manager/network_policy.yaml", "../../config/installer/network_policy.yaml"} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var policy networkingv1.NetworkPolicy
		if err := yaml.UnmarshalStrict(content, &policy); err != nil {
			t.Fatal(err)
		}
		var ports []int32
		for _, rule := range policy.Spec.Egress {
			for _, port := range rule.Ports {
				ports = append(ports, port.Port.IntVal)
			}
		}
		for _, port := range APIServerPorts() {
			if !slices.Contains(ports, port) {
				t.Errorf("%s: port %d, at which some API servers listen, is not among %v", path, port, ports)
			}
		}
	}
}
