// Command component generates the skeleton of a component: a folder that compiles and has tests, its API, its line in the catalog, and
// its documents, all to be filled in. It only adds to what exists.
//
//	go run ./hack/component -name elephant
package main

import (
	"bytes"
	"embed"
	"errors"
	"flag"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

//go:embed templates
var templates embed.FS

// names are what a component is called.
type names struct {
	// Name is its key in spec.components: "dataGrid".
	Name string
	// Field is its field in the API: "DataGrid".
	Field string
	// Package is its folder: "datagrid".
	Package string
}

func main() {
	name := flag.String("name", "", "name of the component, as its key in spec.components: elephant")
	root := flag.String("root", ".", "the checkout")
	flag.Parse()
	files, err := Begin(os.DirFS(*root), *name)
	if err == nil {
		err = write(*root, files)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error: "+err.Error())
		os.Exit(1)
	}
	fmt.Printf(`%[1]s is begun. Next:

  make generate                        # code, CRD, RBAC, API reference, bundle: read the diff of the rights
  make golden                          # what it renders: read it
  go test . ./api/... ./components/%[2]s ./docs  # what is still missing is named

CONTRIBUTING.md names every file.
`, *name, strings.ToLower(*name))
}

func write(root string, files map[string][]byte) error {
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var camel = regexp.MustCompile(`^[a-z][a-zA-Z0-9]*$`)

// Begin returns the files that a new component has or changes, by their paths in the checkout.
func Begin(checkout fs.FS, name string) (map[string][]byte, error) {
	if !camel.MatchString(name) {
		return nil, fmt.Errorf("%q is no name: use letters and digits, and begin with a small letter, as in dataGrid", name)
	}
	component := names{Name: name, Field: strings.ToUpper(name[:1]) + name[1:], Package: strings.ToLower(name)}
	if _, err := fs.Stat(checkout, "components/"+component.Package); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("components/%s exists already", component.Package)
	}
	files := map[string][]byte{}
	err := fs.WalkDir(templates, "templates", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := templates.ReadFile(file)
		if err != nil {
			return err
		}
		content, err := component.fill(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		files[component.path(strings.TrimPrefix(file, "templates/"))] = content
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		content := files[change.file]
		if content == nil {
			if content, err = fs.ReadFile(checkout, change.file); err != nil {
				return nil, err
			}
		}
		added, err := component.fill(change.text)
		if err != nil {
			return nil, err
		}
		before, after, ok := cut(string(content), change.before)
		if !ok {
			return nil, fmt.Errorf("%s has changed: it has no %q to put something before", change.file, change.before)
		}
		changed := []byte(before + string(added) + after)
		if strings.HasSuffix(change.file, ".go") {
			if changed, err = format.Source(changed); err != nil {
				return nil, fmt.Errorf("%s: %w", change.file, err)
			}
		}
		files[change.file] = changed
	}
	return files, nil
}

// cut splits a text before a line.
func cut(text, line string) (before, after string, ok bool) {
	i := strings.Index(text, line)
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i:], true
}

func (n names) fill(text string) ([]byte, error) {
	parsed, err := template.New("").Delims("«", "»").Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, n); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// path is where a template belongs.
func (n names) path(file string) string {
	switch base := strings.TrimSuffix(file, ".tmpl"); {
	case base == "types.go":
		return "api/v1alpha1/" + n.Package + "_types.go"
	case base == "page.md":
		return "docs/" + n.Package + ".md"
	case base == "invalid.yaml":
		return "test/invalid/" + n.Package + "-replicas-negative.yaml"
	default:
		return "components/" + n.Package + "/" + strings.Replace(base, "component", n.Package, 1)
	}
}

// changes are what is added to files that exist, before a line of each.
var changes = []struct{ file, before, text string }{
	{"api/v1alpha1/opendatahub_types.go", "}\n\n// ComponentSpec is what", `
	// «.Name» is TODO.
	//
	// +optional
	«.Field» *«.Field»Spec ` + "`json:\"«.Name»,omitempty\"`" + `
`},
	{"components/catalog/catalog.go", "	\"opendatahub.io/operator/components/jupyterhub\"\n", "	\"opendatahub.io/operator/components/«.Package»\"\n"},
	{"components/catalog/catalog.go", "		objectstorage.New(),\n", "		«.Package».New(),\n"},
	{"README.md", "| [object storage](docs/object-storage.md) |", "| [«.Name»](docs/«.Package».md) | [`components/«.Package»`](components/«.Package»/«.Package».go) | TODO | none |\n"},
	{"docs/operations.md", "| everything else | deleted | deleted |", "| TODO: what «.Name» keeps | kept | deleted |\n"},
	{"config/samples/full.yaml", "\n    jupyterHub:", "\n    «.Name»:\n      managementState: Managed\n      replicas: 1\n      resources: {requests: {cpu: 50m, memory: 128Mi}, limits: {cpu: '1', memory: 512Mi}}\n"},
}
