package cmd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	registered "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/controllers/serving"
)

// Leader election: a crashed leader is replaced within the lease, one that stops gracefully at once. A renewal every few
// seconds is the only thing a quiet process writes.
const (
	leaseDuration = 30 * time.Second
	renewDeadline = 20 * time.Second
	retryPeriod   = 5 * time.Second
)

// ProcessOptions are the flags that the manager and the installer have in common.
type ProcessOptions struct {
	Kubeconfig      string
	MetricsAddress  string
	MetricsInsecure bool
	ProbeAddress    string
	// ProfileAddress is of a loopback interface. Empty is none.
	ProfileAddress string
	LeaderElect    bool
	// Namespace is the operator's own: Leases and ConfigMaps of the operator itself are there.
	Namespace string
	// WatchNamespaces are those whose platforms are looked after; all without any.
	WatchNamespaces []string
	LogLevel        string
	LogFormat       string
	Version         string
}

// flags adds the flags to a command. The returned function completes the options when the command runs.
func (o *ProcessOptions) flags(command *cobra.Command) (complete func() error) {
	namespaces := ""
	flags := command.Flags()
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig file; without it $KUBECONFIG, or the Pod's own ServiceAccount")
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", ":8443", "address of the metrics endpoint, 0 for none")
	flags.BoolVar(&o.MetricsInsecure, "metrics-insecure", false, "serve metrics over plain HTTP to everybody; for local trials only")
	flags.StringVar(&o.ProbeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz, 0 for none")
	flags.StringVar(&o.ProfileAddress, "profile-bind-address", "", "loopback address of /debug/pprof, such as 127.0.0.1:6060; none without it")
	flags.BoolVar(&o.LeaderElect, "leader-elect", false, "let only one of several replicas act")
	flags.StringVar(&o.Namespace, "namespace", "", "the operator's own namespace; without it the Pod's")
	flags.StringVar(&namespaces, "watch-namespace", os.Getenv("WATCH_NAMESPACE"),
		"comma-separated namespaces to look after, all without it; $WATCH_NAMESPACE is the default")
	flags.StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&o.LogFormat, "log-format", "json", "json or text")
	return func() error {
		for namespace := range strings.SplitSeq(namespaces, ",") {
			if namespace = strings.TrimSpace(namespace); namespace != "" {
				o.WatchNamespaces = append(o.WatchNamespaces, namespace)
			}
		}
		if err := validateLoopback(o.ProfileAddress); err != nil {
			return fmt.Errorf("--profile-bind-address %q: %w", o.ProfileAddress, err)
		}
		if o.Namespace == "" {
			namespace, err := podNamespace()
			if err != nil {
				return err
			}
			o.Namespace = namespace
		}
		return nil
	}
}

// validateLoopback refuses an address at which others could reach profiles: they show what is in memory, and nothing guards them.
func validateLoopback(address string) error {
	if address == "" {
		return nil
	}
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || !parsed.Addr().IsLoopback() {
		return errors.New("use a loopback address and a port, such as 127.0.0.1:6060 or [::1]:6060")
	}
	return nil
}

// limitMemory keeps the heap at four fifths of the container's limit, given in bytes. $GOMEMLIMIT says otherwise.
func limitMemory(limit string) {
	bytes, err := strconv.ParseInt(limit, 10, 64)
	if err == nil && bytes > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(bytes / 5 * 4)
	}
}

// podNamespace is the namespace of the Pod that this runs in; empty outside a cluster.
func podNamespace() (string, error) {
	const file = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("finding the operator's own namespace: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// begin logs as the options say, within the memory of the container.
func (o *ProcessOptions) begin() error {
	log, err := logger(os.Stderr, o.LogLevel, o.LogFormat)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	limitMemory(os.Getenv("MEMORY_LIMIT"))
	return nil
}

// config logs as the options say, and finds the cluster.
func (o *ProcessOptions) config() (*rest.Config, error) {
	if err := o.begin(); err != nil {
		return nil, err
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	// Falls back to the Pod's own ServiceAccount.
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	config.UserAgent = "opendatahub/" + o.Version
	config.QPS = -1                  // the API server's priority and fairness decides
	config.DisableCompression = true // the network of a cluster is faster than unpacking
	return config, nil
}

// mapping makes the REST mapper of a process; nil asks the API server.
type mapping func(*rest.Config, *http.Client) (meta.RESTMapper, error)

// newManager makes a manager. process is which of them this is, and lease names the Lease of its leader. The certificate is nil if no
// metrics are served over TLS.
func (o *ProcessOptions) newManager(ctx context.Context, config *rest.Config, process, lease string, cacheOptions cache.Options, mapper mapping) (
	ctrl.Manager, *serving.Certificate, error,
) {
	scheme, err := cluster.Scheme()
	if err != nil {
		return nil, nil, err
	}
	metrics := server.Options{
		BindAddress:   o.MetricsAddress,
		ExtraHandlers: map[string]http.Handler{platformMetricsPath: platformMetrics(registered.Registry)},
	}
	if !o.MetricsInsecure {
		metrics.SecureServing = true
		metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	certificate, err := o.certificate(ctx, config, process)
	if err != nil {
		return nil, nil, err
	}
	if certificate != nil {
		metrics.TLSOpts = append(metrics.TLSOpts, func(config *tls.Config) { config.GetCertificate = certificate.Get })
	}
	duration, renew, retry := leaseDuration, renewDeadline, retryPeriod
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Cache:                         cacheOptions,
		MapperProvider:                mapper,
		Metrics:                       metrics,
		HealthProbeBindAddress:        o.ProbeAddress,
		PprofBindAddress:              o.ProfileAddress,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              lease,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &duration,
		RenewDeadline:                 &renew,
		RetryPeriod:                   &retry,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("making the manager: %w", err)
	}
	if certificate != nil {
		if err := mgr.Add(certificate); err != nil {
			return nil, nil, fmt.Errorf("adding the certificate of the metrics: %w", err)
		}
	}
	return mgr, certificate, nil
}

// certificate of the metrics; nil if none are served over TLS. Without a namespace the metrics have one that nobody can check.
func (o *ProcessOptions) certificate(ctx context.Context, config *rest.Config, process string) (*serving.Certificate, error) {
	if o.MetricsInsecure || o.MetricsAddress == "0" || o.Namespace == "" {
		return nil, nil
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return serving.New(ctx, clients, o.Namespace, process)
}

// run runs a manager until the context ends.
func (o *ProcessOptions) run(ctx context.Context, mgr ctrl.Manager, what string) error {
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping)); err != nil {
		return fmt.Errorf("adding the probes: %w", err)
	}
	ctrl.Log.Info("Started the "+what, "version", o.Version, "namespaces", o.WatchNamespaces)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the %s: %w", what, err)
	}
	return nil
}

// serve serves what a login proxy is in front of, at an address of a loopback interface, and the probe, until the context ends.
func (o *ProcessOptions) serve(ctx context.Context, server *http.Server, address string) error {
	served := make(chan error, 2)
	listen := func(server *http.Server, address string) error {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return err
		}
		ctrl.Log.Info("Serving", "version", o.Version, "address", listener.Addr().String())
		go func() { served <- server.Serve(listener) }()
		return nil
	}
	if err := listen(server, address); err != nil {
		return err
	}
	if o.ProbeAddress != "0" {
		probes := &http.Server{Handler: healthz.CheckHandler{Checker: healthz.Ping}, ReadHeaderTimeout: 10 * time.Second}
		defer func() { _ = probes.Close() }()
		if err := listen(probes, o.ProbeAddress); err != nil {
			return err
		}
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	return server.Shutdown(ending)
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
