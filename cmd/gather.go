package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/inspect"
)

// gatherOptions are the flags of the gather command.
type gatherOptions struct {
	connection
	operatorNamespace string
	file              string
}

func gatherCommand(all []components.Component) *cobra.Command {
	var options gatherOptions
	command := &cobra.Command{
		Use:   "gather NAME",
		Short: "Write an archive about a platform for those who help, without the values of Secrets",
		Long: `Write an archive (tar.gz) about a platform: the resource, the objects of its components, Pods with the ends of their logs, Events,
volumes, the operator in its own namespace, nodes and StorageClasses.

Of Secrets only names and keys are in it. Their values, plain or in base64, are also taken out of everything else, such as logs, if you
may read the Secrets. What you may not read is listed in unread.txt. Read the archive before you give it away: host names, user names
and what programs log are in it.`,
		Example: `  opendatahub gather odh -n opendatahub
  opendatahub gather odh -n opendatahub --file - | tar -tz`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			return options.run(command.Context(), all, arguments[0], command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	options.addTo(command)
	flags := command.Flags()
	flags.StringVar(&options.operatorNamespace, "operator-namespace", authority.DefaultNamespace, "namespace of this operator")
	flags.StringVar(&options.file, "file", "", "file to write, which must not exist; - for standard output (default NAMESPACE-NAME-TIME.tar.gz)")
	return command
}

func (o *gatherOptions) run(ctx context.Context, all []components.Component, name string, out, log io.Writer) error {
	namespace, err := o.namespace()
	if err != nil {
		return err
	}
	reader, discovery, err := o.open()
	if err != nil {
		return err
	}
	clients, err := o.clients()
	if err != nil {
		return err
	}
	gathered, err := inspect.New(reader, discovery, all).Gather(ctx, clients, client.ObjectKey{Namespace: namespace, Name: name}, o.operatorNamespace)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	folder := fmt.Sprintf("%s-%s-%s", namespace, name, now.Format("20060102T150405Z"))
	if o.file == "-" {
		return gathered.Write(out, folder, now)
	}
	path := o.file
	if path == "" {
		path = folder + ".tar.gz"
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(gathered.Write(file, folder, now), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	for _, unread := range gathered.Unread {
		_, _ = fmt.Fprintf(log, "not read: %s\n", unread)
	}
	_, err = fmt.Fprintf(out, "%s: %d files\n", path, len(gathered.Files))
	return err
}
