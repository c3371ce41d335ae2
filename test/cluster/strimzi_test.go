package cluster_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/cluster/standin"
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
metadata: {name: broker, namespace: %s, labels: {strimzi.io/cluster: odh}}
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
func strimziBehaves(ctx context.Context, cl client.Client) {
	GinkgoHelper()
	ns := newNamespace(ctx, cl, nil)
	kafka, pool, user, topic := object(kafkaYAML, ns), object(poolYAML, ns), object(userYAML, ns), object(topicYAML, ns)

	By("creating everything")
	for _, o := range []client.Object{pool, kafka, user, topic} {
		Expect(cl.Create(ctx, o)).To(Succeed())
	}
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(conditionTrue("Ready"))
	Eventually(observed(ctx, cl, pool, "status", "nodeIds")).Should(HaveLen(3))
	Eventually(observed(ctx, cl, user, "status", "conditions")).Should(conditionTrue("Ready"))
	Eventually(observed(ctx, cl, topic, "status", "conditions")).Should(conditionTrue("Ready"))
	Expect(observed(ctx, cl, kafka, "status", "listeners")()).To(ConsistOf(
		HaveKeyWithValue("bootstrapServers", "odh-kafka-bootstrap."+ns+".svc:9093")))
	Expect(observed(ctx, cl, kafka, "status", "observedGeneration")()).To(BeEquivalentTo(1))
	Expect(observed(ctx, cl, kafka, "status", "kafkaVersion")()).NotTo(BeEmpty())
	Expect(observed(ctx, cl, topic, "metadata", "finalizers")()).To(ConsistOf("strimzi.io/topic-operator"))
	clusterID, err := observed(ctx, cl, kafka, "status", "clusterId")()
	Expect(err).NotTo(HaveOccurred())
	Expect(clusterID).NotTo(BeEmpty())

	By("making the Secrets")
	secret := &corev1.Secret{}
	Expect(cl.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-client"}, secret)).To(Succeed())
	Expect(secret.Data).To(HaveKey("password"))
	Expect(cl.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-cluster-ca-cert"}, secret)).To(Succeed())
	Expect(secret.Data).To(HaveKey("ca.crt"))

	By("following changes of the spec")
	merge(ctx, cl, kafka, `{"spec":{"kafka":{"config":{"min.insync.replicas":2}}}}`)
	Eventually(observed(ctx, cl, kafka, "status", "observedGeneration")).Should(BeEquivalentTo(2))
	merge(ctx, cl, kafka, `{"spec":{"kafka":{"config":{"min.insync.replicas":1}}}}`)
	Eventually(observed(ctx, cl, kafka, "status", "observedGeneration")).Should(BeEquivalentTo(3))
	Expect(observed(ctx, cl, kafka, "status", "clusterId")()).To(Equal(clusterID))
	merge(ctx, cl, pool, `{"spec":{"replicas":5}}`)
	Eventually(observed(ctx, cl, pool, "status", "nodeIds")).Should(HaveLen(5))

	By("pausing and resuming")
	merge(ctx, cl, kafka, paused)
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(And(HaveLen(1), conditionTrue("ReconciliationPaused")))
	merge(ctx, cl, kafka, unpaused)
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(conditionTrue("Ready"))

	By("adopting the id of a cluster that was deleted")
	Expect(cl.Delete(ctx, kafka)).To(Succeed())
	Eventually(func() bool {
		_, err := observed(ctx, cl, kafka)()
		return apierrors.IsNotFound(err)
	}).Should(BeTrue())
	kafka = object(kafkaYAML, ns)
	kafka.SetAnnotations(map[string]string{"strimzi.io/pause-reconciliation": "true"})
	Expect(cl.Create(ctx, kafka)).To(Succeed())
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(conditionTrue("ReconciliationPaused"))
	Expect(observed(ctx, cl, kafka, "status", "clusterId")()).To(BeNil())
	Expect(cl.Status().Patch(ctx, kafka.DeepCopy(), client.RawPatch(client.Merge.Type(), []byte(`{"status":{"clusterId":"kept"}}`)))).To(Succeed())
	merge(ctx, cl, kafka, unpaused)
	Eventually(observed(ctx, cl, kafka, "status", "conditions")).Should(conditionTrue("Ready"))
	Expect(observed(ctx, cl, kafka, "status", "clusterId")()).To(Equal("kept"))

	By("releasing a deleted topic")
	Expect(cl.Delete(ctx, topic)).To(Succeed())
	Eventually(func() bool {
		_, err := observed(ctx, cl, topic)()
		return apierrors.IsNotFound(err)
	}).Should(BeTrue())
}

var _ = Describe("the played Strimzi operator", func() {
	It("behaves as the real one, on stand-in CRDs", func(ctx SpecContext) {
		strimziBehaves(ctx, kube)
	})

	It("behaves as the real one, on the real CRDs", func(ctx SpecContext) {
		folder := upstreamCRDs("strimzi")
		c := startCluster(ctx, cluster.Options{Name: "upstream"})
		Expect(c.InstallCRDs(ctx, folder)).To(Succeed())
		strimziBehaves(ctx, newClient(c))
	})

	It("can be gone, and come back", Serial, func(ctx SpecContext) {
		ns := newNamespace(ctx, kube, nil)
		topic := object(topicYAML, ns)
		Expect(kube.Create(ctx, topic)).To(Succeed())
		Eventually(observed(ctx, kube, topic, "status", "conditions")).Should(conditionTrue("Ready"))

		Expect(shared.StopOperator(ctx, "strimzi")).To(Succeed())
		Expect(kube.Delete(ctx, topic)).To(Succeed())
		kafka := object(kafkaYAML, ns)
		Expect(kube.Create(ctx, kafka)).To(Succeed())
		Consistently(observed(ctx, kube, topic, "metadata", "finalizers"), "1s").Should(ConsistOf("strimzi.io/topic-operator"))
		Expect(observed(ctx, kube, kafka, "status")()).To(BeNil())

		Expect(shared.StartOperator(ctx, "strimzi")).To(Succeed())
		Eventually(observed(ctx, kube, kafka, "status", "conditions")).Should(conditionTrue("Ready"))
		Eventually(func() bool {
			_, err := observed(ctx, kube, topic)()
			return apierrors.IsNotFound(err)
		}).Should(BeTrue())
	})

	It("finds kinds that are served late, in another version", Serial, func(ctx SpecContext) {
		// A group of its own, so that no other spec sees it.
		stages, err := cluster.OperatorStages("strimzi")
		Expect(err).NotTo(HaveOccurred())
		Expect(shared.ApplyStages(ctx, "late", stages,
			"kafka.strimzi.io/v1", "late.example.com/v1beta2", "name: kafka", "name: late-kafka")).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return shared.RemoveStages(ctx, "late") })

		Expect(shared.InstallCRDObjects(ctx, standin.CRDs(
			standin.Kind{Group: "late.example.com", Versions: []string{"v1beta2"}, Kind: "Kafka", Plural: "latekafkas"})...)).To(Succeed())
		kafka := object(kafkaYAML, newNamespace(ctx, kube, nil))
		kafka.SetAPIVersion("late.example.com/v1beta2")
		Expect(kube.Create(ctx, kafka)).To(Succeed())
		Eventually(observed(ctx, kube, kafka, "status", "conditions")).Should(conditionTrue("Ready"))
	})
})
