package componenttest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/test/upstream"
)

// Upstream validates every object of a third-party kind, of every case that renders, against the real
// CustomResourceDefinition: unknown fields, wrong types and broken CEL rules fail. The definitions are below the folder
// that the environment variable UPSTREAM_CRDS names, or ../shared/crds beside the repository; without either the test is
// skipped, as are objects in a version that they do not serve. Kinds that the folder is known not to define are named in
// absent, and are not checked.
func Upstream(t *testing.T, component components.Component, absent ...kinds.Kind) {
	t.Helper()
	var groups []string
	for _, kind := range component.Kinds() {
		if kind.ThirdParty() {
			groups = append(groups, kind.Group)
		}
	}
	if len(groups) == 0 {
		t.Fatal("the component renders no third-party kind, so there is nothing to check")
	}
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	schemas := schemasOf(upstream.Definitions(t, root, groups...))
	names, err := cases("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range component.Kinds() {
		named := slices.ContainsFunc(absent, func(other kinds.Kind) bool { return other.GroupKind == kind.GroupKind })
		if kind.ThirdParty() && !named && !schemas.has(kind.GroupKind) {
			t.Errorf("no CustomResourceDefinition defines %s", kind.GroupKind)
		}
	}
	for _, name := range names {
		folder := filepath.Join("testdata", name)
		if exists(filepath.Join(folder, errorFile)) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			rendered, _, err := render(component, folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, object := range rendered {
				if slices.Contains(groups, object.GroupVersionKind().Group) {
					t.Run(object.GetKind()+" "+object.GetName(), func(t *testing.T) { checkUpstream(t, schemas, object) })
				}
			}
		})
	}
}

// Sample validates the objects in a file of the repository, which people apply themselves, against the real CustomResourceDefinitions
// of these groups, which are found as Upstream finds them.
func Sample(t *testing.T, path string, groups ...string) {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	schemas := schemasOf(upstream.Definitions(t, root, groups...))
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		object, err := readObject([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		if object.GroupVersionKind().Group == "" {
			continue // Kubernetes' own
		}
		if !schemas.has(object.GroupVersionKind().GroupKind()) {
			t.Errorf("no CustomResourceDefinition at hand defines %s", object.GroupVersionKind())
		}
		checkUpstream(t, schemas, renderedObject{Unstructured: object})
	}
}

func checkUpstream(t *testing.T, schemas crdSchemas, object renderedObject) {
	t.Helper()
	compile, ok := schemas[object.GroupVersionKind()]
	if !ok {
		t.Skipf("the CustomResourceDefinitions at hand do not serve %s", object.GroupVersionKind())
	}
	definition, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	admit := definition.Admit
	if object.Subresource == "status" {
		admit = definition.AdmitStatus
	}
	for _, problem := range admit(object.Unstructured) {
		t.Error(problem)
	}
}
