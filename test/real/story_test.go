package real_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
)

// A story is a list of steps, each with the time that it took. Steps may be added at the same time.
type story struct {
	mutex sync.Mutex
	rows  []string
}

// step begins a step, which is a test of that name, and returns what ends it.
func (s *story) step(t *testing.T) func() {
	t.Helper()
	name := t.Name()
	what, started := strings.ReplaceAll(name[strings.LastIndexByte(name, '/')+1:], "_", " "), time.Now()
	return func() { s.add(what, started) }
}

func (s *story) add(what string, started time.Time) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
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

// sample is the platform that make run NODE=real applies, here.
func sample(t *testing.T, root string) *v1alpha1.OpenDataHub {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "hack", "node", "platform.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	hub := &v1alpha1.OpenDataHub{}
	if err := yaml.UnmarshalStrict(content, hub); err != nil {
		t.Fatal(err)
	}
	hub.Namespace, hub.Name = namespace, platform
	return hub
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
