package cmd

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

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
	for _, group := range root.Groups() {
		fmt.Fprintf(&text, "\n## %s\n", strings.TrimSuffix(group.Title, ":"))
		for _, command := range root.Commands() {
			if command.GroupID == group.ID && command.Name() != "completion" && command.Name() != "help" {
				writeCommand(&text, command)
			}
		}
	}
	text.WriteString("\n### opendatahub completion\n\nPrints a script that completes commands and flags in a shell; `opendatahub completion --help` says how to load it.\n")
	text.WriteString("\n## Flags of all commands that talk to a cluster\n\nThey are those of kubectl.\n\n")
	status, _, err := root.Find([]string{"status"})
	if err != nil {
		return err
	}
	writeFlags(&text, status, isOfConnection, false)
	_, err = text.WriteTo(out)
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
	own := func(flag *pflag.Flag) bool { return !isOfConnection(flag) && !flag.Hidden && flag.Name != "help" }
	if selected(command.LocalFlags(), own).HasFlags() {
		text.WriteString("\n")
		writeFlags(text, command, own, true)
	}
}

// writeFlags writes those of a command for which keep is true. Defaults of some are of the machine that this runs on.
func writeFlags(text *bytes.Buffer, command *cobra.Command, keep func(*pflag.Flag) bool, withDefault bool) {
	text.WriteString("```text\n")
	selected(command.LocalFlags(), keep).VisitAll(func(flag *pflag.Flag) { text.WriteString(flagLine(flag, withDefault)) })
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
