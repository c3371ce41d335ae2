package cmd

import (
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/images"
)

// relatedImagesCommand is for make generate: only the binary knows the components that it is made of.
func relatedImagesCommand(all []components.Component) *cobra.Command {
	return &cobra.Command{
		Use:    "related-images",
		Short:  "Print the images that components choose themselves, by the variables that replace them",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			variables := map[string]string{}
			for name, image := range components.Images(all) {
				variables[images.VariablePrefix+name] = image
			}
			content, err := yaml.Marshal(variables)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "# Generated from the images that components choose themselves. Do not edit: make generate.\n%s", content)
			return err
		},
	}
}
