package mlflow_test

import (
	"os"
	"strings"
	"testing"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/jupyterhub"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/mlflow"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, mlflow.New()) }

// The Gateway API is not an operator, so its CRDs are not among those of the operators.
func TestUpstream(t *testing.T) { componenttest.Upstream(t, mlflow.New(), kinds.HTTPRoute) }

func TestHealth(t *testing.T) { componenttest.Health(t, mlflow.New()) }

// The tests start the MLflow that the image holds.
func TestTestedVersionIsDeployed(t *testing.T) {
	objects, err := os.ReadFile("testdata/standard/objects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pins, err := os.ReadFile("../../hack/python/mlflow.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(pins), "\nmlflow==")
	version, _, _ := strings.Cut(rest, "\n")
	if !strings.Contains(string(objects), "image: ghcr.io/mlflow/mlflow:v"+version+"-full\n") {
		t.Errorf("hack/python/mlflow.txt has MLflow %s, and another one is deployed", version)
	}
}

// Both refuse a wrong setting of the platform in the same words, so that Ready says it once.
func TestAWrongIngressIsOneProblem(t *testing.T) {
	facts := components.Facts{Spec: v1alpha1.OpenDataHubSpec{Ingress: v1alpha1.IngressSpec{Type: v1alpha1.IngressRoute}}}
	_, own := mlflow.New().Render(facts)
	_, other := jupyterhub.New().Render(facts)
	if own == nil || other == nil || own.Error() != other.Error() {
		t.Errorf("mlflow: %v; jupyterHub: %v", own, other)
	}
}

// A platform whose web interfaces cannot be exposed still has the bucket, and notebooks get nothing that does not work.
func TestDeclarationsOfAPlatformThatCannotBe(t *testing.T) {
	facts := components.Facts{Spec: v1alpha1.OpenDataHubSpec{Ingress: v1alpha1.IngressSpec{Type: v1alpha1.IngressRoute}}}
	declared := mlflow.New().(components.WithDeclarations).Declare(facts)
	if len(declared.Buckets) != 1 || declared.Notebooks.Environment != nil || declared.Notebooks.Backends != nil {
		t.Errorf("declared %+v", declared)
	}
}
