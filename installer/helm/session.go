package helm

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/go-logr/logr"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	ri "helm.sh/helm/v4/pkg/release"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"opendatahub.io/operator/dependencies"
)

// session is one call for one operator. All that it sends ends with the context of the call, which Helm itself hands on to
// nothing: an action that has been cancelled would go on in the background, next to the one that repeats it.
type session struct {
	Options

	ctx      context.Context
	log      logr.Logger
	operator dependencies.Operator
	id       string

	requests   *requests
	clients    *clients
	kubernetes kubernetes.Interface
	dynamic    dynamic.Interface
	records    *storage.Storage
}

func (i *Installer) session(ctx context.Context, operator dependencies.Operator) (*session, error) {
	s := &session{
		Options: i.options, ctx: ctx, operator: operator, id: operator.ID(), requests: &requests{ctx: ctx},
		log: logr.FromContextOrDiscard(ctx).WithName("helm"),
	}
	config := rest.CopyConfig(i.options.Config)
	config.Wrap(s.requests.through)
	s.Config = config

	var err error
	if s.clients, err = newClients(config, operator.Namespace); err != nil {
		return nil, err
	}
	if s.kubernetes, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	if s.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	secrets := driver.NewSecrets(s.kubernetes.CoreV1().Secrets(operator.Namespace))
	secrets.SetLogger(s.logs())
	s.records = storage.Init(records{secrets})
	return s, nil
}

// logs is where Helm's own log goes. A few of its functions know only the default logger of the process.
func (s *session) logs() slog.Handler { return logr.ToSlogHandler(s.log) }

// attempt is what one action of Helm on a release works with: an action changes its configuration.
type attempt struct {
	*session
	configuration *action.Configuration
	guard         *guard
}

func (s *session) attempt(release string) *attempt {
	client := kube.New(s.clients)
	client.Namespace = s.operator.Namespace
	client.SetLogger(s.logs())
	a := &attempt{session: s, guard: &guard{Client: client, session: s, release: release}}
	a.configuration = action.NewConfiguration(action.ConfigurationSetLogger(s.logs()))
	a.configuration.RESTClientGetter = s.clients
	a.configuration.KubeClient = a.guard
	a.configuration.Releases = s.records
	a.configuration.HookOutputFunc = func(string, string, string) io.Writer { return io.Discard }
	s.requests.forgive()
	return a
}

// clients are those that Helm makes for itself. It knows no other configuration than this one: no files, no environment.
type clients struct {
	config    *rest.Config
	namespace string
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.ResettableRESTMapper
}

func newClients(config *rest.Config, namespace string) (*clients, error) {
	uncached, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	cached := memory.NewMemCacheClient(uncached)
	return &clients{
		config: config, namespace: namespace, discovery: cached, mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached),
	}, nil
}

// ToRESTConfig hands out copies: who asks changes them.
func (c *clients) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(c.config), nil }

func (c *clients) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return c.discovery, nil
}

func (c *clients) ToRESTMapper() (meta.RESTMapper, error) { return c.mapper, nil }

func (c *clients) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	return clientcmd.NewDefaultClientConfig(clientcmdapi.Config{}, &clientcmd.ConfigOverrides{
		Context: clientcmdapi.Context{Namespace: c.namespace},
	})
}

// records are the release Secrets, without the files of the chart: nothing reads them again, and they are most of a Secret
// that can hold a mebibyte only.
type records struct{ *driver.Secrets }

// Create implements driver.Creator.
func (r records) Create(key string, rel ri.Releaser) error { return r.Secrets.Create(key, slim(rel)) }

// Update implements driver.Updator.
func (r records) Update(key string, rel ri.Releaser) error { return r.Secrets.Update(key, slim(rel)) }

func slim(rel ri.Releaser) ri.Releaser {
	full, ok := rel.(*release.Release)
	if !ok || full.Chart == nil {
		return rel
	}
	thin, chart := *full, *full.Chart
	chart.Templates, chart.Files, chart.Schema = nil, nil, nil
	thin.Chart = &chart
	return &thin
}

// requests to the cluster end with a context.
type requests struct {
	ctx context.Context

	mu      sync.Mutex
	trouble bool
}

// forgive forgets what went wrong before.
func (r *requests) forgive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = false
}

// troubled is whether the API server could not be reached, or refused or failed to answer. Helm's errors do not say it.
func (r *requests) troubled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble
}

func (r *requests) through(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := bind(r.ctx, next, request)
		if err != nil || response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden ||
			response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= http.StatusInternalServerError {
			r.mu.Lock()
			r.trouble = true
			r.mu.Unlock()
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// bind sends a request that ends with a context beside its own, and so does the reading of the answer.
func bind(ctx context.Context, next http.RoundTripper, request *http.Request) (*http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	both, cancel := context.WithCancel(request.Context())
	stop := context.AfterFunc(ctx, cancel)
	release := func() { stop(); cancel() }
	response, err := next.RoundTrip(request.WithContext(both))
	if err != nil {
		release()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	response.Body = body{response.Body, release}
	return response, nil
}

type body struct {
	io.ReadCloser
	release func()
}

// Close implements io.Closer.
func (b body) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}
