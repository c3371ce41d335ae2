package seldon_test

import (
	"os"
	"strings"
	"testing"

	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/seldon"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, seldon.New()) }

// What is rendered is admitted by the CustomResourceDefinition of Seldon Core 1.17.1. The Gateway API is not an operator, so its CRDs
// are not among those of the operators.
func TestUpstream(t *testing.T) { componenttest.Upstream(t, seldon.New(), kinds.HTTPRoute) }

func TestHealth(t *testing.T) { componenttest.Health(t, seldon.New()) }

// The sample is for a platform odh whose object storage is Ceph.
func TestSample(t *testing.T) {
	componenttest.Sample(t, "config/samples/workloads/seldondeployment.yaml", seldon.SeldonDeployment.Group)
}

// The tests start the model server of the version that is deployed.
func TestTestedVersionIsDeployed(t *testing.T) {
	objects, err := os.ReadFile("testdata/standard/objects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pins, err := os.ReadFile("../../hack/python/seldon.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(pins), "\nseldon-core==")
	version, _, _ := strings.Cut(rest, "\n")
	if !strings.Contains(string(objects), "image: docker.io/seldonio/rclone-storage-initializer:"+version+"\n") {
		t.Errorf("hack/python/seldon.txt has Seldon Core %s, and another one is deployed", version)
	}
}
