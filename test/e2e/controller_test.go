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

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// helper stands for a component that gives every Pod with a label something that goes with the Pod, by a controller of its own. It has the
// name of one that the API knows.
type helper struct{}

const (
	helperName      = "spark"
	helperCondition = "SparkReady"
	helperLabel     = "example.com/helped"
)

func (helper) Name() string        { return helperName }
func (helper) Kinds() []kinds.Kind { return []kinds.Kind{kinds.ConfigMap} }

func (helper) Render(facts components.Facts) ([]components.Object, error) {
	return []components.Object{components.Owned(core.ConfigMap(facts.Platform.Name+"-helper", facts.Platform.Namespace))}, nil
}

func (helper) Assess(components.Observed) components.Health {
	return components.Health{State: components.Ready}
}

func (helper) ControllerKinds() []components.ControllerKind {
	return []components.ControllerKind{
		{Kind: kinds.Pod, Verbs: []string{"list", "watch"}, Labels: map[string]string{helperLabel: "true"}},
		{Kind: kinds.ConfigMap, Verbs: []string{"create", "patch"}},
	}
}

func (helper) SetupWithManager(mgr manager.Manager, facts func(*v1alpha1.OpenDataHub) components.Facts) error {
	return ctrl.NewControllerManagedBy(mgr).For(&corev1.Pod{}).Named("helper").WithOptions(controller.Options{SkipNameValidation: new(true)}).
		Complete(reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
			pod := &corev1.Pod{}
			if err := mgr.GetClient().Get(ctx, request.NamespacedName, pod); err != nil {
				return reconcile.Result{}, client.IgnoreNotFound(err)
			}
			var platforms v1alpha1.OpenDataHubList
			if err := mgr.GetClient().List(ctx, &platforms, client.InNamespace(pod.Namespace)); err != nil || len(platforms.Items) == 0 {
				return reconcile.Result{}, err
			}
			help := core.ConfigMap(pod.Name+"-help", pod.Namespace).
				WithLabels(map[string]string{components.LabelPlatform: platforms.Items[0].Name}). // the admission policy asks for it
				WithOwnerReferences(meta.OwnerReference().WithAPIVersion("v1").WithKind("Pod").WithName(pod.Name).WithUID(pod.UID)).
				WithData(map[string]string{"platform": facts(&platforms.Items[0]).Platform.Name})
			return reconcile.Result{}, mgr.GetClient().Apply(ctx, help, client.FieldOwner("helper"), client.ForceOwnership)
		}))
}

var _ = Describe("A controller that a component brings", func() {
	It("starts and stops with the manager, and sees the objects with its labels only", func(ctx context.Context) {
		ns := namespace(ctx, "helper")
		pod := func(name string, labels map[string]string) {
			GinkgoHelper()
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels}}
			pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
			pod.Spec.Containers = []corev1.Container{{Name: "main", Image: "example.com/none:1", SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}}}
			Expect(env.Admin.Create(ctx, pod)).To(Succeed())
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
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {spark: {}}")
		Eventually(ctx, status(hub, helperCondition)).Should(HavePrefix("True"))
		pod("one", labels)
		pod("other", nil)
		Eventually(ctx, helped("one")).Should(Equal("odh"))

		By("stopping")
		Expect(manager.Stop()).To(Succeed())
		pod("two", labels)
		Consistently(ctx, helped("two"), "1s").Should(BeEmpty())

		By("starting again")
		start(ctx)
		Eventually(ctx, helped("two")).Should(Equal("odh"))
		Expect(helped("other")(ctx)).To(BeEmpty())
	})
})
