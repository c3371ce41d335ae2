package dependencies

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// A tree is YAML before it is decoded into types: maps, lists, strings, bools, json.Numbers and nulls. Overrides are merged
// as trees, because only there a field that says nothing differs from one that is empty.

// parse reads the one document of YAML that content holds into a tree. It is nil if there is nothing but comments.
func parse(content []byte) (any, error) {
	var tree any
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return tree, nil
		}
		if err != nil {
			return nil, err
		}
		encoded, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			text := strings.Join(strings.Fields(err.Error()), " ")
			return nil, errors.New("is not valid YAML: " + strings.TrimPrefix(text, "error converting YAML to JSON: "))
		}
		var next any
		if err := decodeJSON(encoded, &next); err != nil {
			return nil, err
		}
		if tree != nil && next != nil {
			return nil, errors.New("holds several documents, separated by ---; write one")
		}
		if next != nil {
			tree = next
		}
	}
}

// decodeJSON keeps numbers as they are written: Helm prints a million that became a float as 1e+06.
func decodeJSON(encoded []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// decode decodes a tree into what into points to, or says what does not fit.
func decode(place string, tree, into any) error {
	if found := misfits(place, tree, reflect.TypeOf(into).Elem()); len(found) > 0 {
		return errors.Join(found...)
	}
	encoded, err := json.Marshal(tree)
	if err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	if err := decodeJSON(encoded, into); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	return nil
}

// misfits lists everything in a tree that does not fit a type, each with its place and with what is allowed there. Nulls fit
// everywhere.
func misfits(place string, tree any, kind reflect.Type) []error {
	if tree == nil {
		return nil
	}
	switch kind.Kind() {
	case reflect.Pointer:
		return misfits(place, tree, kind.Elem())
	case reflect.Struct:
		return structMisfits(place, tree, kind)
	case reflect.Map:
		return mapMisfits(place, tree, kind)
	case reflect.Slice:
		return listMisfits(place, tree, kind)
	case reflect.String:
		if _, ok := tree.(string); !ok {
			return []error{misfit(place, tree, "a string; numbers and true take quotes")}
		}
	case reflect.Bool:
		if _, ok := tree.(bool); !ok {
			return []error{misfit(place, tree, "true or false")}
		}
	default: // values of charts may be anything
	}
	return nil
}

func structMisfits(place string, tree any, kind reflect.Type) []error {
	content, ok := tree.(map[string]any)
	if !ok {
		return []error{misfit(place, tree, "a map with the keys "+strings.Join(keysOf(kind), ", "))}
	}
	var found []error
	for _, key := range slices.Sorted(maps.Keys(content)) {
		if !slices.Contains(keysOf(kind), key) {
			found = append(found, fmt.Errorf("%s: there is no such field; use %s", join(place, key), strings.Join(keysOf(kind), ", ")))
		}
	}
	for field := range kind.Fields() {
		if value, ok := content[keyOf(field)]; ok {
			found = append(found, misfits(join(place, keyOf(field)), value, field.Type)...)
		}
	}
	return found
}

func mapMisfits(place string, tree any, kind reflect.Type) []error {
	content, ok := tree.(map[string]any)
	if !ok {
		return []error{misfit(place, tree, "a map")}
	}
	var found []error
	for _, key := range slices.Sorted(maps.Keys(content)) {
		found = append(found, misfits(join(place, key), content[key], kind.Elem())...)
	}
	return found
}

func listMisfits(place string, tree any, kind reflect.Type) []error {
	content, ok := tree.([]any)
	if !ok {
		return []error{misfit(place, tree, "a list")}
	}
	var found []error
	for i, element := range content {
		found = append(found, misfits(elementPlace(place, i, element), element, kind.Elem())...)
	}
	return found
}

func misfit(place string, tree any, allowed string) error {
	if place == "" {
		return fmt.Errorf("is %s; it must be %s", describe(tree), allowed)
	}
	return fmt.Errorf("%s: is %s; it must be %s", place, describe(tree), allowed)
}

func describe(tree any) string {
	switch tree := tree.(type) {
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		return "a string"
	default:
		return fmt.Sprintf("%v", tree)
	}
}

func join(place, key string) string {
	if place == "" {
		return key
	}
	return place + "." + key
}

// elementPlace names an element of a list as people do: operators[Strimzi] says more than operators[1].
func elementPlace(list string, i int, element any) string {
	content, _ := element.(map[string]any)
	for _, key := range []string{"release", "name"} {
		if name, ok := content[key].(string); ok && name != "" {
			return fmt.Sprintf("%s[%s]", list, name)
		}
	}
	return fmt.Sprintf("%s[%d]", list, i)
}

func keysOf(kind reflect.Type) []string {
	var keys []string
	for field := range kind.Fields() {
		keys = append(keys, keyOf(field))
	}
	return keys
}

func keyOf(field reflect.StructField) string {
	key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return key
}

// merge lays a map over another, key by key. A null takes away what is below. Where nothing is below, it stays in the values
// of charts, where it makes Helm take away the chart's own default.
func merge(below, above map[string]any, values bool) map[string]any {
	merged := maps.Clone(below)
	if merged == nil {
		merged = map[string]any{}
	}
	for key, value := range above {
		under, exists := merged[key]
		valueMap, isMap := value.(map[string]any)
		underMap, underIsMap := under.(map[string]any)
		switch {
		case value == nil && (exists || !values):
			delete(merged, key)
		case isMap && (underIsMap || !exists):
			merged[key] = merge(underMap, valueMap, values || key == "values")
		default:
			merged[key] = value
		}
	}
	return merged
}

// mergeNamed lays a list over another: elements of the same name are merged, others are added.
func mergeNamed(below, above []any, name string) []any {
	merged := slices.Clone(below)
	for _, element := range above {
		i := slices.IndexFunc(merged, func(other any) bool { return nameOf(other, name) == nameOf(element, name) })
		over, _ := element.(map[string]any)
		if i < 0 {
			merged = append(merged, merge(nil, over, false))
			continue
		}
		under, _ := merged[i].(map[string]any)
		merged[i] = merge(under, over, false)
	}
	return merged
}

func nameOf(element any, key string) string {
	content, _ := element.(map[string]any)
	name, _ := content[key].(string)
	return name
}
