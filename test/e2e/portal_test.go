package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/test/container"
)

var _ = Describe("The portal", func() {
	It("shows the platform as it is, with the rights of its account alone", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "portal")
		odh := platform(ctx, ns, "odh", `components: {portal: {}, mlflow: {}}`)
		ready(ctx, odh)
		quiet(ctx, manager)

		config, err := env.ServiceAccountConfig(ctx, ns, "odh-portal-server")
		Expect(err).NotTo(HaveOccurred())
		address := container.FreeAddress(GinkgoTB())
		serving, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- cmd.RunPortal(serving, config, cmd.PortalOptions{
				ProcessOptions: cmd.ProcessOptions{Namespace: ns, ProbeAddress: "0"}, Platform: "odh", Authentication: "Local", Address: address,
			})
		}()
		DeferCleanup(func() {
			stop()
			Expect(<-ended).To(Succeed())
		})
		page := func(ctx context.Context) (string, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
			if err != nil {
				return "", err
			}
			request.Header.Set("X-Forwarded-User", "admin") // the login proxy's part, see test/login
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return "", err
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != http.StatusOK {
				return "", fmt.Errorf("status %d", response.StatusCode)
			}
			content, err := io.ReadAll(response.Body)
			return string(content), err
		}
		Eventually(ctx, page).Should(And(ContainSubstring("Everything works"), ContainSubstring("MLflowReady")))

		By("breaking something")
		edit(ctx, odh, `{"spec":{"components":{"mlflow":{"database":{"type":"PostgreSQL","uriSecretRef":{"name":"nowhere"}}}}}}`)
		Eventually(ctx, page).Should(And(ContainSubstring("An administrator has to act"), ContainSubstring("nowhere")))

		By("asking for more than it may see")
		reader, err := client.New(config, client.Options{Scheme: env.Admin.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		for _, list := range []client.ObjectList{&corev1.SecretList{}, &corev1.ConfigMapList{}, &corev1.PodList{}} {
			Expect(client.IgnoreNotFound(reader.List(ctx, list, client.InNamespace(ns)))).To(MatchError(ContainSubstring("forbidden")))
		}
		Expect(reader.List(ctx, &v1alpha1.OpenDataHubList{})).To(MatchError(ContainSubstring("forbidden")), "of other namespaces")
		Expect(reader.Delete(ctx, &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "odh"}})).To(MatchError(ContainSubstring("forbidden")))
	})
})
