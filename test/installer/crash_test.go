package installer

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
			// Each time somewhere else, so that nothing is there but the CustomResourceDefinitions.
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

// deployed is whether there is exactly one Deployment of the chart in the namespace, and one release that says so.
func deployed(ctx context.Context, namespace string) bool {
	GinkgoHelper()
	var deployments appsv1.DeploymentList
	Expect(env.Admin.List(ctx, &deployments, client.InNamespace(namespace))).To(Succeed())
	var releases corev1.SecretList
	Expect(env.Admin.List(ctx, &releases, client.InNamespace(namespace), client.MatchingLabels{"owner": "helm"})).To(Succeed())
	good := 0
	for _, release := range releases.Items {
		if release.Labels["status"] == "deployed" {
			good++
		} else if strings.HasPrefix(release.Labels["status"], "pending") {
			return false
		}
	}
	return len(deployments.Items) == 1 && good == 1
}
