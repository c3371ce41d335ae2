// Package mlflow deploys an MLflow tracking server: experiments, runs, models and their artifacts.
package mlflow

import (
	_ "embed"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

const (
	name = "mlflow"
	// experiments is the purpose of the bucket with the artifacts.
	experiments = "experiments"
)

// New returns the component.
func New() components.Component { return component{} }

type component struct{}

func (component) Name() string { return name }

// Images implements components.WithImages.
func (component) Images() map[string]string {
	return components.Merge(native.LoginImages(), map[string]string{"MLFLOW": image})
}

// Kinds implements components.Component.
func (component) Kinds() []kinds.Kind { return native.Kinds() }

// Uses implements components.WithUses.
func (component) Uses() []components.Use { return native.ExposureUses() }

// References implements components.WithReferences.
func (component) References(facts components.Facts) []components.Reference {
	references := append(native.NewApp(facts, name).References(facts), s3.References(facts, experiments)...)
	return append(references, databaseOf(specOf(facts)).References(facts)...)
}

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed dashboard.json
	dashboard []byte
	//go:embed guide.yaml
	guide []byte
)

// Declare implements components.WithDeclarations: a bucket, a database, the login, metrics, and that every
// notebook finds the server and may use it.
func (component) Declare(facts components.Facts) components.Declarations {
	declarations := components.Declarations{
		Buckets: []components.BucketClaim{{
			Purpose: experiments, Name: specOf(facts).Artifacts.Bucket, Field: field + "artifacts.bucket",
		}},
		Databases: databaseOf(specOf(facts)).Claims(facts.Platform),
	}
	app, proxy, err := newProxy(facts)
	if err != nil {
		return declarations // Render says why
	}
	declarations.LoginClients = proxy.LoginClients()
	declarations.Scrapes = []components.Scrape{proxy.Scrape(prometheus)}
	declarations.Alerts = []components.AlertRules{{Content: alerts}}
	declarations.Dashboards = []components.Dashboard{{Content: dashboard}}
	declarations.Guides = []components.Guide{{Content: guide}}
	secret, key := proxy.Password(notebooks)
	authority := components.NotebookAuthority{Name: name, CertificateAuthority: proxy.Authority()}
	declarations.Notebooks = components.Notebooks{
		Environment: append(declarations.Notebooks.Environment,
			native.Env("MLFLOW_TRACKING_URI", proxy.InternalURL()),
			native.Env("MLFLOW_TRACKING_USERNAME", notebooks),
			native.SecretEnv("MLFLOW_TRACKING_PASSWORD", secret, key),
		),
		Backends: []components.Backend{{Pods: app.Selector(serverPart), Port: proxy.Port()}},
	}
	if authority.Key != "" {
		declarations.Notebooks.Authorities = []components.NotebookAuthority{authority}
		declarations.Notebooks.Environment = append(declarations.Notebooks.Environment,
			native.Env("MLFLOW_TRACKING_SERVER_CERT_PATH", authority.File()))
	}
	return declarations
}

// Render implements components.Component.
func (component) Render(facts components.Facts) ([]components.Object, error) {
	in, err := newInputs(facts)
	if err != nil {
		return nil, err
	}
	objects := append([]components.Object{components.Owned(policy(in))}, in.proxy.Objects()...)
	if in.hasVolume() {
		objects = append(objects, in.Claim(serverPart, dataPart, in.data))
	}
	return append(objects, components.Owned(deployment(in))), nil
}

// Assess implements components.Component: the rules for native kinds say it all.
func (component) Assess(observed components.Observed) components.Health {
	result := health.Assess(observed, nil)
	in, err := newInputs(observed.Facts)
	if err != nil {
		return result
	}
	result.Version = version
	result.Endpoints = []v1alpha1.Endpoint{{Name: "web", URL: in.proxy.URL()}, {Name: "tracking", URL: in.proxy.InternalURL()}}
	result.CredentialsSecret = in.proxy.CredentialsSecret()
	return result
}
