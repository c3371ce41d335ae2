// Package portal serves the platform's page: what a platform consists of, how it is, and how people begin to use it. It reads one
// OpenDataHub and knows no component; what it says of them is in the guides that they declare.
package portal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/yaml"
)

// Guide is what a component tells people who begin to use it: a file guide.yaml in the component's folder.
type Guide struct {
	// Title is what people call it: "Notebooks".
	Title string `json:"title"`
	// Summary is a sentence about what it is for.
	Summary string `json:"summary"`
	// Open is the text of the link to the component's web interface, its endpoint web. Empty: it has none.
	Open string `json:"open,omitempty"`
	// Steps are what to do first.
	Steps []Step `json:"steps,omitempty"`
}

// Step is something to do, with the code to copy if there is some.
type Step struct {
	Text string `json:"text"`
	Code string `json:"code,omitempty"`
}

// ReadGuides reads the guides of a folder, one <component>.yaml each, and returns them by component. Unknown fields and guides
// without a title or a summary are errors.
func ReadGuides(folder fs.FS) (map[string]Guide, error) {
	files, err := fs.Glob(folder, "*.yaml")
	if err != nil {
		return nil, err
	}
	guides := make(map[string]Guide, len(files))
	for _, file := range files {
		content, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		guide, err := ParseGuide(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		guides[strings.TrimSuffix(path.Base(file), ".yaml")] = guide
	}
	return guides, nil
}

// ParseGuide reads one guide.
func ParseGuide(content []byte) (Guide, error) {
	var guide Guide
	if err := yaml.UnmarshalStrict(content, &guide); err != nil {
		return Guide{}, err
	}
	if guide.Title == "" || guide.Summary == "" {
		return Guide{}, errors.New("a guide needs a title and a summary")
	}
	for i, step := range guide.Steps {
		if step.Text == "" {
			return Guide{}, fmt.Errorf("steps[%d] needs a text", i)
		}
	}
	return guide, nil
}
