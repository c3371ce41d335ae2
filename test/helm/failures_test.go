package helm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"helm.sh/helm/v4/pkg/release/common"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
	"opendatahub.io/operator/test/cluster"
)

// expect checks a problem, and that it says what it must.
func expect(problem *dependencies.Problem, state v1alpha1.DependencyState, reason string, says ...string) {
	GinkgoHelper()
	Expect(problem.Reason).To(Equal(reason), problem.Message)
	Expect(problem.State).To(Equal(state), problem.Message)
	for _, text := range says {
		Expect(problem.Message).To(ContainSubstring(text))
	}
	Expect(problem.Message).NotTo(ContainSubstring("\n"))
	AddReportEntry("says", problem.Message)
}

// answer makes a server answer everything with this status, until the spec mends it.
func (s *server) answer(status int) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	s.broken.Store(&handler)
}

func (s *server) mend() { s.broken.Store(nil) }

var _ = Describe("a chart that cannot be had", func() {
	DescribeTable("because its host does not answer, until it does",
		func(ctx context.Context, newSource func() (source, *server)) {
			s := newSite()
			from, host := newSource()
			s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))

			for status, says := range map[int]string{
				http.StatusServiceUnavailable: "503 Service Unavailable",
				http.StatusUnauthorized:       "credentials",
				http.StatusTooManyRequests:    "429 Too Many Requests",
			} {
				host.answer(status)
				expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonRegistryUnavailable, host.host(), "demo 1.0.0", says)
			}

			handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				connection, _, err := w.(http.Hijacker).Hijack()
				if err == nil {
					_ = connection.Close()
				}
			})
			host.broken.Store(&handler)
			first := s.problem(ctx)
			expect(first, v1alpha1.DependencyFailed, v1alpha1.ReasonRegistryUnavailable, host.host()+" cannot be reached")
			Expect(s.problem(ctx)).To(Equal(first), "the same problem is said in the same words")

			Expect(s.wrote()).To(BeEmpty(), "nothing is begun without the chart")
			host.mend()
			Expect(s.ensure(ctx)).To(BeTrue())
		},
		Entry("in an HTTP repository", func() (source, *server) { r := newRepository(); return r, r.server }),
		Entry("in an OCI registry", func() (source, *server) { r := newRegistry(); return r, r.server }),
	)

	DescribeTable("because nobody listens", func(ctx context.Context, format string) {
		s := newSite()
		closed := serve(http.NotFoundHandler())
		closed.Close()
		s.only(dependencies.Chart{Chart: fmt.Sprintf(format, closed.host()), Version: "1.0.0", PlainHTTP: true})
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonRegistryUnavailable,
			closed.host()+" cannot be reached", "connection refused")
	},
		Entry("in an HTTP repository", "http://%s/stable/demo"),
		Entry("in an OCI registry", "oci://%s/charts/demo"),
	)

	It("because nobody knows who signed the host's certificate", func(ctx context.Context) {
		s := newSite()
		host := httptest.NewUnstartedServer(http.NotFoundHandler())
		host.Config.ErrorLog = log.New(io.Discard, "", 0)
		host.StartTLS()
		DeferCleanup(host.Close)
		for _, reference := range []string{host.URL + "/stable/demo", "oci://" + strings.TrimPrefix(host.URL, "https://") + "/demo"} {
			s.only(dependencies.Chart{Chart: reference, Version: "1.0.0"})
			expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonRegistryUnavailable, "certificate signed by unknown authority")
		}
	})

	DescribeTable("because the version is missing, until it is there",
		func(ctx context.Context, newSource func() source, says string) {
			s, from := newSite(), newSource()
			chart := from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0")
			chart.Version = "1.0.1"
			chart.Chart = strings.ReplaceAll(chart.Chart, "demo-1.0.0.tgz", "demo-1.0.1.tgz")
			s.only(chart)
			expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonChartNotFound, says, "1.0.1")
			from.put(s.demo("demo", "1.0.1"), "demo", "1.0.1")
			Expect(s.ensure(ctx)).To(BeTrue())
		},
		Entry("in an HTTP repository", func() source { return newRepository() }, "has chart demo, but not in version 1.0.1"),
		Entry("in an OCI registry", func() source { return newRegistry() }, "404 Not Found"),
		Entry("on disk", func() source { return newArchives() }, "there is no chart at /"),
	)

	DescribeTable("because the repository is none", func(ctx context.Context, path, says string) {
		s, from := newSite(), newRepository()
		from.archives["web/index.yaml"] = []byte("<html>not: a: repository</html>")
		s.only(dependencies.Chart{Chart: from.URL + path, Version: "1.0.0"})
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonChartNotFound, from.URL, says)
	},
		Entry("has no index", "/elsewhere/demo", "/elsewhere/index.yaml"),
		Entry("has something else for an index", "/stable/web/demo", "is not the index of a chart repository"),
		Entry("has other charts", "/stable/demo", "has no chart demo"),
	)

	It("because the password is wrong, until it is right, and the password is nowhere told", func(ctx context.Context) {
		s, from := newSite(), newRepository()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		protected := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "installer" || password != "right" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			from.Config.Handler.(http.HandlerFunc)(w, r)
		})
		front := serve(protected)
		s.operator.Charts[0].Chart = front.URL + "/stable/demo"
		file := filepath.Join(GinkgoT().TempDir(), "config.json")
		login := func(password string) {
			Expect(os.WriteFile(file, fmt.Appendf(nil, `{"auths": {%q: {"username": "installer", "password": %q}}}`, front.host(), password), 0o600)).To(Succeed())
		}
		login("wrong")
		s.restart(helm.Options{RegistryConfig: file})
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonRegistryUnavailable, front.host(), "401 Unauthorized", "credentials")

		s.operator.Charts[0].Chart = strings.Replace(front.URL, "://", "://me:hidden@", 1) + "/stable/demo"
		problem := s.problem(ctx)
		expect(problem, v1alpha1.DependencyFailed, v1alpha1.ReasonRegistryUnavailable, "401")
		Expect(problem.Message).NotTo(ContainSubstring("hidden"))

		login("right")
		s.operator.Charts[0].Chart = front.URL + "/stable/demo"
		Expect(s.ensure(ctx)).To(BeTrue())
	})
})

var _ = Describe("a chart that is another one", func() {
	DescribeTable("than its digest says, until the digest is corrected",
		func(ctx context.Context, newSource func() source) {
			s, from := newSite(), newSource()
			chart := s.demo("demo", "1.0.0")
			actual := digest(chart.archive())
			reference := from.put(chart, "demo", "1.0.0")
			if archived, ok := from.(*archiveSource); ok { // archives have the time of their packing in them
				content, err := os.ReadFile(filepath.Join(archived.parent, "demo-1.0.0.tgz"))
				Expect(err).NotTo(HaveOccurred())
				actual = digest(content)
			}
			reference.Digest = "sha256:" + strings.Repeat("ab", 32)
			s.only(reference)
			problem := s.problem(ctx)
			expect(problem, v1alpha1.DependencyBlocked, v1alpha1.ReasonDigestMismatch, reference.Digest, "the installer's configuration", "demo")
			Expect(s.wrote()).To(BeEmpty())
			_, said, _ := strings.Cut(problem.Message, "its digest is ")
			said, _, _ = strings.Cut(said, ",")
			if _, ok := from.(*archiveSource); ok {
				Expect(said).To(Equal(actual))
			}
			s.operator.Charts[0].Digest = said
			Expect(s.ensure(ctx)).To(BeTrue())
			Expect(s.ensure(ctx)).To(BeFalse())
			s.operator.Charts[0].Digest = strings.ToUpper(strings.TrimPrefix(said, "sha256:"))
			Expect(s.ensure(ctx)).To(BeFalse(), "the same digest in another form")
		},
		Entry("in an archive", func() source { return newArchives() }),
		Entry("in an HTTP repository", func() source { return newRepository() }),
		Entry("in an OCI registry", func() source { return newRegistry() }),
	)

	It("than the repository's index says", func(ctx context.Context) {
		s, from := newSite(), newRepository()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		from.archives["archives/demo-1.0.0.tgz"] = s.demo("demo", "1.0.0").with(files{"values.yaml": "greeting: forged\n"}).archive()
		expect(s.problem(ctx), v1alpha1.DependencyBlocked, v1alpha1.ReasonDigestMismatch, "the repository's index",
			digest(from.archives["archives/demo-1.0.0.tgz"]), from.index.Entries["demo"][0].Digest)
		Expect(s.wrote()).To(BeEmpty())
	})

	It("than a digest of a folder could say", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.operator.Charts[0].Digest = "sha256:" + strings.Repeat("ab", 32)
		expect(s.problem(ctx), v1alpha1.DependencyBlocked, v1alpha1.ReasonDigestMismatch, "folder")
	})

	DescribeTable("than its version says", func(ctx context.Context, newSource func() source) {
		s, from := newSite(), newSource()
		chart := from.put(s.demo("demo", "1.0.0"), "demo", "1.0.1") // a chart of 1.0.0 under the name of 1.0.1
		s.only(chart)
		expect(s.problem(ctx), v1alpha1.DependencyBlocked, v1alpha1.ReasonChartInvalid, "is of version 1.0.0, not 1.0.1")
		Expect(s.wrote()).To(BeEmpty())
	},
		Entry("in a folder", func() source { return newFolder() }),
		Entry("in an HTTP repository", func() source { return newRepository() }),
		Entry("in an OCI registry", func() source { return newRegistry() }),
	)
})

var _ = Describe("a chart that is broken", func() {
	DescribeTable("is not begun, is upgraded to only when it is mended, and says what is wrong",
		func(ctx context.Context, broken files, values map[string]any, says ...string) {
			s, from := newSite(), newFolder()
			good := s.demo("demo", "1.0.0")
			delete(good, "crds/widgets.yaml") // what is in crds is there before templates are rendered
			good["templates/things.yaml"] = ""
			s.only(from.put(good.with(broken), "demo", "1.0.0"))
			s.operator.Charts[0].Values = values
			expect(s.problem(ctx), v1alpha1.DependencyBlocked, v1alpha1.ReasonChartInvalid, says...)
			Expect(s.wrote()).To(BeEmpty())
			Expect(s.get(ctx, "v1", "Namespace", s.operator.Namespace)).To(BeNil())

			By("mending it")
			s.operator.Charts[0].Values = nil
			from.put(good, "demo", "1.0.0")
			Expect(s.ensure(ctx)).To(BeTrue())

			By("breaking it again")
			from.put(good.with(broken), "demo", "1.0.0")
			s.operator.Charts[0].Values = values
			s.wrote()
			expect(s.problem(ctx), v1alpha1.DependencyBlocked, v1alpha1.ReasonChartInvalid, says...)
			Expect(s.wrote()).To(BeEmpty())
			Expect(s.installed(ctx).Version).To(Equal("9.1.0.0"))
			Expect(s.statuses("demo")).To(Equal([]common.Status{common.StatusDeployed}))
		},
		Entry("in a template", files{"templates/broken.yaml": "a: {{ .Values.nothing.here }}"}, nil,
			"templates/broken.yaml", "nil pointer evaluating", "chart /", "demo 1.0.0 cannot be used"),
		Entry("in the language of a template", files{"templates/broken.yaml": "a: {{ .Values.nothing"}, nil, "templates/broken.yaml:1", "unclosed action"),
		Entry("in a value that it requires", files{"templates/broken.yaml": `a: {{ required "say which host" .Values.host }}`}, nil, "say which host"),
		Entry("in the YAML of a template", files{"templates/broken.yaml": "kind: ConfigMap\n  apiVersion: v1"}, nil, "templates/broken.yaml"),
		Entry("in an object without a kind", files{"templates/broken.yaml": "apiVersion: v1\nmetadata: {name: x}"}, nil, "templates/broken.yaml", "no kind"),
		Entry("in values that its schema refuses", nil, map[string]any{"greeting": 7}, "/greeting", "got number, want string"),
		Entry("in the versions of Kubernetes that it takes", files{
			"Chart.yaml": "{apiVersion: v2, name: demo, version: 1.0.0, appVersion: 9.1.0.0, kubeVersion: '>=99'}",
		}, nil, "kubeVersion"),
		Entry("in a dependency that it lacks", files{
			"Chart.yaml": "{apiVersion: v2, name: demo, version: 1.0.0, appVersion: 9.1.0.0, dependencies: [{name: sub, version: 1.0.0, repository: 'https://example.com'}]}",
		}, nil, "missing in charts/ directory: sub"),
		Entry("in its kind", files{
			"Chart.yaml": "{apiVersion: v2, name: demo, version: 1.0.0, appVersion: 9.1.0.0, type: library}",
		}, nil, "library"),
		Entry("in its values", files{"values.yaml": "greeting: [hello"}, nil, "values.yaml"),
		Entry("in its crds folder", files{"crds/other.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}"}, nil,
			"crds/other.yaml holds a ConfigMap"),
	)

	It("says so of an archive that is none", func(ctx context.Context) {
		s := newSite()
		path := filepath.Join(GinkgoT().TempDir(), "demo-1.0.0.tgz")
		Expect(os.WriteFile(path, bytes.Repeat([]byte("no archive "), 100), 0o600)).To(Succeed())
		s.only(dependencies.Chart{Chart: path, Version: "1.0.0"})
		expect(s.problem(ctx), v1alpha1.DependencyBlocked, v1alpha1.ReasonChartInvalid, path, "gzip")
	})

	It("is told from an API server that does not answer", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0").with(files{
			"templates/broken.yaml": `{{ lookup "v1" "Secret" "kube-system" "" | len | toString | print "# " }}`,
		}), "demo", "1.0.0"))
		for _, status := range []int{http.StatusServiceUnavailable, http.StatusForbidden, unreachable} {
			s.refuse("/namespaces/kube-system/secrets", status)
			_, err := s.installer.Ensure(ctx, s.operator)
			Expect(err).To(HaveOccurred())
			Expect(err).NotTo(BeAssignableToTypeOf(&dependencies.Problem{}), "%v", err)
		}
		s.refuse("nowhere", 0)
		Expect(s.ensure(ctx)).To(BeTrue())
	})
})

var _ = Describe("objects that the API server refuses", func() {
	const refused = `
apiVersion: v1
kind: Service
metadata: {name: refused}
spec: {ports: [{port: 99999999}]}
`
	It("leave nothing of a first install, and the next succeeds", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0").with(files{"templates/refused.yaml": refused}), "demo", "1.0.0"))
		problem := s.problem(ctx)
		expect(problem, v1alpha1.DependencyFailed, v1alpha1.ReasonInstallFailed, "installing Helm release "+s.operator.Namespace+"/demo",
			`Service "refused" is invalid`, "99999999", "nothing of it is left")
		Expect(s.problem(ctx)).To(Equal(problem))
		Expect(s.history("demo")).To(BeEmpty())
		Expect(s.setting(ctx, "demo", "greeting")).To(Equal("absent"))
		Expect(s.get(ctx, "apps/v1", "Deployment", "demo")).To(BeNil())
		Expect(s.definition(ctx, "widgets")).NotTo(BeNil())
		Expect(s.definition(ctx, "gadgets")).NotTo(BeNil())
		Expect(s.installed(ctx).Any).To(BeFalse())

		from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0")
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.statuses("demo")).To(Equal([]common.Status{common.StatusDeployed}))
	})

	It("leave the version before of an upgrade, and the next succeeds", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		uid := s.get(ctx, "apps/v1", "Deployment", "demo").GetUID()
		s.only(from.put(s.demo("demo", "2.0.0").with(files{
			"templates/refused.yaml": refused,
			"templates/account.yaml": `{apiVersion: v1, kind: ServiceAccount, metadata: {name: new}}`,
		}), "demo", "2.0.0"))
		problem := s.problem(ctx)
		expect(problem, v1alpha1.DependencyFailed, v1alpha1.ReasonInstallFailed, "upgrading Helm release", `Service "refused" is invalid`,
			"version 1.0.0 is restored")
		for range 3 { // the history is bounded, and the version that runs is never lost from it
			Expect(s.problem(ctx)).To(Equal(problem))
		}
		Expect(len(s.history("demo"))).To(BeNumerically("<=", 3))
		Expect(s.setting(ctx, "demo", "version")).To(Equal("1.0.0"))
		Expect(s.get(ctx, "v1", "ServiceAccount", "new")).To(BeNil(), "what only the new version has")
		Expect(s.get(ctx, "apps/v1", "Deployment", "demo").GetUID()).To(Equal(uid))

		installed := s.installed(ctx)
		Expect(installed.Current).To(BeFalse())
		Expect(installed.Version).To(Equal("9.1.0.0"))
		Expect(installed.Releases[0].Failure).To(ContainSubstring(`Service "refused" is invalid`))

		By("asking for the version before again")
		mended := s.operator.Charts[0]
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.wrote()
		Expect(s.ensure(ctx)).To(BeFalse())
		Expect(s.wrote()).To(BeEmpty())
		Expect(s.installed(ctx).Releases[0].Failure).To(BeEmpty())

		By("mending the new one")
		from.put(s.demo("demo", "2.0.0"), "demo", "2.0.0")
		s.only(mended)
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.setting(ctx, "demo", "version")).To(Equal("2.0.0"))
		Expect(s.get(ctx, "apps/v1", "Deployment", "demo").GetUID()).To(Equal(uid))
	})

	It("include kinds that are not served, and fields that do not exist", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0").with(files{
			"templates/other.yaml": `{apiVersion: elsewhere.example.com/v1, kind: Nothing, metadata: {name: x}}`,
		}), "demo", "1.0.0"))
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonInstallFailed, `no matches for kind "Nothing"`)
		Expect(s.history("demo")).To(BeEmpty())
		from.put(s.demo("demo", "1.0.0").with(files{
			"templates/other.yaml": `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, spelt: wrong}`,
		}), "demo", "1.0.0")
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonInstallFailed, "spelt")
		Expect(s.history("demo")).To(BeEmpty())
	})

	It("include changes of what cannot change, and say what to do", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		chart := s.demo("demo", "2.0.0")
		chart["templates/deployment.yaml"] = strings.ReplaceAll(chart["templates/deployment.yaml"], "{app:", "{application:")
		s.only(from.put(chart, "demo", "2.0.0"))
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonInstallFailed, "field is immutable", "delete the object", "version 1.0.0 is restored")
		Expect(admin.Delete(ctx, s.get(ctx, "apps/v1", "Deployment", "demo"))).To(Succeed())
		Expect(s.ensure(ctx)).To(BeTrue())
	})

	It("include a CustomResourceDefinition", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0").with(files{
			"templates/crds/gadgets.yaml": strings.ReplaceAll(s.crd("Gadget", "1.0.0"), "type: integer", "type: nonsense"),
		}), "demo", "1.0.0"))
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonInstallFailed,
			"CustomResourceDefinition gadgets."+s.group(), "nonsense")
		from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0")
		Expect(s.ensure(ctx)).To(BeTrue())
	})
})

const hookJob = `
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {helm.sh/hook: %q, helm.sh/hook-delete-policy: %q}
spec:
  backoffLimit: 0
  activeDeadlineSeconds: %d
  template:
    metadata: {labels: {hook: "{{ .Release.Namespace }}"}}
    spec: {restartPolicy: Never, containers: [{name: migrate, image: "example.com/migrate:1"}]}
`

var _ = Describe("hooks", func() {
	hook := func(events, policy string, deadline int) files {
		return files{"templates/hook.yaml": fmt.Sprintf(hookJob, events, policy, deadline)}
	}
	failPods := func(ctx context.Context, s *site, failure cluster.PodFailure) (mend func()) {
		undo, err := shared.FailPods(ctx, s.operator.Namespace, map[string]string{"hook": s.operator.Namespace}, failure)
		Expect(err).NotTo(HaveOccurred())
		return func() { Expect(undo(ctx)).To(Succeed()) }
	}

	It("run, and are removed with the release", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0").with(hook("post-install,pre-upgrade,pre-delete", "before-hook-creation", 60)), "demo", "1.0.0"))
		s.ensure(ctx)
		job := s.get(ctx, "batch/v1", "Job", "migrate")
		Expect(job.GetLabels()).To(HaveKeyWithValue(dependencies.Label, s.operator.ID()))
		s.operator.Charts[0].Values = map[string]any{"greeting": "hi"}
		s.ensure(ctx)
		Expect(s.get(ctx, "batch/v1", "Job", "migrate").GetUID()).NotTo(Equal(job.GetUID()), "it ran again")
		s.remove(ctx)
		Expect(s.get(ctx, "batch/v1", "Job", "migrate")).To(BeNil())
	})

	DescribeTable("that fail leave nothing of a first install, and the next succeeds",
		func(ctx context.Context, event, policy string, deadline int, failure cluster.PodFailure, says ...string) {
			s, from := newSite(), newFolder()
			s.restart(helm.Options{Timeout: 4 * time.Second})
			s.only(from.put(s.demo("demo", "1.0.0").with(hook(event, policy, deadline)), "demo", "1.0.0"))
			mend := failPods(ctx, s, failure)
			expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonHookFailed,
				append(says, "hook "+event+" Job "+s.operator.Namespace+"/migrate failed: ", "nothing of it is left")...)
			Expect(s.history("demo")).To(BeEmpty())
			Expect(s.get(ctx, "batch/v1", "Job", "migrate")).To(BeNil())
			Expect(s.get(ctx, "apps/v1", "Deployment", "demo")).To(BeNil())
			mend()
			from.put(s.demo("demo", "1.0.0").with(hook(event, policy, 600)), "demo", "1.0.0")
			Expect(s.ensure(ctx)).To(BeTrue())
		},
		Entry("before it, because the Job gives up", "pre-install", "before-hook-creation", 1, cluster.CrashLoopBackOff,
			"DeadlineExceeded"),
		Entry("after it, and the chart has the Job deleted", "post-install", "hook-failed", 1, cluster.CrashLoopBackOff,
			"DeadlineExceeded"),
		Entry("because the image cannot be pulled", "pre-install", "before-hook-creation", 600, cluster.ImagePullBackOff,
			"it has not ended after 4s", "container migrate does not start, ImagePullBackOff"),
		Entry("because it crashes", "pre-install", "before-hook-creation", 600, cluster.CrashLoopBackOff,
			"container migrate ended with exit code 1"),
	)

	It("that fail after an upgrade restore the version before", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0"), "demo", "1.0.0"))
		s.ensure(ctx)
		s.only(from.put(s.demo("demo", "2.0.0").with(hook("post-upgrade", "before-hook-creation", 1)), "demo", "2.0.0"))
		mend := failPods(ctx, s, cluster.CrashLoopBackOff)
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonHookFailed, "DeadlineExceeded", "version 1.0.0 is restored")
		Expect(s.setting(ctx, "demo", "version")).To(Equal("1.0.0"))
		mend()
		from.put(s.demo("demo", "2.0.0").with(hook("post-upgrade", "before-hook-creation", 600)), "demo", "2.0.0")
		Expect(s.ensure(ctx)).To(BeTrue())
		Expect(s.setting(ctx, "demo", "version")).To(Equal("2.0.0"))
	})

	It("that the API server refuses are named", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.only(from.put(s.demo("demo", "1.0.0").with(files{"templates/hook.yaml": `
apiVersion: v1
kind: Service
metadata: {name: refused, annotations: {helm.sh/hook: pre-install}}
spec: {ports: [{port: 99999999}]}
`}), "demo", "1.0.0"))
		expect(s.problem(ctx), v1alpha1.DependencyFailed, v1alpha1.ReasonHookFailed,
			"hook pre-install Service "+s.operator.Namespace+"/refused failed", "99999999", "nothing of it is left")
		Expect(s.history("demo")).To(BeEmpty())
	})

	It("that fail before a removal leave the release, which can be removed when they succeed", func(ctx context.Context) {
		s, from := newSite(), newFolder()
		s.restart(helm.Options{Timeout: 3 * time.Second})
		s.only(from.put(s.demo("demo", "1.0.0").with(hook("pre-delete", "before-hook-creation", 600)), "demo", "1.0.0"))
		s.ensure(ctx)
		mend := failPods(ctx, s, cluster.CrashLoopBackOff)
		expect(asProblem(s.installer.Remove(ctx, s.operator)), v1alpha1.DependencyFailed, v1alpha1.ReasonRemoveFailed,
			"removing Helm release "+s.operator.Namespace+"/demo", "hook pre-delete", "exit code 1")
		Expect(s.get(ctx, "apps/v1", "Deployment", "demo")).NotTo(BeNil())
		Expect(s.installed(ctx).Any).To(BeTrue())
		mend()
		s.remove(ctx)
		Expect(s.history("demo")).To(BeEmpty())
		Expect(s.get(ctx, "apps/v1", "Deployment", "demo")).To(BeNil())
		Expect(s.get(ctx, "batch/v1", "Job", "migrate")).To(BeNil())
	})
})
