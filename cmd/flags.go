package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// choice is the value of a flag that takes one of a few words.
type choice struct {
	chosen  *string
	allowed []string
}

func (c choice) String() string { return *c.chosen }

func (choice) Type() string { return "string" }

func (c choice) Set(value string) error {
	if !slices.Contains(c.allowed, value) {
		return errors.New("use " + c.words())
	}
	*c.chosen = value
	return nil
}

// words lists them as a sentence does.
func (c choice) words() string {
	last := len(c.allowed) - 1
	return strings.Join(c.allowed[:last], ", ") + " or " + c.allowed[last]
}

// addChoice defines a flag that takes one of the words, the first unless another is given, and completes them. Without a usage it is
// that of the words alone.
func addChoice(command *cobra.Command, chosen *string, name, shorthand, usage string, allowed ...string) *pflag.Flag {
	value := choice{chosen, allowed}
	*chosen = allowed[0]
	if usage == "" {
		usage = value.words()
	}
	flag := command.Flags().VarPF(value, name, shorthand, usage)
	must(command.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp)))
	return flag
}

// addFiles defines the flag that names files with resources.
func addFiles(command *cobra.Command, files *[]string) {
	command.Flags().StringSliceVarP(files, "filename", "f", nil, "file with OpenDataHub resources, - for standard input; may be given several times")
	must(command.MarkFlagFilename("filename", "yaml", "yml", "json"))
}

// must is for flags that are defined right before.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// sayFlag is an error about a flag in few words.
func sayFlag(_ *cobra.Command, err error) error {
	if invalid := (*pflag.InvalidValueError)(nil); errors.As(err, &invalid) {
		return fmt.Errorf("--%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), errors.Unwrap(invalid))
	}
	return err
}

// ofConnection marks flags that are kubectl's, so that those of the command itself are not lost among them.
const ofConnection = "connection"

func isOfConnection(flag *pflag.Flag) bool { return flag.Annotations[ofConnection] != nil }

// selected are the flags of a set for which keep is true.
func selected(flags *pflag.FlagSet, keep func(*pflag.Flag) bool) *pflag.FlagSet {
	some := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(flag *pflag.Flag) {
		if keep(flag) {
			some.AddFlag(flag)
		}
	})
	return some
}

// teach has the help of every command show its own flags first, and those of kubectl below them.
func teach(root *cobra.Command) {
	cobra.AddTemplateFunc("own", func(flags *pflag.FlagSet) *pflag.FlagSet {
		return selected(flags, func(flag *pflag.Flag) bool { return !isOfConnection(flag) })
	})
	cobra.AddTemplateFunc("ofConnection", func(flags *pflag.FlagSet) *pflag.FlagSet { return selected(flags, isOfConnection) })
	const every = "Flags:\n{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}"
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), every,
		"Flags:\n{{(own .LocalFlags).FlagUsages | trimTrailingWhitespaces}}"+
			"{{with ofConnection .LocalFlags}}{{if .HasFlags}}\n\nFlags of the connection to the cluster, which are kubectl's:\n"+
			"{{.FlagUsages | trimTrailingWhitespaces}}{{end}}{{end}}", 1))
}
