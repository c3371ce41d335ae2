package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/test/cluster/strimzi"
)

var _ = Describe("Kafka", func() {
	const small = `
profile: Development
deletionPolicy: Delete
components:
  kafka:
    topics: [{name: payload}]
`
	const pause = `{"metadata":{"annotations":{"strimzi.io/pause-reconciliation":"true"}}}`

	It("keeps every volume and Secret when Delete becomes Retain and the component goes, whatever Strimzi does", func(ctx context.Context) {
		start(ctx)
		type platformCase struct {
			behaviour strimzi.Behaviour
			paused    bool
			deletes   bool // the whole platform
			ns        string
			hub       *v1alpha1.OpenDataHub
			data      map[string]types.UID
		}
		cases := []*platformCase{
			{behaviour: strimzi.Working},
			{behaviour: strimzi.Slow},
			{behaviour: strimzi.Down},
			{behaviour: strimzi.Failing},
			{paused: true},
			{behaviour: strimzi.Working, deletes: true},
			{behaviour: strimzi.Down, deletes: true},
		}
		for _, c := range cases {
			c.ns = namespace(ctx, "keep")
			c.hub = platform(ctx, c.ns, "odh", small)
		}
		for _, c := range cases {
			ready(ctx, c.hub)
			c.data = kafkaData(ctx, c.ns)
			Expect(slices.Sorted(maps.Keys(c.data))).To(Equal([]string{
				"PersistentVolumeClaim/data-0-odh-kafka-combined-0", "Secret/odh-clients-ca", "Secret/odh-clients-ca-cert",
				"Secret/odh-cluster-ca", "Secret/odh-cluster-ca-cert", "Secret/odh-kafka-admin-password",
			}))
			claim := &corev1.PersistentVolumeClaim{}
			Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: c.ns, Name: "data-0-odh-kafka-combined-0"}, claim)).To(Succeed())
			Expect(claim.OwnerReferences).To(ConsistOf(HaveField("Kind", "KafkaNodePool")), "or this spec shows nothing")
		}
		for _, c := range cases {
			if c.paused {
				Expect(env.Admin.Patch(ctx, live(ctx, c.ns, kafka.Kafka.GVK().Kind, "odh"), client.RawPatch(types.MergePatchType, []byte(pause)))).To(Succeed())
			}
			env.Strimzi().Behave(c.ns, c.behaviour)
			if c.deletes {
				edit(ctx, c.hub, `{"spec":{"deletionPolicy":"Retain"}}`)
				Expect(env.Admin.Delete(ctx, c.hub)).To(Succeed())
			} else {
				edit(ctx, c.hub, `{"spec":{"deletionPolicy":"Retain","components":{"kafka":{"managementState":"Removed"}}}}`)
			}
		}
		stuck := func(c *platformCase) bool { return c.behaviour == strimzi.Down || c.behaviour == strimzi.Failing }
		for _, c := range cases {
			if stuck(c) {
				Eventually(ctx, status(c.hub, "KafkaReady")).Should(ContainSubstring("waiting for the Strimzi operator to let go of "))
			}
		}
		// The topic operator of a Strimzi that is down does not remove its finalizers.
		for _, c := range cases {
			if stuck(c) {
				Eventually(ctx, status(c.hub, "KafkaReady")).Should(ContainSubstring("waiting for KafkaTopic"))
				Expect(env.Admin.Patch(ctx, live(ctx, c.ns, kafka.Topic.GVK().Kind, "odh-kafka-payload"), client.RawPatch(types.MergePatchType,
					[]byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
			}
		}
		for _, c := range cases {
			Eventually(ctx, func() map[string]*unstructured.Unstructured { return children(ctx, c.ns) }).
				ShouldNot(Or(HaveKey("Kafka/odh"), HaveKey("KafkaNodePool/kafka-combined")))
			if c.deletes {
				gone(ctx, c.hub)
			} else {
				Eventually(ctx, status(c.hub, "KafkaReady")).Should(Equal("absent"))
			}
		}
		// What garbage collection would delete, it has deleted by now, because it works in order.
		collected(ctx)
		for _, c := range cases {
			Expect(kafkaData(ctx, c.ns)).To(Equal(c.data), "%+v", c)
		}

		By("using the volumes again")
		c := cases[2]
		env.Strimzi().Behave(c.ns, strimzi.Working)
		edit(ctx, c.hub, `{"spec":{"components":{"kafka":{"managementState":"Managed"}}}}`)
		ready(ctx, c.hub)
		Expect(kafkaData(ctx, c.ns)).To(Equal(c.data))
	}, NodeTimeout(5*time.Minute))

	It("keeps the id of a cluster that was removed before its first Ready", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "first")
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "no-pods"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
		}
		Expect(env.Admin.Create(ctx, quota)).To(Succeed())
		Eventually(ctx, func() (corev1.ResourceList, error) {
			return quota.Status.Hard, env.Admin.Get(ctx, client.ObjectKeyFromObject(quota), quota)
		}).Should(HaveKey(corev1.ResourcePods))
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {kafka: {}}")
		Eventually(ctx, func() string { return clusterIDIn(live(ctx, ns, "ConfigMap", "odh-kafka-record"), "data") }).ShouldNot(BeEmpty())
		id := clusterIDIn(live(ctx, ns, "KafkaNodePool", "kafka-combined"), "status")
		Expect(id).NotTo(BeEmpty())
		Expect(kafkaClusterID(ctx, ns)).To(BeEmpty(), "no broker has answered")
		Eventually(ctx, status(hub, "KafkaReady")).Should(And(HavePrefix("False Progressing"), ContainSubstring("Strimzi is creating it"),
			Not(ContainSubstring("does it run"))))

		edit(ctx, hub, `{"spec":{"components":{"kafka":null}}}`)
		Eventually(ctx, status(hub, "KafkaReady")).Should(Equal("absent"))
		Expect(env.Admin.Delete(ctx, quota)).To(Succeed())
		edit(ctx, hub, `{"spec":{"components":{"kafka":{}}}}`)
		ready(ctx, hub)
		Expect(kafkaClusterID(ctx, ns)).To(Equal(id))
	})

	It("keeps the id that Strimzi gave the cluster while no manager ran", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "late")
		env.Strimzi().Behave(ns, strimzi.Down)
		odh := platform(ctx, ns, "odh", "profile: Development\ncomponents: {kafka: {}}")
		Eventually(ctx, status(odh, "KafkaReady")).Should(HavePrefix("False Progressing"))
		Expect(manager.Stop()).To(Succeed())
		env.Strimzi().Behave(ns, strimzi.Working)
		edit(ctx, odh, `{"spec":{"components":{"kafka":null}}}`)
		// A change makes the player look: it did not act on the creation.
		look := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"example.com/look":"again"}}}`))
		Expect(env.Admin.Patch(ctx, live(ctx, ns, "Kafka", "odh"), look)).To(Succeed())
		Eventually(ctx, func() string { return clusterIDIn(live(ctx, ns, "KafkaNodePool", "kafka-combined"), "status") }).ShouldNot(BeEmpty())
		id := clusterIDIn(live(ctx, ns, "KafkaNodePool", "kafka-combined"), "status")

		start(ctx)
		Eventually(ctx, status(odh, "KafkaReady")).Should(Equal("absent"))
		Expect(clusterIDIn(live(ctx, ns, "ConfigMap", "odh-kafka-record"), "data")).To(Equal(id))
		edit(ctx, odh, `{"spec":{"components":{"kafka":{}}}}`)
		ready(ctx, odh)
		Expect(kafkaClusterID(ctx, ns)).To(Equal(id))
	})

	It("grows from one broker to five, and does not lower what data relies on", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "grow")
		hub := platform(ctx, ns, "odh", `
profile: Development
components:
  kafka:
    controllers: {type: Dedicated}
    replicas: 1
    topics: [{name: first}]
`)
		ready(ctx, hub)
		for _, brokers := range []int{2, 3, 5} {
			edit(ctx, hub, fmt.Sprintf(`{"spec":{"components":{"kafka":{"replicas":%d,"topics":[{"name":"first"},{"name":"with-%d"}]}}}}`, brokers, brokers))
			ready(ctx, hub)
			Expect(brokerPods(ctx, ns)).To(HaveLen(brokers))
		}
		topics := map[string]int64{}
		for _, name := range []string{"first", "with-5"} {
			topics[name], _, _ = unstructured.NestedInt64(live(ctx, ns, "KafkaTopic", "odh-kafka-"+name).Object, "spec", "replicas")
		}
		Expect(topics).To(Equal(map[string]int64{"first": 1, "with-5": 3}))

		By("refusing what its copies do not fit on")
		settings := live(ctx, ns, "Kafka", "odh").Object["spec"]
		edit(ctx, hub, `{"spec":{"components":{"kafka":{"replicas":2}}}}`)
		Eventually(ctx, status(hub, "KafkaReady")).Should(HavePrefix("False ImmutableFieldChanged: spec.components.kafka.replicas: 2 brokers cannot hold the 3 copies"))
		Expect(live(ctx, ns, "Kafka", "odh").Object["spec"]).To(Equal(settings))

		By("leaving to Strimzi what holds partitions")
		edit(ctx, hub, `{"spec":{"components":{"kafka":{"replicas":3}}}}`)
		Eventually(ctx, status(hub, "KafkaReady")).Should(ContainSubstring("has 5 nodes instead of 3: Strimzi takes away none that holds partitions"))
		Expect(live(ctx, ns, "Kafka", "odh").Object["spec"]).To(Equal(settings))
		Expect(brokerPods(ctx, ns)).To(HaveLen(5))
		edit(ctx, hub, `{"spec":{"components":{"kafka":{"replicas":5}}}}`)
		ready(ctx, hub)

		By("saying what to do about replicas that cannot change")
		edit(ctx, hub, `{"spec":{"components":{"kafka":{"topics":[{"name":"first","replicas":3}]}}}}`)
		Eventually(ctx, status(hub, "KafkaReady")).Should(HavePrefix("False Degraded: KafkaTopic odh-kafka-first: set its partitions and replicas back"))
	})

	It("is not Ready while its Pods are replaced", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "roll")
		hub := platform(ctx, ns, "odh", "components: {kafka: {}}")
		ready(ctx, hub)
		edit(ctx, hub, `{"spec":{"components":{"kafka":{"resources":{"limits":{"memory":"3Gi"}}}}}}`)
		current := func() int {
			count := 0
			for _, pod := range brokerPods(ctx, ns) {
				if pod.Spec.Containers[0].Resources.Limits.Memory().String() == "3Gi" {
					count++
				}
			}
			return count
		}
		said := map[string]bool{}
		Eventually(ctx, func(ctx context.Context) (string, error) {
			condition, err := status(hub, "KafkaReady")(ctx)
			if err == nil && strings.HasPrefix(condition, "True") {
				Expect(current()).To(Equal(3), "Ready for the latest generation, with old Pods")
			}
			said[condition] = true
			return condition, err
		}).WithPolling(5 * time.Millisecond).Should(HavePrefix("True"))
		Expect(said).To(HaveKey(ContainSubstring("KafkaNodePool kafka-broker: ")), "it said nothing about its Pods")
	})

	It("keeps messages when the platform is deleted in the foreground", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "foreground")
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {kafka: {topics: [{name: payload}]}}")
		ready(ctx, hub)
		id := kafkaClusterID(ctx, ns)
		Expect(env.Strimzi().Topics(id)).To(Equal(1))
		Expect(env.Admin.Delete(ctx, hub, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
		gone(ctx, hub)
		Expect(env.Strimzi().Topics(id)).To(Equal(1))
	})

	It("is removed although finished Pods are left", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "finished")
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {kafka: {}}")
		ready(ctx, hub)
		job := notebookPod(hub, ns)
		job.Name, job.Labels = "done", map[string]string{"opendatahub.io/platform": "odh", "opendatahub.io/component": "kafka"}
		job.Spec.RestartPolicy = corev1.RestartPolicyNever
		Expect(env.Admin.Create(ctx, job)).To(Succeed())
		Eventually(ctx, func() error {
			if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(job), job); err != nil {
				return err
			}
			if job.Status.Phase != corev1.PodRunning {
				return fmt.Errorf("it is %s", job.Status.Phase) // the node would say later that it runs
			}
			job.Status.Phase = corev1.PodFailed
			job.Status.Conditions = nil
			return env.Admin.Status().Update(ctx, job)
		}).Should(Succeed())
		edit(ctx, hub, `{"spec":{"components":{"kafka":null}}}`)
		Eventually(ctx, status(hub, "KafkaReady")).Should(Equal("absent"))
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(job), job)).To(Succeed(), "it is not the operator's")
	})
})

// live reads one object of a kind that some component renders; an object that does not exist is empty.
func live(ctx context.Context, namespace, kind, name string) *unstructured.Unstructured {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	for _, component := range all {
		for _, k := range component.Kinds() {
			if k.Kind == kind {
				object.SetGroupVersionKind(k.GVK())
			}
		}
	}
	Expect(client.IgnoreNotFound(env.Admin.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, object))).To(Succeed())
	return object
}

func clusterIDIn(object *unstructured.Unstructured, field string) string {
	id, _, _ := unstructured.NestedString(object.Object, field, "clusterId")
	return id
}

func brokerPods(ctx context.Context, namespace string) []corev1.Pod {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(env.Admin.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels{"strimzi.io/pool-name": "kafka-broker"})).To(Succeed())
	return pods.Items
}

// kafkaData are the volumes and the Secrets that must outlive a Kafka, by their names. One that is being deleted does not count.
func kafkaData(ctx context.Context, namespace string) map[string]types.UID {
	GinkgoHelper()
	found := map[string]types.UID{}
	claims, secrets := &corev1.PersistentVolumeClaimList{}, &corev1.SecretList{}
	Expect(env.Admin.List(ctx, claims, client.InNamespace(namespace))).To(Succeed())
	Expect(env.Admin.List(ctx, secrets, client.InNamespace(namespace))).To(Succeed())
	for _, claim := range claims.Items {
		if claim.DeletionTimestamp == nil {
			found["PersistentVolumeClaim/"+claim.Name] = claim.UID
		}
	}
	for _, secret := range secrets.Items {
		if secret.DeletionTimestamp == nil && (strings.Contains(secret.Name, "-ca") || strings.HasSuffix(secret.Name, "-password")) {
			found["Secret/"+secret.Name] = secret.UID
		}
	}
	return found
}

// collected returns when garbage collection has dealt with an owner that is gone since now.
func collected(ctx context.Context) {
	GinkgoHelper()
	ns := namespace(ctx, "collected")
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "owner"}}
	Expect(env.Admin.Create(ctx, owner)).To(Succeed())
	dependent := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "dependent", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: owner.UID},
	}}}
	Expect(env.Admin.Create(ctx, dependent)).To(Succeed())
	Expect(env.Admin.Delete(ctx, owner)).To(Succeed())
	gone(ctx, dependent)
}
