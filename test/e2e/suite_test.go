// Package e2e watches the operator at work on a local cluster, under its own ServiceAccount.
package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/ceph"
	"opendatahub.io/operator/components/jupyterhub"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/objectstorage"
	"opendatahub.io/operator/controllers"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

var (
	env *harness.Env
	all = []components.Component{ceph.New(), kafka.New(), jupyterhub.New(), objectstorage.New(), reader{}}
)

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(60 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "The operator on a local cluster")
}

var _ = BeforeSuite(func(ctx context.Context) {
	log, err := os.Create("operator.log.test")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(log.Close)
	harness.LogTo(log)
	env, err = harness.Start(ctx, all, cluster.Options{Name: "e2e", Dir: GinkgoT().TempDir(), Log: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
}, NodeTimeout(20*time.Minute))

// start runs the operator until the end of the spec.
func start(ctx context.Context, namespaces ...string) *harness.Manager {
	GinkgoHelper()
	manager, err := env.StartManager(context.WithoutCancel(ctx), namespaces...)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(manager.Stop)
	return manager
}

// namespace makes a namespace that enforces the restricted Pod Security Standard, and takes it away after the spec.
func namespace(ctx context.Context, prefix string) string {
	GinkgoHelper()
	name := fmt.Sprintf("%s-%d", prefix, GinkgoRandomSeed()%1000+time.Now().UnixNano()%100000)
	Expect(env.EnsureNamespace(ctx, name)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		// At once and without the operator: the next spec must not see this platform being removed.
		var hubs v1alpha1.OpenDataHubList
		Expect(env.Admin.List(ctx, &hubs, client.InNamespace(name))).To(Succeed())
		for i := range hubs.Items {
			hub := &hubs.Items[i]
			Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, hub))).To(Succeed())
			Expect(client.IgnoreNotFound(env.Admin.Patch(ctx, hub, client.RawPatch(types.MergePatchType,
				[]byte(`{"metadata":{"finalizers":null}}`))))).To(Succeed())
		}
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, ns))).To(Succeed())
	})
	return name
}

// platform creates an OpenDataHub from its spec in YAML.
func platform(ctx context.Context, namespace, name, spec string) *v1alpha1.OpenDataHub {
	GinkgoHelper()
	hub := &v1alpha1.OpenDataHub{}
	Expect(yaml.UnmarshalStrict([]byte("spec:\n"+indent(spec)), hub)).To(Succeed())
	hub.Namespace, hub.Name = namespace, name
	Expect(env.Admin.Create(ctx, hub)).To(Succeed())
	return hub
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

// both is a small platform with everything that there is.
const both = `
profile: Development
components:
  kafka: {}
  jupyterHub: {}
`

// status reads a condition as "True Available: message".
func status(hub *v1alpha1.OpenDataHub, condition string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		current := &v1alpha1.OpenDataHub{}
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current); err != nil {
			return "", err
		}
		found := meta.FindStatusCondition(current.Status.Conditions, condition)
		switch {
		case found == nil:
			return "absent", nil
		case found.ObservedGeneration != current.Generation:
			return "outdated " + string(found.Status), nil
		}
		return fmt.Sprintf("%s %s: %s", found.Status, found.Reason, found.Message), nil
	}
}

func ready(ctx context.Context, hub *v1alpha1.OpenDataHub) {
	GinkgoHelper()
	Eventually(ctx, status(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
}

// children lists every object of the platform that the operator applied, as "Kind/name".
func children(ctx context.Context, namespace string) map[string]*unstructured.Unstructured {
	GinkgoHelper()
	found := map[string]*unstructured.Unstructured{}
	for _, component := range all {
		for _, kind := range component.Kinds() {
			list := &unstructured.UnstructuredList{}
			gvk := kind.GVK()
			list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
			err := env.Admin.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{components.LabelComponent: component.Name()})
			if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
				continue
			}
			Expect(err).NotTo(HaveOccurred())
			for i := range list.Items {
				object := &list.Items[i]
				if kind.ClusterScoped && object.GetLabels()[components.LabelPlatformNamespace] != namespace {
					continue
				}
				if apply.IsOurs(object, apply.Manager(component.Name())) {
					found[object.GetKind()+"/"+object.GetName()] = object
				}
			}
		}
	}
	return found
}

// finalizer is what a component holds the resource with.
func finalizer(component string) string { return controllers.FinalizerPrefix + component }
