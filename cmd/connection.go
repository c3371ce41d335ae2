package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/cluster"
)

// connection are the flags of commands that talk to a cluster: those of kubectl.
type connection struct {
	flags *genericclioptions.ConfigFlags
}

// addTo defines the flags.
func (c *connection) addTo(command *cobra.Command) {
	c.flags = genericclioptions.NewConfigFlags(true)
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.flags.AddFlags(flags)
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Name == "namespace" {
			flag.Usage = "namespace of the platform; without it that of the current context"
			return
		}
		must(flags.SetAnnotation(flag.Name, ofConnection, []string{"true"}))
	})
	command.Flags().AddFlagSet(flags)
	must(command.RegisterFlagCompletionFunc("namespace", c.complete(namespaces)))
}

// namespace is that of the flag, or of the current context.
func (c *connection) namespace() (string, error) {
	namespace, _, err := c.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("finding a cluster: %w", err)
	}
	return namespace, nil
}

// config says which cluster, and who asks.
func (c *connection) config() (*rest.Config, error) {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("finding a cluster: %w", err)
	}
	loader := c.flags.ToRawKubeConfigLoader()
	raw, err := loader.RawConfig()
	if err == nil && api.IsConfigEmpty(&raw) && *c.flags.APIServer == "" && config.Host == clientcmd.ClusterDefaults.Server {
		return nil, fmt.Errorf("finding a cluster: there is no kubeconfig at %s; name one with --kubeconfig or $KUBECONFIG, or a cluster with --server",
			strings.Join(loader.ConfigAccess().GetLoadingPrecedence(), " or "))
	}
	config.QPS = -1 // the API server says what is too much
	return config, nil
}

// clients connects with typed clients, for what client.Client cannot: logs.
func (c *connection) clients() (kubernetes.Interface, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// open connects with the caller's own rights.
func (c *connection) open() (client.WithWatch, discovery.DiscoveryInterface, error) {
	config, err := c.config()
	if err != nil {
		return nil, nil, err
	}
	scheme, err := cluster.Scheme()
	if err != nil {
		return nil, nil, err
	}
	reader, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, nil, err
	}
	asked, err := discovery.NewDiscoveryClientForConfig(config)
	return reader, asked, err
}
