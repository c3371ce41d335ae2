// Package invalid holds resources that the API server must refuse, one a file, each with what the refusal must say. A file
// starts with comments: "# want: text", as often as needed, and "# strict: true" if it takes strict field validation
// (kubectl's default) to refuse it.
package invalid

import (
	"embed"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

//go:embed *.yaml
var files embed.FS

// Case is a resource that must be refused.
type Case struct {
	// Name of the file, without its ending.
	Name string
	// Want are the texts that the message must hold, at least one.
	Want []string
	// Strict says whether only strict field validation refuses the resource; otherwise unknown fields are dropped.
	Strict bool
	// Resource is the OpenDataHub, in the namespace default.
	Resource *unstructured.Unstructured
}

// Cases reads all of them, in the order of their names.
func Cases() ([]Case, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	cases := make([]Case, 0, len(entries))
	for _, entry := range entries {
		content, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		c, err := parse(string(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		c.Name = strings.TrimSuffix(entry.Name(), ".yaml")
		cases = append(cases, c)
	}
	return cases, nil
}

func parse(content string) (Case, error) {
	c := Case{Resource: &unstructured.Unstructured{}}
	for line := range strings.Lines(content) {
		comment, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		key, value, _ := strings.Cut(strings.TrimSpace(comment), ": ")
		switch key {
		case "want":
			c.Want = append(c.Want, value)
		case "strict":
			c.Strict = value == "true"
		default:
			return c, fmt.Errorf("%q is neither want nor strict", key)
		}
	}
	if len(c.Want) == 0 {
		return c, fmt.Errorf("no comment says what the refusal must say, as in # want: text")
	}
	json, err := yaml.YAMLToJSONStrict([]byte(content))
	if err != nil {
		return c, err
	}
	return c, c.Resource.UnmarshalJSON(json)
}
