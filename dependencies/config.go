package dependencies

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"opendatahub.io/operator/api/v1alpha1"
)

const (
	// ConfigName is the ConfigMap, beside the installer, in which administrators change what it does. It may be absent.
	ConfigName = "opendatahub-installer"
	// ConfigKey is the only key of its data.
	ConfigKey = "installer.yaml"
)

// Config is what the installer does.
type Config struct {
	// DeletionPolicy is Delete if a dependency that the installer installed is removed when no platform needs it. Default: Retain.
	DeletionPolicy v1alpha1.DeletionPolicy
	// Table with all overrides. It is for both kinds of cluster, see For.
	Table Table
}

// configYAML is the configuration as people write it.
type configYAML struct {
	DeletionPolicy v1alpha1.DeletionPolicy `json:"deletionPolicy,omitempty"`
	// Mirror has all charts of the table that are not overridden, by their names.
	Mirror string `json:"mirror,omitempty"`
	// PlainHTTP talks to the mirror without TLS.
	PlainHTTP bool `json:"plainHTTP,omitempty"`
	// Operators are laid over those of the table.
	Operators []Dependency `json:"operators,omitempty"`
}

// ParseConfig reads the data of the ConfigMap. Without data everything is as Default has it. The error tells everything that
// is wrong, a line each, with its place and with what is allowed there.
func ParseConfig(data map[string]string) (Config, error) {
	var found problems
	for _, key := range slices.Sorted(maps.Keys(data)) {
		oneOf(&found, field.NewPath("data"), key, ConfigKey)
	}
	tree, err := parse([]byte(data[ConfigKey]))
	if err != nil {
		return Config{}, errors.Join(lines(field.ErrorList(found)), fmt.Errorf("%s: %w", ConfigKey, err))
	}
	var written configYAML
	if err := decode(nil, tree, &written); err != nil {
		return Config{}, errors.Join(lines(field.ErrorList(found)), err)
	}
	config := Config{DeletionPolicy: cmp.Or(written.DeletionPolicy, v1alpha1.DeletionPolicyRetain)}
	oneOf(&found, field.NewPath("deletionPolicy"), config.DeletionPolicy, v1alpha1.DeletionPolicyRetain, v1alpha1.DeletionPolicyDelete)
	overrides := found.overrides(tree)
	found.mirror(written)
	if len(found) > 0 {
		return Config{}, lines(field.ErrorList(found))
	}
	if config.Table, err = decodeTable(laidOver(defaultTree(), overrides)); err != nil {
		return Config{}, err
	}
	if written.Mirror != "" {
		written.useMirror(config.Table, overrides)
	}
	if err := config.Table.Validate(); err != nil {
		return Config{}, err
	}
	return config, nil
}

// overrides are the trees of dependencies, by their names.
func (p *problems) overrides(tree any) map[string]map[string]any {
	content, _ := tree.(map[string]any)
	list, _ := content["operators"].([]any)
	overrides := map[string]map[string]any{}
	known := Default().Names()
	for i, element := range list {
		override, _ := element.(map[string]any)
		name := nameOf(element, "name")
		if oneOf(p, field.NewPath("operators").Index(i).Child("name"), name, known...); slices.Contains(known, name) {
			overrides[name] = override
		}
	}
	unique(p, field.NewPath("operators"), list, func(element any) string { return nameOf(element, "name") })
	return overrides
}

// laidOver is the tree of the table with the overrides.
func laidOver(table any, overrides map[string]map[string]any) any {
	list, _ := table.([]any)
	merged := make([]any, 0, len(list))
	for _, element := range list {
		dependency, _ := element.(map[string]any)
		merged = append(merged, mergeDependency(dependency, overrides[nameOf(element, "name")]))
	}
	return merged
}

// mergeDependency lays an override over a dependency by field, where packages and charts merge by their names.
func mergeDependency(dependency, override map[string]any) map[string]any {
	merged := merge(dependency, override, false)
	for field, name := range map[string]string{"packages": "name", "charts": "release"} {
		if above, ok := override[field].([]any); ok {
			below, _ := dependency[field].([]any)
			merged[field] = mergeNamed(below, above, name)
		}
	}
	return merged
}

func (p *problems) mirror(written configYAML) {
	mirror := Chart{Chart: strings.TrimSuffix(written.Mirror, "/"), PlainHTTP: written.PlainHTTP}
	p.not(written.Mirror == "" && written.PlainHTTP, field.NewPath("plainHTTP"), "is for the mirror, and there is none; set it with the chart of an operator")
	local := mirror.kind() == localChart && !written.PlainHTTP
	p.rule(written.Mirror == "" || local || hostKind(mirror) != unknownChart, field.NewPath("mirror"), shown(written.Mirror),
		"must be oci://HOST/PATH, https://HOST/PATH or the absolute path of a folder; oci:// or http:// when plainHTTP is set")
}

// hostKind is the form of a mirror, which may be a host without a path.
func hostKind(mirror Chart) chartKind {
	mirror.Chart += "/chart"
	if strings.HasPrefix(mirror.Chart, "https://") && mirror.PlainHTTP {
		return unknownChart
	}
	return urlKind(mirror.Chart, mirror.PlainHTTP)
}

// useMirror takes charts from the mirror, except for those that an override says the place of.
func (c configYAML) useMirror(table Table, overrides map[string]map[string]any) {
	for _, dependency := range table {
		for i, chart := range dependency.Charts {
			if !namesChart(overrides[dependency.Name], chart.Release) {
				dependency.Charts[i].Chart = mirrored(c.Mirror, chart)
				dependency.Charts[i].PlainHTTP = c.PlainHTTP
			}
		}
	}
}

func namesChart(override map[string]any, release string) bool {
	charts, _ := override["charts"].([]any)
	return slices.ContainsFunc(charts, func(element any) bool {
		content, _ := element.(map[string]any)
		return nameOf(element, "release") == release && content["chart"] != nil
	})
}

// mirrored is where a mirror has a chart. A folder holds archives, as helm pull writes them.
func mirrored(mirror string, chart Chart) string {
	name := path.Base(chart.Chart)
	if strings.HasPrefix(mirror, "/") {
		return path.Join(mirror, name+"-"+chart.Version+".tgz")
	}
	return strings.TrimSuffix(mirror, "/") + "/" + name
}
