package components

import (
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// AnnotationSettings is on an object of a third-party operator that the cluster has one of, and that the installer wrote: which platform
// decided each field, as a JSON object of "namespace/name" by [Setting.Path].
const AnnotationSettings = "opendatahub.io/settings"

// Setting is a field of an object of which the cluster has one, for all platforms. The manager never writes it.
type Setting struct {
	// Field of the spec that asks for it, as in "spec.components.ceph.devices".
	Field string
	// Path of the field in the object: "spec.driver.version". No name in it has a dot.
	Path string
	// Value as JSON has it: bool, int64, string, []any or map[string]any.
	Value any
	// Default is what the field counts as while the object does not have it.
	Default any
}

// In is the value that the object has.
func (s Setting) In(object *unstructured.Unstructured) any {
	value, found, err := unstructured.NestedFieldNoCopy(object.Object, strings.Split(s.Path, ".")...)
	if !found || err != nil {
		return s.Default
	}
	return value
}

// Difference is a setting that the object has otherwise.
type Difference struct {
	Setting
	// Has is the value of the object.
	Has any
	// By is the platform that decided it, as "namespace/name". Empty: none did.
	By string
}

// Differences are the settings that the object has otherwise.
func Differences(object *unstructured.Unstructured, settings []Setting) []Difference {
	var differences []Difference
	by := DecidedBy(object)
	for _, setting := range settings {
		if has := setting.In(object); !equality.Semantic.DeepEqual(has, setting.Value) {
			differences = append(differences, Difference{Setting: setting, Has: has, By: by[setting.Path]})
		}
	}
	return differences
}

// DecidedBy is what AnnotationSettings says of an object. It is nil for objects that the installer did not write.
func DecidedBy(object *unstructured.Unstructured) map[string]string {
	var by map[string]string
	if text, ok := object.GetAnnotations()[AnnotationSettings]; ok {
		by = map[string]string{}
		_ = json.Unmarshal([]byte(text), &by) // what somebody else put there decides nothing
	}
	return by
}

// Fields are those of the spec that settings come from, each once.
func Fields(settings []Setting) []string {
	var fields []string
	for _, setting := range settings {
		if !slices.Contains(fields, setting.Field) {
			fields = append(fields, setting.Field)
		}
	}
	return fields
}

// WithSettings is a component whose spec has settings of objects of which the cluster has one. The installer writes them, from what all
// platforms ask for whose namespaces have the mark [LabelAllowNodes].
type WithSettings interface {
	// Settings are what a spec asks for. They follow from the spec alone.
	Settings(Facts) []Setting
	// Shared are the objects with the settings that count, by Setting.Path, in the order in which they are applied.
	Shared(settings map[string]any, cluster Cluster) []SharedObject
	// UsesResource is whether Pods that have a resource of that name depend on the objects, so that these stay as long as there are some.
	UsesResource(name string) bool
}

// SharedObject is an object of which the cluster has one.
type SharedObject struct {
	runtime.ApplyConfiguration
	// Dependency is the third-party operator that acts on it, by its name in the table.
	Dependency string
	// Only one object of its kind counts: if somebody else has made one, of whatever name, that is used as it is.
	Only bool
	// Laid is over the object of the same kind and name that the operator's chart brings; without such a chart it is not applied.
	Laid bool
}
