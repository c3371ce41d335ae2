package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers"
)

// Leader election: a crashed leader is replaced within the lease, one that stops gracefully at once. A renewal every few
// seconds is the only thing a quiet operator writes.
const (
	leaseDuration = 30 * time.Second
	renewDeadline = 20 * time.Second
	retryPeriod   = 5 * time.Second
	leaseName     = "opendatahub-operator"
)

// ManagerOptions are the flags of the manager command.
type ManagerOptions struct {
	Kubeconfig      string
	MetricsAddress  string
	MetricsInsecure bool
	ProbeAddress    string
	LeaderElect     bool
	LeaderNamespace string
	WatchNamespaces []string
	LogLevel        string
	LogFormat       string
	Version         string
}

func managerCommand(version string, all []components.Component) *cobra.Command {
	options := ManagerOptions{Version: version}
	namespaces := ""
	command := &cobra.Command{
		Use:   "manager",
		Short: "Run the controllers that deploy the platforms of a cluster",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			for namespace := range strings.SplitSeq(namespaces, ",") {
				if namespace = strings.TrimSpace(namespace); namespace != "" {
					options.WatchNamespaces = append(options.WatchNamespaces, namespace)
				}
			}
			return RunManager(command.Context(), options, all)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.Kubeconfig, "kubeconfig", "", "kubeconfig file; without it $KUBECONFIG, or the Pod's own ServiceAccount")
	flags.StringVar(&options.MetricsAddress, "metrics-bind-address", ":8443", "address of the metrics endpoint, 0 for none")
	flags.BoolVar(&options.MetricsInsecure, "metrics-insecure", false, "serve metrics over plain HTTP to everybody; for local trials only")
	flags.StringVar(&options.ProbeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz, 0 for none")
	flags.BoolVar(&options.LeaderElect, "leader-elect", false, "let only one of several replicas act")
	flags.StringVar(&options.LeaderNamespace, "leader-election-namespace", "", "namespace of the Lease; without it the Pod's own")
	flags.StringVar(&namespaces, "watch-namespace", os.Getenv("WATCH_NAMESPACE"),
		"comma-separated namespaces to look after, all without it; $WATCH_NAMESPACE is the default")
	flags.StringVar(&options.LogLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&options.LogFormat, "log-format", "json", "json or text")
	return command
}

// RunManager runs the controllers until the context ends.
func RunManager(ctx context.Context, options ManagerOptions, all []components.Component) error {
	log, err := logger(os.Stderr, options.LogLevel, options.LogFormat)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log)

	config, err := clientConfig(options.Kubeconfig)
	if err != nil {
		return err
	}
	config.UserAgent = "opendatahub/" + options.Version
	config.QPS = -1 // the API server's priority and fairness decides

	mgr, err := NewManager(config, options, all)
	if err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, all, options.WatchNamespaces); err != nil {
		return err
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping)); err != nil {
		return fmt.Errorf("adding the probes: %w", err)
	}
	log.Info("Started the Open Data Hub operator", "version", options.Version, "namespaces", options.WatchNamespaces)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the controllers: %w", err)
	}
	return nil
}

// NewManager makes a manager whose cache and REST mapping are those that the controllers need.
func NewManager(config *rest.Config, options ManagerOptions, all []components.Component) (ctrl.Manager, error) {
	scheme, err := controllers.Scheme()
	if err != nil {
		return nil, err
	}
	cacheOptions, err := controllers.CacheOptions(options.WatchNamespaces)
	if err != nil {
		return nil, err
	}
	metrics := server.Options{BindAddress: options.MetricsAddress}
	if !options.MetricsInsecure {
		metrics.SecureServing = true
		metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	lease, renew, retry := leaseDuration, renewDeadline, retryPeriod
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		Cache:  cacheOptions,
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
			return controllers.Mapper(all), nil
		},
		Metrics:                       metrics,
		HealthProbeBindAddress:        options.ProbeAddress,
		LeaderElection:                options.LeaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       options.LeaderNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &lease,
		RenewDeadline:                 &renew,
		RetryPeriod:                   &retry,
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	return mgr, nil
}

func clientConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	// Falls back to the Pod's own ServiceAccount.
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	return config, nil
}

func logger(out io.Writer, level, format string) (logr.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return logr.Logger{}, fmt.Errorf("--log-level %q: use debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least}
	switch format {
	case "json":
		return logr.FromSlogHandler(slog.NewJSONHandler(out, options)), nil
	case "text":
		return logr.FromSlogHandler(slog.NewTextHandler(out, options)), nil
	default:
		return logr.Logger{}, fmt.Errorf("--log-format %q: use json or text", format)
	}
}
