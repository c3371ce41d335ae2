package v1alpha1_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/api/validation"
	"opendatahub.io/operator/test/invalid"
)

// Above this many bytes, kubectl apply without --server-side cannot store the definition in its annotation.
const annotationLimit = 256 << 10

func definition(t *testing.T) (crd *apiextensionsv1.CustomResourceDefinition, size int) {
	t.Helper()
	content, err := os.ReadFile("../../config/crd/opendatahub.io_opendatahubs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	crd = &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(content, crd); err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSON(content)
	if err != nil {
		t.Fatal(err)
	}
	return crd, len(asJSON)
}

func TestDefinitionFitsClientSideApply(t *testing.T) {
	if _, size := definition(t); size >= annotationLimit {
		t.Errorf("the CustomResourceDefinition has %d bytes; kubectl apply takes fewer than %d", size, annotationLimit)
	}
}

func TestEveryFieldIsDescribedAndBounded(t *testing.T) {
	crd, _ := definition(t)
	for _, version := range crd.Spec.Versions {
		root := version.Schema.OpenAPIV3Schema
		for _, name := range []string{"spec", "status"} {
			for _, problem := range problems(name, root.Properties[name], false) {
				t.Error(problem)
			}
		}
	}
}

// problems are the fields without a description or a bound, and the defaults where GitOps tools would see drift.
func problems(path string, schema apiextensionsv1.JSONSchemaProps, inList bool) (found []string) {
	field := path[strings.LastIndex(path, ".")+1:]
	if schema.Description == "" && !strings.HasSuffix(path, "[]") && !strings.HasSuffix(path, "{}") {
		found = append(found, path+" has no description")
	}
	if schema.Default != nil && inList {
		found = append(found, path+" has a default inside a list")
	}
	// Conditions are metav1.Condition, whose text is Kubernetes' own.
	if !strings.HasPrefix(path, "status.conditions[]") {
		if path != "spec" && path != "status" && !strings.HasSuffix(path, "]") && !strings.HasSuffix(path, "}") &&
			!startsWithName(schema.Description, field) {
			found = append(found, path+": the description starts with another word than "+field)
		}
		switch {
		case schema.XIntOrString && len(schema.XValidations) == 0:
			found = append(found, path+" is a quantity without bounds")
		case schema.Type == "string" && schema.MaxLength == nil && len(schema.Enum) == 0 && schema.Format != "date-time":
			found = append(found, path+" is a string without maxLength")
		case schema.Type == "array" && schema.MaxItems == nil:
			found = append(found, path+" is a list without maxItems")
		case schema.Type == "array" && schema.XListType == nil:
			found = append(found, path+" is a list without a list type")
		case schema.AdditionalProperties != nil && schema.MaxProperties == nil:
			found = append(found, path+" is a map without maxProperties")
		case schema.Type == "integer" && strings.HasPrefix(path, "spec.") && len(schema.Enum) == 0 &&
			(schema.Minimum == nil || schema.Maximum == nil):
			found = append(found, path+" is a number without minimum and maximum")
		}
		for _, rule := range schema.XValidations {
			if rule.Message == "" {
				found = append(found, path+": a rule has no message: "+rule.Rule)
			}
		}
	}
	for name, property := range schema.Properties {
		found = append(found, problems(path+"."+name, property, inList)...)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		found = append(found, problems(path+"[]", *schema.Items.Schema, true)...)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		found = append(found, problems(path+"{}", *schema.AdditionalProperties.Schema, true)...)
	}
	slices.Sort(found)
	return found
}

func startsWithName(description, field string) bool {
	rest, ok := strings.CutPrefix(description, field)
	return ok && (rest == "" || strings.ContainsAny(rest[:1], " ,:;.\n"))
}

func TestProblemsAreFound(t *testing.T) {
	for name, test := range map[string]struct {
		schema string
		want   []string
	}{
		"nothing wrong": {
			schema: `{description: a, type: object, properties: {b: {description: b is it, type: string, maxLength: 3}}}`,
		},
		"a string without a bound, undescribed": {
			schema: `{description: a, type: object, properties: {b: {type: string}}}`,
			want: []string{
				"spec.a.b has no description", "spec.a.b is a string without maxLength",
				"spec.a.b: the description starts with another word than b",
			},
		},
		"a default inside an unbounded list": {
			schema: `{description: a, type: array, items: {type: object, properties: {b: {description: b, type: boolean, default: true}}}}`,
			want:   []string{"spec.a is a list without maxItems", "spec.a[].b has a default inside a list"},
		},
		"an unbounded map": {
			schema: `{description: a, type: object, additionalProperties: {type: string, maxLength: 1}}`,
			want:   []string{"spec.a is a map without maxProperties"},
		},
		"a quantity without a rule":    {schema: `{description: a, x-kubernetes-int-or-string: true}`, want: []string{"spec.a is a quantity without bounds"}},
		"a number without its maximum": {schema: `{description: a, type: integer, minimum: 1}`, want: []string{"spec.a is a number without minimum and maximum"}},
		"a rule without a message":     {schema: `{description: a, type: object, x-kubernetes-validations: [{rule: "true"}]}`, want: []string{"spec.a: a rule has no message: true"}},
	} {
		t.Run(name, func(t *testing.T) {
			var schema apiextensionsv1.JSONSchemaProps
			if err := yaml.UnmarshalStrict([]byte(test.schema), &schema); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, problems("spec.a", schema, false)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInvalidResourcesAreRefused(t *testing.T) {
	cases, err := invalid.Cases()
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < 30 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, test := range cases {
		t.Run(test.Name, func(t *testing.T) {
			found := admit(t, test.Resource)
			if len(found) == 0 {
				t.Fatal("the resource is accepted")
			}
			for _, want := range test.Want {
				if !slices.ContainsFunc(found, func(problem string) bool { return strings.Contains(problem, want) }) {
					t.Errorf("no problem says %q:\n%s", want, strings.Join(found, "\n"))
				}
			}
			if unknown := slices.ContainsFunc(found, isUnknownField); unknown != test.Strict {
				t.Errorf("has unknown fields: %v, strict: %v", unknown, test.Strict)
			}
		})
	}
}

func isUnknownField(problem string) bool { return strings.HasPrefix(problem, "unknown field") }

func TestSamplesAreAccepted(t *testing.T) {
	for _, name := range []string{"opendatahub.yaml", "full.yaml"} {
		t.Run(name, func(t *testing.T) {
			sample := readSample(t, name)
			before := sample.DeepCopy()
			for _, problem := range admit(t, sample) {
				t.Error(problem)
			}

			// What a client reads and writes back must be what was stored.
			stored, err := json.Marshal(before.Object["spec"])
			if err != nil {
				t.Fatal(err)
			}
			var spec v1alpha1.OpenDataHubSpec
			decoder := json.NewDecoder(bytes.NewReader(stored))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&spec); err != nil {
				t.Fatal(err)
			}
			written, err := json.Marshal(spec)
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if err := json.Unmarshal(stored, &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(written, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after a round trip through the Go types (-stored +written):\n%s", diff)
			}
		})
	}
}

func TestFullSampleHasEveryField(t *testing.T) {
	crd, _ := definition(t)
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	sample := readSample(t, "full.yaml").Object["spec"].(map[string]any)
	components := sample["components"].(map[string]any)

	for _, name := range missing("spec", spec, sample) {
		// A component joins the sample with the code that deploys it.
		if component, ok := strings.CutPrefix(name, "spec.components."); ok && components[component] == nil && !strings.Contains(component, ".") {
			continue
		}
		if shownElsewhere(components, name) {
			continue
		}
		t.Errorf("full.yaml does not set %s", name)
	}
}

// shownElsewhere reports whether the field is one that all components have, and another component shows it.
func shownElsewhere(components map[string]any, name string) bool {
	common := reflect.TypeFor[v1alpha1.ComponentSpec]()
	for i := range common.NumField() {
		field, _, _ := strings.Cut(common.Field(i).Tag.Get("json"), ",")
		if !strings.HasSuffix(name, "."+field) {
			continue
		}
		for _, component := range components {
			if component, ok := component.(map[string]any); ok && component[field] != nil {
				return true
			}
		}
	}
	return false
}

// missing are the fields of the schema that the values do not have. A list has a field if any of its elements has it. Of unions,
// which cannot be complete, only the chosen member needs to be there.
func missing(path string, schema apiextensionsv1.JSONSchemaProps, values ...map[string]any) (names []string) {
	for name, property := range schema.Properties {
		var within []map[string]any
		has := false
		for _, value := range values {
			field, ok := value[name]
			has = has || ok
			switch field := field.(type) {
			case map[string]any:
				within = append(within, field)
			case []any:
				for _, element := range field {
					if element, ok := element.(map[string]any); ok {
						within = append(within, element)
					}
				}
			}
		}
		switch {
		case !has && unchosen[path+"."+name]:
		case !has:
			names = append(names, path+"."+name)
		case property.Items != nil && property.Items.Schema != nil:
			names = append(names, missing(path+"."+name+"[]", *property.Items.Schema, within...)...)
		case len(within) > 0:
			names = append(names, missing(path+"."+name, property, within...)...)
		}
	}
	slices.Sort(names)
	return names
}

// unchosen are members of unions of which full.yaml sets another member.
var unchosen = map[string]bool{
	"spec.components.jupyterHub.database.name":          true, // of type Platform
	"spec.components.mlflow.database.name":              true,
	"spec.ingress.gateway":                              true,
	"spec.components.ceph.external":                     true,
	"spec.components.ceph.objectStore.externalGateways": true,
	"spec.components.ceph.devices.filter":               true,
	"spec.components.ceph.devices.nodes":                true,
}

func readSample(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile("../../config/samples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(asJSON); err != nil {
		t.Fatal(err)
	}
	return object
}

func admit(t *testing.T, object *unstructured.Unstructured) (problems []string) {
	t.Helper()
	schema, err := validation.OpenDataHub()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range schema.Admit(object) {
		problems = append(problems, problem.Error())
	}
	return problems
}
