package cluster_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/clustertest"
)

func TestDetect(t *testing.T) {
	ingress := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "config.openshift.io/v1", "kind": "Ingress", "metadata": map[string]any{"name": "cluster"},
		"spec": map[string]any{"domain": "apps.example.com"},
	}}
	proxy := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "config.openshift.io/v1", "kind": "Proxy", "metadata": map[string]any{"name": "cluster"},
		"spec": map[string]any{"httpProxy": "http://not-in-force.example.com", "trustedCA": map[string]any{"name": "user-ca-bundle"}},
		"status": map[string]any{
			"httpProxy": "http://squid.example.com:3128", "httpsProxy": "https://user:canary@squid.example.com/", "noProxy": ".svc,10.0.0.0/16",
		},
	}}
	openShift := []*metav1.APIResourceList{{GroupVersion: "config.openshift.io/v1"}}
	broken := errors.New("no route to host")
	tests := map[string]struct {
		resources []*metav1.APIResourceList
		objects   []client.Object
		fail      string // the resource whose request fails
		want      components.Cluster
	}{
		"Kubernetes": {want: components.Cluster{KubeVersion: "v1.37.2"}},
		"OpenShift":  {openShift, []client.Object{ingress}, "", components.Cluster{KubeVersion: "v1.37.2", OpenShift: true, IngressDomain: "apps.example.com"}},
		"OpenShift behind a proxy": {openShift, []client.Object{ingress, proxy}, "", components.Cluster{
			KubeVersion: "v1.37.2", OpenShift: true, IngressDomain: "apps.example.com", Proxy: components.Proxy{
				HTTP: "http://squid.example.com:3128", HTTPS: "https://squid.example.com", NoProxy: ".svc,10.0.0.0/16", Authorities: true,
			},
		}},
		"OpenShift without a domain":         {openShift, nil, "", components.Cluster{KubeVersion: "v1.37.2", OpenShift: true}},
		"nobody answers":                     {fail: "version"},
		"whether it is OpenShift is unknown": {fail: "resource"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clients := fake.NewClientset()
			clients.Resources = test.resources
			discovery := clients.Discovery().(*fakediscovery.FakeDiscovery)
			discovery.FakedServerVersion = &version.Info{GitVersion: "v1.37.2"}
			if test.fail != "" {
				clients.PrependReactor("get", test.fail, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, broken })
			}
			got, err := cluster.Detect(t.Context(), discovery, clustertest.New(t, test.objects...))
			switch {
			case test.fail != "":
				// Guessing Kubernetes would tear down the Routes of an OpenShift platform.
				if !errors.Is(err, broken) {
					t.Errorf("err = %v", err)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("cluster (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServedAsksForEachVersionOnce(t *testing.T) {
	clients := fake.NewClientset()
	clients.Resources = []*metav1.APIResourceList{
		{GroupVersion: "kafka.strimzi.io/v1beta2", APIResources: []metav1.APIResource{{Name: "kafkas"}, {Name: "kafkatopics"}}},
		{GroupVersion: "kafka.strimzi.io/v1", APIResources: []metav1.APIResource{{Name: "kafkas"}}},
	}
	served := cluster.NewServed(clients.Discovery())
	for plural, want := range map[string]string{"kafkas": "v1", "kafkatopics": "v1beta2", "kafkausers": ""} {
		resource := schema.GroupResource{Group: "kafka.strimzi.io", Resource: plural}
		if got, err := served.Version(resource, "v1", "v1beta2", "v1alpha1"); err != nil || got != want {
			t.Errorf("%s is served as %q, %v, want %q", plural, got, err, want)
		}
	}
	both := schema.GroupVersion{Group: "kafka.strimzi.io", Version: "v1beta2"}
	if all, err := served.All(both, "kafkas", "kafkatopics"); err != nil || !all {
		t.Errorf("both are served, got %t, %v", all, err)
	}
	if all, err := served.All(both, "kafkas", "kafkausers"); err != nil || all {
		t.Errorf("one is not served, got %t, %v", all, err)
	}
	if asked := len(clients.Actions()); asked != 3 {
		t.Errorf("asked %d times for three versions", asked)
	}
}

func TestServedSaysWhatItCouldNotAsk(t *testing.T) {
	broken := errors.New("the server is currently unable to handle the request")
	clients := fake.NewClientset()
	clients.PrependReactor("get", "resource", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, broken })
	served := cluster.NewServed(clients.Discovery())
	if version, err := served.Version(schema.GroupResource{Group: "route.openshift.io", Resource: "routes"}, "v1"); version != "" || !errors.Is(err, broken) {
		t.Errorf("got %q, %v", version, err)
	}
}
