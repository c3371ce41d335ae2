package jupyterhub

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// The keys of Secrets.
const (
	oidcSecretKey   = "clientSecret" // of the Secret that spec.authentication.oidc.clientSecretRef names
	adminKey        = "password"
	cookieKey       = "cookie-secret"
	cryptKey        = "crypt-key"
	prometheusKey   = "token-prometheus"
	proxyTokenKey   = "proxy-token"
	accountTokenKey = "token" // as Kubernetes fills it in
)

// administrator is the first account under Local authentication; jupyterhub_config.py knows it by this name.
const administrator = "admin"

// inputs is everything that the objects are made of: defaults filled in, contradictions refused.
type inputs struct {
	platform  string
	namespace string
	labels    map[string]string // for Pods, so that the operator sees them
	openShift bool

	hub      v1alpha1.Resources
	proxy    v1alpha1.Resources
	database v1alpha1.Storage
	home     v1alpha1.Storage

	login  login
	expose exposure
	// apiPorts are those at which the hub reaches the API server and the login provider.
	apiPorts []int32
	// services of the platform that notebooks may use.
	services []service
	// storage is the S3 service that notebooks use; nil if there is none.
	storage *components.ObjectStorage

	images       []v1alpha1.NotebookImage
	defaultImage string
	sizes        []v1alpha1.NotebookSize
	defaultSize  string
	culling      *culling
	limits       limits

	// hubSecrets and proxySecrets change with the Secrets that each reads at its start.
	hubSecrets, proxySecrets string
}

// service is something of the platform that notebooks may use: Pods with these labels, at these ports.
type service struct {
	labels map[string]string
	ports  []int32
}

// login is how people log in.
type login struct {
	kind          v1alpha1.AuthenticationType
	oidc          v1alpha1.OIDCSpec
	adminUsers    []string
	adminGroups   []string
	allowedGroups []string
}

// exposure is how the proxy is reached from outside.
type exposure struct {
	kind      v1alpha1.IngressType
	host      string // empty when it is not
	className string
	tlsSecret string
	gateway   v1alpha1.GatewayReference
}

// limits of the whole hub; zero is none.
type limits struct{ concurrentSpawns, activeServers, namedServers int32 }

// object is the name of a part, as in odh-jupyterhub-hub.
func (in inputs) object(part string) string { return in.web() + "-" + part }

// web is the name of what browsers talk to.
func (in inputs) web() string { return in.platform + "-jupyterhub" }

// url at which the hub is used, with a slash at its end.
func (in inputs) url() string {
	if in.expose.host == "" {
		return fmt.Sprintf("http://%s.%s.svc/", in.web(), in.namespace)
	}
	return "https://" + in.expose.host + "/"
}

func newInputs(facts components.Facts) (inputs, error) {
	var spec v1alpha1.JupyterHubSpec
	if facts.Spec.Components.JupyterHub != nil {
		spec = *facts.Spec.Components.JupyterHub
	}
	profile := profileOf(facts.Spec.Profile)
	in := inputs{
		platform:  facts.Platform.Name,
		namespace: facts.Platform.Namespace,
		labels:    facts.Labels(name),
		openShift: facts.Cluster.OpenShift,
		hub:       fill(spec.Hub.Resources, profile.hub),
		proxy:     fill(spec.Proxy.Resources, profile.proxy),
		home:      v1alpha1.Storage{Size: orDefault(spec.Home.Size, profile.home), StorageClassName: spec.Home.StorageClassName},
		images:    orList(spec.Images, defaultImages),
		sizes:     orList(spec.Sizes, profile.sizes),
		limits: limits{
			concurrentSpawns: cmp.Or(spec.ConcurrentSpawnLimit, 64),
			activeServers:    spec.ActiveServerLimit,
			namedServers:     spec.NamedServersPerUser,
		},
	}
	if spec.Culling.State != v1alpha1.Disabled {
		in.culling = &culling{
			IdleTimeoutSeconds: cmp.Or(spec.Culling.IdleTimeoutSeconds, 3600),
			MaxAgeSeconds:      spec.Culling.MaxAgeSeconds,
		}
	}
	var err error
	if in.database, err = databaseStorage(facts, spec.Database, profile.database); err != nil {
		return inputs{}, err
	}
	if in.expose, err = newExposure(facts); err != nil {
		return inputs{}, err
	}
	if in.login, err = newLogin(facts, in.expose); err != nil {
		return inputs{}, err
	}
	if in.defaultImage, err = chosen("defaultImage", spec.DefaultImage, in.images, imageName); err != nil {
		return inputs{}, err
	}
	if in.defaultSize, err = chosen("defaultSize", spec.DefaultSize, in.sizes, sizeName); err != nil {
		return inputs{}, err
	}
	in.apiPorts = apiPorts(in.login)
	in.services = services(facts)
	in.storage = facts.ObjectStorage()
	in.hubSecrets = digestOf(facts, in.object(keysPart), in.object(proxyPart), in.object(loginPart), in.login.oidc.ClientSecretRef.Name)
	in.proxySecrets = digestOf(facts, in.object(proxyPart))
	return in, nil
}

func imageName(image v1alpha1.NotebookImage) string { return image.Name }
func sizeName(size v1alpha1.NotebookSize) string    { return size.Name }

// chosen is the name that is chosen already when the form opens.
func chosen[T any](field, want string, from []T, nameOf func(T) string) (string, error) {
	if want == "" {
		return nameOf(from[0]), nil
	}
	var names []string
	for _, item := range from {
		names = append(names, nameOf(item))
	}
	if !slices.Contains(names, want) {
		return "", components.Invalid("spec.components.jupyterHub."+field, "%s does not exist; use one of %v", want, names)
	}
	return want, nil
}

// databaseStorage keeps a volume that exists where it is, and as large as it is when the profile wants less: volumes never
// move or shrink.
func databaseStorage(facts components.Facts, spec v1alpha1.Storage, size resource.Quantity) (v1alpha1.Storage, error) {
	storage := v1alpha1.Storage{Size: orDefault(spec.Size, size), StorageClassName: spec.StorageClassName}
	claim := facts.Live.Find(kinds.PersistentVolumeClaim.GroupKind, facts.Platform.Name+"-jupyterhub-"+databasePart)
	if claim == nil {
		return storage, nil
	}
	if class, _, _ := unstructured.NestedString(claim.Object, "spec", "storageClassName"); spec.StorageClassName != "" && class != "" {
		storage.StorageClassName = class // without a wish, the cluster's default is not ours to set
	}
	if live, ok := requested(claim); ok && storage.Size.Cmp(live) < 0 {
		if !spec.Size.IsZero() {
			return storage, components.Invalid("spec.components.jupyterHub.database.size",
				"the volume has %s already and volumes cannot shrink; use %s or more", live.String(), live.String())
		}
		storage.Size = live
	}
	return storage, nil
}

func requested(claim *unstructured.Unstructured) (resource.Quantity, bool) {
	text, found, err := unstructured.NestedString(claim.Object, "spec", "resources", "requests", "storage")
	if !found || err != nil {
		return resource.Quantity{}, false
	}
	size, err := resource.ParseQuantity(text)
	return size, err == nil
}

func ingressType(facts components.Facts) v1alpha1.IngressType {
	switch {
	case facts.Spec.Ingress.Type != "":
		return facts.Spec.Ingress.Type
	case facts.Cluster.OpenShift:
		return v1alpha1.IngressRoute
	case facts.Spec.Ingress.Domain != "":
		return v1alpha1.IngressIngress
	default:
		return v1alpha1.IngressNone
	}
}

// usesTLSSecret: a Gateway has its certificate at its own listener.
func usesTLSSecret(kind v1alpha1.IngressType) bool {
	return kind == v1alpha1.IngressRoute || kind == v1alpha1.IngressIngress
}

func newExposure(facts components.Facts) (exposure, error) {
	spec := facts.Spec.Ingress
	kind := ingressType(facts)
	if kind == v1alpha1.IngressNone {
		return exposure{kind: kind}, nil
	}
	if kind == v1alpha1.IngressRoute && !facts.Cluster.OpenShift {
		return exposure{}, components.Invalid("spec.ingress.type",
			"Route needs OpenShift, which this cluster is not; use Ingress, Gateway or None")
	}
	domain := cmp.Or(spec.Domain, facts.Cluster.IngressDomain)
	if domain == "" {
		return exposure{}, components.Invalid("spec.ingress.domain",
			"it is required when type is %s, because host names derive from it; set it, as in apps.example.com, or set type to None", kind)
	}
	result := exposure{
		kind:      kind,
		host:      "jupyterhub-" + facts.Platform.Name + "." + domain,
		className: spec.ClassName,
		tlsSecret: spec.TLSSecretRef.Name,
	}
	if kind == v1alpha1.IngressGateway {
		if spec.Gateway == nil {
			return exposure{}, components.Invalid("spec.ingress.gateway", "it is required when type is Gateway: name the Gateway to attach to")
		}
		result.gateway = *spec.Gateway
	}
	return result, nil
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

func newLogin(facts components.Facts, expose exposure) (login, error) {
	const field = "spec.authentication."
	spec := facts.Spec.Authentication
	kind := authenticationType(facts)
	if spec.Type == "" && expose.host == "" {
		kind = v1alpha1.AuthenticationLocal // nobody asked for a login that cannot work without an address
	}
	result := login{kind: kind, adminUsers: spec.AdminUsers, adminGroups: spec.AdminGroups, allowedGroups: spec.AllowedGroups}
	switch {
	case kind == v1alpha1.AuthenticationLocal && len(spec.AdminGroups) > 0:
		return login{}, components.Invalid(field+"adminGroups", "Local authentication knows no groups; use adminUsers, or type OIDC or OpenShift")
	case kind == v1alpha1.AuthenticationLocal && len(spec.AllowedGroups) > 0:
		return login{}, components.Invalid(field+"allowedGroups", "Local authentication knows no groups: an administrator lets each user in; "+
			"leave it out, or use type OIDC or OpenShift")
	case kind == v1alpha1.AuthenticationLocal:
		return result, nil
	case kind == v1alpha1.AuthenticationOpenShift && !facts.Cluster.OpenShift:
		return login{}, components.Invalid(field+"type", "OpenShift is allowed on OpenShift only; use OIDC or Local")
	case expose.host == "":
		return login{}, components.Invalid(field+"type", "%s sends browsers away to log in, and spec.ingress.type None gives them no address "+
			"to come back to; use Local, or expose the platform with Route, Ingress or Gateway", kind)
	case kind == v1alpha1.AuthenticationOIDC && spec.OIDC == nil:
		return login{}, components.Invalid(field+"oidc", "it is required when type is OIDC")
	case kind == v1alpha1.AuthenticationOIDC:
		result.oidc = withEndpoints(*spec.OIDC)
	}
	return result, nil
}

// withEndpoints fills in Keycloak's addresses.
func withEndpoints(oidc v1alpha1.OIDCSpec) v1alpha1.OIDCSpec {
	keycloak := func(endpoint string) string {
		return strings.TrimSuffix(oidc.Issuer, "/") + "/protocol/openid-connect/" + endpoint
	}
	oidc.AuthorizationEndpoint = cmp.Or(oidc.AuthorizationEndpoint, keycloak("auth"))
	oidc.TokenEndpoint = cmp.Or(oidc.TokenEndpoint, keycloak("token"))
	oidc.UserInfoEndpoint = cmp.Or(oidc.UserInfoEndpoint, keycloak("userinfo"))
	oidc.UsernameClaim = cmp.Or(oidc.UsernameClaim, "preferred_username")
	oidc.GroupsClaim = cmp.Or(oidc.GroupsClaim, "groups")
	return oidc
}

// apiPorts are those of API servers as they are found in the wild, because a network policy sees the server's own port
// and not that of its Service, and those of the login provider.
func apiPorts(login login) []int32 {
	ports := []int32{443, 6443, 8443, 16443}
	for _, endpoint := range []string{login.oidc.TokenEndpoint, login.oidc.UserInfoEndpoint} {
		if parsed, err := url.Parse(endpoint); err == nil {
			if port, err := strconv.ParseInt(parsed.Port(), 10, 32); err == nil {
				ports = append(ports, int32(port))
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// services are those whose Pods run in the platform's namespace.
func services(facts components.Facts) []service {
	var services []service
	if _, wanted := components.FindWanted(facts.Spec.Components, "kafka"); wanted {
		services = append(services, service{labels: facts.Labels("kafka"), ports: []int32{9093}}) // TLS and a login
	}
	return services
}

// digestOf changes when one of these Secrets changes. It is empty before they exist.
func digestOf(facts components.Facts, secrets ...string) string {
	var digests []string
	for _, secret := range secrets {
		if digest := facts.Secrets[secret].Digest; digest != "" {
			digests = append(digests, secret, digest)
		}
	}
	if len(digests) == 0 {
		return ""
	}
	return digest(digests...)
}
