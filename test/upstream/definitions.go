package upstream

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// Definitions reads the CustomResourceDefinitions that contain one of the texts, such as an API group. Decoding takes most of the
// time, so others are not decoded. The test is skipped when there is no folder of them, and fails when nothing in it fits.
func Definitions(t *testing.T, root string, texts ...string) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	folder, err := Folder(root)
	if err != nil {
		t.Fatal(err)
	}
	if folder == "" {
		t.Skipf("no upstream CustomResourceDefinitions: set %s to a folder of them", Env)
	}
	var found []*apiextensionsv1.CustomResourceDefinition
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for document := range strings.SplitSeq("\n"+string(content), "\n---") {
			if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(document, text) }) {
				continue
			}
			crd := &apiextensionsv1.CustomResourceDefinition{}
			if err := yaml.Unmarshal([]byte(document), crd); err != nil {
				t.Errorf("reading %s: %v", path, err)
			} else if crd.Kind == "CustomResourceDefinition" {
				found = append(found, crd)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("%s holds no CustomResourceDefinition with any of %q", folder, texts)
	}
	return found
}
