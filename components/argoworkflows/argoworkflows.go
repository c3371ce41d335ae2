// Package argoworkflows deploys Argo Workflows for the namespace of a platform: the controller that runs pipelines, and its web interface.
package argoworkflows

import (
	_ "embed"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

const name = "argoWorkflows"

// WorkflowTemplate is a workflow that people start by its name. The CustomResourceDefinitions of Argo belong to the cluster, and all
// Argos in it share them.
var WorkflowTemplate = kinds.Kind{
	GroupKind: schema.GroupKind{Group: "argoproj.io", Kind: "WorkflowTemplate"},
	Versions:  []string{"v1alpha1"}, Plural: "workflowtemplates", Provider: "Argo",
}

// New returns the component.
func New() components.Component { return component{} }

type component struct{}

func (component) Name() string { return name }

// Images implements components.WithImages.
func (component) Images() map[string]string {
	return map[string]string{
		"ARGO_CONTROLLER": controllerImage, "ARGO_SERVER": serverImage, "ARGO_EXECUTOR": executorImage, "ARGO_CHECK": checkImage,
	}
}

// Kinds implements components.Component.
func (component) Kinds() []kinds.Kind { return append(native.Kinds(), WorkflowTemplate) }

// Uses implements components.WithUses.
func (component) Uses() []components.Use { return native.ExposureUses() }

// References implements components.WithReferences. Workflows read the credentials of the object storage when a step starts; the
// controller and the server read the others when they start.
func (component) References(facts components.Facts) []components.Reference {
	references := s3.References(facts, s3.Pipelines)
	if clusterCA(s3.Of(facts)) {
		references = append(references, components.Reference{
			Field: "spec.components.ceph", Name: native.NewApp(facts, name).Object(storageCAName), Keys: []string{corev1.TLSCertKey},
			Awaited: true, // OpenShift makes it
		})
	}
	if archive := specOf(facts).Archive; archive != nil {
		references = append(references, archiveOf(*archive).References(facts)...)
	}
	if hasServer(facts) {
		references = append(references, native.NewApp(facts, name).References(facts)...)
	}
	return references
}

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed dashboard.json
	dashboard []byte
	//go:embed guide.yaml
	guide []byte
)

// Declare implements components.WithDeclarations.
func (component) Declare(facts components.Facts) components.Declarations {
	app := native.NewApp(facts, name)
	declarations := components.Declarations{
		Buckets: []components.BucketClaim{{
			Purpose: s3.Pipelines, Name: specOf(facts).Artifacts.Bucket, Field: field + "artifacts.bucket",
		}},
		Scrapes:    []components.Scrape{{Name: controllerPart, Pods: app.Selector(controllerPart), Port: metricsName}},
		Alerts:     []components.AlertRules{{Content: alerts}},
		Dashboards: []components.Dashboard{{Content: dashboard}},
		Guides:     []components.Guide{{Content: guide}},
	}
	if archive := specOf(facts).Archive; archive != nil {
		declarations.Databases = archiveOf(*archive).Claims(facts.Platform)
	}
	if !hasServer(facts) {
		return declarations
	}
	if web, err := newServer(facts, app); err == nil { // otherwise Render says why
		declarations.LoginClients = web.login.Clients(web.callback())
	}
	return declarations
}

// Render implements components.Component.
func (component) Render(facts components.Facts) ([]components.Object, error) {
	in, err := newInputs(facts)
	if err != nil {
		return nil, err
	}
	owned := components.Owned
	objects := []components.Object{
		owned(in.controllerPolicy()), owned(in.workflowPolicy()),
		owned(in.ServiceAccount(controllerPart)), owned(in.ServiceAccount(pipelinePart)), owned(in.ServiceAccount(gcPart)), owned(in.users()),
		owned(in.bind(controllerPart)), owned(in.bind(pipelinePart)), owned(in.bind(gcPart)), owned(in.bind(usersPart)),
		owned(in.configMap()),
	}
	if clusterCA(in.storage) {
		objects = append(objects, owned(in.storageCA()))
	}
	if in.server != nil {
		objects = append(objects, in.serverObjects()...)
	}
	objects = append(objects, owned(in.controller()))
	if in.server != nil {
		objects = append(objects, owned(in.serverDeployment()))
		objects = append(objects, in.Exposed(in.server.exposure, in.server.web())...)
	}
	return append(objects, owned(in.check())), nil
}

// Assess implements components.Component. Failed workflows concern those who started them: Pods of steps do not carry the component's
// label, so they neither count for its health nor delay its removal.
func (component) Assess(observed components.Observed) components.Health {
	result := health.Assess(observed, map[schema.GroupKind]health.Rule{WorkflowTemplate.GroupKind: health.Exists})
	result.Version = version
	in, err := newInputs(observed.Facts)
	if err == nil && in.server != nil {
		result.Endpoints = []v1alpha1.Endpoint{{Name: "web", URL: in.URL(in.server.exposure, in.server.web())}}
	}
	return result
}
