// Package standin makes CustomResourceDefinitions for kinds of other projects when their real ones are not at hand. They
// accept everything.
package standin

import (
	"sort"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Kind is a kind to make a CustomResourceDefinition for.
type Kind struct {
	// Group is the API group.
	Group string
	// Versions that are served, in the order of preference; the first is stored.
	Versions []string
	// Kind in upper camel case.
	Kind string
	// Plural is the resource. Default: the kind in lower case with an s.
	Plural string
	// ClusterScoped kinds have no namespace.
	ClusterScoped bool
	// NoStatus leaves out the status subresource.
	NoStatus bool
}

// CRDs returns the CustomResourceDefinitions of kinds, sorted by name. A kind that is listed more than once gets one
// definition with all versions.
func CRDs(kinds ...Kind) []*apiextensionsv1.CustomResourceDefinition {
	merged := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, k := range kinds {
		plural := k.Plural
		if plural == "" {
			plural = strings.ToLower(k.Kind) + "s"
		}
		name := plural + "." + k.Group
		crd, ok := merged[name]
		if !ok {
			crd = definition(k, plural, name)
			merged[name] = crd
		}
		for _, v := range k.Versions {
			if !hasVersion(crd, v) {
				crd.Spec.Versions = append(crd.Spec.Versions, version(v, len(crd.Spec.Versions) == 0, !k.NoStatus))
			}
		}
	}
	crds := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(merged))
	for _, crd := range merged {
		crds = append(crds, crd)
	}
	sort.Slice(crds, func(i, j int) bool { return crds[i].Name < crds[j].Name })
	return crds
}

func definition(k Kind, plural, name string) *apiextensionsv1.CustomResourceDefinition {
	scope := apiextensionsv1.NamespaceScoped
	if k.ClusterScoped {
		scope = apiextensionsv1.ClusterScoped
	}
	crd := &apiextensionsv1.CustomResourceDefinition{
		TypeMeta:   metav1.TypeMeta{APIVersion: apiextensionsv1.SchemeGroupVersion.String(), Kind: "CustomResourceDefinition"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: k.Group,
			Scope: scope,
			Names: apiextensionsv1.CustomResourceDefinitionNames{
				Kind: k.Kind, ListKind: k.Kind + "List", Plural: plural, Singular: strings.ToLower(k.Kind),
			},
		},
	}
	if k.Group == "k8s.io" || strings.HasSuffix(k.Group, ".k8s.io") || strings.HasSuffix(k.Group, ".kubernetes.io") {
		// The API server protects these groups, and wants to know who allowed a definition in them.
		crd.Annotations = map[string]string{"api-approved.kubernetes.io": "unapproved, a stand-in for a test cluster"}
	}
	return crd
}

func version(name string, storage, status bool) apiextensionsv1.CustomResourceDefinitionVersion {
	v := apiextensionsv1.CustomResourceDefinitionVersion{
		Name: name, Served: true, Storage: storage,
		Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
			Type: "object", XPreserveUnknownFields: ptr.To(true),
		}},
	}
	if status {
		v.Subresources = &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}}
	}
	return v
}

func hasVersion(crd *apiextensionsv1.CustomResourceDefinition, name string) bool {
	for _, v := range crd.Spec.Versions {
		if v.Name == name {
			return true
		}
	}
	return false
}
