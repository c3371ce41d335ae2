package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/spark"
	"opendatahub.io/operator/test/harness"
)

const sparkPlatform = `
profile: Development
components:
  spark:
    clusterSizes: [{name: one, workers: 1}]
`

// partsOfACluster is how many objects the controller makes for a Pod.
const partsOfACluster = 6

var _ = Describe("A Spark cluster", func() {
	var ns string
	var manager *harness.Manager
	var hub *v1alpha1.OpenDataHub

	BeforeEach(func(ctx context.Context) {
		ns = namespace(ctx, "spark")
		manager = start(ctx)
		hub = platform(ctx, ns, "odh", sparkPlatform)
		Eventually(ctx, status(hub, "SparkReady")).Should(HavePrefix("True"))
	})

	clusterOf := func(pod *corev1.Pod) func(context.Context) int {
		return func(ctx context.Context) int { return len(sparkObjects(ctx, ns)[pod.UID]) }
	}
	instances := func(ctx context.Context) int32 {
		odh := &v1alpha1.OpenDataHub{}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), odh)).To(Succeed())
		for _, component := range odh.Status.Components {
			if component.Name == "spark" {
				return component.Instances
			}
		}
		return -1
	}

	It("is created within a second, reported to its Pod and the platform, and repaired", func(ctx context.Context) {
		manager.Reset()
		var pod *corev1.Pod
		quickly(ctx, time.Second, func(ctx context.Context) {
			if pod != nil { // the last one took too long
				Expect(env.Admin.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
				Eventually(ctx, clusterOf(pod)).Should(BeZero())
				manager.Reset()
			}
			pod = sparkDriver(ctx, ns, "alice", "alice")
		}, func(ctx context.Context) {
			Eventually(ctx, clusterOf(pod)).WithPolling(10 * time.Millisecond).Should(Equal(partsOfACluster))
		})
		Eventually(ctx, func(ctx context.Context) []string { return podNotes(ctx, pod) }).Should(Equal([]string{
			"SparkClusterCreated: Creating Spark cluster one: a master and 1 worker",
			"SparkClusterReady: Spark cluster is ready at spark://spark-" + string(pod.UID) + ":7077 with 1 worker",
		}))
		Eventually(ctx, instances).Should(BeEquivalentTo(1))
		quiet(ctx, manager)
		Expect(manager.Select(func(r harness.Request) bool {
			ofEarlierPod := r.Name != "" && !strings.Contains(r.Name, string(pod.UID)) // whose cluster garbage collection deletes, too
			return r.Status >= 400 && r.Namespace == ns && !ofEarlierPod
		})).To(BeEmpty())

		By("losing a part")
		policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "spark-" + string(pod.UID)}}
		Expect(env.Admin.Delete(ctx, policy)).To(Succeed())
		Eventually(ctx, clusterOf(pod)).Should(Equal(partsOfACluster))

		By("restarting the manager")
		before := secretOf(ctx, pod)
		Expect(manager.Stop()).To(Succeed())
		manager = start(ctx)
		quiet(ctx, manager)
		Expect(manager.Select(harness.Request.Writes)).To(BeEmpty())

		By("starting again under the same name")
		Expect(env.Admin.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		again := sparkDriver(ctx, ns, "alice", "alice")
		Eventually(ctx, clusterOf(again)).Should(Equal(partsOfACluster))
		Eventually(ctx, clusterOf(pod)).Should(BeZero())
		Expect(secretOf(ctx, again)).NotTo(Equal(before))

		By("removing Spark from the platform")
		edit(ctx, hub, `{"spec":{"components":{"spark":{"managementState":"Removed"}}}}`)
		Eventually(ctx, clusterOf(again)).Should(BeZero())
	})

	// Each way to end, once while the manager looks on and once while it is down.
	ends := map[string]func(context.Context, *corev1.Pod) error{
		"is being deleted": func(ctx context.Context, pod *corev1.Pod) error { return env.Admin.Delete(ctx, pod) },
		"is evicted": func(ctx context.Context, pod *corev1.Pod) error {
			return env.Admin.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{})
		},
		"fails":     phase(corev1.PodFailed),
		"completes": phase(corev1.PodSucceeded),
	}
	for how, end := range ends {
		It("is gone within two seconds when its Pod "+how, func(ctx context.Context) {
			// Nobody looks after the Pod: there is no hub. It stays, as one on a lost node does.
			lost := func(ctx context.Context) *corev1.Pod {
				pod := sparkDriver(ctx, ns, fmt.Sprintf("alice-%d", time.Now().UnixNano()), "alice", "example.com/lost-node")
				DeferCleanup(func(ctx context.Context) error {
					return client.IgnoreNotFound(env.Admin.Patch(ctx, pod, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
				})
				Eventually(ctx, clusterOf(pod)).Should(Equal(partsOfACluster))
				return pod
			}
			other := sparkDriver(ctx, ns, "bob", "bob")
			Eventually(ctx, clusterOf(other)).Should(Equal(partsOfACluster))

			var pod *corev1.Pod
			gone := func(ctx context.Context) {
				Eventually(ctx, clusterOf(pod)).Should(BeZero())
				Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed(), "garbage collection did not do it")
			}
			quickly(ctx, 2*time.Second, func(ctx context.Context) {
				pod = lost(ctx)
				Expect(end(ctx, pod)).To(Succeed())
			}, gone)

			quickly(ctx, 2*time.Second, func(ctx context.Context) {
				pod = lost(ctx)
				Expect(manager.Stop()).To(Succeed())
				Expect(end(ctx, pod)).To(Succeed())
				manager = start(ctx)
				Eventually(ctx, func() []harness.Request { // it sees Pods
					return manager.Select(func(r harness.Request) bool { return r.Verb == "watch" && r.Resource == "pods" })
				}).ShouldNot(BeEmpty())
			}, gone)
			quiet(ctx, manager)
			Expect(clusterOf(other)(ctx)).To(Equal(partsOfACluster))
		})
	}

	It("waits for its turn where there is a limit", func(ctx context.Context) {
		edit(ctx, hub, `{"spec":{"components":{"spark":{"maxClusters":2,"maxClustersPerUser":1}}}}`)
		Eventually(ctx, status(hub, "SparkReady")).Should(HavePrefix("True"))
		first := sparkDriver(ctx, ns, "alice-1", "alice")
		Eventually(ctx, clusterOf(first)).Should(Equal(partsOfACluster))
		own := sparkDriver(ctx, ns, "alice-2", "alice")
		Eventually(ctx, func(ctx context.Context) []string { return podNotes(ctx, own) }).Should(Equal([]string{
			"SparkClusterWaiting: No Spark cluster: the user has 1 Spark clusters, and spec.components.spark.maxClustersPerUser is 1. " +
				"The Pod gets one when another one ends",
		}))
		second := sparkDriver(ctx, ns, "bob", "bob")
		Eventually(ctx, clusterOf(second)).Should(Equal(partsOfACluster))
		third := sparkDriver(ctx, ns, "carol", "carol")
		Eventually(ctx, func(ctx context.Context) []string { return podNotes(ctx, third) }).Should(ContainElement(
			ContainSubstring("the platform has 2 Spark clusters, and spec.components.spark.maxClusters is 2")))
		Expect(clusterOf(own)(ctx) + clusterOf(third)(ctx)).To(BeZero())

		By("restarting the manager, which counts what is there")
		Expect(manager.Stop()).To(Succeed())
		manager = start(ctx)
		quiet(ctx, manager)
		Expect(clusterOf(own)(ctx) + clusterOf(third)(ctx)).To(BeZero())

		Expect(env.Admin.Delete(ctx, first)).To(Succeed())
		Eventually(ctx, func(ctx context.Context) int { return clusterOf(own)(ctx) + clusterOf(third)(ctx) }).Should(Equal(partsOfACluster))
		Expect(env.Admin.Delete(ctx, second)).To(Succeed())
		Eventually(ctx, clusterOf(own)).Should(Equal(partsOfACluster))
		Eventually(ctx, clusterOf(third)).Should(Equal(partsOfACluster))
	})

	It("is refused with the reason", func(ctx context.Context) {
		wrong := sparkDriver(ctx, ns, "wrong", "alice")
		Eventually(ctx, clusterOf(wrong)).Should(Equal(partsOfACluster))
		stranger := driverPodNamed(ns, "stranger", "mallory")
		stranger.Labels[spark.LabelCluster] = "wrong" // somebody else's
		Expect(env.Admin.Create(ctx, stranger)).To(Succeed())
		Eventually(ctx, func(ctx context.Context) []string { return podNotes(ctx, stranger) }).Should(Equal([]string{
			"SparkClusterRefused: No Spark cluster: the label opendatahub.io/spark-cluster must be the Pod's own name, stranger",
		}))
		huge := driverPodNamed(ns, "huge", "alice")
		huge.Annotations[spark.AnnotationSize] = "huge"
		Expect(env.Admin.Create(ctx, huge)).To(Succeed())
		Eventually(ctx, func(ctx context.Context) []string { return podNotes(ctx, huge) }).Should(Equal([]string{
			`SparkClusterRefused: No Spark cluster: the platform has no size "huge"; set the annotation opendatahub.io/spark-size to one`,
		}))
		Expect(clusterOf(stranger)(ctx) + clusterOf(huge)(ctx)).To(BeZero())
	})

	It("is given to a Pod whose name does not fit into a label", func(ctx context.Context) {
		name := strings.Repeat("nightly-report-", 8) + "x"
		pod := sparkDriver(ctx, ns, name, "alice")
		Eventually(ctx, clusterOf(pod)).Should(Equal(partsOfACluster))
		Eventually(ctx, func(ctx context.Context) []string { return podNotes(ctx, pod) }).Should(ContainElement(HavePrefix("SparkClusterReady")))
		Eventually(ctx, instances).Should(BeEquivalentTo(1))

		By("saying what the label must be")
		wrong := driverPodNamed(ns, name+"y", "alice")
		wrong.Labels[spark.LabelCluster] = "report"
		Expect(env.Admin.Create(ctx, wrong)).To(Succeed())
		Eventually(ctx, func(ctx context.Context) []string { return podNotes(ctx, wrong) }).Should(ContainElement(HaveSuffix(spark.ClusterKey(name + "y"))))

		Expect(env.Admin.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(ctx, clusterOf(pod)).Should(BeZero())
	})

	It("is seen in the history server, when the spec asks for one", func(ctx context.Context) {
		edit(ctx, hub, `{"spec":{"components":{"spark":{"historyServer":{}}}}}`)
		Eventually(ctx, status(hub, "SparkReady")).Should(HavePrefix("False InvalidSpec: spec.components.spark.historyServer: event logs are kept in the object storage"))
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "s3", Annotations: map[string]string{components.AnnotationAllowAddresses: "https://s3.example.com"}},
			StringData: map[string]string{"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"},
		}
		Expect(env.Admin.Create(ctx, secret)).To(Succeed())
		edit(ctx, hub, `{"spec":{"objectStorage":{"type":"External","external":{"endpoint":"https://s3.example.com","credentialsSecretRef":{"name":"s3"}}}}}`)
		Eventually(ctx, status(hub, "SparkReady")).Should(And(HavePrefix("True"), ContainSubstring("Deployment")))
		odh := &v1alpha1.OpenDataHub{}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), odh)).To(Succeed())
		Expect(odh.Status.Components).To(ContainElement(And(
			HaveField("Name", "spark"), HaveField("CredentialsSecret", "odh-spark-login"),
			HaveField("Endpoints", ContainElement(v1alpha1.Endpoint{Name: "web", URL: "https://odh-spark." + ns + ".svc/"})))))
		quiet(ctx, manager)

		edit(ctx, hub, `{"spec":{"components":{"spark":{"historyServer":null}}}}`)
		Eventually(ctx, func(ctx context.Context) error {
			return env.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "odh-spark-history"}, &appsv1.Deployment{})
		}).Should(MatchError(apierrors.IsNotFound, "IsNotFound"))
	})

	It("is shared through the Spark operator, when the spec says so", func(ctx context.Context) {
		shared := func(ctx context.Context) []string {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(spark.SparkCluster.GVK().GroupVersion().WithKind("SparkClusterList"))
			Expect(env.Admin.List(ctx, list, client.InNamespace(ns))).To(Succeed())
			var names []string
			for _, cluster := range list.Items {
				names = append(names, cluster.GetName())
			}
			return names
		}
		dependencies := func(ctx context.Context) []string {
			odh := &v1alpha1.OpenDataHub{}
			Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), odh)).To(Succeed())
			var names []string
			for _, dependency := range odh.Status.Dependencies {
				names = append(names, dependency.Name)
			}
			return names
		}
		Expect(dependencies(ctx)).To(BeEmpty(), "clusters of notebooks need no operator")

		edit(ctx, hub, `{"spec":{"components":{"spark":{"applications":"Enabled","sharedClusters":[{"name":"team","workers":2}]}}}}`)
		Eventually(ctx, dependencies).Should(Equal([]string{"Spark"}))
		Eventually(ctx, status(hub, "SparkReady")).Should(And(HavePrefix("True"), ContainSubstring("SparkCluster")))
		first := shared(ctx)
		Expect(first).To(HaveLen(1))
		quiet(ctx, manager)

		By("changing it, which makes another one")
		edit(ctx, hub, `{"spec":{"components":{"spark":{"sharedClusters":[{"name":"team","workers":1}]}}}}`)
		Eventually(ctx, shared).Should(And(HaveLen(1), Not(Equal(first))))
		Eventually(ctx, status(hub, "SparkReady")).Should(HavePrefix("True"))

		By("a cluster that the operator cannot create")
		Expect(env.StopOperator(ctx, "spark")).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(env.StartOperator(ctx, "spark")).To(Succeed()) })
		edit(ctx, hub, `{"spec":{"components":{"spark":{"sharedClusters":[{"name":"team","workers":1},{"name":"more","workers":1}]}}}}`)
		Eventually(ctx, shared).Should(HaveLen(2))
		for _, name := range shared(ctx) {
			if strings.HasPrefix(name, "odh-spark-more") {
				cluster := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
				cluster.SetGroupVersionKind(spark.SparkCluster.GVK())
				Expect(env.Admin.Patch(ctx, cluster, client.RawPatch(types.MergePatchType,
					[]byte(`{"metadata":{"annotations":{"example.com/scheduling-failure":"quota"}}}`)))).To(Succeed())
			}
		}
		Expect(env.StartOperator(ctx, "spark")).To(Succeed())
		Eventually(ctx, status(hub, "SparkReady")).Should(And(HavePrefix("False"), ContainSubstring("exceeded quota: small")))

		By("taking them from the platform")
		edit(ctx, hub, `{"spec":{"components":{"spark":{"applications":"Disabled","sharedClusters":null}}}}`)
		Eventually(ctx, shared).Should(BeEmpty())
		Eventually(ctx, dependencies).Should(BeEmpty())
		Eventually(ctx, status(hub, "SparkReady")).Should(HavePrefix("True"))
	})

	It("is created and deleted once for each of 200 notebooks that start and end together", func(ctx context.Context) {
		const notebooks = 200
		pods := make([]*corev1.Pod, notebooks)
		manager.Reset()
		began := time.Now()
		together(notebooks, func(i int) { pods[i] = sparkDriver(ctx, ns, fmt.Sprintf("user-%d", i), fmt.Sprintf("user-%d", i)) })
		created := time.Since(began)
		count := func(ctx context.Context) int {
			all := 0
			for _, objects := range sparkObjects(ctx, ns) {
				all += len(objects)
			}
			return all
		}
		Eventually(ctx, count).WithTimeout(3 * time.Minute).Should(Equal(notebooks * partsOfACluster))
		made := time.Since(began)
		for _, pod := range pods {
			Expect(clusterOf(pod)(ctx)).To(Equal(partsOfACluster))
		}
		writes := func(verb string) int {
			return len(manager.Select(func(r harness.Request) bool {
				return r.Verb == verb && r.Namespace == ns && !strings.HasPrefix(r.Resource, "events") && !strings.HasPrefix(r.Resource, "opendatahubs")
			}))
		}
		Expect(writes("create")).To(Equal(notebooks*partsOfACluster), "none is made twice")
		Eventually(ctx, instances).WithTimeout(3 * time.Minute).Should(BeEquivalentTo(notebooks))
		eventsBefore := len(manager.Select(func(r harness.Request) bool { return r.Namespace == ns && strings.HasPrefix(r.Resource, "events") }))

		began = time.Now()
		Expect(env.Admin.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(ns), client.MatchingLabels{spark.LabelSpark: "true"},
			client.HasLabels{"example.com/driver"}, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(ctx, count).WithTimeout(3 * time.Minute).Should(BeZero())
		gone := time.Since(began)
		Eventually(ctx, instances).Should(BeZero())
		AddReportEntry("200 notebooks", fmt.Sprintf("created in %v, clusters complete after %v; all gone %v after the deletion; "+
			"%.1f creates, %.1f Events, %.1f deletes and %.1f gets a notebook", created, made, gone,
			float64(writes("create"))/notebooks, float64(eventsBefore)/notebooks, float64(writes("delete"))/notebooks, float64(writes("get"))/notebooks))
	})
})

// quickly does something that must be done within the time in one of three attempts: other work on the machine may slow one down, but
// what is slow by itself is slow each time.
func quickly(ctx context.Context, within time.Duration, begin, done func(context.Context)) {
	GinkgoHelper()
	var took []time.Duration
	for range 3 {
		begin(ctx)
		began := time.Now()
		done(ctx)
		if took = append(took, time.Since(began)); took[len(took)-1] <= within {
			return
		}
	}
	Expect(took).To(ContainElement(BeNumerically("<=", within)))
}

// sparkDriver creates a Pod that wants a cluster.
func sparkDriver(ctx context.Context, ns, name, user string, finalizers ...string) *corev1.Pod {
	GinkgoHelper()
	pod := driverPodNamed(ns, name, user)
	pod.Finalizers = finalizers
	Eventually(ctx, func(ctx context.Context) error { return env.Admin.Create(ctx, pod) }).Should(Succeed())
	return pod
}

func driverPodNamed(ns, name, user string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: name,
			Labels:      map[string]string{spark.LabelSpark: "true", spark.LabelCluster: spark.ClusterKey(name), "example.com/driver": "true"},
			Annotations: map[string]string{spark.AnnotationUser: user},
		},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(1000)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{Name: "notebook", Image: "example.com/notebook:1", SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}}},
		},
	}
}

// sparkObjects are what clusters in the namespace consist of, by the UID of their Pod, without what is being deleted.
func sparkObjects(ctx context.Context, ns string) map[types.UID][]string {
	GinkgoHelper()
	found := map[types.UID][]string{}
	for _, list := range []client.ObjectList{
		&corev1.SecretList{}, &corev1.ServiceList{}, &networkingv1.NetworkPolicyList{}, &appsv1.DeploymentList{},
	} {
		for _, object := range metadataOf(ctx, list, client.InNamespace(ns), client.MatchingLabels{spark.LabelSpark: "true"}) {
			Expect(object.OwnerReferences).To(HaveLen(1))
			if object.DeletionTimestamp == nil {
				uid := object.OwnerReferences[0].UID
				found[uid] = append(found[uid], object.Name)
			}
		}
	}
	return found
}

func secretOf(ctx context.Context, pod *corev1.Pod) string {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(env.Admin.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: pod.Name + "-spark"}, secret)).To(Succeed())
	_, rest, found := strings.Cut(string(secret.Data["spark-defaults.conf"]), "spark.authenticate.secret ")
	Expect(found).To(BeTrue())
	value, _, _ := strings.Cut(rest, "\n")
	Expect(len(value)).To(BeNumerically(">=", 26))
	return value
}

// podNotes are the Events about Spark on a Pod, in their order.
func podNotes(ctx context.Context, pod *corev1.Pod) []string {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(env.Admin.List(ctx, &list, client.InNamespace(pod.Namespace))).To(Succeed())
	var notes []string
	for _, event := range list.Items {
		if event.Regarding.UID == pod.UID && strings.HasPrefix(event.Reason, "SparkCluster") {
			notes = append(notes, event.Reason+": "+event.Note)
		}
	}
	return notes
}

// phase ends a Pod as the kubelet does.
func phase(phase corev1.PodPhase) func(context.Context, *corev1.Pod) error {
	return func(ctx context.Context, pod *corev1.Pod) error {
		return env.Admin.Status().Patch(ctx, pod, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"status":{"phase":%q}}`, phase)))
	}
}

// together calls a function for every number below n, many at a time.
func together(n int, call func(int)) {
	var group sync.WaitGroup
	slots := make(chan struct{}, 20)
	for i := range n {
		group.Go(func() {
			defer GinkgoRecover()
			slots <- struct{}{}
			defer func() { <-slots }()
			call(i)
		})
	}
	group.Wait()
}
