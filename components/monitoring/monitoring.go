// Package monitoring deploys Prometheus, Alertmanager and Grafana, and has them watch what the components of the platform declare.
package monitoring

import (
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
)

const name = "monitoring"

// New returns the component.
func New() components.Component { return component{} }

type component struct{}

var (
	_ components.WithDeclarations = component{}
	_ components.WithGrants       = component{}
	_ components.WithLeftovers    = component{}
	_ components.WithReferences   = component{}
)

// Name implements components.Component.
func (component) Name() string { return name }

// Kinds implements components.Component. Removal goes backwards: what Grafana's operator has to take out of Grafana while that
// runs, then the servers, then what they need.
func (component) Kinds() []kinds.Kind {
	return append([]kinds.Kind{
		kinds.NetworkPolicy,
		kinds.ServiceAccount,
		kinds.Secret,
		kinds.ConfigMap,
		kinds.PersistentVolumeClaim,
		kinds.Service,
		kinds.PodDisruptionBudget,
		AlertmanagerConfig,
		Alertmanager,
		Prometheus,
		PodMonitor,
		ScrapeConfig,
		PrometheusRule,
		Grafana,
		GrafanaDatasource,
		GrafanaDashboard,
	}, native.ExposureKinds()...)
}

// Uses implements components.WithUses. OpenShift's monitoring takes no ScrapeConfigs, and not every version of it has them. Budgets can keep
// nodes from being drained, and validators of bundles warn of a role that may write any: the right is for those of this component only. The
// operator of Grafana is for platforms that have one.
func (component) Uses() []components.Use {
	uses := append(native.ExposureUses(), components.Use{Kind: ScrapeConfig, Optional: true}, components.Use{Kind: kinds.PodDisruptionBudget, Granted: true})
	for _, kind := range []kinds.Kind{Grafana, GrafanaDatasource, GrafanaDashboard} {
		uses = append(uses, components.Use{Kind: kind, Needed: grafanaWanted})
	}
	return uses
}

// Render implements components.Component.
func (component) Render(facts components.Facts) ([]components.Object, error) {
	in, err := newInputs(facts)
	if err != nil {
		return nil, err
	}
	var objects []components.Object
	if in.alertmanager != nil {
		objects = append(objects, alertmanagerObjects(in)...)
	}
	if in.prometheus != nil {
		objects = append(objects, prometheusObjects(in)...)
	}
	objects = append(objects, watchingObjects(in)...)
	if in.grafana != nil {
		objects = append(objects, grafanaObjects(in)...)
	}
	return objects, nil
}

// LeftoverKinds implements components.WithLeftovers.
func (component) LeftoverKinds() []kinds.Kind { return []kinds.Kind{kinds.PersistentVolumeClaim} }

// Leftovers implements components.WithLeftovers: the volumes of the servers, which their operator makes and never deletes.
func (component) Leftovers(facts components.Facts) []components.Leftover {
	var leftovers []components.Leftover
	for _, part := range []string{prometheusPart, alertmanagerPart} {
		leftovers = append(leftovers, components.Leftover{
			Kind: kinds.PersistentVolumeClaim, Labels: volumeLabels(facts, part), Data: true,
		})
	}
	return leftovers
}

// volumeLabels are those of the volumes of a server.
func volumeLabels(facts components.Facts, part string) map[string]string {
	return components.Merge(facts.Labels(name), map[string]string{"app.kubernetes.io/component": part})
}

// References implements components.WithReferences.
func (component) References(facts components.Facts) []components.Reference {
	var references []components.Reference
	reference := func(path, secret string, keys []string, sentTo ...string) {
		if secret != "" {
			references = append(references, components.Reference{Field: field + path, Name: secret, Keys: keys, SentTo: sentTo})
		}
	}
	spec := specOf(facts)
	for _, remote := range spec.Prometheus.RemoteWrite {
		reference("prometheus.remoteWrite["+remote.Name+"].credentialsSecretRef", remote.CredentialsSecretRef.Name, []string{"username", "password"}, native.SentTo(facts, remote.URL)...)
		reference("prometheus.remoteWrite["+remote.Name+"].caSecretRef", remote.CASecretRef.Name, []string{caKey})
	}
	for _, receiver := range spec.Alertmanager.Receivers {
		sentTo := native.SentTo(facts) // these Secrets hold the address themselves
		if receiver.Email != nil {
			sentTo = []string{"smtp://" + receiver.Email.Server}
		}
		reference("alertmanager.receivers["+receiver.Name+"].secretRef", receiver.SecretRef.Name, []string{receiverKeys[receiver.Type]}, sentTo...)
	}
	references = append(references, native.TrustedCAReferences(facts)...)
	if !grafanaWanted(facts) {
		return references
	}
	references = append(references, native.LoginReferences(facts)...)
	return append(references, native.IngressReferences(facts)...)
}
