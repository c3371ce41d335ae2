// Package cmd holds the subcommands of the opendatahub binary.
package cmd

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"opendatahub.io/operator/components"
)

// New is the opendatahub command. version is the operator's own, all are the components that it can deploy. The caller
// prints the error, if any, and exits with 1.
func New(version string, all []components.Component) *cobra.Command {
	root := &cobra.Command{
		Use:           "opendatahub",
		Short:         "The Open Data Hub operator: AI platforms on Kubernetes and OpenShift",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(managerCommand(version, all), installerCommand(version, all), renderCommand(all), dependenciesCommand(all), grantsCommand(all), rbacCommand(all), kindsCommand(all), statusCommand(all), waitCommand(), loginCommand(), gatherCommand(all), portalCommand(version), versionCommand(version))
	return root
}

func versionCommand(version string) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the operator and of the Go it was built with",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(command.OutOrStdout(), "opendatahub %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
