package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components/monitoring"
	"opendatahub.io/operator/test/container"
)

var _ = Describe("Monitoring", func() {
	It("watches what the platform has, and no longer what it had", func(ctx context.Context) {
		env.MetricsAddress = container.FreeAddress(GinkgoTB())
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
})
