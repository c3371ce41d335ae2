package real_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
)

// A story is a list of steps, each with the time that it took.
type story struct {
	rows []string
}

// step begins a step, which is a test of that name, and returns what ends it.
func (s *story) step(t *testing.T) func() {
	t.Helper()
	name := t.Name()
	what, started := strings.ReplaceAll(name[strings.LastIndexByte(name, '/')+1:], "_", " "), time.Now()
	return func() { s.add(what, started) }
}

func (s *story) add(what string, started time.Time) {
	s.rows = append(s.rows, fmt.Sprintf("| %s | %.1f s |", what, time.Since(started).Seconds()))
}

// tell prints the table of docs/story.md, and checks that it has these steps.
func (s *story) tell(t *testing.T) {
	t.Helper()
	t.Logf("| step | time |\n|---|---|\n%s", strings.Join(s.rows, "\n"))
	if t.Failed() {
		return
	}
	told, err := os.ReadFile(filepath.Join("..", "..", "docs", "story.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range s.rows {
		if what, _, _ := strings.Cut(row[len("| "):], " | "); !strings.Contains(string(told), "| "+what+" |") {
			t.Errorf("docs/story.md does not have the step %q", what)
		}
	}
}

// spec is that of the platform that make run NODE=real applies.
func spec(t *testing.T, root string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "hack", "node", "platform.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	hub := &v1alpha1.OpenDataHub{}
	if err := yaml.UnmarshalStrict(content, hub); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(hub.Spec)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// notebook is what the user works on.
func notebook(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "customers.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// code is that of all cells.
func code(t *testing.T, notebook []byte) string {
	t.Helper()
	var read struct {
		Cells []struct {
			Type   string `json:"cell_type"`
			Source []string
		}
	}
	if err := json.Unmarshal(notebook, &read); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, cell := range read.Cells {
		if cell.Type == "code" {
			text.WriteString(strings.Join(cell.Source, "") + "\n")
		}
	}
	return text.String()
}
