package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

// dependenciesOptions are the flags of the dependencies command.
type dependenciesOptions struct {
	resourceFiles
	operatorTable
	format string
	way    string
}

// operatorTable are the flags that choose the table of third-party operators.
type operatorTable struct {
	openShift bool
	config    string
}

// addTo defines the flags.
func (o *operatorTable) addTo(command *cobra.Command) {
	flags := command.Flags()
	flags.BoolVar(&o.openShift, "openshift", false, "for OpenShift")
	flags.StringVar(&o.config, "config", "", "file with the installer's configuration, as in key "+dependencies.ConfigKey+" of its ConfigMap")
}

func dependenciesCommand(all []components.Component) *cobra.Command {
	var options dependenciesOptions
	command := &cobra.Command{
		Use:   "dependencies -f hub.yaml",
		Short: "Print which third-party operators OpenDataHub resources need, and how to install each by hand",
		Long: `Print which third-party operators OpenDataHub resources need, and how to install each by hand. No cluster is needed.

By hand is for clusters without the installer, and for platforms whose spec.dependencies.installation is Manual. What is there
already needs no second install: the platform uses it as it is.

The format shell is commands of helm and kubectl, to be read first and then piped to a shell. The format yaml is what asks the
Operator Lifecycle Manager (OLM) for operators, and a comment with the command of helm for those that it does not have.

Without --way operators come through OLM on OpenShift, and as Helm charts elsewhere; with it they come the other way if they
can. Some can come one way only.`,
		Example: `  opendatahub dependencies -f hub.yaml
  opendatahub dependencies -f hub.yaml | bash -eu
  opendatahub dependencies -f hub.yaml --openshift --format yaml | kubectl apply -f -
  kubectl get odh -A -o yaml | opendatahub dependencies -f - --config installer.yaml`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return whole(command, func(out *bytes.Buffer) error {
				return printDependencies(options, all, command.InOrStdin(), out, command.ErrOrStderr())
			})
		},
	}
	options.resourceFiles.addTo(command)
	options.operatorTable.addTo(command)
	addChoice(command, &options.format, "format", "", "", "shell", "yaml")
	addChoice(command, &options.way, "way", "", "", "auto", "olm", "helm")
	return command
}

func (o *dependenciesOptions) validate() error {
	if o.format == "yaml" && o.way == "helm" {
		return errors.New("--format yaml is for OLM: use --format shell with --way helm")
	}
	return nil
}

// throughOLM is whether OLM comes first.
func (o *dependenciesOptions) throughOLM() bool {
	return o.way == "olm" || o.format == "yaml" || (o.way == "auto" && o.openShift)
}

// table is the one that the installer would use.
func (o *operatorTable) table() (dependencies.Table, error) {
	if o.config == "" {
		return dependencies.Default().For(o.openShift), nil
	}
	content, err := os.ReadFile(o.config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.config, errors.Unwrap(err))
	}
	config, err := dependencies.ParseConfig(map[string]string{dependencies.ConfigKey: string(content)})
	if err != nil {
		return nil, errors.Join(eachLine(o.config, err)...)
	}
	return config.Table.For(o.openShift), nil
}

// printDependencies writes to out only when all resources are valid, so that what is piped to a shell is whole.
func printDependencies(options dependenciesOptions, all []components.Component, stdin io.Reader, out *bytes.Buffer, warn io.Writer) error {
	if err := options.validate(); err != nil {
		return err
	}
	table, err := options.table()
	if err != nil {
		return err
	}
	needed := map[string][]string{} // operator → who needs it
	failed := options.visit(stdin, func(_ string, odh *v1alpha1.OpenDataHub) []error {
		platform := fmt.Sprintf("OpenDataHub %s/%s", odh.Namespace, odh.Name)
		for _, required := range dependencies.Required(table, all, components.NewFacts(odh, components.Cluster{OpenShift: options.openShift}, all)) {
			needed[required.Dependency] = append(needed[required.Dependency], strings.Join(required.Components, " and ")+" of "+platform)
		}
		return sayWhatIsNotSupported(all, odh, platform, warn)
	})
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	if len(needed) == 0 {
		out.WriteString("# No third-party operator is needed.\n")
	}
	for _, dependency := range table {
		if by := needed[dependency.Name]; len(by) > 0 {
			if out.Len() > 0 {
				out.WriteString("\n")
			}
			out.WriteString(byHand(options, dependency, strings.Join(by, ", ")))
		}
	}
	return nil
}

// sayWhatIsNotSupported warns of components whose operators nobody knows, because the binary cannot deploy them.
func sayWhatIsNotSupported(all []components.Component, odh *v1alpha1.OpenDataHub, platform string, warn io.Writer) []error {
	for _, wanted := range components.Wanted(odh.Spec.Components) {
		if slices.ContainsFunc(all, func(component components.Component) bool { return component.Name() == wanted.Name }) {
			continue
		}
		if _, err := fmt.Fprintf(warn, "# %s of %s: %s\n", wanted.Name, platform, components.NotSupported(wanted.Name)); err != nil {
			return []error{err}
		}
	}
	return nil
}

// byHand is how to install an operator, with a comment that says which and for whom.
func byHand(options dependenciesOptions, dependency dependencies.Dependency, by string) string {
	manifests, commands := dependencies.Manifests(dependency, options.openShift), dependencies.Commands(dependency, options.openShift)
	throughOLM := len(manifests) > 0 && (options.throughOLM() || commands == "")
	switch {
	case throughOLM && options.format == "yaml":
		return title(dependency, "channel "+dependency.Packages[0].Channel, by) + string(manifests)
	case throughOLM:
		return title(dependency, "channel "+dependency.Packages[0].Channel, by) + dependencies.Apply(manifests)
	case commands == "":
		return title(dependency, "cannot be installed", by) +
			"# The catalogues of this kind of cluster do not have it, and the table allows OLM only.\n"
	case options.format == "yaml":
		commands = "# It has no package: " + dependencies.Hint(dependency, options.openShift) + "\n"
	}
	return title(dependency, "chart "+dependency.Charts[0].Version, by) + commands
}

func title(dependency dependencies.Dependency, what, by string) string {
	return fmt.Sprintf("# %s (%s): needed by %s\n", dependency.Name, what, by)
}
