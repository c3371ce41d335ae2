package ceph

import (
	_ "embed"

	"opendatahub.io/operator/components"
)

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed dashboard.json
	overview []byte
	//go:embed guide.yaml
	guide []byte
)

// Declare implements components.WithDeclarations: an S3 service, and the metrics of the cluster, which the active manager serves. A
// Ceph that runs elsewhere has no Pods.
func (component) Declare(facts components.Facts) components.Declarations {
	declarations := components.Declarations{ObjectStorage: offer(facts), Guides: []components.Guide{{Content: guide}}}
	if specOf(facts).External {
		return declarations
	}
	declarations.Scrapes = []components.Scrape{{
		Name: "manager", Port: "http-metrics",
		// https://github.com/rook/rook/blob/v1.20.6/pkg/operator/ceph/cluster/mgr/spec.go
		Pods: map[string]string{"app": "rook-ceph-mgr", "rook_cluster": facts.Platform.Namespace, "mgr_role": "active"},
	}}
	declarations.Alerts = []components.AlertRules{{Content: alerts}}
	declarations.Dashboards = []components.Dashboard{{Content: overview}}
	return declarations
}
