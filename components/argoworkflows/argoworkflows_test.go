package argoworkflows_test

import (
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/argoworkflows"
	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/kinds"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, argoworkflows.New()) }

// The Gateway API is not an operator, so its CRDs are not among those of the operators.
func TestUpstream(t *testing.T) {
	componenttest.Upstream(t, argoworkflows.New(), kinds.HTTPRoute)
}

// What users copy is admitted by the definition of Argo.
func TestSample(t *testing.T) {
	componenttest.Sample(t, "config/samples/argo/workflow.yaml", argoworkflows.WorkflowTemplate.Group)
}

func TestHealth(t *testing.T) { componenttest.Health(t, argoworkflows.New()) }

// The tests run the code of the Argo that the images hold.
func TestTestedVersionIsDeployed(t *testing.T) {
	objects, err := os.ReadFile("testdata/standard/objects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("../../hack/argo/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(module), "github.com/argoproj/argo-workflows/v4 ")
	version := strings.Fields(rest)[0]
	for _, image := range []string{"workflow-controller", "argocli", "argoexec"} {
		if !strings.Contains(string(objects), "quay.io/argoproj/"+image+":"+version+"\n") {
			t.Errorf("hack/argo/go.mod has Argo %s, and another %s is deployed", version, image)
		}
	}
}

func declared(spec v1alpha1.OpenDataHubSpec) components.Declarations {
	spec.Components.ArgoWorkflows = &v1alpha1.ArgoWorkflowsSpec{}
	odh := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Name: "odh", Namespace: "data"}, Spec: spec}
	return components.NewFacts(odh, components.Cluster{}, []components.Component{argoworkflows.New()}).Declared
}

// The provider has to know where browsers come back to; with Kubernetes tokens there is no provider.
func TestCallbacks(t *testing.T) {
	spec := v1alpha1.OpenDataHubSpec{Ingress: v1alpha1.IngressSpec{Domain: "apps.example.com"}}
	if clients := declared(spec).LoginClients; clients != nil {
		t.Errorf("without OpenID Connect: %+v", clients)
	}
	spec.Authentication = v1alpha1.AuthenticationSpec{Type: v1alpha1.AuthenticationOIDC, OIDC: &v1alpha1.OIDCSpec{Issuer: "https://sso.example.com"}}
	const want = "https://argoworkflows-odh.apps.example.com/oauth2/callback"
	if clients := declared(spec).LoginClients; len(clients) != 1 || clients[0].Callback != want {
		t.Errorf("got %+v, want %s", clients, want)
	}
}

// A platform whose web interfaces cannot be exposed still has metrics and a bucket for pipelines.
func TestDeclarationsOfAPlatformThatCannotBe(t *testing.T) {
	got := declared(v1alpha1.OpenDataHubSpec{Ingress: v1alpha1.IngressSpec{Type: v1alpha1.IngressRoute}})
	if len(got.Buckets) != 1 || len(got.Scrapes) != 1 || got.LoginClients != nil {
		t.Errorf("declared %+v", got)
	}
}

// The archive is a database of its own on the platform's server.
func TestTheArchiveIsDeclared(t *testing.T) {
	odh := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Name: "odh", Namespace: "data"}}
	odh.Spec.Components.ArgoWorkflows = &v1alpha1.ArgoWorkflowsSpec{Archive: &v1alpha1.ArgoWorkflowsArchive{}}
	claims := components.NewFacts(odh, components.Cluster{}, []components.Component{argoworkflows.New()}).Declared.Databases
	if len(claims) != 1 || claims[0].Name != "data_odh_argo" {
		t.Errorf("declared %+v", claims)
	}
}
