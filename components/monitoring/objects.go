package monitoring

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"
	policy "k8s.io/client-go/applyconfigurations/policy/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
)

// Ports of the servers.
const (
	prometheusPort   = 9090
	alertmanagerPort = 9093
	gossipPort       = 9094
)

// pods are the labels that the Prometheus operator gives the Pods of a server, which is named after the platform.
func (in inputs) pods(part string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": part, "app.kubernetes.io/instance": in.Platform.Name}
}

// selected are objects of this platform: those that are rendered here, and those to which people give this label.
func (in inputs) selected() *meta.LabelSelectorApplyConfiguration {
	return meta.LabelSelector().WithMatchLabels(map[string]string{components.LabelPlatform: in.Platform.Name})
}

// serverName is that of a server's certificate.
func (in inputs) serverName(part string) string {
	return in.Object(part) + "." + in.Platform.Namespace + ".svc"
}

func (in inputs) url(part string, port int32) string {
	return "https://" + net.JoinHostPort(in.serverName(part), strconv.Itoa(int(port)))
}

func (in inputs) certificate(part string) string { return in.Object(part) + "-tls" }

// authority signed the certificate of a server.
func (in inputs) authority(part string) components.CertificateAuthority {
	if in.OpenShift {
		return components.CertificateAuthority{ConfigMap: components.OpenShiftServiceCA, Key: "service-ca.crt"}
	}
	return components.CertificateAuthority{Secret: in.certificate(part), Key: caKey}
}

func fileOf(authority components.CertificateAuthority) *secretOrConfigMap {
	switch {
	case authority.Secret != "":
		return &secretOrConfigMap{Secret: &keyReference{authority.Secret, authority.Key}}
	case authority.ConfigMap != "":
		return &secretOrConfigMap{ConfigMap: &keyReference{authority.ConfigMap, authority.Key}}
	default:
		return nil
	}
}

// service of a server, with its certificate.
func (in inputs) service(part string, port int32) []components.Object {
	service := core.Service(in.Object(part), in.Platform.Namespace).WithLabels(in.Labels(part)).
		WithSpec(core.ServiceSpec().WithSelector(in.pods(part)).WithPorts(core.ServicePort().
			WithName("https").WithPort(port).WithTargetPort(intstr.FromString("web")).WithProtocol(corev1.ProtocolTCP)))
	if in.OpenShift {
		service.WithAnnotations(map[string]string{"service.beta.openshift.io/serving-cert-secret-name": in.certificate(part)})
		return []components.Object{components.Owned(service)}
	}
	tls := components.Owned(core.Secret(in.certificate(part), in.Platform.Namespace).WithLabels(in.Labels(part)).WithType(corev1.SecretTypeTLS))
	tls.Certificate = &components.Certificate{DNSNames: []string{
		in.serverName(part), in.serverName(part) + ".cluster.local", in.Object(part), "localhost",
	}}
	return []components.Object{tls, components.Owned(service)}
}

// disruptionBudget lets nodes be drained one after the other, so that a server is always left. A single server has none: it would
// protect nothing.
func (in inputs) disruptionBudget(part string, s server) []components.Object {
	if s.replicas < 2 {
		return nil
	}
	return []components.Object{components.Owned(policy.PodDisruptionBudget(in.Object(part), in.Platform.Namespace).WithLabels(in.Labels(part)).
		WithSpec(policy.PodDisruptionBudgetSpec().WithMaxUnavailable(intstr.FromInt32(1)).
			WithSelector(meta.LabelSelector().WithMatchLabels(in.pods(part)))))}
}

// securityContext as the restricted Pod Security Standard wants it. OpenShift assigns users and groups.
func (in inputs) securityContext() *core.PodSecurityContextApplyConfiguration {
	security := core.PodSecurityContext().WithRunAsNonRoot(true).
		WithSeccompProfile(core.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if !in.OpenShift {
		security.WithRunAsUser(65534).WithRunAsGroup(65534).WithFSGroup(65534)
	}
	return security
}

func (in inputs) server(part string, s server) serverSpec {
	claim := core.PersistentVolumeClaimSpec().WithAccessModes(corev1.ReadWriteOnce).
		WithResources(core.VolumeResourceRequirements().WithRequests(corev1.ResourceList{corev1.ResourceStorage: s.storage.Size}))
	if s.storage.StorageClassName != "" {
		claim.WithStorageClassName(s.storage.StorageClassName)
	}
	spec := serverSpec{
		Replicas:        s.replicas,
		NodeSelector:    in.facts.Spec.Placement.NodeSelector,
		Tolerations:     native.Tolerations(in.facts.Spec.Placement.Tolerations),
		PodMetadata:     podMetadata{Labels: in.facts.Labels(name)},
		Resources:       native.Container("", "", s.resources).Resources,
		SecurityContext: in.securityContext(),
		Storage:         volumeStorage{volumeTemplate{podMetadata{volumeLabels(in.facts, part)}, claim}},
		// The volumes are leftovers, on which the deletion policy decides.
		VolumeRetention: volumeRetention{WhenDeleted: "Retain", WhenScaled: "Retain"},
		Web: webConfig{serverTLS{
			Certificate: secretOrConfigMap{Secret: &keyReference{in.certificate(part), corev1.TLSCertKey}},
			Key:         keyReference{in.certificate(part), corev1.TLSPrivateKeyKey},
			MinVersion:  "TLS12",
		}},
	}
	if s.replicas > 1 {
		strictness := corev1.ScheduleAnyway
		if in.strictSpread {
			strictness = corev1.DoNotSchedule
		}
		spec.Spread = append(spec.Spread, core.TopologySpreadConstraint().
			WithMaxSkew(1).WithTopologyKey(corev1.LabelHostname).WithWhenUnsatisfiable(strictness).
			WithLabelSelector(meta.LabelSelector().WithMatchLabels(in.pods(part))))
	}
	return spec
}

// prometheusPolicy: Grafana and Prometheus itself come in; out go the Pods of the platform, those elsewhere that it scrapes, the API
// server, this operator and what gets copies of metrics.
func prometheusPolicy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	ports := append(native.APIServerPorts(), in.prometheus.remotePorts...)
	slices.Sort(ports)
	egress := []native.Egress{native.DNS(), native.To(nil, native.Pods(map[string]string{})), native.To(slices.Compact(ports), native.Anywhere()...)}
	for _, scrape := range in.facts.Declared.Scrapes {
		if elsewhere := scrape.Elsewhere; elsewhere != nil {
			egress = append(egress, native.To(native.Ports(elsewhere.Port), native.PodsIn(elsewhere.Namespaces, scrape.Pods)))
		}
	}
	if len(in.prometheus.remoteWrite) > 0 {
		egress = append(egress, in.Outbound.Egress()...)
	}
	return in.PolicyFor(prometheusPart, in.pods(prometheusPart),
		[]native.Ingress{native.From(native.Ports(prometheusPort), in.readers()...)}, egress)
}

// readers are the Pods that ask the servers.
func (in inputs) readers() []native.Peer {
	peers := []native.Peer{native.Pods(in.pods(prometheusPart))}
	if in.grafana != nil {
		peers = append(peers, native.Pods(in.grafana.Selector(grafanaPart)))
	}
	return peers
}

func prometheusObjects(in inputs) []components.Object {
	objects := append([]components.Object{components.Owned(prometheusPolicy(in))}, in.service(prometheusPart, prometheusPort)...)
	objects = append(objects, in.disruptionBudget(prometheusPart, in.prometheus.server)...)
	return append(objects, components.Owned(prometheus(in)))
}

// prometheusGrace is how long Prometheus has to end, instead of the ten minutes of its operator: it stops one job after the other, waits for two
// intervals with each, and computes all the while (seen with 3.13.1; scrape.Manager.Run goes round in circles). Its log of writes is on the disk.
const prometheusGrace = 30

func prometheus(in inputs) *kinds.Resource[prometheusSpec] {
	spec := prometheusSpec{
		serverSpec:         in.server(prometheusPart, in.prometheus.server),
		AutomountToken:     true, // it finds Pods
		GracePeriodSeconds: prometheusGrace,
		Retention:          fmt.Sprintf("%dd", in.prometheus.retentionDays),
		RetentionSize:      fmt.Sprintf("%dMiB", in.prometheus.retentionSize),
		ScrapeInterval:     in.interval,
		EvaluationInterval: in.interval,
		ExternalLabels:     map[string]string{"platform": in.Platform.Namespace + "/" + in.Platform.Name},
		EnableFeatures:     []string{"exemplar-storage"},
		Exemplars:          exemplars{MaxSize: 100000},
		PodMonitorSelector: in.selected(), ServiceMonitorSelector: in.selected(),
		ScrapeConfigSelector: in.selected(), RuleSelector: in.selected(),
	}
	spec.ServiceAccountName = in.Object(prometheusPart)
	if in.alertmanager != nil {
		spec.Alerting = &alerting{[]alertmanagerEndpoint{{
			Namespace: in.Platform.Namespace, Name: in.Object(alertmanagerPart), Port: "https", Scheme: "https",
			TLS: tlsConfig{CA: fileOf(in.authority(alertmanagerPart)), ServerName: in.serverName(alertmanagerPart)},
		}}}
	}
	for _, remote := range in.prometheus.remoteWrite {
		target := remoteWrite{Name: remote.Name, URL: remote.URL, SendExemplars: true}
		if secret := remote.CredentialsSecretRef.Name; secret != "" {
			target.BasicAuth = &basicAuth{keyReference{secret, "username"}, keyReference{secret, "password"}}
		}
		if outbound := in.outbound(); outbound != nil {
			target.ProxyURL, target.NoProxy, target.TLS = outbound.ProxyURL, outbound.NoProxy, outbound.TLS
		}
		if secret := remote.CASecretRef.Name; secret != "" {
			target.TLS = &tlsConfig{CA: &secretOrConfigMap{Secret: &keyReference{secret, caKey}}}
		}
		spec.RemoteWrite = append(spec.RemoteWrite, target)
	}
	object := kinds.New(Prometheus.GVK(), in.Platform.Namespace, in.Platform.Name, spec)
	object.WithLabels(in.Labels(prometheusPart))
	return object
}

// alertmanagerPolicy: Prometheus and Grafana come in, and its own replicas; receivers are anywhere, at ports that only Secrets know.
func alertmanagerPolicy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	gossip := []*networking.NetworkPolicyPortApplyConfiguration{
		networking.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(gossipPort)),
		networking.NetworkPolicyPort().WithProtocol(corev1.ProtocolUDP).WithPort(intstr.FromInt32(gossipPort)),
	}
	own := native.Pods(in.pods(alertmanagerPart))
	return in.PolicyFor(alertmanagerPart, in.pods(alertmanagerPart),
		[]native.Ingress{
			native.From(native.Ports(alertmanagerPort), in.readers()...),
			networking.NetworkPolicyIngressRule().WithPorts(gossip...).WithFrom(own),
		},
		[]native.Egress{
			native.DNS(),
			networking.NetworkPolicyEgressRule().WithPorts(gossip...).WithTo(own),
			native.To(nil, native.Anywhere()...),
		})
}

func alertmanagerObjects(in inputs) []components.Object {
	objects := append([]components.Object{components.Owned(alertmanagerPolicy(in)), components.Owned(in.ServiceAccount(alertmanagerPart))},
		in.service(alertmanagerPart, alertmanagerPort)...)
	objects = append(objects, in.disruptionBudget(alertmanagerPart, in.alertmanager.server)...)
	spec := alertmanagerSpec{
		serverSpec:    in.server(alertmanagerPart, in.alertmanager.server),
		Configuration: configuration{in.Object(alertmanagerPart)},
	}
	spec.ServiceAccountName = in.Object(alertmanagerPart)
	alertmanager := kinds.New(Alertmanager.GVK(), in.Platform.Namespace, in.Platform.Name, spec)
	alertmanager.WithLabels(in.Labels(alertmanagerPart))
	config := kinds.New(AlertmanagerConfig.GVK(), in.Platform.Namespace, in.Object(alertmanagerPart), notifications(in.alertmanager.receivers, in.outbound()))
	config.WithLabels(in.Labels(alertmanagerPart))
	return append(objects, components.Owned(config), components.Owned(alertmanager))
}

// outbound is how addresses outside the cluster are reached. Nil: as everybody reaches them.
func (in inputs) outbound() *httpConfig {
	config := httpConfig{ProxyURL: in.Outbound.HTTPS()}
	if config.ProxyURL != "" {
		config.NoProxy = in.Outbound.NoProxy()
	}
	if ca := native.TrustedCA(in.facts); ca.Secret != "" {
		config.TLS = &tlsConfig{CA: &secretOrConfigMap{Secret: &keyReference{ca.Secret, ca.Key}}}
	}
	if config == (httpConfig{}) {
		return nil
	}
	return &config
}

// nobody gets the alerts that no receiver wants.
const nobody = "nobody"

// severities from each minimum up.
var severities = map[string]string{"": "warning|critical", "Info": "info|warning|critical", "Warning": "warning|critical", "Critical": "critical"}

// notifications: every receiver gets every alert of its severities.
func notifications(receivers []v1alpha1.AlertReceiver, outbound *httpConfig) alertmanagerConfigSpec {
	severity := func(value string) []matcher { return []matcher{{"severity", value, "=~"}} }
	spec := alertmanagerConfigSpec{
		Route: route{
			Receiver: nobody, GroupBy: []string{"alertname", "namespace"},
			GroupWait: "30s", GroupInterval: "5m", RepeatInterval: "12h",
		},
		Inhibit: []inhibit{
			{severity("critical"), severity("warning|info"), []string{"namespace", "alertname"}},
		},
		Receivers: []receiver{{Name: nobody}},
	}
	for _, wanted := range receivers {
		// The prefix keeps it from being called nobody.
		named := receiver{Name: "receiver-" + wanted.Name}
		secret := keyReference{wanted.SecretRef.Name, receiverKeys[wanted.Type]}
		switch wanted.Type {
		case v1alpha1.AlertReceiverEmail:
			username := wanted.Email.Username
			if username == "" {
				username = wanted.Email.From
			}
			named.Email = []email{{
				To: wanted.Email.To, From: wanted.Email.From, Smarthost: wanted.Email.Server, Username: username, Password: secret,
				RequireTLS: true, SendResolved: true,
			}}
		case v1alpha1.AlertReceiverPagerDuty:
			named.PagerDuty = []pagerDuty{{RoutingKey: secret, SendResolved: true, HTTP: outbound}}
		case v1alpha1.AlertReceiverSlack:
			named.Slack = []slack{{
				URL: secret, Channel: wanted.SlackChannel, SendResolved: true, HTTP: outbound,
				Title: `{{ .Status | toUpper }}: {{ .CommonLabels.alertname }} in {{ .CommonLabels.namespace }}`,
				Text:  `{{ range .Alerts }}{{ .Annotations.summary }}: {{ .Annotations.description }} {{ or .Annotations.runbook_url .Annotations.runbook }}` + "\n{{ end }}",
			}}
		case v1alpha1.AlertReceiverWebhook:
			named.Webhook = []webhook{{URL: secret, SendResolved: true, HTTP: outbound}}
		}
		spec.Receivers = append(spec.Receivers, named)
		spec.Route.Routes = append(spec.Route.Routes, route{
			Receiver: named.Name, Matchers: severity(severities[wanted.MinimumSeverity]), Continue: true,
		})
	}
	return spec
}
