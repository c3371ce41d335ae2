package e2e

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/s3"
	"opendatahub.io/operator/test/harness"
)

// reader stands for a component whose Pods read the credentials of the object storage at their start. It knows nothing but its facts,
// and has a controller of its own. The API has no component of that name: a rule wants it on platforms whose namespace begins with
// "reader", so that its condition exists only while something is wrong.
type reader struct{}

const (
	readerName      = "exampleReader"
	readerCondition = "ExampleReaderReady"
	readerNamespace = "reader"
)

var _ components.WithRule = reader{}

func (reader) Wanted(facts components.Facts) bool {
	return strings.HasPrefix(facts.Platform.Namespace, readerNamespace)
}

func (reader) Name() string        { return readerName }
func (reader) Kinds() []kinds.Kind { return []kinds.Kind{kinds.Deployment} }

func (reader) References(facts components.Facts) []components.Reference {
	return s3.References(facts, s3.Pipelines)
}

func (reader) Assess(observed components.Observed) components.Health {
	return health.Assess(observed, nil)
}

func (reader) Render(facts components.Facts) ([]components.Object, error) {
	labels := components.Merge(facts.Labels(readerName), map[string]string{"app.kubernetes.io/name": "reader"})
	container := core.Container().WithName("reader").WithImage("example.com/reader:1").
		WithSecurityContext(core.SecurityContext().WithAllowPrivilegeEscalation(false).WithCapabilities(core.Capabilities().WithDrop("ALL")))
	if storage := s3.Of(facts); storage != nil {
		container.WithEnv(storage.Env(s3.Pipelines, "")...)
	}
	pod := core.PodSpec().WithContainers(container).WithSecurityContext(core.PodSecurityContext().WithRunAsNonRoot(true).
		WithSeccompProfile(core.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)))
	return []components.Object{components.Owned(apps.Deployment(facts.Platform.Name+"-reader", facts.Platform.Namespace).
		WithSpec(apps.DeploymentSpec().
			WithSelector(meta.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(core.PodTemplateSpec().WithLabels(labels).WithSpec(pod).WithAnnotations(map[string]string{
				"opendatahub.io/secrets": s3.Digest(facts, s3.Pipelines),
			}))))}, nil
}

const withS3 = `
profile: Development
objectStorage:
  type: External
  external: {endpoint: "http://minio.lake.svc:9000", credentialsSecretRef: {name: s3}}
components:
  kafka: {}
  jupyterHub: {}
`

// secretS3 makes or changes the Secret that withS3 names.
func secretS3(ctx context.Context, namespace string, data map[string]string) {
	GinkgoHelper()
	secret := core.Secret("s3", namespace).WithStringData(data).WithAnnotations(map[string]string{
		components.AnnotationAllowAddresses: "http://minio.lake.svc:9000,https://s3.example.com",
	}).WithLabels(map[string]string{components.LabelAllowNotebooks: "true"})
	Expect(env.Admin.Apply(ctx, secret, client.FieldOwner("people"), client.ForceOwnership)).To(Succeed())
}

func discovery(ctx context.Context, namespace string) map[string]string {
	GinkgoHelper()
	published := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "odh-object-storage"}}
	Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(published), published)).To(Succeed())
	return published.Data
}

var _ = Describe("The object storage", func() {
	complete := map[string]string{"AWS_ACCESS_KEY_ID": "user-7193", "AWS_SECRET_ACCESS_KEY": "password-5521"}

	It("is awaited by those who use it, and rolls those who read it at their start", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, readerNamespace)
		hub := platform(ctx, ns, "odh", withS3)
		users := []string{"JupyterHubReady", readerCondition, v1alpha1.ConditionObjectStorageReady}
		named := "False ReferenceNotFound: Secret s3, which spec.objectStorage.external.credentialsSecretRef names, "

		By("naming the missing Secret")
		for _, condition := range users {
			Eventually(ctx, status(hub, condition)).Should(Equal(named+"does not exist in namespace "+ns+
				"; create it with the keys AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"), condition)
		}
		Eventually(ctx, status(hub, "KafkaReady")).Should(HavePrefix("True"), "who does not use it does not wait for it")
		Eventually(ctx, status(hub, v1alpha1.ConditionReady)).Should(HavePrefix("False ReferenceNotFound: objectStorage, exampleReader, jupyterHub: Secret s3"), "said once of all")
		Expect(status(hub, v1alpha1.ConditionStalled)(ctx)).To(Equal("absent"))

		By("naming the key that is missing")
		secretS3(ctx, ns, map[string]string{"AWS_ACCESS_KEY_ID": "user-7193"})
		for _, condition := range users {
			Eventually(ctx, status(hub, condition)).Should(Equal(named+"lacks the key AWS_SECRET_ACCESS_KEY"), condition)
		}

		By("noticing that it is there")
		secretS3(ctx, ns, complete)
		ready(ctx, hub)
		for _, condition := range users[1:] {
			Eventually(ctx, status(hub, condition)).Should(Equal("absent"), condition)
		}

		By("rotating it")
		quiet(ctx, manager)
		before := children(ctx, ns)
		manager.Reset()
		secretS3(ctx, ns, map[string]string{"AWS_SECRET_ACCESS_KEY": "password-5522", "AWS_ACCESS_KEY_ID": "user-7193"})
		Eventually(ctx, func() []string { return objectWrites(manager) }).Should(Equal([]string{"apply deployments.apps/odh-reader"}))
		quiet(ctx, manager)
		ready(ctx, hub)
		Expect(objectWrites(manager)).To(Equal([]string{"apply deployments.apps/odh-reader"}))
		after := children(ctx, ns)
		Expect(digestOf(after["Deployment/odh-reader"])).NotTo(Equal(digestOf(before["Deployment/odh-reader"])))
		for name, object := range before {
			if name != "Deployment/odh-reader" {
				Expect(after[name].GetGeneration()).To(Equal(object.GetGeneration()), name)
			}
		}
	}, SpecTimeout(3*time.Minute))

	It("moves from Ceph to an external one, which rolls those who use it and nobody else", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "lake")
		secretS3(ctx, ns, complete)
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {ceph: {}, argoWorkflows: {}, jupyterHub: {}, kafka: {}, mlflow: {}}")
		ready(ctx, hub)
		quiet(ctx, manager)
		templates := func(ctx context.Context) map[string]any {
			found := map[string]any{}
			for name, object := range children(ctx, ns) {
				if template, ok, _ := unstructured.NestedMap(object.Object, "spec", "template"); ok {
					found[name] = template
				}
			}
			return found
		}
		before := templates(ctx)
		rolled := func(ctx context.Context) []string {
			var names []string
			for name, template := range templates(ctx) {
				if !reflect.DeepEqual(template, before[name]) {
					names = append(names, name)
				}
			}
			return names
		}

		edit(ctx, hub, `{"spec":{"objectStorage":{"type":"External","external":{"endpoint":"https://s3.example.com","credentialsSecretRef":{"name":"s3"}}}}}`)
		// Those that read at their start where it is. Notebooks do so as well, from what the hub reads anew for each: it goes on.
		users := []string{"Deployment/odh-argoworkflows-controller", "Deployment/odh-argoworkflows-server", "Deployment/odh-mlflow-server"}
		Eventually(ctx, rolled).Should(ConsistOf(users))
		quiet(ctx, manager)
		ready(ctx, hub)
		Expect(rolled(ctx)).To(ConsistOf(users))
		Expect(before).To(HaveKey("Deployment/odh-jupyterhub-hub"), "there are others")
	}, SpecTimeout(3*time.Minute))

	It("is published, reported sparingly, and goes with the setting", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, readerNamespace)
		secretS3(ctx, ns, complete)
		hub := platform(ctx, ns, "odh", withS3)
		ready(ctx, hub)
		quiet(ctx, manager)

		want := s3.Of(components.NewFacts(hub, components.Cluster{}, all))
		Expect(discovery(ctx, ns)).To(Equal(want.Discovery()))
		current := &v1alpha1.OpenDataHub{}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)).To(Succeed())
		Expect(current.Status.ObjectStorage).To(Equal(want.Status()))
		Expect(current.Status.ComponentsReady).To(Equal("2/2"), "it is no component")
		for _, value := range complete {
			Expect(fmt.Sprint(discovery(ctx, ns), current.Status)).NotTo(ContainSubstring(value))
			for name, object := range children(ctx, ns) {
				Expect(fmt.Sprint(object.Object)).NotTo(ContainSubstring(value), name)
			}
		}

		By("counting the writes")
		Expect(manager.Select(func(r harness.Request) bool {
			return r.Writes() && r.Manager == "opendatahub-objectStorage"
		})).To(ConsistOf(
			HaveField("Resource", "opendatahubs.opendatahub.io"), // its finalizer
			SatisfyAll(HaveField("Resource", "configmaps"), HaveField("Name", "odh-object-storage")),
		))
		Expect(len(manager.Select(func(r harness.Request) bool {
			return r.Resource == "opendatahubs.opendatahub.io/status" && r.Manager == "opendatahub"
		}))).To(BeNumerically("<=", 3))
		manager.Reset()
		Consistently(ctx, manager.Requests, 5*time.Second, time.Second).ShouldNot(ContainElement(HaveField("Verb", Not(Equal("watch")))))

		By("changing where it is")
		edit(ctx, hub, `{"spec":{"objectStorage":{"external":{"endpoint":"https://s3.example.com"}}}}`)
		Eventually(ctx, func() string { return discovery(ctx, ns)["S3_ENDPOINT_URL"] }).Should(Equal("https://s3.example.com"))
		Eventually(ctx, func() string {
			Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)).To(Succeed())
			return current.Status.ObjectStorage.Endpoint
		}).Should(Equal("https://s3.example.com"))
		ready(ctx, hub)

		By("leaving it out")
		edit(ctx, hub, `{"spec":{"objectStorage":null}}`)
		gone(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "odh-object-storage"}})
		ready(ctx, hub)
		Eventually(ctx, func() *v1alpha1.ObjectStorageStatus {
			current = &v1alpha1.OpenDataHub{}
			Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)).To(Succeed())
			return current.Status.ObjectStorage
		}).Should(BeNil())
		Eventually(ctx, func() []string {
			Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)).To(Succeed())
			return current.Finalizers
		}).ShouldNot(ContainElement(finalizer("objectStorage")))

		By("setting it again, and removing the platform")
		edit(ctx, hub, `{"spec":{"objectStorage":{"type":"External","external":{"endpoint":"https://s3.example.com","credentialsSecretRef":{"name":"s3"}}}}}`)
		Eventually(ctx, func() error {
			return env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-object-storage"}, &corev1.ConfigMap{})
		}).Should(Succeed())
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		gone(ctx, hub)
		gone(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "odh-object-storage"}})
		Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "s3"}, &corev1.Secret{})).To(Succeed(), "it is not ours")
	}, SpecTimeout(3*time.Minute))
})

// objectWrites are the writes to anything but the resource itself and its Events.
func objectWrites(manager *harness.Manager) []string {
	var writes []string
	for _, request := range manager.Select(harness.Request.Writes) {
		if !strings.HasPrefix(request.Resource, "opendatahubs.") && request.Resource != "events.events.k8s.io" {
			writes = append(writes, fmt.Sprintf("%s %s/%s", request.Verb, request.Resource, request.Name))
		}
	}
	return writes
}

func digestOf(deployment *unstructured.Unstructured) string {
	digest, _, _ := unstructured.NestedString(deployment.Object, "spec", "template", "metadata", "annotations", "opendatahub.io/secrets")
	return digest
}
