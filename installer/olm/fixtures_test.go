package olm

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/controllers/clustertest"
	"opendatahub.io/operator/dependencies"
	played "opendatahub.io/operator/test/olm"
)

// kafkaOperator is the operator of these tests.
func kafkaOperator(change ...func(*dependencies.Dependency)) dependencies.Dependency {
	dependency := dependencies.Dependency{
		Name: "Strimzi", Namespace: "strimzi", Versions: ">=1.0.0 <2.0.0-0",
		Packages: []dependencies.Package{{
			Name: "strimzi-kafka-operator", Channel: "stable", InstallMode: dependencies.AllNamespaces,
			Catalogs: []dependencies.Catalog{{Name: "community", Namespace: "olm"}, {Name: "operatorhub", Namespace: "olm"}},
		}},
	}
	for _, f := range change {
		f(&dependency)
	}
	return dependency
}

// objects reads YAML documents.
func objects(t *testing.T, text string) []client.Object {
	t.Helper()
	var all []client.Object
	for document := range strings.SplitSeq(text, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
	return all
}

// lab is a cluster with an OLM.
type lab struct {
	*testing.T
	cluster *clustertest.Cluster
	olm     *OLM
	server  *played.PackageServer
	missing string // of apiResources
}

// newLab is a cluster with objects, given as YAML, and catalogues.
func newLab(t *testing.T, text string, catalogs ...played.Catalog) *lab {
	t.Helper()
	l := &lab{T: t, cluster: clustertest.New(t, objects(t, text)...)}
	l.server = &played.PackageServer{Catalogs: func() []played.Catalog { return catalogs }}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	discovered, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	l.olm = New(stripped{metadata{l.cluster}}, metadata{l.cluster}, l.cluster, discovered)
	return l
}

// apiResources are what discovery finds.
var apiResources = []string{
	"/apis/operators.coreos.com/v1alpha1/subscriptions",
	"/apis/operators.coreos.com/v1alpha1/clusterserviceversions",
	"/apis/operators.coreos.com/v1alpha1/catalogsources",
	"/apis/operators.coreos.com/v1/operatorgroups",
	"/apis/olm.operatorframework.io/v1/clusterextensions",
}

// ServeHTTP serves the parts of the API server that the cluster does not have: discovery, and PackageManifests.
func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}}
	for _, name := range apiResources {
		if path, resource := filepath.Split(name); path == r.URL.Path+"/" && name != l.missing {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: resource})
		}
	}
	if len(list.APIResources) == 0 {
		l.server.ServeHTTP(w, r)
		return
	}
	content, err := yaml.Marshal(list)
	if err == nil {
		content, err = yaml.YAMLToJSON(content)
	}
	if err != nil {
		l.Error(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(content)
}

func (l *lab) writes(want ...string) {
	l.Helper()
	if diff := cmp.Diff(want, l.cluster.Writes()); diff != "" {
		l.Errorf("writes (-want +got):\n%s", diff)
	}
}

func (l *lab) find(dependency dependencies.Dependency) *Found {
	l.Helper()
	found, err := l.olm.Find(l.Context(), dependency)
	if err != nil {
		l.Fatal(err)
	}
	return found
}

// metadata lists metadata, which the fake client cannot do for kinds that it has no Go types of.
type metadata struct{ client.Reader }

func (m metadata) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	wanted, ok := list.(*metav1.PartialObjectMetadataList)
	if !ok {
		return m.Reader.List(ctx, list, opts...)
	}
	whole := &unstructured.UnstructuredList{}
	whole.SetGroupVersionKind(wanted.GroupVersionKind())
	if err := m.Reader.List(ctx, whole, opts...); err != nil {
		return err
	}
	for _, item := range whole.Items {
		object := metav1.PartialObjectMetadata{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &object); err != nil {
			return err
		}
		wanted.Items = append(wanted.Items, object)
	}
	return nil
}

// stripped reads what the cache of the installer would hold.
type stripped struct{ client.Reader }

func (s stripped) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := s.Reader.List(ctx, list, opts...); err != nil {
		return err
	}
	switch list := list.(type) {
	case *unstructured.UnstructuredList:
		for i := range list.Items {
			object, err := transformFor(&list.Items[i])(&list.Items[i])
			if err != nil {
				return err
			}
			list.Items[i].Object = object.(*unstructured.Unstructured).Object
		}
	case *metav1.PartialObjectMetadataList:
		list.Items = slices.DeleteFunc(list.Items, func(item metav1.PartialObjectMetadata) bool { return item.Labels[copiedFrom] != "" })
		for i := range list.Items {
			if _, err := stripCSV(&list.Items[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// transformFor is the transform of what is watched. It panics if the object's kind is not.
func transformFor(object client.Object) toolscache.TransformFunc {
	for _, w := range Watched(APIs{V0: true, V1: true}) {
		if w.Object.GetObjectKind().GroupVersionKind() == object.GetObjectKind().GroupVersionKind() {
			return w.Cache.Transform
		}
	}
	panic(object.GetObjectKind().GroupVersionKind().String() + " is not watched")
}

// indent puts text below a key.
func indent(text string) string {
	return "\n  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}
