package e2e

import (
	"context"
	"encoding/json"
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
)

// gpuNode adds a node until the end of the spec, as Node Feature Discovery and NVIDIA's operator leave one behind: labels, the resources
// that a device plugin registers, and the usual taint.
func gpuNode(ctx context.Context, name, model string, count int64) *corev1.Node {
	GinkgoHelper()
	resources := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: resource.MustParse("110"),
		"nvidia.com/gpu": *resource.NewQuantity(count, resource.DecimalSI),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
			Labels: map[string]string{
				"feature.node.kubernetes.io/pci-0302_10de.present": "true", "nvidia.com/gpu.present": "true", "nvidia.com/gpu.product": model,
			},
		},
		Spec:   corev1.NodeSpec{Taints: []corev1.Taint{{Key: "nvidia.com/gpu", Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{Capacity: resources, Allocatable: resources},
	}
	Expect(env.Admin.Create(ctx, node)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, node))).To(Succeed()) })
	return node
}

// clusterPolicy makes one until the end of the spec, as an administrator does.
func clusterPolicy(ctx context.Context, name string, spec map[string]any) *unstructured.Unstructured {
	GinkgoHelper()
	for _, required := range []string{"operator", "daemonsets", "driver", "toolkit", "devicePlugin", "dcgm", "dcgmExporter", "gfd", "nodeStatusExporter"} {
		if spec[required] == nil {
			spec[required] = map[string]any{}
		}
	}
	policy := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "metadata": map[string]any{"name": name}, "spec": spec,
	}}
	Expect(env.Admin.Create(ctx, policy)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, policy))).To(Succeed()) })
	return policy
}

var _ = Describe("GPUs", Serial, func() {
	It("come and go with nodes, under a ClusterPolicy of somebody else that is left as it is", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "gpu")
		odh := platform(ctx, ns, "odh", `components: {gpu: {}}`)
		Eventually(ctx, status(odh, "GPUReady")).Should(HavePrefix("False Progressing: there is no ClusterPolicy"))
		policy := clusterPolicy(ctx, "somebodys", map[string]any{"driver": map[string]any{"version": "570.195.03"}})
		Eventually(ctx, status(odh, "GPUReady")).Should(HavePrefix("True NoGPUNodes"))
		ready(ctx, odh)

		By("finding a node")
		gpuNode(ctx, "gpu-1", "NVIDIA-A100-SXM4-40GB", 2)
		Eventually(ctx, status(odh, "GPUReady")).Should(Equal("True Available: 2 for Pods on 1 of 1 nodes with GPUs: 2 NVIDIA-A100-SXM4-40GB"))
		devices := func(ctx context.Context) []v1alpha1.NodeDevice {
			Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(odh), odh)).To(Succeed())
			for _, component := range odh.Status.Components {
				if component.Name == "gpu" {
					return component.Devices
				}
			}
			return nil
		}
		Expect(devices(ctx)).To(Equal([]v1alpha1.NodeDevice{
			{Node: "gpu-1", Resource: "nvidia.com/gpu", Model: "NVIDIA-A100-SXM4-40GB", Capacity: 2, Allocatable: 2},
		}))
		offers := func(ctx context.Context) []string {
			object := &corev1.ConfigMap{}
			Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: ns, Name: "odh-gpu-offers"}, object)).To(Succeed())
			var offered []components.NotebookOffer
			Expect(json.Unmarshal([]byte(object.Data["offers.json"]), &offered)).To(Succeed())
			names := []string{}
			for _, offer := range offered {
				names = append(names, offer.Name)
			}
			return names
		}
		Expect(offers(ctx)).To(Equal([]string{"gpu-nvidia-a100-sxm4-40gb-1", "gpu-nvidia-a100-sxm4-40gb-2"}))

		By("writing nothing while nodes report that they live")
		quiet(ctx, manager)
		manager.Reset()
		beat := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"b"}}}`))
		Expect(env.Admin.Patch(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "gpu-1"}}, beat)).To(Succeed())
		quiet(ctx, manager)

		By("losing the node")
		Expect(env.Admin.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "gpu-1"}})).To(Succeed())
		Eventually(ctx, status(odh, "GPUReady")).Should(HavePrefix("True NoGPUNodes"))
		Expect(offers(ctx)).To(BeEmpty())

		By("asking for a setting, which takes a mark, and which the ClusterPolicy has otherwise")
		change := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"components":{"gpu":{"driver":{"version":"580.95.05"}}}}}`))
		Expect(env.Admin.Patch(ctx, odh, change)).To(Succeed())
		Eventually(ctx, status(odh, "GPUReady")).Should(SatisfyAll(HavePrefix("False NotAllowed: spec.components.gpu.driver.version"),
			ContainSubstring("kubectl label namespace "+ns+" opendatahub.io/allow-nodes=true")))
		mark := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"opendatahub.io/allow-nodes":"true"}}}`))
		Expect(env.Admin.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, mark)).To(Succeed())
		Eventually(ctx, status(odh, "GPUReady")).Should(HavePrefix(`False Conflict: ClusterPolicy somebodys: spec.driver.version is "570.195.03", and spec.components.gpu.driver.version asks for "580.95.05"`))
		before := policy.GetGeneration()
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
		Expect(policy.GetGeneration()).To(Equal(before))
		Expect(env.Admin.Delete(ctx, odh)).To(Succeed())
		gone(ctx, odh)
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed(), "it is somebody else's")
	}, SpecTimeout(2*time.Minute))
})
