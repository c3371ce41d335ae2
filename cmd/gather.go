package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/inspect"
)

// gatherOptions are the flags of the gather command.
type gatherOptions struct {
	connection
	operatorNamespace string
	file              string
	all               bool
	directory         string
	age               time.Duration
	time              string
}

func gatherCommand(version string, all []components.Component) *cobra.Command {
	var options gatherOptions
	command := &cobra.Command{
		Use:   "gather NAME",
		Short: "Write an archive about a platform for those who help, without the values of Secrets",
		Long: `Write an archive (tar.gz) about a platform: the resource, the objects of its components, Pods with the ends of their logs, Events,
volumes, the operator in its own namespace, nodes and StorageClasses.

Of Secrets only names and keys are in it. Their values, plain or in base64, are also taken out of everything else, such as logs, if you
may read the Secrets. What you may not read is listed in unread.txt. Read the archive before you give it away: host names, user names
and what programs log are in it.

With --all it writes about every platform of the cluster, into folders. That is what it does when it is called as gather, as oc adm
must-gather calls it: into /must-gather, so that only other flags are given. There $` + sinceVariable + ` and $` + sinceTimeVariable + `, which oc sets,
are what --since and --since-time are without them.`,
		Example: `  opendatahub gather odh -n opendatahub
  opendatahub gather odh -n opendatahub --file - | tar -tz
  opendatahub gather --all --directory about-all`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			since, err := options.since(time.Now())
			switch {
			case err != nil:
				return err
			case options.all != (len(arguments) == 0):
				return errors.New("name one platform, or give --all")
			case options.all && (options.directory == "" || options.file != ""):
				return errors.New("--all writes into a --directory, and no --file")
			case options.all:
				return options.runAll(command.Context(), version, all, since, command.OutOrStdout(), command.ErrOrStderr())
			case options.directory != "":
				return errors.New("--directory goes with --all")
			}
			return options.run(command.Context(), all, arguments[0], since, command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	options.addTo(command)
	flags := command.Flags()
	flags.StringVar(&options.operatorNamespace, "operator-namespace", authority.DefaultNamespace, "namespace of this operator")
	flags.StringVar(&options.file, "file", "", "file to write, which must not exist; - for standard output (default NAMESPACE-NAME-TIME.tar.gz)")
	flags.DurationVar(&options.age, "since", 0, "logs of this time before now only, as in 2h")
	flags.StringVar(&options.time, "since-time", "", "logs from this time on only, as in 2026-11-26T10:00:00Z")
	flags.BoolVar(&options.all, "all", false, "write about every platform of the cluster")
	options.completesName(command)
	flags.StringVar(&options.directory, "directory", "", "folder for --all, in which each platform has one, NAMESPACE/NAME")
	return command
}

// Variables that oc adm must-gather sets by its own flags of these names.
const (
	sinceVariable     = "MUST_GATHER_SINCE"
	sinceTimeVariable = "MUST_GATHER_SINCE_TIME"
)

// since is from when on logs are gathered. Zero: from their beginning.
func (o *gatherOptions) since(now time.Time) (time.Time, error) {
	age, from := o.age, o.time
	if age == 0 && from == "" && o.all {
		from = os.Getenv(sinceTimeVariable)
		if text := os.Getenv(sinceVariable); text != "" {
			var err error
			if age, err = time.ParseDuration(text); err != nil {
				return time.Time{}, fmt.Errorf("%s: %w", sinceVariable, err)
			}
		}
	}
	switch {
	case age != 0 && from != "":
		return time.Time{}, errors.New("--since and --since-time say the same: give one")
	case age < 0:
		return time.Time{}, fmt.Errorf("--since %s: use a time such as 2h", age)
	case age > 0:
		return now.Add(-age), nil
	case from == "":
		return time.Time{}, nil
	}
	parsed, err := time.Parse(time.RFC3339, from)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since-time %q: use a time such as 2026-11-26T10:00:00Z", from)
	}
	return parsed, nil
}

// mustGather is where oc adm must-gather looks for what was gathered.
const mustGather = "/must-gather"

func (o *gatherOptions) runAll(ctx context.Context, version string, all []components.Component, since time.Time, out, log io.Writer) error {
	reader, discovery, err := o.open()
	if err != nil {
		return err
	}
	clients, err := o.clients()
	if err != nil {
		return err
	}
	return o.gatherAll(ctx, version, all, reader, discovery, clients, since, out, log)
}

// gatherAll gathers as much as it can: what fails for one platform is reported at the end.
func (o *gatherOptions) gatherAll(ctx context.Context, version string, all []components.Component, reader client.Client,
	discovery discovery.DiscoveryInterface, clients kubernetes.Interface, since time.Time, out, log io.Writer,
) error {
	if err := os.MkdirAll(o.directory, 0o700); err != nil {
		return err
	}
	// Which program and which version of it wrote the rest, as oc adm must-gather wants to know.
	if err := os.WriteFile(filepath.Join(o.directory, "version"), []byte("opendatahub-operator\n"+version+"\n"), 0o600); err != nil {
		return err
	}
	var platforms v1alpha1.OpenDataHubList
	if err := reader.List(ctx, &platforms); err != nil {
		return err
	}
	var (
		failed []error
		keys   []client.ObjectKey
		about  []*inspect.Gathered
	)
	for _, odh := range platforms.Items {
		key := client.ObjectKeyFromObject(&odh)
		gathered, err := inspect.New(reader, discovery, all).Gather(ctx, clients, key, o.operatorNamespace, since)
		if err != nil {
			failed = append(failed, fmt.Errorf("OpenDataHub %s: %w", key, err))
			continue
		}
		keys, about = append(keys, key), append(about, gathered)
	}
	inspect.ScrubAll(about)
	for i, gathered := range about {
		folder := filepath.Join(o.directory, keys[i].Namespace, keys[i].Name)
		if err := gathered.Save(folder); err != nil {
			failed = append(failed, err)
			continue
		}
		for _, unread := range gathered.Unread {
			_, _ = fmt.Fprintf(log, "%s: not read: %s\n", keys[i], unread)
		}
		_, _ = fmt.Fprintf(out, "%s: %d files\n", folder, len(gathered.Files))
	}
	return errors.Join(failed...)
}

func (o *gatherOptions) run(ctx context.Context, all []components.Component, name string, since time.Time, out, log io.Writer) error {
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
	gathered, err := inspect.New(reader, discovery, all).Gather(ctx, clients, client.ObjectKey{Namespace: namespace, Name: name}, o.operatorNamespace, since)
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
