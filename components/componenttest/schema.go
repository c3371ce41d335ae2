package componenttest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/validation"
)

// crdSchemas are the schemas of a folder of CustomResourceDefinitions by the kind they serve.
type crdSchemas map[schema.GroupVersionKind]func() (*validation.Schema, error)

// readSchemas reads the CustomResourceDefinitions of these API groups below the folder. Reading takes most of the time, so
// others are not decoded. Schemas are compiled when they are used.
func readSchemas(folder string, groups ...string) (crdSchemas, error) {
	schemas := crdSchemas{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, document := range splitDocuments(string(content)) {
			if !slices.ContainsFunc(groups, func(group string) bool { return strings.Contains(document, group) }) {
				continue
			}
			var crd apiextensionsv1.CustomResourceDefinition
			if err := yaml.Unmarshal([]byte(document), &crd); err != nil {
				return fmt.Errorf("reading %s: %w", path, err)
			}
			if crd.Kind == "CustomResourceDefinition" {
				schemas.add(&crd)
			}
		}
		return nil
	})
	return schemas, err
}

func (s crdSchemas) add(crd *apiextensionsv1.CustomResourceDefinition) {
	for _, version := range crd.Spec.Versions {
		if !version.Served || version.Schema == nil {
			continue
		}
		kind := schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
		s[kind] = sync.OnceValues(func() (*validation.Schema, error) { return validation.Compile(version.Schema.OpenAPIV3Schema) })
	}
}

// has is whether any version of the kind is known.
func (s crdSchemas) has(kind schema.GroupKind) bool {
	for known := range s {
		if known.GroupKind() == kind {
			return true
		}
	}
	return false
}

func splitDocuments(content string) []string {
	return strings.Split("\n"+content, "\n---")
}
