// Package e2e watches the operator at work on a local cluster, under its own ServiceAccount.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	opcluster "opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/spark"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/serving"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/container"
	"opendatahub.io/operator/test/harness"
	"opendatahub.io/operator/test/rights/audit"
)

var (
	env *harness.Env
	all = append(catalog.All(), reader{}, optional{})
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
	env, err = harness.Start(ctx, all, cluster.Options{
		Name: "e2e", Dir: GinkgoT().TempDir(), Log: GinkgoWriter, Audit: true, AuditPolicy: audit.Policy(managerUser),
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	DeferCleanup(writeUses)
}, NodeTimeout(20*time.Minute))

// What specs share is after each of them as it was before, so that they can run in any order.
var _ = BeforeEach(func(ctx context.Context) {
	before := shared(ctx)
	DeferCleanup(func(ctx context.Context) {
		Eventually(ctx, shared).WithTimeout(10*time.Second).Should(BeComparableTo(before), "the spec leaves something behind")
	})
})

// shared is what specs share and some of them change: what the operator keeps in its namespace, kinds, storage classes, and nodes.
func shared(ctx context.Context) map[string]string {
	GinkgoHelper()
	found := map[string]string{}
	for _, kind := range []struct {
		gvk    schema.GroupVersionKind
		in     string
		fields [][]string
	}{
		{corev1.SchemeGroupVersion.WithKind("Secret"), harness.OperatorNamespace, [][]string{{"data"}}},
		{corev1.SchemeGroupVersion.WithKind("ConfigMap"), harness.OperatorNamespace, [][]string{{"data"}, {"binaryData"}}},
		{corev1.SchemeGroupVersion.WithKind("Node"), "", [][]string{{"metadata", "labels"}, {"spec", "taints"}, {"spec", "unschedulable"}}},
		{storagev1.SchemeGroupVersion.WithKind("StorageClass"), "", [][]string{{"metadata", "annotations"}}},
		{apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"), "", nil},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.gvk.GroupVersion().WithKind(kind.gvk.Kind + "List"))
		Expect(env.Admin.List(ctx, list, client.InNamespace(kind.in))).To(Succeed())
		for _, object := range list.Items {
			if object.GetLabels()[components.LabelPlatformNamespace] != "" {
				continue // that of one platform, whose namespace is in its name
			}
			var values []any
			for _, field := range kind.fields {
				value, _, err := unstructured.NestedFieldNoCopy(object.Object, field...)
				Expect(err).NotTo(HaveOccurred())
				values = append(values, value)
			}
			said, err := json.Marshal(values)
			Expect(err).NotTo(HaveOccurred())
			found[kind.gvk.Kind+"/"+object.GetName()] = string(said)
		}
	}
	return found
}

// start runs the operator until the end of the spec. What it does is that of the spec only: Spark clusters of earlier ones, which the operator
// would remove and say so, are gone with their namespaces first.
func start(ctx context.Context, namespaces ...string) *harness.Manager {
	GinkgoHelper()
	Eventually(ctx, leftClusters).Should(BeEmpty(), "what is left of Spark clusters of earlier specs")
	manager, err := env.StartManager(context.WithoutCancel(ctx), namespaces...)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(manager.Stop)
	return manager
}

// leftClusters is what is left of Spark clusters, and of the Pods that have them, in namespaces that are being deleted.
func leftClusters(ctx context.Context) (left []string) {
	GinkgoHelper()
	namespaces := &corev1.NamespaceList{}
	Expect(env.Admin.List(ctx, namespaces)).To(Succeed())
	for _, namespace := range namespaces.Items {
		if namespace.DeletionTimestamp == nil {
			continue
		}
		for _, list := range []client.ObjectList{&corev1.PodList{}, &corev1.ServiceList{}, &networkingv1.NetworkPolicyList{}, &appsv1.DeploymentList{}} {
			objects := metadataOf(ctx, list, client.InNamespace(namespace.Name), client.MatchingLabels{spark.LabelSpark: "true"})
			for _, object := range objects {
				left = append(left, object.Namespace+"/"+object.Name)
			}
		}
	}
	return left
}

// metadataOf lists the metadata of objects of the kind of a list.
func metadataOf(ctx context.Context, list client.ObjectList, options ...client.ListOption) []metav1.PartialObjectMetadata {
	GinkgoHelper()
	gvk, err := env.Admin.GroupVersionKindFor(list)
	Expect(err).NotTo(HaveOccurred())
	metadata := &metav1.PartialObjectMetadataList{}
	metadata.SetGroupVersionKind(gvk)
	Expect(env.Admin.List(ctx, metadata, options...)).To(Succeed())
	return metadata.Items
}

// metricsCertificate is the Secret of the certificate with which the operator serves metrics.
var metricsCertificate = client.ObjectKey{Namespace: harness.OperatorNamespace, Name: serving.SecretName(serving.Operator)}

// metricsAddress is one for the operator to serve its metrics at, before it starts. The Secret of its certificate is empty again after
// the spec: other specs' operators serve no metrics, and the command diff, which knows that from the Secret, expects nothing for them.
func metricsAddress() string {
	DeferCleanup(func(ctx context.Context) {
		certificate := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: metricsCertificate.Namespace, Name: metricsCertificate.Name}}
		Expect(env.Admin.Patch(ctx, certificate, client.RawPatch(types.MergePatchType, []byte(`{"data":null}`)))).To(Succeed())
	})
	return container.FreeAddress(GinkgoTB())
}

// namespace makes a namespace that enforces the restricted Pod Security Standard, and takes it away after the spec.
func namespace(ctx context.Context, prefix string) string {
	GinkgoHelper()
	name := fmt.Sprintf("%s-%d", prefix, GinkgoRandomSeed()%1000+time.Now().UnixNano()%100000)
	Expect(env.EnsureNamespace(ctx, name)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(env.ForgetPlatforms(ctx, client.InNamespace(name))).To(Succeed())
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}} // also when there is no platform in it
		Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, ns))).To(Succeed())
	})
	return name
}

// platform creates an OpenDataHub from its spec in YAML.
func platform(ctx context.Context, namespace, name, spec string) *v1alpha1.OpenDataHub {
	GinkgoHelper()
	hub, err := env.CreatePlatform(ctx, namespace, name, spec)
	Expect(err).NotTo(HaveOccurred())
	return hub
}

// both is a small platform with Kafka and JupyterHub.
const both = `
profile: Development
components:
  kafka: {}
  jupyterHub: {}
`

// status is [harness.Env.Condition].
func status(hub *v1alpha1.OpenDataHub, condition string) func(context.Context) (string, error) {
	return env.Condition(hub, condition)
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
func finalizer(component string) string { return opcluster.FinalizerPrefix + component }
