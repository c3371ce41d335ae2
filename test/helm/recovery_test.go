package helm

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
)

// doomed runs something in a process that dies with its nth write, and reports whether it lived that long.
func (s *site) doomed(ctx context.Context, n int, act func(context.Context) error) (died bool) {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.writes, s.lives, s.die = nil, n, cancel
	s.mu.Unlock()
	err := act(ctx)
	died = ctx.Err() != nil
	s.mu.Lock()
	s.writes, s.lives = nil, 0
	s.mu.Unlock()
	if died {
		Expect(err).To(MatchError(context.Canceled))
		Expect(err).NotTo(BeAssignableToTypeOf(&dependencies.Problem{}), "an end is not a problem of the operator")
	} else {
		Expect(err).NotTo(HaveOccurred())
	}
	s.restart(helm.Options{})
	return died
}

// content lists what an operator's charts made, without what differs between two installs.
func (s *site) content(ctx context.Context) []string {
	GinkgoHelper()
	var found []string
	for _, gvk := range []schema.GroupVersionKind{
		{Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "ServiceAccount"}, {Group: "apps", Version: "v1", Kind: "Deployment"},
		{Group: "batch", Version: "v1", Kind: "Job"}, {Group: s.group(), Version: "v1", Kind: "Widget"}, {Group: s.group(), Version: "v1", Kind: "Gadget"},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk)
		if err := admin.List(ctx, list, client.InNamespace(s.operator.Namespace), client.MatchingLabels{dependencies.Label: s.operator.ID()}); err != nil {
			continue // the kind is not served
		}
		for _, object := range list.Items {
			found = append(found, fmt.Sprint(object.GetKind(), " ", object.GetName(), " ", object.GetLabels(), " ", object.GetAnnotations()["meta.helm.sh/release-name"],
				" ", object.Object["data"], " ", object.GetDeletionTimestamp()))
		}
	}
	return found
}

const extraHook = `{apiVersion: v1, kind: ConfigMap, metadata: {name: hook, annotations: {helm.sh/hook: "pre-install,post-upgrade,pre-delete"}}}`

var _ = Describe("a process that dies", func() {
	old := func(s *site) files {
		return s.demo("demo", "1.0.0").with(files{
			"templates/hook.yaml": extraHook,
			"templates/old.yaml":  `{apiVersion: v1, kind: ServiceAccount, metadata: {name: old}}`,
		})
	}
	recent := func(s *site) files {
		return s.demo("demo", "2.0.0").with(files{
			"templates/hook.yaml": extraHook,
			"templates/new.yaml":  `{apiVersion: v1, kind: ServiceAccount, metadata: {name: new}}`,
		})
	}

	It("with any write of an install is followed by one that finishes it", func(ctx context.Context) {
		var want []string
		for n := 1; ; n++ {
			s, from := newSite(), newFolder()
			s.only(from.put(old(s), "demo", "1.0.0"))
			died := s.doomed(ctx, n, func(ctx context.Context) error { _, err := s.installer.Ensure(ctx, s.operator); return err })
			s.ensure(ctx)
			Expect(s.ensure(ctx)).To(BeFalse())
			Expect(s.statuses("demo")).To(Equal([]common.Status{common.StatusDeployed}))
			got := s.neutral(s.content(ctx))
			if want == nil {
				want = got
				Expect(want).To(HaveLen(6))
			}
			Expect(got).To(Equal(want), "after write %d", n)
			s.discard(ctx)
			if !died {
				Expect(n).To(BeNumerically(">", 8))
				AddReportEntry("writes of an install", n-1)
				break
			}
		}
	}, NodeTimeout(5*time.Minute))

	It("with any write of an upgrade is followed by one that finishes it", func(ctx context.Context) {
		var want []string
		for n := 1; ; n++ {
			s, from := newSite(), newFolder()
			s.only(from.put(old(s), "demo", "1.0.0"))
			s.ensure(ctx)
			uid := s.get(ctx, "apps/v1", "Deployment", "demo").GetUID()
			s.only(from.put(recent(s), "demo", "2.0.0"))
			died := s.doomed(ctx, n, func(ctx context.Context) error { _, err := s.installer.Ensure(ctx, s.operator); return err })
			Expect(s.installed(ctx).Version).NotTo(BeEmpty(), "it runs")
			s.ensure(ctx)
			Expect(s.ensure(ctx)).To(BeFalse())
			statuses := s.statuses("demo")
			Expect(statuses[len(statuses)-1]).To(Equal(common.StatusDeployed))
			Expect(len(statuses)).To(BeNumerically("<=", 3))
			got := s.neutral(s.content(ctx))
			if want == nil {
				want = got
				Expect(strings.Join(want, "\n")).To(And(ContainSubstring("ServiceAccount new"), Not(ContainSubstring("ServiceAccount old"))))
			}
			Expect(got).To(Equal(want), "after write %d", n)
			Expect(s.get(ctx, "apps/v1", "Deployment", "demo").GetUID()).To(Equal(uid), "it was not made anew")
			s.discard(ctx)
			if !died {
				AddReportEntry("writes of an upgrade", n-1)
				break
			}
		}
	}, NodeTimeout(5*time.Minute))

	It("with any write of an upgrade is followed by one that removes everything", func(ctx context.Context) {
		for n := 1; ; n++ {
			s, from := newSite(), newFolder()
			s.only(from.put(old(s), "demo", "1.0.0"))
			s.ensure(ctx)
			s.only(from.put(recent(s), "demo", "2.0.0"))
			died := s.doomed(ctx, n, func(ctx context.Context) error { _, err := s.installer.Ensure(ctx, s.operator); return err })
			s.remove(ctx)
			Expect(s.content(ctx)).To(BeEmpty(), "after write %d", n)
			Expect(s.history("demo")).To(BeEmpty())
			s.discard(ctx)
			if !died {
				break
			}
		}
	}, NodeTimeout(5*time.Minute))

	DescribeTable("with any write of a removal is followed by one that",
		func(ctx context.Context, next func(context.Context, *site)) {
			for n := 1; ; n++ {
				s, from := newSite(), newFolder()
				s.only(from.put(old(s), "demo", "1.0.0"))
				s.ensure(ctx)
				died := s.doomed(ctx, n, func(ctx context.Context) error { return s.installer.Remove(ctx, s.operator) })
				next(ctx, s)
				s.discard(ctx)
				if !died {
					AddReportEntry("writes of a removal", n-1)
					break
				}
			}
		},
		Entry("finishes it", NodeTimeout(5*time.Minute), func(ctx context.Context, s *site) {
			s.remove(ctx)
			Expect(s.content(ctx)).To(BeEmpty())
			Expect(s.history("demo")).To(BeEmpty())
		}),
		Entry("installs again", NodeTimeout(5*time.Minute), func(ctx context.Context, s *site) {
			s.ensure(ctx)
			// The hook's own object may be missing, when nothing else was deleted.
			Expect(s.content(ctx)).To(ContainElements(ContainSubstring("ConfigMap demo-settings"), ContainSubstring("ServiceAccount old"),
				ContainSubstring("Deployment demo"), ContainSubstring("Widget from-chart"), ContainSubstring("Gadget from-chart")))
			Expect(s.statuses("demo")).To(Equal([]common.Status{common.StatusDeployed}))
		}),
	)
})

// neutral takes the site's own name out of texts.
func (s *site) neutral(texts []string) []string {
	for i := range texts {
		texts[i] = replaceSite(s, texts[i])
		texts[i] = strings.ReplaceAll(texts[i], s.operator.ID(), "SITE")
	}
	return texts
}

// replaceSite writes the site's namespace where a text says NAMESPACE.
func replaceSite(s *site, text string) string {
	return strings.ReplaceAll(text, "NAMESPACE", s.operator.Namespace)
}

var _ = Describe("a release that was left", func() {
	// mark gives the newest revision a status, as a process that died would have.
	mark := func(s *site, status common.Status) {
		GinkgoHelper()
		history := s.history("demo")
		last := history[len(history)-1]
		last.SetStatus(status, "left by a test")
		Expect(s.records().Update(last)).To(Succeed())
	}
	// add adds a revision of the same objects.
	add := func(s *site, status common.Status) {
		GinkgoHelper()
		history := s.history("demo")
		next := *history[len(history)-1]
		next.Version++
		next.Info = &release.Info{Status: status, FirstDeployed: time.Now(), LastDeployed: time.Now()}
		next.Labels = map[string]string{dependencies.Label: s.operator.ID()}
		Expect(s.records().Create(&next)).To(Succeed())
	}

	DescribeTable("is taken up by the next Ensure and by the next Remove",
		func(ctx context.Context, leave func(*site), madeAnew bool) {
			for _, removes := range []bool{false, true} {
				s, from := newSite(), newFolder()
				s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
				s.ensure(ctx)
				uid := s.get(ctx, "apps/v1", "Deployment", "demo").GetUID()
				leave(s)
				Expect(s.installed(ctx).Any).To(BeTrue())
				Expect(s.installed(ctx).Current).To(BeFalse())
				if removes {
					s.remove(ctx)
					Expect(s.content(ctx)).To(BeEmpty())
					Expect(s.history("demo")).To(BeEmpty())
					continue
				}
				Expect(s.ensure(ctx)).To(BeTrue())
				Expect(s.installed(ctx).Current).To(BeTrue())
				Expect(s.setting(ctx, "demo", "greeting")).To(Equal("hello"))
				same := Equal(uid)
				if madeAnew {
					same = Not(same)
				}
				Expect(s.get(ctx, "apps/v1", "Deployment", "demo").GetUID()).To(same)
				Expect(s.ensure(ctx)).To(BeFalse())
			}
		},
		Entry("pending-install", func(s *site) { mark(s, common.StatusPendingInstall) }, true),
		Entry("failed", func(s *site) { mark(s, common.StatusFailed) }, true),
		Entry("unknown", func(s *site) { mark(s, common.StatusUnknown) }, true),
		Entry("uninstalling", func(s *site) { mark(s, common.StatusUninstalling) }, true),
		Entry("pending-upgrade", func(s *site) { add(s, common.StatusPendingUpgrade) }, false),
		Entry("pending-rollback", func(s *site) { add(s, common.StatusPendingRollback) }, false),
		Entry("failed after one that runs", func(s *site) { add(s, common.StatusFailed) }, false),
		Entry("between the end of one version and the beginning of the next", func(s *site) {
			mark(s, common.StatusSuperseded)
			add(s, common.StatusPendingUpgrade)
		}, false),
		Entry("uninstalling after an upgrade", func(s *site) {
			mark(s, common.StatusSuperseded)
			add(s, common.StatusUninstalling)
		}, true),
	)

	It("uninstalled with its history by a person is installed again", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		for _, object := range []*unstructured.Unstructured{s.get(ctx, "apps/v1", "Deployment", "demo"), s.get(ctx, "v1", "ConfigMap", "demo-settings")} {
			Expect(admin.Delete(ctx, object)).To(Succeed())
		}
		mark(s, common.StatusUninstalled)
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("hello"))
	})

	It("with objects but without records is taken up: they are ours by their label", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		uid := s.get(ctx, "apps/v1", "Deployment", "demo").GetUID()
		_, err := s.records().Delete("demo", 1)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.get(ctx, "apps/v1", "Deployment", "demo").GetUID()).To(Equal(uid))
	})
})

var _ = Describe("a context that ends", func() {
	It("ends a request that is not answered", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.refuse("/deployments/demo", silent)
		cancelled, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		ended := make(chan error, 1)
		go func() { _, err := s.installer.Ensure(cancelled, s.operator); ended <- err }()
		Eventually(ended).WithTimeout(10 * time.Second).Should(Receive(MatchError(context.DeadlineExceeded)))
		s.refuse("nowhere", 0)
		Expect(s.ensure(ctx)).To(BeTrue())
	})

	It("ends a hook, a download and all that was started for them", func(ctx context.Context) {
		s, from := newSite(), newRegistry()
		s.restart(helm.Options{Timeout: time.Minute})
		s.only(from.put(s.demo("demo", "1.0.0").with(files{"templates/hook.yaml": fmt.Sprintf(hookJob, "pre-install", "", 600)}), "demo", "1.0.0"))
		undo, err := shared.FailPods(ctx, s.operator.Namespace, map[string]string{"hook": s.operator.Namespace}, "ImagePullBackOff")
		Expect(err).NotTo(HaveOccurred())
		before := runtime.NumGoroutine()

		cancelled, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { _, err := s.installer.Ensure(cancelled, s.operator); ended <- err }()
		Eventually(func() *unstructured.Unstructured { return s.get(ctx, "batch/v1", "Job", "migrate") }).ShouldNot(BeNil())
		cancel()
		Eventually(ended).WithTimeout(5 * time.Second).Should(Receive(MatchError(context.Canceled)))
		Expect(s.statuses("demo")).To(Equal([]common.Status{common.StatusPendingInstall}))
		Expect(undo(ctx)).To(Succeed())
		s.ensure(ctx)

		for range 3 {
			s.operator.Charts[0].Values = map[string]any{"greeting": fmt.Sprint(time.Now())}
			s.ensure(ctx)
		}
		// Idle connections to the API server, which all clients of the process share, are a few goroutines.
		Eventually(runtime.NumGoroutine).Should(BeNumerically("<=", before+8))
	})
})
