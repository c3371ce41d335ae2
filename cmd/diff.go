package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/inspect"
)

// Codes with which diff ends, those of diff and kubectl diff.
const (
	exitDiffers = 1
	exitTrouble = 2
)

// diffOptions are the flags of the diff command.
type diffOptions struct {
	connection
	files             []string
	operatorNamespace string
	operatorImage     string
	table             string
	format            string
}

func diffCommand(all []components.Component) *cobra.Command {
	var options diffOptions
	command := &cobra.Command{
		Use:   "diff [NAME]",
		Short: "Show what the operator would change in the cluster, for a platform or for a changed resource",
		Long: `Show how what is in the cluster differs from what the operator would make of an OpenDataHub resource: with -f of the resource in the file,
as a look at a change before it is applied; without it of the platform in the namespace, as a look at what somebody changed by hand.

The objects are rendered with the facts of the cluster, and every one is applied in a dry run of the API server, as the operator would, so
that defaults and fields that others own make no difference. Nothing is written. Lines with - are in the cluster, lines with + are what the
operator would make of them. Values of Secrets are never shown, but short digests, which differ where values do. What an operator that
runs has repaired is no difference; a component whose managementState is Unmanaged is not repaired, and is shown.

The resource itself is not compared: kubectl diff -f does that. Finalizers, and what third-party operators make of the objects, are left out.

It works with your own rights. A dry run takes the right to patch what it compares. Without it, the record of the API server still tells whether
the operator would change an object, but not what.

Exit codes, as of kubectl diff: 0 no difference, 1 there are differences, 2 something could not be compared.`,
		Example: `  opendatahub diff -n opendatahub
  opendatahub diff -f hub.yaml
  opendatahub diff -f hub.yaml -o json | jq -r '.[].differences[] | [.change, .kind, .name] | @tsv'`,
		Args: func(command *cobra.Command, arguments []string) error {
			if err := cobra.MaximumNArgs(1)(command, arguments); err != nil {
				return trouble{err}
			}
			return nil
		},
		RunE: func(command *cobra.Command, arguments []string) error {
			differs, err := options.run(command.Context(), all, arguments, command.InOrStdin(), command.OutOrStdout(), command.ErrOrStderr())
			switch {
			case err != nil:
				return trouble{err}
			case differs:
				return found(exitDiffers)
			}
			return nil
		},
	}
	command.SetFlagErrorFunc(func(command *cobra.Command, err error) error { return trouble{sayFlag(command, err)} })
	options.addTo(command)
	flags := command.Flags()
	addFiles(command, &options.files)
	flags.Lookup("namespace").Usage = "namespace of the platform, and of resources that do not say theirs; without it that of the current context"
	flags.StringVar(&options.operatorNamespace, "operator-namespace", authority.DefaultNamespace, "namespace of the operator")
	flags.StringVar(&options.operatorImage, "operator-image", "", "image that the operator runs from, if you may not read its Deployment")
	flags.StringVar(&options.table, "images", "", imagesUsage+", if you may not read the operator's")
	addChoice(command, &options.format, "output", "o", "", "text", "json")
	options.completesName(command)
	return command
}

// trouble is an error of a command for which exit code 1 is a result.
type trouble struct{ error }

func (t trouble) Unwrap() error { return t.error }

func (o *diffOptions) run(ctx context.Context, all []components.Component, arguments []string, stdin io.Reader, out, warn io.Writer) (differs bool, err error) {
	if len(arguments) > 0 && len(o.files) > 0 {
		return false, fmt.Errorf("%s: with --filename the names are in the files", arguments[0])
	}
	namespace, err := o.namespace()
	if err != nil {
		return false, err
	}
	reader, discovery, err := o.open()
	if err != nil {
		return false, err
	}
	looking := inspect.New(reader, discovery, all)
	settings, err := o.settings(ctx, looking, warn)
	if err != nil {
		return false, err
	}
	odhs, err := o.resources(ctx, reader, namespace, arguments, stdin)
	if err != nil {
		return false, err
	}
	results := []inspect.Comparison{}
	var failed []error
	for _, odh := range odhs {
		result, err := looking.Compare(ctx, odh, settings)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		results = append(results, result)
		differs = differs || len(result.Differences) > 0
		for _, warning := range result.Warnings {
			_, _ = fmt.Fprintf(warn, "warning: %s\n", warning)
		}
		for _, problem := range result.Problems {
			failed = append(failed, fmt.Errorf("OpenDataHub %s/%s: %s", result.Namespace, result.Name, problem))
		}
	}
	return differs, errors.Join(errors.Join(failed...), o.print(out, results))
}

// settings are those of the manager that runs in the cluster, unless flags say otherwise.
func (o *diffOptions) settings(ctx context.Context, looking *inspect.Reader, warn io.Writer) (inspect.Settings, error) {
	settings, err := looking.Settings(ctx, o.operatorNamespace)
	if apierrors.IsForbidden(err) {
		if o.operatorImage == "" && o.table == "" {
			_, _ = fmt.Fprintf(warn, "warning: you may not read how the operator in namespace %s is set up, so it is assumed that it runs as shipped; --operator-image and --images say otherwise\n",
				o.operatorNamespace)
		}
		err = nil
	}
	if o.operatorImage != "" {
		settings.Image = o.operatorImage
	}
	if o.table != "" {
		related := settings.Images.Related
		settings.Images, err = readImages(o.table)
		settings.Images.Related = related
	}
	return settings, err
}

// resources are those of the files, or the platforms of the namespace.
func (o *diffOptions) resources(ctx context.Context, reader client.Client, namespace string, arguments []string, stdin io.Reader) ([]*v1alpha1.OpenDataHub, error) {
	if len(o.files) == 0 {
		return platformsIn(ctx, reader, namespace, arguments)
	}
	var odhs []*v1alpha1.OpenDataHub
	files := resourceFiles{files: o.files, namespace: namespace}
	failed := files.visit(stdin, func(where string, odh *v1alpha1.OpenDataHub) []error {
		existing := &v1alpha1.OpenDataHub{}
		err := reader.Get(ctx, client.ObjectKeyFromObject(odh), existing)
		if client.IgnoreNotFound(err) != nil {
			return []error{fmt.Errorf("%s: %w", where, err)}
		}
		odh.UID, odh.DeletionTimestamp = existing.UID, existing.DeletionTimestamp
		odhs = append(odhs, odh)
		return nil
	})
	return odhs, errors.Join(failed...)
}

func platformsIn(ctx context.Context, reader client.Client, namespace string, arguments []string) ([]*v1alpha1.OpenDataHub, error) {
	if len(arguments) > 0 {
		odh, err := inspect.Get(ctx, reader, client.ObjectKey{Namespace: namespace, Name: arguments[0]})
		return []*v1alpha1.OpenDataHub{odh}, err
	}
	list := &v1alpha1.OpenDataHubList{}
	if err := reader.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("there is no OpenDataHub in namespace %s: name another one with -n, or a resource with -f", namespace)
	}
	var odhs []*v1alpha1.OpenDataHub
	for i := range list.Items {
		odhs = append(odhs, &list.Items[i])
	}
	return odhs, nil
}

func (o *diffOptions) print(out io.Writer, results []inspect.Comparison) error {
	if o.format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(results)
	}
	style := styleFor(out)
	for _, result := range results {
		for _, difference := range result.Differences {
			for line := range strings.Lines(difference.Diff) {
				if _, err := io.WriteString(out, style.diffLine(line)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// diffLine colours a line of a diff.
func (s style) diffLine(line string) string {
	text := strings.TrimSuffix(line, "\n")
	var colour string
	switch {
	case strings.HasPrefix(text, "---"), strings.HasPrefix(text, "+++"):
		colour = "1"
	case strings.HasPrefix(text, "-"):
		colour = "31"
	case strings.HasPrefix(text, "+"):
		colour = "32"
	case strings.HasPrefix(text, "@@"):
		colour = "36"
	default:
		return line
	}
	return s.paint(text, colour) + "\n"
}
