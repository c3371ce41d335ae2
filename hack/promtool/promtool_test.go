// Package promtool tests the alert rules and the dashboards of components with Prometheus' own code.
package promtool

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

const root = "../../"

// placeholder is what stands for the platform's namespace, see components.AlertRules.
const placeholder = `$namespace`

type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func ruleFiles(t *testing.T) []string {
	t.Helper()
	return glob(t, "components/*/alerts*.yaml", "_test.yaml")
}

func glob(t *testing.T, pattern, except string) []string {
	t.Helper()
	found, err := filepath.Glob(root + pattern)
	if err != nil {
		t.Fatal(err)
	}
	found = slices.DeleteFunc(found, func(file string) bool { return except != "" && strings.HasSuffix(file, except) })
	if len(found) == 0 {
		t.Fatalf("no file %s", pattern)
	}
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func rulesOf(t *testing.T, file string) []rule {
	t.Helper()
	var parsed struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(read(t, file), &parsed); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var rules []rule
	for _, group := range parsed.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

// Promtool's own opinion: that the files can be read, and that the alerts fire when they should and not otherwise.
func TestPromtool(t *testing.T) {
	promtool := filepath.Join(t.TempDir(), "promtool")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "remove_all_sd", "-o", promtool, "github.com/prometheus/prometheus/cmd/promtool").CombinedOutput(); err != nil {
		t.Fatalf("building promtool: %v\n%s", err, out)
	}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args[:2], " "), err, out)
		}
	}
	run(append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, ruleFiles(t)...)...)
	run(append([]string{"test", "rules"}, glob(t, "components/*/alerts*_test.yaml", "")...)...)
}

// Every alert fires in one test and stays silent in another: one that was never seen to fire may not be able to.
func TestEveryAlertIsTestedBothWays(t *testing.T) {
	for _, file := range ruleFiles(t) {
		var tests struct {
			Tests []struct {
				Alerts []struct {
					Name     string `yaml:"alertname"`
					Expected []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			} `yaml:"tests"`
		}
		if err := yaml.Unmarshal(read(t, strings.TrimSuffix(file, ".yaml")+"_test.yaml"), &tests); err != nil {
			t.Fatal(err)
		}
		fires, silent := map[string]bool{}, map[string]bool{}
		for _, test := range tests.Tests {
			for _, alert := range test.Alerts {
				fires[alert.Name] = fires[alert.Name] || len(alert.Expected) > 0
				silent[alert.Name] = silent[alert.Name] || len(alert.Expected) == 0
			}
		}
		for _, rule := range rulesOf(t, file) {
			if !fires[rule.Alert] {
				t.Errorf("%s: no test in which %s fires", file, rule.Alert)
			}
			if !silent[rule.Alert] {
				t.Errorf("%s: no test in which %s stays silent", file, rule.Alert)
			}
		}
	}
}

// Whoever is called at night is told what is wrong, what to do, and where to read more.
func TestEveryAlertHelpsAPerson(t *testing.T) {
	runbooks := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^### (\S+)$`).FindAllStringSubmatch(string(read(t, root+"docs/runbooks.md")), -1) {
		runbooks["docs/runbooks.md#"+strings.ToLower(heading[1])] = true
	}
	names := map[string]string{}
	for _, file := range ruleFiles(t) {
		for _, rule := range rulesOf(t, file) {
			if other, twice := names[rule.Alert]; twice {
				t.Errorf("%s and %s both have %s", other, file, rule.Alert)
			}
			names[rule.Alert] = file
			if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
				t.Errorf("%s: %s has severity %q; use critical, warning or info", file, rule.Alert, rule.Labels["severity"])
			}
			for _, annotation := range []string{"summary", "description"} {
				if rule.Annotations[annotation] == "" {
					t.Errorf("%s: %s has no %s", file, rule.Alert, annotation)
				}
			}
			if page := rule.Annotations["runbook"]; !runbooks[page] {
				t.Errorf("%s: the runbook of %s, %q, does not exist", file, rule.Alert, page)
			}
			delete(runbooks, rule.Annotations["runbook"])
		}
	}
	for page := range runbooks {
		t.Errorf("no alert has the runbook %s", page)
	}
}

// listed are the metrics of docs/metrics.md, by the folder of the component that has them; those under "everywhere" are of all.
func listed(t *testing.T) map[string][]string {
	t.Helper()
	metrics := map[string][]string{}
	section := ""
	for line := range strings.SplitSeq(string(read(t, root+"docs/metrics.md")), "\n") {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = heading
		}
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			if strings.TrimSpace(cells[len(cells)-2]) == "" {
				t.Errorf("docs/metrics.md: %s has no source", cells[1])
			}
			for _, name := range regexp.MustCompile("`([a-zA-Z0-9_:]+)`").FindAllStringSubmatch(cells[1], -1) {
				metrics[section] = append(metrics[section], name[1])
			}
		}
	}
	return metrics
}

// checkQuery reports what is wrong with a query of a component.
func checkQuery(query, component string, metrics map[string][]string) error {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return err
	}
	var problems []string
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		if !slices.Contains(metrics[component], selector.Name) && !slices.Contains(metrics["everywhere"], selector.Name) {
			problems = append(problems, fmt.Sprintf("docs/metrics.md does not list %q under %s", selector.Name, component))
		}
		if !slices.ContainsFunc(selector.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == "namespace" && m.Value == placeholder }) {
			problems = append(problems, fmt.Sprintf("%s is not that of the platform's namespace: add namespace=%q", selector.Name, placeholder))
		}
		return nil
	})
	if problems == nil {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(problems, "; "))
}

// A query for a metric that does not exist never says anything.
func TestRulesUseListedMetrics(t *testing.T) {
	metrics := listed(t)
	for _, file := range ruleFiles(t) {
		for _, rule := range rulesOf(t, file) {
			if err := checkQuery(rule.Expr, filepath.Base(filepath.Dir(file)), metrics); err != nil {
				t.Errorf("%s: %s: %v", file, rule.Alert, err)
			}
		}
	}
}

type panel struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	GridPos struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Datasource  map[string]string `json:"datasource"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

// Dashboards fit the width of a screen, name the unit of every number, and ask what can be answered.
func TestDashboards(t *testing.T) {
	metrics := listed(t)
	ids := map[string]string{}
	for _, file := range glob(t, "components/*/dashboard*.json", "") {
		var dashboard struct {
			UID    string  `json:"uid"`
			Title  string  `json:"title"`
			Links  []any   `json:"links"`
			Panels []panel `json:"panels"`
		}
		if err := json.Unmarshal(read(t, file), &dashboard); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if dashboard.UID == "" || dashboard.Title == "" || len(dashboard.Links) == 0 || len(dashboard.Panels) == 0 {
			t.Errorf("%s lacks a uid, a title, links or panels", file)
		}
		if other, twice := ids[dashboard.UID]; twice {
			t.Errorf("%s and %s have the same uid", other, file)
		}
		ids[dashboard.UID] = file
		for _, panel := range dashboard.Panels {
			where := fmt.Sprintf("%s: %q", file, panel.Title)
			if panel.GridPos.X+panel.GridPos.W > 24 || panel.GridPos.W < 4 {
				t.Errorf("%s is at %+v, and a screen has 24 columns", where, panel.GridPos)
			}
			if panel.Type == "row" || panel.Type == "text" {
				continue
			}
			if panel.FieldConfig.Defaults.Unit == "" {
				t.Errorf("%s has no unit", where)
			}
			if panel.Datasource["uid"] != "prometheus" {
				t.Errorf("%s asks another data source: %v", where, panel.Datasource)
			}
			if len(panel.Targets) == 0 {
				t.Errorf("%s asks nothing", where)
			}
			for _, target := range panel.Targets {
				query := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
				if err := checkQuery(query, filepath.Base(filepath.Dir(file)), metrics); err != nil {
					t.Errorf("%s: %v", where, err)
				}
			}
		}
	}
}
