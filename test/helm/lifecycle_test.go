package helm

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"helm.sh/helm/v4/pkg/release/common"
	"k8s.io/apimachinery/pkg/types"

	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
)

// only makes the operator one of this chart, as release "demo".
func (s *site) only(chart dependencies.Chart) {
	chart.Release = "demo"
	s.operator.Charts = []dependencies.Chart{chart}
}

var _ = DescribeTableSubtree("a chart", func(newSource func() source) {
	It("is installed, left alone, upgraded and removed, and its definitions stay", func(ctx context.Context) {
		s, from := newSite(), newSource()
		s.only(from.put(s.demo("demo", "1.2.0"), "demo", "1.2.0"))
		Expect(s.installed(ctx)).To(Equal(helm.Installed{Releases: []helm.Release{{Name: "demo"}}}))

		By("installing")
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("hello"))
		Expect(s.get(ctx, s.group()+"/v1", "Widget", "from-chart")).NotTo(BeNil())
		Expect(s.get(ctx, s.group()+"/v1", "Gadget", "from-chart")).NotTo(BeNil())
		Expect(s.installed(ctx)).To(Equal(helm.Installed{Any: true, Current: true, Version: "9.1.2.0", Releases: []helm.Release{
			{Name: "demo", Version: "1.2.0", AppVersion: "9.1.2.0", Current: true},
		}}))
		Expect(s.statuses("demo")).To(Equal([]common.Status{common.StatusDeployed}))

		By("doing it again, in another process")
		s.wrote()
		from.requests()
		s.restart(helm.Options{})
		Expect(s.ensure(ctx)).To(BeFalse())
		Expect(s.wrote()).To(BeEmpty())
		Expect(from.requests()).To(BeZero())

		By("changing values")
		s.operator.Charts[0].Values = map[string]any{"greeting": "good day"}
		Expect(s.installed(ctx).Current).To(BeFalse())
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("good day"))
		Expect(s.ensure(ctx)).To(BeFalse())

		By("taking the values back")
		s.operator.Charts[0].Values = nil
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("hello"))

		By("changing the version")
		s.only(from.put(s.demo("demo", "1.3.0+build.7"), "demo", "1.3.0+build.7"))
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.setting(ctx, "demo", "version")).To(Equal("1.3.0+build.7"))
		for _, plural := range []string{"widgets", "gadgets"} {
			Expect(s.definition(ctx, plural).GetAnnotations()).To(HaveKeyWithValue("version", "1.3.0+build.7"), plural)
		}
		Expect(s.installed(ctx).Releases).To(Equal([]helm.Release{
			{Name: "demo", Version: "1.3.0+build.7", AppVersion: "9.1.3.0+build.7", Current: true},
		}))
		Expect(s.statuses("demo")).To(Equal([]common.Status{common.StatusSuperseded, common.StatusSuperseded, common.StatusDeployed}),
			"the history is bounded")

		By("removing")
		mine := map[string]types.UID{}
		for _, kind := range []string{"Widget", "Gadget"} {
			mine[kind] = s.create(ctx, `{apiVersion: %s/v1, kind: %s, metadata: {name: mine}, spec: {size: 7}}`, s.group(), kind).GetUID()
		}
		s.remove(ctx)
		Expect(s.history("demo")).To(BeEmpty())
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("absent"))
		Expect(s.get(ctx, "apps/v1", "Deployment", "demo")).To(BeNil())
		for kind, uid := range mine {
			Expect(s.get(ctx, s.group()+"/v1", kind, "from-chart")).To(BeNil())
			Expect(s.get(ctx, s.group()+"/v1", kind, "mine").GetUID()).To(Equal(uid))
		}
		Expect(s.get(ctx, "v1", "Namespace", s.operator.Namespace)).NotTo(BeNil())
		Expect(s.installed(ctx)).To(Equal(helm.Installed{Releases: []helm.Release{{Name: "demo"}}}))

		By("removing again")
		s.wrote()
		s.remove(ctx)
		Expect(s.wrote()).To(BeEmpty())

		By("coming back")
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.get(ctx, s.group()+"/v1", "Widget", "mine").GetUID()).To(Equal(mine["Widget"]))
	})
},
	Entry("in a folder", func() source { return newFolder() }),
	Entry("in an archive", func() source { return newArchives() }),
	Entry("in an HTTP repository", func() source { return newRepository() }),
	Entry("in an OCI registry", func() source { return newRegistry() }),
)
