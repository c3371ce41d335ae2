package dependencies

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/test/upstream"
)

func TestTheEmbeddedTableIsValid(t *testing.T) {
	tree, err := parse(embedded)
	if err != nil {
		t.Fatal(err)
	}
	table, err := decodeTable(tree)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Validate(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(table, Default()); diff != "" {
		t.Errorf("Default is another table (-decoded +default):\n%s", diff)
	}
	want := []string{
		"Rook", "Strimzi", "Spark", "Argo", "Seldon Core", "Prometheus operator", "Grafana operator", "Node Feature Discovery", "NVIDIA GPU operator",
	}
	if diff := cmp.Diff(want, table.Names()); diff != "" {
		t.Errorf("operators differ (-want +got):\n%s", diff)
	}
	for _, dependency := range table {
		if dependency.Description == "" {
			t.Errorf("%s has no description", dependency.Name)
		}
	}
}

// The table says by which kinds an operator is found, components say which they need: the two must agree.
func TestTheTableHasTheKindsOfComponents(t *testing.T) {
	for _, openShift := range []bool{false, true} {
		needed := map[string]map[string][]string{} // operator → CRD → versions
		for _, component := range catalog.All() {
			for _, kind := range component.Kinds() {
				use := components.UseOf(component, kind)
				facts := components.Facts{Cluster: components.Cluster{OpenShift: openShift}}
				if !kind.ThirdParty() || slices.Contains(platforms(), kind.Provider) || use.Optional || use.Foreign && !use.Needs(facts) {
					continue
				}
				if needed[kind.Provider] == nil {
					needed[kind.Provider] = map[string][]string{}
				}
				needed[kind.Provider][kind.CRD()] = kind.Versions
			}
		}
		if got := slices.Sorted(maps.Keys(needed)); len(got) < 2 {
			t.Fatalf("components need kinds of %v only; this test needs those of Rook and Strimzi", got)
		}
		for name, want := range needed {
			dependency, ok := Default().Find(name)
			if !ok {
				t.Errorf("components need kinds of %s, which is not in the table", name)
				continue
			}
			got := map[string][]string{}
			for _, crd := range dependency.For(openShift).CRDs {
				got[crd.Name] = crd.Versions
			}
			for _, crd := range []string{"sparkapplications.spark.apache.org", "workflows.argoproj.io"} {
				delete(got, crd) // people make them, and keep the operator by them
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("CRDs of %s, OpenShift %t, differ (-components +table):\n%s", name, openShift, diff)
			}
		}
	}
}

// platforms are the providers of kinds that the installer never installs.
func platforms() []string { return []string{kinds.OpenShift, kinds.GatewayAPI} }

func TestCRDsOfTheTableAreReal(t *testing.T) {
	tables := slices.Concat(Default().For(false), Default().For(true))
	var names []string
	for _, dependency := range tables {
		for _, crd := range dependency.CRDs {
			names = append(names, "name: "+crd.Name+"\n")
		}
	}
	served := map[string][]string{}
	for _, crd := range upstream.Definitions(t, checkout(t), names...) {
		for _, version := range crd.Spec.Versions {
			if version.Served {
				served[crd.Name] = append(served[crd.Name], version.Name)
			}
		}
	}
	for _, dependency := range tables {
		for _, crd := range dependency.CRDs {
			// The others are of earlier versions of the operator.
			if preferred := crd.Versions[0]; !slices.Contains(served[crd.Name], preferred) {
				t.Errorf("%s: %s does not serve %s, but %v", dependency.Name, crd.Name, preferred, served[crd.Name])
			}
		}
	}
}

// checkout is the folder of the repository.
func checkout(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// A hook runs a Pod of a foreign image with rights over the cluster, and fails where images cannot be pulled. off must be said,
// because the charts' own default is on; the others must not be turned on.
func TestChartsOfTheTableNeedNoHooks(t *testing.T) {
	off := map[string][]string{
		"kube-prometheus-stack":  {"prometheusOperator.admissionWebhooks.enabled", "prometheusOperator.tls.enabled"},
		"node-feature-discovery": {"postDeleteCleanup"},
		"gpu-operator":           {"operator.upgradeCRD"},
	}
	notOn := map[string][]string{
		"kube-prometheus-stack": {"crds.upgradeJob.enabled"},
		"gpu-operator":          {"operator.cleanupCRD"},
	}
	for _, openShift := range []bool{false, true} {
		for _, dependency := range Default().For(openShift) {
			for _, chart := range dependency.Charts {
				name := path.Base(chart.Chart)
				for _, value := range off[name] {
					if got := valueAt(chart.Values, value); got != false {
						t.Errorf("%s, OpenShift %t: %s is %v, not false", chart.Release, openShift, value, got)
					}
				}
				for _, value := range notOn[name] {
					if got := valueAt(chart.Values, value); got == true {
						t.Errorf("%s, OpenShift %t: %s is on", chart.Release, openShift, value)
					}
				}
			}
		}
	}
	for name := range off {
		if !slices.ContainsFunc(Default(), func(dependency Dependency) bool {
			return slices.ContainsFunc(dependency.Charts, func(chart Chart) bool { return path.Base(chart.Chart) == name })
		}) {
			t.Errorf("the table has no chart %s any more: remove it here", name)
		}
	}
}

func valueAt(values map[string]any, place string) any {
	var at any = values
	for key := range strings.SplitSeq(place, ".") {
		inner, _ := at.(map[string]any)
		at = inner[key]
	}
	return at
}

func TestFor(t *testing.T) {
	dependency := Dependency{
		Name: "Strimzi", Way: WayAuto, Namespace: "strimzi", Versions: ">=1.0.0",
		CRDs:     []CRD{{Name: "kafkas.kafka.strimzi.io", Versions: []string{"v1"}}},
		Packages: []Package{{Name: "both"}, {Name: "there", OpenShiftOnly: true}, {Name: "elsewhere", KubernetesOnly: true}},
		Charts: []Chart{
			{Release: "first", Values: map[string]any{"keep": "a", "gone": "b", "deep": map[string]any{"keep": "a", "gone": "b"}}},
			{Release: "second", Values: map[string]any{"keep": "a"}},
		},
		OpenShift: &Override{
			CRDs: []CRD{{Name: "other.strimzi.io", Versions: []string{"v2"}}}, Way: WayOLM, Namespace: "openshift-strimzi",
			Values: map[string]map[string]any{
				"first": {"gone": nil, "default": nil, "new": "c", "deep": map[string]any{"gone": nil, "keep": "d"}},
			},
		},
	}
	before := cmp.Diff(Dependency{}, dependency)

	want := dependency
	want.OpenShift = nil
	want.Packages = []Package{{Name: "both"}, {Name: "elsewhere"}}
	if diff := cmp.Diff(want, dependency.For(false)); diff != "" {
		t.Errorf("on Kubernetes (-want +got):\n%s", diff)
	}
	want.CRDs, want.Way, want.Namespace = dependency.OpenShift.CRDs, WayOLM, "openshift-strimzi"
	want.Packages = []Package{{Name: "both"}, {Name: "there"}}
	want.Charts = []Chart{
		// What is null below nothing stays null: Helm then drops the chart's own default.
		{Release: "first", Values: map[string]any{"keep": "a", "new": "c", "default": nil, "deep": map[string]any{"keep": "d"}}},
		{Release: "second", Values: map[string]any{"keep": "a"}},
	}
	resolved := dependency.For(true)
	if diff := cmp.Diff(want, resolved); diff != "" {
		t.Errorf("on OpenShift (-want +got):\n%s", diff)
	}
	for _, openShift := range []bool{false, true} {
		if diff := cmp.Diff(resolved, resolved.For(openShift)); diff != "" {
			t.Errorf("asked again with %t (-first +second):\n%s", openShift, diff)
		}
	}
	if after := cmp.Diff(Dependency{}, dependency); after != before {
		t.Error("For changed the operator itself")
	}
}

func TestID(t *testing.T) {
	for name, want := range map[string]string{
		"Strimzi": "strimzi", "Seldon Core": "seldon-core", "NVIDIA GPU operator": "nvidia-gpu-operator", " A/B (c)": "a-b-c", "": "",
	} {
		if got := (Dependency{Name: name}).ID(); got != want {
			t.Errorf("the ID of %q is %q, not %q", name, got, want)
		}
	}
}

func TestSupports(t *testing.T) {
	dependency := Dependency{Versions: ">=0.46.0 <2.0.0-0 || >=4.12.0 <6.0.0-0"}
	for version, want := range map[string]bool{
		"1.2.0":               true,
		"v1.2.0":              true,
		"0.46.0":              true,
		"0.45.1":              false,
		"2.0.0":               false,
		"2.0.0-rc1":           false,
		"1.2.0-rc1":           true,
		"4.18.0-202511010101": true,
		"1.16.0+build":        true,
		"":                    true,
		"unknown":             true,
	} {
		if got := dependency.Supports(version); got != want {
			t.Errorf("%q is supported: %t, want %t", version, got, want)
		}
	}
	for _, dependency := range Default() {
		if dependency.Supports("99999.0.0") {
			t.Errorf("%s has no upper end of versions: %s", dependency.Name, dependency.Versions)
		}
	}
	for name, version := range map[string]string{ // what the charts of the table install
		"Rook": "v1.20.6", "Strimzi": "1.2.0", "Spark": "1.0.0", "Seldon Core": "1.17.1", "Prometheus operator": "v0.93.1",
		"Grafana operator": "v5.24.0", "Node Feature Discovery": "v0.19.0", "NVIDIA GPU operator": "v26.7.0",
	} {
		if dependency, ok := Default().Find(name); !ok || !dependency.Supports(version) {
			t.Errorf("%s %s, which the table installs, is not in its range %s", name, version, dependency.Versions)
		}
	}
}

// What administrators read must be what they get.
func TestTheDocumentationIsTrue(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dependency := range Default() {
		_, row, found := strings.Cut(string(content), "\n| "+dependency.Name+" |")
		if !found {
			t.Errorf("there is no row for %s", dependency.Name)
			continue
		}
		row, _, _ = strings.Cut(row, "\n")
		wanted := []string{"`" + dependency.Namespace + "`", "`" + dependency.For(true).Namespace + "`"}
		for _, pkg := range dependency.Packages {
			wanted = append(wanted, "`"+pkg.Name+"`, `"+pkg.Channel+"`")
		}
		for _, chart := range dependency.Charts {
			wanted = append(wanted, "`"+path.Base(chart.Chart)+"` "+chart.Version)
		}
		for _, want := range wanted {
			if !strings.Contains(row, want) {
				t.Errorf("the row of %s lacks %s", dependency.Name, want)
			}
		}
	}
	examples := 0
	for block := range strings.SplitSeq(string(content), "```yaml\n") {
		block, _, _ = strings.Cut(block, "\n```")
		var example struct {
			Kind     string
			Metadata struct{ Name string }
			Data     map[string]string
		}
		if err := yaml.Unmarshal([]byte(block), &example); err != nil || example.Kind != "ConfigMap" {
			continue
		}
		examples++
		if _, err := ParseConfig(example.Data); err != nil || example.Metadata.Name != ConfigName {
			t.Errorf("ConfigMap %s of the documentation is refused: %v", example.Metadata.Name, err)
		}
	}
	if examples == 0 {
		t.Error("there is no example of the ConfigMap")
	}
}
