// Package images finds references of container images in what is rendered, and puts others in their places: digests for tags, or a
// registry within reach. It knows no component.
package images

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// reference is an image with its registry, wherever it is in a text: in an argument, in a file of a ConfigMap, in the value of a variable.
// What follows a slash is the path of an address.
var reference = regexp.MustCompile(`(^|[^A-Za-z0-9._/@:-])((?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?)`)

// isImage: without a tag or a digest it may be any path.
func isImage(text string) bool {
	_, path, _ := strings.Cut(text, "/")
	return strings.ContainsAny(path, ":@")
}

// Find returns the images in a text: with their registry, and with a tag or a digest.
func Find(text string) []string {
	var found []string
	for _, match := range reference.FindAllStringSubmatch(text, -1) {
		if isImage(match[2]) {
			found = append(found, match[2])
		}
	}
	return found
}

// Table says which images take the places of others. It is an administrator's.
type Table struct {
	// Images by what is rendered: "quay.io/jupyterhub/k8s-hub:4.3.2" to "registry.example.com/k8s-hub@sha256:…".
	Images map[string]string `json:"images,omitempty"`
	// Registries, with the beginning of a path or without, by how the rendered image begins: "quay.io" to "registry.example.com/quay".
	// The longest that fits counts, and Images come first.
	Registries map[string]string `json:"registries,omitempty"`
	// PullSecrets are the Secrets, in the namespace of each Pod, with the credentials of registries: every ServiceAccount has them, and so
	// have its Pods.
	PullSecrets []string `json:"pullSecrets,omitempty"`
	// Related are what the environment puts in the places of images that components choose, by those, see Related. They count as if they
	// were what is rendered, so Images and Registries come on top.
	Related map[string]string `json:"-"`
}

// ParseTable reads a table from YAML. All errors are reported.
func ParseTable(content []byte) (Table, error) {
	var table Table
	if err := yaml.UnmarshalStrict(content, &table); err != nil {
		return Table{}, err
	}
	var problems []error
	for from, to := range table.Images {
		for _, image := range []string{from, to} {
			if found := Find(image); len(found) != 1 || found[0] != image {
				problems = append(problems, fmt.Errorf("images: %q is no image with its registry and a tag or a digest", image))
			}
		}
	}
	for from, to := range table.Registries {
		for _, registry := range []string{from, to} {
			if probe := registry + "/image:tag"; !slices.Equal(Find(probe), []string{probe}) {
				problems = append(problems, fmt.Errorf("registries: %q is no registry, such as quay.io or registry.example.com:5000/mirror", registry))
			}
		}
	}
	for _, name := range table.PullSecrets {
		if wrong := validation.IsDNS1123Subdomain(name); len(wrong) > 0 {
			problems = append(problems, fmt.Errorf("pullSecrets: %q is no name of a Secret: %s", name, strings.Join(wrong, "; ")))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return table, errors.Join(problems...)
}

// VariablePrefix begins the variables that the Operator Lifecycle Manager's tools know to hold images: RELATED_IMAGE_CEPH.
const VariablePrefix = "RELATED_IMAGE_"

// Related reads from an environment, as os.Environ has it, what takes the places of images by their names: Table.Related. Variables of
// names that nothing has are returned as unknown: another version may have had them. All errors are reported.
func Related(environment []string, names map[string]string) (related map[string]string, unknown []string, err error) {
	related = map[string]string{}
	var problems []error
	for _, variable := range environment {
		key, value, _ := strings.Cut(variable, "=")
		name, ok := strings.CutPrefix(key, VariablePrefix)
		if !ok || value == "" {
			continue
		}
		image, known := names[name]
		switch found := Find(value); {
		case !known:
			unknown = append(unknown, key)
		case len(found) != 1 || found[0] != value:
			problems = append(problems, fmt.Errorf("%s: %q is no image with its registry and a tag or a digest", key, value))
		case value != image:
			related[image] = value
		}
	}
	slices.Sort(unknown)
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return related, unknown, errors.Join(problems...)
}

// Empty is whether nothing is replaced.
func (t Table) Empty() bool {
	return len(t.Images) == 0 && len(t.Registries) == 0 && len(t.PullSecrets) == 0 && len(t.Related) == 0
}

// Image is what takes the place of an image.
func (t Table) Image(image string) string {
	if replaced, ok := t.Images[image]; ok {
		return replaced
	}
	if related, ok := t.Related[image]; ok {
		image = related
		if replaced, ok := t.Images[image]; ok {
			return replaced
		}
	}
	longest := ""
	for registry := range t.Registries {
		if strings.HasPrefix(image, registry+"/") && len(registry) > len(longest) {
			longest = registry
		}
	}
	return cmp.Or(t.Registries[longest], longest) + strings.TrimPrefix(image, longest)
}

// AddPullSecrets gives an object, as JSON decodes it, the Secrets with the credentials of registries if it is a ServiceAccount. Those that
// it has come first.
func (t Table) AddPullSecrets(object map[string]any) {
	if object["kind"] != "ServiceAccount" || object["apiVersion"] != "v1" {
		return
	}
	secrets, _ := object["imagePullSecrets"].([]any)
	for _, name := range t.PullSecrets {
		if !slices.ContainsFunc(secrets, func(secret any) bool {
			named, _ := secret.(map[string]any)
			return named["name"] == name
		}) {
			secrets = append(secrets, map[string]any{"name": name})
		}
	}
	if len(secrets) > 0 {
		object["imagePullSecrets"] = secrets
	}
}

// Replace returns the value with all images in its texts replaced: a map as JSON decodes it, which is changed.
func (t Table) Replace(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			value[key] = t.Replace(below)
		}
	case []any:
		for i, below := range value {
			value[i] = t.Replace(below)
		}
	case string:
		return replace(value, t.Image)
	}
	return value
}

// replace puts what image returns in the place of each image in a text.
func replace(text string, image func(string) string) string {
	return reference.ReplaceAllStringFunc(text, func(match string) string {
		parts := reference.FindStringSubmatch(match)
		if !isImage(parts[2]) {
			return match
		}
		return parts[1] + image(parts[2])
	})
}
