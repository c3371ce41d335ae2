package e2e

import (
	"context"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/test/harness"
)

// mark sets labels and annotations of a namespace, as an administrator does.
func mark(ctx context.Context, name, metadata string) {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	Expect(env.Admin.Patch(ctx, namespace, client.RawPatch(types.MergePatchType, []byte(`{"metadata":`+metadata+`}`)))).To(Succeed())
}

var _ = Describe("What reaches beyond the namespace", func() {
	It("takes devices of nodes only where an administrator allows it", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "nodes")
		hub := platform(ctx, ns, "odh", `{profile: Development, components: {ceph: {devices: {type: All}}}}`)
		Eventually(ctx, status(hub, cephReady)).Should(And(
			HavePrefix("False NotAllowed: spec.components.ceph.devices asks for devices of nodes, which namespace "+ns+" may not have"),
			HaveSuffix("kubectl label namespace "+ns+" "+components.LabelAllowNodes+"=true"),
		))
		Eventually(ctx, status(hub, "Stalled")).Should(HavePrefix("True NotAllowed"))
		Expect(cephsOwn(ctx, ns)).To(BeEmpty())
		quiet(ctx, manager)

		mark(ctx, ns, `{"labels":{"`+components.LabelAllowNodes+`":"true"}}`)
		ready(ctx, hub)
	}, SpecTimeout(2*time.Minute))

	It("patches what is applied only where an administrator allows it, and says which patch is wrong", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "patches")
		patch := func(name string) string {
			return `{"spec":{"components":{"mlflow":{"patches":[{"kind":"Deployment","name":"` + name + `","patch":"spec: {minReadySeconds: 1}"}]}}}}`
		}
		hub := platform(ctx, ns, "odh", `components: {mlflow: {}}`)
		ready(ctx, hub)
		seconds := func(ctx context.Context) (int32, error) {
			deployment := &appsv1.Deployment{}
			err := env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-mlflow-server"}, deployment)
			return deployment.Spec.MinReadySeconds, err
		}
		edit(ctx, hub, patch("odh-mlflow-server"))
		Eventually(ctx, status(hub, "MLflowReady")).Should(HavePrefix("False NotAllowed: spec.components.mlflow.patches asks for"))
		Expect(seconds(ctx)).To(BeZero())

		mark(ctx, ns, `{"labels":{"`+components.LabelAllowCode+`":"true"}}`)
		Eventually(ctx, seconds).Should(BeEquivalentTo(1))
		ready(ctx, hub)
		quiet(ctx, manager)

		edit(ctx, hub, patch("odh-mlflow"))
		Eventually(ctx, status(hub, "MLflowReady")).Should(Equal("False InvalidSpec: spec.components.mlflow.patches[0]: the component renders " +
			"no Deployment odh-mlflow; of this kind there are odh-mlflow-server"))
		Expect(seconds(ctx)).To(BeEquivalentTo(1), "nothing is changed before it is right")
		edit(ctx, hub, `{"spec":{"components":{"mlflow":{"patches":null}}}}`)
		Eventually(ctx, seconds).Should(BeZero())
		ready(ctx, hub)
	}, SpecTimeout(2*time.Minute))

	It("has host names only where an administrator allows them, and none that an older platform has", func(ctx context.Context) {
		start(ctx)
		first, second := namespace(ctx, "hosts"), namespace(ctx, "hosts")
		mark(ctx, first, `{"annotations":{"`+components.AnnotationAllowDomains+`":null}}`)
		spec := `{profile: Development, ingress: {domain: apps.example.com}, components: {jupyterHub: {}}}`
		older := platform(ctx, first, "odh", spec)
		Eventually(ctx, status(older, "JupyterHubReady")).Should(Equal("False NotAllowed: the host name jupyterhub-odh.apps.example.com is in no domain that " +
			"namespace " + first + " may use; nothing is changed until an administrator allows it: kubectl annotate namespace " + first +
			" --overwrite opendatahub.io/allow-domains=apps.example.com"))
		Expect(children(ctx, first)).To(BeEmpty())
		mark(ctx, first, `{"annotations":{"`+components.AnnotationAllowDomains+`":"apps.example.com"}}`)
		ready(ctx, older)

		younger := platform(ctx, second, "odh", spec)
		Eventually(ctx, status(younger, "JupyterHubReady")).Should(HavePrefix(
			"False Conflict: the host name jupyterhub-odh.apps.example.com is that of the OpenDataHub odh in namespace " + first + ", which is older"))
		Expect(children(ctx, second)).To(BeEmpty())
		edit(ctx, younger, `{"spec":{"ingress":{"domain":"lab.example.com"}}}`)
		ready(ctx, younger)
	})
})

var _ = Describe("An admission policy", Serial, func() {
	It("that is missing is reported once, and so is its return", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "bounds")
		hub := platform(ctx, ns, "odh", "{profile: Development, components: {jupyterHub: {}}}")
		ready(ctx, hub)
		quiet(ctx, manager)
		manager.Reset()

		binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "opendatahub-hubs"}}
		Expect(env.Admin.Delete(ctx, binding)).To(Succeed())
		back := func(ctx context.Context) {
			Expect(env.ApplyFolder(ctx, filepath.Join(env.Root, "config", "admission"))).To(Succeed())
		}
		DeferCleanup(back)
		Eventually(ctx, status(hub, v1alpha1.ConditionReady)).Should(Equal("True Available: 1 of 1 components ready; nothing bounds what a stolen token " +
			"of the operator can do, because this cluster is without opendatahub-hubs; apply config/admission"))
		quiet(ctx, manager)
		Expect(manager.Select(func(r harness.Request) bool { return r.Verb != "watch" })).To(HaveLen(1))

		back(ctx)
		Eventually(ctx, status(hub, v1alpha1.ConditionReady)).Should(Equal("True Available: 1 of 1 components ready"))
	})
})
