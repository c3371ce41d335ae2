package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/test/harness"
)

var _ = Describe("Rights in a namespace", func() {
	It("are asked for in the status, noticed when they come, and missed when they go", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "access")
		hub, err := harness.NewPlatform(ns, "odh", both)
		Expect(err).NotTo(HaveOccurred())
		Expect(env.Admin.Create(ctx, hub)).To(Succeed())
		Eventually(ctx, status(hub, v1alpha1.ConditionReady)).Should(And(HavePrefix("False AccessNotGranted"),
			ContainSubstring("kubectl create rolebinding opendatahub-platform --namespace "+ns)))
		Expect(children(ctx, ns)).To(BeEmpty())

		By("asking seldom, and for nothing that is refused")
		manager.Reset()
		Consistently(ctx, manager.Requests, "3s").Should(BeEmpty())

		By("granting them")
		Expect(env.Grant(ctx, hub)).To(Succeed())
		ready(ctx, hub)
		Expect(manager.Select(func(r harness.Request) bool { return r.Status == 403 })).To(BeEmpty())

		By("taking them back")
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: authority.PlatformRole}}
		Expect(env.Admin.Delete(ctx, binding)).To(Succeed())
		Eventually(ctx, status(hub, "KafkaReady")).Should(HavePrefix("False AccessNotGranted"))
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		Eventually(ctx, status(hub, "KafkaReady")).Should(And(HavePrefix("False Removing"), ContainSubstring("kubectl create rolebinding")))
		Expect(env.Grant(ctx, hub)).To(Succeed())
		gone(ctx, hub)
	})

	It("are used for Secrets of the platform's namespace only, and no longer than there is a platform", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "access")
		hub := platform(ctx, ns, "odh", both)
		ready(ctx, hub)
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		gone(ctx, hub)
		Expect(manager.Select(func(r harness.Request) bool { return r.Resource == "secrets" && r.Namespace != ns })).To(BeEmpty())
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: authority.PlatformRole}}
		Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, binding))).To(Succeed())
		manager.Reset()
		Consistently(ctx, manager.Requests, "3s").Should(BeEmpty())
	})
})
