package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// TestABegunComponentCompiles generates a component in a copy of what components are built from, and runs its one test that needs no
// generated files.
func TestABegunComponentCompiles(t *testing.T) {
	folder := t.TempDir()
	for _, part := range []string{"api", "components", "config", "test/upstream"} {
		if err := os.CopyFS(filepath.Join(folder, part), os.DirFS(filepath.Join(root, part))); err != nil {
			t.Fatal(err)
		}
	}
	files, err := Begin(os.DirFS(root), "dataGrid")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if files[name], err = os.ReadFile(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := write(folder, files); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{
		{"vet", "./components/datagrid", "./components/catalog"},
		{"test", "-run", "TestAnEmptyBlockIsEnough", "-count=1", "-v", "./components/datagrid"},
	} {
		command := exec.CommandContext(t.Context(), "go", arguments...)
		command.Dir = folder
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(arguments, " "), err, out)
		}
		if arguments[0] == "test" && !strings.Contains(string(out), "--- PASS: TestAnEmptyBlockIsEnough") {
			t.Errorf("its test did not run:\n%s", out)
		}
	}
}

// TestTheFilesOfAComponent: these are what CONTRIBUTING.md names, and nothing that exists loses a line.
func TestTheFilesOfAComponent(t *testing.T) {
	files, err := Begin(os.DirFS(root), "dataGrid")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, content := range files {
		names = append(names, name)
		before, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue // it is new
		}
		for line := range strings.SplitSeq(string(before), "\n") {
			if !strings.Contains(string(content), line) {
				t.Errorf("%s loses the line %q", name, line)
			}
		}
	}
	slices.Sort(names)
	guide, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		generic := strings.NewReplacer("datagrid", "elephant", "dataGrid", "elephant").Replace(name)
		generic = strings.TrimPrefix(generic, "components/elephant/")
		if strings.HasPrefix(generic, "testdata/") {
			generic = "testdata"
		}
		if !strings.Contains(string(guide), "`"+generic+"`") {
			t.Errorf("CONTRIBUTING.md does not name %s", generic)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "Elephant", "data-grid", "../up", "kafka"} {
		if _, err := Begin(os.DirFS(root), name); err == nil {
			t.Errorf("%q is accepted as a name", name)
		}
	}
}
