package helm_test

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
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory" // the driver of the registry
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
func demo(name, version string) files {
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
		"crds/widgets.yaml":           crd("Widget", version),
		"templates/crds/gadgets.yaml": crd("Gadget", version),
		"templates/things.yaml": fmt.Sprintf(`
apiVersion: v1
kind: List
items:
- {apiVersion: %[1]s/v1, kind: Widget, metadata: {name: from-chart}, spec: {size: 1}}
- {apiVersion: %[1]s/v1, kind: Gadget, metadata: {name: from-chart}, spec: {size: 1}}
`, group),
	}
}

// crd says in its annotations which version of the chart it is of.
func crd(kind, version string) string {
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
`, kind, lower, group, version)
}

// folder writes a chart to a folder of its name.
func (f files) folder(t *testing.T, parent string) string {
	t.Helper()
	var meta struct{ Name string }
	must(t, yaml.Unmarshal([]byte(f["Chart.yaml"]), &meta))
	folder := filepath.Join(parent, meta.Name)
	must(t, os.RemoveAll(folder))
	for path, content := range f {
		path = filepath.Join(folder, filepath.FromSlash(path))
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return folder
}

// archive packs a chart as `helm package` does.
func (f files) archive(t *testing.T) []byte {
	t.Helper()
	var buffered []*archive.BufferedFile
	for path, content := range f {
		buffered = append(buffered, &archive.BufferedFile{Name: path, Data: []byte(content)})
	}
	chart, err := loader.LoadFiles(buffered)
	must(t, err)
	path, err := chartutil.Save(chart, t.TempDir())
	must(t, err)
	content, err := os.ReadFile(path)
	must(t, err)
	return content
}

// group of the kinds that the demo chart defines.
const group = "demo.example.com"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func digest(archive []byte) string {
	sum := sha256.Sum256(archive)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// source is a place that charts come from.
type source interface {
	// put stores a chart there, and returns how the table refers to it.
	put(t *testing.T, chart files, name, version string) dependencies.Chart
}

// server is a server that a test can break.
type server struct {
	*httptest.Server
	// broken answers instead of the server.
	broken atomic.Pointer[http.HandlerFunc]
}

func serve(t *testing.T, handler http.Handler) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken := s.broken.Load(); broken != nil {
			(*broken)(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "http://") }

// repository is a chart repository as `helm repo index` makes it.
type repository struct {
	*server
	index    *repo.IndexFile
	archives map[string][]byte
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{index: repo.NewIndexFile(), archives: map[string][]byte{}}
	r.server = serve(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
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

func (r *repository) put(t *testing.T, chart files, name, version string) dependencies.Chart {
	t.Helper()
	content := chart.archive(t)
	loaded, err := loader.LoadArchive(bytes.NewReader(content))
	must(t, err)
	file := "archives/" + name + "-" + version + ".tgz"
	r.archives[file] = content
	loaded.Metadata.Version = version
	must(t, r.index.MustAdd(loaded.Metadata, file, "", strings.TrimPrefix(digest(content), "sha256:")))
	return dependencies.Chart{Chart: r.URL + "/stable/" + name, Version: version}
}

// ociRegistry is a registry that keeps everything in memory.
type ociRegistry struct{ *server }

func newRegistry(t *testing.T) *ociRegistry {
	t.Helper()
	config := &configuration.Configuration{Storage: configuration.Storage{"inmemory": configuration.Parameters{}}}
	config.Log.Level = "error"
	config.Log.AccessLog.Disabled = true
	config.HTTP.Secret = "not a secret"
	config.Validation.Disabled = true
	return &ociRegistry{serve(t, handlers.NewApp(t.Context(), config))}
}

func (r *ociRegistry) put(t *testing.T, chart files, name, version string) dependencies.Chart {
	t.Helper()
	pusher, err := registry.NewClient(registry.ClientOptPlainHTTP(), registry.ClientOptWriter(io.Discard),
		registry.ClientOptCredentialsFile(filepath.Join(t.TempDir(), "config.json")))
	must(t, err)
	_, err = pusher.Push(chart.archive(t), r.host()+"/charts/"+name+":"+version, registry.PushOptStrictMode(false))
	must(t, err)
	return dependencies.Chart{Chart: "oci://" + r.host() + "/charts/" + name, Version: version, PlainHTTP: true}
}

// folderSource has charts as folders on disk.
type folderSource struct{ parent string }

func newFolder(t *testing.T) *folderSource {
	t.Helper()
	return &folderSource{t.TempDir()}
}

func (f *folderSource) put(t *testing.T, chart files, _, version string) dependencies.Chart {
	t.Helper()
	return dependencies.Chart{Chart: chart.folder(t, f.parent), Version: version}
}

// archiveSource has charts as archives on disk.
type archiveSource struct{ parent string }

func newArchives(t *testing.T) *archiveSource {
	t.Helper()
	return &archiveSource{t.TempDir()}
}

func (a *archiveSource) put(t *testing.T, chart files, name, version string) dependencies.Chart {
	t.Helper()
	path := filepath.Join(a.parent, name+"-"+version+".tgz")
	must(t, os.WriteFile(path, chart.archive(t), 0o600))
	return dependencies.Chart{Chart: path, Version: version}
}
