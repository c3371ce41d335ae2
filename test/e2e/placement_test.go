package e2e

import (
	"context"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/spark"
)

// pool is the key of the label and the taint of a node that is for the platform.
const pool = "node.example.com/pool"

// poolNode adds a node until the end of the spec on which nothing runs that is not told to.
func poolNode(ctx context.Context) {
	GinkgoHelper()
	resources := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: "pool-1", Labels: map[string]string{pool: "platform"}, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
		},
		Spec:   corev1.NodeSpec{Taints: []corev1.Taint{{Key: pool, Value: "platform", Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{Capacity: resources, Allocatable: resources},
	}
	Expect(env.Admin.Create(ctx, node)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		drain(ctx, node)
		Expect(env.Admin.Delete(ctx, node)).To(Succeed())
	})
}

// drain takes all Pods off a node. Those of a node that is gone would wait for the collector of garbage, a minute and more, and later specs
// for them.
func drain(ctx context.Context, node *corev1.Node) {
	GinkgoHelper()
	Expect(env.Admin.Patch(ctx, node, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`)))).To(Succeed())
	Eventually(ctx, func(ctx context.Context) []corev1.Pod {
		var pods corev1.PodList
		Expect(env.Admin.List(ctx, &pods, client.MatchingFields{"spec.nodeName": node.Name})).To(Succeed())
		for i := range pods.Items {
			Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, &pods.Items[i]))).To(Succeed())
		}
		return pods.Items
	}).Should(BeEmpty())
}

// templates are what all Pods of the platform are made of, whoever makes them, by the kind and name of what makes them; without those of
// Spark clusters of notebooks.
func templates(ctx context.Context, ns string) map[string]corev1.PodTemplateSpec {
	GinkgoHelper()
	found := map[string]corev1.PodTemplateSpec{}
	var deployments appsv1.DeploymentList
	var sets appsv1.StatefulSetList
	for _, list := range []client.ObjectList{&deployments, &sets} {
		Expect(env.Admin.List(ctx, list, client.InNamespace(ns))).To(Succeed())
	}
	for _, deployment := range deployments.Items {
		if deployment.Labels[spark.LabelSpark] == "" {
			found["Deployment/"+deployment.Name] = deployment.Spec.Template
		}
	}
	for _, set := range sets.Items {
		found["StatefulSet/"+set.Name] = set.Spec.Template
	}
	return found
}

// podsIn are the Pods of a namespace that the platform causes: without those that are being deleted, and drivers of Spark.
func podsIn(ctx context.Context, ns string) []corev1.Pod {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(env.Admin.List(ctx, &pods, client.InNamespace(ns))).To(Succeed())
	return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool {
		return pod.DeletionTimestamp != nil || pod.Labels["example.com/driver"] != ""
	})
}

var _ = Describe("Where Pods run", func() {
	It("is what spec.placement says, but where a component has a placement of its own", func(ctx SpecContext) {
		start(ctx)
		ns := namespace(ctx, "placement")
		mark(ctx, ns, fmt.Sprintf(`{"labels":{%q:"true"}}`, components.LabelAllowCode))
		secretS3(ctx, ns, map[string]string{"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"})
		hub := platform(ctx, ns, "odh", `
profile: Development
ingress: {domain: apps.example.com}
objectStorage: {type: External, external: {endpoint: "https://s3.example.com", credentialsSecretRef: {name: s3}}}
components:
  kafka: {placement: {nodeSelector: {kubernetes.io/hostname: node-2}}}
  jupyterHub:
    placement: {nodeSelector: {kubernetes.io/hostname: node-3}}
    prePull: Enabled
    extraConfig: c.JupyterHub.concurrent_spawn_limit = 7
  spark: {clusterSizes: [{name: one, workers: 1}], sharedClusters: [{name: team, workers: 1}], historyServer: {}}
  seldon: {deployments: [{name: iris, server: SKLearn, exposure: Login}]}
  argoWorkflows: {}
  mlflow: {}
  monitoring: {}
  portal: {}
`)
		ready(ctx, hub)
		before := templates(ctx, ns)
		kafkaPods := func(ctx context.Context) map[string]types.UID {
			uids := map[string]types.UID{}
			for _, pod := range podsIn(ctx, ns) {
				if pod.Labels[components.LabelComponent] == "kafka" {
					Expect(pod.Spec.NodeName).To(Equal("node-2"), pod.Name)
					uids[pod.Name] = pod.UID
				}
			}
			return uids
		}
		kafka := kafkaPods(ctx)
		Expect(kafka).NotTo(BeEmpty())

		By("choosing a node whose taint nobody tolerates")
		poolNode(ctx)
		edit(ctx, hub, `{"spec":{"placement":{"nodeSelector":{"`+pool+`":"platform"}}}}`)
		const cause = "unschedulable: 0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 node(s) didn't match Pod's node affinity/selector; " +
			"label a node or take its taint away, or change the placement in the spec"
		for _, condition := range []string{"MLflowReady", "JupyterHubReady", "SparkReady", "SeldonReady", "ArgoWorkflowsReady", "PortalReady"} {
			Eventually(ctx, status(hub, condition)).Should(And(HavePrefix("False Degraded: "), ContainSubstring(cause)), condition)
		}
		Eventually(ctx, status(hub, "Ready")).Should(And(HavePrefix("False Degraded: "), ContainSubstring("unschedulable")))
		Eventually(ctx, status(hub, "KafkaReady")).Should(HavePrefix("True"))

		By("tolerating it")
		edit(ctx, hub, `{"spec":{"placement":{"tolerations":[{"key":"`+pool+`","value":"platform","effect":"NoSchedule"}]}}}`)
		alice := sparkDriver(ctx, ns, "alice", "alice")
		ready(ctx, hub)
		Eventually(ctx, func(ctx context.Context) int { return len(sparkObjects(ctx, ns)[alice.UID]) }).Should(Equal(partsOfACluster))
		wanted := corev1.Toleration{Key: pool, Operator: corev1.TolerationOpEqual, Value: "platform", Effect: corev1.TaintEffectNoSchedule}
		var placed []string
		Eventually(ctx, func(ctx context.Context) (misplaced []string) {
			placed = nil
			for _, pod := range podsIn(ctx, ns) {
				node := "pool-1"
				switch {
				case pod.Labels[components.LabelComponent] == "kafka":
					node = "node-2"
				case pod.OwnerReferences[0].Kind == "DaemonSet":
					node = "node-3"
				default:
					placed = append(placed, pod.Name)
				}
				if there := node == "pool-1"; pod.Spec.NodeName != node || slices.Contains(pod.Spec.Tolerations, wanted) != there ||
					(pod.Spec.NodeSelector[pool] == "platform") != there {
					misplaced = append(misplaced, fmt.Sprintf("%s is on %q, for %v, tolerating %v", pod.Name, pod.Spec.NodeName, pod.Spec.NodeSelector, pod.Spec.Tolerations))
				}
			}
			return misplaced
		}).Should(BeEmpty())
		Expect(placed).To(ContainElements(
			HavePrefix("odh-jupyterhub-hub-"), HavePrefix("odh-jupyterhub-proxy-"), HavePrefix("odh-jupyterhub-extra-"), HavePrefix("odh-mlflow-server-"),
			HavePrefix("odh-portal-server-"), HavePrefix("odh-argoworkflows-controller-"), HavePrefix("odh-argoworkflows-server-"),
			HavePrefix("odh-seldon-router-"), HavePrefix("odh-seldon-iris-default-0-model-"), // Seldon's operator
			HavePrefix("odh-grafana-deployment-"), Equal("prometheus-odh-0"), Equal("alertmanager-odh-0"), // theirs
			HavePrefix("odh-spark-history-"), HavePrefix("spark-"+string(alice.UID)+"-master-"), HavePrefix("spark-"+string(alice.UID)+"-worker-"),
			MatchRegexp("^odh-spark-team-.*-master-0$"), MatchRegexp("^odh-spark-team-.*-worker-0$"), // the Spark operator
		))
		Expect(kafkaPods(ctx)).To(Equal(kafka), "nothing of Kafka has changed")
		Eventually(ctx, differences).WithArguments(ns).Should(BeEmpty())

		By("taking it back")
		edit(ctx, hub, `{"spec":{"placement":null}}`)
		ready(ctx, hub)
		Eventually(ctx, func(ctx context.Context) map[string]corev1.PodTemplateSpec { return templates(ctx, ns) }).Should(Equal(before))
		Expect(kafkaPods(ctx)).To(Equal(kafka), "nothing of Kafka has changed")
	}, SpecTimeout(2*time.Minute))
})

var _ = Describe("Where Ceph's daemons run", func() {
	It("is what the spec says of each, where an administrator allows it", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "ceph-places")
		poolNode(ctx)
		hub := platform(ctx, ns, "odh", `
profile: Development
components:
  ceph:
    placement: {nodeSelector: {kubernetes.io/hostname: node-1}}
    monitors:
      placement:
        nodeSelector: {`+pool+`: platform}
        tolerations: [{key: `+pool+`, value: platform, effect: NoSchedule}]
    fileSystem: {placement: {nodeSelector: {kubernetes.io/hostname: node-2}}}
    objectStore: {placement: {nodeSelector: {kubernetes.io/hostname: node-3}}}
`)
		Eventually(ctx, status(hub, cephReady)).Should(HavePrefix("False NotAllowed: spec.components.ceph.placement asks for nodes of its choice for privileged Pods"))
		Expect(cephsOwn(ctx, ns)).To(BeEmpty())

		mark(ctx, ns, `{"labels":{"`+components.LabelAllowNodes+`":"true"}}`)
		ready(ctx, hub)
		nodes := map[string]string{}
		for _, pod := range podsIn(ctx, ns) {
			nodes[pod.Name] = pod.Spec.NodeName
		}
		Expect(nodes).To(Equal(map[string]string{
			"rook-ceph-detect-version": "pool-1", "rook-ceph-mon-a": "pool-1", "rook-ceph-mgr-a": "pool-1",
			"rook-ceph-osd-prepare-data-0": "node-1", "rook-ceph-osd-0": "node-1",
			"rook-ceph-mds-odh-ceph-files-a": "node-2", "rook-ceph-rgw-odh-a": "node-3",
		}))
	}, SpecTimeout(2*time.Minute))
})

var _ = Describe("The resources of a container", func() {
	It("are changed for that container of that component, and nothing else", func(ctx context.Context) {
		start(ctx)
		ns := namespace(ctx, "resources")
		hub := platform(ctx, ns, "odh", `{profile: Development, components: {mlflow: {}, portal: {}, jupyterHub: {}}}`)
		ready(ctx, hub)
		deployments := func(ctx context.Context) (templates map[string]corev1.PodSpec, generations map[string]int64) {
			var list appsv1.DeploymentList
			Expect(env.Admin.List(ctx, &list, client.InNamespace(ns))).To(Succeed())
			templates, generations = map[string]corev1.PodSpec{}, map[string]int64{}
			for _, deployment := range list.Items {
				templates[deployment.Name], generations[deployment.Name] = deployment.Spec.Template.Spec, deployment.Generation
			}
			return templates, generations
		}
		before, generations := deployments(ctx)
		const server, container = "odh-mlflow-server", "login-proxy"
		Expect(before).To(HaveKey("odh-portal-server"), "it has a container of that name, too")

		By("asking for more")
		set := func(entry string) {
			edit(ctx, hub, `{"spec":{"components":{"mlflow":{"containerResources":[`+entry+`]}}}}`)
		}
		set(`{"container":"login-proxy","requests":{"cpu":"77m","memory":"77Mi"},"limits":{"memory":"777Mi"}}`)
		ready(ctx, hub)
		want := map[string]corev1.PodSpec{}
		for name, spec := range before {
			want[name] = *spec.DeepCopy()
		}
		changed := slices.IndexFunc(want[server].Containers, func(c corev1.Container) bool { return c.Name == container })
		Expect(changed).To(BeNumerically(">=", 0))
		resources := &want[server].Containers[changed].Resources
		for name, amount := range map[corev1.ResourceName]string{corev1.ResourceCPU: "77m", corev1.ResourceMemory: "77Mi"} {
			resources.Requests[name] = resource.MustParse(amount)
		}
		resources.Limits[corev1.ResourceMemory] = resource.MustParse("777Mi")
		got, now := deployments(ctx)
		Expect(got).To(BeComparableTo(want))
		generations[server]++
		Expect(now).To(Equal(generations))
		Eventually(ctx, differences).WithArguments(ns).Should(BeEmpty())

		By("naming a container that there is not, and asking for more than the limit")
		set(`{"container":"proxy","limits":{"memory":"777Mi"}}`)
		Eventually(ctx, status(hub, "MLflowReady")).Should(Equal(
			"False InvalidSpec: spec.components.mlflow.containerResources[0]: no container is called proxy; there are login-proxy, migration, server"))
		set(`{"container":"login-proxy","requests":{"memory":"2Gi"},"limits":{"memory":"1Gi"}}`)
		Eventually(ctx, status(hub, "MLflowReady")).Should(Equal(
			"False InvalidSpec: spec.components.mlflow.containerResources[0]: Deployment odh-mlflow-server: requests.memory must not exceed limits.memory"))
		_, now = deployments(ctx)
		Expect(now).To(Equal(generations), "nothing is changed before it is right")

		By("taking it back")
		edit(ctx, hub, `{"spec":{"components":{"mlflow":{"containerResources":null}}}}`)
		ready(ctx, hub)
		got, now = deployments(ctx)
		Expect(got).To(BeComparableTo(before))
		generations[server]++
		Expect(now).To(Equal(generations))
		Eventually(ctx, differences).WithArguments(ns).Should(BeEmpty())
	})
})
