package installer

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/test/harness"
)

var _ = Describe("An installer that is killed", func() {
	It("after any write, the answer of which is lost, leaves nothing that the next one cannot finish", func(ctx context.Context) {
		s := newScene(ctx, "")
		Expect(env.InstallInstaller(ctx)).To(Succeed())
		startManager(ctx)
		platform(ctx, "data", small)
		writes := 1
		for survived := false; !survived; writes++ {
			Expect(writes).To(BeNumerically("<", 60), "an install takes that many writes")
			// Each time somewhere else, so that it is installed there and removed where it was.
			namespace := fmt.Sprintf("%s-%d", s.namespace("Strimzi"), writes)
			s.configure(ctx, fmt.Sprintf("mirror: %s\noperators: [{name: Strimzi, namespace: %s}]\n", chartFolder, namespace))
			doomed, err := env.StartInstaller(context.WithoutCancel(ctx))
			Expect(err).NotTo(HaveOccurred())
			left := writes
			dead := doomed.DieAfter(func(request harness.Request) bool {
				if request.Writes() && request.Resource != "selfsubjectaccessreviews.authorization.k8s.io" {
					left--
				}
				return left == 0
			})
			Eventually(ctx, func() bool {
				select {
				case <-dead:
					return true
				default:
				}
				survived = deployed(ctx, namespace) && doomed.Quiet() > time.Second
				return survived
			}).Should(BeTrue(), "write %d", writes)
			_ = doomed.Stop() // a crashed one complains

			next, err := env.StartInstaller(context.WithoutCancel(ctx))
			Expect(err).NotTo(HaveOccurred())
			Eventually(ctx, func() bool { return deployed(ctx, namespace) }).Should(BeTrue(), "after a crash at write %d", writes)
			Eventually(ctx, reported("Strimzi")).Should(HavePrefix("Ready Available"))
			Expect(next.Stop()).To(Succeed())
		}
		GinkgoWriter.Printf("an install takes %d writes\n", writes-1)
		Expect(writes).To(BeNumerically(">", 5), "it was never killed in the middle of an install")
	}, SpecTimeout(8*time.Minute))
})

// deployed reports whether there is exactly one Deployment of the chart in the namespace, with its rights, and none elsewhere.
func deployed(ctx context.Context, namespace string) bool {
	GinkgoHelper()
	var deployments appsv1.DeploymentList
	Expect(env.Admin.List(ctx, &deployments, client.MatchingLabels{dependencies.Label: "strimzi"})).To(Succeed())
	if len(deployments.Items) != 1 || deployments.Items[0].Namespace != namespace {
		return false
	}
	var accounts corev1.ServiceAccountList
	Expect(env.Admin.List(ctx, &accounts, client.MatchingLabels{dependencies.Label: "strimzi"})).To(Succeed())
	binding := &rbacv1.ClusterRoleBinding{}
	err := env.Admin.Get(ctx, types.NamespacedName{Name: "strimzi-kafka-operator"}, binding)
	return err == nil && len(accounts.Items) == 1 && accounts.Items[0].Namespace == namespace && binding.Subjects[0].Namespace == namespace
}
