package native

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

func onOpenShift(authentication v1alpha1.AuthenticationSpec) components.Facts {
	return components.Facts{
		Platform: components.Platform{Name: "odh", Namespace: "lab"},
		Cluster:  components.Cluster{OpenShift: true, IngressDomain: "apps.example.com"},
		Spec:     v1alpha1.OpenDataHubSpec{Authentication: authentication},
	}
}

func proxyOf(t *testing.T, facts components.Facts) LoginProxy {
	t.Helper()
	proxy, err := NewLoginProxy(NewApp(facts, "mlflow"), facts, WebInterface{Part: "server", Port: 5000, Programs: []string{"notebook"}})
	if err != nil {
		t.Fatal(err)
	}
	return proxy
}

// rendered is everything that the proxy consists of, as JSON.
func rendered(t *testing.T, proxy LoginProxy) string {
	t.Helper()
	pod := proxy.app.Pod("server", 1000)
	proxy.AddTo(pod, v1alpha1.Resources{})
	var texts []string
	for _, object := range proxy.Objects() {
		texts = append(texts, encoded(t, object.ApplyConfiguration))
	}
	return strings.Join(append(texts, encoded(t, pod)), "\n")
}

func encoded(t *testing.T, value any) string {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestOpenShiftLogin(t *testing.T) {
	all := rendered(t, proxyOf(t, onOpenShift(v1alpha1.AuthenticationSpec{})))
	for _, want := range []string{
		openShiftProxyImage,
		`"--provider=openshift","--openshift-service-account=odh-mlflow-server"`,
		`"--http-address="`, // nothing but TLS
		`"serviceaccounts.openshift.io/oauth-redirecturi.mlflow":"https://mlflow-odh.apps.example.com/oauth/callback"`,
		`"service.beta.openshift.io/serving-cert-secret-name":"odh-mlflow-tls"`,
		`"termination":"reencrypt"`,
		`"automountServiceAccountToken":false`, // only the proxy has the token
		`"serviceAccountToken"`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is missing in\n%s", want, all)
		}
	}
	for _, no := range []string{WebRole, "--openshift-sar", "--skip-auth", "--bypass-auth", "runAsUser"} {
		if strings.Contains(all, no) {
			t.Errorf("%s is in\n%s", no, all)
		}
	}
}

// The proxy asks OpenShift whether a user has the right that only the groups have: its own flag for groups does nothing.
func TestOpenShiftLoginOfGroups(t *testing.T) {
	proxy := proxyOf(t, onOpenShift(v1alpha1.AuthenticationSpec{
		AllowedGroups: []string{"data-science"}, AdminGroups: []string{"admins"}, AdminUsers: []string{"ann"},
	}))
	want := `--openshift-sar={"namespace":"lab","verb":"get","resourceAPIGroup":"opendatahub.io","resource":"webinterfaces"}`
	if !slices.Contains(proxy.Args(), want) {
		t.Errorf("%s is not among %v", want, proxy.Args())
	}
	all := rendered(t, proxy)
	for _, want := range []string{
		`"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"opendatahub-web-interface"}`,
		`{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"data-science"}`,
		`{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"admins"}`,
		`{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"ann"}`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is missing in\n%s", want, all)
		}
	}
}

// OpenShift's certificates are renewed, and oauth2-proxy reads its own at its start.
func TestACertificateOfOpenShiftRollsThePods(t *testing.T) {
	facts := onOpenShift(v1alpha1.AuthenticationSpec{Type: v1alpha1.AuthenticationLocal})
	app := NewApp(facts, "mlflow")
	watched := app.References(facts)
	if len(watched) != 1 || watched[0].Name != "odh-mlflow-tls" || !watched[0].Awaited {
		t.Errorf("references = %+v, want the certificate", watched)
	}
	facts.Secrets = map[string]components.Secret{"odh-mlflow-tls": {Digest: "1"}}
	before := proxyOf(t, facts).Secrets
	facts.Secrets["odh-mlflow-tls"] = components.Secret{Digest: "2"}
	if after := proxyOf(t, facts).Secrets; after == before {
		t.Errorf("the digest of the Secrets stays %s", after)
	}
}

func TestOIDCOnOpenShiftTrustsWhatTheClusterTrusts(t *testing.T) {
	all := rendered(t, proxyOf(t, onOpenShift(v1alpha1.AuthenticationSpec{
		Type: v1alpha1.AuthenticationOIDC,
		OIDC: &v1alpha1.OIDCSpec{Issuer: "https://sso.example.com", ClientID: "odh", ClientSecretRef: v1alpha1.LocalReference{Name: "sso"}},
	})))
	for _, want := range []string{
		loginProxyImage, "--provider-ca-file=/etc/login-proxy/ca/ca-bundle.crt", `"config.openshift.io/inject-trusted-cabundle":"true"`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is missing in\n%s", want, all)
		}
	}
}

func TestALoginThatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		spec v1alpha1.OpenDataHubSpec
		want string
	}{
		"OpenShift's elsewhere": {
			v1alpha1.OpenDataHubSpec{
				Authentication: v1alpha1.AuthenticationSpec{Type: v1alpha1.AuthenticationOpenShift},
				Ingress:        v1alpha1.IngressSpec{Domain: "example.com"},
			}, "spec.authentication.type",
		},
		"groups that nobody knows": {
			v1alpha1.OpenDataHubSpec{Authentication: v1alpha1.AuthenticationSpec{AllowedGroups: []string{"staff"}}},
			"spec.authentication.allowedGroups",
		},
		"a provider and no way back": {
			v1alpha1.OpenDataHubSpec{Authentication: v1alpha1.AuthenticationSpec{Type: v1alpha1.AuthenticationOIDC, OIDC: &v1alpha1.OIDCSpec{}}},
			"spec.authentication.type",
		},
		"a Route without OpenShift": {
			v1alpha1.OpenDataHubSpec{Ingress: v1alpha1.IngressSpec{Type: v1alpha1.IngressRoute}}, "spec.ingress.type",
		},
	} {
		t.Run(name, func(t *testing.T) {
			facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}, Spec: test.spec}
			_, err := NewLoginProxy(NewApp(facts, "mlflow"), facts, WebInterface{Part: "server", Port: 5000})
			var failure *components.Failure
			if !errors.As(err, &failure) || !failure.Terminal || !strings.HasPrefix(err.Error(), test.want+": ") {
				t.Errorf("got %v, want a terminal failure about %s", err, test.want)
			}
		})
	}
}
