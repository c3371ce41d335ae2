// Package spark gives Pods that ask for it a Spark cluster of their own: above all notebooks, each of which is the driver of its cluster.
// Through the Apache Spark operator it has clusters that Pods share, and makes a namespace ready for SparkApplications.
package spark

import (
	_ "embed"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

const name = "spark"

// New returns the component.
func New() components.Component { return component{} }

type component struct{}

var (
	_ components.WithDeclarations = component{}
	_ components.WithController   = component{}
	_ components.WithUses         = component{}
	_ components.WithReferences   = component{}
	_ components.WithReach        = component{}
)

func (component) Name() string { return name }

// Images implements components.WithImages.
func (component) Images() map[string]string {
	return components.Merge(native.LoginImages(), map[string]string{"SPARK": image})
}

// Render implements components.Component.
func (component) Render(facts components.Facts) ([]components.Object, error) {
	in := newInputs(facts)
	shared, err := in.sharedClusters(facts)
	if err != nil {
		return nil, err
	}
	server, err := in.history(facts)
	if err != nil {
		return nil, err
	}
	objects := []components.Object{components.Owned(in.ServiceAccount(clusterPart))}
	if specOf(facts).Applications == v1alpha1.Enabled {
		objects = append(objects, applicationObjects(in)...)
	}
	for _, cluster := range shared {
		objects = append(objects, cluster.objects(facts)...)
	}
	if server != nil {
		objects = append(objects, server.objects()...)
	}
	return objects, nil
}

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed dashboard.json
	dashboard []byte
	//go:embed guide.yaml
	guide []byte
)

// References implements components.WithReferences.
func (component) References(facts components.Facts) []components.Reference {
	return historyReferences(facts)
}

// Declare implements components.WithDeclarations: sizes of notebooks can ask for a size of cluster, or
// for a shared one. The history server reads from the data lake's bucket. The operator has metrics of clusters, and
// their masters and workers have some of their own.
func (component) Declare(facts components.Facts) components.Declarations {
	declarations := components.Declarations{
		Alerts:     []components.AlertRules{{Content: alerts}},
		Dashboards: []components.Dashboard{{Content: dashboard}},
		Guides:     []components.Guide{{Content: guide}},
	}
	in := newInputs(facts)
	if server := specOf(facts).HistoryServer; server != nil {
		declarations.Buckets = []components.BucketClaim{{Purpose: s3.DataLake, Name: server.Bucket, Field: historyField + ".bucket"}}
		if proxy, err := in.historyProxy(facts); err == nil { // otherwise Render says why
			declarations.LoginClients = proxy.LoginClients()
		}
	}
	for _, size := range in.sizes {
		declarations.Notebooks.Extras = append(declarations.Notebooks.Extras, components.NotebookExtra{
			Component: name, Name: size.Name,
			Pod: func(pod, user string) components.NotebookPod { return driverPod(size.Name, pod, user) },
		})
	}
	shared, err := in.sharedClusters(facts)
	if err != nil {
		return declarations // Render says why
	}
	declarations.Scrapes = in.scrapes(len(shared) > 0)
	for _, cluster := range shared {
		declarations.Notebooks.Extras = append(declarations.Notebooks.Extras, components.NotebookExtra{
			Component: name, Name: cluster.spec.Name,
			Pod: func(string, string) components.NotebookPod { return cluster.driverPod() },
		})
	}
	return declarations
}

// Reach implements components.WithReach. Clusters run the image of a Pod that is there already, and shared ones have no Secret but their
// own. The history server has the keys of the object storage: an image of the spec's choice could send them anywhere.
func (component) Reach(facts components.Facts) []components.Reach {
	if server := specOf(facts).HistoryServer; server == nil || server.Image == "" {
		return nil
	}
	return []components.Reach{{
		Mark: components.LabelAllowCode, Field: historyField + ".image", What: "an image of its own in a server that has the keys of the object storage",
	}}
}

// Assess implements components.Component. What keeps the cluster of one user from starting is told to that user, by Events on the
// Pod: the component is well.
func (component) Assess(observed components.Observed) components.Health {
	clusters := map[string]bool{}
	var own []*corev1.Pod
	for _, pod := range observed.Pods {
		switch {
		case pod.Labels[labelRole] == "":
			own = append(own, pod)
		case pod.DeletionTimestamp == nil && pod.Labels[labelRole] == masterPart:
			clusters[pod.Labels[LabelCluster]] = true
		}
	}
	observed.Pods = own
	result := health.Assess(observed, map[schema.GroupKind]health.Rule{SparkCluster.GroupKind: assessShared})
	result.Instances = int32(len(clusters))
	in := newInputs(observed.Facts)
	if server, err := in.history(observed.Facts); err == nil && server != nil {
		result.Endpoints = append(result.Endpoints, v1alpha1.Endpoint{Name: "web", URL: server.proxy.URL()})
		result.CredentialsSecret = server.proxy.CredentialsSecret()
	}
	if all, err := in.sharedClusters(observed.Facts); err == nil {
		for _, cluster := range all {
			result.Endpoints = append(result.Endpoints, v1alpha1.Endpoint{
				Name: cluster.spec.Name, URL: fmt.Sprintf("spark://%s.%s.svc:%d", cluster.stable(), cluster.Platform.Namespace, masterPort),
			})
		}
	}
	return result
}
