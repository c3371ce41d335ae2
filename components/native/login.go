package native

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// Administrator is the account that Local authentication makes.
const Administrator = "admin"

// OIDCSecretKey is the key of the Secret that spec.authentication.oidc.clientSecretRef names.
const OIDCSecretKey = "clientSecret"

// Login is how people log in to a web interface.
type Login struct {
	Type v1alpha1.AuthenticationType
	// OIDC is the provider, with all its addresses and claims. The zero value unless the type is OIDC.
	OIDC          v1alpha1.OIDCSpec
	AdminUsers    []string
	AdminGroups   []string
	AllowedGroups []string
}

func authenticationType(facts components.Facts) v1alpha1.AuthenticationType {
	switch {
	case facts.Spec.Authentication.Type != "":
		return facts.Spec.Authentication.Type
	case facts.Cluster.OpenShift:
		return v1alpha1.AuthenticationOpenShift
	default:
		return v1alpha1.AuthenticationLocal
	}
}

// LoginReferences is the client's secret that spec.authentication names.
func LoginReferences(facts components.Facts) []components.Reference {
	oidc := facts.Spec.Authentication.OIDC
	if oidc == nil || authenticationType(facts) != v1alpha1.AuthenticationOIDC {
		return nil
	}
	return []components.Reference{{
		Field: "spec.authentication.oidc.clientSecretRef", Name: oidc.ClientSecretRef.Name, Keys: []string{OIDCSecretKey},
		SentTo: SentTo(facts, withDefaults(*oidc).TokenEndpoint),
	}}
}

// NewLogin resolves spec.authentication for a web interface that is exposed like this.
func NewLogin(facts components.Facts, exposure Exposure) (Login, error) {
	const field = "spec.authentication."
	spec := facts.Spec.Authentication
	kind := authenticationType(facts)
	if spec.Type == "" && exposure.Host == "" {
		kind = v1alpha1.AuthenticationLocal // nobody asked for a login that cannot work without an address
	}
	login := Login{Type: kind, AdminUsers: spec.AdminUsers, AdminGroups: spec.AdminGroups, AllowedGroups: spec.AllowedGroups}
	switch {
	case kind == v1alpha1.AuthenticationLocal && len(spec.AdminGroups) > 0:
		return Login{}, components.Invalid(field+"adminGroups", "Local authentication knows no groups; use adminUsers, or type OIDC or OpenShift")
	case kind == v1alpha1.AuthenticationLocal && len(spec.AllowedGroups) > 0:
		return Login{}, components.Invalid(field+"allowedGroups", "Local authentication knows no groups: an administrator lets each user in; "+
			"leave it out, or use type OIDC or OpenShift")
	case kind == v1alpha1.AuthenticationLocal:
		return login, nil
	case kind == v1alpha1.AuthenticationOpenShift && !facts.Cluster.OpenShift:
		return Login{}, components.Invalid(field+"type", "OpenShift is allowed on OpenShift only; use OIDC or Local")
	case exposure.Host == "":
		return Login{}, components.Invalid(field+"type", "%s sends browsers away to log in, and spec.ingress.type None gives them no address "+
			"to come back to; use Local, or expose the platform with Route, Ingress or Gateway", kind)
	case kind == v1alpha1.AuthenticationOIDC && spec.OIDC == nil:
		return Login{}, components.Invalid(field+"oidc", "it is required when type is OIDC")
	case kind == v1alpha1.AuthenticationOIDC:
		login.OIDC = withDefaults(*spec.OIDC)
	}
	return login, nil
}

// withDefaults fills in Keycloak's addresses.
func withDefaults(oidc v1alpha1.OIDCSpec) v1alpha1.OIDCSpec {
	keycloak := func(endpoint string) string {
		return strings.TrimSuffix(oidc.Issuer, "/") + "/protocol/openid-connect/" + endpoint
	}
	oidc.AuthorizationEndpoint = cmp.Or(oidc.AuthorizationEndpoint, keycloak("auth"))
	oidc.TokenEndpoint = cmp.Or(oidc.TokenEndpoint, keycloak("token"))
	oidc.UserInfoEndpoint = cmp.Or(oidc.UserInfoEndpoint, keycloak("userinfo"))
	oidc.UsernameClaim = cmp.Or(oidc.UsernameClaim, "preferred_username")
	oidc.GroupsClaim = cmp.Or(oidc.GroupsClaim, "groups")
	if len(oidc.Scopes) == 0 {
		oidc.Scopes = []string{"openid", "profile", "email"}
	}
	return oidc
}

// Clients is how the OpenID Connect provider knows a web interface with this callback; no other login needs to be told.
func (l Login) Clients(callback string) []components.LoginClient {
	if l.Type != v1alpha1.AuthenticationOIDC {
		return nil
	}
	return []components.LoginClient{{Callback: callback}}
}

// ClientSecret is a variable with the secret by which the OpenID Connect provider knows the platform.
func (l Login) ClientSecret(variable string) *core.EnvVarApplyConfiguration {
	return SecretEnv(variable, l.OIDC.ClientSecretRef.Name, OIDCSecretKey)
}

// OpenShiftClient makes an account an OAuth client of OpenShift, which sends browsers back to the callback and nowhere else.
func (a App) OpenShiftClient(account *core.ServiceAccountApplyConfiguration, callback string) *core.ServiceAccountApplyConfiguration {
	return account.WithAnnotations(map[string]string{"serviceaccounts.openshift.io/oauth-redirecturi." + a.Name: callback})
}

// ClusterCAKey is the key of ClusterCA.
const ClusterCAKey = "ca-bundle.crt"

// ClusterCA is a ConfigMap that OpenShift fills with the authorities that its administrators trust: a login provider may
// have a certificate of theirs.
func (a App) ClusterCA(part string) *core.ConfigMapApplyConfiguration {
	return a.ConfigMap(part, "ca").WithLabels(map[string]string{"config.openshift.io/inject-trusted-cabundle": "true"})
}

// LoginCA are authorities besides the public ones that may have signed the certificate of an OpenID Connect provider: those of the spec, or
// on OpenShift ClusterCA. The zero value elsewhere.
func (a App) LoginCA() components.CertificateAuthority {
	switch {
	case a.trustedCA != (components.CertificateAuthority{}):
		return a.trustedCA
	case a.OpenShift:
		return components.CertificateAuthority{ConfigMap: a.Object("ca"), Key: ClusterCAKey}
	default:
		return components.CertificateAuthority{}
	}
}

// LoginCAVolume has the authorities in a file of the name that their key has.
func (a App) LoginCAVolume(name string) *core.VolumeApplyConfiguration {
	ca := a.LoginCA()
	if ca.ConfigMap != "" {
		return ConfigMapVolume(name, ca.ConfigMap)
	}
	return ca.Volume(name)
}

// Ports at which the provider is reached.
func (l Login) Ports() []int32 {
	var ports []int32
	for _, endpoint := range []string{l.OIDC.TokenEndpoint, l.OIDC.UserInfoEndpoint} {
		parsed, err := url.Parse(endpoint)
		if err != nil {
			continue
		}
		if port, err := strconv.ParseInt(parsed.Port(), 10, 32); err == nil {
			ports = append(ports, int32(port))
		}
	}
	return ports
}
