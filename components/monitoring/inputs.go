package monitoring

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

const field = "spec.components.monitoring."

// Parts, and keys of Secrets.
const (
	prometheusPart   = "prometheus"
	alertmanagerPart = "alertmanager"
	grafanaPart      = "grafana"
	caKey            = "ca.crt"
)

// receiverKeys are the keys of the Secrets of receivers.
var receiverKeys = map[v1alpha1.AlertReceiverType]string{
	v1alpha1.AlertReceiverEmail:     "password",
	v1alpha1.AlertReceiverPagerDuty: "routingKey",
	v1alpha1.AlertReceiverSlack:     "url",
	v1alpha1.AlertReceiverWebhook:   "url",
}

// inputs is everything that the objects are made of: defaults filled in, contradictions refused.
type inputs struct {
	native.App
	facts components.Facts

	// operatorNamespace is that of this operator and its installer.
	operatorNamespace string
	interval          string
	// prometheus, alertmanager and grafana are nil if the platform has none.
	prometheus   *prometheusInputs
	alertmanager *alertmanagerInputs
	grafana      *grafanaInputs
	rules        []components.AlertRules
	// runbooks is where people find what to do about alerts. Empty: nowhere.
	runbooks     string
	strictSpread bool
	// scrapesElsewhere is whether Prometheus asks Pods of other namespaces. OpenShift's, for user-defined projects, does not.
	scrapesElsewhere bool
}

type server struct {
	replicas  int32
	resources v1alpha1.Resources
	storage   v1alpha1.Storage
}

type prometheusInputs struct {
	server
	retentionDays int32
	// retentionSize in MiB.
	retentionSize int64
	remoteWrite   []v1alpha1.RemoteWrite
	remotePorts   []int32
}

type alertmanagerInputs struct {
	server
	receivers []v1alpha1.AlertReceiver
}

type grafanaInputs struct {
	native.App
	resources v1alpha1.Resources
	storage   v1alpha1.Storage
	expose    native.Exposure
	login     native.Login
	secrets   string
}

// profile is what the spec's profile stands for.
type profile struct {
	prometheus, alertmanager server
	grafana                  v1alpha1.Resources
	grafanaStorage           resource.Quantity
}

func sized(replicas int32, resources v1alpha1.Resources, storage string) server {
	return server{replicas: replicas, resources: resources, storage: v1alpha1.Storage{Size: resource.MustParse(storage)}}
}

var profiles = map[v1alpha1.Profile]profile{
	v1alpha1.ProfileDevelopment: {
		prometheus:   sized(1, native.Resources("100m", "512Mi", "", "1Gi"), "10Gi"),
		alertmanager: sized(1, native.Resources("10m", "64Mi", "", "128Mi"), "1Gi"),
		grafana:      native.Resources("50m", "256Mi", "", "512Mi"), grafanaStorage: resource.MustParse("1Gi"),
	},
	v1alpha1.ProfileStandard: {
		prometheus:   sized(2, native.Resources("500m", "2Gi", "", "4Gi"), "50Gi"),
		alertmanager: sized(2, native.Resources("20m", "128Mi", "", "256Mi"), "2Gi"),
		grafana:      native.Resources("100m", "256Mi", "", "1Gi"), grafanaStorage: resource.MustParse("5Gi"),
	},
	v1alpha1.ProfileHighAvailability: {
		prometheus:   sized(2, native.Resources("1", "4Gi", "", "8Gi"), "100Gi"),
		alertmanager: sized(3, native.Resources("20m", "128Mi", "", "256Mi"), "2Gi"),
		grafana:      native.Resources("200m", "512Mi", "", "1Gi"), grafanaStorage: resource.MustParse("5Gi"),
	},
}

func specOf(facts components.Facts) v1alpha1.MonitoringSpec {
	if facts.Spec.Components.Monitoring == nil {
		return v1alpha1.MonitoringSpec{}
	}
	return *facts.Spec.Components.Monitoring
}

// Types of monitoring.
const (
	typePlatform = "Platform"
	typeCluster  = "Cluster"
)

func typeOf(facts components.Facts) string {
	switch kind := specOf(facts).Type; {
	case kind != "":
		return kind
	case facts.Cluster.OpenShift:
		return typeCluster
	default:
		return typePlatform
	}
}

// grafanaWanted reports whether there is a Grafana. It needs to know where metrics are, and of a cluster's own Prometheus only
// OpenShift's has a known address, and a login for each namespace.
func grafanaWanted(facts components.Facts) bool {
	return specOf(facts).Grafana.State != v1alpha1.Disabled && (typeOf(facts) == typePlatform || facts.Cluster.OpenShift)
}

func (s *server) fill(replicas int32, resources v1alpha1.Resources, storage v1alpha1.Storage) {
	s.replicas = cmp.Or(replicas, s.replicas)
	s.resources = native.Fill(resources, s.resources)
	s.storage.Size = native.OrDefault(storage.Size, s.storage.Size)
	s.storage.StorageClassName = storage.StorageClassName
}

func newInputs(facts components.Facts) (inputs, error) {
	spec := specOf(facts)
	profile, ok := profiles[facts.Spec.Profile]
	if !ok {
		profile = profiles[v1alpha1.ProfileStandard]
	}
	in := inputs{
		App:               native.NewApp(facts, name),
		facts:             facts,
		operatorNamespace: cmp.Or(facts.Cluster.ManagerNamespace, "opendatahub-operator"),
		interval:          fmt.Sprintf("%ds", cmp.Or(spec.ScrapeIntervalSeconds, 30)),
		strictSpread:      facts.Spec.Profile == v1alpha1.ProfileHighAvailability,
		scrapesElsewhere:  typeOf(facts) == typePlatform || !facts.Cluster.OpenShift,
	}
	if spec.Alerts != v1alpha1.Disabled {
		in.rules, in.runbooks = facts.Declared.Alerts, spec.RunbookURL
	}
	if typeOf(facts) == typePlatform {
		if err := in.servers(spec, profile); err != nil {
			return inputs{}, err
		}
	}
	if !grafanaWanted(facts) {
		return in, nil
	}
	grafana := &grafanaInputs{App: native.NewApp(facts, name), resources: native.Fill(spec.Grafana.Resources, profile.grafana)}
	grafana.App.Name = grafanaPart
	var err error
	if grafana.storage, err = grafana.Storage(facts, field+"grafana.storage", "data", spec.Grafana.Storage, profile.grafanaStorage); err != nil {
		return inputs{}, err
	}
	if grafana.expose, err = grafana.Expose(facts); err != nil {
		return inputs{}, err
	}
	if grafana.login, err = native.NewLogin(facts, grafana.expose); err != nil {
		return inputs{}, err
	}
	grafana.secrets = native.SecretsDigest(facts, grafana.Object("login"), grafana.login.OIDC.ClientSecretRef.Name, grafana.LoginCA().Secret)
	in.grafana = grafana
	return in, nil
}

func (in *inputs) servers(spec v1alpha1.MonitoringSpec, profile profile) error {
	in.prometheus = &prometheusInputs{
		server: profile.prometheus, retentionDays: cmp.Or(spec.Prometheus.RetentionDays, 15), remoteWrite: spec.Prometheus.RemoteWrite,
	}
	in.prometheus.fill(spec.Prometheus.Replicas, spec.Prometheus.Resources, spec.Prometheus.Storage)
	size := in.prometheus.storage.Size.Value()
	limit := spec.Prometheus.RetentionSize.Value()
	if limit > size {
		return components.Invalid(field+"prometheus.retentionSize", "it is more than the volume, which has %s; use less, or set prometheus.storage.size",
			in.prometheus.storage.Size.String())
	}
	in.prometheus.retentionSize = max(cmp.Or(limit, size/5*4)>>20, 1)
	for _, remote := range spec.Prometheus.RemoteWrite {
		in.prometheus.remotePorts = append(in.prometheus.remotePorts, portOf(remote.URL))
	}
	if spec.Alertmanager.State != v1alpha1.Disabled {
		in.alertmanager = &alertmanagerInputs{server: profile.alertmanager, receivers: spec.Alertmanager.Receivers}
		in.alertmanager.fill(spec.Alertmanager.Replicas, spec.Alertmanager.Resources, spec.Alertmanager.Storage)
	}
	return nil
}

// portOf is the port of a URL, whose form the schema checks.
func portOf(address string) int32 {
	parsed, err := url.Parse(address)
	if err != nil {
		return 443
	}
	if port, err := strconv.ParseInt(parsed.Port(), 10, 32); err == nil {
		return int32(port)
	}
	if strings.EqualFold(parsed.Scheme, "http") {
		return 80
	}
	return 443
}
