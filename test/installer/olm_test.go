package installer

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components/gpu"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/test/charts"
	"opendatahub.io/operator/test/cluster/standin"
	"opendatahub.io/operator/test/harness"
	"opendatahub.io/operator/test/olm"
)

// offered is a package as catalogues have it today.
func offered(name, channel, csv, version, mode, operator string) olm.Package {
	return olm.Package{Name: name, Channels: []olm.Channel{{
		Name: channel, CSV: csv, Version: version, InstallModes: []string{mode}, CRDs: charts.StandIns(operator, env.Kinds),
	}}}
}

var olmKinds = []schema.GroupVersionKind{
	{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "Subscription"},
	{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "ClusterServiceVersion"},
	{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "InstallPlan"},
	{Group: "operators.coreos.com", Version: "v1", Kind: "OperatorGroup"},
}

func listed(ctx context.Context, gvk schema.GroupVersionKind, options ...client.ListOption) []unstructured.Unstructured {
	GinkgoHelper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	Expect(env.Admin.List(ctx, list, options...)).To(Succeed())
	return list.Items
}

// doctor is what the command says of a resource with this spec, which is not there yet.
func doctor(ctx context.Context, spec string) string {
	GinkgoHelper()
	hub, err := harness.NewPlatform("data", "odh", spec)
	Expect(err).NotTo(HaveOccurred())
	hub.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OpenDataHub"))
	content, err := yaml.Marshal(hub)
	Expect(err).NotTo(HaveOccurred())
	var said bytes.Buffer
	command := cmd.New("test", env.All)
	command.SetArgs([]string{"doctor", "--filename", "-", "--kubeconfig", env.Kubeconfig()})
	command.SetIn(bytes.NewReader(content))
	command.SetOut(&said)
	Expect(command.ExecuteContext(ctx)).To(MatchError("exit code 2"), said.String())
	return said.String()
}

var _ = Describe("On a cluster with the Operator Lifecycle Manager", Ordered, ContinueOnFailure, func() {
	var manager *olm.OLM

	BeforeAll(func(ctx context.Context) {
		var err error
		manager, err = olm.Start(ctx, env.Cluster, env.Root)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx context.Context) {
			Expect(manager.Stop()).To(Succeed())
			api := &unstructured.Unstructured{}
			api.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"})
			api.SetName("v1.packages.operators.coreos.com")
			Expect(env.Admin.Delete(ctx, api)).To(Succeed())
			without(ctx, "Strimzi", "Grafana operator", "NVIDIA GPU operator") // somebody else's, for those who know no OLM
			Expect(env.RemoveCRDs(ctx, "subscriptions.operators.coreos.com", "clusterserviceversions.operators.coreos.com",
				"installplans.operators.coreos.com", "operatorgroups.operators.coreos.com", "catalogsources.operators.coreos.com")).To(Succeed())
		}, NodeTimeout(5*time.Minute))
	})
	// Once the spec has stopped the installer, which would subscribe again. OLM itself must still be there, to let go of its objects.
	BeforeEach(func() {
		DeferCleanup(func(ctx context.Context) {
			Expect(manager.RemoveCatalogs(ctx)).To(Succeed())
			Eventually(ctx, func(g Gomega) {
				for _, gvk := range olmKinds {
					left := listed(ctx, gvk)
					for i := range left {
						g.Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, &left[i]))).To(Succeed())
					}
					g.Expect(left).To(BeEmpty(), gvk.Kind)
				}
			}).Should(Succeed())
		})
	})

	// created lists what the installer asked OLM for, everywhere, as "Kind namespace/name".
	created := func(ctx context.Context) []string {
		GinkgoHelper()
		var found []string
		for _, gvk := range []schema.GroupVersionKind{olmKinds[0], olmKinds[3]} {
			for _, object := range listed(ctx, gvk, client.HasLabels{dependencies.Label}) {
				found = append(found, gvk.Kind+" "+object.GetNamespace()+"/"+object.GetName())
			}
		}
		slices.Sort(found)
		return found
	}

	const strimziCSV = "strimzi-cluster-operator.v1.2.0"
	// current is the package as it is today, or as the change makes it.
	current := func(change ...func(*olm.Catalog)) olm.Catalog {
		catalog := olm.Catalog{Name: "operatorhubio-catalog", Packages: []olm.Package{
			offered("strimzi-kafka-operator", "strimzi-1.x", strimziCSV, "1.2.0", "AllNamespaces", "Strimzi"),
		}}
		for _, f := range change {
			f(&catalog)
		}
		return catalog
	}
	group := func(namespace, name string) *unstructured.Unstructured {
		return parse(fmt.Sprintf(`{apiVersion: operators.coreos.com/v1, kind: OperatorGroup, metadata: {name: %s, namespace: %s}, spec: {}}`, name, namespace))
	}

	It("takes the packages that are current, and Helm for the rest, and says why", func(ctx context.Context) {
		s := newScene(ctx, "")
		Expect(manager.SetCatalog(ctx, olm.Catalog{Name: "operatorhubio-catalog", Packages: []olm.Package{
			offered("strimzi-kafka-operator", "strimzi-1.x", "strimzi-cluster-operator.v1.2.0", "1.2.0", "AllNamespaces", "Strimzi"),
			offered("grafana-operator", "v4", "grafana-operator.v4.10.1", "4.10.1", "AllNamespaces", "Grafana operator"),
			offered("rook-ceph", "beta", "rook-ceph.v1.1.1", "1.1.1", "AllNamespaces", "Rook"),
			offered("prometheus", "beta", "prometheusoperator.v0.70.0", "0.70.0", "AllNamespaces", "Prometheus operator"),
			offered("seldon-operator", "stable", "seldon-operator.v1.16.0", "1.16.0", "AllNamespaces", "Seldon Core"),
			offered("nfd-operator", "stable", "nfd-operator.v0.6.0", "0.6.0", "OwnNamespace", "Node Feature Discovery"),
		}})).To(Succeed())
		startManager(ctx)
		startInstaller(ctx)
		hub := platform(ctx, "all", `
profile: Development
components: {ceph: {}, kafka: {}, argoWorkflows: {}, spark: {applications: Enabled}, seldon: {}, monitoring: {}, gpu: {}}
`)
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(HavePrefix("True"))
		Expect(needed(hub)(ctx)).To(ConsistOf(
			HavePrefix("Rook Helm Ready Available"), HavePrefix("Strimzi OLM Ready Available 1.2.0"), HavePrefix("Spark Helm Ready Available"),
			HavePrefix("Seldon Core Helm Ready Available"), HavePrefix("Argo Helm Ready Available"), HavePrefix("Prometheus operator Helm Ready Available"),
			HavePrefix("Grafana operator Helm Ready Available"), HavePrefix("Node Feature Discovery Helm Ready Available"),
			HavePrefix("NVIDIA GPU operator Helm Ready Available"),
		))
		Expect(reported("Grafana operator")(ctx)).To(And(
			HavePrefix("Ready Available: installed by Helm, because"), ContainSubstring("channel v5"), ContainSubstring("v4")))
		namespace := s.namespace("Strimzi")
		Expect(created(ctx)).To(Equal([]string{
			"OperatorGroup " + namespace + "/strimzi", "Subscription " + namespace + "/strimzi-kafka-operator",
		}))
	}, SpecTimeout(5*time.Minute))

	It("names the InstallPlan that waits for a person, and goes on when it is approved", func(ctx context.Context) {
		without(ctx, "Strimzi")
		s := newScene(ctx, "")
		s.configure(ctx, fmt.Sprintf("operators:\n- name: Strimzi\n  namespace: %s\n  packages: [{name: strimzi-kafka-operator, approval: Manual}]\n",
			s.namespace("Strimzi")))
		startManager(ctx)
		Expect(manager.SetCatalog(ctx, current())).To(Succeed())
		startInstaller(ctx)
		hub := platform(ctx, "data", small)
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(And(
			HavePrefix("False ApprovalRequired"), ContainSubstring("kubectl"), ContainSubstring("installplan")))
		Eventually(ctx, condition(hub, "KafkaReady")).Should(And(HavePrefix("False APINotInstalled"), ContainSubstring("kubectl")))

		plans := listed(ctx, olmKinds[2])
		Expect(plans).To(HaveLen(1))
		Expect(env.Admin.Patch(ctx, &plans[0], client.RawPatch(types.MergePatchType, []byte(`{"spec":{"approved":true}}`)))).To(Succeed())
		Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	}, SpecTimeout(5*time.Minute))

	// Each way to fail has its own reason, the object and the action reach the platform, and what the message asks for helps at
	// once: nobody who has done it waits for a pause to end.
	DescribeTable("says what is wrong on the platform, and goes on when a person has acted",
		func(ctx context.Context, offer func() olm.Catalog, prepare func(ctx context.Context, namespace string), want []string, act func(ctx context.Context, namespace string)) {
			without(ctx, "Strimzi")
			s := newScene(ctx, "")
			namespace := s.namespace("Strimzi")
			s.configure(ctx, fmt.Sprintf("operators: [{name: Strimzi, namespace: %s, way: OLM}]\n", namespace))
			Expect(env.EnsureNamespace(ctx, namespace)).To(Succeed())
			Expect(manager.SetCatalog(ctx, offer())).To(Succeed())
			if prepare != nil {
				prepare(ctx, namespace)
			}
			hub, _ := started(ctx, small)
			for _, text := range want {
				Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(ContainSubstring(strings.ReplaceAll(text, "NAMESPACE", namespace)))
			}
			act(ctx, namespace)
			Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).WithTimeout(30 * time.Second).Should(HavePrefix("True"))
		},
		Entry("no catalogue has the package",
			func() olm.Catalog { return current(func(c *olm.Catalog) { c.Packages = nil }) }, nil,
			[]string{"False PackageNotFound", "strimzi-kafka-operator", "create a CatalogSource"},
			func(ctx context.Context, _ string) {
				Expect(manager.SetCatalog(ctx, current(func(c *olm.Catalog) { c.Name = "of-ours" }))).To(Succeed())
			}, SpecTimeout(5*time.Minute)),
		Entry("the package cannot watch all namespaces",
			func() olm.Catalog {
				return current(func(c *olm.Catalog) { c.Packages[0].Channels[0].InstallModes = []string{"OwnNamespace"} })
			}, nil,
			[]string{"False PackageNotFound", "strimzi-kafka-operator", "cannot watch all namespaces", "way: Helm"},
			func(ctx context.Context, namespace string) {
				scene{}.configure(ctx, fmt.Sprintf("mirror: %s\noperators: [{name: Strimzi, namespace: %s, way: Helm}]\n", chartFolder, namespace))
			}, SpecTimeout(5*time.Minute)),
		Entry("the namespace has two OperatorGroups", func() olm.Catalog { return current() },
			func(ctx context.Context, namespace string) {
				Expect(env.Admin.Create(ctx, group(namespace, "first"))).To(Succeed())
				Expect(env.Admin.Create(ctx, group(namespace, "second"))).To(Succeed())
			},
			[]string{"False OperatorGroupConflict", "first", "second", "kubectl"},
			func(ctx context.Context, namespace string) {
				Expect(env.Admin.Delete(ctx, group(namespace, "second"))).To(Succeed())
			}, SpecTimeout(5*time.Minute)),
		Entry("the ClusterServiceVersion fails",
			func() olm.Catalog {
				return current(func(c *olm.Catalog) {
					c.Packages[0].Channels[0].Fails = olm.Failure{Reason: "InstallCheckFailed", Message: "install timeout"}
				})
			}, nil,
			[]string{"False OLMFailed", strimziCSV, "install timeout", "OLM keeps trying"},
			func(ctx context.Context, _ string) { Expect(manager.SetCatalog(ctx, current())).To(Succeed()) }, SpecTimeout(5*time.Minute)),
		Entry("a ClusterServiceVersion is there that no Subscription asks for", func() olm.Catalog { return current() },
			func(ctx context.Context, namespace string) {
				orphan := parse(fmt.Sprintf(`{apiVersion: operators.coreos.com/v1alpha1, kind: ClusterServiceVersion,
				  metadata: {name: strimzi-cluster-operator.v1.1.0, namespace: %s, labels: {operators.coreos.com/strimzi-kafka-operator.%s: ""}},
				  spec: {displayName: Strimzi, version: 1.1.0, install: {strategy: deployment, spec: {deployments: []}}}}`, namespace, namespace))
				Expect(env.Admin.Create(ctx, orphan)).To(Succeed())
				orphan.Object["status"] = map[string]any{"phase": "Failed", "reason": "ComponentUnhealthy", "message": "no Deployment"}
				Expect(env.Admin.Status().Update(ctx, orphan)).To(Succeed())
			},
			[]string{"False SubscriptionConflict", "strimzi-cluster-operator.v1.1.0", "kubectl"},
			func(ctx context.Context, namespace string) {
				Expect(env.Admin.Delete(ctx, parse(fmt.Sprintf(`{apiVersion: operators.coreos.com/v1alpha1, kind: ClusterServiceVersion,
				  metadata: {name: strimzi-cluster-operator.v1.1.0, namespace: %s}}`, namespace)))).To(Succeed())
			}, SpecTimeout(5*time.Minute)),
		Entry("the catalogue cannot be reached",
			func() olm.Catalog { return current(func(c *olm.Catalog) { c.Unreachable = "image cannot be pulled" }) }, nil,
			[]string{"False CatalogUnavailable", "operatorhubio-catalog"},
			func(ctx context.Context, _ string) {
				Expect(doctor(ctx, small)).To(ContainSubstring("  problem  catalogues: OLM cannot reach the catalogue olm/operatorhubio-catalog, which has Strimzi (its state is TRANSIENT_FAILURE)"))
				Expect(manager.SetCatalog(ctx, current())).To(Succeed())
			}, SpecTimeout(5*time.Minute)),
	)

	It("uses a Subscription of somebody else as it is", func(ctx context.Context) {
		newScene(ctx, "")
		Expect(manager.SetCatalog(ctx, current())).To(Succeed())
		Expect(env.EnsureNamespace(ctx, "streams")).To(Succeed())
		for _, object := range []string{
			`{apiVersion: operators.coreos.com/v1, kind: OperatorGroup, metadata: {name: all, namespace: streams}, spec: {}}`,
			`{apiVersion: operators.coreos.com/v1alpha1, kind: Subscription, metadata: {name: ours, namespace: streams},
			  spec: {name: strimzi-kafka-operator, channel: strimzi-1.x, source: operatorhubio-catalog, sourceNamespace: olm}}`,
		} {
			Expect(env.Admin.Create(ctx, parse(object))).To(Succeed())
		}
		hub, process := running(ctx, small)
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi Existing Ready Available 1.2.0"}))
		quiet(ctx, process)
		Expect(writesBut(process, "configmaps")).To(BeEmpty())
	}, SpecTimeout(5*time.Minute))

	It("uses a ClusterExtension of somebody else as it is, and notices when OLM v1 comes", func(ctx context.Context) {
		without(ctx, "Strimzi")
		newScene(ctx, "")
		Expect(manager.SetCatalog(ctx, current(func(c *olm.Catalog) { c.Packages = nil }))).To(Succeed())
		hub, process := started(ctx, small+"dependencies: {installation: Manual}\n")
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(HavePrefix("False NotInstalled"))
		foreign(ctx, append(charts.StandIns("Strimzi", env.Kinds), standin.CRDs(standin.Kind{
			Group: "olm.operatorframework.io", Versions: []string{"v1"}, Kind: "ClusterExtension", ClusterScoped: true,
		})...)...)
		extension := parse(`{apiVersion: olm.operatorframework.io/v1, kind: ClusterExtension, metadata: {name: streams},
		  spec: {namespace: streams, source: {sourceType: Catalog, catalog: {packageName: strimzi-kafka-operator}}}}`)
		Expect(env.Admin.Create(ctx, extension)).To(Succeed())
		Eventually(ctx, reported("Strimzi")).Should(HavePrefix("Installing Progressing: ClusterExtension streams is new"))
		extension.Object["status"] = parse(`{install: {bundle: {name: strimzi.v1.2.0, version: 1.2.0}}, conditions: [
		  {type: Installed, status: "True", reason: Succeeded, observedGeneration: 1}, {type: Progressing, status: "True", reason: Succeeded, observedGeneration: 1}]}`).Object
		Expect(env.Admin.Status().Update(ctx, extension)).To(Succeed())
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi Existing Ready Available 1.2.0"}))
		quiet(ctx, process)
		Expect(writesBut(process, "configmaps")).To(BeEmpty())
	}, SpecTimeout(5*time.Minute))

	It("removes what it subscribed to with the last platform, leaving the CustomResourceDefinitions, and can install it again", func(ctx context.Context) {
		s := newScene(ctx, "deletionPolicy: Delete\n")
		Expect(manager.SetCatalog(ctx, current())).To(Succeed())
		hub, process := running(ctx, small)
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi OLM Ready Available 1.2.0"}))
		quiet(ctx, process)

		remove(ctx, hub)
		Eventually(ctx, reported("Strimzi")).Should(BeEmpty())
		Expect(created(ctx)).To(BeEmpty())
		Expect(listed(ctx, olmKinds[1], client.InNamespace(s.namespace("Strimzi")))).To(BeEmpty())

		again := platform(ctx, "again", small)
		Eventually(ctx, needed(again)).Should(Equal([]string{"Strimzi OLM Ready Available 1.2.0"}))
	}, SpecTimeout(5*time.Minute))

	It("subscribes on OpenShift to what only OpenShift has", func(ctx context.Context) {
		s := newScene(ctx, "")
		Expect(env.InstallCRDObjects(ctx, standin.CRDs(standin.Kind{
			Group: "config.openshift.io", Versions: []string{"v1"}, Kind: "Ingress", Plural: "ingresses", ClusterScoped: true,
		})...)).To(Succeed())
		DeferCleanup(func(ctx context.Context) error { return env.RemoveCRDs(ctx, "ingresses.config.openshift.io") })
		Expect(env.EnsureNamespace(ctx, "openshift-marketplace")).To(Succeed())
		nfd := offered("nfd", "stable", "nfd.v5.0.0", "5.0.0", "OwnNamespace", "")
		nfd.Channels[0].CRDs = standin.CRDs(standin.Kind{Group: "nfd.openshift.io", Versions: []string{"v1"}, Kind: "NodeFeatureDiscovery", Plural: "nodefeaturediscoveries"})
		DeferCleanup(func(ctx context.Context) error { return env.RemoveCRDs(ctx, "nodefeaturediscoveries.nfd.openshift.io") })
		for catalog, packages := range map[string][]olm.Package{
			"redhat-operators":    {nfd},
			"certified-operators": {offered("gpu-operator-certified", "stable", "gpu-operator-certified.v26.7.0", "26.7.0", "OwnNamespace", "NVIDIA GPU operator")},
			"community-operators": {
				offered("strimzi-kafka-operator", "strimzi-1.x", "strimzi-cluster-operator.v1.2.0", "1.2.0", "AllNamespaces", "Strimzi"),
				offered("grafana-operator", "v5", "grafana-operator.v5.24.0", "5.24.0", "AllNamespaces", "Grafana operator"),
			},
		} {
			Expect(manager.SetCatalog(ctx, olm.Catalog{Name: catalog, Namespace: "openshift-marketplace", Packages: packages})).To(Succeed())
		}
		startInstaller(ctx)
		platform(ctx, "all", "profile: Development\ncomponents: {ceph: {}, kafka: {}, argoWorkflows: {}, spark: {applications: Enabled}, monitoring: {}, gpu: {}}\n")
		for _, operator := range []string{"Strimzi", "Grafana operator", "Node Feature Discovery", "NVIDIA GPU operator", "Rook", "Spark", "Prometheus operator"} {
			Eventually(ctx, reported(operator)).Should(HavePrefix("Ready Available"), operator)
		}
		var want []string
		for operator, name := range map[string]string{
			"Strimzi": "strimzi-kafka-operator", "Grafana operator": "grafana-operator", "NVIDIA GPU operator": "gpu-operator-certified",
			"Node Feature Discovery": "nfd",
		} {
			namespace := s.namespace(operator)
			if operator == "Node Feature Discovery" {
				namespace = "openshift-nfd" // where the table says it goes on OpenShift
			}
			want = append(want, "OperatorGroup "+namespace+"/"+dependencies.Dependency{Name: operator}.ID(), "Subscription "+namespace+"/"+name)
		}
		Expect(created(ctx)).To(ConsistOf(want))

		By("making what their packages leave to an administrator")
		Eventually(ctx, policy("gpu-cluster-policy", "spec", "operator", "use_ocp_driver_toolkit")).Should(BeTrue())
		discovery := &unstructured.Unstructured{}
		discovery.SetGroupVersionKind(gpu.NodeFeatureDiscovery.GVK())
		Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: "openshift-nfd", Name: "nfd-instance"}, discovery)).To(Succeed())
		Expect(discovery.GetLabels()).To(HaveKeyWithValue(dependencies.Label, "node-feature-discovery"))
	}, SpecTimeout(5*time.Minute))

	It("keeps a platform Ready through upgrades that fail, hang and succeed, and writes its report for news only", func(ctx context.Context) {
		without(ctx, "Strimzi")
		newScene(ctx, "")
		Expect(manager.SetCatalog(ctx, current())).To(Succeed())
		hub, process := running(ctx, small)
		quiet(ctx, process)

		var unready atomic.Int32
		watcher, err := client.NewWithWatch(env.Config(), client.Options{Scheme: env.Admin.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		changes, err := watcher.Watch(ctx, &v1alpha1.OpenDataHubList{}, client.InNamespace(hub.Namespace))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(changes.Stop)
		go func() {
			for event := range changes.ResultChan() {
				odh, ok := event.Object.(*v1alpha1.OpenDataHub)
				if ok && (!meta.IsStatusConditionTrue(odh.Status.Conditions, v1alpha1.ConditionReady) ||
					!meta.IsStatusConditionTrue(odh.Status.Conditions, v1alpha1.ConditionDependenciesReady)) {
					unready.Add(1)
				}
			}
		}()
		reports := func() []harness.Request {
			return process.Select(func(r harness.Request) bool { return r.Writes() && r.Name == dependencies.ReportName })
		}
		before := strimziCSV
		for _, step := range []struct {
			version, says string
			fails         olm.Failure
		}{
			{"1.2.1", "strimzi-cluster-operator.v1.2.1 failed: InstallCheckFailed: install timeout", olm.Failure{Reason: "InstallCheckFailed", Message: "install timeout"}},
			{"1.2.2", "strimzi-cluster-operator.v1.2.2 is Pending: RequirementsNotMet", olm.Failure{Requirement: "missing.example.com"}},
		} {
			By("upgrading to " + step.version)
			csv := "strimzi-cluster-operator.v" + step.version
			offer := func(fails olm.Failure) {
				Expect(manager.SetCatalog(ctx, current(func(c *olm.Catalog) {
					head := &c.Packages[0].Channels[0]
					head.Replaces, head.CSV, head.Version, head.Fails = before, csv, step.version, fails
				}))).To(Succeed())
			}
			offer(step.fails)
			Eventually(ctx, reported("Strimzi")).Should(And(HavePrefix("Ready Available: "), ContainSubstring(step.says)))
			Eventually(ctx, func(g Gomega) { // the failure may come in two pieces
				process.Reset()
				g.Consistently(ctx, reports, "3s").Should(BeEmpty(), "OLM tries again about once a second, which is no news")
			}).Should(Succeed())
			offer(olm.Failure{}) // and then it does not fail any more
			before = csv
			Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi OLM Ready Available " + step.version}))
			Eventually(ctx, reported("Strimzi")).Should(Equal("Ready Available: "))
		}
		Expect(unready.Load()).To(BeZero(), "changes of the platform's status in which it was not Ready")
	}, SpecTimeout(5*time.Minute))

	It("costs no request while nothing changes, and a restart writes nothing", func(ctx context.Context) {
		newScene(ctx, "")
		Expect(manager.SetCatalog(ctx, current())).To(Succeed())
		_, process := running(ctx, small)
		atRest(ctx, process)
	}, SpecTimeout(5*time.Minute))
})
