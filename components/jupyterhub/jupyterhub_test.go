package jupyterhub

import (
	"os"
	"path/filepath"
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
				SentTo: []string{"https://s3.example.com"}, Notebooks: true,
			}},
		},
		"credentials of the object storage that notebooks do not have": {
			v1alpha1.OpenDataHubSpec{
				ObjectStorage: v1alpha1.ObjectStorageSpec{
					Type: v1alpha1.ObjectStorageExternal,
					External: &v1alpha1.ExternalObjectStorage{
						Endpoint: "https://s3.example.com", CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"},
					},
				},
				Components: v1alpha1.ComponentsSpec{JupyterHub: &v1alpha1.JupyterHubSpec{S3Credentials: perUser}},
			},
			[]components.Reference{{
				Field: "spec.objectStorage.external.credentialsSecretRef", Name: "s3",
				Keys:   []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
				SentTo: []string{"https://s3.example.com"},
			}},
		},
		"the Secrets of variables, each once": {
			v1alpha1.OpenDataHubSpec{Components: v1alpha1.ComponentsSpec{JupyterHub: &v1alpha1.JupyterHubSpec{Environment: []v1alpha1.NotebookVariable{
				{Name: "STAGE", Value: "test"},
				{Name: "TOKEN", SecretRef: v1alpha1.SecretKey{LocalReference: v1alpha1.LocalReference{Name: "warehouse"}, Key: "token"}},
				{Name: "SAME", SecretRef: v1alpha1.SecretKey{LocalReference: v1alpha1.LocalReference{Name: "warehouse"}, Key: "token"}},
				{Name: "USER", SecretRef: v1alpha1.SecretKey{LocalReference: v1alpha1.LocalReference{Name: "warehouse"}, Key: "user"}},
			}}}},
			[]components.Reference{{
				Field: "spec.components.jupyterHub.environment[1].secretRef", Name: "warehouse", Keys: []string{"token", "user"}, Notebooks: true,
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

// What a hub may mount is what the options of KubeSpawner name, wherever they do.
func TestMountable(t *testing.T) {
	secrets, claims := mountable(
		options{"pvc_name_template": "odh-home-{user_server}", "volumes": map[string]any{"home": options{"persistentVolumeClaim": options{"claimName": "{pvc_name}"}}}},
		profiles{
			Override: options{"environment": options{
				"secretKeyRef": "a variable of this name",
				"secret":       options{"valueFrom": options{"secretKeyRef": options{"name": "tracker", "key": "token"}}},
				"KEY":          options{"valueFrom": options{"secretKeyRef": options{"name": "odh-s3-{username}", "key": "key"}}},
				"AGAIN":        options{"valueFrom": options{"secretKeyRef": options{"name": "tracker", "key": "other"}}},
				"POD":          options{"valueFrom": options{"fieldRef": options{"fieldPath": "metadata.name"}}},
			}},
			Sizes:         []profileSize{{Override: options{"volumes": options{"spark": options{"secret": options{"secretName": "{pod_name}-spark"}}}}}},
			SharedVolumes: []profileVolume{{Override: options{"volumes": options{"shared": options{"persistentVolumeClaim": options{"claimName": "pictures"}}}}}},
		})
	if diff := cmp.Diff([]string{"odh-s3-*", "tracker", "{pod_name}-spark"}, secrets); diff != "" {
		t.Errorf("Secrets differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"odh-home-*", "pictures"}, claims); diff != "" {
		t.Errorf("claims differ (-want +got):\n%s", diff)
	}
}

// A name that begins with the name of a user would let a hub mount what ends like it.
func TestMountableNamesBelongToThePlatform(t *testing.T) {
	files, err := filepath.Glob("testdata/*/objects.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if key, names, _ := strings.Cut(strings.TrimSpace(line), ": "); key == AnnotationMountableSecrets || key == AnnotationMountableClaims {
				for name := range strings.SplitSeq(strings.Trim(names, `'"`), ",") {
					if strings.HasPrefix(name, "*") {
						t.Errorf("%s: %s", file, line)
					}
				}
			}
		}
	}
}
