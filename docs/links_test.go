// Package docs holds the documentation. Its tests keep links, names of Go code, make targets and the list of reasons true.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/test/documents"
)

var (
	link       = regexp.MustCompile(`\[([^\[\]]*)\]\(([^()\s]+)\)`)
	line       = regexp.MustCompile(`^L(\d+)(?:-L(\d+))?$`)
	identifier = regexp.MustCompile("^`([A-Za-z_][A-Za-z0-9_]*(?:\\.[A-Za-z_][A-Za-z0-9_]*)?)`$")
	notInSlugs = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	makeTarget = regexp.MustCompile("(?m)(?:`|^ *)make ([a-z][a-z-]*)")
	reason     = regexp.MustCompile(`(?m)^\tReason\w+ += "(\w+)"`)
	target     = regexp.MustCompile(`(?m)^([a-z-]+):`)
)

func files(t *testing.T) []string {
	t.Helper()
	files, err := documents.Files(root)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A link may end in #L12, #L12-L20 or, into Markdown, in the anchor of a heading. A link into Go code whose text is one name in
// backticks, such as `newLayout` or `KafkaSpec.Replicas`, promises that the file declares it.
func TestLinks(t *testing.T) {
	for _, document := range files(t) {
		t.Run(filepath.Base(document), func(t *testing.T) {
			for _, found := range link.FindAllStringSubmatch(prose(t, document), -1) {
				text, destination := found[1], found[2]
				if strings.Contains(destination, "://") {
					continue
				}
				path, anchor, _ := strings.Cut(destination, "#")
				file := document
				if path != "" {
					file = filepath.Join(filepath.Dir(document), path)
				}
				if _, err := os.Stat(file); err != nil {
					t.Errorf("[%s](%s): there is no such file", text, destination)
					continue
				}
				if anchor != "" && !hasAnchor(t, file, anchor) {
					t.Errorf("[%s](%s): the file has no such line or heading", text, destination)
				}
				name := identifier.FindStringSubmatch(text)
				if name != nil && filepath.Ext(file) == ".go" && name[1] != filepath.Base(file) && !slices.Contains(declared(t, file), name[1]) {
					t.Errorf("[%s](%s): the file does not declare it", text, destination)
				}
			}
		})
	}
}

func TestMakeTargets(t *testing.T) {
	var targets []string
	for _, found := range target.FindAllStringSubmatch(read(t, filepath.Join(root, "Makefile")), -1) {
		targets = append(targets, found[1])
	}
	for _, document := range files(t) {
		for _, found := range makeTarget.FindAllStringSubmatch(read(t, document), -1) {
			if !slices.Contains(targets, found[1]) {
				t.Errorf("%s: make %s does not exist; there are %v", document, found[1], targets)
			}
		}
	}
}

// For every reason, operations.md must say what to do.
func TestReasons(t *testing.T) {
	found := reason.FindAllStringSubmatch(read(t, filepath.Join(root, "api", "v1alpha1", "conditions.go")), -1)
	if len(found) == 0 {
		t.Fatal("found no reasons")
	}
	operations := read(t, "operations.md")
	for _, match := range found {
		if !strings.Contains(operations, "| `"+match[1]+"` |") {
			t.Errorf("operations.md does not say what to do for the reason %s", match[1])
		}
	}
}

// Every component has a page, and pages have these headings, in this order, besides others: a reader of one finds everything in the next.
func TestComponentPages(t *testing.T) {
	headings := []string{"What is installed", "What is kept", "When something is wrong"}
	readme := read(t, filepath.Join(root, "README.md"))
	for _, component := range catalog.All() {
		if _, isPart := component.(components.WithRule); isPart {
			continue
		}
		row := regexp.MustCompile(`(?m)^\| \[` + component.Name() + `\]\(docs/([a-z-]+\.md)\) \|`).FindStringSubmatch(readme)
		if row == nil {
			t.Errorf("README.md: no row of the table of components names the page of %s", component.Name())
			continue
		}
		var found []string
		for text := range strings.Lines(prose(t, row[1])) {
			if heading, ok := strings.CutPrefix(text, "## "); ok && slices.Contains(headings, strings.TrimSpace(heading)) {
				found = append(found, strings.TrimSpace(heading))
			}
		}
		if !slices.Equal(found, headings) {
			t.Errorf("%s has the headings %q, want %q", row[1], found, headings)
		}
	}
}

// prose is the document without its code blocks.
func prose(t *testing.T, document string) string {
	t.Helper()
	var kept []string
	code := false
	for text := range strings.Lines(read(t, document)) {
		if strings.HasPrefix(strings.TrimSpace(text), "```") {
			code = !code
		} else if !code {
			kept = append(kept, text)
		}
	}
	return strings.Join(kept, "")
}

func hasAnchor(t *testing.T, file, anchor string) bool {
	t.Helper()
	if numbers := line.FindStringSubmatch(anchor); numbers != nil {
		lines := strings.Count(read(t, file), "\n")
		for _, number := range numbers[1:] {
			if n, err := strconv.Atoi(number); err == nil && (n < 1 || n > lines) {
				return false
			}
		}
		return true
	}
	for text := range strings.Lines(prose(t, file)) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(text, "#"), " "); ok && strings.HasPrefix(text, "#") && slug(heading) == anchor {
			return true
		}
	}
	return false
}

// slug is the anchor that a heading gets.
func slug(heading string) string {
	kept := notInSlugs.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
	return strings.ReplaceAll(kept, " ", "-")
}

// declared lists what a Go file declares: functions, types, variables and constants, and, as Type.Name, methods and the
// members of structs and interfaces.
func declared(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, declaration := range parsed.Decls {
		switch declaration := declaration.(type) {
		case *ast.FuncDecl:
			name := declaration.Name.Name
			if declaration.Recv != nil {
				name = receiver(declaration.Recv.List[0].Type) + "." + name
			}
			names = append(names, name)
		case *ast.GenDecl:
			for _, spec := range declaration.Specs {
				names = append(names, specified(spec)...)
			}
		}
	}
	return names
}

func specified(spec ast.Spec) []string {
	var names []string
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			names = append(names, name.Name)
		}
	case *ast.TypeSpec:
		names = append(names, spec.Name.Name)
		var members *ast.FieldList
		switch kind := spec.Type.(type) {
		case *ast.StructType:
			members = kind.Fields
		case *ast.InterfaceType:
			members = kind.Methods
		default:
			return names
		}
		for _, member := range members.List {
			for _, name := range member.Names {
				names = append(names, spec.Name.Name+"."+name.Name)
			}
		}
	}
	return names
}

func receiver(kind ast.Expr) string {
	switch kind := kind.(type) {
	case *ast.StarExpr:
		return receiver(kind.X)
	case *ast.IndexExpr:
		return receiver(kind.X)
	case *ast.Ident:
		return kind.Name
	default:
		return ""
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
