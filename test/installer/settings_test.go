package installer

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/gpu"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/test/charts"
)

// policy reads a field of a ClusterPolicy; nil without it.
func policy(name string, fields ...string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(gpu.ClusterPolicy.GVK())
		if err := env.Admin.Get(ctx, types.NamespacedName{Name: name}, object); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		value, _, err := unstructured.NestedFieldNoCopy(object.Object, fields...)
		return value, err
	}
}

// letSetNodes has an administrator allow a platform to set up nodes.
func letSetNodes(ctx context.Context, hub *v1alpha1.OpenDataHub) {
	GinkgoHelper()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+components.LabelAllowNodes+`":"true"}}}`))
	Expect(env.Admin.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: hub.Namespace}}, patch)).To(Succeed())
}

var _ = Describe("Settings of nodes", func() {
	It("are merged from the platforms that may have some, the older decides, and the last one takes them along", func(ctx context.Context) {
		s := newScene(ctx, "deletionPolicy: Delete\n")
		startManager(ctx)
		process := startInstaller(ctx)

		By("asking without the mark, which sets up nothing")
		first := platform(ctx, "first", "components: {gpu: {driver: {version: 580.95.05}, sharing: {type: TimeSlicing, replicas: 4}}}")
		Eventually(ctx, condition(first, "GPUReady")).Should(HavePrefix("False NotAllowed: spec.components.gpu.driver.version"))
		Eventually(ctx, policy("cluster-policy", "spec", "driver", "version")).Should(Equal("595.91.07"), "the chart's own")

		By("asking with it")
		letSetNodes(ctx, first)
		Eventually(ctx, policy("cluster-policy", "spec", "driver", "version")).Should(Equal("580.95.05"))
		Expect(policy("cluster-policy", "spec", "driver", "image")(ctx)).To(Equal("driver"), "the chart's names of images stay")
		Expect(policy("cluster-policy", "spec", "devicePlugin", "config")(ctx)).To(Equal(map[string]any{"name": "opendatahub-gpu-sharing", "default": "timeslicing-4"}))
		sharing := &corev1.ConfigMap{}
		Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: s.namespace("NVIDIA GPU operator"), Name: "opendatahub-gpu-sharing"}, sharing)).To(Succeed())
		Expect(sharing.Data["timeslicing-4"]).To(ContainSubstring(`"replicas": 4`))
		exporters := &corev1.Service{}
		Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: s.namespace("NVIDIA GPU operator"), Name: "opendatahub-gpu-metrics"}, exporters)).To(Succeed())
		Expect(exporters.Spec).To(SatisfyAll(HaveField("ClusterIP", "None"), HaveField("PublishNotReadyAddresses", true)))
		Eventually(ctx, condition(first, "GPUReady")).Should(HavePrefix("True NoGPUNodes"))

		By("asking for the same, and for something else, from younger platforms")
		same := platform(ctx, "same", "components: {gpu: {driver: {version: 580.95.05}}}")
		other := platform(ctx, "z-other", "components: {gpu: {driver: {version: 570.195.03}}}")
		letSetNodes(ctx, same)
		letSetNodes(ctx, other)
		Eventually(ctx, condition(same, "GPUReady")).Should(HavePrefix("True NoGPUNodes"))
		Eventually(ctx, condition(other, "GPUReady")).Should(SatisfyAll(
			HavePrefix(`False Conflict: ClusterPolicy cluster-policy: spec.driver.version is "580.95.05", and spec.components.gpu.driver.version asks for "570.195.03"`),
			ContainSubstring("OpenDataHub "+first.Namespace+"/first, which is older, decides")))
		Expect(policy("cluster-policy", "spec", "driver", "version")(ctx)).To(Equal("580.95.05"))
		quiet(ctx, process)

		By("putting back what somebody changes")
		change := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"driver":{"version":"1.2.3"}}}`))
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(gpu.ClusterPolicy.GVK())
		object.SetName("cluster-policy")
		Expect(env.Admin.Patch(ctx, object, change)).To(Succeed())
		Eventually(ctx, policy("cluster-policy", "spec", "driver", "version")).Should(Equal("580.95.05"))

		By("removing the oldest: the next one decides what it asks for, and the rest goes")
		remove(ctx, first)
		Eventually(ctx, policy("cluster-policy", "spec", "devicePlugin", "config")).Should(BeNil())
		Expect(policy("cluster-policy", "spec", "driver", "version")(ctx)).To(Equal("580.95.05"))
		Eventually(ctx, condition(other, "GPUReady")).Should(ContainSubstring("OpenDataHub " + same.Namespace + "/same, which is older, decides"))
		remove(ctx, same)
		Eventually(ctx, condition(other, "GPUReady")).Should(HavePrefix("True NoGPUNodes"))
		Expect(policy("cluster-policy", "spec", "driver", "version")(ctx)).To(Equal("570.195.03"))

		By("removing the last one while a Pod has a GPU")
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "training"},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "training", Image: "training", Resources: corev1.ResourceRequirements{
				Limits: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")},
			}}}},
		}
		Expect(env.Admin.Create(ctx, pod)).To(Succeed())
		remove(ctx, other)
		Eventually(ctx, reported("NVIDIA GPU operator")).Should(Equal(
			"Ready InUse: no platform needs it any more; it stays as long as Pod default/training exists"))
		Expect(policy("cluster-policy", "spec", "driver", "version")(ctx)).To(Equal("570.195.03"))

		By("removing that as well; the installer looks when anything else wakes it, or after minutes")
		Expect(env.Admin.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		last := platform(ctx, "last", "components: {gpu: {}}")
		Eventually(ctx, condition(last, "GPUReady")).Should(HavePrefix("True NoGPUNodes"))
		Eventually(ctx, policy("cluster-policy", "spec", "driver", "version")).Should(Equal("595.91.07"), "nobody asks for another one")
		remove(ctx, last)
		Eventually(ctx, reported("NVIDIA GPU operator")).Should(BeEmpty())
		Expect(policy("cluster-policy", "metadata", "name")(ctx)).To(BeNil())
	}, SpecTimeout(4*time.Minute))

	It("change nothing of a ClusterPolicy that somebody else made", func(ctx context.Context) {
		newScene(ctx, "deletionPolicy: Delete\n")
		foreignOperator(ctx, "NVIDIA GPU operator", charts.StandIns("NVIDIA GPU operator", env.Kinds)...)
		theirs := parse(`{apiVersion: nvidia.com/v1, kind: ClusterPolicy, metadata: {name: theirs}, spec: {driver: {version: 570.195.03}}}`)
		Expect(env.Admin.Create(ctx, theirs)).To(Succeed())
		startManager(ctx)
		process := startInstaller(ctx)
		hub := platform(ctx, "adopting", "components: {gpu: {driver: {version: 580.95.05}}}")
		letSetNodes(ctx, hub)
		Eventually(ctx, condition(hub, "GPUReady")).Should(SatisfyAll(
			HavePrefix(`False Conflict: ClusterPolicy theirs: spec.driver.version is "570.195.03", and spec.components.gpu.driver.version asks for "580.95.05"`),
			ContainSubstring("the installer did not make it, so it is left as it is")))
		Eventually(ctx, reported("NVIDIA GPU operator")).Should(HavePrefix("Ready Available"))
		quiet(ctx, process)
		remove(ctx, hub)
		quiet(ctx, process)
		before := theirs.GetGeneration()
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(theirs), theirs)).To(Succeed())
		Expect(theirs.GetGeneration()).To(Equal(before))
		Expect(theirs.GetLabels()).NotTo(HaveKey(dependencies.Label))
	}, SpecTimeout(4*time.Minute))
})
