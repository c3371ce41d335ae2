package helm_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
)

// sources are all the places that charts come from.
var sources = map[string]func(*testing.T) source{
	"folder":          func(t *testing.T) source { t.Helper(); return newFolder(t) },
	"archive":         func(t *testing.T) source { t.Helper(); return newArchives(t) },
	"HTTP repository": func(t *testing.T) source { t.Helper(); return newRepository(t) },
	"OCI registry":    func(t *testing.T) source { t.Helper(); return newRegistry(t) },
}

func rendered(t *testing.T, client *helm.Client, chart dependencies.Chart) (helm.Rendered, error) {
	t.Helper()
	chart.Release = "demo"
	return client.Render(t.Context(), chart, "demo-system", common.DefaultCapabilities)
}

func mustRender(t *testing.T, chart dependencies.Chart) helm.Rendered {
	t.Helper()
	result, err := rendered(t, &helm.Client{}, chart)
	must(t, err)
	return result
}

// refused checks why a chart is not rendered.
func refused(t *testing.T, client *helm.Client, chart dependencies.Chart, terminal bool, reason string, says ...string) string {
	t.Helper()
	_, err := rendered(t, client, chart)
	var failure *components.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("%v has no reason", err)
	}
	if failure.Reason != reason || failure.Terminal != terminal {
		t.Errorf("%s, terminal %v: %v; want %s, %v", failure.Reason, failure.Terminal, err, reason, terminal)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q has several lines", err)
	}
	return err.Error()
}

func names(objects []*unstructured.Unstructured) []string {
	var all []string
	for _, object := range objects {
		all = append(all, object.GetKind()+" "+object.GetName())
	}
	return all
}

func TestRenderFromEverywhere(t *testing.T) {
	for name, newSource := range sources {
		t.Run(name, func(t *testing.T) {
			from := newSource(t)
			chart := from.put(t, demo("demo", "1.2.0+build.7"), "demo", "1.2.0+build.7")
			chart.Values = map[string]any{"greeting": "good day"}
			got := mustRender(t, chart)
			if got.Version != "1.2.0+build.7" || got.AppVersion != "9.1.2.0+build.7" {
				t.Errorf("version %s of %s", got.Version, got.AppVersion)
			}
			want := []string{"ConfigMap demo-settings", "Deployment demo", "Widget from-chart", "Gadget from-chart"}
			if diff := cmp.Diff(want, names(got.Objects)); diff != "" {
				t.Errorf("objects in Helm's order (-want +got):\n%s", diff)
			}
			if len(got.CRDs) != 2 {
				t.Errorf("%d definitions", len(got.CRDs))
			}
			if greeting, _, _ := unstructured.NestedString(got.Objects[0].Object, "data", "greeting"); greeting != "good day" {
				t.Errorf("greeting = %q", greeting)
			}
		})
	}
}

func TestRenderCleans(t *testing.T) {
	chart := newFolder(t).put(t, files{
		"Chart.yaml":            "{apiVersion: v2, name: demo, version: 1.0.0}",
		"templates/NOTES.txt":   "thank you",
		"templates/secret.yaml": `{apiVersion: v1, kind: Secret, metadata: {name: a, annotations: null}, data: {b: Yg==}, stringData: {a: x}}`,
		"templates/thing.yaml":  "apiVersion: a.b/v1\nkind: Thing\nmetadata: {name: big}\nsize: 9007199254740993\nstatus: {}\nlist: [{a: null}]\n",
		"templates/api.yaml":    `{{ if .Capabilities.APIVersions.Has "demo.example.com/v1/Widget" }}{apiVersion: v1, kind: ConfigMap, metadata: {name: knows}}{{ end }}`,
		"crds/widgets.yaml":     crd("Widget", "1.0.0"),
	}, "demo", "1.0.0")
	got := mustRender(t, chart)
	want := []map[string]any{
		{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "a"}, "data": map[string]any{"a": "eA==", "b": "Yg=="}},
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "knows"}},
		{"apiVersion": "a.b/v1", "kind": "Thing", "metadata": map[string]any{"name": "big"}, "size": int64(9007199254740993), "list": []any{map[string]any{}}},
	}
	var objects []map[string]any
	for _, object := range got.Objects {
		objects = append(objects, object.Object)
	}
	if diff := cmp.Diff(want, objects); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHooks(t *testing.T) {
	hook := func(kind, events string) files {
		return files{"templates/hook.yaml": fmt.Sprintf("{apiVersion: v1, kind: %s, metadata: {name: hook, annotations: {helm.sh/hook: %q}}}", kind, events)}
	}
	for name, test := range map[string]struct {
		hook    files
		want    bool // among the objects
		wantErr string
	}{
		"a Job that runs on install":                {hook("Job", "pre-install,pre-upgrade"), false, "it has a hook, Job hook of demo/templates/hook.yaml"},
		"a Pod that runs on upgrade":                {hook("Pod", "post-upgrade"), false, "it has a hook, Pod hook"},
		"what only has to come early":               {hook("ServiceAccount", "pre-install"), true, ""},
		"a Job that runs on removal, as NVIDIA's":   {hook("Job", "pre-delete"), false, ""},
		"a Pod that tests":                          {hook("Pod", "test"), false, ""},
		"a ServiceAccount of a removal's own Job's": {hook("ServiceAccount", "post-delete,pre-rollback"), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			chart := newFolder(t).put(t, demo("demo", "1.0.0").with(test.hook), "demo", "1.0.0")
			if test.wantErr != "" {
				refused(t, &helm.Client{}, chart, true, v1alpha1.ReasonChartInvalid, test.wantErr, "hooks are not run", "turn it off")
				return
			}
			if got := strings.Contains(strings.Join(names(mustRender(t, chart).Objects), "\n"), " hook"); got != test.want {
				t.Errorf("rendered = %v, want %v", got, test.want)
			}
		})
	}
}

func TestSubchartsThatAreEnabled(t *testing.T) {
	sub := func(name string) files {
		return files{
			"charts/" + name + "/Chart.yaml":           fmt.Sprintf("{apiVersion: v2, name: %s, version: 1.0.0}", name),
			"charts/" + name + "/crds/thing.yaml":      strings.ReplaceAll(crd("Thing", "1.0.0"), "thing", name+"thing"),
			"charts/" + name + "/templates/thing.yaml": fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}}", name),
		}
	}
	chart := newFolder(t).put(t, demo("demo", "1.0.0").with(sub("first")).with(sub("second")).with(files{
		"Chart.yaml": "{apiVersion: v2, name: demo, version: 1.0.0, dependencies: [{name: first, version: 1.0.0}, {name: second, version: 1.0.0, condition: second.enabled}]}",
	}), "demo", "1.0.0")
	chart.Values = map[string]any{"second": map[string]any{"enabled": false}}
	got := mustRender(t, chart)
	if text := strings.Join(names(got.Objects), "\n"); !strings.Contains(text, "ConfigMap first") || strings.Contains(text, "ConfigMap second") {
		t.Errorf("objects: %s", text)
	}
	if len(got.CRDs) != 3 {
		t.Errorf("definitions: %v", names(got.CRDs))
	}
}

func TestBrokenCharts(t *testing.T) {
	for name, test := range map[string]struct {
		broken files
		values map[string]any
		says   []string
	}{
		"a template": {files{"templates/broken.yaml": "a: {{ .Values.nothing.here }}"}, nil,
			[]string{"templates/broken.yaml", "nil pointer evaluating", "chart /", "demo 1.0.0 cannot be used"}},
		"the language of a template": {files{"templates/broken.yaml": "a: {{ .Values.nothing"}, nil, []string{"templates/broken.yaml:1", "unclosed action"}},
		"a value that it requires":   {files{"templates/broken.yaml": `a: {{ required "say which host" .Values.host }}`}, nil, []string{"say which host"}},
		"the YAML of a template":     {files{"templates/broken.yaml": "kind: ConfigMap\n  apiVersion: v1"}, nil, []string{"templates/broken.yaml"}},
		"an object without a kind":   {files{"templates/broken.yaml": "apiVersion: v1\nmetadata: {name: x}"}, nil, []string{"templates/broken.yaml", "no kind"}},
		"an item of a List":          {files{"templates/broken.yaml": "{apiVersion: v1, kind: List, items: [7]}"}, nil, []string{"templates/broken.yaml", "is not an object"}},
		"values":                     {nil, map[string]any{"greeting": 7}, []string{"/greeting", "got number, want string"}},
		"versions of Kubernetes":     {files{"Chart.yaml": "{apiVersion: v2, name: demo, version: 1.0.0, kubeVersion: '>=99'}"}, nil, []string{"it requires Kubernetes >=99"}},
		"a missing subchart": {files{
			"Chart.yaml": "{apiVersion: v2, name: demo, version: 1.0.0, dependencies: [{name: sub, version: 1.0.0, repository: 'https://example.com'}]}",
		}, nil, []string{"missing in charts/ directory: sub"}},
		"a library":       {files{"Chart.yaml": "{apiVersion: v2, name: demo, version: 1.0.0, type: library}"}, nil, []string{"library"}},
		"its values":      {files{"values.yaml": "greeting: [hello"}, nil, []string{"values.yaml"}},
		"its crds folder": {files{"crds/other.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}"}, nil, []string{"crds/other.yaml holds a ConfigMap"}},
	} {
		t.Run(name, func(t *testing.T) {
			chart := newFolder(t).put(t, demo("demo", "1.0.0").with(test.broken), "demo", "1.0.0")
			chart.Values = test.values
			refused(t, &helm.Client{}, chart, true, v1alpha1.ReasonChartInvalid, test.says...)
		})
	}
	path := filepath.Join(t.TempDir(), "demo-1.0.0.tgz")
	must(t, os.WriteFile(path, bytes.Repeat([]byte("no archive "), 100), 0o600))
	refused(t, &helm.Client{}, dependencies.Chart{Chart: path, Version: "1.0.0"}, true, v1alpha1.ReasonChartInvalid, path, "gzip")
}

// TestImagesOfCharts: a table of images counts for what is rendered, and a changed one renders again; without one, what earlier versions
// rendered counts on.
func TestImagesOfCharts(t *testing.T) {
	chart := newFolder(t).put(t, demo("demo", "1.0.0"), "demo", "1.0.0")
	plain := &helm.Client{}
	requests := map[string]bool{}
	for mirror, want := range map[string]string{"": "example.com/main", "mirror.example.org": "mirror.example.org/main", "mirror.example.org/a": "mirror.example.org/a/main"} {
		client := &helm.Client{}
		if mirror != "" {
			client.Images = images.Table{Registries: map[string]string{"example.com": mirror}}
		}
		result, err := rendered(t, client, chart)
		must(t, err)
		found := ""
		for _, object := range result.Objects {
			if containers, ok, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers"); ok {
				found, _, _ = unstructured.NestedString(containers[0].(map[string]any), "image")
			}
		}
		if !strings.HasPrefix(found, want+":") {
			t.Errorf("from %q comes %s, want %s", mirror, found, want)
		}
		request, err := client.Request(chart)
		must(t, err)
		requests[request] = true
		if same, err := plain.Request(chart); err != nil || (same == request) != (mirror == "") {
			t.Errorf("from %q: request %s, and %s without a table, %v", mirror, request, same, err)
		}
	}
	if len(requests) != 3 {
		t.Errorf("three tables make %d requests", len(requests))
	}
}

func TestDigestsOfCharts(t *testing.T) {
	for name, newSource := range sources {
		t.Run(name, func(t *testing.T) {
			chart := newSource(t).put(t, demo("demo", "1.0.0"), "demo", "1.0.0")
			chart.Digest = "sha256:" + strings.Repeat("ab", 32)
			if name == "folder" {
				refused(t, &helm.Client{}, chart, true, v1alpha1.ReasonDigestMismatch, "folder")
				return
			}
			message := refused(t, &helm.Client{}, chart, true, v1alpha1.ReasonDigestMismatch, chart.Digest, "the installer's configuration", "demo")
			_, said, _ := strings.Cut(message, "its digest is ")
			said, _, _ = strings.Cut(said, ",")
			before := chart
			before.Digest = said
			mustRender(t, before)
			after := chart
			after.Digest = strings.ToUpper(strings.TrimPrefix(said, "sha256:"))
			a, errA := (&helm.Client{}).Request(before)
			b, errB := (&helm.Client{}).Request(after)
			if a != b || errA != nil || errB != nil {
				t.Errorf("the same digest in another form is another request")
			}
		})
	}
	from := newRepository(t)
	chart := from.put(t, demo("demo", "1.0.0"), "demo", "1.0.0")
	from.archives["archives/demo-1.0.0.tgz"] = demo("demo", "1.0.0").with(files{"values.yaml": "greeting: forged\n"}).archive(t)
	refused(t, &helm.Client{}, chart, true, v1alpha1.ReasonDigestMismatch, "the repository's index",
		digest(from.archives["archives/demo-1.0.0.tgz"]), from.index.Entries["demo"][0].Digest)
}

func TestVersionsOfCharts(t *testing.T) {
	for name, newSource := range sources {
		t.Run(name, func(t *testing.T) {
			from := newSource(t)
			chart := from.put(t, demo("demo", "1.0.0"), "demo", "1.0.0")
			chart.Version = "1.0.1"
			chart.Chart = strings.ReplaceAll(chart.Chart, "demo-1.0.0.tgz", "demo-1.0.1.tgz")
			if name != "folder" {
				refused(t, &helm.Client{}, chart, false, v1alpha1.ReasonChartNotFound, "1.0.1")
			}
			refused(t, &helm.Client{}, from.put(t, demo("demo", "1.0.0"), "demo", "1.0.1"), true, v1alpha1.ReasonChartInvalid, "is of version 1.0.0, not 1.0.1")
		})
	}
}

func TestRepositoriesThatDoNotAnswer(t *testing.T) {
	hosts := map[string]func() (source, *server){
		"HTTP repository": func() (source, *server) { r := newRepository(t); return r, r.server },
		"OCI registry":    func() (source, *server) { r := newRegistry(t); return r, r.server },
	}
	for name, newHost := range hosts {
		from, host := newHost()
		chart := from.put(t, demo("demo", "1.0.0"), "demo", "1.0.0")
		for status, says := range map[int]string{
			http.StatusServiceUnavailable: "503 Service Unavailable", http.StatusUnauthorized: "credentials", http.StatusTooManyRequests: "429 Too Many Requests",
		} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
				host.broken.Store(&handler)
				refused(t, &helm.Client{}, chart, false, v1alpha1.ReasonRegistryUnavailable, host.host(), "demo 1.0.0", says)
				host.broken.Store(nil)
				mustRender(t, chart)
			})
		}
	}
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	for reference, says := range map[string]string{
		"http://127.0.0.1:1/stable/demo":                                   "connection refused",
		"oci://127.0.0.1:1/charts/demo":                                    "connection refused",
		untrusted.URL + "/stable/demo":                                     "certificate signed by unknown authority",
		"oci://" + strings.TrimPrefix(untrusted.URL, "https://") + "/demo": "certificate signed by unknown authority",
	} {
		refused(t, &helm.Client{}, dependencies.Chart{Chart: reference, Version: "1.0.0"}, false, v1alpha1.ReasonRegistryUnavailable, says)
	}
	from := newRepository(t)
	from.archives["web/index.yaml"] = []byte("<html>not: a: repository</html>")
	for path, says := range map[string]string{
		"/elsewhere/demo": "/elsewhere/index.yaml", "/stable/web/demo": "is not the index of a chart repository", "/stable/demo": "has no chart demo",
	} {
		refused(t, &helm.Client{}, dependencies.Chart{Chart: from.URL + path, Version: "1.0.0"}, false, v1alpha1.ReasonChartNotFound, from.URL, says)
	}
}

// TestAuthoritiesOfRepositories: a repository behind a private authority is read once that is in the file, which is read each time.
func TestAuthoritiesOfRepositories(t *testing.T) {
	hosts := map[string]func() (source, *server){
		"HTTP repository": func() (source, *server) { r := newRepository(t); return r, r.server },
		"OCI registry":    func() (source, *server) { r := newRegistry(t); return r, r.server },
	}
	for name, newHost := range hosts {
		t.Run(name, func(t *testing.T) {
			from, host := newHost()
			chart := from.put(t, demo("demo", "1.0.0"), "demo", "1.0.0")
			behind, err := url.Parse(host.URL)
			must(t, err)
			front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(behind))
			front.Config.ErrorLog = log.New(io.Discard, "", 0)
			front.StartTLS()
			defer front.Close()
			chart.Chart = strings.Replace(strings.Replace(chart.Chart, "http://", "https://", 1), host.host(), strings.TrimPrefix(front.URL, "https://"), 1)
			chart.PlainHTTP = false
			refused(t, &helm.Client{}, chart, false, v1alpha1.ReasonRegistryUnavailable, "unknown authority")

			file := filepath.Join(t.TempDir(), "ca.crt")
			client := &helm.Client{CAFile: file}
			says := func(text string) {
				t.Helper()
				if _, err := rendered(t, client, chart); err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("%v, want %q", err, text)
				}
			}
			says("no such file")
			must(t, os.WriteFile(file, []byte("nothing"), 0o600))
			says("no certificate in PEM")
			must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600))
			_, err = rendered(t, client, chart)
			must(t, err)
		})
	}
}

func TestCredentialsAreReadAgainAndNotTold(t *testing.T) {
	from := newRepository(t)
	chart := from.put(t, demo("demo", "1.0.0"), "demo", "1.0.0")
	front := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "installer" || password != "right" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		from.Config.Handler.ServeHTTP(w, r)
	}))
	chart.Chart = front.URL + "/stable/demo"
	file := filepath.Join(t.TempDir(), "config.json")
	login := func(password string) {
		must(t, os.WriteFile(file, fmt.Appendf(nil, `{"auths": {%q: {"username": "installer", "password": %q}}}`, front.host(), password), 0o600))
	}
	client := &helm.Client{RegistryConfig: file}
	login("wrong")
	refused(t, client, chart, false, v1alpha1.ReasonRegistryUnavailable, front.host(), "401 Unauthorized", "credentials")
	hidden := chart
	hidden.Chart = strings.Replace(front.URL, "://", "://me:hidden@", 1) + "/stable/demo"
	if message := refused(t, client, hidden, false, v1alpha1.ReasonRegistryUnavailable, "401"); strings.Contains(message, "hidden") {
		t.Error("the message shows the password")
	}
	login("right")
	_, err := rendered(t, client, chart)
	must(t, err)
}

func TestRequestOfALocalChartHasItsContent(t *testing.T) {
	for _, name := range []string{"folder", "archive"} {
		from := sources[name](t)
		request := func(content files) string {
			request, err := (&helm.Client{}).Request(from.put(t, content, "demo", "1.0.0"))
			must(t, err)
			return request
		}
		first := request(demo("demo", "1.0.0"))
		if again := request(demo("demo", "1.0.0")); again != first {
			t.Errorf("%s: packed again with the same content, it is another request", name)
		}
		if changed := request(demo("demo", "1.0.0").with(files{"values.yaml": "{greeting: bye, replicas: 1}\n"})); changed == first {
			t.Errorf("%s: its content changed, and it is the same request", name)
		}
	}
}
