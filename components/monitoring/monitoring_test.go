package monitoring_test

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	policyapply "k8s.io/client-go/applyconfigurations/policy/v1"
	rbacapply "k8s.io/client-go/applyconfigurations/rbac/v1"
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

// TestBudgetsAreGranted: what the manager's role does not allow is granted, by the names of what is rendered.
func TestBudgetsAreGranted(t *testing.T) {
	odh := &v1alpha1.OpenDataHub{}
	odh.Namespace, odh.Name = "lab", "odh"
	odh.Spec.Profile = v1alpha1.ProfileHighAvailability
	odh.Spec.Components.Monitoring = &v1alpha1.MonitoringSpec{}
	component := monitoring.New()
	facts := components.NewFacts(odh, components.Cluster{ManagerNamespace: "operators"}, []components.Component{component})
	rendered, err := component.Render(facts)
	if err != nil {
		t.Fatal(err)
	}
	var budgets []string
	for _, object := range rendered {
		if budget, ok := object.ApplyConfiguration.(*policyapply.PodDisruptionBudgetApplyConfiguration); ok {
			budgets = append(budgets, *budget.Name)
		}
	}
	var allowed []string
	bound := false
	for _, object := range component.(components.WithGrants).Grants(facts) {
		switch object := object.ApplyConfiguration.(type) {
		case *rbacapply.RoleApplyConfiguration:
			for _, rule := range object.Rules {
				if slices.Equal(rule.Resources, []string{"poddisruptionbudgets"}) && slices.Equal(rule.Verbs, []string{"create", "patch"}) {
					allowed = append(allowed, rule.ResourceNames...)
				}
			}
		case *rbacapply.RoleBindingApplyConfiguration:
			subject := object.Subjects[0]
			bound = bound || *object.RoleRef.Name == "odh-monitoring-budgets" && *subject.Name == components.ManagerAccount && *subject.Namespace == "operators"
		case *coreapply.ServiceAccountApplyConfiguration:
			if !bound {
				t.Errorf("ServiceAccount %s, for which the manager waits, comes before the manager's right", *object.Name)
			}
		}
	}
	if diff := cmp.Diff(budgets, allowed); diff != "" || len(budgets) != 2 {
		t.Errorf("budgets (-rendered +granted):\n%s", diff)
	}
}
