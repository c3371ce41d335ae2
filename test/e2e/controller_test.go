package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// helperLabel is on the ConfigMaps for which the reader's own controller creates another one.
const helperLabel = "example.com/helped"

func (reader) ControllerKinds() []components.ControllerKind {
	return []components.ControllerKind{
		{Kind: kinds.ConfigMap, Verbs: []string{"list", "watch", "create", "patch"}, Labels: map[string]string{helperLabel: "true"}},
	}
}

func (reader) SetupWithManager(mgr manager.Manager, platform components.PlatformIn) error {
	return ctrl.NewControllerManagedBy(mgr).For(&corev1.ConfigMap{}).Named("helper").WithOptions(controller.Options{SkipNameValidation: new(true)}).
		Complete(reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
			helped := &corev1.ConfigMap{}
			if err := mgr.GetClient().Get(ctx, request.NamespacedName, helped); err != nil {
				return reconcile.Result{}, client.IgnoreNotFound(err)
			}
			facts, found, err := platform(ctx, helped.Namespace)
			if err != nil || !found {
				return reconcile.Result{}, err
			}
			help := core.ConfigMap(helped.Name+"-help", helped.Namespace).
				WithLabels(map[string]string{components.LabelPlatform: facts.Platform.Name}). // the admission policy asks for it
				WithOwnerReferences(meta.OwnerReference().WithAPIVersion("v1").WithKind("ConfigMap").WithName(helped.Name).WithUID(helped.UID)).
				WithData(map[string]string{"platform": facts.Platform.Name})
			return reconcile.Result{}, mgr.GetClient().Apply(ctx, help, client.FieldOwner("helper"), client.ForceOwnership)
		}))
}

var _ = Describe("A controller of a component", func() {
	It("starts and stops with the manager, and sees the objects with its labels only", func(ctx context.Context) {
		ns := namespace(ctx, readerNamespace)
		configMap := func(name string, labels map[string]string) {
			GinkgoHelper()
			Expect(env.Admin.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels}})).To(Succeed())
		}
		helped := func(name string) func(context.Context) string {
			return func(ctx context.Context) string {
				help := &corev1.ConfigMap{}
				if err := env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: name + "-help"}, help); err != nil {
					return ""
				}
				return help.Data["platform"]
			}
		}
		labels := map[string]string{helperLabel: "true"}
		manager := start(ctx)
		hub := platform(ctx, ns, "odh", "profile: Development")
		ready(ctx, hub)
		configMap("one", labels)
		configMap("other", nil)
		Eventually(ctx, helped("one")).Should(Equal("odh"))

		By("stopping")
		Expect(manager.Stop()).To(Succeed())
		configMap("two", labels)
		Consistently(ctx, helped("two"), "1s").Should(BeEmpty())

		By("starting again")
		start(ctx)
		Eventually(ctx, helped("two")).Should(Equal("odh"))
		Expect(helped("other")(ctx)).To(BeEmpty())
	})
})
