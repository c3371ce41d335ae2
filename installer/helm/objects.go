package helm

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"

	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

var crdKind = schema.GroupKind{Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition"}

func isCRD(object *unstructured.Unstructured) bool {
	return object.GroupVersionKind().GroupKind() == crdKind
}

// InstallOrder is the place of an object in the order in which Helm installs kinds. Kinds that Helm does not know come last.
func InstallOrder(object *unstructured.Unstructured) int {
	return place(releaseutil.InstallOrder, object)
}

// UninstallOrder is the place in the order in which Helm removes kinds. Kinds that Helm does not know come first: the operator
// may have to clean up after them.
func UninstallOrder(object *unstructured.Unstructured) int {
	if IsCustom(object) {
		return -1
	}
	return place(releaseutil.UninstallOrder, object)
}

// IsCustom is whether Helm does not know the kind of an object.
func IsCustom(object *unstructured.Unstructured) bool {
	return !slices.Contains(releaseutil.InstallOrder, object.GetKind())
}

func place(order releaseutil.KindSortOrder, object *unstructured.Unstructured) int {
	if n := slices.Index(order, object.GetKind()); n >= 0 {
		return n
	}
	return len(order)
}

// keepAnnotation says that an object stays when its chart goes.
const keepAnnotation = "helm.sh/resource-policy"

// IsKept is whether an object stays when its chart goes.
func IsKept(object *unstructured.Unstructured) bool {
	return object.GetAnnotations()[keepAnnotation] == "keep"
}

// clean takes out what no field manager can own: nulls, which server-side apply does not keep, a status, and values of Secrets that
// the API server turns into data.
func clean(object *unstructured.Unstructured) *unstructured.Unstructured {
	withoutNulls(object.Object)
	delete(object.Object, "status")
	text, ok := object.Object["stringData"].(map[string]any)
	if !ok || object.GetKind() != "Secret" {
		return object
	}
	for key, value := range text {
		// This fails only where data is not a map, which the API server refuses.
		_ = unstructured.SetNestedField(object.Object, base64.StdEncoding.EncodeToString(fmt.Append(nil, value)), "data", key)
	}
	delete(object.Object, "stringData")
	return object
}

func withoutNulls(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, field := range value {
			if field == nil {
				delete(value, key)
			}
			withoutNulls(field)
		}
	case []any:
		for _, item := range value {
			withoutNulls(item)
		}
	}
}

// decode reads the objects of a YAML stream, and those in its Lists.
func decode(stream io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	reader := utilyaml.NewYAMLReader(bufio.NewReader(stream))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading YAML: %w", err)
		}
		content, err := yaml.YAMLToJSON(document)
		if err != nil {
			return nil, fmt.Errorf("reading YAML: %w", err)
		}
		var tree any
		if err := utiljson.Unmarshal(content, &tree); err != nil {
			return nil, fmt.Errorf("reading YAML: %w", err)
		}
		if tree == nil {
			continue // a comment
		}
		if objects, err = flatten(objects, tree); err != nil {
			return nil, err
		}
	}
}

// flatten adds an object, or the items of a List.
func flatten(objects []*unstructured.Unstructured, tree any) ([]*unstructured.Unstructured, error) {
	root, ok := tree.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%.60q is not an object", fmt.Sprint(tree))
	}
	object := &unstructured.Unstructured{Object: root}
	items, isList := root["items"].([]any)
	switch {
	case object.GetKind() == "" || object.GetAPIVersion() == "":
		return nil, errors.New("an object has no apiVersion or no kind")
	case !isList || object.GetKind() != "List":
		return append(objects, object), nil
	}
	var err error
	for _, item := range items {
		if objects, err = flatten(objects, item); err != nil {
			return nil, err
		}
	}
	return objects, nil
}
