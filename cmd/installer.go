package cmd

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/controllers/serving"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer"
)

const caUsage = "file with authorities, in PEM, that repositories of charts may have their certificates from besides those that the system trusts"

// InstallerOptions are the flags of the installer command.
type InstallerOptions struct {
	ProcessOptions
	RegistryConfig string
	// CAFile has the authorities of repositories of charts.
	CAFile string
	// Images are what an administrator puts in the places of the images in charts.
	Images images.Table
}

func installerCommand(version string, all []components.Component) *cobra.Command {
	options := InstallerOptions{ProcessOptions: ProcessOptions{Version: version}}
	command := &cobra.Command{
		Use:   "installer",
		Short: "Run the installer of third-party operators",
		Long: `Run the installer of third-party operators: it installs those that the platforms of a cluster need, through the Operator
Lifecycle Manager or as Helm charts, and uses those that are there. It is a process of its own because installing operators
takes rights that the rest of this operator must not have.

What it installs is in its table (opendatahub dependencies shows it) and in the ConfigMap opendatahub-installer of its own
namespace. Nothing in an OpenDataHub chooses a chart, a repository, a version, a value or a catalogue.`,
		Args: cobra.NoArgs,
	}
	complete := options.flags(command)
	flags := command.Flags()
	flags.StringVar(&options.RegistryConfig, "registry-config", "", "file with the credentials of OCI registries, as docker login writes it")
	flags.StringVar(&options.CAFile, "ca-file", "", caUsage)
	table := ""
	flags.StringVar(&table, "images", os.Getenv(imagesVariable), imagesUsage+"; $"+imagesVariable+" is the default")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := complete(); err != nil {
			return err
		}
		var err error
		if options.Images, err = readImages(table); err != nil {
			return err
		}
		return RunInstaller(command.Context(), options, all)
	}
	return command
}

// RunInstaller runs the installer until the context ends.
func RunInstaller(ctx context.Context, options InstallerOptions, all []components.Component) error {
	config, err := options.config()
	if err != nil {
		return err
	}
	mgr, err := NewInstaller(ctx, config, options, all)
	if err != nil {
		return err
	}
	return options.run(ctx, mgr, "installer of third-party operators")
}

// NewInstaller makes a manager with the installer.
func NewInstaller(ctx context.Context, config *rest.Config, options InstallerOptions, all []components.Component) (ctrl.Manager, error) {
	if options.Namespace == "" {
		return nil, errors.New("--namespace: the installer must know its own namespace, in which it finds its configuration")
	}
	setup := installer.Options{
		Namespace: options.Namespace, WatchNamespaces: options.WatchNamespaces, RegistryConfig: options.RegistryConfig, CAFile: options.CAFile, UserAgent: "opendatahub/" + options.Version, Images: options.Images,
	}
	cacheOptions, err := installer.CacheOptions(setup)
	if err != nil {
		return nil, err
	}
	mgr, certificate, err := options.newManager(ctx, config, serving.Installer, dependencies.LeaseName, cacheOptions, nil)
	if err != nil {
		return nil, err
	}
	setup.MetricsCertificate = certificate
	return mgr, installer.Setup(ctx, mgr, all, setup)
}
