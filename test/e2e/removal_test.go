package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/jupyterhub"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/test/harness"
)

var _ = Describe("Removing", func() {
	It("keeps the data of a component that is disabled, and uses it again", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "disable")
		hub := platform(ctx, ns, "odh", both)
		ready(ctx, hub)
		before := children(ctx, ns)
		clusterID := kafkaClusterID(ctx, ns)
		Expect(clusterID).NotTo(BeEmpty())

		By("disabling both components")
		edit(ctx, hub, `{"spec":{"components":{"kafka":null,"jupyterHub":{"managementState":"Removed"}}}}`)
		Eventually(ctx, status(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True NoComponents"))
		Eventually(ctx, status(hub, "KafkaReady")).Should(Equal("absent"))
		Eventually(ctx, status(hub, "JupyterHubReady")).Should(Equal("absent"))
		kept := children(ctx, ns)
		for name, object := range before {
			if object.GetLabels()[components.LabelData] == "true" {
				Expect(kept).To(HaveKeyWithValue(name, HaveField("GetUID()", object.GetUID())))
			} else {
				Expect(kept).NotTo(HaveKey(name))
			}
		}
		Expect(kept).To(HaveKey("PersistentVolumeClaim/odh-jupyterhub-db"))
		login := &corev1.Secret{}
		Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: ns, Name: "odh-jupyterhub-login"}, login)).To(Succeed())
		Expect(login.Data).To(And(HaveKeyWithValue("username", Not(BeEmpty())), HaveLen(2)), "what is rendered and what is generated")
		deletesArePreconditioned(manager)

		By("enabling them again")
		edit(ctx, hub, `{"spec":{"components":{"kafka":{},"jupyterHub":{"managementState":"Managed"}}}}`)
		ready(ctx, hub)
		after := children(ctx, ns)
		for name, object := range kept {
			Expect(after).To(HaveKeyWithValue(name, HaveField("GetUID()", object.GetUID())))
		}
		Expect(kafkaClusterID(ctx, ns)).To(Equal(clusterID), "the brokers refuse volumes of another cluster id")
		Expect(after["Kafka/odh"].GetAnnotations()).NotTo(HaveKey("strimzi.io/pause-reconciliation"))
	})

	It("deletes everything but data with the resource, and adopts the data again", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "delete")
		hub := platform(ctx, ns, "odh", both)
		ready(ctx, hub)
		before := children(ctx, ns)
		clusterID := kafkaClusterID(ctx, ns)

		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		gone(ctx, hub)
		kept := children(ctx, ns)
		Expect(kept).NotTo(BeEmpty())
		for name, object := range kept {
			Expect(object.GetLabels()).To(HaveKeyWithValue(components.LabelData, "true"), name)
			Expect(object.GetUID()).To(Equal(before[name].GetUID()), name)
		}
		deletesArePreconditioned(manager)

		again := platform(ctx, ns, "odh", both)
		ready(ctx, again)
		after := children(ctx, ns)
		for name, object := range kept {
			Expect(after[name].GetUID()).To(Equal(object.GetUID()), name)
		}
		Expect(kafkaClusterID(ctx, ns)).To(Equal(clusterID))
	})

	It("deletes data too under deletionPolicy Delete", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "delete")
		hub := platform(ctx, ns, "odh", both+"deletionPolicy: Delete\n")
		ready(ctx, hub)
		home := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "claim-anna", Labels: homeLabels(hub)},
			Spec: claimSpec()}
		Expect(env.Admin.Create(ctx, home)).To(Succeed())
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		gone(ctx, hub)
		Expect(children(ctx, ns)).To(BeEmpty())
		Eventually(ctx, func() error {
			return env.Admin.Get(ctx, client.ObjectKeyFromObject(home), home)
		}).Should(Satisfy(apierrors.IsNotFound))
	})

	It("ends the notebooks and keeps the homes of their users", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "notebooks")
		hub := platform(ctx, ns, "odh", "components: {jupyterHub: {}}")
		ready(ctx, hub)
		home := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "claim-anna", Labels: homeLabels(hub)},
			Spec: claimSpec()}
		Expect(env.Admin.Create(ctx, home)).To(Succeed())
		notebook := notebookPod(hub, ns)
		Expect(env.Admin.Create(ctx, notebook)).To(Succeed())
		unrelated := notebookPod(hub, ns)
		unrelated.Name, unrelated.Labels = "unrelated", map[string]string{"app": "other"}
		Expect(env.Admin.Create(ctx, unrelated)).To(Succeed())

		edit(ctx, hub, `{"spec":{"components":{"jupyterHub":null}}}`)
		Eventually(ctx, func() error {
			return env.Admin.Get(ctx, client.ObjectKeyFromObject(notebook), notebook.DeepCopy())
		}).Should(Satisfy(apierrors.IsNotFound))
		Eventually(ctx, status(hub, "JupyterHubReady")).Should(Equal("absent"))
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(home), home)).To(Succeed())
		Expect(home.DeletionTimestamp).To(BeNil())
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(unrelated), unrelated)).To(Succeed())
	})

	It("names what blocks it when the third-party operator is gone", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "blocked")
		hub := platform(ctx, ns, "odh", `
profile: Development
deletionPolicy: Delete
components:
  kafka:
    topics: [{name: payload}]
`)
		ready(ctx, hub)
		topic := "odh-payload"
		for name := range children(ctx, ns) {
			if kind, rest, _ := strings.Cut(name, "/"); kind == "KafkaTopic" {
				topic = rest
			}
		}
		Eventually(ctx, func() []string {
			return children(ctx, ns)["KafkaTopic/"+topic].GetFinalizers()
		}).Should(ContainElement("strimzi.io/topic-operator"))

		Expect(env.StopOperator(ctx, "strimzi")).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(env.StartOperator(ctx, "strimzi")).To(Succeed()) })
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		want := fmt.Sprintf("False Removing: waiting for KafkaTopic %s/%s to be gone: it has the finalizer strimzi.io/topic-operator, "+
			"which the Strimzi operator removes; see that the operator runs, or, if it is gone for good, give the object up: "+
			`kubectl patch kafkatopic.kafka.strimzi.io -n %s %s --type=merge -p '{"metadata":{"finalizers":null}}'`, ns, topic, ns, topic)
		Eventually(ctx, status(hub, "KafkaReady")).Should(Equal(want))
		Eventually(ctx, status(hub, v1alpha1.ConditionReady)).Should(HavePrefix("False Removing: kafka: waiting for KafkaTopic"))
		Expect(children(ctx, ns)).To(HaveKey("Kafka/odh"), "Kafka goes after its topics")
		quiet(ctx, manager)

		By("doing what the message says")
		Expect(env.Admin.Patch(ctx, children(ctx, ns)["KafkaTopic/"+topic], client.RawPatch(types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		gone(ctx, hub)
	})

	It("lets Strimzi keep the messages of topics", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "topics")
		hub := platform(ctx, ns, "odh", `
profile: Development
components:
  kafka:
    topics: [{name: payload}, {name: other}]
`)
		ready(ctx, hub)
		released := func(topic string) []string {
			var verbs []string
			for _, request := range manager.Requests() {
				if request.Name == topic && (request.Verb == "patch" || request.Verb == "delete") {
					verbs = append(verbs, request.Verb)
				}
			}
			return verbs
		}
		edit(ctx, hub, `{"spec":{"components":{"kafka":{"topics":[{"name":"payload"}]}}}}`)
		Eventually(ctx, func() map[string]*unstructured.Unstructured { return children(ctx, ns) }).
			ShouldNot(HaveKey("KafkaTopic/odh-kafka-other"))
		Expect(released("odh-kafka-other")).To(Equal([]string{"patch", "delete"}), "unmanaged first, then deleted")

		edit(ctx, hub, `{"spec":{"deletionPolicy":"Delete","components":{"kafka":{"topics":[]}}}}`)
		Eventually(ctx, func() map[string]*unstructured.Unstructured { return children(ctx, ns) }).
			ShouldNot(HaveKey("KafkaTopic/odh-kafka-payload"))
		Expect(released("odh-kafka-payload")).To(Equal([]string{"delete"}))
	})

	It("deletes under Delete what was kept under Retain before", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "later")
		hub := platform(ctx, ns, "odh", "profile: Development\ncomponents: {kafka: {}}")
		ready(ctx, hub)
		kept := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "data-0-odh-kafka-combined-0"}}
		edit(ctx, hub, `{"spec":{"components":{"kafka":null}}}`)
		Eventually(ctx, status(hub, "KafkaReady")).Should(Equal("absent"))
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(kept), kept)).To(Succeed())
		Expect(kept.DeletionTimestamp).To(BeNil())

		edit(ctx, hub, `{"spec":{"deletionPolicy":"Delete","components":{"kafka":{}}}}`)
		ready(ctx, hub)
		Expect(env.Admin.Delete(ctx, hub)).To(Succeed())
		gone(ctx, hub)
		gone(ctx, kept)
		Expect(children(ctx, ns)).To(BeEmpty())
	})

	It("does not hold up a namespace that is being deleted", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "namespace")
		hub := platform(ctx, ns, "odh", both)
		ready(ctx, hub)
		Expect(env.Admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})).To(Succeed())
		Eventually(ctx, func() error {
			return env.Admin.Get(ctx, types.NamespacedName{Name: ns}, &corev1.Namespace{})
		}).Should(Satisfy(apierrors.IsNotFound))
	})
})

// edit merges a JSON document into the resource, as kubectl patch does.
func edit(ctx context.Context, hub *v1alpha1.OpenDataHub, patch string) {
	GinkgoHelper()
	Expect(env.Admin.Patch(ctx, hub, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
}

func gone(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Eventually(ctx, func() error {
		return env.Admin.Get(ctx, client.ObjectKeyFromObject(object), object)
	}).Should(Satisfy(apierrors.IsNotFound))
}

func kafkaClusterID(ctx context.Context, namespace string) string {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kafka.Kafka.GVK())
	Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: namespace, Name: "odh"}, object)).To(Succeed())
	id, _, _ := unstructured.NestedString(object.Object, "status", "clusterId")
	return id
}

func deletesArePreconditioned(manager *harness.Manager) {
	GinkgoHelper()
	deletes := manager.Select(func(r harness.Request) bool { return r.Verb == "delete" })
	Expect(deletes).NotTo(BeEmpty())
	Expect(deletes).To(HaveEach(HaveField("Preconditioned", true)))
}

// leftoverLabels are those that the component's software puts on what it creates.
func leftoverLabels(hub *v1alpha1.OpenDataHub, kind kinds.Kind) map[string]string {
	GinkgoHelper()
	facts := components.Facts{Platform: components.Platform{Name: hub.Name, Namespace: hub.Namespace}}
	for _, leftover := range jupyterhub.New().(components.WithLeftovers).Leftovers(facts) {
		if leftover.Kind.GroupKind == kind.GroupKind {
			return leftover.Labels
		}
	}
	Fail("JupyterHub leaves no " + kind.Kind)
	return nil
}

func homeLabels(hub *v1alpha1.OpenDataHub) map[string]string {
	return leftoverLabels(hub, kinds.PersistentVolumeClaim)
}

func claimSpec() corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
	}
}

func notebookPod(hub *v1alpha1.OpenDataHub, namespace string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "jupyter-anna", Labels: leftoverLabels(hub, kinds.Pod)},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   new(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "notebook", Image: "example.com/notebook:1",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}
