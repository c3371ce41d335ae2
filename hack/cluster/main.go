// Command cluster runs a local Kubernetes cluster without containers, for people to try the operator on; tests
// use the library below it directly.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"opendatahub.io/operator/hack/node"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/cluster/strimzi"
)

const defaultPort = 16443

func main() {
	// The library says what there is to say; controller-runtime complains when nobody asks for its own log.
	log.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	opts := cluster.Options{Log: os.Stderr}
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "A local Kubernetes cluster on the loopback interface, with played nodes and third-party operators",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&opts.Name, "name", "default", "name of the cluster")
	root.PersistentFlags().StringVar(&opts.Dir, "dir", "", "folder for the state of the cluster (default .local/clusters/<name>)")
	root.AddCommand(buildCommand(), upCommand(&opts), downCommand(&opts), statusCommand(&opts), playCommand())
	return root
}

func buildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "build",
		Short: "Build the binaries of the cluster, unless they are cached, and print their paths",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			binaries, err := cluster.Build(cmd.Context(), cluster.BuildOptions{Log: os.Stderr})
			if err != nil {
				return err
			}
			kubectl, err := cluster.BuildKubectl(cmd.Context(), cluster.BuildOptions{Log: os.Stderr})
			if err != nil {
				return err
			}
			for _, path := range []string{binaries.Etcd, binaries.APIServer, binaries.ControllerManager, binaries.Scheduler, binaries.Kwok, kubectl} {
				fmt.Println(path)
			}
			return nil
		},
	}
}

func upCommand(opts *cluster.Options) *cobra.Command {
	var crds []string
	var nodes string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster and leave it running; does nothing when it runs already",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			started := time.Now()
			var err error
			if opts.Player, err = os.Executable(); err != nil {
				return err
			}
			c, existed, err := up(cmd.Context(), *opts, nodes)
			if err != nil {
				return err
			}
			if existed {
				fmt.Fprintf(os.Stderr, "cluster %s already runs on port %d\n", c.Name(), c.Port())
			} else {
				fmt.Fprintf(os.Stderr, "cluster %s runs on port %d, ready after %s\n", c.Name(), c.Port(), time.Since(started).Round(100*time.Millisecond))
			}
			if existed && cmd.Flags().Changed("port") && opts.Port != c.Port() {
				return fmt.Errorf("cluster %s runs on port %d, not %d: take it down first, or choose another name", c.Name(), c.Port(), opts.Port)
			}
			if err := c.InstallCRDs(cmd.Context(), crds...); err != nil {
				return err
			}
			fmt.Printf("export KUBECONFIG=%s\n", quote(c.Kubeconfig()))
			return nil
		},
	}
	cmd.Flags().IntVar(&opts.Port, "port", defaultPort, "port of the API server; 0 picks a free one")
	cmd.Flags().IntVar(&opts.Nodes, "nodes", 3, "number of played nodes")
	cmd.Flags().StringVar(&nodes, "node", nodePlayed, "nodes to have: played ones, or one real (Linux, root)")
	cmd.Flags().BoolVar(&opts.Audit, "audit", false, "write all requests to audit.log in the folder of the cluster")
	cmd.Flags().StringSliceVar(&crds, "crds", nil, "folders of CustomResourceDefinitions to install")
	return cmd
}

// playCommand is the process that upCommand leaves behind.
func playCommand() *cobra.Command {
	var kubeconfig string
	cmd := &cobra.Command{
		Use:    "play",
		Short:  "Play the Strimzi operators until the process is stopped",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			return strimzi.New().Run(cmd.Context(), config)
		},
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig file of the cluster")
	return cmd
}

const (
	nodePlayed = "played"
	nodeReal   = "real"
)

func up(ctx context.Context, opts cluster.Options, nodes string) (*cluster.Cluster, bool, error) {
	switch nodes {
	case nodePlayed:
		return cluster.Up(ctx, opts)
	case nodeReal:
		return node.Up(ctx, node.Options{Name: opts.Name, Dir: opts.Dir, Port: opts.Port, Log: opts.Log})
	default:
		return nil, false, fmt.Errorf("--node must be %s or %s, not %q", nodePlayed, nodeReal, nodes)
	}
}

func downCommand(opts *cluster.Options) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster and remove its state",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := cluster.Down(cmd.Context(), *opts)
			if err != nil {
				return err
			}
			if found {
				fmt.Fprintf(os.Stderr, "cluster %s is stopped and removed\n", opts.Name)
			} else {
				fmt.Fprintf(os.Stderr, "there is no cluster %s\n", opts.Name)
			}
			return nil
		},
	}
}

func statusCommand(opts *cluster.Options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say whether the cluster runs and how to use it; exits 1 when it does not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := cluster.Attach(cmd.Context(), *opts)
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("there is no cluster %s", opts.Name)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "cluster %s runs on port %d\n", c.Name(), c.Port())
			fmt.Printf("export KUBECONFIG=%s\n", quote(c.Kubeconfig()))
			return nil
		},
	}
}

// quote makes a path one word for a shell.
func quote(path string) string {
	if !strings.ContainsAny(path, " \t'\"\\$`&;|<>()*?[]#~!") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
