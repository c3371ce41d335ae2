package cmd

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/controllers"
	"opendatahub.io/operator/controllers/serving"
)

const managerLease = "opendatahub-operator"

// ManagerOptions are the flags of the manager command.
type ManagerOptions struct {
	ProcessOptions
	// Image that the manager runs from. Empty: that of this version.
	Image string
	// Images and UnsafePatches are as in components.Cluster.
	Images        images.Table
	UnsafePatches bool
}

func managerCommand(version string, all []components.Component) *cobra.Command {
	options := ManagerOptions{ProcessOptions: ProcessOptions{Version: version}}
	command := &cobra.Command{
		Use:   "manager",
		Short: "Run the controllers that deploy the platforms of a cluster",
		Args:  cobra.NoArgs,
	}
	complete := options.flags(command)
	command.Flags().StringVar(&options.Image, "image", os.Getenv("OPERATOR_IMAGE"),
		"image that the operator runs from, for components that run it as well; $OPERATOR_IMAGE is the default, and without it that of this version")
	table := ""
	command.Flags().StringVar(&table, "images", os.Getenv(imagesVariable), imagesUsage+"; $"+imagesVariable+" is the default")
	command.Flags().BoolVar(&options.UnsafePatches, "allow-unsafe-patches", false,
		"let patches in OpenDataHub resources loosen the security of Pods and change rights")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := complete(); err != nil {
			return err
		}
		var unknown []string
		var err error
		if options.Images, unknown, err = managerImages(table, os.Environ(), all); err != nil {
			return err
		}
		if len(unknown) > 0 {
			ctrl.Log.Info("Ignored variables of images that no component has", "variables", unknown)
		}
		return RunManager(command.Context(), options, all)
	}
	return command
}

// RunManager runs the controllers until the context ends.
func RunManager(ctx context.Context, options ManagerOptions, all []components.Component) error {
	config, err := options.config()
	if err != nil {
		return err
	}
	mgr, err := NewManager(ctx, config, options, all)
	if err != nil {
		return err
	}
	return options.run(ctx, mgr, "Open Data Hub operator")
}

// NewManager makes a manager with all controllers.
func NewManager(ctx context.Context, config *rest.Config, options ManagerOptions, all []components.Component) (ctrl.Manager, error) {
	mapper := func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return controllers.Mapper(all), nil }
	mgr, certificate, err := options.newManager(ctx, config, serving.Operator, managerLease, controllers.CacheOptions(all, options.WatchNamespaces), mapper)
	if err != nil {
		return nil, err
	}
	return mgr, controllers.Setup(ctx, mgr, all, controllers.Options{
		Namespaces: options.WatchNamespaces, OwnNamespace: options.Namespace, MetricsCertificate: certificate, Image: options.Image, Images: options.Images, UnsafePatches: options.UnsafePatches,
	})
}

const (
	imagesUsage = "file with an administrator's table of images: what takes the places of images and of registries"
	// imagesVariable is the default of --images where it is not the flags that can be changed, as in a Subscription.
	imagesVariable = "OPENDATAHUB_IMAGES"
)

// readImages reads the table of a file; without a file nothing is replaced.
func readImages(file string) (images.Table, error) {
	if file == "" {
		return images.Table{}, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return images.Table{}, fmt.Errorf("--images: %w", err)
	}
	table, err := images.ParseTable(content)
	if err != nil {
		return images.Table{}, fmt.Errorf("--images %s: %w", file, err)
	}
	return table, nil
}

// managerImages is the table of a file over what the environment says of single images, and the variables that say nothing to this version.
func managerImages(file string, environment []string, all []components.Component) (table images.Table, unknown []string, err error) {
	if table, err = readImages(file); err != nil {
		return table, nil, err
	}
	table.Related, unknown, err = images.Related(environment, components.Images(all))
	return table, unknown, err
}
