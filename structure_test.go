package main

import (
	"encoding/json"
	"go/ast"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/dependencies"
)

// These tests check how packages depend on each other, and what a component must have besides its code.

const modulePath = "opendatahub.io/operator/"

// importsOf are the packages of this module that each package imports outside its tests, both as folders.
func importsOf(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	for _, file := range goFiles(t) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		folder := path.Dir(file)
		imports[folder] = append(imports[folder], []string{}...)
		for _, spec := range parse(t, file).Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if own, ok := strings.CutPrefix(imported, modulePath); ok {
				imports[folder] = append(imports[folder], own)
			}
		}
	}
	return imports
}

// below reports whether a folder is one of these, or is in one of them.
func below(folder string, tops ...string) bool {
	return slices.ContainsFunc(tops, func(top string) bool { return folder == top || strings.HasPrefix(folder, top+"/") })
}

// TestNoImportGoesUp: each layer knows only the layers below it.
func TestNoImportGoesUp(t *testing.T) {
	var folders []string // of components
	for _, component := range catalog.All() {
		folders = append(folders, folderOf(component))
	}
	graph := importsOf(t)
	for _, folder := range slices.Sorted(maps.Keys(graph)) {
		for _, imported := range graph[folder] {
			forbidden := ""
			switch {
			case folder == "components" && below(imported, "components") && imported != "components/kinds" && imported != "components/images":
				forbidden = "the contract knows no component, and nothing that components are made of"
			case below(folder, "api", "components", "dependencies", "cluster") && below(imported, "controllers", "installer", "cmd"):
				forbidden = "what is deployed does not know how it is deployed"
			case below(folder, "components") && below(imported, "dependencies", "cluster"):
				forbidden = "components are pure"
			case below(imported, "test") && !below(folder, "test", "hack", "components/componenttest"):
				forbidden = "what is shipped needs no tests"
			case below(imported, folders...) && below(folder, "components") && folder != "components/catalog":
				forbidden = "a component finds another one by what that declares"
			case below(imported, append(folders, "components/catalog")...) && below(folder, "controllers", "installer", "cluster", "dependencies", "cmd"):
				forbidden = "the machinery knows no product"
			case below(folder, "controllers") && below(imported, "installer", "cmd"), below(folder, "installer") && below(imported, "cmd"):
				forbidden = "processes are put together in cmd"
			}
			if forbidden != "" {
				t.Errorf("%s imports %s: %s", folder, imported, forbidden)
			}
		}
	}
}

// TestTheContractNamesNoComponent: not in its code either; comments may give examples.
func TestTheContractNamesNoComponent(t *testing.T) {
	var names []string
	for _, component := range components.All() {
		names = append(names, strings.ToLower(component.Name))
	}
	for _, file := range goFiles(t) {
		if path.Dir(file) != "components" && path.Dir(file) != "components/kinds" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		ast.Inspect(parse(t, file), func(node ast.Node) bool {
			text := ""
			switch node := node.(type) {
			case *ast.Ident:
				text = node.Name
			case *ast.BasicLit:
				text = node.Value
			}
			for _, name := range names {
				if text != "" && strings.Contains(strings.ToLower(text), name) {
					t.Errorf("%s names %s: %s", file, name, text)
				}
			}
			return true
		})
	}
}

// TestEveryComponentIsDocumented: its page, its row in the README, what is kept of it, what is wrong with its spec, and who plays its
// operator. That a sample deploys it is a test of its own.
func TestEveryComponentIsDocumented(t *testing.T) {
	read := func(file string) string {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	readme, operations := read("README.md"), read("docs/operations.md")
	for _, component := range catalog.All() {
		name, folder := component.Name(), folderOf(component)
		row := ""
		for line := range strings.SplitSeq(readme, "\n") {
			if strings.HasPrefix(line, "| [") && strings.Contains(line, "[`"+folder+"`]") {
				row = line
			}
		}
		_, page, _ := strings.Cut(row, "](")
		page, _, _ = strings.Cut(page, ")")
		if row == "" {
			t.Errorf("README.md: the table of components has no row for %s with a link to its page and one to %s", name, folder)
		} else if _, err := os.Stat(page); err != nil || !strings.HasPrefix(page, "docs/") {
			t.Errorf("README.md: the row of %s links to no page below docs: %q", name, page)
		}
		if _, ruled := component.(components.WithRule); ruled {
			continue
		}
		kept := false
		for line := range strings.SplitSeq(operations, "\n") {
			kept = kept || strings.HasPrefix(line, "|") && strings.Contains(line, "| kept") && strings.Contains(strings.ToLower(line), strings.ToLower(name))
		}
		if !kept {
			t.Errorf("docs/operations.md: no row of the table under Removal says what is kept of %s", name)
		}
		if invalid, _ := filepath.Glob("test/invalid/" + strings.ToLower(name) + "-*.yaml"); len(invalid) == 0 {
			t.Errorf("test/invalid: no %s-*.yaml shows what its schema refuses", strings.ToLower(name))
		}
		for _, kind := range component.Kinds() {
			dependency, found := dependencies.Default().Find(kind.Provider)
			if found && len(dependency.Workloads) > 0 && !played(folder, kind) { // definitions alone do nothing
				t.Errorf("neither %[4]s/testdata/stages/%[1]s nor test/cluster/%[1]s plays %[2]s for %[3]s", player(kind), kind.Provider, name, folder)
			}
		}
	}
}

// player is the folder of what plays the operator of a kind.
func player(kind kinds.Kind) string {
	return strings.ToLower(strings.ReplaceAll(kind.Provider, " ", "-"))
}

// played reports whether Stages in the component's folder, or a program, play the operator of a kind.
func played(folder string, kind kinds.Kind) bool {
	for _, of := range []string{folder + "/testdata/stages/", "test/cluster/"} {
		if _, err := os.Stat(of + player(kind)); err == nil {
			return true
		}
	}
	return false
}

// TestTheCRDFitsIntoAnAnnotation: kubectl apply, without --server-side, keeps the whole object in one, and the API server takes no more
// than 256 KiB of annotations (TotalAnnotationSizeLimitB of k8s.io/apimachinery/pkg/api/validation).
func TestTheCRDFitsIntoAnAnnotation(t *testing.T) {
	const limit, warning = 256 << 10, 224 << 10
	content, err := os.ReadFile("config/crd/opendatahub.io_opendatahubs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := yaml.Unmarshal(content, &object); err != nil {
		t.Fatal(err)
	}
	compact, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the definition has %d of at most %d bytes", len(compact), limit)
	if len(compact) > warning {
		t.Errorf("the definition has %d bytes, and kubectl apply stops at %d: shorten descriptions, or share types less", len(compact), limit)
	}
}
