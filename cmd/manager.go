package cmd

import (
	"context"
	"net/http"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers"
)

const managerLease = "opendatahub-operator"

// ManagerOptions are the flags of the manager command.
type ManagerOptions struct {
	ProcessOptions
	// Image that the manager runs from. Empty: that of this version.
	Image string
	// UnsafePatches is as in components.Cluster.
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
	command.Flags().BoolVar(&options.UnsafePatches, "allow-unsafe-patches", false,
		"let patches in OpenDataHub resources loosen the security of Pods and change rights")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := complete(); err != nil {
			return err
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
	mgr, err := options.newManager(config, managerLease, controllers.CacheOptions(all, options.WatchNamespaces), mapper)
	if err != nil {
		return nil, err
	}
	return mgr, controllers.Setup(ctx, mgr, all, controllers.Options{
		Namespaces: options.WatchNamespaces, OwnNamespace: options.Namespace, Image: options.Image, UnsafePatches: options.UnsafePatches,
	})
}
