package cmd

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/images"
)

var (
	moved          = regexp.MustCompile(`mirror\.example\.org/[^/\s]+/`)
	publicRegistry = regexp.MustCompile(`\b(?:quay\.io|docker\.io|ghcr\.io|gcr\.io|nvcr\.io|registry\.k8s\.io|registry\.redhat\.io|registry\.access\.redhat\.com|public\.ecr\.aws)/\S*`)
)

// TestEveryImageCanBeReplaced: none of what the full sample renders, on Kubernetes and on OpenShift, escapes a table that moves every
// registry.
func TestEveryImageCanBeReplaced(t *testing.T) {
	for _, openShift := range []bool{false, true} {
		run := func(arguments ...string) string {
			t.Helper()
			arguments = append(arguments, "-f", "../config/samples/full.yaml")
			if openShift {
				arguments = append(arguments, "--openshift", "--ingress-domain", "apps.example.com")
			}
			var out, warnings bytes.Buffer
			command := New("test", catalog.All())
			command.SetArgs(arguments)
			command.SetOut(&out)
			command.SetErr(&warnings)
			if err := command.Execute(); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		table := filepath.Join(t.TempDir(), "images.yaml")
		registries := map[string]bool{}
		for line := range strings.Lines(run("images")) {
			registry, _, _ := strings.Cut(strings.TrimSpace(line), "/")
			registries[registry] = true
		}
		if len(registries) < 3 {
			t.Fatalf("the sample has images of %d registries only", len(registries))
		}
		content := "registries:\n"
		for registry := range registries {
			content += "  \"" + registry + "\": mirror.example.org/" + registry + "\n"
		}
		if err := os.WriteFile(table, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		rendered := run("render", "--images", table)
		count := 0
		for _, image := range images.Find(rendered) {
			count++
			if !strings.HasPrefix(image, "mirror.example.org/") {
				t.Errorf("openshift %t: %s escapes the table", openShift, image)
			}
		}
		if count < 10 {
			t.Errorf("only %d images are rendered", count)
		}
		// Nor does anything that is not known as an image: a repository to which somebody adds the tag, or a part of a script.
		for _, left := range publicRegistry.FindAllString(moved.ReplaceAllString(rendered, ""), -1) {
			t.Errorf("openshift %t: %s escapes the table", openShift, left)
		}
		for line := range strings.Lines(run("images", "--images", table)) {
			if !strings.HasPrefix(line, "mirror.example.org/") {
				t.Errorf("openshift %t: images prints %s", openShift, line)
			}
		}
	}
}

func TestATableThatCannotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "images.yaml")
	if err := os.WriteFile(file, []byte("images: {nginx: nginx}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{file: `"nginx" is no image`, filepath.Join(t.TempDir(), "nowhere"): "no such file"} {
		if _, err := readImages(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// TestEveryRenderedImageHasAName: what the samples render is in the table of the bundle's images, under one name, unless the sample names it.
func TestEveryRenderedImageHasAName(t *testing.T) {
	all := catalog.All()
	named := map[string]string{}
	for _, component := range all {
		chooses, ok := component.(components.WithImages)
		if !ok {
			continue
		}
		for name, image := range chooses.Images() {
			if named[name] != "" && named[name] != image {
				t.Errorf("%s is %s and %s", name, named[name], image)
			}
			named[name] = image
		}
	}
	if diff := cmp.Diff(named, components.Images(all)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	known := slices.Collect(maps.Values(named))
	login := "apiVersion: opendatahub.io/v1alpha1\nkind: OpenDataHub\nmetadata: {name: odh, namespace: a}\nspec: {authentication: {type: OpenShift}, components: {mlflow: {}, portal: {}}}\n"
	for _, run := range [][]string{
		{"-f", "../config/samples/full.yaml"}, {"-f", "../config/samples/opendatahub.yaml", "--openshift", "--ingress-domain", "apps.example.com"},
		{"-f", "-", "--openshift", "--ingress-domain", "apps.example.com"},
	} {
		chosen := login
		if run[1] != "-" {
			chosen = readFile(t, run[1])
		}
		out, _, err := cataloged(t, login, append([]string{"images"}, run...)...)
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range strings.Fields(out) {
			if !slices.Contains(known, image) && !slices.Contains(images.Find(chosen), image) && !strings.HasPrefix(image, "quay.io/opendatahub/operator:") {
				t.Errorf("%v: %s has no name in any component's Images", run, image)
			}
		}
	}
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestNoCausedImageEscapes: neither what a chart of a third-party operator renders, nor what it makes the operator run.
func TestNoCausedImageEscapes(t *testing.T) {
	config := writeChart(t)
	table := filepath.Join(t.TempDir(), "images.yaml")
	content := "registries: {quay.io: mirror.example.org/quay, docker.io: mirror.example.org/docker}"
	if err := os.WriteFile(table, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := cataloged(t, odh, "images", "-f", "-", "--operators", "--config", config, "--images", table)
	if err != nil {
		t.Fatal(err)
	}
	want := "mirror.example.org/docker/strimzi/operator:1.3.0\nmirror.example.org/quay/strimzi/kafka:1.3.0-4.0.0\nmirror.example.org/quay/strimzi/kafka:1.3.0-4.1.0\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEveryVariableIsHeard: with all variables of the bundle set, no image of ours is left as a component chose it.
func TestEveryVariableIsHeard(t *testing.T) {
	all := catalog.All()
	environment := []string{"RELATED_IMAGE_OF_ANOTHER_VERSION=quay.io/a/b:1"}
	for name := range components.Images(all) {
		environment = append(environment, "RELATED_IMAGE_"+name+"=mirror.example.org/"+strings.ToLower(strings.ReplaceAll(name, "_", "-"))+":1")
	}
	table, unknown, err := managerImages("", environment, all)
	if err != nil || len(table.Related) != len(environment)-1 || !slices.Equal(unknown, []string{"RELATED_IMAGE_OF_ANOTHER_VERSION"}) {
		t.Fatalf("%d of %d variables, unknown %q, %v", len(table.Related), len(environment), unknown, err)
	}
	for _, openShift := range []bool{false, true} {
		options := imagesOptions{format: "text"}
		options.files = []string{"../config/samples/full.yaml"}
		options.cluster = components.Cluster{OpenShift: openShift, KubeVersion: defaultKubeVersion, Images: table}
		if openShift {
			options.cluster.IngressDomain = "apps.example.com"
		}
		var out, warnings bytes.Buffer
		if err := printImages(t.Context(), options, all, nil, &out, &warnings); err != nil {
			t.Fatal(err)
		}
		mirrored := 0
		for _, image := range strings.Fields(out.String()) {
			if strings.HasPrefix(image, "mirror.example.org/") {
				mirrored++
			}
			if _, ours := table.Related[image]; ours {
				t.Errorf("openshift %t: %s is not what its variable says", openShift, image)
			}
		}
		if mirrored < 10 {
			t.Errorf("openshift %t: only %d images are what variables say", openShift, mirrored)
		}
	}
}

// TestEveryPodCanPull: with a Secret for registries in the table, every ServiceAccount has it, and every Pod that we make is of such a one.
func TestEveryPodCanPull(t *testing.T) {
	table := filepath.Join(t.TempDir(), "images.yaml")
	if err := os.WriteFile(table, []byte("pullSecrets: [mirror]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cluster := range [][]string{nil, {"--openshift", "--ingress-domain", "apps.example.com"}} {
		out, _, err := cataloged(t, "", append([]string{"render", "-f", "../config/samples/full.yaml", "--images", table}, cluster...)...)
		if err != nil {
			t.Fatal(err)
		}
		accounts, pods := map[string]bool{}, map[string]string{}
		for document := range strings.SplitSeq(out, "\n---") {
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
				t.Fatal(err)
			}
			if object.GetKind() == "ServiceAccount" {
				secrets, _, _ := unstructured.NestedSlice(object.Object, "imagePullSecrets")
				accounts[object.GetName()] = len(secrets) > 0
			}
			if account, ok, _ := unstructured.NestedString(object.Object, "spec", "template", "spec", "serviceAccountName"); ok {
				pods[object.GetKind()+" "+object.GetName()] = account
			}
		}
		if len(accounts) < 8 || len(pods) < 8 {
			t.Fatalf("%v: only %d ServiceAccounts and %d Pods", cluster, len(accounts), len(pods))
		}
		for name, pulls := range accounts {
			if !pulls {
				t.Errorf("%v: ServiceAccount %s has no Secret to pull with", cluster, name)
			}
		}
		for name, account := range pods {
			if !accounts[account] {
				t.Errorf("%v: %s is of ServiceAccount %s, which has no Secret to pull with", cluster, name, account)
			}
		}
	}
}
