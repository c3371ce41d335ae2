//go:build linux

package images

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestNamesAreThoseThatAreRendered(t *testing.T) {
	var rendered strings.Builder
	for _, component := range []string{"jupyterhub", "mlflow"} {
		rendered.WriteString(read(t, "components", component, "testdata", "development", "objects.yaml"))
	}
	for _, name := range Names() {
		if slices.Contains([]string{TeamName, S3Name, KafkaName, PostgresName, ShellName, PrometheusOperatorName, reloaderName, prometheusName, alertmanagerName}, name) {
			continue // the sample of the node names them, or the node itself, or the Prometheus operator
		}
		if !strings.Contains(rendered.String(), name) {
			t.Errorf("no component renders the image %s: a Pod would ask for another one", name)
		}
	}
}

func TestSampleOffersWhatThereIs(t *testing.T) {
	sample := read(t, "hack", "node", "platform.yaml")
	for _, found := range regexp.MustCompile(`(?m)^ +image: (\S+)$`).FindAllStringSubmatch(sample, -1) {
		if !slices.Contains(Names(), found[1]) {
			t.Errorf("hack/node/platform.yaml offers the image %s, which is not built", found[1])
		}
	}
}

// A client of another version may speak another dialect.
func TestTeamHasTheVersionOfTheServer(t *testing.T) {
	version := regexp.MustCompile(`(?m)^(?:mlflow|mlflow-skinny)==(\S+)$`)
	server, client := version.FindStringSubmatch(read(t, "hack", "python", "mlflow.txt")), version.FindStringSubmatch(teamRequirements)
	if len(server) == 0 || len(client) == 0 || server[1] != client[1] {
		t.Errorf("the server is %q, the client %q", server, client)
	}
}

// Modules that Spark does not fit fail while a session runs.
func TestTeamHasTheSparkOfItsModules(t *testing.T) {
	version := regexp.MustCompile(`(?m)^pyspark==(\S+)$`)
	if own, tested := version.FindString(pysparkRequirements), version.FindString(read(t, "hack", "python", "spark.txt")); own != tested || own == "" {
		t.Errorf("the image has %q, and components/spark/ivy.xml is tested with %q", own, tested)
	}
}

// The operator gives Pods images of its own version, and of what it was tested with.
func TestPrometheusOperatorHasTheVersionOfTheTests(t *testing.T) {
	version := regexp.MustCompile(`(?m)prometheus-operator/prometheus-operator (v\S+)`).FindStringSubmatch(read(t, "hack", "prometheus-operator", "go.mod"))
	if len(version) == 0 || version[1] != prometheusOperatorVersion {
		t.Errorf("the image has %q, the tests run %q", prometheusOperatorVersion, version)
	}
}

func TestReadmeListsTheImages(t *testing.T) {
	readme := read(t, "README.md")
	for _, name := range append(Names(), DNSName) {
		if !strings.Contains(readme, "`"+name) {
			t.Errorf("the table of what is real does not have %s", name)
		}
	}
}

func TestNotebookHasTheVersionOfItsHub(t *testing.T) {
	version := regexp.MustCompile(`(?m)^jupyterhub==(\S+)$`)
	hub := version.FindString(read(t, "hack", "python", "jupyterhub.txt"))
	if notebook := version.FindString(notebookRequirements); notebook != hub || hub == "" {
		t.Errorf("the notebook has %q, the hub %q", notebook, hub)
	}
}

func TestKeysFollowTheContent(t *testing.T) {
	below := &layer{name: "below", build: "true"}
	keyOf := func(change func(*layer)) string {
		l := &layer{name: "top", parent: below, fetch: "a", build: "b", files: map[string]string{"f": "1"}}
		if change != nil {
			change(l)
		}
		return l.key()
	}
	same := keyOf(nil)
	if got := keyOf(nil); got != same {
		t.Errorf("the same layer has the keys %s and %s", same, got)
	}
	for name, change := range map[string]func(*layer){
		"fetch":       func(l *layer) { l.fetch = "c" },
		"build":       func(l *layer) { l.build = "c" },
		"a file":      func(l *layer) { l.files["f"] = "2" },
		"another one": func(l *layer) { l.files["g"] = "1" },
		"below":       func(l *layer) { l.parent = &layer{name: "below", build: "false"} },
	} {
		if keyOf(change) == same {
			t.Errorf("a change of %s does not change the key", name)
		}
	}
}
