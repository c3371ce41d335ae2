package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/operator-framework/api/pkg/manifests"
	operatorsv1alpha1 "github.com/operator-framework/api/pkg/operators/v1alpha1"
	"github.com/operator-framework/api/pkg/validation"
	interfaces "github.com/operator-framework/api/pkg/validation/interfaces"
	registry "github.com/operator-framework/operator-registry/pkg/lib/bundle"
	"github.com/sirupsen/logrus"
)

// offline are all validators of bundles but the one for architectures, which pulls images.
var offline = []interfaces.Validator{
	validation.BundleValidator, validation.ClusterServiceVersionValidator, validation.CustomResourceDefinitionValidator,
	validation.OperatorHubV2Validator, validation.StandardCapabilitiesValidator, validation.StandardCategoriesValidator,
	validation.CommunityOperatorValidator, validation.AlphaDeprecatedAPIsValidator, validation.GoodPracticesValidator,
	validation.OperatorGroupValidator, validation.ObjectValidator,
}

// validate runs the validators that catalogues run, and checks what scorecard asks for. A warning is as bad as an error: users see it on
// the operator's page.
//
// With a container tool, docker or podman, the validator for architectures asks it about all images.
func validate(folder, containerTool string) error {
	bundle, err := manifests.GetBundleFromDir(folder)
	if err != nil {
		return fmt.Errorf("reading the bundle: %w", err)
	}
	objects := bundle.ObjectsToValidate()
	for _, object := range bundle.Objects {
		objects = append(objects, object)
	}
	validators := offline
	if containerTool != "" {
		validators = append(slices.Clip(validators), validation.MultipleArchitecturesValidator)
		objects = append(objects, map[string]string{"container-tools": containerTool})
	}
	var problems []error
	for _, validator := range validators {
		for _, result := range validator.Validate(objects...) {
			for _, problem := range append(result.Errors, result.Warnings...) {
				problems = append(problems, problem)
			}
		}
	}
	problems = append(problems, formatProblems(folder)...)
	return errors.Join(append(problems, scorecardProblems(bundle.CSV)...)...)
}

// formatProblems asks operator-registry, as "opm alpha bundle validate" and OLM's unpacking do: it knows which kinds a bundle may
// hold, and that objects in it have no namespace.
func formatProblems(folder string) []error {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	validator := registry.NewImageValidator(nil, logrus.NewEntry(quiet)) // the registry is for pulling, which nothing here does
	var problems []error
	for _, err := range []error{
		validator.ValidateBundleFormat(folder),
		validator.ValidateBundleContent(filepath.Join(folder, "manifests")),
	} {
		var several registry.ValidationError
		switch {
		case err == nil:
		case errors.As(err, &several):
			problems = append(problems, several.Errors...)
		default:
			problems = append(problems, err)
		}
	}
	return problems
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
