// Package seldon serves models through Seldon Core. It is one way to serve models among others: nothing outside this folder knows it.
package seldon

import (
	_ "embed"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

const name = "seldon"

// New returns the component.
func New() components.Component { return component{} }

type component struct{}

var (
	_ components.WithDeclarations = component{}
	_ components.WithReferences   = component{}
	_ components.WithPodSecurity  = component{}
)

// Name implements components.Component.
func (component) Name() string { return name }

// Images implements components.WithImages.
func (component) Images() map[string]string {
	return map[string]string{"SELDON_INITIALIZER": initializerImage}
}

// References implements components.WithReferences.
func (component) References(facts components.Facts) []components.Reference {
	references := append(s3.References(facts, s3.Models), requestLogReferences(facts)...)
	if exposes(facts) {
		references = append(references, native.NewApp(facts, name).References(facts)...)
	}
	return references
}

// PodSecurity implements components.WithPodSecurity. Nothing in a SeldonDeployment reaches the security context of the executor, which
// drops no capabilities. (createEngineContainer, Seldon Core 1.17.1)
func (component) PodSecurity(facts components.Facts) (components.PodSecurityLevel, string) {
	if facts.Cluster.OpenShift {
		return components.PodSecurityRestricted, "" // its admission drops them
	}
	return components.PodSecurityBaseline, "the executor that Seldon Core adds to Pods drops no capabilities"
}

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed dashboard.json
	dashboard []byte
	//go:embed guide.yaml
	guide []byte
)

// Declare implements components.WithDeclarations: a bucket, the metrics of all SeldonDeployments, that notebooks may call them, a
// topic for requests, and the login of those that are exposed.
func (component) Declare(facts components.Facts) components.Declarations {
	declarations := components.Declarations{
		Buckets: []components.BucketClaim{{
			Purpose: s3.Models, Name: specOf(facts).Models.Bucket, Field: field + "models.bucket",
		}},
		Scrapes: []components.Scrape{{
			Name: modelsPart, Pods: map[string]string{labelManagedBy: managedBy}, Port: metricsName, Path: metricsPath,
		}},
		Alerts:     []components.AlertRules{{Content: alerts}},
		Dashboards: []components.Dashboard{{Content: dashboard}},
		Guides:     []components.Guide{{Content: guide}},
		Notebooks: components.Notebooks{
			Backends: []components.Backend{{Pods: map[string]string{labelManagedBy: managedBy}, Port: httpPort}},
		},
	}
	if claim, wanted := topicClaim(facts); wanted {
		declarations.Topics = []components.TopicClaim{claim}
	}
	if exposes(facts) {
		if proxy, err := newProxy(facts); err == nil { // Render says why not
			declarations.LoginClients = proxy.LoginClients()
		}
	}
	return declarations
}

// Render implements components.Component.
func (component) Render(facts components.Facts) ([]components.Object, error) {
	in, err := newInputs(facts)
	if err != nil {
		return nil, err
	}
	objects := []components.Object{components.Owned(in.policy()), components.Owned(in.ServiceAccount(modelsPart))}
	if in.storage != nil {
		objects = append(objects, in.rclone())
	}
	for _, model := range in.models {
		objects = append(objects, components.Owned(in.seldonDeployment(facts, model)))
	}
	return append(objects, in.exposedObjects()...), nil
}

// Assess implements components.Component. SeldonDeployments that people make concern those who made them.
func (component) Assess(observed components.Observed) components.Health {
	result := health.Assess(observed, map[schema.GroupKind]health.Rule{SeldonDeployment.GroupKind: assess})
	in, err := newInputs(observed.Facts)
	if err != nil {
		return result
	}
	result.Version = version
	result.Instances = int32(len(in.models))
	result.Endpoints = in.endpoints()
	if in.exposed != nil {
		result.CredentialsSecret = in.exposed.proxy.CredentialsSecret()
	}
	return result
}
