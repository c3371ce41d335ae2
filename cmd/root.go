// Package cmd holds the subcommands of the opendatahub binary.
package cmd

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"opendatahub.io/operator/components"
)

// Codes with which commands end that look for something, where 1 says that they could not look.
const (
	// exitFound: there is a difference, or a problem.
	exitFound = 2
	// exitWarnings: there are warnings only.
	exitWarnings = 3
)

// found is the end of a command that has printed what it found.
type found int

func (f found) Error() string { return fmt.Sprintf("exit code %d", int(f)) }

// Exit is how a process ends after this error of a command: with which code, and what it prints, if anything.
func Exit(err error) (code int, message string) {
	var found found
	var trouble trouble
	switch {
	case err == nil:
		return 0, ""
	case errors.As(err, &found):
		return int(found), ""
	case errors.As(err, &trouble):
		return exitTrouble, "Error: " + err.Error()
	default:
		return 1, "Error: " + err.Error()
	}
}

// New is the opendatahub command. version is the operator's own, all are the components that it can deploy. The caller
// ends as [Exit] says.
func New(version string, all []components.Component) *cobra.Command {
	root := &cobra.Command{
		Use:   "opendatahub",
		Short: "The Open Data Hub operator: AI platforms on Kubernetes and OpenShift",
		Example: `  opendatahub install                     # the operator
  opendatahub doctor -f hub.yaml          # what would keep a platform from working
  kubectl apply -f hub.yaml
  opendatahub wait odh -n opendatahub
  opendatahub status -n opendatahub       # what works, where it is, and where the passwords are`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	// In the order in which somebody needs them.
	cobra.EnableCommandSorting = false
	group(root, "The operator in a cluster", installCommand(), uninstallCommand())
	group(root, "Before a platform is applied", doctorCommand(all), diffCommand(all), renderCommand(all), dependenciesCommand(all), grantsCommand(all), imagesCommand(all))
	group(root, "A platform that exists", statusCommand(all), waitCommand(), loginCommand(), gatherCommand(version, all))
	group(root, "What runs in the cluster", managerCommand(version, all), installerCommand(version, all), portalCommand(version, all), modelRouterCommand(version))
	group(root, others, versionCommand(version))
	root.SetHelpCommandGroupID(others)
	root.SetCompletionCommandGroupID(others)
	root.AddCommand(rbacCommand(all), kindsCommand(all), relatedImagesCommand(all), referenceCommand()) // for make generate
	for _, command := range root.Commands() {
		if command.ValidArgsFunction == nil {
			command.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
	root.SetFlagErrorFunc(sayFlag)
	teach(root)
	return root
}

// others is the group of what is about the command itself.
const others = "Others"

// group adds commands under what they are for.
func group(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
	for _, command := range commands {
		command.GroupID = title
	}
	root.AddCommand(commands...)
}

// CalledAs makes the command what it is called as: a plugin of kubectl, what kubectl asks for completions of the plugin, or what oc adm
// must-gather starts. The first of the arguments is the name of the program.
func CalledAs(root *cobra.Command, arguments []string) *cobra.Command {
	root.SetArgs(arguments[1:])
	switch strings.TrimSuffix(filepath.Base(arguments[0]), ".exe") {
	case "kubectl-opendatahub":
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl opendatahub"}
		for _, command := range root.Commands() { // so that examples can be typed as they are
			typed := strings.NewReplacer("opendatahub "+command.Name(), "kubectl opendatahub "+command.Name())
			command.Example, root.Example = typed.Replace(command.Example), typed.Replace(root.Example)
		}
	case "gather":
		root.SetArgs(append([]string{"gather", "--all", "--directory", mustGather}, arguments[1:]...))
	case "kubectl_complete-opendatahub":
		root.SetArgs(append([]string{cobra.ShellCompRequestCmd}, arguments[1:]...))
	}
	return root
}

// named is for the one argument of a command.
func named(what string) cobra.PositionalArgs {
	return func(command *cobra.Command, arguments []string) error {
		if len(arguments) != 1 {
			return fmt.Errorf("name one %s: %s", what, command.UseLine())
		}
		return nil
	}
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
