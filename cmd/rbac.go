package cmd

import (
	"os"

	"github.com/spf13/cobra"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/authority"
)

// rbacCommand is for make generate: only the binary knows the components that it is made of.
func rbacCommand(all []components.Component) *cobra.Command {
	return &cobra.Command{
		Use:    "rbac FOLDER",
		Short:  "Print the ClusterRoles of the manager; FOLDER holds those that it may hand out",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			return authority.Write(command.OutOrStdout(), all, os.DirFS(arguments[0]))
		},
	}
}
