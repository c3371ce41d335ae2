package cluster_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/cluster/standin"
	"opendatahub.io/operator/test/cluster/strimzi"
)

const (
	kafkaYAML = `
apiVersion: kafka.strimzi.io/v1
kind: Kafka
metadata: {name: odh, namespace: %s}
spec:
  kafka:
    listeners:
    - {name: tls, port: 9093, type: internal, tls: true, authentication: {type: scram-sha-512}}
    authorization: {type: simple}
  entityOperator: {topicOperator: {}, userOperator: {}}
`
	poolYAML = `
apiVersion: kafka.strimzi.io/v1
kind: KafkaNodePool
metadata: {name: broker, namespace: %s, labels: {strimzi.io/cluster: odh}, annotations: {strimzi.io/next-node-ids: "[5-9]"}}
spec:
  replicas: 3
  roles: [controller, broker]
  storage: {type: jbod, volumes: [{id: 0, type: persistent-claim, size: 10Gi, kraftMetadata: shared, deleteClaim: false}]}
`
	userYAML = `
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata: {name: odh-client, namespace: %s, labels: {strimzi.io/cluster: odh}}
spec: {authentication: {type: scram-sha-512}}
`
	topicYAML = `
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata: {name: payload, namespace: %s, labels: {strimzi.io/cluster: odh}}
spec: {partitions: 3, replicas: 3}
`
	paused   = `{"metadata":{"annotations":{"strimzi.io/pause-reconciliation":"true"}}}`
	unpaused = `{"metadata":{"annotations":{"strimzi.io/pause-reconciliation":null}}}`
)

func merge(ctx context.Context, cl client.Client, o client.Object, patch string) {
	GinkgoHelper()
	Expect(cl.Patch(ctx, o.DeepCopyObject().(client.Object), client.RawPatch(client.Merge.Type(), []byte(patch)))).To(Succeed())
}

// strimziBehaves checks what the rest of the tests build on, whatever the CRDs are.
func strimziBehaves(ctx context.Context, cl client.Client, player *strimzi.Player) {
	GinkgoHelper()
	ns := newNamespace(ctx, cl, nil)
	kafka, pool, user, topic := object(kafkaYAML, ns), object(poolYAML, ns), object(userYAML, ns), object(topicYAML, ns)

	By("doing nothing about pools without a Kafka")
	Expect(cl.Create(ctx, pool)).To(Succeed())
	Consistently(observed(ctx, cl, pool, "status"), "500ms").Should(BeNil())

	By("saying Creating without a generation, and the id of the pools before that of the Kafka")
	undo, err := holdPods(ctx, cl, ns)
	Expect(err).NotTo(HaveOccurred())
	for _, o := range []client.Object{kafka, user, topic} {
		Expect(cl.Create(ctx, o)).To(Succeed())
	}
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(ContainElement(HaveKeyWithValue("reason", "Creating")))
	Expect(observed(ctx, cl, kafka, "status", "observedGeneration")()).To(BeNil())
	Eventually(observed(ctx, cl, pool, "status", "clusterId")).ShouldNot(BeNil())
	clusterID, err := observed(ctx, cl, pool, "status", "clusterId")()
	Expect(err).NotTo(HaveOccurred())
	Expect(observed(ctx, cl, pool, "status", "nodeIds")()).To(Equal([]any{int64(5), int64(6), int64(7)}), "as next-node-ids says")
	Consistently(observed(ctx, cl, kafka, "status", "clusterId"), "300ms").Should(BeNil())

	By("being Ready when the Pods are")
	Expect(undo()).To(Succeed())
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(conditionTrue("Ready"))
	Eventually(observed(ctx, cl, user, "status", "conditions")).Should(conditionTrue("Ready"))
	Eventually(observed(ctx, cl, topic, "status", "conditions")).Should(conditionTrue("Ready"))
	Expect(observed(ctx, cl, kafka, "status", "clusterId")()).To(Equal(clusterID))
	Expect(observed(ctx, cl, kafka, "status", "listeners")()).To(ConsistOf(
		HaveKeyWithValue("bootstrapServers", "odh-kafka-bootstrap."+ns+".svc:9093")))
	Expect(observed(ctx, cl, kafka, "status", "observedGeneration")()).To(BeEquivalentTo(1))
	Expect(observed(ctx, cl, kafka, "status", "kafkaVersion")()).NotTo(BeEmpty())
	Expect(observed(ctx, cl, topic, "metadata", "finalizers")()).To(ConsistOf("strimzi.io/topic-operator"))

	By("making Secrets and volumes, with owners as the specs say")
	secret := &corev1.Secret{}
	Expect(cl.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-client"}, secret)).To(Succeed())
	Expect(secret.Data).To(HaveKey("password"))
	owners := func(o client.Object, name string) func() ([]string, error) {
		return func() ([]string, error) {
			err := cl.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, o)
			var kinds []string
			for _, owner := range o.GetOwnerReferences() {
				kinds = append(kinds, owner.Kind)
			}
			return kinds, err
		}
	}
	authority, claim := owners(&corev1.Secret{}, "odh-cluster-ca"), owners(&corev1.PersistentVolumeClaim{}, "data-0-odh-broker-5")
	Eventually(authority).Should(ConsistOf("Kafka"))
	Eventually(claim).Should(BeEmpty())
	volumes := `{"spec":{"storage":{"volumes":[{"id":0,"type":"persistent-claim","size":"10Gi","kraftMetadata":"shared","deleteClaim":%t}]}}}`
	merge(ctx, cl, pool, fmt.Sprintf(volumes, true))
	Eventually(claim).Should(ConsistOf("KafkaNodePool"))
	merge(ctx, cl, pool, fmt.Sprintf(volumes, false))
	Eventually(claim).Should(BeEmpty())
	merge(ctx, cl, kafka, `{"spec":{"clusterCa":{"generateSecretOwnerReference":false}}}`)
	Eventually(authority).Should(BeEmpty())

	By("observing a pool before its Pods are replaced, one after the other")
	pods := func() map[string]string {
		list := &corev1.PodList{}
		Expect(cl.List(ctx, list, client.InNamespace(ns))).To(Succeed())
		found := map[string]string{}
		for _, pod := range list.Items {
			found[pod.Name] = pod.Annotations["example.com/form"]
		}
		return found
	}
	merge(ctx, cl, pool, `{"spec":{"template":{"pod":{"metadata":{"annotations":{"example.com/form":"2"}}}}}}`)
	Eventually(pods).Should(Equal(map[string]string{"odh-broker-5": "2", "odh-broker-6": "2", "odh-broker-7": "2"}))

	By("refusing what it refuses")
	merge(ctx, cl, pool, `{"spec":{"replicas":5}}`)
	Eventually(observed(ctx, cl, pool, "status", "nodeIds")).Should(HaveLen(5))
	merge(ctx, cl, pool, `{"spec":{"replicas":3}}`)
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(ContainElement(HaveKeyWithValue("reason", "ScaleDownPreventionCheck")))
	Expect(observed(ctx, cl, pool, "status", "nodeIds")()).To(HaveLen(5))
	merge(ctx, cl, kafka, `{"spec":{"kafka":{"config":{"default.replication.factor":6}}}}`)
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(ContainElement(HaveKeyWithValue("reason", "InvalidResourceException")))
	merge(ctx, cl, kafka, `{"spec":{"kafka":{"config":{"default.replication.factor":3}}}}`)
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(conditionTrue("Ready"))
	merge(ctx, cl, topic, `{"spec":{"replicas":2}}`)
	Eventually(observed(ctx, cl, topic, "status", "conditions")).Should(ConsistOf(
		And(HaveKeyWithValue("reason", "NotSupported"), HaveKeyWithValue("status", "False"))))
	merge(ctx, cl, topic, `{"spec":{"replicas":3}}`)

	By("pausing and resuming")
	merge(ctx, cl, kafka, paused)
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(And(HaveLen(1), conditionTrue("ReconciliationPaused")))
	merge(ctx, cl, kafka, unpaused)
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(conditionTrue("Ready"))

	By("releasing deleted topics while the entity operator runs")
	Expect(player.Topics(clusterID.(string))).To(Equal(1))
	Expect(cl.Delete(ctx, topic)).To(Succeed())
	Eventually(func() bool {
		_, err := observed(ctx, cl, topic)()
		return apierrors.IsNotFound(err)
	}).Should(BeTrue())
	Expect(player.Topics(clusterID.(string))).To(Equal(0))

	By("taking the id of the pools for a Kafka that is recreated")
	// As the real operator, it would end a reconciliation that it began before the Kafka was deleted, and give the pools that id.
	player.Behave(ns, strimzi.Down)
	Expect(cl.Delete(ctx, kafka)).To(Succeed())
	Eventually(func() bool {
		_, err := observed(ctx, cl, kafka)()
		return apierrors.IsNotFound(err)
	}).Should(BeTrue())
	Expect(cl.Status().Patch(ctx, pool.DeepCopy(), client.RawPatch(client.Merge.Type(), []byte(`{"status":{"clusterId":"kept"}}`)))).To(Succeed())
	player.Behave(ns, strimzi.Working)
	kafka = object(kafkaYAML, ns)
	Expect(cl.Create(ctx, kafka)).To(Succeed())
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(conditionTrue("Ready"))
	Expect(observed(ctx, cl, kafka, "status", "clusterId")()).To(Equal("kept"))

	By("behaving otherwise in one namespace")
	player.Behave(ns, strimzi.Failing)
	merge(ctx, cl, kafka, `{"spec":{"kafka":{"config":{"min.insync.replicas":2}}}}`)
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(conditionTrue("NotReady"))
	player.Behave(ns, strimzi.Down)
	merge(ctx, cl, kafka, `{"spec":{"kafka":{"config":{"min.insync.replicas":1}}}}`)
	generation := func() (any, error) { return observed(ctx, cl, kafka, "metadata", "generation")() }
	now, err := generation()
	Expect(err).NotTo(HaveOccurred())
	Consistently(observed(ctx, cl, kafka, "status", "observedGeneration"), "500ms").ShouldNot(BeEquivalentTo(now))
}

// holdPods keeps Pods from being created until they may.
func holdPods(ctx context.Context, cl client.Client, ns string) (undo func() error, err error) {
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}
	if err := cl.Create(ctx, quota); err != nil {
		return nil, err
	}
	Eventually(func() (corev1.ResourceList, error) {
		return quota.Status.Hard, cl.Get(ctx, client.ObjectKeyFromObject(quota), quota)
	}).Should(HaveKey(corev1.ResourcePods))
	return func() error { return cl.Delete(ctx, quota) }, nil
}

var _ = Describe("the played Strimzi operator", func() {
	It("behaves as the real one, on stand-in CRDs", func(ctx SpecContext) {
		strimziBehaves(ctx, kube, shared.Strimzi())
	})

	It("behaves as the real one, on the real CRDs", func(ctx SpecContext) {
		folder := upstreamCRDs("strimzi")
		c := startCluster(ctx, cluster.Options{Name: "upstream"})
		Expect(c.InstallCRDs(ctx, folder)).To(Succeed())
		strimziBehaves(ctx, newClient(c), c.Strimzi())
	})

	It("can be gone, and come back", Serial, func(ctx SpecContext) {
		ns := newNamespace(ctx, kube, nil)
		kafka, pool, topic := object(kafkaYAML, ns), object(poolYAML, ns), object(topicYAML, ns)
		for _, o := range []client.Object{pool, kafka, topic} {
			Expect(kube.Create(ctx, o)).To(Succeed())
		}
		Eventually(observed(ctx, kube, topic, "status", "conditions")).Should(conditionTrue("Ready"))

		Expect(shared.StopOperator(ctx, "strimzi")).To(Succeed())
		Expect(kube.Delete(ctx, topic)).To(Succeed())
		merge(ctx, kube, kafka, `{"spec":{"kafka":{"config":{"min.insync.replicas":2}}}}`)
		Consistently(observed(ctx, kube, topic, "metadata", "finalizers"), "1s").Should(ConsistOf("strimzi.io/topic-operator"))
		Expect(observed(ctx, kube, kafka, "status", "observedGeneration")()).To(BeEquivalentTo(1))

		Expect(shared.StartOperator(ctx, "strimzi")).To(Succeed())
		Eventually(observed(ctx, kube, kafka, "status", "observedGeneration")).Should(BeEquivalentTo(2))
		Eventually(func() bool {
			_, err := observed(ctx, kube, topic)()
			return apierrors.IsNotFound(err)
		}).Should(BeTrue())
	})

	It("finds kinds that are served late, in another version", Serial, func(ctx SpecContext) {
		c := startCluster(ctx, cluster.Options{Name: "late", Operators: []string{"strimzi"}})
		cl := newClient(c)
		var old []standin.Kind
		for _, kind := range strimziKinds {
			kind.Versions = []string{"v1beta2"}
			old = append(old, kind)
		}
		Expect(c.InstallCRDObjects(ctx, standin.CRDs(old...)...)).To(Succeed())
		ns := newNamespace(ctx, cl, nil)
		kafka, pool := object(kafkaYAML, ns), object(poolYAML, ns)
		for _, o := range []*unstructured.Unstructured{pool, kafka} {
			o.SetAPIVersion("kafka.strimzi.io/v1beta2")
			Expect(cl.Create(ctx, o)).To(Succeed())
		}
		Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(conditionTrue("Ready"))
	})
})
