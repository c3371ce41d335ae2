package monitoring_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/gomega"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/test/container"
	"opendatahub.io/operator/test/prometheus"
)

// silent are panels that show nothing on a platform that is well, or as small as this one.
var silent = map[string]string{
	"Failed starts in an hour":                "nobody starts a notebook",
	"Time to start, 50th and 95th percentile": "nobody starts a notebook",
	"Starts by outcome":                       "nobody starts a notebook",
	"Samples that other systems refused":      "there is no remote write",
}

// dashboards of what is scraped here.
var dashboards = []string{"monitoring/dashboard.json", "monitoring/dashboard_servers.json", "mlflow/dashboard.json", "jupyterhub/dashboard.json",
	"spark/dashboard.json", "kafka/dashboard.json", "argoworkflows/dashboard.json", "seldon/dashboard.json", "ceph/dashboard.json", "gpu/dashboard.json"}

func (s *site) dashboard(file string) prometheus.Dashboard {
	s.Helper()
	read, err := prometheus.ReadDashboard(s.Root, file)
	if err != nil {
		s.Fatal(err)
	}
	return read
}

// dashboardsShowSomething asks what each panel about what is scraped here asks.
func (s *site) dashboardsShowSomething(ctx context.Context) {
	s.Helper()
	for _, file := range dashboards {
		for _, panel := range s.dashboard(file).Panels {
			if _, ok := silent[panel.Title]; ok {
				continue
			}
			for _, target := range panel.Targets {
				s.eventually(func(g Gomega) {
					answer, _, err := s.prometheusAPI(ctx).Query(ctx, target.Query(namespace), time.Time{})
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(answer).To(And(BeAssignableToTypeOf(model.Vector{}), Not(BeEmpty())), file+": "+panel.Title+": "+target.Expr)
				})
			}
		}
	}
}

// series is a line of a picture.
type series struct {
	Legend string            `json:"legend"`
	Labels map[string]string `json:"labels"`
	Points [][2]float64      `json:"points"`
}

// picture is a panel of one.
type picture struct {
	Type     string          `json:"type"`
	Title    string          `json:"title"`
	Defaults json.RawMessage `json:"defaults"`
	// Hidden labels have no column in a table.
	Hidden []string `json:"hidden"`
	X      int      `json:"x"`
	Y      int      `json:"y"`
	W      int      `json:"w"`
	H      int      `json:"h"`
	Series []series `json:"series"`
}

// bustle changes the platform for a minute, so that there is something to see: an operator at rest does nothing.
func (s *site) bustle(ctx context.Context) {
	s.Helper()
	until := time.Now().Add(time.Minute)
	NewWithT(s.T).Eventually(func(g Gomega) {
		hub := &v1alpha1.OpenDataHub{}
		g.Expect(s.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: platform}, hub)).To(Succeed())
		pager := &hub.Spec.Components.Monitoring.Alertmanager.Receivers[0] // which replaces no Pod
		pager.MinimumSeverity = map[string]string{"Info": "Warning", "Warning": "Info"}[pager.MinimumSeverity]
		g.Expect(s.Admin.Update(ctx, hub)).To(Succeed())
		g.Expect(answers("http://"+s.hub+"/hub/login", "")).To(BeTrue())
		g.Expect(s.searchRuns()).To(BeTrue())
		g.Expect(time.Now()).To(BeTemporally(">", until))
	}).WithTimeout(container.Patience).WithPolling(2 * time.Second).Should(Succeed())
}

// draw draws the last two minutes of a dashboard. No registry of packages has a Grafana, so draw.py does.
func (s *site) draw(ctx context.Context, file, folder string) {
	s.Helper()
	read := s.dashboard(file)
	var pictures []picture
	now := time.Now()
	for _, panel := range read.Panels {
		drawn := picture{
			Type: panel.Type, Title: panel.Title, Defaults: panel.FieldConfig.Defaults, Hidden: []string{},
			X: panel.GridPos["x"], Y: panel.GridPos["y"], W: panel.GridPos["w"], H: panel.GridPos["h"],
		}
		for _, transformation := range panel.Transformations {
			drawn.Hidden = slices.AppendSeq(drawn.Hidden, maps.Keys(transformation.Options.ExcludeByName))
		}
		for _, target := range panel.Targets {
			answer, _, err := s.prometheusAPI(ctx).QueryRange(ctx, target.Query(namespace), promv1.Range{Start: now.Add(-2 * time.Minute), End: now, Step: 5 * time.Second})
			if err != nil {
				s.Fatal(err)
			}
			results, ok := answer.(model.Matrix)
			if !ok {
				s.Fatalf("%s: %s is a %s", file, target.Expr, answer.Type())
			}
			for _, result := range results {
				labels := map[string]string{}
				for name, value := range result.Metric {
					labels[string(name)] = string(value)
				}
				one := series{Legend: legend(target.Legend, labels), Labels: labels}
				for _, pair := range result.Values {
					if number := float64(pair.Value); !math.IsNaN(number) && !math.IsInf(number, 0) {
						one.Points = append(one.Points, [2]float64{float64(pair.Timestamp) / 1000, number})
					}
				}
				if len(one.Points) > 0 {
					drawn.Series = append(drawn.Series, one)
				}
			}
		}
		pictures = append(pictures, drawn)
	}
	content, err := json.Marshal(map[string]any{"title": read.Title, "panels": pictures})
	if err != nil {
		s.Fatal(err)
	}
	out := filepath.Join(folder, strings.NewReplacer("/", "-", ".json", ".png").Replace(file))
	command := exec.CommandContext(ctx, filepath.Join(container.Programs(s.T, "mlflow"), "python"), "draw.py", out)
	command.Stdin = bytes.NewReader(content)
	if output, err := command.CombinedOutput(); err != nil {
		s.Errorf("drawing %s: %v\n%s", file, err, output)
	}
}

// legend of a series, as Grafana makes it.
func legend(format string, labels map[string]string) string {
	if format == "" {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			if name != "__name__" {
				all = append(all, name+"="+labels[name])
			}
		}
		return strings.Join(all, " ")
	}
	return regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`).ReplaceAllStringFunc(format, func(text string) string {
		return labels[strings.Trim(text, "{ }")]
	})
}
