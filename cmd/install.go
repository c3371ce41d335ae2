package cmd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/config"
	"opendatahub.io/operator/setup"
)

// installOptions are the flags of the install command.
type installOptions struct {
	connection
	image            string
	withoutInstaller bool
	clusterWide      bool
	watchNamespaces  []string
	dryRun           string
	force            bool
	wait             bool
	timeout          time.Duration
}

func installCommand() *cobra.Command {
	var options installOptions
	command := &cobra.Command{
		Use:   "install",
		Short: "Install the operator in a cluster, or upgrade it",
		Long: `Install the operator: the definition of OpenDataHubs, its rights, its admission policies, and the operator with its installer of third-party
operators, in a namespace of their own. The manifests are in this binary. It waits until they run, and says what to do next.

Run again it changes nothing, and from a newer binary it upgrades. With other flags it changes to another variant, and deletes what that
does not have. Platforms go on meanwhile. It takes the rights of an administrator of the cluster, because it grants the operator its own.

By default the operator looks after every namespace, and may change those that hold a platform; its installer, a process of its own, installs
third-party operators and may do everything in the cluster. --without-installer leaves that out: every platform then says what to install by
hand. --watch-namespaces names the only namespaces that the operator looks at; they must exist. --cluster-wide gives it its rights in all.

Fields that somebody else has set, such as kubectl patch, are a conflict, which is shown and changes nothing of that object; --force-conflicts
takes them over.`,
		Example: `  opendatahub install --image registry.example.com/opendatahub/operator:v0.1.0
  opendatahub install --dry-run | less
  opendatahub install --dry-run=server
  opendatahub install --without-installer --watch-namespaces opendatahub,research`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return options.run(command.Context(), command.OutOrStdout())
		},
	}
	options.addTo(command)
	flags := command.Flags()
	flags.Lookup("namespace").Usage = "namespace of the operator (default " + config.Namespace + ")"
	flags.StringVar(&options.image, "image", "", "image that the operator and its installer run from; without it that of this version")
	flags.BoolVar(&options.withoutInstaller, "without-installer", false, "leave out the installer of third-party operators")
	flags.BoolVar(&options.clusterWide, "cluster-wide", false, "give the operator its rights in every namespace, whether or not it holds a platform")
	flags.StringSliceVar(&options.watchNamespaces, "watch-namespaces", nil, "the only namespaces that the operator looks at; takes --without-installer")
	dryRun := addChoice(command, &options.dryRun, "dry-run", "", "client: print the manifests as YAML, without any cluster; server: have the API server try them", "none", "client", "server")
	dryRun.NoOptDefVal = "client"
	flags.BoolVar(&options.force, "force-conflicts", false, "take over what others have set")
	flags.BoolVar(&options.wait, "wait", true, "wait until the operator runs")
	flags.DurationVar(&options.timeout, "timeout", 5*time.Minute, "how long to wait")
	return command
}

func (o *installOptions) run(ctx context.Context, out io.Writer) error {
	if len(o.watchNamespaces) > 0 && !o.withoutInstaller {
		return fmt.Errorf("--watch-namespaces: the installer may do everything in the cluster; add --without-installer")
	}
	// The namespace of the current context is that of somebody's work, and never meant.
	objects, err := config.Render(config.Options{
		Namespace: *o.flags.Namespace, Image: o.image, Installer: !o.withoutInstaller, ClusterWide: o.clusterWide, WatchNamespaces: o.watchNamespaces,
	})
	if err != nil {
		return err
	}
	setup.Sort(objects)
	if o.dryRun == "client" {
		var text bytes.Buffer
		for _, object := range objects {
			content, err := yaml.Marshal(object.Object)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(&text, "---\n%s", content)
		}
		_, err := text.WriteTo(out)
		return err
	}
	writer, _, err := o.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	installing := setupOf(writer, out)
	if err := installing.Install(ctx, setup.Installation{Objects: objects, DryRun: o.dryRun == "server", Force: o.force}); err != nil {
		return err
	}
	if o.dryRun == "server" {
		_, err = fmt.Fprintln(out, "This was a dry run: nothing has changed.")
		return err
	}
	if !o.wait {
		return nil
	}
	if err := installing.Wait(ctx, objects); err != nil {
		return err
	}
	_, err = fmt.Fprint(out, o.next())
	return err
}

// setupOf says what it does, a line each.
func setupOf(writer client.Client, out io.Writer) *setup.Setup {
	return &setup.Setup{Client: writer, Say: func(line string) { _, _ = fmt.Fprintln(out, line) }}
}

// next is what to do with an operator that runs.
func (o *installOptions) next() string {
	namespace, granted := "opendatahub", ""
	if len(o.watchNamespaces) > 0 {
		namespace = o.watchNamespaces[0]
	}
	install := fmt.Sprintf("  kubectl create namespace %s\n  kubectl label namespace %[1]s opendatahub.io/allow-installs=true   # the installer may install what its platform needs\n", namespace)
	switch {
	case len(o.watchNamespaces) > 0:
		install = ""
	case o.withoutInstaller:
		install = fmt.Sprintf("  kubectl create namespace %s\n", namespace)
		granted = "  opendatahub dependencies -f hub.yaml                  # third-party operators, to be installed by hand\n"
		if !o.clusterWide {
			granted += "  opendatahub grants -f hub.yaml | kubectl apply --server-side -f -\n"
		}
	}
	return fmt.Sprintf(`The operator runs. Next, write a platform to hub.yaml:

  apiVersion: opendatahub.io/v1alpha1
  kind: OpenDataHub
  metadata: {name: odh, namespace: %[1]s}
  spec: {components: {jupyterHub: {}}}

and create it:

%[2]s%[3]s  opendatahub doctor -f hub.yaml                        # what would keep it from working
  kubectl apply -f hub.yaml
  opendatahub wait odh -n %[1]s
  opendatahub status -n %[1]s                           # where it is used, and the logins
`, namespace, install, granted)
}
