package installer

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/installer/grants"
	"opendatahub.io/operator/test/harness"
)

// granted counts what was granted for the platform of a namespace, in the namespace and outside it.
func granted(ctx context.Context, namespace string) func() (inside, outside int) {
	return func() (inside, outside int) {
		for _, list := range []client.ObjectList{&corev1.ServiceAccountList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{}} {
			Expect(env.Admin.List(ctx, list, client.InNamespace(namespace), client.HasLabels{grants.Label})).To(Succeed())
			inside += meta.LenList(list)
		}
		ours := client.MatchingLabels{components.LabelPlatformNamespace: namespace}
		var bindings rbacv1.RoleBindingList
		var clusterBindings rbacv1.ClusterRoleBindingList
		Expect(env.Admin.List(ctx, &bindings, ours, client.HasLabels{grants.Label})).To(Succeed())
		Expect(env.Admin.List(ctx, &clusterBindings, ours, client.HasLabels{grants.Label})).To(Succeed())
		return inside, len(bindings.Items) + len(clusterBindings.Items)
	}
}

var _ = Describe("Grants", func() {
	It("come with the first platform of a namespace, are kept as they are, and go with the last", func(ctx context.Context) {
		newScene(ctx, "")
		startManager(ctx)
		process := startInstaller(ctx)
		hub := platform(ctx, "granted", small)
		Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))

		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: hub.Namespace, Name: authority.PlatformRole}}
		By("putting back what somebody deletes or changes")
		Expect(env.Admin.Delete(ctx, binding)).To(Succeed())
		Eventually(ctx, func() error { return env.Admin.Get(ctx, client.ObjectKeyFromObject(binding), binding) }).Should(Succeed())
		process.Reset()
		change := client.RawPatch("application/merge-patch+json", []byte(`{"subjects":null}`))
		Expect(env.Admin.Patch(ctx, binding, change)).To(Succeed())
		Eventually(ctx, func() ([]rbacv1.Subject, error) {
			err := env.Admin.Get(ctx, client.ObjectKeyFromObject(binding), binding)
			return binding.Subjects, err
		}).Should(HaveLen(1))
		wrote := func(request harness.Request) bool {
			return request.Writes() && request.Resource == "rolebindings.rbac.authorization.k8s.io"
		}
		quiet(ctx, process) // the write is seen before its answer is counted
		Expect(process.Select(wrote)).To(HaveLen(1))

		By("taking them away when the resource is gone, and not before")
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		inside, _ := granted(ctx, hub.Namespace)()
		Expect(inside).To(Equal(1))
		Eventually(ctx, func() int { inside, _ := granted(ctx, hub.Namespace)(); return inside }).Should(BeZero())
		Expect(client.IgnoreNotFound(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), hub))).To(Succeed())
		process.Reset()
		Consistently(ctx, func() []harness.Request { return process.Select(wrote) }, "2s").Should(BeEmpty())
	}, SpecTimeout(3*time.Minute))

	It("tell the manager at once that a mark of the namespace is gone, or back", func(ctx context.Context) {
		newScene(ctx, "")
		manager := startManager(ctx)
		startInstaller(ctx)
		hub := platform(ctx, "marked", "{profile: Development, ingress: {domain: apps.example.com}, components: {jupyterHub: {}}}")
		Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
		mark := func(domains string) {
			GinkgoHelper()
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: hub.Namespace}}
			patch := `{"metadata":{"annotations":{"` + components.AnnotationAllowDomains + `":` + domains + `}}}`
			Expect(env.Admin.Patch(ctx, namespace, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
		}
		mark("null")
		Eventually(ctx, condition(hub, "JupyterHubReady")).Should(HavePrefix("False NotAllowed: the host name jupyterhub-marked.apps.example.com is in no domain"))
		Expect(manager.Select(func(r harness.Request) bool { return r.Verb == "delete" })).To(BeEmpty(), "what runs goes on")
		mark(`"example.com"`)
		Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	})

	It("are what components declare, inside and outside the namespace", func(ctx context.Context) {
		newScene(ctx, "")
		startInstaller(ctx)
		hub := platform(ctx, "storage", "profile: Development\ncomponents: {ceph: {}}\n")
		Eventually(ctx, func(g Gomega) {
			inside, outside := granted(ctx, hub.Namespace)()
			g.Expect(inside).To(BeNumerically(">", 10))
			g.Expect(outside).To(Equal(3))
		}).Should(Succeed())
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		Eventually(ctx, func() int { inside, outside := granted(ctx, hub.Namespace)(); return inside + outside }).Should(BeZero())
	}, SpecTimeout(3*time.Minute))

	It("of an administrator are left alone", func(ctx context.Context) {
		newScene(ctx, "")
		namespace := "by-hand"
		Expect(env.EnsureNamespace(ctx, namespace)).To(Succeed())
		own := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: authority.PlatformRole},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: authority.PlatformRole},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: harness.OperatorNamespace, Name: harness.ServiceAccount}},
		}
		Expect(env.Admin.Create(ctx, own)).To(Succeed())
		process := startInstaller(ctx)
		hub, err := env.CreatePlatform(ctx, namespace, "data", "components: {jupyterHub: {}}")
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, process.Quiet).Should(BeNumerically(">", time.Second))
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		Consistently(ctx, func() error { return env.Admin.Get(ctx, client.ObjectKeyFromObject(own), own) }, "7s").Should(Succeed())
		Expect(own.Labels).NotTo(HaveKey(grants.Label))
	}, SpecTimeout(3*time.Minute))
})
