package kafka

import (
	_ "embed"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed dashboard.json
	dashboard []byte
	//go:embed guide.yaml
	guide []byte
)

// Declare implements components.WithDeclarations: notebooks reach the brokers, at the listener that takes TLS and a login, and
// nodes and exporter have metrics.
func (component) Declare(facts components.Facts) components.Declarations {
	declarations := components.Declarations{
		Notebooks: components.Notebooks{Backends: []components.Backend{{Pods: facts.Labels(name), Port: listenerInternalPort}}},
		Guides:    []components.Guide{{Content: guide}},
	}
	if spec := facts.Spec.Components.Kafka; spec != nil && spec.Metrics.Type == v1alpha1.KafkaMetricsNone {
		return declarations
	}
	// Strimzi gives the port the same name on all Pods that have metrics, and lets everybody reach it.
	declarations.Scrapes = []components.Scrape{{
		Name: "nodes", Port: "tcp-prometheus",
		Pods: map[string]string{labelCluster: clusterName(facts.Platform), "strimzi.io/kind": Kafka.Kind},
	}}
	declarations.Alerts = []components.AlertRules{{Content: alerts}}
	declarations.Dashboards = []components.Dashboard{{Content: dashboard}}
	return declarations
}
