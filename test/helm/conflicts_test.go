package helm

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"helm.sh/helm/v4/pkg/release/common"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
)

var _ = Describe("what belongs to somebody else", func() {
	It("is a release of the same name, which is told and not touched", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		for _, owner := range []string{"", "another"} {
			By("an owner called " + owner)
			theirs := s.history("demo")[0]
			delete(theirs.Labels, dependencies.Label)
			if owner != "" {
				theirs.Labels[dependencies.Label] = owner
			}
			Expect(s.records().Update(theirs)).To(Succeed())
			s.wrote()

			Expect(s.installed(ctx)).To(Equal(helm.Installed{Releases: []helm.Release{{Name: "demo"}}}))
			s.operator.Charts[0].Values = map[string]any{"greeting": owner}
			expect(s.problem(ctx), v1alpha1.DependencyBlocked, v1alpha1.ReasonInstallFailed,
				"Helm release "+s.operator.Namespace+"/demo exists", owner, "chart demo 1.0.0", "helm uninstall --namespace "+s.operator.Namespace+" demo")
			s.remove(ctx)
			Expect(s.wrote()).To(BeEmpty())
			Expect(s.history("demo")).To(HaveLen(1))
		}
	})

	It("is a release of the same name whose record nobody understands", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.createNamespace(ctx)
		s.create(ctx, `{apiVersion: v1, kind: Secret, metadata: {name: sh.helm.release.v1.demo.v1, labels: {owner: helm, name: demo}}, stringData: {release: e30=}}`)
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		expect(s.problem(ctx), v1alpha1.DependencyBlocked, v1alpha1.ReasonInstallFailed, "Helm release "+s.operator.Namespace+"/demo exists")
		Expect(s.installed(ctx).Any).To(BeFalse())
	})

	DescribeTable("is an object, which is told and not touched, until it is gone",
		func(ctx context.Context, metadata string, says ...string) {
			s, from := newSite(), newFolder()
			s.createNamespace(ctx)
			theirs := s.create(ctx, `{apiVersion: v1, kind: ConfigMap, metadata: {name: demo-settings, %s}, data: {greeting: theirs}}`,
				replaceSite(s, metadata))
			s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
			problem := s.problem(ctx)
			expect(problem, v1alpha1.DependencyFailed, v1alpha1.ReasonInstallFailed,
				append(says, "ConfigMap "+s.operator.Namespace+"/demo-settings exists and was not made by this installer")...)
			Expect(s.problem(ctx)).To(Equal(problem))
			Expect(s.history("demo")).To(BeEmpty())
			Expect(s.get(ctx, "apps/v1", "Deployment", "demo")).To(BeNil())
			Expect(s.get(ctx, "v1", "ConfigMap", "demo-settings").GetResourceVersion()).To(Equal(theirs.GetResourceVersion()))

			Expect(admin.Delete(ctx, theirs)).To(Succeed())
			Expect(s.ensure(ctx)).To(BeTrue())
		},
		Entry("that a person made", ``, "its field manager is somebody"),
		Entry("that another program manages", `labels: {app.kubernetes.io/managed-by: argo}`, "its label app.kubernetes.io/managed-by says argo"),
		Entry("of another Helm release",
			`labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: other, meta.helm.sh/release-namespace: elsewhere}`,
			"it belongs to Helm release elsewhere/other"),
		// Helm by itself would take it for its own.
		Entry("of a lost Helm release of the same name",
			`labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: demo, meta.helm.sh/release-namespace: NAMESPACE}`,
			"it lacks the label opendatahub.io/dependency"),
		Entry("of another operator", `labels: {opendatahub.io/dependency: another}`, "its label opendatahub.io/dependency says another"),
	)

	It("is an object that an upgrade would take, and the version before runs on", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		theirs := s.create(ctx, `{apiVersion: v1, kind: ConfigMap, metadata: {name: theirs}, data: {a: theirs}}`)
		s.only(from.put(s.demo("demo", "2.0.0").with(files{
			"templates/theirs.yaml": `{apiVersion: v1, kind: ConfigMap, metadata: {name: theirs}, data: {a: b}}`,
		}), "demo", "2.0.0"))
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonInstallFailed, "/theirs exists", "somebody")
		Expect(s.statuses("demo")).To(Equal([]common.Status{common.StatusDeployed}))
		Expect(s.setting(ctx, "demo", "version")).To(Equal("1.0.0"))
		Expect(s.get(ctx, "v1", "ConfigMap", "theirs").GetResourceVersion()).To(Equal(theirs.GetResourceVersion()))
	})

	It("is an object that took the place of ours, which neither an upgrade nor a removal deletes", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		extra := files{"templates/extra.yaml": `{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}}`}
		s.only(from.put(s.demo("demo", "1.0.0").with(extra), "demo", "1.0.0"))
		s.ensure(ctx)
		replace := func(name string) {
			Expect(admin.Delete(ctx, s.get(ctx, "v1", "ConfigMap", name))).To(Succeed())
			s.create(ctx, `{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {greeting: theirs}}`, name)
		}
		replace("extra")
		s.only(from.put(s.demo("demo", "2.0.0"), "demo", "2.0.0"))
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.get(ctx, "v1", "ConfigMap", "extra")).NotTo(BeNil())

		replace("demo-settings")
		s.remove(ctx)
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("theirs"))
		Expect(s.history("demo")).To(BeEmpty())
	})

	It("is a hook's object, which is not deleted before the hook", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.createNamespace(ctx)
		theirs := s.create(ctx, `{apiVersion: v1, kind: ConfigMap, metadata: {name: prepare}, data: {a: theirs}}`)
		s.only(from.put(s.demo("demo", "1.0.0").with(files{
			"templates/hook.yaml": `{apiVersion: v1, kind: ConfigMap, metadata: {name: prepare, annotations: {helm.sh/hook: pre-install}}}`,
		}), "demo", "1.0.0"))
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonInstallFailed, "/prepare exists", "somebody", "nothing of it is left")
		Expect(s.get(ctx, "v1", "ConfigMap", "prepare").GetUID()).To(Equal(theirs.GetUID()))
		Expect(s.history("demo")).To(BeEmpty())
	})

	It("is a CustomResourceDefinition, which serves as it is", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.createNamespace(ctx)
		for _, kind := range []string{"Widget", "Gadget"} {
			theirs := &unstructured.Unstructured{}
			Expect(yaml.Unmarshal([]byte(s.crd(kind, "theirs")), &theirs.Object)).To(Succeed())
			Expect(admin.Create(ctx, theirs)).To(Succeed())
		}
		established := func(plural string) func() []any {
			return func() []any {
				conditions, _ := s.definition(ctx, plural).Object["status"].(map[string]any)["conditions"].([]any)
				return conditions
			}
		}
		for _, plural := range []string{"widgets", "gadgets"} {
			Eventually(established(plural)).Should(ContainElement(And(HaveKeyWithValue("type", "Established"), HaveKeyWithValue("status", "True"))))
		}
		before := s.definition(ctx, "widgets").GetResourceVersion() + s.definition(ctx, "gadgets").GetResourceVersion()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		Eventually(func() error { _, err := s.installer.Ensure(ctx, s.operator); return err }).Should(Succeed())
		Expect(s.get(ctx, s.group()+"/v1", "Widget", "from-chart")).NotTo(BeNil())
		Expect(s.definition(ctx, "widgets").GetResourceVersion() + s.definition(ctx, "gadgets").GetResourceVersion()).To(Equal(before))
	})

	It("is the namespace, which stays as it is", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.createNamespace(ctx)
		before := s.get(ctx, "v1", "Namespace", s.operator.Namespace)
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		Expect(s.get(ctx, "v1", "Namespace", s.operator.Namespace).GetLabels()).To(Equal(before.GetLabels()))
	})

	It("is a field of an object of ours, until the next change", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		deployment := s.get(ctx, "apps/v1", "Deployment", "demo")
		Expect(admin.Patch(ctx, deployment, client.RawPatch(client.Merge.Type(), []byte(`{"spec":{"replicas":4}}`)), client.FieldOwner("somebody"))).To(Succeed())
		Expect(s.ensure(ctx)).To(BeFalse())
		s.operator.Charts[0].Values = map[string]any{"greeting": "hi"}
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.get(ctx, "apps/v1", "Deployment", "demo").Object["spec"]).To(HaveKeyWithValue("replicas", BeEquivalentTo(1)))
	})
})
