package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/operator-framework/api/pkg/manifests"
	operatorsv1alpha1 "github.com/operator-framework/api/pkg/operators/v1alpha1"
	"github.com/operator-framework/api/pkg/validation"
	interfaces "github.com/operator-framework/api/pkg/validation/interfaces"
)

// validate holds a bundle against the validators that catalogues run, and against what scorecard asks for. A warning is as
// bad as an error: users see it as a mark on the operator's page.
func validate(folder string) error {
	bundle, err := manifests.GetBundleFromDir(folder)
	if err != nil {
		return fmt.Errorf("reading the bundle: %w", err)
	}
	objects := bundle.ObjectsToValidate()
	for _, object := range bundle.Objects {
		objects = append(objects, object)
	}
	var problems []error
	for _, validator := range []interfaces.Validator{
		validation.BundleValidator, validation.ClusterServiceVersionValidator, validation.CustomResourceDefinitionValidator,
		validation.OperatorHubV2Validator, validation.StandardCapabilitiesValidator, validation.StandardCategoriesValidator,
		validation.AlphaDeprecatedAPIsValidator, validation.GoodPracticesValidator, validation.ObjectValidator,
		validation.OperatorGroupValidator,
	} {
		for _, result := range validator.Validate(objects...) {
			for _, problem := range append(result.Errors, result.Warnings...) {
				problems = append(problems, problem)
			}
		}
	}
	return errors.Join(append(problems, scorecardProblems(bundle.CSV)...)...)
}

// scorecardProblems restates those of scorecard's tests that the validators do not cover.
func scorecardProblems(csv *operatorsv1alpha1.ClusterServiceVersion) []error {
	var problems []error
	for _, owned := range csv.Spec.CustomResourceDefinitions.Owned {
		if len(owned.Resources) == 0 {
			problems = append(problems, fmt.Errorf("%s names no resources that it makes", owned.Name))
		}
		if len(owned.SpecDescriptors) == 0 || len(owned.StatusDescriptors) == 0 {
			problems = append(problems, fmt.Errorf("%s describes no fields", owned.Name))
		}
	}
	for _, image := range csv.Spec.RelatedImages {
		if !strings.Contains(image.Image, "/") {
			problems = append(problems, fmt.Errorf("image %q names no registry", image.Image))
		}
	}
	return problems
}
