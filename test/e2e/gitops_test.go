package e2e

import (
	"context"
	"path/filepath"

	kstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/test/gitops"
)

var _ = Describe("The manifests for Argo CD and Flux", Serial, func() {
	It("deploy an operator and a platform, and differ from neither afterwards", func(ctx context.Context) {
		var objects []*unstructured.Unstructured
		for _, folder := range []string{"operator-without-installer", "platform-without-installer"} {
			built, err := gitops.Build(filepath.Join(env.Root, "config", "gitops", folder))
			Expect(err).NotTo(HaveOccurred())
			objects = append(objects, built...)
		}
		script, err := gitops.HealthCheck(env.Root, "opendatahub.io_OpenDataHub")
		Expect(err).NotTo(HaveOccurred())

		var hub *unstructured.Unstructured
		DeferCleanup(func(ctx context.Context) {
			Expect(env.ForgetPlatforms(ctx, client.InNamespace("opendatahub"))).To(Succeed())
			for _, object := range objects {
				if object.GetKind() == "Deployment" || object.GetKind() == "Namespace" && object.GetName() == "opendatahub" {
					Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, object))).To(Succeed())
				}
			}
		})
		manager := start(ctx)
		for _, object := range objects {
			applied, err := gitops.Apply(ctx, env.Admin, object, false)
			Expect(err).NotTo(HaveOccurred())
			if object.GetKind() == "OpenDataHub" {
				hub = applied
				Expect(healthOf(script, hub)).To(Equal("Progressing, InProgress"), "nothing is healthy before the operator has seen it")
			}
		}
		Eventually(ctx, func() (string, error) {
			if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), hub); err != nil {
				return "", err
			}
			return healthOf(script, hub)
		}).Should(Equal("Healthy, Current"))
		quiet(ctx, manager)

		By("asking the API server what another apply of the same would change")
		for _, object := range objects {
			live := object.DeepCopy()
			Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(object), live)).To(Succeed())
			again, err := gitops.Apply(ctx, env.Admin, object, true)
			Expect(err).NotTo(HaveOccurred())
			Expect(again.Object).To(Equal(live.Object), "%s %s", object.GetKind(), object.GetName())
		}
	})
})

// healthOf is what Argo CD and Flux say of an object.
func healthOf(script string, object *unstructured.Unstructured) (string, error) {
	argo, _, err := gitops.Health(script, object)
	if err != nil {
		return "", err
	}
	flux, err := kstatus.Compute(object)
	if err != nil {
		return "", err
	}
	return argo + ", " + string(flux.Status), nil
}
