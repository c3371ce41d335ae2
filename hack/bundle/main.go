// Bundle makes the OLM bundle of the operator from what make deploy would apply, so that the two cannot drift, checks it against the rules
// of the catalogues it is meant for, and adds it to the operator's own.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	semver "github.com/blang/semver/v4"
	"github.com/operator-framework/api/pkg/lib/version"
	operatorsv1alpha1 "github.com/operator-framework/api/pkg/operators/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	packageName    = "opendatahub-operator"
	channel        = "fast"
	serviceAccount = "opendatahub-operator"
	firstSample    = "opendatahub.yaml"
	// The first OpenShift whose Kubernetes is the minKubeVersion of the base.
	openShiftVersions = "v4.21"
)

// options are the flags.
type options struct {
	// version of the operator, as in 0.1.0, its image, that of the bundle, and that which oc adm must-gather starts.
	version, image, bundleImage, mustGatherImage string
	// digests of images, as far as somebody knows them.
	digests map[string]string
}

func main() {
	var o options
	flag.StringVar(&o.version, "version", "", "version of the operator, as in 0.1.0")
	flag.StringVar(&o.image, "image", "", "image of the operator")
	flag.StringVar(&o.bundleImage, "bundle-image", "", "image of the bundle, for the catalogue")
	flag.StringVar(&o.mustGatherImage, "must-gather-image", "", "image that oc adm must-gather starts")
	digests := flag.String("digests", "", "file with the digests of images, as the operator's --images takes it; images that it lacks stay as they are")
	tool := flag.String("container-tool", "", "docker or podman: ask it for which architectures images are; without it they are not asked for")
	flag.Parse()
	if flag.NArg() != 1 || o.version == "" || o.image == "" || o.bundleImage == "" || o.mustGatherImage == "" {
		fmt.Fprintln(os.Stderr, "usage: bundle -version 0.1.0 -image IMAGE -bundle-image IMAGE -must-gather-image IMAGE [-digests FILE] [-container-tool docker|podman] REPOSITORY")
		os.Exit(2)
	}
	var err error
	if o.digests, err = readDigests(*digests); err == nil {
		err = errors.Join(generate(flag.Arg(0), flag.Arg(0), o), validate(filepath.Join(flag.Arg(0), "bundle"), *tool))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

// generate writes the bundle of the repository to the folder bundle of target, which it empties first, and adds it to the catalogue there.
func generate(repository, target string, o options) error {
	config, err := read(filepath.Join(repository, "config"))
	if err != nil {
		return err
	}
	config.digests = o.digests
	number, err := semver.Parse(o.version)
	if err != nil {
		return fmt.Errorf("-version %s: %w", o.version, err)
	}
	catalog, err := readCatalog(filepath.Join(target, catalogFolder))
	if err != nil {
		return err
	}
	earlier, err := releasesBefore(catalog, number)
	if err != nil {
		return err
	}
	csv, err := config.clusterServiceVersion(number, o.image, o.mustGatherImage)
	if err != nil {
		return err
	}
	if len(earlier) > 0 {
		csv.Spec.Replaces = earlier[len(earlier)-1].bundle.Name
	}
	files := map[string]any{
		"manifests/opendatahub.io_opendatahubs.yaml":                config.crd,
		"manifests/" + packageName + ".clusterserviceversion.yaml":  csv,
		"manifests/opendatahub-operator-metrics_v1_service.yaml":    config.service,
		"manifests/opendatahub-operator-metrics-tls_v1_secret.yaml": config.certificate,
		"metadata/annotations.yaml":                                 map[string]any{"annotations": annotations()},
		"tests/scorecard/config.yaml":                               scorecard(),
	}
	for _, role := range config.roles {
		// The manager's own rights are in the ClusterServiceVersion.
		if !config.bound[role.Name] {
			files["manifests/"+role.Name+"_rbac.authorization.k8s.io_v1_clusterrole.yaml"] = role
		}
	}
	folder := filepath.Join(target, "bundle")
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	for name, content := range files {
		if err := write(filepath.Join(folder, name), content); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(target, "bundle.Dockerfile"), dockerfile(annotations()), 0o644); err != nil {
		return err
	}
	return writeCatalog(filepath.Join(target, catalogFolder), catalogOf(earlier, csv, o.bundleImage))
}

// configuration is what lies below config/.
type configuration struct {
	base        operatorsv1alpha1.ClusterServiceVersion
	description string
	icon        []byte
	crd         apiextensionsv1.CustomResourceDefinition
	samples     []unstructured.Unstructured // the first is the one that people start from
	images      map[string]string           // by the variables that replace them
	digests     map[string]string           // of images, as they are named in images, as far as somebody knows them
	deployment  appsv1.Deployment
	service     corev1.Service
	certificate corev1.Secret
	roles       []rbacv1.ClusterRole
	role        rbacv1.Role
	bound       map[string]bool // names of the ClusterRoles that the manager has everywhere
}

func read(folder string) (*configuration, error) {
	c := &configuration{bound: map[string]bool{}}
	description, err := os.ReadFile(filepath.Join(folder, "manifests", "description.md"))
	if err != nil {
		return nil, err
	}
	c.description = string(description)
	if c.icon, err = os.ReadFile(filepath.Join(folder, "manifests", "icon.svg")); err != nil {
		return nil, err
	}
	variables, err := os.ReadFile(filepath.Join(folder, "manifests", "images.yaml"))
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(variables, &c.images); err != nil {
		return nil, fmt.Errorf("reading images.yaml: %w", err)
	}
	files := []string{"crd/opendatahub.io_opendatahubs.yaml", "manifests/base.yaml", "samples/" + firstSample}
	for _, pattern := range []string{"samples/*.yaml", "manager/*.yaml", "rbac/*.yaml", "rbac/components/*.yaml"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range found {
			relative, err := filepath.Rel(folder, file)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(files, filepath.ToSlash(relative)) {
				files = append(files, filepath.ToSlash(relative))
			}
		}
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			return nil, err
		}
		for document := range bytes.SplitSeq(append([]byte("\n"), content...), []byte("\n---")) {
			if err := c.add(document); err != nil {
				return nil, fmt.Errorf("reading %s: %w", file, err)
			}
		}
	}
	return c, nil
}

func (c *configuration) add(document []byte) error {
	var object unstructured.Unstructured
	if err := yaml.Unmarshal(document, &object.Object); err != nil {
		return err
	}
	switch object.GetKind() {
	case "ClusterServiceVersion":
		return yaml.UnmarshalStrict(document, &c.base)
	case "CustomResourceDefinition":
		return yaml.UnmarshalStrict(document, &c.crd)
	case "OpenDataHub":
		c.samples = append(c.samples, object)
	case "Deployment":
		return yaml.UnmarshalStrict(document, &c.deployment)
	case "Service":
		if err := yaml.UnmarshalStrict(document, &c.service); err != nil {
			return err
		}
		c.service.Namespace = "" // OLM puts what a bundle holds into the operator's namespace, and refuses one that is named
	case "Secret":
		if err := yaml.UnmarshalStrict(document, &c.certificate); err != nil {
			return err
		}
		c.certificate.Namespace = "" // as the Service
	case "Role":
		return yaml.UnmarshalStrict(document, &c.role)
	case "ClusterRole":
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict(document, &role); err != nil {
			return err
		}
		c.roles = append(c.roles, role)
	case "ClusterRoleBinding":
		var binding rbacv1.ClusterRoleBinding
		if err := yaml.UnmarshalStrict(document, &binding); err != nil {
			return err
		}
		c.bound[binding.RoleRef.Name] = true
	}
	// OLM makes the others itself, or has its own.
	return nil
}

func (c *configuration) clusterServiceVersion(number semver.Version, image, mustGather string) (*operatorsv1alpha1.ClusterServiceVersion, error) {
	shown := make([]any, 0, len(c.samples))
	for _, sample := range c.samples {
		shown = append(shown, sample.Object)
	}
	examples, err := json.MarshalIndent(shown, "", "  ")
	if err != nil {
		return nil, err
	}
	initial, err := json.Marshal(c.samples[0].Object)
	if err != nil {
		return nil, err
	}

	csv := c.base.DeepCopy()
	csv.Name = packageName + ".v" + number.String()
	csv.Annotations["alm-examples"] = string(examples)
	csv.Annotations["operatorframework.io/initialization-resource"] = string(initial)
	csv.Annotations["containerImage"] = image
	csv.Spec.Version = version.OperatorVersion{Version: number}
	csv.Spec.Description = c.description
	csv.Spec.Icon = []operatorsv1alpha1.Icon{{Data: base64.StdEncoding.EncodeToString(c.icon), MediaType: "image/svg+xml"}}
	related, err := c.relatedImages(image, mustGather)
	if err != nil {
		return nil, err
	}
	csv.Spec.RelatedImages = related
	csv.Annotations["operators.openshift.io/must-gather-image"] = related[1].Image
	csv.Annotations["features.operators.openshift.io/disconnected"] = strconv.FormatBool(pinned(related))

	deployment := c.deployment.DeepCopy()
	// OLM names the ServiceAccount, and puts its own labels on the rest.
	container := &deployment.Spec.Template.Spec.Containers[0]
	container.Image = related[0].Image
	for i := range container.Env {
		if container.Env[i].Name == "OPERATOR_IMAGE" { // portals run from it
			container.Env[i].Value = related[0].Image
		}
	}
	container.Env = append(container.Env, variables(related)...)
	deployment.Spec.Template.Spec.Affinity = affinity(csv.Labels)
	strategy := &csv.Spec.InstallStrategy
	strategy.StrategyName = operatorsv1alpha1.InstallStrategyNameDeployment
	strategy.StrategySpec.DeploymentSpecs = []operatorsv1alpha1.StrategyDeploymentSpec{{
		Name: deployment.Name, Label: deployment.Labels, Spec: deployment.Spec,
	}}
	strategy.StrategySpec.Permissions = []operatorsv1alpha1.StrategyDeploymentPermissions{{
		ServiceAccountName: serviceAccount, Rules: c.role.Rules,
	}}
	var rules []rbacv1.PolicyRule
	for _, role := range c.roles {
		if c.bound[role.Name] {
			rules = append(rules, role.Rules...)
		}
	}
	strategy.StrategySpec.ClusterPermissions = []operatorsv1alpha1.StrategyDeploymentPermissions{{
		ServiceAccountName: serviceAccount, Rules: rules,
	}}

	schema := c.crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	owned := &csv.Spec.CustomResourceDefinitions.Owned[0]
	owned.Name = c.crd.Name
	owned.Kind = c.crd.Spec.Names.Kind
	owned.Version = c.crd.Spec.Versions[0].Name
	owned.Description = line(schema.Description)
	for _, field := range fields("", schema.Properties["spec"]) {
		owned.SpecDescriptors = append(owned.SpecDescriptors, operatorsv1alpha1.SpecDescriptor{
			Path: field.path, DisplayName: field.title(), Description: field.description(), XDescriptors: field.specHints(),
		})
	}
	for _, field := range fields("", schema.Properties["status"]) {
		owned.StatusDescriptors = append(owned.StatusDescriptors, operatorsv1alpha1.StatusDescriptor{
			Path: field.path, DisplayName: field.title(), Description: field.description(), XDescriptors: field.statusHints(),
		})
	}
	return csv, nil
}

// affinity keeps the operator off nodes for which there is no image of it: those that the labels of the catalogue do not name.
func affinity(labels map[string]string) *corev1.Affinity {
	var expressions []corev1.NodeSelectorRequirement
	for _, key := range []string{"arch", "os"} {
		var values []string
		for label := range labels {
			if value, ok := strings.CutPrefix(label, "operatorframework.io/"+key+"."); ok {
				values = append(values, value)
			}
		}
		slices.Sort(values)
		expressions = append(expressions, corev1.NodeSelectorRequirement{Key: "kubernetes.io/" + key, Operator: corev1.NodeSelectorOpIn, Values: values})
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: expressions}},
	}}}
}

func annotations() map[string]string {
	return map[string]string{
		"operators.operatorframework.io.bundle.mediatype.v1":       "registry+v1",
		"operators.operatorframework.io.bundle.manifests.v1":       "manifests/",
		"operators.operatorframework.io.bundle.metadata.v1":        "metadata/",
		"operators.operatorframework.io.bundle.package.v1":         packageName,
		"operators.operatorframework.io.bundle.channels.v1":        channel,
		"operators.operatorframework.io.bundle.channel.default.v1": channel,
		"operators.operatorframework.io.test.mediatype.v1":         "scorecard+v1",
		"operators.operatorframework.io.test.config.v1":            "tests/scorecard/",
		"com.redhat.openshift.versions":                            openShiftVersions,
	}
}

// scorecard is the configuration of the tests that Operator SDK brings.
func scorecard() any {
	const image = "quay.io/operator-framework/scorecard-test:v1.42.0"
	var tests []any
	for _, name := range []string{
		"basic-check-spec", "olm-bundle-validation", "olm-crds-have-validation", "olm-crds-have-resources",
		"olm-spec-descriptors", "olm-status-descriptors",
	} {
		suite, _, _ := strings.Cut(name, "-")
		tests = append(tests, map[string]any{
			"entrypoint": []string{"scorecard-test", name}, "image": image, "labels": map[string]string{"suite": suite, "test": name + "-test"},
		})
	}
	return map[string]any{
		"apiVersion": "scorecard.operatorframework.io/v1alpha3", "kind": "Configuration", "metadata": map[string]string{"name": "config"},
		"stages": []any{map[string]any{"parallel": true, "tests": tests}},
	}
}

// write leaves out fields that a type encodes although nobody set them.
func write(path string, content any) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	asJSON, err := json.Marshal(content)
	if err != nil {
		return err
	}
	var object map[string]any
	if err := json.Unmarshal(asJSON, &object); err != nil {
		return err
	}
	delete(object, "status")
	text, err := yaml.Marshal(clean(object))
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func clean(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, element := range value {
			if element == nil {
				delete(value, key)
				continue
			}
			value[key] = clean(element)
		}
	case []any:
		for i, element := range value {
			value[i] = clean(element)
		}
	}
	return value
}
