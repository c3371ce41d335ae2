package main

import (
	"encoding/json"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// Hints are what OpenShift's console knows to show a field with,
// https://github.com/openshift/console/blob/main/frontend/packages/operator-lifecycle-manager/src/components/descriptors/reference/reference.md.
const (
	hint           = "urn:alm:descriptor:com.tectonic.ui:"
	hintNumber     = hint + "number"
	hintSwitch     = hint + "booleanSwitch"
	hintText       = hint + "text"
	hintSelect     = hint + "select:"
	hintAdvanced   = hint + "advanced"
	hintSecret     = "urn:alm:descriptor:io.kubernetes:Secret"
	hintConditions = "urn:alm:descriptor:io.kubernetes.conditions"
)

// described is a field of the API.
type described struct {
	// path as descriptors have it: components.kafka.topics[0].name.
	path   string
	name   string
	parent string
	schema apiextensionsv1.JSONSchemaProps
}

// fields are all fields below a schema, each before those in it. Values of maps have no path.
func fields(path string, schema apiextensionsv1.JSONSchemaProps) []described {
	var names []string
	for name := range schema.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	parent := strings.TrimSuffix(path[strings.LastIndexByte(path, '.')+1:], "[0]")
	var found []described
	for _, name := range names {
		field := described{path: name, name: name, parent: parent, schema: schema.Properties[name]}
		if path != "" {
			field.path = path + "." + name
		}
		found = append(found, field)
		below, belowPath := field.schema, field.path
		for below.Items != nil && below.Items.Schema != nil {
			below, belowPath = *below.Items.Schema, belowPath+"[0]"
		}
		found = append(found, fields(belowPath, below)...)
	}
	return found
}

// description is the whole one where there is room: of the fields that one sees first. Of the others it is the first sentence.
func (d described) description() string {
	text := line(d.schema.Description)
	if !strings.Contains(d.path, ".") {
		return text
	}
	sentence, _, more := strings.Cut(text, ". ")
	if more {
		sentence += "."
	}
	return sentence
}

func (d described) specHints() []string {
	var hints []string
	switch {
	case len(d.schema.Enum) > 0:
		for _, value := range d.schema.Enum {
			var text string
			if json.Unmarshal(value.Raw, &text) == nil && text != "" {
				hints = append(hints, hintSelect+text)
			}
		}
	case d.schema.Type == "integer", d.schema.Type == "number":
		hints = append(hints, hintNumber)
	case d.schema.Type == "boolean":
		hints = append(hints, hintSwitch)
	case d.secret():
		hints = append(hints, hintSecret)
	case d.schema.Type == "string", d.schema.XIntOrString:
		hints = append(hints, hintText)
	}
	if slices.Contains([]string{"containerResources", "containerImages", "patches"}, d.name) {
		hints = append(hints, hintAdvanced)
	}
	return hints
}

func (d described) statusHints() []string {
	switch {
	case d.path == "conditions":
		return []string{hintConditions}
	case d.secret():
		return []string{hintSecret}
	case d.schema.Type == "string", d.schema.Type == "integer", d.schema.XIntOrString:
		return []string{hintText}
	}
	return nil
}

// secret is whether the field is the name of a Secret.
func (d described) secret() bool {
	if d.schema.Type != "string" {
		return false
	}
	return d.name == "name" && strings.HasSuffix(strings.ToLower(d.parent), "secretref")
}

func line(text string) string { return strings.ReplaceAll(text, "\n", " ") }

// title makes "Object Storage" of objectStorage.
func (d described) title() string {
	var words strings.Builder
	for i, r := range d.name {
		switch {
		case i == 0:
			words.WriteString(strings.ToUpper(string(r)))
		case r >= 'A' && r <= 'Z':
			words.WriteString(" " + string(r))
		default:
			words.WriteRune(r)
		}
	}
	return words.String()
}
