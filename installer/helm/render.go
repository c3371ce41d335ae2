package helm

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/dependencies"
)

// sourceAnnotation is where Helm keeps the name of the template while a post-renderer has the objects.
const sourceAnnotation = "postrenderer.helm.sh/postrender-filename"

// postRenderer stands between the rendering of a chart and Helm's work with the objects. What it writes to the cluster
// is there before Helm looks for it.
type postRenderer struct{ session *session }

// Run implements postrenderer.PostRenderer.
func (r postRenderer) Run(rendered *bytes.Buffer) (*bytes.Buffer, error) {
	objects, err := decode(rendered)
	if err != nil {
		return nil, err
	}
	output, definitions, err := sift(objects, r.session.id)
	if err != nil {
		return nil, err
	}
	if err := r.session.namespace(); err != nil {
		return nil, err
	}
	return output, r.session.define(definitions)
}

// sift takes the CustomResourceDefinitions out of the objects, and labels the others.
func sift(objects []*unstructured.Unstructured, id string) (others *bytes.Buffer, definitions []*unstructured.Unstructured, err error) {
	others = &bytes.Buffer{}
	for _, object := range objects {
		if isDefinition(object) {
			unstructured.RemoveNestedField(object.Object, "metadata", "annotations", sourceAnnotation)
			definitions = append(definitions, object)
			continue
		}
		setLabel(object, id)
		content, err := yaml.Marshal(object.Object)
		if err != nil {
			return nil, nil, fmt.Errorf("writing %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		others.WriteString("---\n")
		others.Write(content)
	}
	return others, definitions, nil
}

// setLabel says which operator an object belongs to, and the Pods that it makes. The health of an operator is read from both.
func setLabel(object *unstructured.Unstructured, id string) {
	label(object.Object, id)
	if template, ok, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "template"); ok && workloads[object.GetKind()] {
		if template, ok := template.(map[string]any); ok {
			label(template, id)
		}
	}
}

var workloads = map[string]bool{"Deployment": true, "DaemonSet": true, "StatefulSet": true, "ReplicaSet": true, "Job": true}

// label sets the label and leaves the others as the chart has them, even if they are not what they should be.
func label(object map[string]any, id string) {
	metadata := child(object, "metadata")
	child(metadata, "labels")[dependencies.Label] = id
}

func child(parent map[string]any, key string) map[string]any {
	value, ok := parent[key].(map[string]any)
	if !ok {
		value = map[string]any{}
		parent[key] = value
	}
	return value
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
		root, ok := tree.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%.60q is not an object", document)
		}
		if objects, err = flatten(objects, root, ""); err != nil {
			return nil, err
		}
	}
}

// flatten adds an object, or the items of a List. source is the template of a List.
func flatten(objects []*unstructured.Unstructured, root map[string]any, source string) ([]*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{Object: root}
	source = cmp.Or(object.GetAnnotations()[sourceAnnotation], source)
	items, isList := root["items"].([]any)
	switch {
	case object.GetKind() == "" || object.GetAPIVersion() == "":
		return nil, fmt.Errorf("template %s: an object has no apiVersion or no kind", source)
	case !isList || object.GetKind() != "List":
		if source != "" {
			child(child(root, "metadata"), "annotations")[sourceAnnotation] = source
		}
		return append(objects, object), nil
	}
	for _, item := range items {
		item, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("template %s: an item of a List is not an object", source)
		}
		var err error
		if objects, err = flatten(objects, item, source); err != nil {
			return nil, err
		}
	}
	return objects, nil
}
