package cmd

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// groups are the commands in the order of the page, under what they are for. Commands that are in none come last.
var groups = []struct {
	title    string
	commands []string
}{
	{"The operator in a cluster", []string{"install", "uninstall"}},
	{"Before a platform is applied", []string{"doctor", "diff", "render", "dependencies", "grants", "images"}},
	{"A platform that exists", []string{"status", "wait", "login", "gather"}},
	{"What runs in the cluster", []string{"manager", "installer", "portal"}},
}

// referenceCommand is for make generate.
func referenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "reference",
		Short:  "Print the help of all commands as Markdown",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return writeReference(command.OutOrStdout(), command.Root())
		},
	}
}

func writeReference(out io.Writer, root *cobra.Command) error {
	var text bytes.Buffer
	text.WriteString("# Command line\n\nThis page is generated from the help of the commands: `opendatahub COMMAND --help` says the same. As a plugin of kubectl they are `kubectl opendatahub COMMAND`.\n")
	described := map[string]bool{}
	for _, group := range groups {
		fmt.Fprintf(&text, "\n## %s\n", group.title)
		for _, name := range group.commands {
			command, _, err := root.Find([]string{name})
			if err != nil {
				return err
			}
			described[name] = true
			writeCommand(&text, command)
		}
	}
	text.WriteString("\n## Others\n")
	for _, command := range root.Commands() {
		if !described[command.Name()] && command.IsAvailableCommand() && command.Name() != "completion" && command.Name() != "help" {
			writeCommand(&text, command)
		}
	}
	text.WriteString("\n### opendatahub completion\n\nPrints a script that completes commands and flags in a shell; `opendatahub completion --help` says how to load it.\n")
	text.WriteString("\n## Flags of all commands that talk to a cluster\n\nThey are those of kubectl.\n\n```text\n")
	for _, flag := range connectionFlags() {
		text.WriteString(flagLine(flag, false))
	}
	text.WriteString("```\n")
	_, err := text.WriteTo(out)
	return err
}

func writeCommand(text *bytes.Buffer, command *cobra.Command) {
	fmt.Fprintf(text, "\n### %s\n\n```text\n%s\n```\n\n%s\n", command.CommandPath(), command.UseLine(), escape(longOf(command)))
	if command.Example != "" {
		text.WriteString("\n```sh\n")
		for line := range strings.Lines(command.Example + "\n") {
			text.WriteString(strings.TrimPrefix(line, "  "))
		}
		text.WriteString("```\n")
	}
	var own []*pflag.Flag
	shared := connectionFlags()
	command.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		isShared := slices.ContainsFunc(shared, func(other *pflag.Flag) bool { return other.Name == flag.Name && other.Usage == flag.Usage })
		if !isShared && !flag.Hidden && flag.Name != "help" {
			own = append(own, flag)
		}
	})
	if len(own) == 0 {
		return
	}
	text.WriteString("\n```text\n")
	for _, flag := range own {
		text.WriteString(flagLine(flag, true))
	}
	text.WriteString("```\n")
}

func longOf(command *cobra.Command) string {
	if command.Long != "" {
		return command.Long
	}
	return command.Short + "."
}

// escape keeps Markdown from reading anything into plain text.
func escape(text string) string {
	return strings.NewReplacer("<", `\<`, "*", `\*`, "_", `\_`).Replace(text)
}

// flagLine is a flag with its default, unless that is of the machine.
func flagLine(flag *pflag.Flag, withDefault bool) string {
	name := "    --" + flag.Name
	if flag.Shorthand != "" {
		name = "-" + flag.Shorthand + ", --" + flag.Name
	}
	kind, usage := pflag.UnquoteUsage(flag)
	if kind != "" {
		name += " " + kind
	}
	if zero := slices.Contains([]string{"", "false", "[]", "0s", "0"}, flag.DefValue); withDefault && !zero {
		usage += fmt.Sprintf(" (default %s)", flag.DefValue)
	}
	return fmt.Sprintf("%-36s %s\n", name, usage)
}

// connectionFlags are those of every command with a connection.
func connectionFlags() []*pflag.Flag {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	genericclioptions.NewConfigFlags(true).AddFlags(set)
	var flags []*pflag.Flag
	set.VisitAll(func(flag *pflag.Flag) { flags = append(flags, flag) })
	return flags
}
