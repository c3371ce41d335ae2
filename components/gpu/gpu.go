// Package gpu makes NVIDIA GPUs usable: it sees to Node Feature Discovery and the NVIDIA GPU operator, tells which GPUs the nodes have, and
// offers them to notebooks. Nodes and what is set up on them belong to the cluster: the component reads them, and only the installer writes
// the ClusterPolicy.
package gpu

import (
	_ "embed"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

const name = "gpu"

// field is where the component's block is.
const field = "spec.components.gpu."

// offersPart names the ConfigMap with what notebooks can have.
const (
	offersPart = "offers"
	offersKey  = "offers.json"
)

type component struct{}

// New returns the component.
func New() components.Component { return component{} }

// Name implements components.Component.
func (component) Name() string { return name }

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed dashboard.json
	dashboard []byte
	//go:embed guide.yaml
	guide []byte
)

// Declare implements components.WithDeclarations: sizes of notebooks, and the metrics of the GPUs that Pods of the platform have.
func (component) Declare(facts components.Facts) components.Declarations {
	declarations := components.Declarations{
		Notebooks: components.Notebooks{Offers: []components.NotebookOffers{{
			ConfigMap: native.NewApp(facts, name).Object(offersPart), Key: offersKey,
		}}},
		Guides: []components.Guide{{Content: guide}},
	}
	if specOf(facts).Metrics == v1alpha1.Disabled {
		return declarations
	}
	declarations.Scrapes = []components.Scrape{exporter()}
	declarations.Alerts = []components.AlertRules{{Content: alerts}}
	declarations.Dashboards = []components.Dashboard{{Content: dashboard}}
	return declarations
}

// Reach implements components.WithReach: settings are of nodes that other platforms use too.
func (component) Reach(facts components.Facts) []components.Reach {
	var reach []components.Reach
	for _, field := range components.Fields(settings(specOf(facts))) {
		reach = append(reach, components.Reach{Mark: components.LabelAllowNodes, Field: field, What: "a setting of nodes"})
	}
	return reach
}

// Render implements components.Component.
func (component) Render(facts components.Facts) ([]components.Object, error) {
	offers := native.NewApp(facts, name).ConfigMap(offersPart, offersPart).
		WithData(map[string]string{offersKey: native.JSON(offersOf(nodesOf(facts.Found)))})
	return []components.Object{components.Owned(offers)}, nil
}

func specOf(facts components.Facts) v1alpha1.GPUSpec {
	if facts.Spec.Components.GPU == nil {
		return v1alpha1.GPUSpec{}
	}
	return *facts.Spec.Components.GPU
}
