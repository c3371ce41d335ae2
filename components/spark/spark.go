// Package spark gives Pods that ask for it a Spark cluster of their own: above all notebooks, each of which is the driver of its cluster.
package spark

import (
	_ "embed"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
)

const name = "spark"

// New returns the component.
func New() components.Component { return component{} }

type component struct{}

var (
	_ components.WithDeclarations = component{}
	_ components.WithController   = component{}
)

func (component) Name() string { return name }

// Kinds implements components.Component. Those of the clusters are the controller's.
func (component) Kinds() []kinds.Kind { return []kinds.Kind{kinds.ServiceAccount} }

// Render implements components.Component.
func (component) Render(facts components.Facts) ([]components.Object, error) {
	return []components.Object{components.Owned(newInputs(facts).ServiceAccount(clusterPart))}, nil
}

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed dashboard.json
	dashboard []byte
)

// Declare implements components.WithDeclarations: sizes of notebooks can ask for a size of cluster. The metrics are the operator's.
func (component) Declare(facts components.Facts) components.Declarations {
	declarations := components.Declarations{
		Alerts:     []components.AlertRules{{Content: alerts}},
		Dashboards: []components.Dashboard{{Content: dashboard}},
	}
	for _, size := range newInputs(facts).sizes {
		declarations.Notebooks.Extras = append(declarations.Notebooks.Extras, components.NotebookExtra{
			Component: name, Name: size.Name,
			Pod: func(pod, user string) components.NotebookPod { return driverPod(size.Name, pod, user) },
		})
	}
	return declarations
}

// Assess implements components.Component. What keeps the cluster of one user from starting is told to that user, by Events on the
// Pod: the component is well.
func (component) Assess(observed components.Observed) components.Health {
	pods := observed.Pods
	observed.Pods = nil
	result := health.Assess(observed, nil)
	clusters := map[string]bool{}
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && pod.Labels[labelRole] == masterPart {
			clusters[pod.Labels[LabelCluster]] = true
		}
	}
	result.Instances = int32(len(clusters))
	return result
}
