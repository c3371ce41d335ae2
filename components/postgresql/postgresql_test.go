package postgresql_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/postgresql"
)

var server = v1alpha1.DatabaseSpec{External: v1alpha1.ExternalDatabase{
	Host: "postgres.example.com", CredentialsSecretRef: v1alpha1.LocalReference{Name: "postgres"}, CASecretRef: v1alpha1.LocalReference{Name: "postgres-ca"},
}}

func setting(change func(*postgresql.Setting)) postgresql.Setting {
	s := postgresql.Setting{Purpose: "mlflow", Field: "spec.components.mlflow.database"}
	change(&s)
	return s
}

func TestReferences(t *testing.T) {
	own := []components.Reference{{Field: "spec.components.mlflow.database.uriSecretRef", Name: "own", Keys: []string{"uri"}}}
	platform := []components.Reference{
		{
			Field: "spec.database.external.credentialsSecretRef", Name: "postgres", Keys: []string{"username", "password"},
			SentTo: []string{"postgresql://postgres.example.com:5432"},
		},
		{Field: "spec.database.external.caSecretRef", Name: "postgres-ca", Keys: []string{"ca.crt"}},
	}
	tests := map[string]struct {
		setting postgresql.Setting
		server  *v1alpha1.DatabaseSpec
		want    []components.Reference
	}{
		"nothing is said":                        {setting(func(*postgresql.Setting) {}), nil, nil},
		"nothing is said, and there is a server": {setting(func(*postgresql.Setting) {}), &server, nil},
		"SQLite, and there is a server":          {setting(func(s *postgresql.Setting) { s.Type = v1alpha1.DatabaseSQLite }), &server, nil},
		"one of its own":                         {setting(func(s *postgresql.Setting) { s.Secret = "own" }), nil, own},
		"one of its own wins": {
			setting(func(s *postgresql.Setting) { s.Type, s.Secret = v1alpha1.DatabasePostgreSQL, "own" }), &server, own,
		},
		"the platform's": {setting(func(s *postgresql.Setting) { s.Type = v1alpha1.DatabasePlatform }), &server, platform},
		"the platform's, which has none: Render says so": {
			setting(func(s *postgresql.Setting) { s.Type = v1alpha1.DatabasePlatform }), nil, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}, Spec: v1alpha1.OpenDataHubSpec{Database: test.server}}
			if diff := cmp.Diff(test.want, test.setting.References(facts)); diff != "" {
				t.Errorf("references (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	odh := &v1alpha1.OpenDataHub{}
	odh.Name, odh.Namespace = "odh", "my-lab"
	odh.Spec.Components.MLflow = &v1alpha1.MLflowSpec{Database: v1alpha1.MLflowDatabase{Type: v1alpha1.DatabasePlatform, Name: "tracking"}}
	odh.Spec.Components.JupyterHub = &v1alpha1.JupyterHubSpec{Database: v1alpha1.JupyterHubDatabase{Type: v1alpha1.DatabasePlatform}}
	status := func() []v1alpha1.DatabaseStatus {
		return postgresql.Status(components.NewFacts(odh, components.Cluster{}, catalog.All()))
	}
	if got := status(); got != nil {
		t.Errorf("without a server: %v", got)
	}
	odh.Spec.Database = &server
	want := []v1alpha1.DatabaseStatus{{Purpose: "jupyterhub", Name: "my-lab_odh_jupyterhub"}, {Purpose: "mlflow", Name: "tracking"}}
	if diff := cmp.Diff(want, status()); diff != "" {
		t.Errorf("databases (-want +got):\n%s", diff)
	}
	odh.Spec.Components.MLflow.ManagementState = v1alpha1.Removed
	if diff := cmp.Diff(want[:1], status()); diff != "" {
		t.Errorf("without MLflow (-want +got):\n%s", diff)
	}
}
