package monitoring_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/monitoring"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, monitoring.New()) }

// The Gateway API is not an operator, so its CRDs are not among those of the operators.
func TestUpstream(t *testing.T) { componenttest.Upstream(t, monitoring.New(), kinds.HTTPRoute) }

func TestHealth(t *testing.T) { componenttest.Health(t, monitoring.New()) }

// TestSecretsAreSentWhereTheirOwnersAllow: a Secret whose address the spec has says where it may go; one that holds its address need not.
func TestSecretsAreSentWhereTheirOwnersAllow(t *testing.T) {
	content, err := os.ReadFile("testdata/everything/hub.yaml")
	if err != nil {
		t.Fatal(err)
	}
	odh := &v1alpha1.OpenDataHub{}
	if err := yaml.UnmarshalStrict(content, odh); err != nil {
		t.Fatal(err)
	}
	component := monitoring.New()
	facts := components.NewFacts(odh, components.Cluster{}, []components.Component{component})
	got := map[string][]string{}
	for _, reference := range component.(components.WithReferences).References(facts) {
		got[reference.Name] = reference.SentTo
	}
	want := map[string][]string{
		"central": {"https://metrics.example.com:9443/api/v1/write"}, "central-ca": nil, "smtp": {"smtp://smtp.example.com:587"},
		"pager": nil, "chat": nil, "hook": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
