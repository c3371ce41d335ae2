// Package helm tries installing charts against a real control plane, real repositories and a real registry.
package helm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/release/v1/util"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
	"opendatahub.io/operator/test/cluster"
)

func TestHelm(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "Charts on a local cluster")
}

var (
	shared *cluster.Cluster
	// admin reads from the API server, and may do everything.
	admin client.Client
)

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	shared, err = cluster.Start(ctx, cluster.Options{
		Name: "helm", Dir: GinkgoT().TempDir(), Nodes: 1, Operators: []string{}, Log: GinkgoWriter,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return shared.Stop() })
	config := shared.Config()
	config.QPS = -1
	admin, err = client.New(config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(20*time.Minute))

var count int

// site is the place of one spec: an operator with a namespace, kinds and a chart that no other spec has.
type site struct {
	*recorder
	operator  dependencies.Operator
	installer *helm.Installer
}

// newSite makes an operator with a chart per name. Charts are added with put.
func newSite() *site {
	GinkgoHelper()
	count++
	id := fmt.Sprintf("demo%d", count)
	s := &site{recorder: &recorder{}, operator: dependencies.Operator{
		Name: strings.ToUpper(id), Namespace: id + "-system", NamespaceLabels: map[string]string{"purpose": "demonstration"},
	}}
	s.restart(helm.Options{})
	DeferCleanup(s.discard)
	return s
}

// discard takes the site's kinds away: hundreds of them would slow the API server down.
func (s *site) discard(ctx context.Context) {
	GinkgoHelper()
	for _, plural := range []string{"widgets", "gadgets"} {
		if definition := s.definition(ctx, plural); definition != nil {
			Expect(client.IgnoreNotFound(admin.Delete(ctx, definition))).To(Succeed())
		}
	}
}

// restart makes a new Installer, as a new process would.
func (s *site) restart(options helm.Options) {
	GinkgoHelper()
	options.Config = shared.Config()
	options.Config.Wrap(s.through)
	if options.Timeout == 0 {
		options.Timeout = 20 * time.Second
	}
	var err error
	s.installer, err = helm.New(options)
	Expect(err).NotTo(HaveOccurred())
}

// group of the kinds that the operator's charts bring.
func (s *site) group() string { return s.operator.ID() + ".example.com" }

func (s *site) ensure(ctx context.Context) bool {
	GinkgoHelper()
	changed, err := s.installer.Ensure(ctx, s.operator)
	Expect(err).NotTo(HaveOccurred())
	return changed
}

// problem is what Ensure fails with.
func (s *site) problem(ctx context.Context) *dependencies.Problem {
	GinkgoHelper()
	_, err := s.installer.Ensure(ctx, s.operator)
	return asProblem(err)
}

func asProblem(err error) *dependencies.Problem {
	GinkgoHelper()
	Expect(err).To(HaveOccurred())
	problem, ok := err.(*dependencies.Problem) //nolint:errorlint // callers find it with errors.As; that it is not wrapped is checked here
	Expect(ok).To(BeTrue(), "%v", err)
	return problem
}

func (s *site) installed(ctx context.Context) helm.Installed {
	GinkgoHelper()
	installed, err := s.installer.Installed(ctx, s.operator)
	Expect(err).NotTo(HaveOccurred())
	return installed
}

func (s *site) remove(ctx context.Context) {
	GinkgoHelper()
	Expect(s.installer.Remove(ctx, s.operator)).To(Succeed())
}

// records is the storage of the site's releases, as the helm program sees it.
func (s *site) records() *storage.Storage {
	GinkgoHelper()
	clients, err := kubernetes.NewForConfig(shared.Config())
	Expect(err).NotTo(HaveOccurred())
	return storage.Init(driver.NewSecrets(clients.CoreV1().Secrets(s.operator.Namespace)))
}

// history of a release, oldest first.
func (s *site) history(name string) []*release.Release {
	GinkgoHelper()
	found, err := s.records().History(name)
	if err == driver.ErrReleaseNotFound { //nolint:errorlint // that is what it is
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	var revisions []*release.Release
	for _, revision := range found {
		revisions = append(revisions, revision.(*release.Release))
	}
	util.SortByRevision(revisions)
	return revisions
}

// statuses of the revisions of a release, oldest first.
func (s *site) statuses(name string) []common.Status {
	GinkgoHelper()
	var statuses []common.Status
	for _, revision := range s.history(name) {
		statuses = append(statuses, revision.Info.Status)
	}
	return statuses
}

// get reads an object; nil when there is none. The namespace is the site's.
func (s *site) get(ctx context.Context, apiVersion, kind, name string) *unstructured.Unstructured {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.FromAPIVersionAndKind(apiVersion, kind))
	err := admin.Get(ctx, client.ObjectKey{Namespace: s.operator.Namespace, Name: name}, object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return object
}

// setting reads a key of the ConfigMap that a demonstration chart makes.
func (s *site) setting(ctx context.Context, release, key string) string {
	GinkgoHelper()
	object := s.get(ctx, "v1", "ConfigMap", release+"-settings")
	if object == nil {
		return "absent"
	}
	value, _, err := unstructured.NestedString(object.Object, "data", key)
	Expect(err).NotTo(HaveOccurred())
	return value
}

// definition reads a CustomResourceDefinition of the site.
func (s *site) definition(ctx context.Context, plural string) *unstructured.Unstructured {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.FromAPIVersionAndKind("apiextensions.k8s.io/v1", "CustomResourceDefinition"))
	err := admin.Get(ctx, client.ObjectKey{Name: plural + "." + s.group()}, object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return object
}

// create makes an object in the site's namespace.
func (s *site) create(ctx context.Context, text string, args ...any) *unstructured.Unstructured {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal(fmt.Appendf(nil, text, args...), &object.Object)).To(Succeed())
	object.SetNamespace(s.operator.Namespace)
	Expect(admin.Create(ctx, object, client.FieldOwner("somebody"))).To(Succeed())
	return object
}

// createNamespace makes the site's namespace, as its administrators would.
func (s *site) createNamespace(ctx context.Context) {
	GinkgoHelper()
	namespace := &corev1.Namespace{}
	namespace.Name = s.operator.Namespace
	Expect(admin.Create(ctx, namespace)).To(Succeed())
}

// recorder is a transport that counts writes, and may stop the process that sends them.
type recorder struct {
	mu     sync.Mutex
	writes []string
	// after this many writes the process dies; zero is never.
	lives int
	die   context.CancelFunc
	// refused are paths that the API server answers with an error.
	refused map[string]int
}

// What the API server can do besides answering with an error.
const (
	unreachable = -1
	silent      = -2
)

// refuse makes the API server answer with an error on paths that contain this.
func (r *recorder) refuse(path string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = map[string]int{path: status}
}

func (r *recorder) refuses(request *http.Request) (status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for path, status := range r.refused {
		if strings.Contains(request.URL.Path, path) {
			return status
		}
	}
	return 0
}

func (r *recorder) through(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		switch status := r.refuses(request); status {
		case 0:
		case unreachable:
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		case silent:
			<-request.Context().Done()
			return nil, request.Context().Err()
		default:
			recorded := httptest.NewRecorder()
			recorded.WriteHeader(status)
			response := recorded.Result()
			response.Request = request
			return response, nil
		}
		response, err := next.RoundTrip(request)
		if request.Method == http.MethodGet || err != nil {
			return response, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.writes = append(r.writes, request.Method+" "+request.URL.Path)
		if r.lives > 0 && len(r.writes) >= r.lives {
			r.die() // the answer is lost
			_ = response.Body.Close()
			return nil, context.Canceled
		}
		return response, nil
	})
}

// wrote returns what was written since it was asked last.
func (r *recorder) wrote() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	writes := r.writes
	r.writes = nil
	return writes
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
