package dependencies

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
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
func decode(at *field.Path, tree, into any) error {
	if found := misfits(at, tree, reflect.TypeOf(into).Elem()); len(found) > 0 {
		return lines(found)
	}
	encoded, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	return decodeJSON(encoded, into)
}

// misfits lists everything in a tree that does not fit a type. Nulls fit everywhere.
func misfits(at *field.Path, tree any, kind reflect.Type) (found field.ErrorList) {
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	// The value is left out: it may be what a chart is to keep secret.
	wrong := func(fits bool, allowed string) field.ErrorList {
		if fits || tree == nil {
			return found
		}
		if at == nil {
			at = field.NewPath(ConfigKey)
		}
		return field.ErrorList{field.Invalid(at, field.OmitValueType{}, "must be "+allowed)}
	}
	content, isMap := tree.(map[string]any)
	switch kind.Kind() {
	case reflect.Struct:
		types, keys := fieldsOf(kind)
		for _, key := range slices.Sorted(maps.Keys(content)) {
			if inner, ok := types[key]; ok {
				found = append(found, misfits(at.Child(key), content[key], inner)...)
			} else {
				found = append(found, field.Forbidden(at.Child(key), "there is no such field; use "+strings.Join(keys, ", ")))
			}
		}
		return wrong(isMap, "a map with the keys "+strings.Join(keys, ", "))
	case reflect.Map:
		for _, key := range slices.Sorted(maps.Keys(content)) {
			found = append(found, misfits(at.Child(key), content[key], kind.Elem())...)
		}
		return wrong(isMap, "a map")
	case reflect.Slice:
		list, isList := tree.([]any)
		for i, inner := range list {
			found = append(found, misfits(element(at, i, cmp.Or(nameOf(inner, "release"), nameOf(inner, "name"))), inner, kind.Elem())...)
		}
		return wrong(isList, "a list")
	case reflect.String:
		_, isString := tree.(string)
		return wrong(isString, "a string; numbers and true take quotes")
	case reflect.Bool:
		_, isBool := tree.(bool)
		return wrong(isBool, "true or false")
	default: // values of charts may be anything
		return nil
	}
}

// fieldsOf are the types of the fields of a struct by their keys, and the keys in their order.
func fieldsOf(kind reflect.Type) (types map[string]reflect.Type, keys []string) {
	types = map[string]reflect.Type{}
	for f := range kind.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		types[key], keys = f.Type, append(keys, key)
	}
	return types, keys
}

// element names an element of a list as people do: operators[Strimzi] says more than operators[1].
func element(list *field.Path, i int, name string) *field.Path {
	if name == "" {
		return list.Index(i)
	}
	return list.Key(name)
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
		if i < 0 {
			i, merged = len(merged), append(merged, nil)
		}
		under, _ := merged[i].(map[string]any)
		over, _ := element.(map[string]any)
		merged[i] = merge(under, over, false)
	}
	return merged
}

func nameOf(element any, key string) string {
	content, _ := element.(map[string]any)
	name, _ := content[key].(string)
	return name
}
