package cluster

import (
	"errors"
	"io"
	"iter"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Objects are those of a text in YAML or JSON, in their order; documents without any are left out. An error is the last that comes.
func Objects(text io.Reader) iter.Seq2[*unstructured.Unstructured, error] {
	return func(yield func(*unstructured.Unstructured, error) bool) {
		for decoder := yaml.NewYAMLOrJSONDecoder(text, 4096); ; {
			object := &unstructured.Unstructured{}
			err := decoder.Decode(&object.Object)
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(nil, err)
				return
			case len(object.Object) > 0 && !yield(object, nil):
				return
			}
		}
	}
}
