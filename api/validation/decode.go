package validation

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/config/crd"
)

// kind of the resource.
const kind = "OpenDataHub"

// OpenDataHub is the schema of the OpenDataHub resource, compiled once.
var OpenDataHub = sync.OnceValues(func() (*Schema, error) {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(crd.OpenDataHub, definition); err != nil {
		return nil, fmt.Errorf("reading the CustomResourceDefinition of OpenDataHub: %w", err)
	}
	for _, version := range definition.Spec.Versions {
		if version.Name == v1alpha1.GroupVersion.Version {
			return Compile(version.Schema.OpenAPIV3Schema)
		}
	}
	return nil, fmt.Errorf("the CustomResourceDefinition of OpenDataHub lacks version %s", v1alpha1.GroupVersion.Version)
})

// Decode reads the OpenDataHubs of a stream of YAML or JSON documents, and of the Lists in it, as an API server would
// store them: unknown and repeated keys are errors, the defaults of the schema are filled in, all checks of the schema apply.
// Other kinds are passed over. An OpenDataHub without a namespace gets the given one; what status it has is dropped.
//
// The error tells everything that is wrong, a line each, and in which document. A stream without any OpenDataHub is an error.
func Decode(r io.Reader, namespace string) ([]*v1alpha1.OpenDataHub, error) {
	var hubs []*v1alpha1.OpenDataHub
	var problems []error
	documents := utilyaml.NewYAMLReader(bufio.NewReader(r))
	for number := 1; ; number++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", number, err)
		}
		found, errs := decodeDocument(document, namespace)
		for _, err := range errs {
			problems = append(problems, fmt.Errorf("document %d: %w", number, err))
		}
		hubs = append(hubs, found...)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if len(hubs) == 0 {
		return nil, fmt.Errorf("there is no %s of %s in it", kind, v1alpha1.GroupVersion)
	}
	return hubs, nil
}

func decodeDocument(document []byte, namespace string) ([]*v1alpha1.OpenDataHub, []error) {
	// Strict: a key that is given twice is an error.
	content, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, []error{errors.New(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "))}
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(content, &map[string]any{}); err != nil {
		return nil, []error{errors.New("this is not an object")}
	}
	if string(content) == "null" {
		return nil, nil // a document of comments
	}
	var meta metav1.TypeMeta
	if err := json.Unmarshal(content, &meta); err != nil || meta.Kind == "" {
		return nil, []error{errors.New("this is not a Kubernetes object: it has no kind")}
	}
	if err := object.UnmarshalJSON(content); err != nil {
		return nil, []error{err}
	}
	objects := []unstructured.Unstructured{*object}
	if object.IsList() {
		list, err := object.ToList()
		if err != nil {
			return nil, []error{err}
		}
		objects = list.Items
	}
	var hubs []*v1alpha1.OpenDataHub
	var problems []error
	for i := range objects {
		if objects[i].GroupVersionKind().Group != v1alpha1.GroupVersion.Group || objects[i].GetKind() != kind {
			continue
		}
		hub, errs := decodeObject(&objects[i], namespace)
		for _, err := range errs {
			problems = append(problems, fmt.Errorf("%s %s: %w", kind, objects[i].GetName(), err))
		}
		if hub != nil {
			hubs = append(hubs, hub)
		}
	}
	return hubs, problems
}

func decodeObject(object *unstructured.Unstructured, namespace string) (*v1alpha1.OpenDataHub, []error) {
	if version := object.GetAPIVersion(); version != v1alpha1.GroupVersion.String() {
		return nil, []error{fmt.Errorf("apiVersion: %s is not known, use %s", version, v1alpha1.GroupVersion)}
	}
	schema, err := OpenDataHub()
	if err != nil {
		return nil, []error{err}
	}
	delete(object.Object, "status") // as on creation
	problems := schema.Admit(object)
	if object.GetNamespace() == "" {
		object.SetNamespace(namespace)
	}
	problems = slices.Concat(validateMeta(object), problems)
	if len(problems) > 0 {
		return nil, problems
	}
	content, err := object.MarshalJSON()
	if err != nil {
		return nil, []error{err}
	}
	hub := &v1alpha1.OpenDataHub{}
	if err := json.Unmarshal(content, hub); err != nil {
		return nil, []error{err}
	}
	return hub, nil
}

func validateMeta(object *unstructured.Unstructured) []error {
	if object.GetName() == "" {
		return []error{field.Required(field.NewPath("metadata", "name"), "names of all objects derive from it")}
	}
	return plain(apivalidation.ValidateObjectMetaAccessor(object, true, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata")))
}
