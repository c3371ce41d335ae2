package e2e

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components/monitoring"
)

var _ = Describe("Monitoring", func() {
	It("watches what the platform has, and no longer what it had", func(ctx context.Context) {
		env.MetricsAddress = metricsAddress()
		DeferCleanup(func() { env.MetricsAddress = "" })
		manager := start(ctx)
		ns := namespace(ctx, "monitoring")
		odh := platform(ctx, ns, "odh", `
profile: Development
components: {monitoring: {}, mlflow: {}}
`)
		ready(ctx, odh)
		quiet(ctx, manager)
		Expect(status(odh, "MonitoringReady")(ctx)).To(ContainSubstring("alerts go nowhere"))

		monitors := func(ctx context.Context) []string {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(monitoring.PodMonitor.GVK())
			Expect(env.Admin.List(ctx, list, client.InNamespace(ns))).To(Succeed())
			var names []string
			for _, monitor := range list.Items {
				names = append(names, monitor.GetName())
			}
			return names
		}
		Expect(monitors(ctx)).To(ConsistOf("odh-monitoring-mlflow-server", "odh-monitoring-monitoring-prometheus", "odh-monitoring-monitoring-alertmanager"))
		operator := &unstructured.Unstructured{}
		operator.SetGroupVersionKind(monitoring.ScrapeConfig.GVK())
		Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-monitoring-operator"}, operator)).To(Succeed(), "who signed its certificate is known")

		By("taking a component away")
		Expect(env.Admin.Patch(ctx, odh, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"components":{"mlflow":null}}}`)))).To(Succeed())
		Eventually(ctx, monitors).ShouldNot(ContainElement("odh-monitoring-mlflow-server"))
		ready(ctx, odh)
	})

	It("has budgets for replicas by a right that is granted, and says so where it is not", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "monitoring")
		odh := platform(ctx, ns, "odh", "{profile: Development, components: {monitoring: {prometheus: {replicas: 2}}}}")
		ready(ctx, odh)
		budgets := func(ctx context.Context) ([]string, error) {
			var list policyv1.PodDisruptionBudgetList
			err := env.Admin.List(ctx, &list, client.InNamespace(ns))
			var names []string
			for _, budget := range list.Items {
				names = append(names, budget.Name)
			}
			return names, err
		}
		Expect(budgets(ctx)).To(ConsistOf("odh-monitoring-prometheus"))

		By("taking the right away")
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "odh-monitoring-budgets"}}
		Expect(env.Admin.Delete(ctx, binding)).To(Succeed())
		replicas := func(prometheus, alertmanager int) {
			GinkgoHelper()
			patch := fmt.Sprintf(`{"spec":{"components":{"monitoring":{"prometheus":{"replicas":%d},"alertmanager":{"replicas":%d}}}}}`, prometheus, alertmanager)
			Expect(env.Admin.Patch(ctx, odh, client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
		}
		replicas(1, 1)
		Eventually(ctx, budgets).Should(BeEmpty())
		ready(ctx, odh)
		replicas(1, 2)
		Eventually(ctx, status(odh, "MonitoringReady")).Should(Equal("False AccessNotGranted: the operator may not write the PodDisruptionBudget " +
			"odh-monitoring-alertmanager in namespace " + ns + "; grant that: kubectl get opendatahub odh --namespace " + ns +
			" --output yaml | opendatahub grants --filename - | kubectl apply --server-side --filename -"))

		By("granting it again")
		Expect(env.Grant(ctx, odh)).To(Succeed())
		ready(ctx, odh)
		Expect(budgets(ctx)).To(ConsistOf("odh-monitoring-alertmanager"))
	})
})
