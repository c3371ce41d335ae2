package olm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/olm"
	"opendatahub.io/operator/test/harness"
	played "opendatahub.io/operator/test/olm"
)

type crd = apiextensionsv1.CustomResourceDefinition

const ready = "OLM Ready Available: "

var _ = Describe("Installing", func() {
	It("creates three objects for an operator of all namespaces, and nothing once they are there", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		recorder.Reset()
		candidate, err := subject.Resolve(ctx, operator, false)
		Expect(err).NotTo(HaveOccurred())
		Expect(candidate.Version).To(Equal("1.2.0"))
		Expect(subject.Ensure(ctx, operator, candidate)).To(Succeed())
		ns, id, name := operator.Namespace, operator.ID(), operator.Packages[0].Name
		Expect(writes()).To(Equal([]string{
			"apply namespaces /" + ns,
			"apply operatorgroups.operators.coreos.com " + ns + "/" + id,
			"apply subscriptions.operators.coreos.com " + ns + "/" + name,
		}))
		Eventually(ctx, status(operator)).Should(Equal(ready))
		found, err := subject.Find(ctx, operator)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Ours).To(BeTrue())
		Expect(found.Status.Version).To(Equal("1.2.0"))
		Expect(found.Namespaces).To(BeEmpty())
		Expect(labelled(ctx, operator)).To(Equal([]string{"Namespace /" + ns, "OperatorGroup " + ns + "/" + id, "Subscription " + ns + "/" + name}))

		created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
		Expect(exists(ctx, created)).To(BeTrue())
		Expect(created.Labels).To(HaveKeyWithValue("pod-security.kubernetes.io/enforce", "restricted"))
		made := kind(subscriptionKind, ns, name)
		Expect(exists(ctx, made)).To(BeTrue())
		Expect(made.Object["spec"]).To(Equal(map[string]any{
			"name": name, "channel": "stable", "source": id + "-catalog", "sourceNamespace": "olm", "installPlanApproval": "Automatic",
		}))

		By("looking at it again")
		recorder.Reset()
		_, err = subject.Find(ctx, operator)
		Expect(err).NotTo(HaveOccurred())
		Expect(recorder.Select(func(r harness.Request) bool { return r.Verb != "watch" })).To(ConsistOf(
			HaveField("Resource", "clusterserviceversions.operators.coreos.com")), "the rest is in the cache")
		recorder.Reset()
		Expect(subject.Ensure(ctx, operator, candidate)).To(Succeed())
		Expect(subject.Update(ctx, operator, *found)).To(BeFalse())
		Expect(writes()).To(BeEmpty())
	})

	It("gives an operator of its own namespace a group for that namespace", func(ctx SpecContext) {
		operator := anOperator(ownNamespace)
		offer(ctx, operator)
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(Equal(ready))
		made := kind(groupKind, operator.Namespace, operator.ID())
		Expect(exists(ctx, made)).To(BeTrue())
		targets, _, _ := unstructured.NestedStringSlice(made.Object, "spec", "targetNamespaces")
		Expect(targets).To(Equal([]string{operator.Namespace}))
		found, err := subject.Find(ctx, operator)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Namespaces).To(Equal([]string{operator.Namespace}))
	})

	It("uses a namespace and an OperatorGroup that are there, without touching them", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		namespace(ctx, operator.Namespace)
		group(ctx, operator.Namespace, "theirs")
		recorder.Reset()
		Expect(install(ctx, operator)).To(Succeed())
		Expect(writes()).To(Equal([]string{"apply subscriptions.operators.coreos.com " + operator.Namespace + "/" + operator.Packages[0].Name}))
		Eventually(ctx, status(operator)).Should(Equal(ready))
	})

	It("follows the table to another channel, and puts right what people changed of ours", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(Equal(ready))
		update := func(g Gomega, ctx context.Context) bool {
			found, err := subject.Find(ctx, operator)
			g.Expect(err).NotTo(HaveOccurred())
			changed, err := subject.Update(ctx, operator, *found)
			g.Expect(err).NotTo(HaveOccurred())
			return changed
		}

		By("moving the channel")
		offer(ctx, operator, func(c *played.Catalog) {
			p := &c.Packages[0]
			p.Channels = append(p.Channels, played.Channel{
				Name: "next", CSV: p.Name + ".v1.3.0", Version: "1.3.0", Replaces: p.Name + ".v1.2.0", InstallModes: []string{"AllNamespaces"},
			})
		})
		operator.Packages[0].Channel = "next"
		recorder.Reset()
		Eventually(ctx, update).Should(BeTrue())
		Expect(writes()).To(Equal([]string{"apply subscriptions.operators.coreos.com " + operator.Namespace + "/" + operator.Packages[0].Name}))
		Eventually(ctx, func(ctx context.Context) (string, error) {
			found, err := subject.Find(ctx, operator)
			return string(found.Status.State) + found.Status.Version, err
		}).Should(Equal("Ready1.3.0"))

		By("restoring the OperatorGroup")
		made := kind(groupKind, operator.Namespace, operator.ID())
		Expect(kube.Patch(ctx, made, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"targetNamespaces":["theirs"]}}`)))).To(Succeed())
		recorder.Reset()
		Eventually(ctx, update).Should(BeTrue())
		Expect(writes()).To(Equal([]string{"patch operatorgroups.operators.coreos.com " + operator.Namespace + "/" + operator.ID()}))
		Expect(exists(ctx, made)).To(BeTrue())
		Expect(made.Object["spec"]).NotTo(HaveKey("targetNamespaces"))
		Eventually(ctx, status(operator)).Should(Equal(ready))
	})

	It("reads one manifest of a package, however large the catalogues are", func(ctx SpecContext) {
		operator := anOperator()
		const padding = 50_000
		large := func(c *played.Catalog) {
			for i := range c.Packages[0].Channels {
				c.Packages[0].Channels[i].Padding = padding
			}
			for i := range 20 {
				other := c.Packages[0]
				other.Name = fmt.Sprintf("%s-other-%d", other.Name, i)
				c.Packages = append(c.Packages, other)
			}
		}
		for _, name := range []string{"a", "b", "c"} {
			offer(ctx, operator, large, func(c *played.Catalog) { c.Name = operator.ID() + "-" + name })
		}
		offer(ctx, operator, large)
		manager.Packages.Sent()
		_, err := subject.Resolve(ctx, operator, false)
		Expect(err).NotTo(HaveOccurred())
		Expect(manager.Packages.Sent()).To(BeNumerically("<", 2*padding+10_000))
	})
})

// A failure is what goes wrong, and what people are told.
type failure struct {
	operator func(*dependencies.Operator)
	// prepare is called before the installer is, with a catalogue that has the package unless it says otherwise.
	prepare func(context.Context, dependencies.Operator)
	// catalogue changes what is offered.
	catalog func(*played.Catalog)
	want    string   // state and reason
	says    []string // %[1]s is the namespace, %[2]s the package
}

var _ = DescribeTable("What goes wrong is told apart, with its cause and what to do", func(ctx SpecContext, f failure) {
	operator := anOperator()
	if f.operator != nil {
		f.operator(&operator)
	}
	change := func(*played.Catalog) {}
	if f.catalog != nil {
		change = f.catalog
	}
	offer(ctx, operator, change)
	if f.prepare != nil {
		f.prepare(ctx, operator)
	}
	recorder.Reset()
	err := install(ctx, operator)
	var problem *components.Failure
	if errors.As(err, &problem) {
		Expect(writes()).To(BeEmpty(), "nothing is created that cannot work")
		expectProblem(Default, operator, f, asStatus(problem))
		return
	}
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, func(g Gomega) {
		found, err := subject.Find(ctx, operator)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(found).NotTo(BeNil())
		g.Expect(found.Ours).To(BeTrue())
		expectProblem(g, operator, f, found.Status)
	}).Should(Succeed())
},
	Entry("missing package", failure{
		catalog: func(c *played.Catalog) { c.Packages[0].Name = "other" },
		want:    "Blocked PackageNotFound", says: []string{"package %[2]s", "-catalog", "create a CatalogSource", "way: Helm"},
	}),
	Entry("missing channel", failure{
		operator: func(o *dependencies.Operator) { o.Packages[0].Channel = "v7" },
		want:     "Blocked ChannelNotFound", says: []string{"no channel v7", "alpha, stable", "ConfigMap of the installer"},
	}),
	Entry("version too old", failure{
		operator: func(o *dependencies.Operator) { o.Packages[0].Channel = "alpha" },
		want:     "Blocked VersionNotSupported", says: []string{"0.9.0", ">=1.0.0 <2.0.0-0", "alpha, stable"},
	}),
	Entry("wrong install mode", failure{
		catalog: func(c *played.Catalog) { c.Packages[0].Channels[1].InstallModes = []string{"SingleNamespace"} },
		want:    "Blocked InstallModeNotSupported", says: []string{"%[2]s.v1.2.0", "all namespaces", "SingleNamespace", "another channel or install mode"},
	}),
	Entry("catalogue unreachable", failure{
		catalog: func(c *played.Catalog) { c.Unreachable = "dial tcp: connection refused" },
		want:    "Failed CatalogUnavailable", says: []string{"CatalogSource olm/", "TRANSIENT_FAILURE", "connection refused", "kubectl --namespace olm describe pods"},
	}),
	Entry("two OperatorGroups", failure{
		prepare: func(ctx context.Context, o dependencies.Operator) {
			namespace(ctx, o.Namespace)
			group(ctx, o.Namespace, "first")
			group(ctx, o.Namespace, "second")
		},
		want: "Blocked TooManyOperatorGroups", says: []string{"%[1]s/first, %[1]s/second", "kubectl --namespace %[1]s delete operatorgroups"},
	}),
	Entry("an OperatorGroup for other namespaces", failure{
		prepare: func(ctx context.Context, o dependencies.Operator) {
			namespace(ctx, o.Namespace)
			group(ctx, o.Namespace, "theirs", "team-a", "team-b")
		},
		want: "Blocked OperatorGroupConflict",
		says: []string{"OperatorGroup %[1]s/theirs", "the namespaces team-a, team-b", "must watch all namespaces", "kubectl --namespace %[1]s edit operatorgroups.operators.coreos.com theirs"},
	}),
	Entry("manual approval pending", failure{
		operator: manual,
		want:     "Blocked ApprovalRequired",
		says:     []string{"InstallPlan %[1]s/install-", "%[2]s.v1.2.0", "kubectl --namespace %[1]s patch installplans.operators.coreos.com install-", `{"spec":{"approved":true}}`},
	}),
	Entry("failed resolution", failure{
		catalog: failing(played.Failure{Resolution: "bundle requires an operator providing an API with group: x"}),
		want:    "Blocked ResolutionFailed", says: []string{"Subscription %[1]s/%[2]s", "bundle requires an operator", "kubectl --namespace %[1]s get subscriptions"},
	}),
	Entry("failed unpacking", failure{
		catalog: failing(played.Failure{Unpacking: "Job was active longer than specified deadline"}),
		want:    "Failed BundleUnpackFailed", says: []string{"Subscription %[1]s/%[2]s", "longer than specified deadline", "kubectl get jobs"},
	}),
	Entry("failed InstallPlan", failure{
		catalog: failing(played.Failure{Plan: "customresourcedefinitions is forbidden"}),
		want:    "Blocked InstallPlanFailed",
		says:    []string{"InstallPlan %[1]s/install-", "is forbidden", "kubectl --namespace %[1]s delete installplans.operators.coreos.com install-"},
	}),
	Entry("failed CSV", failure{
		catalog: failing(played.Failure{Reason: "InstallCheckFailed", Message: "install timeout"}),
		want:    "Failed CSVFailed",
		says:    []string{"ClusterServiceVersion %[1]s/%[2]s.v1.2.0", "InstallCheckFailed: install timeout", "kubectl --namespace %[1]s describe clusterserviceversions.operators.coreos.com %[2]s.v1.2.0"},
	}),
	Entry("failed CSV that OLM gave up", failure{
		catalog: failing(played.Failure{Reason: "InstallComponentFailedNoRetry", Message: "install strategy failed: no such service account"}),
		want:    "Blocked CSVFailed", says: []string{"no such service account", "OLM does not try this again"},
	}),
	Entry("unmet requirement", failure{
		catalog: failing(played.Failure{Requirement: "certificates.cert-manager.io"}),
		want:    "Installing Progressing", says: []string{"%[1]s/%[2]s.v1.2.0 is Pending", "CustomResourceDefinition certificates.cert-manager.io is NotPresent"},
	}),
	Entry("orphan CSV that does not work", failure{
		catalog: failing(played.Failure{Reason: "InstallCheckFailed", Message: "install timeout"}),
		prepare: orphan("Failed"),
		want:    "Blocked OrphanCSV",
		says:    []string{"ClusterServiceVersion %[1]s/%[2]s.v1.2.0", "no Subscription", "kubectl --namespace %[1]s delete clusterserviceversions.operators.coreos.com %[2]s.v1.2.0", "CustomResourceDefinitions and their objects stay"},
	}),
	Entry("a Subscription of that name for another package", failure{
		prepare: func(ctx context.Context, o dependencies.Operator) {
			namespace(ctx, o.Namespace)
			other := o
			other.Packages = []dependencies.Package{{Name: "other", Channel: "x", Catalogs: o.Packages[0].Catalogs}}
			subscribe(ctx, other, o.Namespace, o.Packages[0].Name)
		},
		want: "Blocked Conflict", says: []string{"Subscription %[1]s/%[2]s exists already", "for package other", "delete"},
	}),
)

func asStatus(problem *components.Failure) v1alpha1.DependencyStatus {
	return v1alpha1.DependencyStatus{State: dependencies.StateOf(problem), Reason: problem.Reason, Message: problem.Error()}
}

func expectProblem(g Gomega, operator dependencies.Operator, f failure, got v1alpha1.DependencyStatus) {
	GinkgoHelper()
	g.Expect(string(got.State) + " " + got.Reason).To(Equal(f.want))
	for _, part := range f.says {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "%[1]s", operator.Namespace), "%[2]s", operator.Packages[0].Name)
		g.Expect(got.Message).To(ContainSubstring(part))
	}
}

// orphan has a person install the operator, and delete the Subscription once the ClusterServiceVersion is in a phase.
func orphan(phase string) func(context.Context, dependencies.Operator) {
	return func(ctx context.Context, operator dependencies.Operator) {
		GinkgoHelper()
		namespace(ctx, operator.Namespace)
		group(ctx, operator.Namespace, "theirs")
		subscribe(ctx, operator, operator.Namespace, "mine")
		left := kind(csvKind, operator.Namespace, operator.Packages[0].Name+".v1.2.0")
		Eventually(ctx, func(g Gomega) {
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(left), left)).To(Succeed())
			current, _, _ := unstructured.NestedString(left.Object, "status", "phase")
			g.Expect(current).To(Equal(phase))
			g.Expect(left.GetLabels()).To(HaveKey("operators.coreos.com/" + operator.Packages[0].Name + "." + operator.Namespace))
		}).Should(Succeed())
		Expect(kube.Delete(ctx, kind(subscriptionKind, operator.Namespace, "mine"))).To(Succeed())
		Eventually(ctx, func(ctx context.Context) (string, error) { return status(operator)(ctx) }).Should(ContainSubstring("belongs to no Subscription"))
	}
}

var _ = Describe("A problem", func() {
	It("is over when a person has done what the message says", func(ctx SpecContext) {
		operator := anOperator(manual)
		offer(ctx, operator)
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(HavePrefix("OLM Blocked ApprovalRequired"))
		approve(ctx, operator)
		Eventually(ctx, status(operator)).Should(Equal(ready))

		By("waiting for an upgrade to be approved, while what is installed works")
		offer(ctx, operator, func(c *played.Catalog) {
			stable := &c.Packages[0].Channels[1]
			stable.Replaces, stable.CSV, stable.Version = stable.CSV, operator.Packages[0].Name+".v1.3.0", "1.3.0"
		})
		Eventually(ctx, status(operator)).Should(And(HavePrefix(ready+"InstallPlan "), ContainSubstring(".v1.3.0, waits for approval; to approve it: kubectl")))
		approve(ctx, operator)
		Eventually(ctx, func(ctx context.Context) (string, error) {
			found, err := subject.Find(ctx, operator)
			return found.Status.Version + found.Status.Message, err
		}).Should(Equal("1.3.0"))
	})

	It("is upgraded to what fails, over and over, and the old version works on in the same words", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(Equal(ready))
		offer(ctx, operator, func(c *played.Catalog) {
			stable := &c.Packages[0].Channels[1]
			stable.Replaces, stable.CSV, stable.Version = stable.CSV, operator.Packages[0].Name+".v1.3.0", "1.3.0"
			stable.Fails = played.Failure{Reason: "InstallCheckFailed", Message: "install timeout"}
		})
		fails := And(HavePrefix(ready+"it is to be upgraded: ClusterServiceVersion "), ContainSubstring(".v1.3.0 failed: InstallCheckFailed: install timeout"))
		Eventually(ctx, status(operator)).Should(fails)
		Consistently(ctx, status(operator)).WithTimeout(4 * time.Second).Should(fails)
	})

	It("is over when a failed InstallPlan was deleted and its cause is gone", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator, failing(played.Failure{Plan: "forbidden"}))
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(HavePrefix("OLM Blocked InstallPlanFailed"))
		offer(ctx, operator)
		deletePlan(ctx, operator)
		Eventually(ctx, status(operator)).Should(Equal(ready))

		By("deleting the ClusterServiceVersion, which OLM does not bring back")
		Expect(kube.Delete(ctx, kind(csvKind, operator.Namespace, operator.Packages[0].Name+".v1.2.0"))).To(Succeed())
		Eventually(ctx, status(operator)).Should(And(
			HavePrefix("OLM Blocked CSVFailed"), ContainSubstring("was deleted, and OLM does not bring it back"), ContainSubstring("delete subscriptions")))
		deletePlan(ctx, operator)
		Consistently(ctx, status(operator)).WithTimeout(time.Second).Should(HavePrefix("OLM Blocked CSVFailed"))
		Expect(kube.Delete(ctx, kind(subscriptionKind, operator.Namespace, operator.Packages[0].Name))).To(Succeed())
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(Equal(ready))
	})

	It("of the namespace is seen though OLM says nothing of it", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		namespace(ctx, operator.Namespace)
		subscribe(ctx, operator, operator.Namespace, "mine")
		Eventually(ctx, status(operator)).Should(And(
			HavePrefix("Existing Blocked OperatorGroupConflict"), ContainSubstring("no OperatorGroup"), ContainSubstring("kubectl create")))
		group(ctx, operator.Namespace, "one")
		Eventually(ctx, status(operator)).Should(HavePrefix("Existing Ready"))
		group(ctx, operator.Namespace, "two")
		Eventually(ctx, status(operator)).Should(And(HavePrefix("Existing Blocked TooManyOperatorGroups"), ContainSubstring("/one"), ContainSubstring("/two")))
	})

	It("of the package server is one of the catalogues", Serial, func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		Expect(manager.Packages.Stop()).To(Succeed())
		DeferCleanup(func(ctx context.Context) error { return manager.Packages.Start(ctx) })
		err := install(ctx, operator)
		var problem *components.Failure
		Expect(errors.As(err, &problem)).To(BeTrue(), "%v", err)
		Expect(olm.NotOffered(err)).To(BeFalse())
		expectProblem(Default, operator, failure{want: "Failed CatalogUnavailable", says: []string{
			"package server does not answer", "%[2]s", "kubectl describe apiservices v1.packages.operators.coreos.com",
		}}, asStatus(problem))
	})
})

func approve(ctx context.Context, operator dependencies.Operator) {
	GinkgoHelper()
	for _, plan := range plans(ctx, operator) {
		Expect(kube.Patch(ctx, &plan, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"approved":true}}`)))).To(Succeed())
	}
}

func deletePlan(ctx context.Context, operator dependencies.Operator) {
	GinkgoHelper()
	for _, plan := range plans(ctx, operator) {
		Expect(kube.Delete(ctx, &plan)).To(Succeed())
	}
}

func plans(ctx context.Context, operator dependencies.Operator) []unstructured.Unstructured {
	GinkgoHelper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(planKind.GroupVersion().WithKind("InstallPlanList"))
	Expect(kube.List(ctx, list, client.InNamespace(operator.Namespace))).To(Succeed())
	Expect(list.Items).NotTo(BeEmpty())
	return list.Items
}

var _ = Describe("Adopting", func() {
	It("uses what a person subscribed to, under whatever name, without a write", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		namespace(ctx, operator.ID()+"-theirs")
		group(ctx, operator.ID()+"-theirs", "theirs")
		subscribe(ctx, operator, operator.ID()+"-theirs", "mine")
		recorder.Reset()
		Eventually(ctx, status(operator)).Should(Equal("Existing Ready Available: "))
		found, err := subject.Find(ctx, operator)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Ours).To(BeFalse())
		Expect(found.Status.Version).To(Equal("1.2.0"))
		Expect(subject.Update(ctx, operator, *found)).To(BeFalse())
		Expect(subject.Remove(ctx, operator)).To(BeTrue(), "there is nothing of ours")
		Expect(writes()).To(BeEmpty())

		By("asking for it all the same")
		Expect(install(ctx, operator)).To(MatchError(ContainSubstring("-theirs/mine asks for package")))
		Expect(writes()).To(BeEmpty())
	})

	It("says which namespaces an operator looks after, if not all", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		namespace(ctx, operator.Namespace)
		group(ctx, operator.Namespace, "theirs", operator.Namespace)
		subscribe(ctx, operator, operator.Namespace, "mine")
		Eventually(ctx, status(operator)).Should(Equal("Existing Ready Available: it looks after these namespaces only: " + operator.Namespace))
	})

	It("does not use a version that components do not know", func(ctx SpecContext) {
		operator := anOperator()
		operator.Versions = ">=1.5.0"
		offer(ctx, operator)
		namespace(ctx, operator.Namespace)
		group(ctx, operator.Namespace, "theirs")
		subscribe(ctx, operator, operator.Namespace, "mine")
		Eventually(ctx, status(operator)).Should(And(
			HavePrefix("Existing Blocked VersionNotSupported"), ContainSubstring("version 1.2.0"), ContainSubstring(">=1.5.0 only"),
			ContainSubstring("kubectl --namespace "+operator.Namespace+" edit subscriptions.operators.coreos.com mine")))
	})

	It("tells of a deprecated package", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator, func(c *played.Catalog) { c.Packages[0].Deprecated = "use the other one" })
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(Equal(ready + "deprecated: use the other one"))
	})

	It("uses a ClusterServiceVersion that lost its Subscription, and says that nobody upgrades it", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		orphan("Succeeded")(ctx, operator)
		Eventually(ctx, status(operator)).Should(And(
			HavePrefix("Existing Ready Available: ClusterServiceVersion "+operator.Namespace+"/"), ContainSubstring("OLM does not upgrade it")))
		recorder.Reset()
		Expect(install(ctx, operator)).To(MatchError(ContainSubstring("OLM would resolve none beside it")))
		Expect(writes()).To(BeEmpty())
	})

	It("explains a Subscription that an orphan keeps from being resolved", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		orphan("Succeeded")(ctx, operator)
		subscribe(ctx, operator, operator.Namespace, "again")
		Eventually(ctx, status(operator)).Should(And(
			HavePrefix("Existing Blocked OrphanCSV"), ContainSubstring("is not referenced by a subscription"), ContainSubstring("either delete")))
		Expect(kube.Delete(ctx, kind(csvKind, operator.Namespace, operator.Packages[0].Name+".v1.2.0"))).To(Succeed())
		Eventually(ctx, status(operator)).Should(HavePrefix("Existing Ready"))
	})

	It("names both of two Subscriptions of which none works, and uses the one that does", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator, failing(played.Failure{Reason: "InstallCheckFailed", Message: "install timeout"}))
		for _, ns := range []string{operator.ID() + "-a", operator.ID() + "-b"} {
			namespace(ctx, ns)
			group(ctx, ns, "theirs", ns)
			subscribe(ctx, operator, ns, "mine")
		}
		Eventually(ctx, status(operator)).Should(And(
			HavePrefix("Existing Blocked DuplicateSubscription"),
			ContainSubstring(fmt.Sprintf("Subscription %[1]s-a/mine, Subscription %[1]s-b/mine", operator.ID())),
			ContainSubstring("kubectl --namespace "+operator.ID()+"-a delete subscriptions")))
		offer(ctx, operator)
		Eventually(ctx, status(operator)).Should(And(HavePrefix("Existing Ready"), ContainSubstring("it is installed more than once")))
	})

	DescribeTable("reads ClusterExtensions of OLM v1", func(ctx SpecContext, conditions []any, version, want string) {
		operator := anOperator()
		e := kind(extensionKind, "", operator.ID())
		e.Object["spec"] = map[string]any{
			"namespace": operator.Namespace,
			"source":    map[string]any{"sourceType": "Catalog", "catalog": map[string]any{"packageName": operator.Packages[0].Name}},
		}
		Expect(kube.Create(ctx, e)).To(Succeed())
		Eventually(ctx, status(operator)).Should(HavePrefix("Existing Installing Progressing: ClusterExtension " + operator.ID() + " is new"))
		state := map[string]any{"conditions": conditions}
		if version != "" {
			state["install"] = map[string]any{"bundle": map[string]any{"name": "x.v" + version, "version": version}}
		}
		e.Object["status"] = state
		Expect(kube.Status().Update(ctx, e)).To(Succeed())
		recorder.Reset()
		Eventually(ctx, status(operator)).Should(HavePrefix("Existing " + want))
		found, err := subject.Find(ctx, operator)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Ours).To(BeFalse())
		Expect(found.Status.Version).To(Equal(version))
		Expect(writes()).To(BeEmpty())
	},
		Entry("installed", []any{is("Installed", "True", "Succeeded", "ok"), is("Progressing", "True", "Succeeded", "Desired state reached")},
			"1.4.0", "Ready Available: "),
		Entry("installed, and unable to upgrade", []any{is("Installed", "True", "Succeeded", "ok"), is("Progressing", "True", "Retrying", "no bundle found")},
			"1.4.0", "Ready Available: ClusterExtension op-"),
		Entry("too new", []any{is("Installed", "True", "Succeeded", "ok"), is("Progressing", "True", "Succeeded", "Desired state reached")},
			"2.0.0", "Blocked VersionNotSupported: ClusterExtension op-"),
		Entry("retrying", []any{is("Installed", "False", "Failed", "No bundle installed"), is("Progressing", "True", "Retrying", "no bundle found")},
			"", "Failed ExtensionFailed: ClusterExtension op-"),
		Entry("blocked", []any{is("Installed", "False", "Failed", "No bundle installed"), is("Progressing", "False", "Blocked", "not permitted")},
			"", "Blocked ExtensionFailed: ClusterExtension op-"),
		Entry("rolling out", []any{is("Installed", "False", "Absent", "No bundle installed"), is("Progressing", "True", "RollingOut", "")},
			"", "Installing Progressing: OLM is installing"),
	)
})

func is(kind, status, reason, message string) map[string]any {
	return map[string]any{
		"type": kind, "status": status, "reason": reason, "message": message,
		"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": int64(1),
	}
}

var _ = Describe("Removing", func() {
	It("takes away what was asked for, in order, and nothing else", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(Equal(ready))
		copied := kind(csvKind, elsewhere, operator.Packages[0].Name+".v1.2.0")
		Eventually(ctx, func() bool { return exists(ctx, copied) }).Should(BeTrue())

		recorder.Reset()
		Eventually(ctx, func(ctx context.Context) (bool, error) { return subject.Remove(ctx, operator) }).Should(BeTrue())
		ns, name := operator.Namespace, operator.Packages[0].Name
		for _, request := range recorder.Requests() {
			Expect(request.Verb != "delete" || request.Preconditioned).To(BeTrue(), "%s", request)
		}
		Expect(writes()).To(Equal([]string{
			"patch clusterserviceversions.operators.coreos.com " + ns + "/" + name + ".v1.2.0",
			"delete subscriptions.operators.coreos.com " + ns + "/" + name,
			"delete clusterserviceversions.operators.coreos.com " + ns + "/" + name + ".v1.2.0",
			"delete operatorgroups.operators.coreos.com " + ns + "/" + operator.ID(),
		}))
		Expect(labelled(ctx, operator)).To(Equal([]string{"Namespace /" + ns}))
		Expect(exists(ctx, kind(crdKind, "", operator.CRDs[0].Name))).To(BeTrue(), "its objects would go with it")
		Eventually(ctx, func() bool { return exists(ctx, copied) }).Should(BeFalse())
		Eventually(ctx, status(operator)).Should(Equal("nothing"))

		By("installing it again")
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(Equal(ready))
	})

	It("goes on where it was interrupted, however much of it was done", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(Equal(ready))

		for _, last := range []string{"patch clusterserviceversions", "delete subscriptions", "delete clusterserviceversions"} {
			crashing := &harness.Recorder{}
			config := local.Config()
			config.Wrap(crashing.Wrap)
			crashing.DieAfter(func(r harness.Request) bool { return strings.HasPrefix(r.Verb+" "+r.Resource, last) })
			_, err := newSubject(config, reader).Remove(ctx, operator)
			Expect(err).To(HaveOccurred())
			found, err := subject.Find(ctx, operator)
			Expect(err).NotTo(HaveOccurred())
			if found != nil {
				Expect(found.Ours).To(BeTrue(), "what is left after %s is still ours", last)
			}
		}
		Eventually(ctx, func(ctx context.Context) (bool, error) { return subject.Remove(ctx, operator) }).Should(BeTrue())
		Expect(labelled(ctx, operator)).To(Equal([]string{"Namespace /" + operator.Namespace}))
	})

	It("ends what was begun before the operator comes again", func(ctx SpecContext) {
		operator := anOperator()
		offer(ctx, operator)
		Expect(install(ctx, operator)).To(Succeed())
		Eventually(ctx, status(operator)).Should(Equal(ready))
		left := kind(csvKind, operator.Namespace, operator.Packages[0].Name+".v1.2.0")
		hold := func(finalizers string) {
			Expect(kube.Patch(ctx, left, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":`+finalizers+`}}`)))).To(Succeed())
		}
		hold(`["example.com/hold"]`)
		Expect(subject.Remove(ctx, operator)).To(BeFalse())
		Eventually(ctx, status(operator)).Should(And(HavePrefix("OLM Removing Removing"), ContainSubstring(left.GetName())))
		found, err := subject.Find(ctx, operator)
		Expect(err).NotTo(HaveOccurred())
		Expect(subject.Update(ctx, operator, *found)).To(BeTrue())
		Expect(exists(ctx, kind(groupKind, operator.Namespace, operator.ID()))).To(BeTrue(), "OLM cleans up with it")
		hold(`null`)
		Eventually(ctx, func(ctx context.Context) (bool, error) { return subject.Remove(ctx, operator) }).Should(BeTrue())
	})

	It("leaves the OperatorGroup to somebody else's operator in the namespace", func(ctx SpecContext) {
		operator, other := anOperator(), anOperator()
		offer(ctx, operator)
		offer(ctx, other)
		Expect(install(ctx, operator)).To(Succeed())
		subscribe(ctx, other, operator.Namespace, "theirs")
		Eventually(ctx, status(operator)).Should(Equal(ready))
		Eventually(ctx, status(other)).Should(HavePrefix("Existing Ready"))
		Eventually(ctx, func(ctx context.Context) (bool, error) { return subject.Remove(ctx, operator) }).Should(BeTrue())
		Expect(labelled(ctx, operator)).To(Equal([]string{"Namespace /" + operator.Namespace, "OperatorGroup " + operator.Namespace + "/" + operator.ID()}))
		Eventually(ctx, status(other)).Should(HavePrefix("Existing Ready"))
	})
})

var _ = Describe("Waking", func() {
	It("tells every step of an operator, and nothing to others", Serial, func(ctx SpecContext) {
		operator, other := anOperator(), anOperator()
		offer(ctx, operator)
		offer(ctx, other)
		woken := listen(ctx, []dependencies.Operator{operator, other})
		woken.reset()
		Expect(install(ctx, operator)).To(Succeed())
		// Each look is at what was there when the event came: if an event was missing, the last one would not be Ready.
		Eventually(ctx, func() string { return woken.lastSaw(operator.Name) }).Should(Equal(ready))
		Expect(woken.count(other.Name)).To(BeZero())

		By("writing what nobody reads")
		woken.reset()
		source := kind(planKind.GroupVersion().WithKind("CatalogSource"), played.GlobalNamespace, operator.Packages[0].Catalogs[0].Name)
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(source), source)).To(Succeed())
		Expect(unstructured.SetNestedField(source.Object, "2026-01-01T00:00:00Z", "status", "latestImageRegistryPoll")).To(Succeed())
		Expect(kube.Status().Update(ctx, source)).To(Succeed())
		Eventually(ctx, func(g Gomega) { // the event has come
			seen := kind(source.GroupVersionKind(), source.GetNamespace(), source.GetName())
			g.Expect(reader.Get(ctx, client.ObjectKeyFromObject(seen), seen)).To(Succeed())
			g.Expect(seen.GetResourceVersion()).To(Equal(source.GetResourceVersion()))
		}).Should(Succeed())
		Expect(woken.count(operator.Name)).To(BeZero())

		By("connecting to a catalogue anew")
		Expect(unstructured.SetNestedField(source.Object, "2026-01-01T00:00:00Z", "status", "connectionState", "lastConnect")).To(Succeed())
		Expect(kube.Status().Update(ctx, source)).To(Succeed())
		Eventually(ctx, func() int { return woken.count(operator.Name) }).ShouldNot(BeZero())
	})
})

// wakes counts who is woken, and looks at an operator whenever it is.
type wakes struct {
	mu     sync.Mutex
	counts map[string]int
	saw    map[string]string
}

func listen(ctx context.Context, table []dependencies.Operator) *wakes {
	GinkgoHelper()
	w := &wakes{}
	w.reset()
	running := context.WithoutCancel(ctx)
	wake := func(object any) {
		defer GinkgoRecover()
		for _, name := range olm.Concerns(object.(client.Object), table) {
			w.mu.Lock()
			w.counts[name]++
			w.mu.Unlock()
			for _, operator := range table {
				if operator.Name == name {
					saw, err := status(operator)(running)
					Expect(err).NotTo(HaveOccurred())
					w.mu.Lock()
					w.saw[name] = saw
					w.mu.Unlock()
				}
			}
		}
	}
	for _, watched := range olm.Watched(olm.APIs{V0: true, V1: true}) {
		informer, err := reader.GetInformer(ctx, watched.Object)
		Expect(err).NotTo(HaveOccurred())
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    wake,
			DeleteFunc: wake,
			UpdateFunc: func(before, after any) {
				if olm.Changed(before.(client.Object), after.(client.Object)) {
					wake(after)
				}
			},
		})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() error { return informer.RemoveEventHandler(registration) })
		Eventually(ctx, registration.HasSynced).Should(BeTrue())
	}
	return w
}

func (w *wakes) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts, w.saw = map[string]int{}, map[string]string{}
}

func (w *wakes) count(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[name]
}

func (w *wakes) lastSaw(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.saw[name]
}
