package native

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"

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
