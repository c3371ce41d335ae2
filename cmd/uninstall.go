package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/setup"
)

// uninstallOptions are the flags of the uninstall command.
type uninstallOptions struct {
	connection
	deletePlatforms bool
	deleteCRD       bool
	yes             bool
	timeout         time.Duration
}

func uninstallCommand() *cobra.Command {
	var options uninstallOptions
	command := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove the operator from a cluster, when no platform needs it any more",
		Long: `Remove the operator: it, its installer, its rights and its admission policies. However it was installed, by opendatahub install or by
make deploy; what the Operator Lifecycle Manager installed is removed there.

While there are OpenDataHubs it refuses, and lists them: nobody else takes their finalizers away. With --delete-platforms they are deleted
first, after you have confirmed it, and the operator goes when the last one is gone.

No data is deleted: platforms keep their volumes and logins, and one whose deletionPolicy is Delete is refused. The definition of
OpenDataHubs stays unless --delete-crd is given, and third-party operators stay. The operator's namespace goes if nothing else is in it.`,
		Example: `  opendatahub uninstall
  opendatahub uninstall --delete-platforms
  opendatahub uninstall --delete-platforms --delete-crd --yes`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return options.run(command.Context(), command.InOrStdin(), command.OutOrStdout())
		},
	}
	options.addTo(command)
	flags := command.Flags()
	must(flags.MarkHidden("namespace")) // it finds the operator wherever it is
	flags.BoolVar(&options.deletePlatforms, "delete-platforms", false, "delete all OpenDataHubs of the cluster first; their data stays")
	flags.BoolVar(&options.deleteCRD, "delete-crd", false, "delete the definition of OpenDataHubs as well")
	flags.BoolVar(&options.yes, "yes", false, "do not ask before platforms are deleted")
	flags.DurationVar(&options.timeout, "timeout", 15*time.Minute, "how long to wait for platforms, and for the operator to end")
	return command
}

func (o *uninstallOptions) run(ctx context.Context, in io.Reader, out io.Writer) error {
	writer, _, err := o.open()
	if err != nil {
		return err
	}
	removing := setupOf(writer, out)
	platforms, err := removing.Platforms(ctx)
	if err != nil {
		return err
	}
	if len(platforms) > 0 {
		if !o.deletePlatforms {
			return fmt.Errorf("there are platforms, which the operator must remove before it goes:\n%s\n"+
				"Delete them yourself (kubectl delete odh NAME -n NAMESPACE), or all with --delete-platforms; their data stays", list(platforms))
		}
		if !o.yes {
			if err := confirm(in, out, platforms); err != nil {
				return err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if len(platforms) > 0 {
		if err := removing.DeletePlatforms(ctx, platforms); err != nil {
			return err
		}
	}
	if err := removing.Uninstall(ctx, setup.Removal{CRD: o.deleteCRD}); err != nil {
		return err
	}
	kept, err := removing.Kept(ctx)
	if err != nil {
		return err
	}
	for _, namespace := range slices.Sorted(maps.Keys(kept)) {
		_, _ = fmt.Fprintf(out, "kept in namespace %s because they hold data: %s; see kubectl get pvc,secret,configmap -n %[1]s -l opendatahub.io/data=true\n", namespace, counted(kept[namespace], "object"))
	}
	_, err = fmt.Fprintln(out, "The operator is removed.")
	return err
}

func list(platforms []v1alpha1.OpenDataHub) string {
	var lines []string
	for i := range platforms {
		lines = append(lines, fmt.Sprintf("  OpenDataHub %s/%s", platforms[i].Namespace, platforms[i].Name))
	}
	return strings.Join(lines, "\n")
}

// confirm asks before platforms are deleted. Where nobody can answer, nothing is deleted.
func confirm(in io.Reader, out io.Writer, platforms []v1alpha1.OpenDataHub) error {
	if file, ok := in.(*os.File); ok && !term.IsTerminal(int(file.Fd())) {
		return errors.New("nobody can be asked whether the platforms may be deleted: add --yes if they may")
	}
	_, _ = fmt.Fprintf(out, "These platforms are deleted, with all that runs in them; their data stays:\n%s\nType yes to go on: ", list(platforms))
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing is deleted: the answer was not yes")
	}
	return nil
}
