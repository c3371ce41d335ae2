package real_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/hack/node"
	"opendatahub.io/operator/test/prometheus"
)

// dashboards of what runs on the node. Kafka and object storage are the node's own there, no GPU is, and what answers for Seldon's models
// is played: test/monitoring asks the queries of the others.
var dashboards = []string{"monitoring/dashboard.json", "monitoring/dashboard_servers.json", "mlflow/dashboard.json", "jupyterhub/dashboard.json",
	"spark/dashboard.json", "argoworkflows/dashboard.json"}

// silent are panels that show nothing in this story.
var silent = map[string]string{
	"Samples that other systems refused": "there is no remote write",
}

// prometheus asks the platform's, as Grafana does.
func (e *env) prometheus(ctx context.Context) (promv1.API, error) {
	const service = "odh-monitoring-prometheus"
	port, err := node.Forward(ctx, e.Cluster, client.ObjectKey{Namespace: namespace, Name: service}, 9090)
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{}
	if err := e.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: service + "-tls"}, secret); err != nil {
		return nil, err
	}
	return prometheus.Connect(fmt.Sprintf("127.0.0.1:%d", port), service+"."+namespace+".svc", secret.Data["ca.crt"])
}

// scraped is nil when Prometheus reaches all that it is to, which are these jobs, and nothing else.
func (e *env) scraped(ctx context.Context, jobs ...string) error {
	api, err := e.prometheus(ctx)
	if err != nil {
		return err
	}
	targets, err := api.Targets(ctx)
	if err != nil {
		return err
	}
	var found []string
	for _, target := range targets.Active {
		found = append(found, string(target.Labels["job"]))
		if target.Health != promv1.HealthGood {
			err = errors.Join(err, fmt.Errorf("%s at %s is %s: %s", target.ScrapePool, target.ScrapeURL, target.Health, target.LastError))
		}
	}
	slices.Sort(found)
	slices.Sort(jobs)
	if !slices.Equal(found, jobs) {
		err = errors.Join(err, fmt.Errorf("the targets are %q, want %q", found, jobs))
	}
	return err
}

// wantDashboards asks what each panel asks, of the time since then: Grafana would have something to show.
func (e *env) wantDashboards(t *testing.T, since time.Time) {
	t.Helper()
	api, err := e.prometheus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range dashboards {
		dashboard, err := prometheus.ReadDashboard(e.Root, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, panel := range dashboard.Panels {
			if _, ok := silent[panel.Title]; ok {
				continue
			}
			for _, target := range panel.Targets {
				e.until(t, "the panel has a number", func(ctx context.Context) error { // the last step may not have been scraped
					answer, _, err := api.QueryRange(ctx, target.Query(namespace), promv1.Range{Start: since, End: time.Now(), Step: 5 * time.Second})
					if err == nil && !hasNumber(answer) {
						err = fmt.Errorf("%s: %s: %s has none", dashboard.Title, panel.Title, target.Expr)
					}
					return err
				})
			}
		}
	}
}

// hasNumber is whether a graph of the answer has a point.
func hasNumber(answer model.Value) bool {
	lines, _ := answer.(model.Matrix)
	return slices.ContainsFunc(lines, func(line *model.SampleStream) bool {
		return slices.ContainsFunc(line.Values, func(pair model.SamplePair) bool { return !math.IsNaN(float64(pair.Value)) })
	})
}
