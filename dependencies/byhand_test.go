package dependencies

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"helm.sh/helm/v4/pkg/strvals"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	podsecurity "k8s.io/pod-security-admission/api"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/validation"
	"opendatahub.io/operator/test/upstream"
)

var update = flag.Bool("update", false, "rewrite the golden files of what is typed by hand")

// clusters are the kinds of cluster by the names that golden files have.
var clusters = map[string]bool{"kubernetes": false, "openshift": true}

// TestByHandIsAsReviewed shows what people read, for dependencies that cover every case between them. The next test checks that the
// commands for all of them follow the table.
func TestByHandIsAsReviewed(t *testing.T) {
	for name, cluster := range map[string]string{"Rook": "openshift", "Strimzi": "kubernetes", "Node Feature Discovery": "openshift"} {
		dependency, _ := Default().Find(name)
		got := "== in a message\n\n" + Hint(dependency, clusters[cluster]) + "\n"
		if commands := Commands(dependency, clusters[cluster]); commands != "" {
			got += "\n== with Helm\n\n" + commands
		}
		if manifests := Manifests(dependency, clusters[cluster]); manifests != nil {
			got += "\n== with OLM\n\n" + string(manifests)
		}
		compareGolden(t, filepath.Join("testdata", "byhand", dependency.ID()+"-"+cluster+".txt"), got)
	}
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v\nRun with -update to create it, and review it.", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); run with -update if that is right:\n%s", path, diff)
	}
}

// awkward has everything in it that a shell, YAML or helm --set-json would take for something else.
func awkward() Dependency {
	return Dependency{
		Name: "Awkward", Namespace: "awkward", NamespaceLabels: map[string]string{podsecurity.EnforceLevelLabel: "privileged"},
		Charts: []Chart{
			{
				Release: "oci", Chart: "oci://registry.example.com:5000/charts/oci", Version: "v1.2.0-rc1+b", PlainHTTP: true,
				Values: map[string]any{
					"it's":       `"$HOME" $(date) \ ` + "`id`\nEOF\n",
					"a.b,c=d[e]": map[string]any{`f\g`: map[string]any{"h.i": []any{"<a & b>", json.Number("1000000"), true, nil}}},
					"null":       nil,
					"deep":       map[string]any{"null": nil, "ü": map[string]any{}, "true": "true"},
					"list":       []any{},
				},
			},
			{Release: "no-values", Chart: "https://charts.example.com/a/no-values", Version: "1.2.0"},
			{Release: "local", Chart: "/charts/it's here/local-1.2.0.tgz", Version: "1.2.0", Values: map[string]any{"a": "b"}},
		},
	}
}

// The commands run in a shell in which helm and kubectl only record their arguments.
func TestHelmIsToldWhatTheTableHas(t *testing.T) {
	for cluster, openShift := range clusters {
		for _, dependency := range append(Default(), awkward()) {
			dependency := dependency.For(openShift)
			t.Run(dependency.Name+" on "+cluster+" in one line", func(t *testing.T) {
				line := oneLine(dependency)
				if strings.Contains(line, "\n") && dependency.Name != "Awkward" {
					t.Errorf("it has several lines:\n%s", line)
				}
				calls := run(t, line)
				checkReleases(t, dependency, calls)
				for _, call := range calls {
					if call.arguments[0] != "kubectl" {
						continue
					}
					want := []string{"kubectl", "label", "namespace", dependency.Namespace, podsecurity.EnforceLevelLabel + "=privileged", "--overwrite"}
					if diff := cmp.Diff(want, call.arguments); diff != "" || dependency.NamespaceLabels[podsecurity.EnforceLevelLabel] != "privileged" {
						t.Errorf("kubectl is told something else (-want +got):\n%s", diff)
					}
				}
			})
			t.Run(dependency.Name+" on "+cluster+" in lines", func(t *testing.T) {
				if dependency.Way == WayOLM {
					return // the next test says that there is nothing
				}
				calls := run(t, Commands(dependency, openShift))
				checkReleases(t, dependency, calls)
				if len(calls) == 0 || calls[0].arguments[0] != "kubectl" {
					t.Fatalf("the namespace is not the first: %v", calls)
				}
				checkNamespace(t, dependency, calls[0].stdin)
			})
		}
	}
}

func checkNamespace(t *testing.T, dependency Dependency, manifest string) {
	t.Helper()
	var got map[string]any
	if err := yaml.UnmarshalStrict([]byte(manifest), &got); err != nil {
		t.Fatal(err)
	}
	namespace := &unstructured.Unstructured{Object: got}
	if namespace.GetKind() != "Namespace" || namespace.GetName() != dependency.Namespace ||
		!cmp.Equal(namespace.GetLabels(), dependency.NamespaceLabels) {
		t.Errorf("another namespace is applied:\n%s", manifest)
	}
}

func checkReleases(t *testing.T, dependency Dependency, calls []call) {
	t.Helper()
	var releases []call
	for _, call := range calls {
		if call.arguments[0] == "helm" {
			releases = append(releases, call)
		}
	}
	if len(releases) != len(dependency.Charts) {
		t.Fatalf("helm is called %d times for %d charts", len(releases), len(dependency.Charts))
	}
	for i, want := range dependency.Charts {
		got, namespace := releases[i].chart(t)
		if namespace != dependency.Namespace {
			t.Errorf("%s goes into namespace %s", want.Release, namespace)
		}
		// Values that are JSON are equal when their JSON is.
		if compact(got.Values) != compact(want.Values) && len(want.Values) > 0 {
			t.Errorf("values of %s (-want +got):\n%s", want.Release, cmp.Diff(compact(want.Values), compact(got.Values)))
		}
		want.Values, got.Values, want.Digest = nil, nil, ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("chart (-want +got):\n%s", diff)
		}
	}
}

// call is a command that a shell ran.
type call struct {
	arguments []string
	stdin     string
}

// noting makes the shell note, separated by zeros, how many arguments there are, each of them, and the standard input.
const noting = `
note() { printf '%s\0' "$#" "$@"; cat; printf '\0'; }
helm() { note helm "$@"; }
kubectl() { note kubectl "$@"; }
`

func run(t *testing.T, script string) []call {
	t.Helper()
	for _, mode := range []string{"-n", "-eu"} {
		shell := exec.CommandContext(t.Context(), "bash", mode, "-c", noting+script)
		shell.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/home/sweet"}
		var stderr bytes.Buffer
		shell.Stderr = &stderr
		out, err := shell.Output()
		if err != nil || stderr.Len() > 0 {
			t.Fatalf("bash %s: %v\n%s\n%s", mode, err, stderr.String(), script)
		}
		if mode == "-eu" {
			return parseCalls(t, strings.Split(string(out), "\x00"))
		}
	}
	return nil
}

func parseCalls(t *testing.T, notes []string) []call {
	t.Helper()
	var calls []call
	for len(notes) > 1 { // nothing follows the last zero
		count, err := strconv.Atoi(notes[0])
		if err != nil || len(notes) < count+2 {
			t.Fatalf("cannot read %q: %v", notes, err)
		}
		calls = append(calls, call{arguments: notes[1 : count+1], stdin: notes[count+1]})
		notes = notes[count+2:]
	}
	return calls
}

// chart reads the command as helm upgrade does; its flags were compared with those of Helm 4.
func (c call) chart(t *testing.T) (chart Chart, namespace string) {
	t.Helper()
	flags := pflag.NewFlagSet("helm", pflag.ContinueOnError)
	install, _, repository := flags.Bool("install", false, ""), flags.Bool("create-namespace", false, ""), flags.String("repo", "", "")
	flags.StringVar(&chart.Version, "version", "", "")
	flags.StringVar(&namespace, "namespace", "", "")
	flags.BoolVar(&chart.PlainHTTP, "plain-http", false, "")
	assigned, file := flags.StringArray("set-json", nil, ""), flags.String("values", "", "")
	if err := flags.Parse(c.arguments[1:]); err != nil {
		t.Fatal(err)
	}
	if flags.NArg() != 3 || flags.Arg(0) != "upgrade" || !*install {
		t.Fatalf("not helm upgrade --install RELEASE CHART: %q", c.arguments)
	}
	chart.Release, chart.Chart = flags.Arg(1), flags.Arg(2)
	if *repository != "" {
		chart.Chart = *repository + "/" + chart.Chart
	}
	values := map[string]any{}
	for _, text := range *assigned {
		if err := strvals.ParseJSON(text, values); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	if *file == "-" {
		if err := yaml.UnmarshalStrict([]byte(c.stdin), &values, func(d *json.Decoder) *json.Decoder { d.UseNumber(); return d }); err != nil {
			t.Fatalf("%v\n%s", err, c.stdin)
		}
	} else if c.stdin != "" {
		t.Errorf("nobody reads %q", c.stdin)
	}
	chart.Values = values
	return chart, namespace
}

func TestTheWaysThatThereAre(t *testing.T) {
	dependency := Dependency{
		Name: "Kafka", Namespace: "kafka", Way: WayAuto,
		Packages: []Package{{
			Name: "kafka", Channel: "stable", InstallMode: OwnNamespace, OpenShiftOnly: true,
			Catalogs: []Catalog{{Name: "community-operators", Namespace: openShiftMarketplace}},
		}},
		Charts: []Chart{{Release: "kafka", Chart: "oci://example.com/kafka", Version: "1.2.0"}},
	}
	const (
		helm = "helm upgrade --install kafka oci://example.com/kafka --version 1.2.0 --namespace kafka --create-namespace"
		olm  = "install package kafka, channel stable, from OperatorHub into namespace kafka"
	)
	tests := map[string]struct {
		way       Way
		openShift bool
		want      string
	}{
		"both, where both are":              {way: WayAuto, openShift: true, want: helm + "; or " + olm},
		"the package is of OpenShift":       {way: WayAuto, want: helm},
		"none is installed for people":      {way: WayNone, openShift: true, want: helm + "; or " + olm},
		"Helm only":                         {way: WayHelm, openShift: true, want: helm},
		"OLM only":                          {way: WayOLM, openShift: true, want: olm},
		"OLM only, and no catalogue has it": {way: WayOLM, want: ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dependency := dependency
			dependency.Way = test.way
			if got := Hint(dependency, test.openShift); got != test.want {
				t.Errorf("the hint is %q, not %q", got, test.want)
			}
			if got := Commands(dependency, test.openShift); (got != "") != strings.Contains(test.want, "helm") {
				t.Errorf("the commands are %q", got)
			}
			if got := Manifests(dependency, test.openShift); (got != nil) != strings.Contains(test.want, "OperatorHub") {
				t.Errorf("the manifests are %q", got)
			}
		})
	}
}

func TestManifestsFitOLM(t *testing.T) {
	schemas := map[string]*validation.Schema{}
	for _, crd := range upstream.Definitions(t, checkout(t), "name: operatorgroups.operators.coreos.com\n", "name: subscriptions.operators.coreos.com\n") {
		for _, version := range crd.Spec.Versions {
			compiled, err := validation.Compile(version.Schema.OpenAPIV3Schema)
			if err != nil {
				t.Fatal(err)
			}
			schemas[crd.Spec.Group+"/"+version.Name+" "+crd.Spec.Names.Kind] = compiled
		}
	}
	checked := 0
	for _, dependency := range Default() {
		for _, openShift := range clusters {
			for document := range strings.SplitSeq("\n"+string(Manifests(dependency, openShift)), "\n---") {
				object := &unstructured.Unstructured{}
				if err := yaml.UnmarshalStrict([]byte(document), &object.Object); err != nil {
					t.Fatal(err)
				}
				if object.GetKind() == "Namespace" || object.Object == nil {
					continue
				}
				if object.GetKind() == "Subscription" {
					checkSubscription(t, dependency.For(openShift), object)
				}
				definition, ok := schemas[object.GetAPIVersion()+" "+object.GetKind()]
				if !ok {
					t.Fatalf("no definition of %s", object.GroupVersionKind())
				}
				for _, problem := range definition.Admit(object) {
					t.Errorf("%s: %s: %v", dependency.Name, object.GetKind(), problem)
				}
				checked++
			}
		}
	}
	if checked == 0 {
		t.Error("the table has no package")
	}
}

func checkSubscription(t *testing.T, dependency Dependency, object *unstructured.Unstructured) {
	t.Helper()
	spec, _, _ := unstructured.NestedStringMap(object.Object, "spec")
	pkg := dependency.Packages[0]
	if spec["name"] != pkg.Name || spec["channel"] != pkg.Channel || object.GetNamespace() != dependency.Namespace ||
		!slices.Contains(pkg.Catalogs, Catalog{Name: spec["source"], Namespace: spec["sourceNamespace"]}) {
		t.Errorf("%s is asked for with %v in namespace %s", dependency.Name, spec, object.GetNamespace())
	}
}
