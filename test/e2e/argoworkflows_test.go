package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components/argoworkflows"
)

var _ = Describe("Argo Workflows", func() {
	It("is deployed, repaired, and removed", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "argo")
		odh := platform(ctx, ns, "odh", "profile: Development\ncomponents: {argoWorkflows: {}}")
		ready(ctx, odh)
		quiet(ctx, manager)

		By("repairing the workflow that checks the platform")
		template := &unstructured.Unstructured{}
		template.SetGroupVersionKind(argoworkflows.WorkflowTemplate.GVK())
		entrypoint := func(ctx context.Context) (string, error) {
			if err := env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-argoworkflows-check"}, template); err != nil {
				return "", err
			}
			found, _, err := unstructured.NestedString(template.Object, "spec", "entrypoint")
			return found, err
		}
		Expect(entrypoint(ctx)).To(Equal("write"))
		Expect(env.Admin.Patch(ctx, template, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"entrypoint":"nothing"}}`)))).To(Succeed())
		Eventually(ctx, entrypoint).Should(Equal("write"))

		By("removing it")
		edit(ctx, odh, `{"spec":{"components":{"argoWorkflows":null}}}`)
		gone(ctx, template)
		Eventually(ctx, status(odh, "ArgoWorkflowsReady")).Should(Equal("absent"))
	})
})
