// Package validation does without a cluster what an API server does with a custom resource: it refuses unknown fields,
// fills in defaults, and checks the schema and its CEL rules, with the same words.
package validation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// Schema is the schema of one version of a CustomResourceDefinition.
type Schema struct {
	structural *structuralschema.Structural
	whole      validation.SchemaValidator
	status     validation.SchemaValidator
	rules      *cel.Validator
}

// Compile makes a Schema of spec.versions[].schema.openAPIV3Schema. It takes a good part of a second for a large one with many rules.
func Compile(props *apiextensionsv1.JSONSchemaProps) (*Schema, error) {
	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, internal, nil); err != nil {
		return nil, fmt.Errorf("converting the schema: %w", err)
	}
	structural, err := structuralschema.NewStructural(internal)
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	whole, _, err := validation.NewSchemaValidator(internal)
	if err != nil {
		return nil, fmt.Errorf("compiling the schema: %w", err)
	}
	status := internal.Properties["status"]
	statusOnly, _, err := validation.NewSchemaValidator(&status)
	if err != nil {
		return nil, fmt.Errorf("compiling the schema of status: %w", err)
	}
	return &Schema{
		structural: structural,
		whole:      whole,
		status:     statusOnly,
		rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
	}, nil
}

// Admit treats the object as an API server with strict field validation does on creation, and fills in the defaults. It
// returns all that is wrong with it.
func (s *Schema) Admit(object *unstructured.Unstructured) []error {
	problems := s.unknownFields(object)
	defaulting.Default(object.Object, s.structural)
	errs := validation.ValidateCustomResource(nil, object.Object, s.whole)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, object.Object)...)
	// As in an API server, rules see only what has the right types.
	if len(errs) == 0 && s.rules != nil {
		errs, _ = s.rules.Validate(context.Background(), nil, s.structural, object.Object, nil, celconfig.RuntimeCELCostBudget)
	}
	return append(problems, plain(errs)...)
}

// AdmitStatus does the same for an object that holds nothing but a status. CEL rules are not looked at: they may need the rest.
func (s *Schema) AdmitStatus(object *unstructured.Unstructured) []error {
	problems := s.unknownFields(object)
	errs := validation.ValidateCustomResource(field.NewPath("status"), object.Object["status"], s.status)
	return append(problems, plain(errs)...)
}

func (s *Schema) unknownFields(object *unstructured.Unstructured) []error {
	var problems []error
	unknown := pruning.PruneWithOptions(object.Object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	_, _, inMetadata, err := objectmeta.GetObjectMetaWithOptions(object.Object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		problems = append(problems, fmt.Errorf("metadata: %w", err))
	}
	for _, path := range slices.Sorted(slices.Values(append(inMetadata, unknown...))) {
		problems = append(problems, fmt.Errorf("unknown field %q", path))
	}
	return problems
}

// plain are the errors in an order of their own: validation walks through maps, and the same resource must be refused in the same words.
func plain(errs field.ErrorList) []error {
	slices.SortStableFunc(errs, func(a, b *field.Error) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Error(), b.Error()))
	})
	all := make([]error, 0, len(errs))
	for _, err := range errs {
		if err.Field == "<nil>" {
			// A rule on the whole resource names the field itself.
			all = append(all, errors.New(err.Detail))
			continue
		}
		all = append(all, err)
	}
	return all
}
