package helm

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"helm.sh/helm/v4/pkg/release/common"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
)

var _ = Describe("what is made", func() {
	It("carries the operator's label and field manager, and Pods carry the label", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		objects := []*unstructured.Unstructured{
			s.get(ctx, "v1", "Namespace", s.operator.Namespace), s.get(ctx, "v1", "ConfigMap", "demo-settings"),
			s.get(ctx, "apps/v1", "Deployment", "demo"), s.get(ctx, s.group()+"/v1", "Widget", "from-chart"),
			s.get(ctx, s.group()+"/v1", "Gadget", "from-chart"), s.definition(ctx, "widgets"), s.definition(ctx, "gadgets"),
			s.get(ctx, "v1", "Secret", "sh.helm.release.v1.demo.v1"),
		}
		for _, object := range objects {
			Expect(object.GetLabels()).To(HaveKeyWithValue(dependencies.Label, s.operator.ID()), object.GetKind())
			if object.GetKind() == "Secret" {
				continue
			}
			Expect(object.GetManagedFields()[0].Manager).To(Equal(dependencies.FieldManager), object.GetKind())
			Expect(string(object.GetManagedFields()[0].Operation)).To(Equal("Apply"), object.GetKind())
		}
		Expect(objects[0].GetLabels()).To(HaveKeyWithValue("purpose", "demonstration"))
		Expect(objects[2].GetLabels()).To(HaveKeyWithValue("version", "1.0"), "labels of the chart stay")
		Eventually(func() int {
			pods := &unstructured.UnstructuredList{}
			pods.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "PodList"})
			Expect(admin.List(ctx, pods, client.InNamespace(s.operator.Namespace), client.MatchingLabels{dependencies.Label: s.operator.ID()})).To(Succeed())
			return len(pods.Items)
		}).Should(Equal(1))
	})

	It("comes from subcharts that the values enable, their definitions too", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		sub := func(name, kind string) files {
			return files{
				"charts/" + name + "/Chart.yaml":             "{apiVersion: v2, name: " + name + ", version: 1.0.0}",
				"charts/" + name + "/crds/definition.yaml":   s.crd(kind, "1.0.0"),
				"charts/" + name + "/templates/object.yaml":  fmt.Sprintf("{apiVersion: %s/v1, kind: %s, metadata: {name: %s}}", s.group(), kind, name),
				"charts/" + name + "/templates/setting.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: " + name + "-settings}, data: {greeting: '{{ .Values.greeting }}'}}",
			}
		}
		chart := files{
			"Chart.yaml": "{apiVersion: v2, name: demo, version: 1.0.0, dependencies: [{name: one, version: 1.0.0, alias: first}, " +
				"{name: two, version: 1.0.0, condition: two.enabled}]}",
			"values.yaml": "{first: {greeting: hello}, two: {enabled: false}}",
		}.with(sub("one", "Sprocket")).with(sub("two", "Sprout"))
		s.only(from.put(chart, "demo", "1.0.0"))
		s.ensure(ctx)
		Expect(s.definition(ctx, "sprockets")).NotTo(BeNil())
		Expect(s.get(ctx, s.group()+"/v1", "Sprocket", "one")).NotTo(BeNil())
		Expect(s.setting(ctx, "one", "greeting")).To(Equal("hello"))
		Expect(s.definition(ctx, "sprouts")).To(BeNil())

		s.operator.Charts[0].Values = map[string]any{"two": map[string]any{"enabled": true}}
		s.ensure(ctx)
		Expect(s.get(ctx, s.group()+"/v1", "Sprout", "two")).NotTo(BeNil())
	})

	It("is nothing but definitions, if a chart has nothing else", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(files{
			"Chart.yaml":          "{apiVersion: v2, name: demo, version: 1.0.0}",
			"templates/crds.yaml": s.crd("Widget", "1.0.0") + "\n---\n# nothing\n---\n" + s.crd("Gadget", "1.0.0"),
		}, "demo", "1.0.0"))
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.ensure(ctx)).To(BeFalse())
		s.operator.Charts[0].Values = map[string]any{"a": "b"}
		Expect(s.ensure(ctx)).To(BeTrue())
		s.remove(ctx)
		Expect(s.definition(ctx, "widgets")).NotTo(BeNil())
		Expect(s.definition(ctx, "gadgets")).NotTo(BeNil())
		Expect(s.history("demo")).To(BeEmpty())
	})

	It("sees the kinds of its own crds folder while it is rendered", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0").with(files{
			"templates/settings.yaml": fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: demo-settings}, `+
				`data: {greeting: '{{ .Capabilities.APIVersions.Has "%s/v1/Widget" }}'}}`, s.group()),
		}), "demo", "1.0.0"))
		s.ensure(ctx)
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("true"))
	})

	It("leaves the numbers of a chart as they are", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0").with(files{
			"templates/settings.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: demo-settings, annotations: {long: '9007199254740993'}}, data: {greeting: '{{ .Values.port }}'}}",
			"templates/widget.yaml":   fmt.Sprintf("{apiVersion: %s/v1, kind: Widget, metadata: {name: long}, spec: {size: 9007199254740993}}", s.group()),
		}), "demo", "1.0.0"))
		s.operator.Charts[0].Values = map[string]any{"port": 8080}
		s.ensure(ctx)
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("8080"))
		Expect(s.get(ctx, s.group()+"/v1", "Widget", "long").Object["spec"]).To(HaveKeyWithValue("size", int64(9007199254740993)))
		Expect(s.operator.Charts[0].Values).To(Equal(map[string]any{"port": 8080}), "values are not changed")
	})

	It("is small in its record: no file of the chart is kept", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0").with(files{"README.md": strings.Repeat("read me ", 10000)}), "demo", "1.0.0"))
		s.ensure(ctx)
		recorded := s.history("demo")[0]
		Expect(recorded.Chart.Files).To(BeEmpty())
		Expect(recorded.Chart.Templates).To(BeEmpty())
		Expect(recorded.Chart.Metadata.Version).To(Equal("1.0.0"))
		Expect(recorded.Manifest).To(And(ContainSubstring("kind: Deployment"), Not(ContainSubstring("kind: CustomResourceDefinition"))))
	})
})

var _ = Describe("a Deployment that somebody deleted", func() {
	It("comes back with all that the release made, without the chart", func(ctx context.Context) {
		s, from := newSite(), newRepository()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		for _, object := range []*unstructured.Unstructured{s.get(ctx, "apps/v1", "Deployment", "demo"), s.get(ctx, "v1", "ConfigMap", "demo-settings")} {
			Expect(admin.Delete(ctx, object)).To(Succeed())
		}
		from.requests()
		Expect(s.installed(ctx).Current).To(BeFalse())
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.get(ctx, "apps/v1", "Deployment", "demo")).NotTo(BeNil())
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("hello"))
		Expect(from.requests()).To(BeZero())
		Expect(s.installed(ctx).Current).To(BeTrue())
		Expect(s.ensure(ctx)).To(BeFalse())
		s.operator.Charts[0].Values = map[string]any{"greeting": "hi"}
		Expect(s.installed(ctx).Releases[0].Failure).To(BeEmpty())
	})
})

var _ = Describe("several charts", func() {
	It("are installed in their order, and removed in the reverse, each when the one before is gone", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		first := from.put(s.demo("first", "1.0.0"), "first", "1.0.0")
		// The second needs kinds of the first, and what it makes is held by a finalizer until somebody takes it off.
		second := from.put(files{
			"Chart.yaml": "{apiVersion: v2, name: second, version: 2.0.0, appVersion: other}",
			"templates/held.yaml": fmt.Sprintf("{apiVersion: %[1]s/v1, kind: Widget, metadata: {name: held, finalizers: [%[1]s/hold]}}\n---\n"+
				"{apiVersion: v1, kind: ConfigMap, metadata: {name: second-settings}, data: {greeting: hello}}", s.group()),
		}, "second", "2.0.0")
		first.Release, second.Release = "first", "second"
		s.operator.Charts = []dependencies.Chart{first, second}
		s.restart(helm.Options{Timeout: 2 * time.Second})
		s.ensure(ctx)
		installed := s.installed(ctx)
		Expect(installed.Version).To(Equal("9.1.0.0"), "that of the first")
		Expect(installed.Releases).To(HaveLen(2))

		By("waiting for the one that is held")
		problem := asProblem(s.installer.Remove(ctx, s.operator))
		expect(problem, v1alpha1.DependencyFailed, v1alpha1.ReasonRemoveFailed, "Helm release "+s.operator.Namespace+"/second",
			"Widget "+s.operator.Namespace+"/held is not gone after 2s", s.group()+"/hold")
		Expect(asProblem(s.installer.Remove(ctx, s.operator))).To(Equal(problem))
		Expect(s.statuses("second")).To(Equal([]common.Status{common.StatusUninstalling}))
		Expect(s.setting(ctx, "second", "greeting")).To(Equal("hello"), "what serves custom resources goes after them")
		Expect(s.statuses("first")).To(Equal([]common.Status{common.StatusDeployed}))
		Expect(s.get(ctx, "apps/v1", "Deployment", "first")).NotTo(BeNil())

		By("letting it go")
		held := s.get(ctx, s.group()+"/v1", "Widget", "held")
		Expect(admin.Patch(ctx, held, client.RawPatch(client.Merge.Type(), []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		s.remove(ctx)
		Expect(s.installed(ctx).Any).To(BeFalse())
		Expect(s.content(ctx)).To(BeEmpty())
	})

	It("are removed also when the operator no longer has them", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		first := from.put(s.demo("first", "1.0.0"), "first", "1.0.0")
		first.Release = "before"
		s.operator.Charts = []dependencies.Chart{first}
		s.ensure(ctx)
		s.operator.Charts[0].Release = "after"
		Expect(s.installed(ctx).Any).To(BeTrue())
		s.remove(ctx)
		Expect(s.installed(ctx).Any).To(BeFalse())
		Expect(s.content(ctx)).To(BeEmpty())
	})

	It("of which one cannot be had leave the others installed", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		first := from.put(s.demo("first", "1.0.0"), "first", "1.0.0")
		first.Release = "first"
		s.operator.Charts = []dependencies.Chart{first, {Release: "second", Chart: filepath.Join(from.parent, "second"), Version: "1.0.0"}}
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonChartNotFound, "second")
		installed := s.installed(ctx)
		Expect(installed.Any).To(BeTrue())
		Expect(installed.Current).To(BeFalse())
		Expect(installed.Releases[0].Current).To(BeTrue())
	})
})

var _ = Describe("a local chart", func() {
	DescribeTable("that changes under its version is upgraded", func(ctx context.Context, newSource func() source) {
		s, from := newSite(), newSource()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		from.put(s.demo("demo", "1.0.0").with(files{"values.yaml": "{greeting: changed, replicas: 1}"}), "demo", "1.0.0")
		Expect(s.installed(ctx).Current).To(BeFalse())
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("changed"))
		Expect(s.ensure(ctx)).To(BeFalse())
	},
		Entry("in a folder", func() source { return newFolder() }),
		Entry("in an archive", func() source { return newArchives() }),
	)

	It("that is packed again with the same content is left alone", func(ctx context.Context) {
		s, from := newSite(), newArchives()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0")
		Expect(s.ensure(ctx)).To(BeFalse())
	})
})

var _ = Describe("a repository", func() {
	It("may keep its archives in an OCI registry, and need not know their digests", func(ctx context.Context) {
		s, from, registry := newSite(), newRepository(), newRegistry()
		asked := from.put(s.demo("demo", "1.0.0+a"), "demo", "1.0.0+a")
		stored := registry.put(s.demo("demo", "1.0.0+a"), "demo", "1.0.0+a")
		entry := from.index.Entries["demo"][0]
		entry.URLs, entry.Digest = []string{stored.Chart + ":1.0.0+a"}, ""
		asked.PlainHTTP = true
		s.only(asked)
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(registry.requests()).To(BeNumerically(">", 0))
	})
})

var _ = Describe("a definition of the chart's kinds", func() {
	It("that a person deleted does not keep the release from being upgraded and removed", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		Expect(admin.Delete(ctx, s.definition(ctx, "widgets"))).To(Succeed())
		Eventually(func() *unstructured.Unstructured { return s.definition(ctx, "widgets") }).Should(BeNil())
		s.operator.Charts[0].Values = map[string]any{"greeting": "hi"}
		Eventually(func() error { _, err := s.installer.Ensure(ctx, s.operator); return err }).Should(Succeed())
		Expect(s.get(ctx, s.group()+"/v1", "Widget", "from-chart")).NotTo(BeNil())

		Expect(admin.Delete(ctx, s.definition(ctx, "widgets"))).To(Succeed())
		Eventually(func() *unstructured.Unstructured { return s.definition(ctx, "widgets") }).Should(BeNil())
		Eventually(func() error { return s.installer.Remove(ctx, s.operator) }).Should(Succeed())
		Expect(s.history("demo")).To(BeEmpty())
	})
})

var _ = Describe("the machine that it runs on", func() {
	It("is not asked: no environment of Helm, no file in a home", func(ctx context.Context) {
		home := GinkgoT().TempDir()
		for key, value := range map[string]string{
			"HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home, "XDG_DATA_HOME": home, "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home,
			"DOCKER_CONFIG": home, "KUBECONFIG": filepath.Join(home, "kubeconfig"),
			"HELM_NAMESPACE": "elsewhere", "HELM_DRIVER": "memory", "HELM_KUBEAPISERVER": "https://127.0.0.1:1", "HELM_MAX_HISTORY": "1",
			"HELM_REGISTRY_CONFIG": filepath.Join(home, "broken"), "HELM_PLUGINS": home,
		} {
			GinkgoT().Setenv(key, value)
		}
		broken := []byte("{ this is no configuration")
		for _, name := range []string{"broken", "kubeconfig", "config.json"} {
			Expect(os.WriteFile(filepath.Join(home, name), broken, 0o600)).To(Succeed())
		}
		for _, newSource := range []func() source{func() source { return newRepository() }, func() source { return newRegistry() }} {
			s, from := newSite(), newSource()
			s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
			Expect(s.ensure(ctx)).To(BeTrue())
			s.operator.Charts[0].Values = map[string]any{"greeting": "hi"}
			Expect(s.ensure(ctx)).To(BeTrue())
			s.remove(ctx)
		}
		var found []string
		Expect(filepath.WalkDir(home, func(path string, _ fs.DirEntry, err error) error {
			found = append(found, filepath.Base(path))
			return err
		})).To(Succeed())
		Expect(found[1:]).To(ConsistOf("broken", "kubeconfig", "config.json"))
	})

	It("gets Helm's log only through the context", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		log := gbytes.NewBuffer()
		ctx = logr.NewContext(ctx, logr.FromSlogHandler(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		_, err := s.installer.Ensure(ctx, s.operator)
		Expect(err).NotTo(HaveOccurred())
		Expect(log).To(gbytes.Say("Installed Helm release"))
		Expect(string(log.Contents())).To(ContainSubstring("creating resource"))
	})
})
