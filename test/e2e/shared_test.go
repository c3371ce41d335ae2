package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	storage "k8s.io/client-go/applyconfigurations/storage/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/test/cluster/standin"
)

// sharer stands for a component with one object that all platforms of the cluster share, and with another one where the Gateway API
// is served. The API has no component of that name: a rule wants it on platforms whose namespace begins with "sharer", so that its
// condition exists only while something is wrong.
type sharer struct{}

const (
	sharerName      = "exampleSharer"
	sharerCondition = "ExampleSharerReady"
	sharerNamespace = "sharer"
	sharedClass     = "shared-by-platforms"
)

var _ components.WithRule = sharer{}

func (sharer) Wanted(facts components.Facts) bool {
	return strings.HasPrefix(facts.Platform.Namespace, sharerNamespace)
}

func (sharer) Name() string        { return sharerName }
func (sharer) Kinds() []kinds.Kind { return []kinds.Kind{kinds.StorageClass, kinds.HTTPRoute} }

func (sharer) Uses() []components.Use {
	return []components.Use{{Kind: kinds.StorageClass, Shared: true}, {Kind: kinds.HTTPRoute, Optional: true}}
}

func (sharer) Render(facts components.Facts) ([]components.Object, error) {
	return []components.Object{
		components.Owned(storage.StorageClass(sharedClass).WithProvisioner("example.com/none").
			WithAllowVolumeExpansion(facts.Spec.Profile != v1alpha1.ProfileDevelopment)),
		components.Owned(kinds.New(kinds.HTTPRoute.GVK(), "", facts.Platform.Name+"-optional", map[string]any{})),
	}, nil
}

func (sharer) Assess(observed components.Observed) components.Health {
	state := components.Health{State: components.Ready}
	if len(observed.Live) < len(observed.Rendered) {
		state.State = components.Progressing
	}
	return state
}

var _ = Describe("An object that platforms share", Serial, func() {
	const small, large = "profile: Development", "profile: Standard"
	class := func(ctx context.Context) *storagev1.StorageClass {
		GinkgoHelper()
		found := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: sharedClass}}
		Expect(client.IgnoreNotFound(env.Admin.Get(ctx, client.ObjectKeyFromObject(found), found))).To(Succeed())
		return found
	}
	holders := func(ctx context.Context) string { return class(ctx).Annotations[apply.PlatformsAnnotation] }
	remove := func(ctx context.Context, hub *v1alpha1.OpenDataHub) {
		GinkgoHelper()
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		gone(ctx, hub)
	}

	BeforeEach(func(ctx context.Context) {
		// What is shared here is a StorageClass. No component of the product shares one, and the policy refuses it.
		binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "opendatahub-manager"}}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(binding), binding)).To(Succeed())
		Expect(env.Admin.Delete(ctx, binding)).To(Succeed())
		DeferCleanup(func(ctx context.Context) {
			binding.ResourceVersion, binding.UID = "", ""
			Expect(env.Admin.Create(ctx, binding)).To(Succeed())
		})
	})

	It("belongs to all that want it, and goes with the last", func(ctx context.Context) {
		manager := start(ctx)
		first, second, third := namespace(ctx, sharerNamespace), namespace(ctx, sharerNamespace), namespace(ctx, sharerNamespace)
		a := platform(ctx, first, "odh", small)
		Eventually(ctx, holders).Should(Equal(first + "/odh"))
		b := platform(ctx, second, "odh", small)
		Eventually(ctx, holders).Should(Equal(first + "/odh," + second + "/odh"))
		for _, hub := range []*v1alpha1.OpenDataHub{a, b} {
			ready(ctx, hub)
			Expect(status(hub, sharerCondition)(ctx)).To(Equal("absent"))
		}

		By("telling a later one that wants it otherwise")
		before := class(ctx).ResourceVersion
		c := platform(ctx, third, "odh", large)
		Eventually(ctx, status(c, sharerCondition)).Should(Equal("False Conflict: StorageClass " + sharedClass +
			" is shared by the platforms of the cluster, and OpenDataHub " + first + "/odh wants it otherwise: " +
			"have both specs agree, or remove the component from one"))
		quiet(ctx, manager)
		Expect(class(ctx).ResourceVersion).To(Equal(before), "nobody writes")

		By("restarting")
		Expect(manager.Stop()).To(Succeed())
		manager = start(ctx)
		quiet(ctx, manager)
		Expect(class(ctx).ResourceVersion).To(Equal(before), "a restart writes nothing")

		By("removing the first, while the others stay")
		remove(ctx, a)
		Eventually(ctx, holders).Should(Equal(second + "/odh"))
		Expect(class(ctx).UID).NotTo(BeEmpty())
		Expect(status(c, sharerCondition)(ctx)).To(HavePrefix("False Conflict"))

		By("removing the second, after which the one that was refused gets its turn")
		remove(ctx, b)
		Eventually(ctx, status(c, sharerCondition)).Should(Equal("absent"))
		Expect(holders(ctx)).To(Equal(third + "/odh"))
		Expect(*class(ctx).AllowVolumeExpansion).To(BeTrue())

		By("removing the last")
		remove(ctx, c)
		absent := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: sharedClass}}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(absent), absent)).To(Satisfy(apierrors.IsNotFound))
	})

	It("does without an optional kind, and notices when it comes", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, sharerNamespace)
		hub := platform(ctx, ns, "odh", small)
		Eventually(ctx, holders).Should(Equal(ns + "/odh"))
		ready(ctx, hub)
		Expect(status(hub, v1alpha1.ConditionDependenciesReady)(ctx)).To(HavePrefix("True NotNeeded"))

		Expect(env.InstallCRDObjects(ctx, standin.CRDs(standin.Kind{
			Group: kinds.HTTPRoute.Group, Versions: kinds.HTTPRoute.Versions, Kind: kinds.HTTPRoute.Kind, Plural: kinds.HTTPRoute.Plural,
		})...)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(env.RemoveCRDs(ctx, kinds.HTTPRoute.CRD())).To(Succeed()) })
		Eventually(ctx, func(ctx context.Context) bool { return children(ctx, ns)["HTTPRoute/odh-optional"] != nil }).Should(BeTrue())
		ready(ctx, hub)

		By("taking it away again")
		Expect(env.RemoveCRDs(ctx, kinds.HTTPRoute.CRD())).To(Succeed())
		quiet(ctx, manager)
		ready(ctx, hub)
		Expect(status(hub, sharerCondition)(ctx)).To(Equal("absent"))
		remove(ctx, hub)
	})
})
