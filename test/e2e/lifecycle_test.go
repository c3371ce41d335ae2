package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

var _ = Describe("Third-party kinds", Serial, func() {
	It("are awaited, and their arrival wakes the component", func(ctx context.Context) {
		var crds []string
		for _, component := range all {
			for _, kind := range component.Kinds() {
				if kind.Provider == "Strimzi" {
					crds = append(crds, kind.CRD())
				}
			}
		}
		manager := start(ctx)
		ns := namespace(ctx, "late")
		Expect(env.RemoveCRDs(ctx, crds...)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(env.InstallThirdParty(ctx)).To(Succeed()) })
		hub := platform(ctx, ns, "odh", both)
		Eventually(ctx, status(hub, "KafkaReady")).Should(SatisfyAll(
			HavePrefix("False APINotInstalled: CRDs "), ContainSubstring("kafkas.kafka.strimzi.io"),
			HaveSuffix("are not installed; install Strimzi, condition DependenciesReady says how, or set spec.components.kafka.managementState to Removed")))
		Eventually(ctx, status(hub, "JupyterHubReady")).Should(HavePrefix("True"), "a missing operator holds up nobody else")
		Expect(status(hub, v1alpha1.ConditionStalled)(ctx)).To(Equal("absent"))
		quiet(ctx, manager)

		Expect(env.InstallThirdParty(ctx)).To(Succeed())
		ready(ctx, hub)

		By("taking them away again: what they held is gone, and that is said")
		Expect(env.RemoveCRDs(ctx, crds...)).To(Succeed())
		Eventually(ctx, status(hub, "KafkaReady")).Should(HavePrefix("False APINotInstalled"))
		quiet(ctx, manager)
		Expect(env.InstallThirdParty(ctx)).To(Succeed())
		ready(ctx, hub)
	}, SpecTimeout(3*time.Minute))
})

var _ = Describe("A platform", func() {
	It("shares the cluster with others, and its namespace with none", func(ctx context.Context) {
		start(ctx)
		first, second := namespace(ctx, "team-a"), namespace(ctx, "team-b")
		a := platform(ctx, first, "odh", both)
		b := platform(ctx, second, "odh", both)
		ready(ctx, a)
		ready(ctx, b)
		before := children(ctx, first)

		By("creating a second one in the first namespace")
		intruder := platform(ctx, first, "aaa", "components: {jupyterHub: {}}")
		want := fmt.Sprintf("namespace %s already has the OpenDataHub odh, and holds one platform only; "+
			"delete this resource, or create it in another namespace", first)
		Eventually(ctx, status(intruder, v1alpha1.ConditionStalled)).Should(Equal("True PlatformExists: " + want))
		Expect(status(intruder, v1alpha1.ConditionReady)(ctx)).To(Equal("False PlatformExists: " + want))
		after := children(ctx, first)
		Expect(after).To(HaveLen(len(before)))
		for name, object := range before {
			Expect(after[name].GetResourceVersion()).NotTo(BeEmpty(), name)
			Expect(after[name].GetGeneration()).To(Equal(object.GetGeneration()), name)
		}
		ready(ctx, a)

		By("removing one that a backup restored with finalizers")
		restored := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: first, Name: "restored", Finalizers: []string{"opendatahub.io/kafka"}}}
		Expect(env.Admin.Create(ctx, restored)).To(Succeed())
		Eventually(ctx, status(restored, v1alpha1.ConditionReady)).Should(HavePrefix("False PlatformExists"))
		Expect(env.Admin.Delete(ctx, restored)).To(Succeed())
		gone(ctx, restored)
		ready(ctx, a)

		By("removing the older one: the namespace is the other's now")
		Expect(env.Admin.Delete(ctx, a)).To(Succeed())
		gone(ctx, a)
		ready(ctx, intruder)
		Expect(status(intruder, v1alpha1.ConditionStalled)(ctx)).To(Equal("absent"))

		By("removing one platform: the other one stays as it is")
		Expect(env.Admin.Delete(ctx, intruder)).To(Succeed())
		gone(ctx, intruder)
		ready(ctx, b)
		Expect(children(ctx, second)).To(HaveLen(len(before)))
	})

	It("is left alone while a component is Unmanaged", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "unmanaged")
		hub := platform(ctx, ns, "odh", "components: {jupyterHub: {}}")
		ready(ctx, hub)
		edit(ctx, hub, `{"spec":{"components":{"jupyterHub":{"managementState":"Unmanaged"}}}}`)
		Eventually(ctx, status(hub, "JupyterHubReady")).Should(HavePrefix(
			"True Unmanaged: managementState is Unmanaged, so nothing is changed: "))
		quiet(ctx, manager)
		manager.Reset()
		service := children(ctx, ns)["Service/odh-jupyterhub"]
		intrude(service)
		Expect(env.Admin.Update(ctx, service)).To(Succeed())
		Expect(env.Admin.Delete(ctx, children(ctx, ns)["Deployment/odh-jupyterhub-proxy"])).To(Succeed())
		Eventually(ctx, status(hub, "JupyterHubReady")).Should(HavePrefix("False Unmanaged"))
		quiet(ctx, manager)
		Expect(manager.Select(func(r harness.Request) bool {
			return r.Writes() && !strings.HasPrefix(r.Resource, "opendatahubs.") && r.Resource != "events.events.k8s.io"
		})).To(BeEmpty())

		edit(ctx, hub, `{"spec":{"components":{"jupyterHub":{"managementState":"Managed"}}}}`)
		ready(ctx, hub)
	})

	It("says why a Pod does not work", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "failing")
		for failure, want := range map[cluster.PodFailure]string{
			cluster.ImagePullBackOff:           "cannot pull",
			cluster.CrashLoopBackOff:           "crashing",
			cluster.CreateContainerConfigError: `secret "missing" not found`,
		} {
			By(string(failure))
			undo, err := env.FailPods(ctx, ns, map[string]string{"opendatahub.io/component": "jupyterHub"}, failure)
			Expect(err).NotTo(HaveOccurred())
			hub := platform(ctx, ns, "odh", "components: {jupyterHub: {}}")
			Eventually(ctx, status(hub, "JupyterHubReady")).Should(SatisfyAll(
				HavePrefix("False Degraded: Deployment odh-jupyterhub-"), ContainSubstring(want)))
			Eventually(ctx, status(hub, v1alpha1.ConditionReady)).Should(HavePrefix("False Degraded: jupyterHub: Deployment"))
			Eventually(ctx, func() []string { return notes(ctx, ns, v1alpha1.ReasonDegraded) }).ShouldNot(BeEmpty())
			Expect(undo(ctx)).To(Succeed())
			ready(ctx, hub)
			Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
			gone(ctx, hub)
		}
		quiet(ctx, manager)
	})

	It("waits for a Secret that the spec refers to, and notices its arrival", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "reference")
		hub := platform(ctx, ns, "odh", `
authentication:
  type: OIDC
  oidc: {issuer: "https://sso.example.com/realms/odh", clientID: odh, clientSecretRef: {name: sso}}
ingress: {type: Ingress, domain: apps.example.com}
components: {jupyterHub: {}}
`)
		Eventually(ctx, status(hub, "JupyterHubReady")).Should(Equal("False ReferenceNotFound: " +
			"Secret sso, which spec.authentication.oidc.clientSecretRef names, does not exist in namespace " + ns +
			"; create it with the keys clientSecret"))
		quiet(ctx, manager)
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "sso"}, StringData: map[string]string{"other": "x"}}
		Expect(env.Admin.Create(ctx, secret)).To(Succeed())
		Eventually(ctx, status(hub, "JupyterHubReady")).Should(Equal("False ReferenceNotFound: " +
			"Secret sso, which spec.authentication.oidc.clientSecretRef names, lacks the key clientSecret"))
		secret.StringData = map[string]string{"clientSecret": "first"}
		Expect(env.Admin.Update(ctx, secret)).To(Succeed())
		Eventually(ctx, status(hub, "JupyterHubReady")).Should(SatisfyAll(HavePrefix("False NotAllowed: Secret sso"),
			HaveSuffix("kubectl annotate secret sso --namespace "+ns+" --overwrite opendatahub.io/allow-addresses=https://sso.example.com")))
		secret.Annotations = map[string]string{components.AnnotationAllowAddresses: "https://sso.example.com"}
		Expect(env.Admin.Update(ctx, secret)).To(Succeed())
		ready(ctx, hub)

		By("rotating it: the hub reads it at its start, so it is started again")
		before := children(ctx, ns)["Deployment/odh-jupyterhub-hub"].GetGeneration()
		secret.StringData = map[string]string{"clientSecret": "second"}
		Expect(env.Admin.Update(ctx, secret)).To(Succeed())
		Eventually(ctx, func() int64 {
			return children(ctx, ns)["Deployment/odh-jupyterhub-hub"].GetGeneration()
		}).Should(Equal(before + 1))
	})

	It("is deployed by an operator that may look at its namespace only", func(ctx context.Context) {
		ns, other := namespace(ctx, "scoped"), namespace(ctx, "elsewhere")
		restrict(ctx, ns)
		manager := start(ctx, ns)
		hub := platform(ctx, ns, "odh", both)
		elsewhere := platform(ctx, other, "odh", both)
		ready(ctx, hub)
		Expect(status(elsewhere, v1alpha1.ConditionReady)(ctx)).To(Equal("absent"))
		Expect(manager.Select(func(r harness.Request) bool { return r.Status == 403 })).To(BeEmpty())
	})
})

// notes are the Events of a reason in the namespace.
func notes(ctx context.Context, namespace, reason string) []string {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(env.Admin.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	var notes []string
	for _, event := range list.Items {
		if event.Reason == reason && event.Regarding.Kind == "OpenDataHub" {
			notes = append(notes, event.Note)
		}
	}
	return notes
}

// restrict swaps the operator's watches of all namespaces for rights in one, until the end of the spec.
func restrict(ctx context.Context, namespace string) {
	GinkgoHelper()
	all := &unstructured.Unstructured{}
	all.SetGroupVersionKind(kinds.RoleBinding.WithVersion("v1").GroupVersion().WithKind("ClusterRoleBinding"))
	all.SetName(authority.WatchRole)
	Expect(env.Admin.Delete(ctx, all)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(env.ApplyFile(ctx, filepath.Join(env.Root, "config", "rbac", "role_binding.yaml"))).To(Succeed())
	})
	odh := &v1alpha1.OpenDataHub{}
	odh.Namespace, odh.Name = namespace, "odh"
	Expect(env.Grant(ctx, odh)).To(Succeed())
}

var _ = Describe("A crash", func() {
	It("at any moment of the installation leads to the same objects", func(ctx context.Context) {
		binary := filepath.Join(GinkgoT().TempDir(), "opendatahub")
		build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
		build.Dir = env.Root
		output, err := build.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(output))
		kubeconfig := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
		Expect(env.WriteServiceAccountKubeconfig(ctx, harness.OperatorNamespace, harness.ServiceAccount, kubeconfig)).To(Succeed())

		run := func() *exec.Cmd {
			GinkgoHelper()
			command := exec.Command(binary, "manager", "--kubeconfig", kubeconfig, "--metrics-bind-address=0",
				"--health-probe-bind-address=0", "--log-format=text")
			command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			log, err := os.OpenFile("crash.log.test", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			Expect(err).NotTo(HaveOccurred())
			command.Stdout, command.Stderr = log, log
			Expect(command.Start()).To(Succeed())
			return command
		}
		kill := func(command *exec.Cmd) {
			_ = command.Process.Kill()
			_ = command.Wait()
		}

		By("installing undisturbed")
		undisturbed := run()
		reference := namespace(ctx, "undisturbed")
		started := time.Now()
		hub := platform(ctx, reference, "odh", both)
		ready(ctx, hub)
		duration := time.Since(started)
		kill(undisturbed)
		want := shapes(ctx, reference)

		random := rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), 0))
		for range 10 {
			command := run()
			ns := namespace(ctx, "crash")
			hub := platform(ctx, ns, "odh", both)
			moment := time.Duration(random.Float64() * float64(duration))
			By("killing it " + moment.String() + " after the resource was created")
			select {
			case <-time.After(moment):
			case <-ctx.Done():
			}
			kill(command)

			command = run()
			ready(ctx, hub)
			kill(command)
			Expect(shapes(ctx, ns)).To(Equal(want))
			Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
			Expect(client.IgnoreNotFound(env.Admin.Patch(ctx, hub, client.RawPatch(types.MergePatchType,
				[]byte(`{"metadata":{"finalizers":null}}`))))).To(Succeed())
		}
	}, SpecTimeout(5*time.Minute))

	It("after every single write, whose answer is lost, still leads there, and nothing is written twice", func(ctx context.Context) {
		undisturbed, err := env.StartManager(context.WithoutCancel(ctx))
		Expect(err).NotTo(HaveOccurred())
		reference := namespace(ctx, "undisturbed")
		ready(ctx, platform(ctx, reference, "odh", both))
		quiet(ctx, undisturbed)
		Expect(undisturbed.Stop()).To(Succeed())
		want := shapes(ctx, reference)
		ns := namespace(ctx, "lives")
		hub := platform(ctx, ns, "odh", both)
		object := func(r harness.Request) bool {
			return r.Writes() && r.Namespace == ns && r.Resource != "events.events.k8s.io" && r.Resource != "opendatahubs.opendatahub.io/status"
		}
		writes := map[string]int{}
		lives := 0
		for done := false; !done; lives++ {
			Expect(lives).To(BeNumerically("<=", 2*len(want)), "it must get further in each life")
			manager, err := env.StartManager(context.WithoutCancel(ctx))
			Expect(err).NotTo(HaveOccurred())
			dead := manager.DieAfter(object)
			Eventually(ctx, func() bool {
				select {
				case <-dead:
					return true
				default:
				}
				text, err := status(hub, v1alpha1.ConditionReady)(ctx)
				done = err == nil && strings.HasPrefix(text, "True") && manager.Quiet() > time.Second
				return done
			}).Should(BeTrue())
			_ = manager.Stop() // a crashed one complains
			for _, request := range manager.Select(object) {
				// A request that was on its way in the moment of the crash may not have arrived: it has no status.
				if request.Status != 0 {
					writes[request.Resource+"/"+request.Name]++
				}
			}
		}
		Expect(shapes(ctx, ns)).To(Equal(want))
		for what, count := range writes {
			if !strings.HasPrefix(what, "opendatahubs.") { // each component sets its own finalizer
				Expect(count).To(Equal(1), what)
			}
		}
		GinkgoWriter.Printf("%d objects took %d lives\n", len(want), lives)
	}, SpecTimeout(5*time.Minute))
})

// shapes are the platform's objects without what differs between any two installations.
func shapes(ctx context.Context, namespace string) map[string]any {
	GinkgoHelper()
	shapes := map[string]any{}
	for name, object := range children(ctx, namespace) {
		fields := fieldsOf(object)
		unstructured.RemoveNestedField(fields, "metadata", "ownerReferences")
		unstructured.RemoveNestedField(fields, "metadata", "annotations")
		unstructured.RemoveNestedField(fields, "spec", "template", "metadata", "annotations") // digests of random values
		if object.GetKind() == "PersistentVolumeClaim" {
			unstructured.RemoveNestedField(fields, "spec", "volumeName")
		}
		if name == "ConfigMap/odh-kafka-record" {
			unstructured.RemoveNestedField(fields, "data", "clusterId")
		}
		text := strings.ReplaceAll(fmt.Sprint(fields), namespace, "NAMESPACE")
		shapes[name] = text
	}
	return shapes
}

var _ = Describe("Forbidden requests", func() {
	It("do not happen: what is granted is enough for a whole lifecycle", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "rights")
		hub := platform(ctx, ns, "odh", both)
		ready(ctx, hub)
		edit(ctx, hub, `{"spec":{"components":{"kafka":null}}}`)
		Eventually(ctx, status(hub, "KafkaReady")).Should(Equal("absent"))
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		gone(ctx, hub)
		Expect(manager.Select(func(r harness.Request) bool { return r.Status == 403 })).To(BeEmpty())
		Expect(apierrors.IsNotFound(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), hub))).To(BeTrue())
	})
})
