package jupyterhub

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

func TestReferences(t *testing.T) {
	oidc := v1alpha1.AuthenticationSpec{
		Type: v1alpha1.AuthenticationOIDC,
		OIDC: &v1alpha1.OIDCSpec{Issuer: "https://sso.example.com/realms/odh", ClientSecretRef: v1alpha1.LocalReference{Name: "sso"}},
	}
	wildcard := v1alpha1.LocalReference{Name: "wildcard"}
	clientSecret := components.Reference{
		Field: "spec.authentication.oidc.clientSecretRef", Name: "sso", Keys: []string{"clientSecret"},
		SentTo: []string{"https://sso.example.com/realms/odh/protocol/openid-connect/token"},
	}
	certificate := components.Reference{Field: "spec.ingress.tlsSecretRef", Name: "wildcard", Keys: []string{"tls.crt", "tls.key"}}
	tests := map[string]struct {
		spec v1alpha1.OpenDataHubSpec
		want []components.Reference
	}{
		"nothing by default": {v1alpha1.OpenDataHubSpec{}, nil},
		"the client secret with OIDC": {
			v1alpha1.OpenDataHubSpec{Authentication: oidc},
			[]components.Reference{clientSecret},
		},
		"the certificate with an Ingress": {
			v1alpha1.OpenDataHubSpec{Ingress: v1alpha1.IngressSpec{Domain: "example.com", TLSSecretRef: wildcard}},
			[]components.Reference{certificate},
		},
		"the credentials of the object storage that notebooks use": {
			v1alpha1.OpenDataHubSpec{ObjectStorage: v1alpha1.ObjectStorageSpec{
				Type: v1alpha1.ObjectStorageExternal,
				External: &v1alpha1.ExternalObjectStorage{
					Endpoint: "https://s3.example.com", CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"},
				},
			}},
			[]components.Reference{{
				Field: "spec.objectStorage.external.credentialsSecretRef", Name: "s3",
				Keys:   []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
				SentTo: []string{"https://s3.example.com"},
			}},
		},
		"no certificate with a Gateway, which has its own": {
			v1alpha1.OpenDataHubSpec{Ingress: v1alpha1.IngressSpec{Type: v1alpha1.IngressGateway, TLSSecretRef: wildcard}},
			nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := New().(components.WithReferences).References(components.Facts{Spec: test.spec})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("references differ (-want +got):\n%s", diff)
			}
		})
	}
}

// Pods must go before the policies that hold them, and the address before the Pods.
func TestOrderOfRemoval(t *testing.T) {
	var order []string
	for _, kind := range New().Kinds() {
		order = append(order, kind.Kind)
	}
	slices.Reverse(order)
	for _, pair := range [][2]string{{"Route", "Deployment"}, {"Deployment", "NetworkPolicy"}, {"Deployment", "Secret"}, {"Deployment", "PersistentVolumeClaim"}} {
		if slices.Index(order, pair[0]) > slices.Index(order, pair[1]) {
			t.Errorf("%s must go before %s: %v", pair[0], pair[1], order)
		}
	}
}

// The tests start the JupyterHub that the image holds.
func TestTestedVersionIsDeployed(t *testing.T) {
	content, err := os.ReadFile("../../hack/python/jupyterhub.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"# What " + hubImage + " holds", "\njupyterhub==" + version + "\n"} {
		if !strings.Contains(string(content), line) {
			t.Errorf("hack/python/jupyterhub.txt does not have %q", line)
		}
	}
}
