package componenttest

import (
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/validation"
)

// crdSchemas are the schemas of a folder of CustomResourceDefinitions by the kind they serve.
type crdSchemas map[schema.GroupVersionKind]func() (*validation.Schema, error)

// schemasOf are the schemas of these definitions. They are compiled when they are used.
func schemasOf(definitions []*apiextensionsv1.CustomResourceDefinition) crdSchemas {
	schemas := crdSchemas{}
	for _, crd := range definitions {
		for _, version := range crd.Spec.Versions {
			if !version.Served || version.Schema == nil {
				continue
			}
			kind := schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
			if _, twice := schemas[kind]; twice {
				continue // beside a folder there may be one with the same definitions without schemas, as argo-minimal
			}
			schemas[kind] = sync.OnceValues(func() (*validation.Schema, error) { return validation.Compile(version.Schema.OpenAPIV3Schema) })
		}
	}
	return schemas
}

// has reports whether any version of the kind is known.
func (s crdSchemas) has(kind schema.GroupKind) bool {
	for known := range s {
		if known.GroupKind() == kind {
			return true
		}
	}
	return false
}
