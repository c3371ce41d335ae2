package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/test/harness"
)

var _ = Describe("Installing a platform", func() {
	It("applies each object once, reports sparingly, and then is silent", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "install")
		hub := platform(ctx, ns, "odh", both)
		ready(ctx, hub)
		Eventually(ctx, status(hub, v1alpha1.ConditionReconciling)).Should(Equal("absent"))

		By("listing the components in the order of the spec")
		Eventually(ctx, func() ([]string, error) {
			current := &v1alpha1.OpenDataHub{}
			err := env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)
			var names []string
			for _, component := range current.Status.Components {
				names = append(names, component.Name)
			}
			return names, err
		}).Should(Equal([]string{"kafka", "jupyterHub"}))

		By("counting the writes")
		writes := map[string]int{}
		for _, request := range manager.Select(harness.Request.Writes) {
			Expect(request.Status).To(BeNumerically("<", 300), request.String())
			switch {
			case request.Resource == "events.events.k8s.io":
			case request.Resource == "opendatahubs.opendatahub.io/status":
				writes["status by "+request.Manager]++
			case request.Resource == "opendatahubs.opendatahub.io":
				writes["finalizer by "+request.Manager]++
			default:
				writes[request.Resource+"/"+request.Name]++
			}
		}
		objects := children(ctx, ns)
		Expect(objects).NotTo(BeEmpty())
		applied := 0
		for what, count := range writes {
			switch what {
			case "status by opendatahub":
				Expect(count).To(BeNumerically("<=", 4), what)
			case "status by opendatahub-kafka", "status by opendatahub-jupyterHub":
				Expect(count).To(BeNumerically("<=", 2), what)
			default:
				Expect(count).To(Equal(1), what)
				applied++
			}
		}
		Expect(applied).To(Equal(len(objects) + 2 /* finalizers */))

		By("watching it do nothing for a minute")
		current := &v1alpha1.OpenDataHub{}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current)).To(Succeed())
		quiet(ctx, manager)
		manager.Reset()
		stop := churn(ctx, namespace(ctx, "unrelated"))
		Consistently(ctx, func() []harness.Request {
			return manager.Select(func(r harness.Request) bool { return r.Verb != "watch" })
		}, 60*time.Second, time.Second).Should(BeEmpty())
		Expect(stop()).To(BeNumerically(">", 500), "writes by others meanwhile")
		after := &v1alpha1.OpenDataHub{}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), after)).To(Succeed())
		Expect(after.ResourceVersion).To(Equal(current.ResourceVersion))

		By("restarting it")
		Expect(manager.Stop()).To(Succeed())
		again := start(ctx)
		quiet(ctx, again)
		Expect(again.Select(harness.Request.Writes)).To(BeEmpty())
		Expect(len(again.Requests())).To(BeNumerically(">", 5))
	}, SpecTimeout(5*time.Minute))
})

// churn writes objects that are none of the operator's business, until it is told to stop and says how many.
func churn(ctx context.Context, namespace string) (stop func() int) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan int)
	go func() {
		defer GinkgoRecover()
		writes := 0
		for ; ctx.Err() == nil; writes += 2 {
			object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("unrelated-%d", writes%20)}}
			if err := env.Admin.Create(ctx, object); err != nil {
				break
			}
			if err := env.Admin.Delete(ctx, object); err != nil {
				break
			}
		}
		done <- writes
	}()
	return func() int { cancel(); return <-done }
}

// quiet waits until the operator has sent nothing but watches for two seconds.
func quiet(ctx context.Context, manager *harness.Manager) {
	GinkgoHelper()
	Eventually(ctx, func() time.Duration { return manager.Quiet() }).Should(BeNumerically(">", 2*time.Second))
}
