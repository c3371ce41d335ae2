package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/portal"
)

// PortalOptions are the flags of the portal command.
type PortalOptions struct {
	ProcessOptions
	// Platform is the name of the OpenDataHub.
	Platform string
	// Guides of components, by their names.
	Guides map[string]portal.Guide
	// Authentication is as in spec.authentication.type.
	Authentication string
	// Address at which the page is served, of a loopback interface: the login is in front of it.
	Address string
}

func portalCommand(version string, all []components.Component) *cobra.Command {
	options := PortalOptions{ProcessOptions: ProcessOptions{Version: version}}
	guides := ""
	command := &cobra.Command{
		Use:   "portal --platform NAME",
		Short: "Serve the page of a platform, for the login proxy in front of it",
		Long: `Serve the page of a platform: its components, how they are, and how people begin to use them. spec.components.portal runs it.

It reads one OpenDataHub, and believes the headers in which the login proxy says who asks, so it listens on a loopback address only. Without
the proxy, as on your own machine, it shows what users see.`,
		Example: "  opendatahub portal --platform odh --namespace opendatahub --authentication Local    # until Ctrl-C, at http://127.0.0.1:8000",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) (err error) {
			if err := options.complete(); err != nil {
				return err
			}
			if options.Guides, err = readGuides(guides, all); err != nil {
				return err
			}
			config, err := options.config()
			if err != nil {
				return err
			}
			return RunPortal(command.Context(), config, options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.Kubeconfig, "kubeconfig", "", "kubeconfig file; without it $KUBECONFIG, or the Pod's own ServiceAccount")
	flags.StringVar(&options.Platform, "platform", "", "name of the OpenDataHub")
	flags.StringVar(&options.Namespace, "namespace", "", "namespace of the OpenDataHub; without it the Pod's")
	flags.StringVar(&guides, "guides", "", "folder with the guides of components, a <component>.yaml each; without it those of this version")
	flags.StringVar(&options.Authentication, "authentication", "", "Local, OIDC or OpenShift: who knows the visitors")
	flags.StringVar(&options.Address, "bind-address", "127.0.0.1:8000", "loopback address of the page")
	flags.StringVar(&options.ProbeAddress, "health-probe-bind-address", "0", "address of /healthz, 0 for none")
	flags.StringVar(&options.LogLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&options.LogFormat, "log-format", "json", "json or text")
	return command
}

func (o *PortalOptions) complete() error {
	if o.Platform == "" {
		return errors.New("--platform: name the OpenDataHub")
	}
	if err := validateLoopback(o.Address); err != nil {
		return fmt.Errorf("--bind-address %q: %w", o.Address, err)
	}
	switch v1alpha1.AuthenticationType(o.Authentication) {
	case v1alpha1.AuthenticationLocal, v1alpha1.AuthenticationOIDC, v1alpha1.AuthenticationOpenShift:
	default:
		return fmt.Errorf("--authentication %q: use Local, OIDC or OpenShift", o.Authentication)
	}
	if o.Namespace == "" {
		namespace, err := podNamespace()
		if err != nil {
			return err
		}
		o.Namespace = namespace
	}
	if o.Namespace == "" {
		return errors.New("--namespace: name that of the OpenDataHub, outside a Pod nothing else says it")
	}
	return nil
}

// readGuides reads those of a folder. Without a folder they are what the components declare, by their names.
func readGuides(folder string, all []components.Component) (map[string]portal.Guide, error) {
	if folder != "" {
		guides, err := portal.ReadGuides(os.DirFS(folder))
		if err != nil {
			return nil, fmt.Errorf("reading the guides in %s: %w", folder, err)
		}
		return guides, nil
	}
	guides := map[string]portal.Guide{}
	for _, component := range all {
		declarer, ok := component.(components.WithDeclarations)
		if !ok {
			continue
		}
		// No guide depends on the platform.
		for _, declared := range declarer.Declare(components.Facts{Spec: v1alpha1.OpenDataHubSpec{Profile: v1alpha1.ProfileStandard}}).Guides {
			guide, err := portal.ParseGuide(declared.Content)
			if err != nil {
				return nil, fmt.Errorf("reading the guide of %s: %w", component.Name(), err)
			}
			guides[component.Name()] = guide
		}
	}
	return guides, nil
}

// RunPortal serves the page until the context ends.
func RunPortal(ctx context.Context, config *rest.Config, options PortalOptions) error {
	scheme, err := cluster.Scheme()
	if err != nil {
		return err
	}
	key := client.ObjectKey{Namespace: options.Namespace, Name: options.Platform}
	platforms, err := cache.New(config, cache.Options{
		Scheme: scheme, DefaultNamespaces: map[string]cache.Config{key.Namespace: {}},
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.OpenDataHub{}: {Field: fields.OneTermEqualSelector("metadata.name", key.Name)},
		},
		ReaderFailOnMissingInformer: true,
	})
	if err != nil {
		return fmt.Errorf("making the cache: %w", err)
	}
	if _, err := platforms.GetInformer(ctx, &v1alpha1.OpenDataHub{}, cache.BlockUntilSynced(false)); err != nil {
		return fmt.Errorf("watching the platform: %w", err)
	}
	server := &http.Server{
		Handler: portal.New(portal.Options{
			Platform: key, Reader: platforms, Guides: options.Guides,
			Authentication: v1alpha1.AuthenticationType(options.Authentication), Review: portal.NewReviewer(config, key),
		}),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, // groups and tokens are in headers
	}
	watching, end := context.WithCancelCause(ctx)
	defer end(nil)
	watched := make(chan error, 1)
	go func() {
		err := platforms.Start(watching)
		watched <- err
		end(fmt.Errorf("watching the platform: %w", cmp.Or(err, errors.New("it ended"))))
	}()
	if !platforms.WaitForCacheSync(watching) {
		return errors.Join(ctx.Err(), <-watched)
	}
	if err := options.serve(watching, server, options.Address); err != nil || ctx.Err() != nil {
		return err
	}
	return context.Cause(watching)
}
