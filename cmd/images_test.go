package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/dependencies"
)

// cataloged runs the command with all components.
func cataloged(t *testing.T, stdin string, arguments ...string) (out, warnings string, err error) {
	t.Helper()
	command := New("v1.2.3", catalog.All())
	var stdout, stderr bytes.Buffer
	command.SetArgs(arguments)
	command.SetIn(strings.NewReader(stdin))
	command.SetOut(&stdout)
	command.SetErr(&stderr)
	err = command.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// looksLikeAnImage is wider than what the command looks for: a name with a slash, and a tag or a digest.
var looksLikeAnImage = regexp.MustCompile(`[a-z0-9.-]+\.[a-z]{2,}(?::[0-9]+)?/[A-Za-z0-9._/-]+(?::[A-Za-z0-9][A-Za-z0-9._-]*|@sha256:[0-9a-f]+)`)

// TestNoRenderedImageIsMissing: whatever is rendered for the samples and looks like an image is printed, wherever it is.
func TestNoRenderedImageIsMissing(t *testing.T) {
	for _, sample := range []string{"opendatahub.yaml", "full.yaml"} {
		for _, cluster := range [][]string{nil, {"--openshift", "--ingress-domain", "apps.example.com"}} {
			arguments := append([]string{"-f", filepath.Join("..", "config", "samples", sample)}, cluster...)
			rendered, _, err := cataloged(t, "", append([]string{"render"}, arguments...)...)
			if err != nil {
				t.Fatal(err)
			}
			printed, _, err := cataloged(t, "", append([]string{"images"}, arguments...)...)
			if err != nil {
				t.Fatal(err)
			}
			images := strings.Fields(printed)
			if len(images) < 10 || !slices.IsSorted(images) {
				t.Errorf("%v: these are too few, or not sorted:\n%s", arguments, printed)
			}
			for line := range strings.SplitSeq(rendered, "\n") {
				for _, place := range looksLikeAnImage.FindAllStringIndex(line, -1) {
					if place[0] > 0 && strings.ContainsRune("/@", rune(line[place[0]-1])) {
						continue // of an address
					}
					if name := line[place[0]:place[1]]; !slices.Contains(images, name) {
						t.Errorf("%v: %s is not printed: %s", arguments, name, line)
					}
				}
				if name, ok := strings.CutPrefix(strings.TrimLeft(line, " -"), "image: "); ok && !slices.Contains(images, name) {
					t.Errorf("%v: the image of a container is not printed: %s", arguments, line)
				}
			}
		}
	}
}

// operatorChart is a chart as Strimzi's: an image of its own, and others that it causes.
var operatorChart = map[string]string{
	"Chart.yaml": "apiVersion: v2\nname: strimzi\nversion: 1.3.0\n",
	"templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: strimzi-cluster-operator}
spec: {template: {spec: {containers: [{name: operator, image: strimzi/operator:1.3.0, env: [
  {name: KAFKA_IMAGES, value: "4.0.0=quay.io/strimzi/kafka:1.3.0-4.0.0\n4.1.0=quay.io/strimzi/kafka:1.3.0-4.1.0"}, {name: HOME, value: "https://example.com/docs:1"}]}]}}}
`,
}

func writeChart(t *testing.T) (config string) {
	t.Helper()
	folder := t.TempDir()
	for name, content := range operatorChart {
		file := filepath.Join(folder, "strimzi", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config = filepath.Join(folder, "installer.yaml")
	content := "operators: [{name: Strimzi, charts: [{release: strimzi-kafka-operator, chart: " + filepath.Join(folder, "strimzi") + ", version: 1.3.0}]}]"
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

func TestImages(t *testing.T) {
	config := writeChart(t)
	const text = "docker.io/strimzi/operator:1.3.0\nquay.io/strimzi/kafka:1.3.0-4.0.0\nquay.io/strimzi/kafka:1.3.0-4.1.0\n"
	tests := map[string]struct {
		stdin        string
		flags        []string
		want         string
		wantWarnings string
	}{
		"caused by an operator": {stdin: odh, flags: []string{"--operators", "--config", config}, want: text},
		"without the operators": {stdin: odh, wantWarnings: "warning: the images of Strimzi are not among them: add --operators\n"},
		"with who brings them": {
			stdin: odh, flags: []string{"--operators", "--config", config, "--format", "json"},
			want: `[
  {
    "image": "docker.io/strimzi/operator:1.3.0",
    "from": [
      "Strimzi"
    ]
  },
  {
    "image": "quay.io/strimzi/kafka:1.3.0-4.0.0",
    "from": [
      "Strimzi"
    ]
  },
  {
    "image": "quay.io/strimzi/kafka:1.3.0-4.1.0",
    "from": [
      "Strimzi"
    ]
  }
]
`,
		},
		"for skopeo": {
			stdin: odh, flags: []string{"--operators", "--config", config, "--format", "skopeo"},
			want: `docker.io:
  images:
    strimzi/operator:
    - 1.3.0
quay.io:
  images:
    strimzi/kafka:
    - 1.3.0-4.0.0
    - 1.3.0-4.1.0
`,
		},
		"for oc-mirror, with the package": {
			stdin: odh, flags: []string{"--openshift", "--format", "imageset"},
			want: `apiVersion: mirror.openshift.io/v2alpha1
kind: ImageSetConfiguration
mirror:
  additionalImages: []
  operators:
  - catalog: registry.redhat.io/redhat/community-operator-index:v4.21
    packages:
    - channels:
      - name: strimzi-1.x
      name: strimzi-kafka-operator
`,
		},
		"a package in a format without packages": {
			stdin: odh, flags: []string{"--openshift"},
			wantWarnings: "warning: Strimzi comes as package strimzi-kafka-operator, whose images are in its catalogue: use --format imageset\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, warnings, err := opendatahub(t, test.stdin, append([]string{"images", "-f", "-"}, test.flags...)...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, out); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantWarnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestImagesRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	config := filepath.Join(t.TempDir(), "installer.yaml")
	content := "operators: [{name: Strimzi, charts: [{release: strimzi-kafka-operator, chart: /no/such/chart, version: 1.3.0}]}]"
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		stdin string
		flags []string
		want  string
	}{
		"another format":            {odh, []string{"--format=xml"}, `--format "xml": use text, json, imageset or skopeo`},
		"no configuration":          {odh, []string{"--config", missing}, missing + ": no such file or directory"},
		"an invalid resource":       {strings.Replace(odh, "kafka: {}", "kafkaa: {}", 1), nil, `-: document 1: OpenDataHub odh: unknown field "spec.components.kafkaa"`},
		"an invalid spec":           {strings.Replace(odh, "kafka: {}", `kafka: {version: "0.0.0"}`, 1), nil, "-: OpenDataHub lab/odh: kafka: spec.components.kafka.version: 0.0.0 is not known; use 4.0.0 or later"},
		"a chart that is not there": {odh, []string{"--operators", "--config", config}, "Strimzi: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, _, err := opendatahub(t, test.stdin, append([]string{"images", "-f", "-"}, test.flags...)...)
			if err == nil || out != "" {
				t.Fatalf("was accepted: %v\n%s", err, out)
			}
			if !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("the error is %q, want %q", err, test.want)
			}
		})
	}
}

func TestSkopeoDigests(t *testing.T) {
	var out bytes.Buffer
	digest := "sha256:" + strings.Repeat("0", 64)
	found := map[string][]string{"registry.example.com:5000/a/b:1@" + digest: {"x"}, "localhost/c": {"x"}}
	if err := writeImages(&out, "skopeo", found, []dependencies.Package{{}}); err != nil {
		t.Fatal(err)
	}
	want := "localhost:\n  images:\n    c:\n    - latest\nregistry.example.com:5000:\n  images:\n    a/b:\n    - " + digest + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
