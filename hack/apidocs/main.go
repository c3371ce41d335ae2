// Apidocs prints the reference of a CustomResourceDefinition as Markdown: one section per object, one row per field, with
// what the schema allows.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apidocs CRD.yaml")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "apidocs:", err)
		os.Exit(1)
	}
}

func run(path string, out io.Writer) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(content, &crd); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	buffered := bufio.NewWriter(out)
	page := printer{out: buffered}
	for _, version := range crd.Spec.Versions {
		page.print("# %s, %s/%s\n\n", crd.Spec.Names.Kind, crd.Spec.Group, version.Name)
		page.print("<!-- Generated from the CustomResourceDefinition. Do not edit: make generate. -->\n\n")
		page.print("%s\n\n", version.Schema.OpenAPIV3Schema.Description)
		page.print("`kubectl explain %s.spec` shows the same. Bold fields are required.\n", crd.Spec.Names.Plural)
		for _, name := range []string{"spec", "status"} {
			page.object(name, version.Schema.OpenAPIV3Schema.Properties[name])
		}
	}
	return buffered.Flush()
}

type printer struct{ out io.Writer }

// print ignores errors: a bufio.Writer keeps the first one for Flush.
func (p printer) print(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format, args...) }

// object prints the section of an object and then those of the objects within.
func (p printer) object(path string, schema apiextensionsv1.JSONSchemaProps) {
	p.print("\n## %s\n\n", path)
	if schema.Description != "" {
		p.print("%s\n\n", schema.Description)
	}
	p.print("| field | type | meaning |\n|---|---|---|\n")
	names := names(schema)
	for _, name := range names {
		field := schema.Properties[name]
		shown := "`" + name + "`"
		if slices.Contains(schema.Required, name) {
			shown = "**" + shown + "**"
		}
		p.print("| %s | %s | %s |\n", shown, cell(typeOf(path+"."+name, field)), cell(meaning(field)))
	}
	for i, rule := range schema.XValidations {
		if i == 0 {
			p.print("\nRules:\n\n")
		}
		p.print("* %s\n", rule.Message)
	}
	for _, name := range names {
		if within, suffix := inner(schema.Properties[name]); within != nil {
			p.object(path+"."+name+suffix, *within)
		}
	}
}

// inner is the object, if any, that a field or the elements of a list or map are made of.
func inner(field apiextensionsv1.JSONSchemaProps) (schema *apiextensionsv1.JSONSchemaProps, suffix string) {
	switch {
	case len(field.Properties) > 0:
		return &field, ""
	case field.Items != nil && field.Items.Schema != nil && len(field.Items.Schema.Properties) > 0:
		return field.Items.Schema, "[]"
	default:
		return nil, ""
	}
}

func typeOf(path string, field apiextensionsv1.JSONSchemaProps) string {
	switch within, suffix := inner(field); {
	case within != nil:
		text := "object"
		if suffix != "" {
			text = "list of objects"
		}
		return fmt.Sprintf("[%s](#%s)", text, anchor(path+suffix))
	case field.XIntOrString:
		return "quantity"
	case field.Items != nil && field.Items.Schema != nil:
		return "list of " + typeOf(path, *field.Items.Schema) + "s"
	case field.AdditionalProperties != nil:
		return "map of strings"
	case len(field.Enum) > 0:
		values := make([]string, 0, len(field.Enum))
		for _, value := range field.Enum {
			values = append(values, "`"+strings.Trim(string(value.Raw), `"`)+"`")
		}
		return strings.Join(values, ", ")
	case field.Format == "date-time":
		return "time"
	default:
		return field.Type
	}
}

// meaning is the description with the default and the bounds. Names have patterns that tell nobody anything, so
// patterns are left to the error message.
func meaning(field apiextensionsv1.JSONSchemaProps) string {
	parts := []string{strings.TrimRight(field.Description, ".") + "."}
	if field.Default != nil && len(field.Properties) == 0 {
		parts = append(parts, "Default: `"+strings.Trim(string(field.Default.Raw), `"`)+"`.")
	}
	switch {
	case field.Minimum != nil && field.Maximum != nil:
		parts = append(parts, fmt.Sprintf("Between %v and %v.", int64(*field.Minimum), int64(*field.Maximum)))
	case field.Minimum != nil:
		parts = append(parts, fmt.Sprintf("At least %v.", int64(*field.Minimum)))
	}
	if field.MaxLength != nil && len(field.Enum) == 0 {
		parts = append(parts, fmt.Sprintf("At most %d characters.", *field.MaxLength))
	}
	if field.MaxItems != nil {
		parts = append(parts, fmt.Sprintf("At most %d.", *field.MaxItems))
	}
	if len(field.Properties) == 0 {
		for _, rule := range field.XValidations {
			parts = append(parts, strings.ToUpper(rule.Message[:1])+rule.Message[1:]+".")
		}
	}
	return strings.Join(parts, " ")
}

func names(schema apiextensionsv1.JSONSchemaProps) []string {
	names := make([]string, 0, len(schema.Properties))
	for name := range schema.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// anchor is the id that Markdown viewers give to a heading.
func anchor(heading string) string {
	return strings.ToLower(strings.NewReplacer(".", "", "[", "", "]", "").Replace(heading))
}

// cell keeps a text on one line and escapes its bars.
func cell(text string) string {
	return strings.NewReplacer("\n", " ", "|", `\|`).Replace(text)
}
