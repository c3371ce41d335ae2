package monitoring_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/test/container"
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

// dashboard is what Grafana reads.
type dashboard struct {
	Title  string `json:"title"`
	Panels []struct {
		Type        string         `json:"type"`
		Title       string         `json:"title"`
		GridPos     map[string]int `json:"gridPos"`
		FieldConfig struct {
			Defaults json.RawMessage `json:"defaults"`
		} `json:"fieldConfig"`
		Transformations []struct {
			Options struct {
				ExcludeByName map[string]bool `json:"excludeByName"`
			} `json:"options"`
		} `json:"transformations"`
		Targets []struct {
			Expr   string `json:"expr"`
			Legend string `json:"legendFormat"`
		} `json:"targets"`
	} `json:"panels"`
}

func (s *site) dashboard(file string) dashboard {
	s.Helper()
	content, err := os.ReadFile(filepath.Join(s.Root, "components", file))
	if err != nil {
		s.Fatal(err)
	}
	var read dashboard
	if err := json.Unmarshal(content, &read); err != nil {
		s.Fatal(err)
	}
	return read
}

// query is what Grafana asks for a panel.
func query(expr string) string {
	return url.QueryEscape(strings.NewReplacer("$namespace", namespace, "$__rate_interval", "1m").Replace(expr))
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
					var answer struct {
						Data struct {
							Result []any `json:"result"`
						} `json:"data"`
					}
					g.Expect(s.ask(ctx, "/api/v1/query?query="+query(target.Expr), &answer)).To(Succeed())
					g.Expect(answer.Data.Result).NotTo(BeEmpty(), file+": "+panel.Title+": "+target.Expr)
				})
			}
		}
	}
}

// series is a line of a picture.
type series struct {
	Legend string            `json:"legend"`
	Labels map[string]string `json:"labels"`
	Points [][2]any          `json:"points"`
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
	now := time.Now().Unix()
	for _, panel := range read.Panels {
		drawn := picture{
			Type: panel.Type, Title: panel.Title, Defaults: panel.FieldConfig.Defaults, Hidden: []string{},
			X: panel.GridPos["x"], Y: panel.GridPos["y"], W: panel.GridPos["w"], H: panel.GridPos["h"],
		}
		for _, transformation := range panel.Transformations {
			drawn.Hidden = slices.AppendSeq(drawn.Hidden, maps.Keys(transformation.Options.ExcludeByName))
		}
		for _, target := range panel.Targets {
			var answer struct {
				Data struct {
					Result []struct {
						Metric map[string]string `json:"metric"`
						Values [][2]any          `json:"values"`
					} `json:"result"`
				} `json:"data"`
			}
			path := fmt.Sprintf("/api/v1/query_range?query=%s&start=%d&end=%d&step=5", query(target.Expr), now-120, now)
			if err := s.ask(ctx, path, &answer); err != nil {
				s.Fatal(err)
			}
			for _, result := range answer.Data.Result {
				one := series{Legend: legend(target.Legend, result.Metric), Labels: result.Metric}
				for _, value := range result.Values {
					text, _ := value[1].(string)
					if number, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(number) && !math.IsInf(number, 0) {
						one.Points = append(one.Points, [2]any{value[0], number})
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
