package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	operatorsv1alpha1 "github.com/operator-framework/api/pkg/operators/v1alpha1"
	"github.com/operator-framework/operator-registry/alpha/declcfg"
	"sigs.k8s.io/yaml"
)

const repository = "../.."

// bundleFolder is where a bundle is made, in a target of its own.
func bundleFolder(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "bundle")
}

func target(folder string) string { return filepath.Dir(folder) }

func optionsFor(version string, digests map[string]string) options {
	return options{
		version: version, image: "registry.example.com/operator:v0.1.0", bundleImage: "registry.example.com/bundle:v" + version,
		mustGatherImage: "registry.example.com/must-gather:v0.1.0", digests: digests,
	}
}

// generated is the ClusterServiceVersion of a bundle made from the repository.
func generated(t *testing.T, folder string, digests map[string]string) operatorsv1alpha1.ClusterServiceVersion {
	t.Helper()
	if err := generate(repository, target(folder), optionsFor("0.1.0", digests)); err != nil {
		t.Fatal(err)
	}
	var csv operatorsv1alpha1.ClusterServiceVersion
	if err := yaml.Unmarshal(readFile(t, filepath.Join(folder, "manifests", packageName+".clusterserviceversion.yaml")), &csv); err != nil {
		t.Fatal(err)
	}
	return csv
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestBundleIsAccepted(t *testing.T) {
	folder := bundleFolder(t)
	if err := generate(repository, target(folder), optionsFor("0.1.0", nil)); err != nil {
		t.Fatal(err)
	}
	if err := validate(folder, ""); err != nil {
		t.Error(err)
	}
	csv, err := os.ReadFile(filepath.Join(folder, "manifests", packageName+".clusterserviceversion.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"name: opendatahub-operator.v0.1.0", "image: registry.example.com/operator:v0.1.0", "value: registry.example.com/operator:v0.1.0", "serviceAccountName: opendatahub-operator",
	} {
		if !strings.Contains(string(csv), want) {
			t.Errorf("the ClusterServiceVersion lacks %q", want)
		}
	}
}

func TestBrokenBundleIsRefused(t *testing.T) {
	folder := bundleFolder(t)
	if err := generate(repository, target(folder), optionsFor("0.1.0", nil)); err != nil {
		t.Fatal(err)
	}
	// Without its CustomResourceDefinition the bundle owns what it does not have.
	if err := os.Remove(filepath.Join(folder, "manifests", "opendatahub.io_opendatahubs.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := validate(folder, ""); err == nil {
		t.Error("a bundle without its CustomResourceDefinition is accepted")
	}
}

// TestNamespaceInBundleIsRefused: OLM's unpacking refuses such a bundle, and the validators of package validation do not look.
func TestNamespaceInBundleIsRefused(t *testing.T) {
	folder := bundleFolder(t)
	if err := generate(repository, target(folder), optionsFor("0.1.0", nil)); err != nil {
		t.Fatal(err)
	}
	service := filepath.Join(folder, "manifests", "opendatahub-operator-metrics_v1_service.yaml")
	content, err := os.ReadFile(service)
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Replace(content, []byte("metadata:\n"), []byte("metadata:\n  namespace: elsewhere\n"), 1)
	if err := os.WriteFile(service, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := validate(folder, ""); err == nil || !strings.Contains(err.Error(), "metadata.namespace") {
		t.Errorf("validate = %v; want an error about metadata.namespace", err)
	}
}

// TestWarningIsRefused: as the one of roles that may write PodDisruptionBudgets, which only the validator for objects has.
func TestWarningIsRefused(t *testing.T) {
	folder := bundleFolder(t)
	if err := generate(repository, target(folder), optionsFor("0.1.0", nil)); err != nil {
		t.Fatal(err)
	}
	role := filepath.Join(folder, "manifests", "opendatahub-platform_rbac.authorization.k8s.io_v1_clusterrole.yaml")
	rules := "rules:\n- {apiGroups: [policy], resources: [poddisruptionbudgets], verbs: [patch]}\n"
	content := bytes.Replace(readFile(t, role), []byte("rules:\n"), []byte(rules), 1)
	if err := os.WriteFile(role, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := validate(folder, ""); err == nil || !strings.Contains(err.Error(), "poddisruptionbudgets") {
		t.Errorf("validate = %v; want the warning about PodDisruptionBudgets", err)
	}
}

func TestVersionMustBeSemantic(t *testing.T) {
	if err := generate(repository, t.TempDir(), optionsFor("latest", nil)); err == nil {
		t.Error("the version latest is accepted")
	}
}

// documented are the paths of all fields below the spec or the status, as docs/api.md, which another generator writes, has them.
func documented(t *testing.T, root string) []string {
	t.Helper()
	var paths []string
	inside, section := false, ""
	for line := range strings.Lines(string(readFile(t, filepath.Join(repository, "docs", "api.md")))) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(heading)
			inside = section == root || strings.HasPrefix(section, root+".")
			section = strings.TrimPrefix(strings.TrimPrefix(section, root), ".")
		}
		row, isRow := strings.CutPrefix(line, "| ")
		name, _, _ := strings.Cut(row, " |")
		if name = strings.Trim(name, "*`"); !inside || !isRow || name == "field" || strings.Contains(name, "<") {
			continue
		}
		if section != "" {
			name = strings.ReplaceAll(section, "[]", "[0]") + "." + name
		}
		paths = append(paths, name)
	}
	slices.Sort(paths)
	return paths
}

func TestEveryFieldIsDescribed(t *testing.T) {
	owned := generated(t, bundleFolder(t), nil).Spec.CustomResourceDefinitions.Owned[0]
	var spec, status []string
	for _, descriptor := range owned.SpecDescriptors {
		spec = append(spec, descriptor.Path)
		if descriptor.Description == "" || descriptor.DisplayName == "" {
			t.Errorf("%s says nothing", descriptor.Path)
		}
	}
	for _, descriptor := range owned.StatusDescriptors {
		status = append(status, descriptor.Path)
		if descriptor.Description == "" || descriptor.DisplayName == "" {
			t.Errorf("status: %s says nothing", descriptor.Path)
		}
	}
	for root, described := range map[string][]string{"spec": spec, "status": status} {
		slices.Sort(described)
		if want := documented(t, root); len(want) < 20 || !slices.Equal(described, want) {
			for _, path := range want {
				if !slices.Contains(described, path) {
					t.Errorf("%s.%s is not described", root, path)
				}
			}
			for _, path := range described {
				if !slices.Contains(want, path) {
					t.Errorf("%s.%s is described, and docs/api.md does not have it", root, path)
				}
			}
		}
	}
}

// TestHints: what the console makes of a field follows from its schema.
func TestHints(t *testing.T) {
	owned := generated(t, bundleFolder(t), nil).Spec.CustomResourceDefinitions.Owned[0]
	want := map[string]string{
		"profile": hintSelect + "HighAvailability", "authentication.oidc.clientSecretRef.name": hintSecret, "components.kafka.patches": hintAdvanced,
		"components.ceph.copies": hintNumber, "components.ceph.encrypted": hintSwitch, "authentication.oidc.issuer": hintText,
	}
	for _, descriptor := range owned.SpecDescriptors {
		if hint, ok := want[descriptor.Path]; ok && slices.Contains(descriptor.XDescriptors, hint) {
			delete(want, descriptor.Path)
		}
	}
	if len(want) > 0 {
		t.Errorf("without their hints: %v", want)
	}
}

func TestEverySampleIsAnExample(t *testing.T) {
	csv := generated(t, bundleFolder(t), nil)
	var examples []map[string]any
	if err := json.Unmarshal([]byte(csv.Annotations["alm-examples"]), &examples); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(repository, "config", "samples", "*.yaml"))
	if err != nil || len(files) != len(examples) {
		t.Fatalf("%d examples of %q, %v", len(examples), files, err)
	}
	for _, file := range files {
		var sample map[string]any
		if err := yaml.Unmarshal(readFile(t, file), &sample); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(examples, func(example map[string]any) bool { return fmt.Sprint(example) == fmt.Sprint(sample) }) {
			t.Errorf("%s is no example", file)
		}
	}
	var initial map[string]any
	if err := json.Unmarshal([]byte(csv.Annotations["operatorframework.io/initialization-resource"]), &initial); err != nil || fmt.Sprint(initial) != fmt.Sprint(examples[0]) {
		t.Errorf("people start from %v, %v", initial, err)
	}
}

// TestRelatedImages: the manager gets each image as catalogues have it, and the bundle is for clusters without the internet once all
// have digests.
func TestRelatedImages(t *testing.T) {
	folder := bundleFolder(t)
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	tags := generated(t, folder, nil)
	digests := map[string]string{}
	for _, image := range tags.Spec.RelatedImages {
		digests[image.Image] = repositoryOf(image.Image) + digest
	}
	if len(digests) < 20 {
		t.Fatalf("only %d images", len(digests))
	}
	pinned := generated(t, folder, digests)
	if err := validate(folder, ""); err != nil {
		t.Error(err)
	}
	one := generated(t, folder, map[string]string{tags.Spec.RelatedImages[1].Image: repositoryOf(tags.Spec.RelatedImages[1].Image) + digest})
	for name, test := range map[string]struct {
		csv          operatorsv1alpha1.ClusterServiceVersion
		disconnected string
		byDigest     int
	}{
		"tags": {tags, "false", 0}, "digests": {pinned, "true", len(pinned.Spec.RelatedImages)}, "one digest": {one, "false", 1},
	} {
		if got := test.csv.Annotations["features.operators.openshift.io/disconnected"]; got != test.disconnected {
			t.Errorf("%s: disconnected %q", name, got)
		}
		container := test.csv.Spec.InstallStrategy.StrategySpec.DeploymentSpecs[0].Spec.Template.Spec.Containers[0]
		if container.Image != test.csv.Spec.RelatedImages[0].Image {
			t.Errorf("%s: runs %s, and %s is among the images", name, container.Image, test.csv.Spec.RelatedImages[0].Image)
		}
		variables := map[string]string{}
		for _, variable := range container.Env {
			variables[variable.Name] = variable.Value
		}
		byDigest := 0
		for _, image := range test.csv.Spec.RelatedImages {
			if strings.Contains(image.Image, "@") {
				byDigest++
			}
			name := "OPERATOR_IMAGE"
			switch image.Name {
			case "manager":
			case "must-gather":
				if got := test.csv.Annotations["operators.openshift.io/must-gather-image"]; got != image.Image {
					t.Errorf("the annotation has %s, and %s is among the images", got, image.Image)
				}
				continue
			default:
				name = variablePrefix + strings.ToUpper(strings.ReplaceAll(image.Name, "-", "_"))
			}
			if variables[name] != image.Image {
				t.Errorf("%s is %q, and %s is among the images", name, variables[name], image.Image)
			}
		}
		if byDigest != test.byDigest {
			t.Errorf("%s: %d by digest", name, byDigest)
		}
	}
}

func TestDigestsAreOfTheSameImages(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for content, want := range map[string]string{
		"images: {\"quay.io/ceph/ceph:v1\": \"quay.io/other/ceph" + digest + "\"}": "must be quay.io/ceph/ceph@sha256:",
		"images: {\"quay.io/ceph/ceph:v1\": \"quay.io/ceph/ceph:v2\"}":             "must be quay.io/ceph/ceph@sha256:",
		"registries: {quay.io: registry.example.com}":                              "unknown field",
	} {
		file := filepath.Join(t.TempDir(), "digests.yaml")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readDigests(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", content, err)
		}
	}
	unknown := map[string]string{"quay.io/ceph/ceph:v1": "quay.io/ceph/ceph" + digest}
	if err := generate(repository, t.TempDir(), optionsFor("0.1.0", unknown)); err == nil || !strings.Contains(err.Error(), "deploys no quay.io/ceph/ceph:v1") {
		t.Errorf("a digest that nothing uses: %v", err)
	}
}

// TestArchitectures: what the bundle says of architectures agrees with itself, and with images. The container tool is played, because no
// registry answers where tests run: all images are for both architectures, or one is not.
func TestArchitectures(t *testing.T) {
	folder := bundleFolder(t)
	generated(t, folder, nil)
	play := func(exception string) {
		t.Helper()
		tools := t.TempDir()
		script := `#!/bin/sh
[ "$1" = pull ] && exit 0
case "$3" in
*` + exception + `*) echo '{"manifests": [{"platform": {"os": "linux", "architecture": "amd64"}}]}' ;;
*) echo '{"manifests": [{"platform": {"os": "linux", "architecture": "amd64"}}, {"platform": {"os": "linux", "architecture": "arm64"}}]}' ;;
esac
`
		if err := os.WriteFile(filepath.Join(tools, "docker"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", tools+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	play("no-such-image")
	if err := validate(folder, "docker"); err != nil {
		t.Errorf("images for all architectures: %v", err)
	}
	play("example.com/operator")
	if err := validate(folder, "docker"); err == nil || !strings.Contains(err.Error(), "arm64") {
		t.Errorf("an operator for one architecture: %v", err)
	}
	play("rclone")
	if err := validate(folder, "docker"); err == nil || !strings.Contains(err.Error(), "rclone") {
		t.Errorf("another image for one architecture: %v", err)
	}
}

// TestUpgradeEdges: each version replaces the one before, a version that is made again does not replace itself, and an older one is refused.
func TestUpgradeEdges(t *testing.T) {
	folder := bundleFolder(t)
	for _, version := range []string{"0.1.0", "0.2.0", "0.2.0", "0.10.0"} {
		if err := generate(repository, target(folder), optionsFor(version, nil)); err != nil {
			t.Fatal(err)
		}
		if err := validate(folder, ""); err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
	catalog, err := readCatalog(filepath.Join(target(folder), catalogFolder))
	if err != nil {
		t.Fatal(err)
	}
	model, err := declcfg.ConvertToModel(*catalog)
	if err != nil {
		t.Fatal(err)
	}
	line := model[packageName].DefaultChannel
	head, err := line.Head()
	if err != nil || line.Name != channel || head.Name != packageName+".v0.10.0" || head.Image != "registry.example.com/bundle:v0.10.0" {
		t.Errorf("the head of %s is %v, %v", line.Name, head, err)
	}
	edges := map[string]string{}
	for name, bundle := range line.Bundles {
		edges[name] = bundle.Replaces
	}
	want := map[string]string{packageName + ".v0.1.0": "", packageName + ".v0.2.0": packageName + ".v0.1.0", packageName + ".v0.10.0": packageName + ".v0.2.0"}
	if !maps.Equal(edges, want) {
		t.Errorf("each replaces %v, want %v", edges, want)
	}
	var csv operatorsv1alpha1.ClusterServiceVersion
	if err := yaml.Unmarshal(readFile(t, filepath.Join(folder, "manifests", packageName+".clusterserviceversion.yaml")), &csv); err != nil || csv.Spec.Replaces != packageName+".v0.2.0" {
		t.Errorf("the bundle replaces %q, %v", csv.Spec.Replaces, err)
	}
	if err := generate(repository, target(folder), optionsFor("0.3.0", nil)); err == nil || !strings.Contains(err.Error(), "already has 0.10.0") {
		t.Errorf("an older version: %v", err)
	}
}

// TestCatalogIsRefused: what opm would refuse is not written.
func TestCatalogIsRefused(t *testing.T) {
	folder := bundleFolder(t)
	csv := generated(t, folder, nil)
	broken := catalogOf(nil, &csv, "registry.example.com/bundle:v1")
	broken.Channels[0].Entries[0].Replaces = broken.Channels[0].Entries[0].Name
	if err := writeCatalog(filepath.Join(target(folder), catalogFolder), broken); err == nil {
		t.Error("a version that replaces itself is accepted")
	}
}

// TestImageOfTheBundle: registries of bundles read the labels of an image before its files.
func TestImageOfTheBundle(t *testing.T) {
	folder := bundleFolder(t)
	generated(t, folder, nil)
	text := string(readFile(t, filepath.Join(target(folder), "bundle.Dockerfile")))
	for name, value := range annotations() {
		if !strings.Contains(text, "LABEL "+name+"="+value+"\n") {
			t.Errorf("the image lacks %s=%s", name, value)
		}
	}
}
