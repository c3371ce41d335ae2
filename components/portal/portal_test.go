package portal_test

import (
	"os"
	"strings"
	"testing"

	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/portal"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, portal.New()) }

// The Gateway API is not an operator, so its CRDs are not among those of the operators.
func TestUpstream(t *testing.T) { componenttest.Upstream(t, portal.New(), kinds.HTTPRoute) }

func TestHealth(t *testing.T) { componenttest.Health(t, portal.New()) }

// TestTheImageIsTheOperators: offline rendering assumes the image that config/manager deploys, which also tells the manager.
func TestTheImageIsTheOperators(t *testing.T) {
	deployment, err := os.ReadFile("../../config/manager/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := os.ReadFile("testdata/standard/objects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(deployment), "\n        image: ")
	image, _, _ := strings.Cut(rest, "\n")
	if !strings.Contains(string(objects), "image: "+image+"\n") {
		t.Errorf("config/manager deploys %s, and portals run from another image", image)
	}
	if !strings.Contains(string(deployment), "- name: OPERATOR_IMAGE\n          value: "+image+"\n") {
		t.Errorf("config/manager deploys %s, and tells the manager of another image", image)
	}
}
