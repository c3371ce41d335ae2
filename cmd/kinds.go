package cmd

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// kindsCommand is for tools such as make run: only the binary knows the components that it is made of.
func kindsCommand(all []components.Component) *cobra.Command {
	return &cobra.Command{
		Use:    "kinds",
		Short:  "Print the kinds that components render, as JSON",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var every []kinds.Kind
			for _, component := range all {
				every = append(every, component.Kinds()...)
			}
			encoder := json.NewEncoder(command.OutOrStdout())
			encoder.SetIndent("", "  ")
			return encoder.Encode(every)
		},
	}
}
