package cmd

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
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
	c.flags.AddFlags(command.Flags())
}

// namespace is that of the flag, or of the current context.
func (c *connection) namespace() (string, error) {
	namespace, _, err := c.flags.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}

// clients connects with typed clients, for what client.Client cannot: logs.
func (c *connection) clients() (kubernetes.Interface, error) {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("finding a cluster: %w", err)
	}
	config.QPS = -1
	return kubernetes.NewForConfig(config)
}

// open connects with the caller's own rights.
func (c *connection) open() (client.WithWatch, discovery.DiscoveryInterface, error) {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, nil, fmt.Errorf("finding a cluster: %w", err)
	}
	config.QPS = -1 // the API server says what is too much
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
