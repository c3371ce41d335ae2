// Package harness runs the operator on a local cluster the way that users run it: under its own ServiceAccount, with the
// RBAC that is shipped.
package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing/fstest"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	opcluster "opendatahub.io/operator/cluster"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/test/charts"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/upstream"
)

// The operator's own place.
const (
	OperatorNamespace = "opendatahub-operator"
	ServiceAccount    = "opendatahub-operator"
	// InstallerServiceAccount is the installer's, in the same namespace.
	InstallerServiceAccount = "opendatahub-installer"
)

// Env is a cluster with the operator's CRD, RBAC and the third-party kinds.
type Env struct {
	*cluster.Cluster
	// Admin may do everything, and reads from the API server.
	Admin client.Client
	// Root is the checkout.
	Root string
	All  []components.Component
	// Kinds that components render.
	Kinds []kinds.Kind
	// MetricsAddress and InstallerMetricsAddress are where the operator and its installer serve metrics, over TLS and to who may read
	// them. Empty: nowhere.
	MetricsAddress, InstallerMetricsAddress string
	// installers is how many run.
	installers atomic.Int32
}

// Start starts a cluster for a suite and installs everything but the operator itself.
func Start(ctx context.Context, all []components.Component, options cluster.Options) (*Env, error) {
	env, err := StartBare(ctx, all, options)
	if err != nil {
		return nil, err
	}
	if err := env.InstallThirdParty(ctx); err != nil {
		return nil, errors.Join(err, env.Stop())
	}
	return env, nil
}

// StartBare is [Start] without the third-party kinds, as on a cluster that has none of their operators.
func StartBare(ctx context.Context, all []components.Component, options cluster.Options) (*Env, error) {
	root, err := repositoryRoot()
	if err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	env := &Env{Cluster: c, Root: root, All: all}
	for _, component := range all {
		env.Kinds = append(env.Kinds, component.Kinds()...)
	}
	if err := env.install(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return env, nil
}

// Attach installs everything but the operator itself, and the third-party kinds, in a cluster that runs. rendered are the kinds
// that components render.
func Attach(ctx context.Context, c *cluster.Cluster, rendered []kinds.Kind) (*Env, error) {
	root, err := repositoryRoot()
	if err != nil {
		return nil, err
	}
	env := &Env{Cluster: c, Root: root, Kinds: rendered}
	return env, env.install(ctx)
}

func (e *Env) install(ctx context.Context) error {
	scheme, err := opcluster.Scheme()
	if err != nil {
		return err
	}
	config := e.Config()
	config.QPS = -1
	if e.Admin, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if err := e.InstallCRDs(ctx, filepath.Join(e.Root, "config", "crd")); err != nil {
		return err
	}
	if err := e.EnsureNamespace(ctx, OperatorNamespace); err != nil {
		return err
	}
	for _, folder := range []string{"rbac", "admission"} {
		if err := e.ApplyFolder(ctx, filepath.Join(e.Root, "config", folder)); err != nil {
			return err
		}
	}
	return nil
}

// InstallThirdParty installs the CRDs of the kinds that components render: the real ones where they are at hand,
// stand-ins otherwise. Kinds of OpenShift and the Gateway API stay away: this is plain Kubernetes.
func (e *Env) InstallThirdParty(ctx context.Context) error {
	for _, operator := range e.operators() {
		definitions, err := e.definitions(operator)
		if err != nil {
			return err
		}
		files := fstest.MapFS{}
		for name, content := range definitions {
			files[name] = &fstest.MapFile{Data: content}
		}
		if err := e.InstallCRDFiles(ctx, files); err != nil {
			return fmt.Errorf("installing the CRDs of %s: %w", operator, err)
		}
	}
	return nil
}

// WriteCharts writes a chart for each third-party operator that components need to a folder, from which the installer can
// install it. The charts contain the definitions that [Env.InstallThirdParty] would install.
func (e *Env) WriteCharts(folder string) error {
	for _, name := range e.operators() {
		dependency, ok := dependencies.Default().For(false).Find(name)
		if !ok {
			return fmt.Errorf("%s is not in the table of operators", name)
		}
		definitions, err := e.definitions(name)
		if err != nil {
			return err
		}
		if err := charts.Write(folder, dependency, definitions); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) definitions(operator string) (map[string][]byte, error) {
	folder, err := upstream.Folder(e.Root)
	if err != nil {
		return nil, err
	}
	return charts.Definitions(folder, operator, e.Kinds)
}

// operators are the third-party ones that components need on plain Kubernetes.
func (e *Env) operators() []string {
	var names []string
	for _, kind := range e.Kinds {
		if kind.ThirdParty() && kind.Provider != kinds.OpenShift && kind.Provider != kinds.GatewayAPI &&
			!slices.Contains(names, kind.Provider) {
			names = append(names, kind.Provider)
		}
	}
	return names
}

// EnsureNamespace creates a namespace that enforces the restricted Pod Security Standard, and whose platform may have third-party
// operators installed and host names below example.com.
func (e *Env) EnsureNamespace(ctx context.Context, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:        name,
		Labels:      map[string]string{"pod-security.kubernetes.io/enforce": "restricted", components.LabelAllowInstalls: "true"},
		Annotations: map[string]string{components.AnnotationAllowDomains: "example.com"},
	}}
	if err := e.Admin.Create(ctx, namespace); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

// ApplyFolder applies every manifest below a folder, as `kubectl apply --server-side` would.
func (e *Env) ApplyFolder(ctx context.Context, folder string) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" || entry.Name() == "kustomization.yaml" {
			return err
		}
		return e.ApplyFile(ctx, path)
	})
}

// ApplyFile applies the manifests of a file.
func (e *Env) ApplyFile(ctx context.Context, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("applying: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	return e.Apply(ctx, path, file)
}

// Apply applies manifests, as `kubectl apply --server-side` would. what says where they are from.
func (e *Env) Apply(ctx context.Context, what string, manifests io.Reader) error {
	for object, err := range cluster.Objects(manifests) {
		if err != nil {
			return fmt.Errorf("reading %s: %w", what, err)
		}
		if object.GetNamespace() != "" { // that of an operator that is not there yet
			if err := e.EnsureNamespace(ctx, object.GetNamespace()); err != nil {
				return err
			}
		}
		err := e.Admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("installer"), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// Manager is a running operator, or its installer, in this process.
type Manager struct {
	*Recorder
	stop func() error
}

// StartManager runs the operator with a token of its own ServiceAccount. namespaces limits it, as WATCH_NAMESPACE does.
func (e *Env) StartManager(ctx context.Context, namespaces ...string) (*Manager, error) {
	return e.start(ctx, ServiceAccount, func(ctx context.Context, config *rest.Config) (ctrl.Manager, error) {
		return cmd.NewManager(ctx, config, cmd.ManagerOptions{ProcessOptions: processOptions(e.MetricsAddress, namespaces)}, e.All)
	})
}

// StartReplica runs the operator as its Deployment does: it elects a leader, and serves its metrics at an address.
func (e *Env) StartReplica(ctx context.Context, metrics string) (*Manager, error) {
	return e.start(ctx, ServiceAccount, func(ctx context.Context, config *rest.Config) (ctrl.Manager, error) {
		options := processOptions(metrics, nil)
		options.LeaderElect = true
		return cmd.NewManager(ctx, config, cmd.ManagerOptions{ProcessOptions: options}, e.All)
	})
}

// InstallInstaller installs what the installer needs, and by which the manager knows that there is one.
func (e *Env) InstallInstaller(ctx context.Context) error {
	for _, file := range []string{"service_account.yaml", "report.yaml", "metrics_tls.yaml", "admission_policy.yaml"} {
		if err := e.ApplyFile(ctx, filepath.Join(e.Root, "config", "installer", file)); err != nil {
			return err
		}
	}
	return nil
}

// StartInstaller runs the installer with a token of its own ServiceAccount.
func (e *Env) StartInstaller(ctx context.Context) (*Manager, error) {
	m, err := e.start(ctx, InstallerServiceAccount, func(ctx context.Context, config *rest.Config) (ctrl.Manager, error) {
		return cmd.NewInstaller(ctx, config, cmd.InstallerOptions{
			ProcessOptions: processOptions(e.InstallerMetricsAddress, nil),
		}, e.All)
	})
	if err != nil {
		return nil, err
	}
	e.installers.Add(1)
	stop := m.stop
	m.stop = sync.OnceValue(func() error {
		e.installers.Add(-1)
		return stop()
	})
	return m, nil
}

func (e *Env) start(ctx context.Context, serviceAccount string, build func(context.Context, *rest.Config) (ctrl.Manager, error)) (*Manager, error) {
	config, err := e.ServiceAccountConfig(ctx, OperatorNamespace, serviceAccount)
	if err != nil {
		return nil, err
	}
	m := &Manager{Recorder: &Recorder{}}
	config.QPS = -1
	config.UserAgent = "opendatahub/test"
	config.Wrap(m.Wrap)

	ctx, cancel := context.WithCancel(ctx)
	mgr, err := build(ctx, config)
	if err != nil {
		cancel()
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	m.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(time.Minute):
			return errors.New("the manager does not stop")
		}
	})
	return m, nil
}

func processOptions(metrics string, namespaces []string) cmd.ProcessOptions {
	return cmd.ProcessOptions{
		MetricsAddress: cmp.Or(metrics, "0"), ProbeAddress: "0", Namespace: OperatorNamespace, WatchNamespaces: namespaces, Version: "test",
	}
}

// Stop stops the operator and waits for it.
func (m *Manager) Stop() error { return m.stop() }

func repositoryRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if filepath.Dir(folder) == folder {
			return "", errors.New("finding the checkout: no go.mod above the working directory")
		}
		folder = filepath.Dir(folder)
	}
}

// LogTo sends the operator's log, at its most verbose, to a writer. It must be called before the first manager.
func LogTo(out io.Writer) {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})))
}
