//go:build linux

package images

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
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
	for _, component := range []string{"argoworkflows", "jupyterhub", "mlflow", "seldon"} {
		rendered.WriteString(read(t, "components", component, "testdata", "development", "objects.yaml"))
	}
	// What Seldon's operator adds. A name without a host is Docker's.
	played := read(t, "components", "seldon", "testdata", "stages", "seldon-core", "seldondeployment.yaml")
	rendered.WriteString(strings.ReplaceAll(played, "}}seldonio/", " docker.io/seldonio/"))
	for _, name := range Names() {
		if slices.Contains([]string{TeamName, S3Name, KafkaName, PostgresName, ShellName, PrometheusOperatorName, reloaderName, prometheusName, alertmanagerName, pythonName}, name) {
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

// The samples are run on the node, but for the step of Apache's operator for Spark.
func TestSamplesHaveTheImagesThereAre(t *testing.T) {
	for file, want := range map[string]int{"workloads/seldon-model.yaml": 2, "argo/workflow.yaml": 4} {
		found := regexp.MustCompile(`(?m)^ +image: (\S+)`).FindAllStringSubmatch(read(t, "config", "samples", file), -1)
		if len(found) != want {
			t.Errorf("%s has the images %q, want %d", file, found, want)
		}
		for _, image := range found {
			if !slices.Contains(Names(), image[1]) {
				t.Errorf("%s has the image %s, which is not built", file, image[1])
			}
		}
	}
}

// The images are made of the module that the tests of Argo are.
func TestArgoHasTheVersionOfTheTests(t *testing.T) {
	module, version, _ := strings.Cut(ArgoModule, "@")
	if !strings.Contains(read(t, "hack", "argo", "go.mod"), module+" "+version+"\n") {
		t.Errorf("the images have %s, and hack/argo another version", ArgoModule)
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

// TestDisk: a build needs the more of the disk the less the cache has.
func TestDisk(t *testing.T) {
	options := Options{Root: filepath.Join("..", ".."), Cache: filepath.Join(t.TempDir(), "images")}
	needs := func() int64 {
		t.Helper()
		bytes, err := Disk(options)
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	if got := needs(); got != peak {
		t.Errorf("without a cache it needs %d bytes", got)
	}
	if err := os.Mkdir(options.Cache, 0o700); err != nil {
		t.Fatal(err)
	}
	empty := needs()
	if err := os.WriteFile(filepath.Join(options.Cache, "a-1.tar"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := empty - needs(); got != 1<<20 {
		t.Errorf("a layer of 1 MiB saves %d bytes", got)
	}
	all, _, _, err := options.plan()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(options.store(all), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := needs(); got != 0 {
		t.Errorf("with all images in the cache it needs %d bytes", got)
	}
}

// TestSize counts what has two names once, as the disk does.
func TestSize(t *testing.T) {
	cache := t.TempDir()
	taken := func() int64 {
		t.Helper()
		bytes, err := size(cache)
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	empty, layer := taken(), filepath.Join(cache, "a.tar")
	if err := os.WriteFile(layer, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(layer, filepath.Join(cache, "blob")); err != nil {
		t.Fatal(err)
	}
	if got := taken() - empty; got != 1<<20 {
		t.Errorf("a layer of 1 MiB takes %d bytes", got)
	}
	cache = filepath.Join(cache, "missing")
	if got := taken(); got != 0 {
		t.Errorf("a cache that is not there takes %d bytes", got)
	}
}

// TestPrune keeps what this build, or another one in the last days, has used.
func TestPrune(t *testing.T) {
	cache := t.TempDir()
	for name, age := range map[string]time.Duration{"used-1.tar": 2 * keptUnused, "other-2.tar": keptUnused / 2, "old-3.tar": 2 * keptUnused, "half-4.tar.tmp": 0, "lock": 2 * keptUnused} {
		file := filepath.Join(cache, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Now().Add(-age), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Options{Cache: cache}).prune([]Image{{layers: []string{filepath.Join(cache, "used-1.tar")}}}); err != nil {
		t.Fatal(err)
	}
	var kept []string
	entries, err := os.ReadDir(cache)
	for _, entry := range entries {
		kept = append(kept, entry.Name())
	}
	if want := []string{"lock", "other-2.tar", "used-1.tar"}; err != nil || !slices.Equal(kept, want) {
		t.Errorf("it keeps %q (%v), want %q", kept, err, want)
	}
	if info, err := os.Stat(filepath.Join(cache, "used-1.tar")); err != nil || time.Since(info.ModTime()) > keptUnused {
		t.Error("the next build would remove what this one has used")
	}
}
