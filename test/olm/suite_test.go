package olm_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/olm"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
	played "opendatahub.io/operator/test/olm"
)

func TestOLM(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()
	log.SetLogger(GinkgoLogr)
	RunSpecs(t, "Operators by OLM")
}

var (
	local    *cluster.Cluster
	kube     client.Client // the administrator's
	manager  *played.OLM
	reader   cache.Cache // what the installer keeps
	recorder *harness.Recorder
	subject  *olm.OLM

	subscriptionKind = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "Subscription"}
	planKind         = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "InstallPlan"}
	csvKind          = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "ClusterServiceVersion"}
	groupKind        = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1", Kind: "OperatorGroup"}
	extensionKind    = schema.GroupVersionKind{Group: "olm.operatorframework.io", Version: "v1", Kind: "ClusterExtension"}
	crdKind          = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
)

// elsewhere is a namespace that OLM copies ClusterServiceVersions into.
const elsewhere = "elsewhere"

var _ = BeforeSuite(func(ctx context.Context) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	Expect(err).NotTo(HaveOccurred())
	local, err = cluster.Start(ctx, cluster.Options{Name: "olm", Dir: GinkgoT().TempDir(), Operators: []string{}, Log: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(local.Stop)
	kube, err = client.New(local.Config(), client.Options{})
	Expect(err).NotTo(HaveOccurred())
	before := newSubject(local.Config(), kube)
	Expect(before.Served(ctx)).To(Equal(olm.APIs{}))
	Expect(before.Find(ctx, anOperator())).To(BeNil(), "nothing can be there without OLM")
	Expect(before.Remove(ctx, anOperator())).To(BeTrue())

	Expect(played.InstallExtensions(ctx, local)).To(Succeed())
	Expect(before.Served(ctx)).To(Equal(olm.APIs{V1: true}))
	manager, err = played.Start(ctx, local, root, elsewhere)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(manager.Stop)

	recorder = &harness.Recorder{}
	config := local.Config()
	config.Wrap(recorder.Wrap)
	config.WarningHandler = rest.NoWarnings{}
	startCache(ctx, config)
	subject = newSubject(config, reader)
	Expect(subject.Served(ctx)).To(Equal(olm.APIs{V0: true, V1: true}))
}, NodeTimeout(20*time.Minute))

// What a spec leaves behind would be looked at by the played OLM in every step of the next.
var _ = AfterEach(func(ctx context.Context) {
	for _, gvk := range []schema.GroupVersionKind{subscriptionKind, csvKind, planKind, groupKind, extensionKind} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		Expect(kube.List(ctx, list)).To(Succeed())
		for i := range list.Items {
			Expect(client.IgnoreNotFound(kube.Delete(ctx, &list.Items[i]))).To(Succeed())
		}
	}
	Expect(manager.RemoveCatalogs(ctx)).To(Succeed())
})

// startCache keeps what the installer would keep, and nothing else can be read from it.
func startCache(ctx context.Context, config *rest.Config) {
	GinkgoHelper()
	byObject := map[client.Object]cache.ByObject{}
	watched := olm.Watched(olm.APIs{V0: true, V1: true})
	for _, w := range watched {
		byObject[w.Object] = w.Cache
	}
	var err error
	reader, err = cache.New(config, cache.Options{ByObject: byObject, ReaderFailOnMissingInformer: true})
	Expect(err).NotTo(HaveOccurred())
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- reader.Start(running) }()
	DeferCleanup(func() error {
		cancel()
		return <-done
	})
	for _, w := range watched {
		_, err := reader.GetInformer(ctx, w.Object)
		Expect(err).NotTo(HaveOccurred())
	}
}

func newSubject(config *rest.Config, cached client.Reader) *olm.OLM {
	GinkgoHelper()
	live, err := client.New(config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	discovered, err := discovery.NewDiscoveryClientForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	return olm.New(cached, live, live, discovered)
}

var counter atomic.Int32

// anOperator has names that no other spec uses. Its package is in no catalogue yet.
func anOperator(change ...func(*dependencies.Operator)) dependencies.Operator {
	name := fmt.Sprintf("Op %d", counter.Add(1))
	operator := dependencies.Operator{Name: name, Versions: ">=1.0.0 <2.0.0-0"}
	operator.Namespace = operator.ID() + "-system"
	operator.CRDs = []dependencies.CRD{{Name: "things." + operator.ID() + ".example.com", Versions: []string{"v1"}}}
	operator.NamespaceLabels = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	operator.Packages = []dependencies.Package{{
		Name: operator.ID() + "-operator", Channel: "stable", InstallMode: dependencies.AllNamespaces,
		Catalogs: []dependencies.Catalog{{Name: operator.ID() + "-catalog", Namespace: played.GlobalNamespace}},
	}}
	for _, f := range change {
		f(&operator)
	}
	return operator
}

func ownNamespace(operator *dependencies.Operator) {
	operator.Packages[0].InstallMode = dependencies.OwnNamespace
}

func manual(operator *dependencies.Operator) {
	operator.Packages[0].Approval = dependencies.ApprovalManual
}

// offer puts the operator's package into its catalogue.
func offer(ctx context.Context, operator dependencies.Operator, change ...func(*played.Catalog)) played.Catalog {
	GinkgoHelper()
	p := operator.Packages[0]
	catalog := played.Catalog{Name: p.Catalogs[0].Name, Packages: []played.Package{{Name: p.Name, Channels: []played.Channel{
		{Name: "alpha", CSV: p.Name + ".v0.9.0", Version: "0.9.0", InstallModes: []string{"OwnNamespace"}},
		{
			Name: "stable", CSV: p.Name + ".v1.2.0", Version: "1.2.0", InstallModes: []string{"AllNamespaces", "OwnNamespace"},
			CRDs: []*crd{played.CRD(operator.ID()+".example.com", "v1", "Thing")},
		},
	}}}}
	for _, f := range change {
		f(&catalog)
	}
	Expect(manager.SetCatalog(ctx, catalog)).To(Succeed())
	// The installer knows the catalogue once its cache does.
	Eventually(ctx, func(g Gomega) {
		source := kind(schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "CatalogSource"}, played.GlobalNamespace, catalog.Name)
		g.Expect(reader.Get(ctx, client.ObjectKeyFromObject(source), source)).To(Succeed())
		state, _, _ := unstructured.NestedString(source.Object, "status", "connectionState", "lastObservedState")
		g.Expect(state).To(Equal(map[bool]string{true: "READY", false: "TRANSIENT_FAILURE"}[catalog.Unreachable == ""]))
	}).Should(Succeed())
	return catalog
}

// failing makes the stable channel fail.
func failing(failure played.Failure) func(*played.Catalog) {
	return func(c *played.Catalog) { c.Packages[0].Channels[1].Fails = failure }
}

func kind(gvk schema.GroupVersionKind, namespace, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

func group(ctx context.Context, namespace, name string, targets ...any) {
	GinkgoHelper()
	object := kind(groupKind, namespace, name)
	if len(targets) > 0 {
		object.Object["spec"] = map[string]any{"targetNamespaces": targets}
	}
	Expect(kube.Create(ctx, object)).To(Succeed())
}

func namespace(ctx context.Context, name string) {
	GinkgoHelper()
	Expect(kube.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
}

// subscribe creates a Subscription as a person would, under another name than the installer's.
func subscribe(ctx context.Context, operator dependencies.Operator, namespace, name string) {
	GinkgoHelper()
	p := operator.Packages[0]
	object := kind(subscriptionKind, namespace, name)
	object.Object["spec"] = map[string]any{
		"name": p.Name, "channel": p.Channel, "source": p.Catalogs[0].Name, "sourceNamespace": p.Catalogs[0].Namespace,
	}
	Expect(kube.Create(ctx, object)).To(Succeed())
}

// install resolves the operator and asks OLM for it.
func install(ctx context.Context, operator dependencies.Operator) error {
	candidate, err := subject.Resolve(ctx, operator, false)
	if err != nil {
		return err
	}
	return subject.Ensure(ctx, operator, candidate)
}

// status is what the installer finds, as "OLM Ready Available: message".
func status(operator dependencies.Operator) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		found, err := subject.Find(ctx, operator)
		if err != nil || found == nil {
			return "nothing", err
		}
		return text(found.Status), nil
	}
}

func text(s v1alpha1.DependencyStatus) string {
	return fmt.Sprintf("%s %s %s: %s", s.Source, s.State, s.Reason, s.Message)
}

func exists(ctx context.Context, object client.Object) bool {
	GinkgoHelper()
	err := kube.Get(ctx, client.ObjectKeyFromObject(object), object)
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil
}

// writes are what the installer wrote since it was last asked, in order, as in "apply subscriptions.operators.coreos.com ns/name".
func writes() []string {
	var list []string
	for _, request := range recorder.Requests() {
		if request.Writes() {
			list = append(list, fmt.Sprintf("%s %s %s/%s", request.Verb, request.Resource, request.Namespace, request.Name))
		}
	}
	recorder.Reset()
	return list
}

// labelled are all objects that carry the operator's label, as in "OperatorGroup ns/name".
func labelled(ctx context.Context, operator dependencies.Operator) []string {
	GinkgoHelper()
	var found []string
	for _, gvk := range []schema.GroupVersionKind{{Version: "v1", Kind: "Namespace"}, groupKind, subscriptionKind, planKind, csvKind, crdKind} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		Expect(kube.List(ctx, list, client.MatchingLabels{dependencies.Label: operator.ID()})).To(Succeed())
		for _, item := range list.Items {
			found = append(found, fmt.Sprintf("%s %s/%s", item.GetKind(), item.GetNamespace(), item.GetName()))
		}
	}
	slices.Sort(found)
	return found
}
