package monitoring

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"
	rbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
)

const (
	grafanaVersion = "13.0.1"
	grafanaPort    = 3000
	userKey        = "username"
	folder         = "Open Data Hub"
)

// authoritiesFolder has the authorities of the cluster, for Go's crypto/x509 beside those of the image.
const authoritiesFolder = "/etc/grafana-authorities"

var grafanaWeb = native.Web{Part: grafanaPart, Title: "Grafana"}

// callback is where a login provider sends browsers back to.
func (g grafanaInputs) callback() string { return g.URL(g.expose, grafanaWeb) + "login/generic_oauth" }

// instance selects this Grafana for dashboards and data sources.
func (in inputs) instance() *meta.LabelSelectorApplyConfiguration {
	return meta.LabelSelector().WithMatchLabels(in.grafana.Labels(grafanaPart)).
		WithMatchLabels(map[string]string{components.LabelPlatform: in.Platform.Name})
}

func grafanaObjects(in inputs) []components.Object {
	g := in.grafana
	login := components.Data(g.Secret(grafanaPart, "login").WithData(map[string][]byte{userKey: []byte(native.Administrator)}))
	login.Generate = []components.Random{{Key: native.PasswordKey, Bytes: 16}}
	objects := []components.Object{components.Owned(grafanaPolicy(in)), login}
	if in.OpenShift {
		objects = append(objects, components.Owned(g.ClusterCA(grafanaPart)))
	}
	objects = append(objects,
		g.Claim(grafanaPart, "data", g.storage),
		components.Owned(core.Service(g.Web(), in.Platform.Namespace).WithLabels(g.Labels(grafanaPart)).
			WithSpec(core.ServiceSpec().WithSelector(g.Selector(grafanaPart)).WithPorts(core.ServicePort().
				WithName("http").WithPort(80).WithTargetPort(intstr.FromInt32(grafanaPort)).WithProtocol(corev1.ProtocolTCP)))),
		components.Owned(grafana(in)),
	)
	for _, source := range datasources(in) {
		objects = append(objects, components.Owned(source))
	}
	for _, declared := range in.dashboards() {
		suffix := strings.ToLower(declared.Component)
		if declared.Name != "" {
			suffix += "-" + declared.Name
		}
		object := kinds.New(GrafanaDashboard.GVK(), in.Platform.Namespace, in.Object(suffix), dashboardSpec{
			Instance: in.instance(), Folder: folder, JSON: string(in.placed(declared.Content)),
		})
		object.WithLabels(in.Labels(grafanaPart))
		objects = append(objects, components.Owned(object))
	}
	return append(objects, g.Exposed(g.expose, grafanaWeb)...)
}

// grafanaPolicy: browsers come in, through whatever router the cluster has, and Grafana's operator; out go the servers and the login
// provider.
func grafanaPolicy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	egress := []native.Egress{native.DNS()}
	if in.prometheus != nil {
		egress = append(egress, native.To(native.Ports(prometheusPort), native.Pods(in.pods(prometheusPart))))
	} else {
		egress = append(egress, native.To(native.Ports(thanosPort), native.Anywhere()...))
	}
	if in.alertmanager != nil {
		egress = append(egress, native.To(native.Ports(alertmanagerPort), native.Pods(in.pods(alertmanagerPart))))
	}
	if in.grafana.login.Type != v1alpha1.AuthenticationLocal {
		egress = append(egress, native.To(append(native.APIServerPorts(), in.grafana.login.Ports()...), native.Anywhere()...))
	}
	if in.grafana.login.Type == v1alpha1.AuthenticationOIDC {
		egress = append(egress, in.Outbound.Egress()...)
	}
	return in.grafana.PolicyFor(grafanaPart, in.grafana.Selector(grafanaPart), []native.Ingress{native.From(native.Ports(grafanaPort))}, egress)
}

// grafana is the server. Its operator merges the Pod into its own, where the container has the same name.
func grafana(in inputs) *kinds.Resource[grafanaSpec] {
	g := in.grafana
	container := native.Container(grafanaPart, "", g.resources)
	container.Image = nil // as the version says
	container.WithEnv(
		native.SecretEnv("GF_SECURITY_ADMIN_USER", g.Object("login"), userKey),
		native.SecretEnv("GF_SECURITY_ADMIN_PASSWORD", g.Object("login"), native.PasswordKey))
	pod := core.PodSpec().WithSecurityContext(in.securityContext()).WithAutomountServiceAccountToken(false).
		WithVolumes(native.ClaimVolume("grafana-data", g.Object("data")))
	switch g.login.Type {
	case v1alpha1.AuthenticationOIDC:
		container.WithEnv(g.login.ClientSecret("GF_AUTH_GENERIC_OAUTH_CLIENT_SECRET"))
		container.WithEnv(g.Outbound.Env()...)
	case v1alpha1.AuthenticationOpenShift:
		container.WithEnv(native.SecretEnv("GF_AUTH_GENERIC_OAUTH_CLIENT_SECRET", g.Object("client")+"-token", "token"))
	}
	var authorities []*core.VolumeProjectionApplyConfiguration
	if in.OpenShift {
		authorities = append(authorities,
			authoritySource("kube-root-ca.crt", "ca.crt"),
			authoritySource(components.OpenShiftServiceCA, "service-ca.crt"),
			authoritySource(g.Object("ca"), native.ClusterCAKey))
	}
	if ca := g.LoginCA(); ca.Secret != "" && g.login.Type == v1alpha1.AuthenticationOIDC {
		authorities = append(authorities, core.VolumeProjection().WithSecret(core.SecretProjection().WithName(ca.Secret).
			WithItems(core.KeyToPath().WithKey(ca.Key).WithPath("trusted.pem"))))
	}
	if len(authorities) > 0 {
		container.WithEnv(native.Env("SSL_CERT_DIR", "/etc/ssl/certs:"+authoritiesFolder)).
			WithVolumeMounts(native.MountReadOnly("authorities", authoritiesFolder))
		pod.WithVolumes(core.Volume().WithName("authorities").WithProjected(core.ProjectedVolumeSource().WithSources(authorities...)))
	}
	pod.WithContainers(container)
	object := kinds.New(Grafana.GVK(), in.Platform.Namespace, g.Web(), grafanaSpec{
		Version:       grafanaVersion,
		Config:        grafanaConfig(in),
		DisableSecret: true,
		Deployment: deployment{deploymentSpec{
			Replicas: 1, Strategy: strategy{"Recreate"}, // its volume is mounted once
			Template: podTemplate{annotatedMetadata{
				Labels:      components.Merge(in.facts.Labels(name), g.Labels(grafanaPart)),
				Annotations: map[string]string{native.AnnotationSecrets: g.secrets},
			}, pod},
		}},
	})
	object.WithLabels(g.Labels(grafanaPart))
	return object
}

func authoritySource(configMap, key string) *core.VolumeProjectionApplyConfiguration {
	return core.VolumeProjection().WithConfigMap(core.ConfigMapProjection().WithName(configMap).
		WithItems(core.KeyToPath().WithKey(key).WithPath(configMap + ".pem")))
}

// grafanaConfig is grafana.ini. Nobody gets in without a login, and nothing is sent to anybody.
func grafanaConfig(in inputs) map[string]map[string]string {
	g := in.grafana
	config := map[string]map[string]string{
		"log":            {"mode": "console"},
		"analytics":      {"reporting_enabled": "false", "check_for_updates": "false", "check_for_plugin_updates": "false"},
		"security":       {"disable_gravatar": "true", "cookie_samesite": "lax"},
		"users":          {"allow_sign_up": "false", "auto_assign_org_role": "Viewer"},
		"auth.anonymous": {"enabled": "false"},
		"server":         {"root_url": g.URL(g.expose, grafanaWeb)},
		"metrics":        {"enabled": "true"},
	}
	if g.expose.Host != "" {
		config["security"]["cookie_secure"] = "true"
	}
	if g.login.Type == v1alpha1.AuthenticationLocal {
		return config
	}
	config["auth"] = map[string]string{"disable_login_form": "true", "oauth_auto_login": "true"}
	config["auth.generic_oauth"] = oauth(in)
	return config
}

// oauth is how Grafana asks the login provider. OpenShift is not quite an OpenID Connect provider: it says who somebody is in its API.
func oauth(in inputs) map[string]string {
	g := in.grafana
	login := g.login
	settings := map[string]string{"enabled": "true", "allow_sign_up": "true", "use_pkce": "true", "allow_assign_grafana_admin": "true"}
	user, groups := login.OIDC.UsernameClaim, login.OIDC.GroupsClaim
	if login.Type == v1alpha1.AuthenticationOpenShift {
		user, groups = "metadata.name", "groups"
		settings["name"] = "OpenShift"
		settings["client_id"] = fmt.Sprintf("system:serviceaccount:%s:%s", in.Platform.Namespace, g.Object("client"))
		settings["scopes"] = "user:info"
		settings["auth_url"] = "https://oauth-openshift." + in.facts.Cluster.IngressDomain + "/oauth/authorize"
		settings["token_url"] = "https://oauth-openshift.openshift-authentication.svc/oauth/token"
		settings["api_url"] = "https://kubernetes.default.svc/apis/user.openshift.io/v1/users/~"
	} else {
		settings["name"] = "OpenID Connect"
		settings["client_id"] = login.OIDC.ClientID
		settings["scopes"] = strings.Join(login.OIDC.Scopes, " ")
		settings["auth_url"] = login.OIDC.AuthorizationEndpoint
		settings["token_url"] = login.OIDC.TokenEndpoint
		settings["api_url"] = login.OIDC.UserInfoEndpoint
		user, groups = quoted(user), quoted(groups)
	}
	settings["login_attribute_path"] = user
	settings["email_attribute_path"] = user
	settings["name_attribute_path"] = user
	settings["groups_attribute_path"] = groups
	settings["role_attribute_path"] = roles(user, groups, login)
	if len(login.AllowedGroups) > 0 {
		settings["allowed_groups"] = strings.Join(append(append([]string{}, login.AllowedGroups...), login.AdminGroups...), ",")
	}
	return settings
}

// quoted is a claim as JMESPath names it: claims may have dots and colons.
func quoted(claim string) string { return `"` + claim + `"` }

// roles is a JMESPath expression: administrators of the platform are those of Grafana, and everybody else is a viewer.
func roles(user, groups string, login native.Login) string {
	var conditions []string
	for _, name := range login.AdminUsers {
		conditions = append(conditions, fmt.Sprintf("%s == '%s'", user, name))
	}
	for _, group := range login.AdminGroups {
		conditions = append(conditions, fmt.Sprintf("contains(not_null(%s, `[]`), '%s')", groups, group))
	}
	if len(conditions) == 0 {
		return "'Viewer'"
	}
	return "(" + strings.Join(conditions, " || ") + ") && 'GrafanaAdmin' || 'Viewer'"
}

// OpenShift's own Prometheuses answer at this port whoever may read the metrics of Pods of a namespace, about that namespace alone.
const (
	thanosHost = "https://thanos-querier.openshift-monitoring.svc"
	thanosPort = 9092
)

// datasources are where Grafana finds metrics and alerts.
func datasources(in inputs) []*kinds.Resource[datasourceSpec] {
	source := func(uid, name, kind, url string, isDefault bool, authority components.CertificateAuthority, settings map[string]any) *kinds.Resource[datasourceSpec] {
		settings["tlsAuthWithCACert"] = true
		from := valueFrom{TargetPath: "secureJsonData.tlsCACert"}
		if authority.Secret != "" {
			from.ValueFrom.Secret = &keyReference{authority.Secret, authority.Key}
		} else {
			from.ValueFrom.ConfigMap = &keyReference{authority.ConfigMap, authority.Key}
		}
		object := kinds.New(GrafanaDatasource.GVK(), in.Platform.Namespace, in.grafana.Object(uid), datasourceSpec{
			UID: uid, Instance: in.instance(), ValuesFrom: []valueFrom{from},
			Datasource: datasource{
				Name: name, Type: kind, Access: "proxy", URL: url, IsDefault: isDefault, JSON: settings,
				SecureJSON: map[string]string{"tlsCACert": "${" + authority.Key + "}"},
			},
		})
		object.WithLabels(in.Labels(grafanaPart))
		return object
	}
	if in.prometheus == nil {
		thanos := source("prometheus", "Prometheus", "prometheus", fmt.Sprintf("%s:%d", thanosHost, thanosPort), true,
			components.CertificateAuthority{ConfigMap: components.OpenShiftServiceCA, Key: "service-ca.crt"}, map[string]any{
				"httpMethod": "GET", "timeInterval": in.interval, "customQueryParameters": "namespace=" + in.Platform.Namespace,
				"httpHeaderName1": "Authorization",
			})
		thanos.Spec.Datasource.SecureJSON["httpHeaderValue1"] = "Bearer ${token}"
		thanos.Spec.ValuesFrom = append(thanos.Spec.ValuesFrom, valueFrom{
			TargetPath: "secureJsonData.httpHeaderValue1", ValueFrom: valueSource{Secret: &keyReference{in.reader() + "-token", "token"}},
		})
		return []*kinds.Resource[datasourceSpec]{thanos}
	}
	sources := []*kinds.Resource[datasourceSpec]{source("prometheus", "Prometheus", "prometheus", in.url(prometheusPart, prometheusPort), true,
		in.authority(prometheusPart), map[string]any{"httpMethod": "POST", "timeInterval": in.interval})}
	if in.alertmanager != nil {
		sources = append(sources, source("alertmanager", "Alertmanager", "alertmanager", in.url(alertmanagerPart, alertmanagerPort), false,
			in.authority(alertmanagerPart), map[string]any{"implementation": "prometheus"}))
	}
	return sources
}

// reader is the account that reads metrics of the namespace, and nothing else, from OpenShift's Prometheus.
func (in inputs) reader() string { return in.Object("reader") }

// grafanaGrants are the accounts with which Grafana asks OpenShift: for metrics, and who somebody is.
func grafanaGrants(in inputs) []components.Object {
	var objects []components.Object
	if in.grafana == nil {
		return nil
	}
	if in.prometheus == nil {
		const group = "rbac.authorization.k8s.io"
		objects = append(objects,
			components.Owned(core.ServiceAccount(in.reader(), in.Platform.Namespace).WithLabels(in.Labels(grafanaPart)).WithAutomountServiceAccountToken(false)),
			components.Owned(rbac.Role(in.reader(), in.Platform.Namespace).WithLabels(in.Labels(grafanaPart)).WithRules(
				rbac.PolicyRule().WithAPIGroups("metrics.k8s.io").WithResources("pods").WithVerbs("get"))),
			components.Owned(rbac.RoleBinding(in.reader(), in.Platform.Namespace).WithLabels(in.Labels(grafanaPart)).
				WithRoleRef(rbac.RoleRef().WithAPIGroup(group).WithKind("Role").WithName(in.reader())).
				WithSubjects(rbac.Subject().WithKind("ServiceAccount").WithName(in.reader()).WithNamespace(in.Platform.Namespace))),
			components.Owned(in.token(grafanaPart, in.reader())),
		)
	}
	if in.grafana.login.Type == v1alpha1.AuthenticationOpenShift {
		g := in.grafana
		account := core.ServiceAccount(g.Object("client"), in.Platform.Namespace).WithLabels(g.Labels(grafanaPart)).WithAutomountServiceAccountToken(false)
		objects = append(objects,
			components.Owned(g.OpenShiftClient(account, g.callback())),
			components.Owned(in.token(grafanaPart, g.Object("client"))))
	}
	return objects
}
