package helm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory" // the driver of the registry
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/registry"
	"helm.sh/helm/v4/pkg/repo/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/dependencies"
)

// files of a chart, by their paths.
type files map[string]string

func (f files) with(more files) files {
	result := maps.Clone(f)
	maps.Copy(result, more)
	return result
}

// demo is a chart with everything: a ConfigMap, a Deployment, a kind from its crds folder and one from its templates, and an
// object of each kind.
func (s *site) demo(name, version string) files {
	return files{
		"Chart.yaml":         fmt.Sprintf("{apiVersion: v2, name: %s, version: %s, appVersion: %s}\n", name, version, "9."+strings.TrimPrefix(version, "v")),
		"values.yaml":        "{greeting: hello, replicas: 1}\n",
		"values.schema.json": `{"properties": {"greeting": {"type": "string"}}}`,
		"templates/settings.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-settings"}
data: {greeting: {{ .Values.greeting | quote }}, version: {{ .Chart.Version | quote }}}
`,
		"templates/deployment.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}", labels: {version: "1.0"}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: "{{ .Release.Name }}"}}
  template:
    metadata: {labels: {app: "{{ .Release.Name }}"}}
    spec: {containers: [{name: main, image: "example.com/main:{{ .Chart.AppVersion }}"}]}
`,
		"crds/widgets.yaml":           s.crd("Widget", version),
		"templates/crds/gadgets.yaml": s.crd("Gadget", version),
		"templates/things.yaml": fmt.Sprintf(`
apiVersion: v1
kind: List
items:
- {apiVersion: %[1]s/v1, kind: Widget, metadata: {name: from-chart}, spec: {size: 1}}
- {apiVersion: %[1]s/v1, kind: Gadget, metadata: {name: from-chart}, spec: {size: 1}}
`, s.group()),
	}
}

// crd says in its annotations which version of the chart it is of.
func (s *site) crd(kind, version string) string {
	lower := strings.ToLower(kind)
	return fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: %[2]ss.%[3]s
  creationTimestamp: null
  annotations: {version: %[4]q}
spec:
  group: %[3]s
  names: {kind: %[1]s, plural: %[2]ss, singular: %[2]s, listKind: %[1]sList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {size: {type: integer}}}}
`, kind, lower, s.group(), version)
}

// folder writes a chart to a folder of its name.
func (f files) folder(parent string) string {
	GinkgoHelper()
	var meta struct{ Name string }
	Expect(yaml.Unmarshal([]byte(f["Chart.yaml"]), &meta)).To(Succeed())
	folder := filepath.Join(parent, meta.Name)
	Expect(os.RemoveAll(folder)).To(Succeed())
	for path, content := range f {
		path = filepath.Join(folder, filepath.FromSlash(path))
		Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
	}
	return folder
}

// archive packs a chart as `helm package` does.
func (f files) archive() []byte {
	GinkgoHelper()
	var buffered []*archive.BufferedFile
	for path, content := range f {
		buffered = append(buffered, &archive.BufferedFile{Name: path, Data: []byte(content)})
	}
	chart, err := loader.LoadFiles(buffered)
	Expect(err).NotTo(HaveOccurred())
	path, err := chartutil.Save(chart, GinkgoT().TempDir())
	Expect(err).NotTo(HaveOccurred())
	content, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	return content
}

func digest(archive []byte) string {
	sum := sha256.Sum256(archive)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// source is a place that charts come from.
type source interface {
	// put a chart there, and say how to ask for it.
	put(chart files, name, version string) dependencies.Chart
	// requests that the place was sent since it was asked last.
	requests() int
}

// server counts what it is asked.
type server struct {
	*httptest.Server
	asked atomic.Int32
	// broken answers instead of the server.
	broken atomic.Pointer[http.HandlerFunc]
}

func serve(handler http.Handler) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if broken := s.broken.Load(); broken != nil {
			(*broken)(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	DeferCleanup(s.Close)
	return s
}

func (s *server) requests() int { return int(s.asked.Swap(0)) }

func (s *server) host() string { return strings.TrimPrefix(s.URL, "http://") }

// repository is a chart repository as `helm repo index` makes it.
type repository struct {
	*server
	index    *repo.IndexFile
	archives map[string][]byte
}

func newRepository() *repository {
	r := &repository{index: repo.NewIndexFile(), archives: map[string][]byte{}}
	r.server = serve(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		path := strings.TrimPrefix(request.URL.Path, "/stable/")
		content, ok := r.archives[path]
		if path == "index.yaml" {
			var err error
			content, err = yaml.Marshal(r.index)
			ok = err == nil
		}
		if !ok {
			http.NotFound(w, request)
			return
		}
		_, _ = w.Write(content)
	}))
	return r
}

func (r *repository) put(chart files, name, version string) dependencies.Chart {
	GinkgoHelper()
	content := chart.archive()
	loaded, err := loader.LoadArchive(bytes.NewReader(content))
	Expect(err).NotTo(HaveOccurred())
	file := "archives/" + name + "-" + version + ".tgz"
	r.archives[file] = content
	loaded.Metadata.Version = version
	Expect(r.index.MustAdd(loaded.Metadata, file, "", strings.TrimPrefix(digest(content), "sha256:"))).To(Succeed())
	return dependencies.Chart{Chart: r.URL + "/stable/" + name, Version: version}
}

// ociRegistry is a registry that keeps everything in memory.
type ociRegistry struct{ *server }

func newRegistry() *ociRegistry {
	GinkgoHelper()
	config := &configuration.Configuration{Storage: configuration.Storage{"inmemory": configuration.Parameters{}}}
	config.Log.Level = "error"
	config.Log.AccessLog.Disabled = true
	config.HTTP.Secret = "not a secret"
	config.Validation.Disabled = true
	return &ociRegistry{serve(handlers.NewApp(GinkgoT().Context(), config))}
}

func (r *ociRegistry) put(chart files, name, version string) dependencies.Chart {
	GinkgoHelper()
	pusher, err := registry.NewClient(registry.ClientOptPlainHTTP(), registry.ClientOptWriter(io.Discard),
		registry.ClientOptCredentialsFile(filepath.Join(GinkgoT().TempDir(), "config.json")))
	Expect(err).NotTo(HaveOccurred())
	_, err = pusher.Push(chart.archive(), r.host()+"/charts/"+name+":"+version, registry.PushOptStrictMode(false))
	Expect(err).NotTo(HaveOccurred())
	r.requests()
	return dependencies.Chart{Chart: "oci://" + r.host() + "/charts/" + name, Version: version, PlainHTTP: true}
}

// folderSource has charts as folders on disk.
type folderSource struct{ parent string }

func newFolder() *folderSource { return &folderSource{GinkgoT().TempDir()} }

func (f *folderSource) put(chart files, _, version string) dependencies.Chart {
	GinkgoHelper()
	return dependencies.Chart{Chart: chart.folder(f.parent), Version: version}
}

func (f *folderSource) requests() int { return 0 }

// archiveSource has charts as archives on disk.
type archiveSource struct{ parent string }

func newArchives() *archiveSource { return &archiveSource{GinkgoT().TempDir()} }

func (a *archiveSource) put(chart files, name, version string) dependencies.Chart {
	GinkgoHelper()
	path := filepath.Join(a.parent, name+"-"+version+".tgz")
	Expect(os.WriteFile(path, chart.archive(), 0o600)).To(Succeed())
	return dependencies.Chart{Chart: path, Version: version}
}

func (a *archiveSource) requests() int { return 0 }
