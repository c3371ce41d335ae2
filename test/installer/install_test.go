package installer

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
	"opendatahub.io/operator/test/charts"
	"opendatahub.io/operator/test/cluster/standin"
	"opendatahub.io/operator/test/harness"
)

const small = `
profile: Development
components:
  kafka: {}
`

var _ = Describe("On a cluster without any operator", func() {
	It("installs what a platform needs, and the platform becomes ready", func(ctx context.Context) {
		s := newScene(ctx, "")
		hub, _ := running(ctx, small)
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi Helm Ready Available 1.2.0"}))
		Expect(condition(hub, v1alpha1.ConditionDependenciesReady)(ctx)).To(Equal("True Available: ready: Strimzi 1.2.0"))

		By("running it in its own namespace, under its own label")
		operator := &appsv1.Deployment{}
		key := types.NamespacedName{Namespace: s.namespace("Strimzi"), Name: "strimzi-kafka-operator"}
		Expect(env.Admin.Get(ctx, key, operator)).To(Succeed())
		Expect(operator.Labels).To(HaveKeyWithValue(dependencies.Label, "strimzi"))
	}, SpecTimeout(2*time.Minute))

	It("installs all nine", func(ctx context.Context) {
		newScene(ctx, "")
		startManager(ctx)
		startInstaller(ctx)
		hub := platform(ctx, "all", `
profile: Development
components: {ceph: {}, kafka: {}, argoWorkflows: {}, spark: {applications: Enabled}, seldon: {}, monitoring: {}, gpu: {}}
`)
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(HavePrefix("True"))
		Expect(needed(hub)(ctx)).To(HaveEach(ContainSubstring(" Helm Ready Available")))
		Expect(needed(hub)(ctx)).To(HaveLen(9))
	}, SpecTimeout(3*time.Minute))

	It("says what is wrong with a repository, and goes on by itself when it is there again", func(ctx context.Context) {
		without(ctx, "Strimzi")
		s := newScene(ctx, "")
		s.configure(ctx, fmt.Sprintf("operators:\n- name: Strimzi\n  namespace: %s\n  charts:\n"+
			"  - {release: strimzi-kafka-operator, chart: 'oci://127.0.0.1:1/charts/strimzi-kafka-operator', plainHTTP: true}\n", s.namespace("Strimzi")))
		hub, _ := started(ctx, small)
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(And(
			HavePrefix("False RegistryUnavailable: Strimzi"), ContainSubstring("127.0.0.1:1")))
		Eventually(ctx, condition(hub, "KafkaReady")).Should(And(
			HavePrefix("False APINotInstalled: CRDs kafka"), ContainSubstring("Strimzi (failed)"), ContainSubstring("127.0.0.1:1")))

		s.configure(ctx, fmt.Sprintf("mirror: %s\noperators:\n- {name: Strimzi, namespace: %s}\n", chartFolder, s.namespace("Strimzi")))
		Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	}, SpecTimeout(5*time.Minute))

	It("explains a mistake in its own configuration, and touches nothing until it is corrected", func(ctx context.Context) {
		s := newScene(ctx, "")
		s.configure(ctx, "operators:\n- {name: Strimsi, way: Helm}\n")
		hub, process := started(ctx, small)
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(And(
			HavePrefix("False InstallerConfigInvalid"), ContainSubstring("Strimsi"), ContainSubstring(dependencies.ConfigName)))
		Expect(writesBut(process, "configmaps")).To(BeEmpty())
	}, SpecTimeout(5*time.Minute))

	It("reaches through to the Pod of an operator that does not start", func(ctx context.Context) {
		s := newScene(ctx, "")
		undo, err := env.FailPods(ctx, s.namespace("Strimzi"), map[string]string{"app.kubernetes.io/instance": "strimzi-kafka-operator"}, "ImagePullBackOff")
		Expect(err).NotTo(HaveOccurred())
		hub, _ := started(ctx, small)
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(And(
			HavePrefix("False Degraded: Strimzi (failed)"), ContainSubstring("strimzi-kafka-operator"), ContainSubstring("cannot pull")))
		Expect(undo(ctx)).To(Succeed())
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(HavePrefix("True"))
	}, SpecTimeout(2*time.Minute))

	It("installs nothing for a platform that is looked after by hand", func(ctx context.Context) {
		without(ctx, "Strimzi")
		newScene(ctx, "")
		hub, process := started(ctx, small+"dependencies: {installation: Manual}\n")
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(And(
			HavePrefix("False NotInstalled: Strimzi is not installed"), ContainSubstring("installation is Manual"), ContainSubstring("helm upgrade --install")))
		Eventually(ctx, condition(hub, "KafkaReady")).Should(ContainSubstring("install Strimzi, condition DependenciesReady says how"))
		quiet(ctx, process)
		Expect(writesBut(process, "configmaps")).To(BeEmpty())

		By("using it when somebody installs it")
		foreignOperator(ctx, "Strimzi", charts.StandIns("Strimzi", env.Kinds)...)
		Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi Existing Ready Available 1.1.0"}))
	}, SpecTimeout(5*time.Minute))

	It("installs nothing for a namespace that an administrator has not marked", func(ctx context.Context) {
		without(ctx, "Strimzi")
		newScene(ctx, "")
		startManager(ctx)
		process := startInstaller(ctx)
		name := fmt.Sprintf("unmarked-%d", scenes)
		Expect(env.EnsureNamespace(ctx, name)).To(Succeed())
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		mark := func(value string) {
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+components.LabelAllowInstalls+`":`+value+`}}}`))
			Expect(env.Admin.Patch(ctx, namespace, patch)).To(Succeed())
		}
		mark("null")
		hub, err := env.CreatePlatform(ctx, name, "data", small)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(And(
			HavePrefix("False NotAllowed: Strimzi is not installed, and nobody may have operators installed for namespace "+name),
			ContainSubstring("kubectl label namespace "+name+" opendatahub.io/allow-installs=true")))
		quiet(ctx, process)
		Expect(writesBut(process, "configmaps", "rolebindings")).To(BeEmpty())

		mark(`"true"`)
		Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
		Eventually(ctx, events(hub)).Should(ContainElement(ContainSubstring("Third-party operators are ready: Strimzi 1.2.0")))

		By("keeping what runs when the mark is taken away")
		mark("null")
		quiet(ctx, process)
		Expect(needed(hub)(ctx)).To(Equal([]string{"Strimzi Helm Ready Available 1.2.0"}))
	}, SpecTimeout(5*time.Minute))

	It("says what to type where there is no installer", func(ctx context.Context) {
		without(ctx, "Strimzi")
		newScene(ctx, "")
		startManager(ctx)
		hub := platform(ctx, "data", small)
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(And(
			HavePrefix("False NotInstalled: Strimzi is not installed, and this cluster has no installer"),
			ContainSubstring("helm upgrade --install strimzi-kafka-operator oci://quay.io/strimzi-helm/strimzi-kafka-operator --version 1.2.0")))
		Expect(needed(hub)(ctx)).To(Equal([]string{"Strimzi  Missing NotInstalled"}))

		By("letting an installer that comes later do it")
		startInstaller(ctx)
		Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	}, SpecTimeout(5*time.Minute))
})

var _ = Describe("On a cluster with operators", func() {
	It("uses what serves the kinds and runs, and writes nothing but its report", func(ctx context.Context) {
		without(ctx, "Strimzi")
		newScene(ctx, "")
		foreignOperator(ctx, "Strimzi", charts.StandIns("Strimzi", env.Kinds)...)
		hub, process := running(ctx, small)
		Eventually(ctx, reported("Strimzi")).Should(HavePrefix("Ready Available"))
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi Existing Ready Available 1.1.0"}))
		Expect(writesBut(process, "configmaps")).To(BeEmpty())
	}, SpecTimeout(5*time.Minute))

	It("uses what somebody installed with Helm, and leaves it when the platform goes", func(ctx context.Context) {
		without(ctx, "Strimzi")
		s := newScene(ctx, "deletionPolicy: Delete\n")
		Expect(env.EnsureNamespace(ctx, "theirs-by-helm")).To(Succeed())
		DeferCleanup(func(ctx context.Context) { without(ctx, "Strimzi") }, NodeTimeout(5*time.Minute))
		installAsSomebodyElse(ctx, "theirs-by-helm", "streams", filepath.Join(chartFolder, "strimzi-kafka-operator-1.2.0.tgz"))
		hub, process := running(ctx, small)
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi Existing Ready Available 1.2.0"}))
		remove(ctx, hub)
		Eventually(ctx, reported("Strimzi")).Should(BeEmpty())
		quiet(ctx, process)
		Expect(writesBut(process, "configmaps")).To(BeEmpty())
		operator := &appsv1.Deployment{}
		Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: "theirs-by-helm", Name: "streams"}, operator)).To(Succeed())
		Expect(env.Admin.Get(ctx, types.NamespacedName{Name: s.namespace("Strimzi")}, &corev1.Namespace{})).To(Satisfy(apierrors.IsNotFound))
	}, SpecTimeout(5*time.Minute))

	It("does not take definitions that somebody left behind for an operator, and says how to have it installed", func(ctx context.Context) {
		without(ctx, "Strimzi")
		s := newScene(ctx, "")
		definitions := charts.StandIns("Strimzi", env.Kinds)
		foreign(ctx, definitions...)
		hub, _ := started(ctx, small)
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(And(HavePrefix("False NotInstalled: Strimzi"),
			ContainSubstring("kubectl label crd kafkas.kafka.strimzi.io opendatahub.io/dependency=strimzi")))
		for _, crd := range definitions {
			live := cluster.NewCRD()
			live.SetName(crd.Name)
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"opendatahub.io/dependency":"strimzi"}}}`))
			Expect(env.Admin.Patch(ctx, live, patch)).To(Succeed())
		}
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi Helm Ready Available 1.2.0"}))
		Expect(env.Admin.Get(ctx, types.NamespacedName{Namespace: s.namespace("Strimzi"), Name: "strimzi-kafka-operator"}, &appsv1.Deployment{})).To(Succeed())
	}, SpecTimeout(5*time.Minute))

	// The manager may not watch the kinds of exampleUnwatched, which says nothing of Kafka's.
	It("notices what comes although the kinds of another component cannot be watched", func(ctx context.Context) {
		foreign(ctx, charts.StandIns("Node Feature Discovery", env.Kinds)...)
		newScene(ctx, "")
		hub := platform(ctx, "data", "profile: Development\ncomponents: {kafka: {}, portal: {}}\n")
		for range 5 { // whichever controller starts first
			without(ctx, "Strimzi")
			manager := startManager(ctx)
			Eventually(ctx, condition(hub, "KafkaReady")).Should(HavePrefix("False APINotInstalled"))
			foreign(ctx, charts.StandIns("Strimzi", env.Kinds)...)
			Eventually(ctx, condition(hub, "KafkaReady")).ShouldNot(HavePrefix("False APINotInstalled"))
			Expect(manager.Stop()).To(Succeed())
		}
	}, SpecTimeout(5*time.Minute))

	It("refuses a version that components cannot work with, without hindering others", func(ctx context.Context) {
		without(ctx, "Strimzi")
		s := newScene(ctx, "")
		definitions := charts.StandIns("Strimzi", env.Kinds)
		for _, definition := range definitions {
			definition.Spec.Versions[0].Name = "v1alpha1"
		}
		foreignOperator(ctx, "Strimzi", definitions...)
		hub, process := started(ctx, "profile: Development\ncomponents: {kafka: {}, ceph: {}}\n")
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(And(
			HavePrefix("False VersionNotSupported: Strimzi is installed"), ContainSubstring("kafkas.kafka.strimzi.io (v1 or v1beta2)")))
		Eventually(ctx, condition(hub, "KafkaReady")).Should(And(
			HavePrefix("False APINotInstalled: CRDs kafkanodepools.kafka.strimzi.io, kafkas.kafka.strimzi.io, kafkausers.kafka.strimzi.io do not serve v1 or v1beta2"), ContainSubstring("Strimzi is installed")))
		Eventually(ctx, condition(hub, "CephReady")).Should(HavePrefix("True"))
		Expect(process.Select(func(request harness.Request) bool {
			return request.Writes() && request.Namespace == s.namespace("Strimzi")
		})).To(BeEmpty())
	}, SpecTimeout(5*time.Minute))
})

var _ = Describe("What the installer installed", func() {
	It("is shared, and stays until the last platform leaves", func(ctx context.Context) {
		s := newScene(ctx, "deletionPolicy: Delete\n")
		startManager(ctx)
		process := startInstaller(ctx)
		first, second := platform(ctx, "first", small), platform(ctx, "second", small)
		Eventually(ctx, condition(first, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
		Eventually(ctx, condition(second, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
		deployments := func() int {
			var list appsv1.DeploymentList
			Expect(env.Admin.List(ctx, &list, client.InNamespace(s.namespace("Strimzi")), client.MatchingLabels{dependencies.Label: "strimzi"})).To(Succeed())
			return len(list.Items)
		}
		Expect(deployments()).To(Equal(1))

		By("removing one platform")
		remove(ctx, first)
		quiet(ctx, process)
		Expect(reported("Strimzi")(ctx)).To(HavePrefix("Ready Available"))
		Expect(deployments()).To(Equal(1))

		By("removing both while somebody else has a Kafka of their own")
		Expect(env.EnsureNamespace(ctx, "theirs")).To(Succeed())
		theirs := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"kafka": map[string]any{}}}}
		theirs.SetGroupVersionKind(kafka.Kafka.GVK())
		theirs.SetNamespace("theirs")
		theirs.SetName("orders")
		Expect(env.Admin.Create(ctx, theirs)).To(Succeed())
		remove(ctx, second)
		Eventually(ctx, reported("Strimzi")).Should(Equal(
			"Ready InUse: no platform needs it any more; it stays as long as Kafka theirs/orders exists"))
		quiet(ctx, process)
		Expect(deployments()).To(Equal(1))

		By("removing that as well")
		Expect(env.Admin.Delete(ctx, theirs)).To(Succeed())
		Eventually(ctx, reported("Strimzi")).Should(BeEmpty())
		Expect(deployments()).To(BeZero())
		Expect(env.Admin.Get(ctx, types.NamespacedName{Name: kafka.Kafka.CRD()}, cluster.NewCRD())).To(Succeed(), "CustomResourceDefinitions are never deleted")

		By("installing it again for the next platform, although its CustomResourceDefinitions are there")
		third := platform(ctx, "third", small)
		Eventually(ctx, condition(third, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
		Eventually(ctx, needed(third)).Should(Equal([]string{"Strimzi Helm Ready Available 1.2.0"}))
	}, SpecTimeout(3*time.Minute))

	It("stays when the policy is to retain, and says so", func(ctx context.Context) {
		newScene(ctx, "")
		hub, _ := running(ctx, small)
		remove(ctx, hub)
		Eventually(ctx, reported("Strimzi")).Should(And(HavePrefix("Ready Kept"), ContainSubstring("deletionPolicy")))
	}, SpecTimeout(2*time.Minute))

	It("is repaired when somebody deletes or changes a part of it", func(ctx context.Context) {
		s := newScene(ctx, "")
		hub, process := running(ctx, small)
		name := "strimzi-kafka-operator"
		binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace("Strimzi"), Name: name}}
		operator := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace("Strimzi"), Name: name}}
		for _, object := range []client.Object{binding, account, operator} {
			Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
			uid := object.GetUID()
			Expect(env.Admin.Delete(ctx, object)).To(Succeed())
			Eventually(ctx, func() types.UID {
				_ = env.Admin.Get(ctx, client.ObjectKeyFromObject(object), object)
				return object.GetUID()
			}).WithTimeout(5*time.Second).ShouldNot(BeElementOf(uid, types.UID("")), "%T", object)
		}
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(role), role)).To(Succeed())
		role.Rules = nil
		Expect(env.Admin.Update(ctx, role)).To(Succeed())
		Eventually(ctx, func() []rbacv1.PolicyRule {
			Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(role), role)).To(Succeed())
			return role.Rules
		}).WithTimeout(5 * time.Second).ShouldNot(BeEmpty())
		Eventually(ctx, reported("Strimzi")).Should(Equal("Ready Available: "))
		quiet(ctx, process)

		By("repairing its CustomResourceDefinitions, too")
		without(ctx, "Strimzi")
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(HavePrefix("True"))
		Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	}, SpecTimeout(5*time.Minute))

	It("is taken over from an earlier version that had Helm install it, without a restart", func(ctx context.Context) {
		s := newScene(ctx, "")
		table := dependencies.Default().For(false)
		strimzi, _ := table.Find("Strimzi")
		strimzi.Namespace = s.namespace("Strimzi")
		strimzi.Charts[0].Chart = filepath.Join(chartFolder, "strimzi-kafka-operator-1.2.0.tgz")
		Expect(env.EnsureNamespace(ctx, strimzi.Namespace)).To(Succeed())
		installAsEarlier(ctx, strimzi)
		operator := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: strimzi.Namespace, Name: "strimzi-kafka-operator"}}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(operator), operator)).To(Succeed())
		uid, spec := operator.UID, operator.Spec
		Expect(operator.Annotations).To(HaveKey(helm.ReleaseAnnotation))

		hub, _ := started(ctx, small)
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi Helm Ready Available 1.2.0"}))
		Eventually(ctx, func() []corev1.Secret {
			var list corev1.SecretList
			Expect(env.Admin.List(ctx, &list, client.InNamespace(strimzi.Namespace), client.MatchingLabels{"owner": "helm"})).To(Succeed())
			return list.Items
		}).Should(BeEmpty(), "what Helm recorded is deleted")
		operator = &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: operator.Name}}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(operator), operator)).To(Succeed())
		Expect(operator.UID).To(Equal(uid))
		// The generation of a Deployment counts changes of its annotations too.
		Expect(operator.Spec).To(Equal(spec))
		Expect(operator.Annotations).NotTo(HaveKey(helm.ReleaseAnnotation))
	}, SpecTimeout(5*time.Minute))

	It("works on while an upgrade fails, and the failure is a remark", func(ctx context.Context) {
		s := newScene(ctx, "")
		hub, _ := running(ctx, small)
		version := func(version string) string {
			return fmt.Sprintf("mirror: %s\noperators:\n- name: Strimzi\n  namespace: %s\n  charts: [{release: strimzi-kafka-operator, version: %s}]\n",
				chartFolder, s.namespace("Strimzi"), version)
		}
		s.configure(ctx, version("7.7.7"))
		Eventually(ctx, reported("Strimzi")).Should(And(HavePrefix("Ready Available: it works, but not as the table asks: there is no chart at"),
			ContainSubstring("strimzi-kafka-operator-7.7.7.tgz")))
		Expect(condition(hub, v1alpha1.ConditionReady)(ctx)).To(HavePrefix("True"))
		s.configure(ctx, version("1.2.0"))
		Eventually(ctx, reported("Strimzi")).Should(Equal("Ready Available: "))
	}, SpecTimeout(2*time.Minute))

	It("does not take an object of somebody else, and goes on when that is gone", func(ctx context.Context) {
		newScene(ctx, "")
		theirs := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "strimzi-kafka-operator"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}},
		}}
		Expect(env.Admin.Create(ctx, theirs, client.FieldOwner("somebody"))).To(Succeed())
		hub, _ := started(ctx, small)
		Eventually(ctx, reported("Strimzi")).Should(HavePrefix("Failed InstallFailed: ClusterRole strimzi-kafka-operator exists and was not made by this " +
			"installer: its field manager is somebody"))
		Expect(env.Admin.Delete(ctx, theirs)).To(Succeed())
		Eventually(ctx, condition(hub, v1alpha1.ConditionReady)).Should(HavePrefix("True"))
	}, SpecTimeout(2*time.Minute))

	It("is upgraded when the administrators ask for other values, and only then", func(ctx context.Context) {
		s := newScene(ctx, "")
		_, process := running(ctx, small)
		key := types.NamespacedName{Namespace: s.namespace("Strimzi"), Name: "strimzi-kafka-operator"}
		operator := &appsv1.Deployment{}
		replicas := func() int32 {
			Expect(env.Admin.Get(ctx, key, operator)).To(Succeed())
			return *operator.Spec.Replicas
		}
		Expect(replicas()).To(Equal(int32(1)))
		config := func(values string) string {
			return fmt.Sprintf("mirror: %s\noperators:\n- name: Strimzi\n  namespace: %s\n  charts: [{release: strimzi-kafka-operator, values: %s}]\n",
				chartFolder, s.namespace("Strimzi"), values)
		}
		s.configure(ctx, config("{replicas: 2}"))
		Eventually(replicas).Should(Equal(int32(2)))
		quiet(ctx, process)
		generation := operator.Generation

		s.configure(ctx, config("{replicas: 2}")+"# a comment\n")
		quiet(ctx, process)
		Expect(replicas()).To(Equal(int32(2)))
		Expect(operator.Generation).To(Equal(generation))
	}, SpecTimeout(2*time.Minute))

	It("costs no request while nothing changes, and a restart writes nothing", func(ctx context.Context) {
		newScene(ctx, "")
		hub, process := running(ctx, "profile: Development\ncomponents: {ceph: {}, kafka: {}}\n")
		// One of them is in Rook's namespace, which comes with Rook; whether it is granted is none of the platform's state.
		Eventually(ctx, func() int { _, outside := granted(ctx, hub.Namespace)(); return outside }).Should(Equal(3))
		atRest(ctx, process)
	}, SpecTimeout(3*time.Minute))
})

var _ = Describe("The report of the installer", func() {
	It("is put back when somebody deletes it", func(ctx context.Context) {
		newScene(ctx, "")
		running(ctx, small)
		Eventually(ctx, reported("Strimzi")).Should(HavePrefix("Ready Available"))
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: dependencies.ReportName}}
		Expect(env.Admin.Delete(ctx, object)).To(Succeed())
		Eventually(ctx, reported("Strimzi")).Should(HavePrefix("Ready Available"))
	}, SpecTimeout(5*time.Minute))

	It("is not believed for ever when the installer does not run", func(ctx context.Context) {
		without(ctx, "Strimzi")
		newScene(ctx, "")
		Expect(env.InstallInstaller(ctx)).To(Succeed())
		lease := parse(`{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: opendatahub-installer, namespace: opendatahub-operator},
		  spec: {holderIdentity: gone, leaseDurationSeconds: 30, renewTime: "2026-01-01T00:00:00.000000Z"}}`)
		Expect(env.Admin.Create(ctx, lease)).To(Succeed())
		DeferCleanup(func(ctx context.Context) error { return env.Admin.Delete(ctx, lease) })
		startManager(ctx)
		hub := platform(ctx, "data", small)
		Eventually(ctx, condition(hub, v1alpha1.ConditionDependenciesReady)).Should(And(
			HavePrefix("False InstallerUnavailable: Strimzi waits for the installer"), ContainSubstring("kubectl get pods --namespace opendatahub-operator")))
	}, SpecTimeout(5*time.Minute))

	It("goes with the installer's Deployment, so that platforms know", func(ctx context.Context) {
		newScene(ctx, "")
		deployment := parse(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: opendatahub-installer, namespace: opendatahub-operator},
		  spec: {replicas: 0, selector: {matchLabels: {app: installer}}, template: {metadata: {labels: {app: installer}}, spec: {containers: [{name: x, image: x}]}}}}`)
		Expect(env.Admin.Create(ctx, deployment)).To(Succeed())
		hub, _ := running(ctx, small)
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi Helm Ready Available 1.2.0"}))
		Expect(env.Admin.Delete(ctx, deployment)).To(Succeed())
		Eventually(ctx, needed(hub)).Should(Equal([]string{"Strimzi Existing Ready Available"}))
	}, SpecTimeout(5*time.Minute))
})

var _ = Describe("The manager", func() {
	It("can install nothing", func(ctx context.Context) {
		config, err := env.ServiceAccountConfig(ctx, harness.OperatorNamespace, harness.ServiceAccount)
		Expect(err).NotTo(HaveOccurred())
		manager, err := client.New(config, client.Options{})
		Expect(err).NotTo(HaveOccurred())
		Expect(env.InstallInstaller(ctx)).To(Succeed())
		Expect(env.InstallCRDObjects(ctx, standin.CRDs(standin.Kind{
			Group: "operators.coreos.com", Versions: []string{"v1alpha1"}, Kind: "Subscription",
		})...)).To(Succeed())
		DeferCleanup(func(ctx context.Context) error { return env.RemoveCRDs(ctx, "subscriptions.operators.coreos.com") })
		for _, attempt := range []string{
			`{apiVersion: operators.coreos.com/v1alpha1, kind: Subscription, metadata: {name: x, namespace: default}}`,
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: xs.example.com}, spec: {group: example.com,
			  scope: Namespaced, names: {plural: xs, kind: X}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}`,
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: x}, rules: []}`,
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: x}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}`,
			`{apiVersion: v1, kind: Namespace, metadata: {name: x}}`,
			`{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: x}}`,
		} {
			object := parse(attempt)
			err := manager.Create(ctx, object)
			Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%s: %v", object.GetKind(), err)
			err = manager.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("x"))
			Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%s: %v", object.GetKind(), err)
		}

		By("not even through the installer: its configuration, its report, or a Pod with its ServiceAccount")
		for _, attempt := range []string{
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: opendatahub-installer}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: opendatahub-dependencies}}`,
			`{apiVersion: v1, kind: Secret, metadata: {name: token, annotations: {kubernetes.io/service-account.name: opendatahub-installer}},
			  type: kubernetes.io/service-account-token}`,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}},
			  spec: {serviceAccountName: opendatahub-installer, containers: [{name: x, image: x}]}}}}`,
		} {
			object := parse(attempt)
			object.SetNamespace(harness.OperatorNamespace)
			// The API server takes a moment to enforce a policy. Until then it answers with the object as it would be.
			Eventually(ctx, func(ctx context.Context) error {
				return manager.Apply(ctx, client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner("x"), client.ForceOwnership, client.DryRunAll)
			}).Should(Satisfy(apierrors.IsForbidden), object.GetKind())
		}
	}, SpecTimeout(time.Minute))
})
