package native

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	rbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// The proxies. docs/architecture.md says why these two. test/login runs this version of oauth2-proxy.
const (
	LoginProxyVersion   = "v7.15.6"
	loginProxyImage     = "quay.io/oauth2-proxy/oauth2-proxy:" + LoginProxyVersion
	openShiftProxyImage = "quay.io/openshift/origin-oauth-proxy:4.20"
)

// LoginImages are the images of the proxies, for components.WithImages.
func LoginImages() map[string]string {
	return map[string]string{"LOGIN_PROXY": loginProxyImage, "LOGIN_PROXY_OPENSHIFT": openShiftProxyImage}
}

// WebRole is the ClusterRole, shipped in config/rbac, that is bound to those who may log in to web interfaces with their
// OpenShift accounts when spec.authentication.allowedGroups is set. It permits nothing else.
const WebRole = "opendatahub-web-interface"

// LoginPage is what oauth2-proxy shows under Local authentication. Its own page also offers a provider, which there is not.
//
//go:embed login_page.html
var LoginPage string

// Where the proxy finds its files.
const (
	tlsFolder    = "/etc/login-proxy/tls"
	cookieFolder = "/etc/login-proxy/cookie"
	loginFolder  = "/etc/login-proxy/login"
	clientFolder = "/etc/login-proxy/client"
	pageFolder   = "/etc/login-proxy/page"
	caFolder     = "/etc/login-proxy/ca"
)

// TokenFolder is where clients of Kubernetes look for the token of their Pod's account.
const TokenFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

const (
	cookieKey   = "secret"
	htpasswdKey = "htpasswd"
	// PasswordKey of the Secret with the login holds the administrator's password.
	PasswordKey = "password"
)

// Ports of the proxy. It speaks TLS, or HTTP behind an Ingress or an HTTPRoute; oauth2-proxy cannot do both.
const (
	securePort = 8443
	plainPort  = 8080
)

// WebInterface is a web interface that has no login of its own. It listens on the loopback of its Pod only, where an
// authenticating proxy that gives it the platform's login finds it. Without any of the Secrets that the proxy needs, the
// Pod does not start.
type WebInterface struct {
	// Part whose Pod serves it.
	Part string
	// Title is as in Web.
	Title string
	// Port at which it listens on the loopback.
	Port int32
	// APIPaths are regular expressions of paths that programs use: without a login they get 401 instead of a login page.
	APIPaths []string
	// Programs are the names of accounts for programs, which log in with HTTP Basic authentication, whatever the
	// platform's login. Use Password for theirs.
	Programs []string
	// PassToken gives the interface, on OpenShift, the token of whoever is logged in, which may ask what its owner may do, and
	// nothing else: the header X-Forwarded-Access-Token.
	PassToken bool
	// BearerTokens lets in programs that send, under OIDC, a token of the provider that is meant for the platform's client. Groups count
	// as they do for people.
	BearerTokens bool
	// IngressAnnotations and RouteAnnotations are as in Web.
	IngressAnnotations, RouteAnnotations map[string]string
}

// LoginProxy is the proxy in front of a WebInterface.
type LoginProxy struct {
	// Exposure of the web interface.
	Exposure Exposure
	// Login to it.
	Login Login
	// Secrets changes with the Secrets that the proxy reads at its start: for the annotation AnnotationSecrets.
	Secrets string

	app App
	web WebInterface
}

// NewLoginProxy resolves spec.ingress and spec.authentication for a web interface of the app.
func NewLoginProxy(app App, facts components.Facts, web WebInterface) (LoginProxy, error) {
	proxy := LoginProxy{app: app, web: web}
	var err error
	if proxy.Exposure, err = app.Expose(facts); err != nil {
		return LoginProxy{}, err
	}
	if proxy.Login, err = NewLogin(facts, proxy.Exposure); err != nil {
		return LoginProxy{}, err
	}
	secrets := []string{proxy.cookie(), proxy.certificate(), proxy.Login.OIDC.ClientSecretRef.Name}
	if proxy.trustsMore() {
		secrets = append(secrets, app.LoginCA().Secret)
	}
	proxy.Secrets = SecretsDigest(facts, secrets...)
	return proxy, nil
}

// References are the Secrets that the proxies of a component's web interfaces use and that the component does not make.
func (a App) References(facts components.Facts) []components.Reference {
	references := append(LoginReferences(facts), IngressReferences(facts)...)
	if authenticationType(facts) == v1alpha1.AuthenticationOIDC {
		references = append(references, TrustedCAReferences(facts)...)
	}
	if kind := ingressType(facts); a.OpenShift && (kind == v1alpha1.IngressRoute || kind == v1alpha1.IngressNone) {
		references = append(references, components.Reference{
			Field: "spec.ingress", Name: a.Object("tls"), Keys: []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey},
			Awaited: true, // OpenShift makes it
		})
	}
	return references
}

// Kinds are those of a component that is made of what is here, in the order of applying: an account has its rights, and a
// network its policies, before a Pod uses them, and the address is published last. Removal goes the other way round.
func Kinds() []kinds.Kind {
	return append([]kinds.Kind{
		kinds.NetworkPolicy,
		kinds.ServiceAccount,
		kinds.RoleBinding,
		kinds.Secret,
		kinds.ConfigMap,
		kinds.PersistentVolumeClaim,
		kinds.Service,
		kinds.Deployment,
	}, ExposureKinds()...)
}

func (p LoginProxy) openShift() bool { return p.Login.Type == v1alpha1.AuthenticationOpenShift }

func (p LoginProxy) cookie() string { return p.app.Object("cookie") }

// certificate is the Secret with that of the proxy.
func (p LoginProxy) certificate() string { return p.app.Object("tls") }
func (p LoginProxy) login() string       { return p.app.Object("login") }

// secure reports whether the proxy speaks TLS. Behind an Ingress or an HTTPRoute it speaks HTTP: they have no portable way
// to be told an authority.
func (p LoginProxy) secure() bool {
	return p.Exposure.Type != v1alpha1.IngressIngress && p.Exposure.Type != v1alpha1.IngressGateway
}

// scheme is also the name of the ports.
func (p LoginProxy) scheme() string {
	if p.secure() {
		return "https"
	}
	return "http"
}

func (p LoginProxy) exposed() Web {
	return Web{
		Part: p.web.Part, Title: p.web.Title, Secure: p.secure(), IngressAnnotations: p.web.IngressAnnotations, RouteAnnotations: p.web.RouteAnnotations,
	}
}

// URL at which people use the web interface, with a slash at its end.
func (p LoginProxy) URL() string { return p.app.URL(p.Exposure, p.exposed()) }

// callback is where the provider sends browsers back.
func (p LoginProxy) callback() string {
	if p.openShift() {
		return p.URL() + "oauth/callback"
	}
	return p.URL() + "oauth2/callback"
}

// LoginClients is how the platform's OpenID Connect provider knows the web interface.
func (p LoginProxy) LoginClients() []components.LoginClient { return p.Login.Clients(p.callback()) }

// InternalURL at which programs in the platform's namespace use it, without a slash at its end.
func (p LoginProxy) InternalURL() string {
	return fmt.Sprintf("%s://%s.%s.svc", p.scheme(), p.app.Web(), p.app.Platform.Namespace)
}

// Authority signed the certificate behind InternalURL. The zero value without TLS.
func (p LoginProxy) Authority() components.CertificateAuthority {
	switch {
	case !p.secure():
		return components.CertificateAuthority{}
	case p.app.OpenShift:
		return components.CertificateAuthority{ConfigMap: components.OpenShiftServiceCA, Key: "service-ca.crt"}
	default:
		return components.CertificateAuthority{Secret: p.certificate(), Key: "ca.crt"}
	}
}

// CredentialsSecret holds the login, in the keys username and PasswordKey. Empty when people have accounts elsewhere.
func (p LoginProxy) CredentialsSecret() string {
	if p.Login.Type != v1alpha1.AuthenticationLocal {
		return ""
	}
	return p.login()
}

// Password is where the password of a program's account is.
func (p LoginProxy) Password(program string) (secret, key string) {
	return p.login(), program + "-password"
}

// Port that programs in the cluster reach.
func (p LoginProxy) Port() int32 {
	if p.secure() {
		return securePort
	}
	return plainPort
}

// Objects are all that the proxy needs but its place in the Deployment and the network policy: the part's ServiceAccount
// and Service among them.
func (p LoginProxy) Objects() []components.Object {
	cookie := components.Owned(p.app.Secret(p.web.Part, "cookie"))
	cookie.Generate = []components.Random{{Key: cookieKey, Bytes: 16}} // AES-256 with its hexadecimal form
	objects := []components.Object{components.Owned(p.account())}
	if len(p.groups()) > 0 && p.openShift() {
		objects = append(objects, components.Owned(p.binding()))
	}
	objects = append(objects, cookie)
	objects = append(objects, p.loginObjects()...)
	if p.secure() && !p.app.OpenShift {
		tls := components.Owned(p.app.Secret(p.web.Part, "tls").WithType(corev1.SecretTypeTLS))
		service := p.app.Web() + "." + p.app.Platform.Namespace
		tls.Certificate = &components.Certificate{DNSNames: []string{
			p.app.Web(), service, service + ".svc", service + ".svc.cluster.local", "localhost",
		}}
		objects = append(objects, tls)
	}
	objects = append(objects, components.Owned(p.service()))
	return append(objects, p.app.Exposed(p.Exposure, p.exposed())...)
}

func (p LoginProxy) account() *core.ServiceAccountApplyConfiguration {
	account := p.app.ServiceAccount(p.web.Part)
	if p.openShift() {
		p.app.OpenShiftClient(account, p.callback())
	}
	return account
}

// groups are those whose members may log in. Empty: everybody whom the provider knows.
func (p LoginProxy) groups() []string {
	if len(p.Login.AllowedGroups) == 0 {
		return nil
	}
	return append(notNil(p.Login.AllowedGroups), p.Login.AdminGroups...)
}

func notNil(list []string) []string { return append([]string{}, list...) }

func (p LoginProxy) binding() *rbac.RoleBindingApplyConfiguration {
	binding := rbac.RoleBinding(p.login(), p.app.Platform.Namespace).WithLabels(p.app.Labels(p.web.Part)).
		WithRoleRef(rbac.RoleRef().WithAPIGroup("rbac.authorization.k8s.io").WithKind("ClusterRole").WithName(WebRole))
	subject := func(kind, name string) {
		binding.WithSubjects(rbac.Subject().WithAPIGroup("rbac.authorization.k8s.io").WithKind(kind).WithName(name))
	}
	for _, group := range p.groups() {
		subject("Group", group)
	}
	for _, user := range p.Login.AdminUsers {
		subject("User", user)
	}
	return binding
}

// loginObjects are the accounts that the proxy itself knows, and what depends on the kind of login.
func (p LoginProxy) loginObjects() []components.Object {
	var objects []components.Object
	secret := p.app.Secret(p.web.Part, "login")
	htpasswd := &components.Htpasswd{Key: htpasswdKey}
	var passwords []components.Random
	if p.Login.Type == v1alpha1.AuthenticationLocal {
		secret.WithData(map[string][]byte{"username": []byte(Administrator)})
		passwords = append(passwords, components.Random{Key: PasswordKey, Bytes: 16})
		htpasswd.Accounts = append(htpasswd.Accounts, components.Account{Name: Administrator, PasswordKey: PasswordKey})
		objects = append(objects, components.Owned(p.app.ConfigMap(p.web.Part, "login-page").
			WithData(map[string]string{"sign_in.html": LoginPage})))
	}
	for _, program := range p.web.Programs {
		_, key := p.Password(program)
		passwords = append(passwords, components.Random{Key: key, Bytes: 16})
		htpasswd.Accounts = append(htpasswd.Accounts, components.Account{Name: program, PasswordKey: key, Program: true})
	}
	if len(passwords) > 0 {
		login := components.Data(secret)
		login.Generate, login.Htpasswd = passwords, htpasswd
		objects = append(objects, login)
	}
	if p.trustsMore() && p.app.LoginCA().ConfigMap != "" {
		objects = append(objects, components.Owned(p.app.ClusterCA(p.web.Part)))
	}
	return objects
}

// trustsMore reports whether an OpenID Connect provider may have a certificate that no public authority signed.
func (p LoginProxy) trustsMore() bool {
	return p.Login.Type == v1alpha1.AuthenticationOIDC && p.app.LoginCA() != (components.CertificateAuthority{})
}

func (p LoginProxy) service() *core.ServiceApplyConfiguration {
	if !p.secure() {
		return p.app.Service(p.app.Web(), p.web.Part, ServicePort("http", 80))
	}
	service := p.app.Service(p.app.Web(), p.web.Part, ServicePort("https", 443))
	if p.app.OpenShift {
		service.WithAnnotations(map[string]string{"service.beta.openshift.io/serving-cert-secret-name": p.certificate()})
	}
	return service
}

// Ingress admits browsers, through whatever router the cluster has.
func (p LoginProxy) Ingress() Ingress { return From(Ports(p.Port())) }

// Egress lets the proxy reach the login provider. It needs DNS as well.
func (p LoginProxy) Egress() []Egress {
	switch p.Login.Type {
	case v1alpha1.AuthenticationOpenShift:
		return []Egress{To(APIServerPorts(), Anywhere()...)}
	case v1alpha1.AuthenticationOIDC:
		ports := append(p.Login.Ports(), 443)
		slices.Sort(ports)
		return append([]Egress{To(slices.Compact(ports), Anywhere()...)}, p.app.Outbound.Egress()...)
	default:
		return nil
	}
}

// AddTo puts the proxy, and the volumes that it reads, into the Pod of its part.
func (p LoginProxy) AddTo(pod *core.PodSpecApplyConfiguration, resources v1alpha1.Resources) {
	container := Container("login-proxy", loginProxyImage, resources).WithPorts(Port(p.scheme(), p.Port()))
	volume := func(volume *core.VolumeApplyConfiguration, folder string) {
		pod.WithVolumes(volume)
		container.WithVolumeMounts(MountReadOnly(*volume.Name, folder))
	}
	if p.secure() {
		volume(SecretVolume("login-proxy-tls", p.certificate()), tlsFolder)
	}
	volume(SecretVolume("login-proxy-cookie", p.cookie()), cookieFolder)
	if p.accounts() {
		htpasswd := SecretVolume("login-proxy-login", p.login())
		htpasswd.Secret.WithItems(core.KeyToPath().WithKey(htpasswdKey).WithPath(htpasswdKey))
		volume(htpasswd, loginFolder)
	}
	health := "/ping"
	switch p.Login.Type {
	case v1alpha1.AuthenticationOpenShift:
		container.WithImage(openShiftProxyImage)
		health = "/oauth/healthz"
		volume(TokenVolume("login-proxy-token"), TokenFolder)
	case v1alpha1.AuthenticationOIDC:
		client := SecretVolume("login-proxy-client", p.Login.OIDC.ClientSecretRef.Name)
		client.Secret.WithItems(core.KeyToPath().WithKey(OIDCSecretKey).WithPath(OIDCSecretKey))
		volume(client, clientFolder)
		container.WithEnv(p.app.Outbound.Env()...)
	default:
		volume(ConfigMapVolume("login-proxy-page", p.app.Object("login-page")), pageFolder)
	}
	if p.trustsMore() {
		volume(p.app.LoginCAVolume("login-proxy-ca"), caFolder)
	}
	probe := func(failures int32) *core.ProbeApplyConfiguration {
		probe := Probe(health, 10, failures)
		probe.HTTPGet.WithScheme(corev1.URIScheme(strings.ToUpper(p.scheme()))).WithPort(intstr.FromString(p.scheme()))
		return probe
	}
	container.WithArgs(p.Args()...).WithLivenessProbe(probe(6)).WithReadinessProbe(probe(3))
	pod.WithContainers(container)
}

// TokenVolume has the token of the Pod's account, for the containers that mount it at TokenFolder: other containers of the Pod do not get it.
func TokenVolume(name string) *core.VolumeApplyConfiguration {
	return core.Volume().WithName(name).WithProjected(core.ProjectedVolumeSource().WithSources(
		core.VolumeProjection().WithServiceAccountToken(core.ServiceAccountTokenProjection().WithPath("token").WithExpirationSeconds(3607)),
		core.VolumeProjection().WithConfigMap(core.ConfigMapProjection().WithName("kube-root-ca.crt").
			WithItems(core.KeyToPath().WithKey("ca.crt").WithPath("ca.crt"))),
		core.VolumeProjection().WithDownwardAPI(core.DownwardAPIProjection().WithItems(core.DownwardAPIVolumeFile().
			WithPath("namespace").WithFieldRef(core.ObjectFieldSelector().WithFieldPath("metadata.namespace")))),
	))
}

// accounts reports whether the proxy itself has accounts.
func (p LoginProxy) accounts() bool {
	return p.Login.Type == v1alpha1.AuthenticationLocal || len(p.web.Programs) > 0
}

// Args of the proxy.
func (p LoginProxy) Args() []string {
	args := p.addresses()
	args = append(args,
		fmt.Sprintf("--upstream=http://127.0.0.1:%d/", p.web.Port),
		"--cookie-secret-file="+cookieFolder+"/"+cookieKey,
		// People are asked to log in once a day: membership of groups is looked at only then.
		"--cookie-expire=24h",
		"--cookie-samesite=lax",
		"--pass-basic-auth=false",
		"--upstream-timeout=10m",
		"--footer=-",
	)
	if p.accounts() {
		args = append(args, "--htpasswd-file="+loginFolder+"/"+htpasswdKey)
	}
	if p.openShift() {
		return append(args, p.openShiftArgs()...)
	}
	args = append(args,
		// Browsers send it to this host alone, and never without TLS.
		"--cookie-name=__Host-"+p.app.Web(),
		"--silence-ping-logging=true",
	)
	for _, path := range p.web.APIPaths {
		args = append(args, "--api-route="+path)
	}
	if p.Login.Type == v1alpha1.AuthenticationOIDC {
		return append(args, p.oidcArgs()...)
	}
	return append(args, localArgs()...)
}

// addresses at which the proxy listens, of both families.
func (p LoginProxy) addresses() []string {
	if !p.secure() {
		return []string{fmt.Sprintf("--http-address=:%d", plainPort), "--https-address="}
	}
	args := []string{fmt.Sprintf("--https-address=:%d", securePort), "--http-address="}
	certificate, key := "--tls-cert-file=", "--tls-key-file="
	if p.openShift() {
		certificate, key = "--tls-cert=", "--tls-key="
	}
	return append(args, certificate+tlsFolder+"/tls.crt", key+tlsFolder+"/tls.key")
}

func (p LoginProxy) openShiftArgs() []string {
	args := []string{
		"--provider=openshift",
		"--openshift-service-account=" + p.app.Object(p.web.Part),
		"--redirect-url=" + strings.TrimSuffix(p.URL(), "/"),
		"--skip-provider-button=true",
		"--display-htpasswd-form=false",
	}
	if p.web.PassToken {
		args = append(args, "--pass-access-token=true")
	}
	if len(p.groups()) > 0 {
		review := fmt.Sprintf(`{"namespace":%q,"verb":"get","resourceAPIGroup":%q,"resource":"webinterfaces"}`,
			p.app.Platform.Namespace, v1alpha1.GroupVersion.Group)
		args = append(args, "--openshift-sar="+review)
	}
	return args
}

func (p LoginProxy) oidcArgs() []string {
	oidc := p.Login.OIDC
	args := []string{
		"--provider=oidc",
		"--oidc-issuer-url=" + oidc.Issuer,
		"--client-id=" + oidc.ClientID,
		"--client-secret-file=" + clientFolder + "/" + OIDCSecretKey,
		"--redirect-url=" + p.callback(),
		"--scope=" + strings.Join(oidc.Scopes, " "),
		"--code-challenge-method=S256",
		"--insecure-oidc-skip-nonce=false",
		// The user's name is what oauth2-proxy calls the email address. Whoever the provider knows may log in.
		"--oidc-email-claim=" + oidc.UsernameClaim,
		"--oidc-groups-claim=" + oidc.GroupsClaim,
		"--email-domain=*",
		"--prefer-email-to-user=true",
		"--skip-provider-button=true",
		"--display-htpasswd-form=false",
	}
	if p.web.BearerTokens {
		args = append(args, "--skip-jwt-bearer-tokens=true") // it asks for no login, and checks the token
	}
	for _, group := range p.groups() {
		args = append(args, "--allowed-group="+group)
	}
	if groups := p.groups(); len(groups) > 0 {
		args = append(args, "--htpasswd-user-group="+groups[0]) // programs are in no group of the provider
	}
	if p.trustsMore() {
		args = append(args, "--provider-ca-file="+caFolder+"/"+p.app.LoginCA().Key, "--use-system-trust-store=true")
	}
	return args
}

// localArgs: oauth2-proxy wants a provider. It gets one that nobody can reach, and that lets nobody in: no address is
// authorized.
func localArgs() []string {
	const nowhere = "http://127.0.0.1:9/"
	return []string{
		"--provider=oidc",
		"--skip-oidc-discovery=true",
		"--oidc-issuer-url=" + nowhere,
		"--login-url=" + nowhere,
		"--redeem-url=" + nowhere,
		"--oidc-jwks-url=" + nowhere,
		"--client-id=none",
		"--client-secret-file=" + cookieFolder + "/" + cookieKey,
		"--custom-templates-dir=" + pageFolder,
	}
}
