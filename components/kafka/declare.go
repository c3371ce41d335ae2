package kafka

import (
	_ "embed"
	"fmt"

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

// Declare implements components.WithDeclarations: notebooks reach the brokers, at the listener that takes TLS and a login, other
// components get accounts and topics, and nodes and exporter have metrics.
func (component) Declare(facts components.Facts) components.Declarations {
	declarations := components.Declarations{
		Notebooks: components.Notebooks{Backends: []components.Backend{{Pods: facts.Labels(name), Port: listenerInternalPort}}},
		Guides:    []components.Guide{{Content: guide}},
	}
	port := certificatePort(facts)
	declarations.MessageBroker = &components.MessageBroker{
		Bootstrap: fmt.Sprintf("%s-kafka-bootstrap.%s.svc:%d", clusterName(facts.Platform), facts.Platform.Namespace, port),
		CA:        components.CertificateAuthority{Secret: clusterName(facts.Platform) + "-cluster-ca-cert", Key: "ca.crt"},
		Client: func(claim components.TopicClaim) components.ClientCertificate {
			return components.ClientCertificate{Secret: clientName(facts.Platform, claim.Purpose), Certificate: "user.crt", Key: "user.key"}
		},
		Backends: []components.Backend{{Pods: facts.Labels(name), Port: port}},
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
