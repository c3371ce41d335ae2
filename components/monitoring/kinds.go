package monitoring

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/components/kinds"
)

// Kinds of the Prometheus operator.
var (
	Prometheus         = prometheusKind("Prometheus", "prometheuses", "v1")
	Alertmanager       = prometheusKind("Alertmanager", "alertmanagers", "v1")
	PodMonitor         = prometheusKind("PodMonitor", "podmonitors", "v1")
	PrometheusRule     = prometheusKind("PrometheusRule", "prometheusrules", "v1")
	AlertmanagerConfig = prometheusKind("AlertmanagerConfig", "alertmanagerconfigs", "v1alpha1")
	ScrapeConfig       = prometheusKind("ScrapeConfig", "scrapeconfigs", "v1alpha1")
)

// Kinds of the Grafana operator.
var (
	Grafana           = grafanaKind("Grafana", "grafanas")
	GrafanaDatasource = grafanaKind("GrafanaDatasource", "grafanadatasources")
	GrafanaDashboard  = grafanaKind("GrafanaDashboard", "grafanadashboards")
)

func prometheusKind(kind, plural, version string) kinds.Kind {
	return kinds.Kind{
		GroupKind: schema.GroupKind{Group: "monitoring.coreos.com", Kind: kind},
		Versions:  []string{version}, Plural: plural, Provider: "Prometheus operator",
	}
}

func grafanaKind(kind, plural string) kinds.Kind {
	return kinds.Kind{
		GroupKind: schema.GroupKind{Group: "grafana.integreatly.org", Kind: kind},
		Versions:  []string{"v1beta1"}, Plural: plural, Provider: "Grafana operator",
	}
}
