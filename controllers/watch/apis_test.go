package watch_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/watch"
)

// serves lists resources as discovery does: with subresources beside them.
func serves(groupVersion string, all ...kinds.Kind) *metav1.APIResourceList {
	list := &metav1.APIResourceList{GroupVersion: groupVersion}
	for _, kind := range all {
		list.APIResources = append(list.APIResources,
			metav1.APIResource{Name: kind.Plural + "/status", Kind: kind.Kind}, metav1.APIResource{Name: kind.Plural, Kind: kind.Kind})
	}
	return list
}

func TestAPIs(t *testing.T) {
	clients := fake.NewClientset()
	apis := watch.NewAPIs(clients.Discovery(), []kinds.Kind{kinds.ConfigMap, kafka.Kafka, kafka.Topic, kinds.Route})

	steps := []struct {
		name        string
		resources   []*metav1.APIResourceList
		wantChanged []string
		wantServed  map[schema.GroupKind]string
	}{
		{name: "nothing is installed", wantServed: map[schema.GroupKind]string{}},
		{
			name:        "an old Strimzi serves v1beta2 only",
			resources:   []*metav1.APIResourceList{serves("kafka.strimzi.io/v1beta2", kafka.Kafka, kafka.Topic)},
			wantChanged: []string{"Kafka", "KafkaTopic"},
			wantServed:  map[schema.GroupKind]string{kafka.Kafka.GroupKind: "v1beta2", kafka.Topic.GroupKind: "v1beta2"},
		},
		{
			name:       "nothing changed",
			resources:  []*metav1.APIResourceList{serves("kafka.strimzi.io/v1beta2", kafka.Kafka, kafka.Topic)},
			wantServed: map[schema.GroupKind]string{kafka.Kafka.GroupKind: "v1beta2", kafka.Topic.GroupKind: "v1beta2"},
		},
		{
			name: "an upgrade serves both: v1 is preferred, kind by kind",
			resources: []*metav1.APIResourceList{
				serves("kafka.strimzi.io/v1beta2", kafka.Kafka, kafka.Topic), serves("kafka.strimzi.io/v1", kafka.Kafka),
			},
			wantChanged: []string{"Kafka"},
			wantServed:  map[schema.GroupKind]string{kafka.Kafka.GroupKind: "v1", kafka.Topic.GroupKind: "v1beta2"},
		},
		{
			name:        "one CustomResourceDefinition is deleted",
			resources:   []*metav1.APIResourceList{serves("kafka.strimzi.io/v1", kafka.Topic)},
			wantChanged: []string{"Kafka", "KafkaTopic"},
			wantServed:  map[schema.GroupKind]string{kafka.Topic.GroupKind: "v1"},
		},
		{
			name:        "a kind of that name with another resource is not ours",
			resources:   []*metav1.APIResourceList{{GroupVersion: "kafka.strimzi.io/v1", APIResources: []metav1.APIResource{{Name: "topics", Kind: "KafkaTopic"}}}},
			wantChanged: []string{"KafkaTopic"}, wantServed: map[schema.GroupKind]string{},
		},
	}
	for _, step := range steps {
		clients.Resources = step.resources
		changed, err := apis.Refresh(t.Context(), "kafka.strimzi.io")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, kind := range changed {
			names = append(names, kind.Kind)
		}
		if diff := cmp.Diff(step.wantChanged, names); diff != "" {
			t.Errorf("%s: changed (-want +got):\n%s", step.name, diff)
		}
		if diff := cmp.Diff(step.wantServed, apis.Served()); diff != "" {
			t.Errorf("%s: served (-want +got):\n%s", step.name, diff)
		}
	}

	if version, ok := apis.Version(kinds.ConfigMap); !ok || version != "v1" {
		t.Errorf("native kinds are always served, and ConfigMap is %q, %v", version, ok)
	}
	if _, ok := apis.Version(kafka.Kafka); ok {
		t.Error("Kafka is gone and still served")
	}
	if _, ok := apis.GroupOfCRD("configmaps."); ok {
		t.Error("a native kind has no CustomResourceDefinition")
	}
	if group, ok := apis.GroupOfCRD("kafkatopics.kafka.strimzi.io"); !ok || group != "kafka.strimzi.io" {
		t.Errorf("kafkatopics.kafka.strimzi.io is of group %q, %v", group, ok)
	}
	if diff := cmp.Diff([]string{"kafka.strimzi.io", "route.openshift.io"}, apis.Groups()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// TestDiscoverAsksOncePerGroupVersion, and what fails leaves what is known.
func TestDiscoverAsksOncePerGroupVersion(t *testing.T) {
	clients := fake.NewClientset()
	clients.Resources = []*metav1.APIResourceList{
		serves("kafka.strimzi.io/v1", kafka.Kafka, kafka.Topic), serves("route.openshift.io/v1", kinds.Route),
	}
	apis := watch.NewAPIs(clients.Discovery(), []kinds.Kind{kinds.ConfigMap, kafka.Kafka, kafka.Topic, kafka.Kafka, kinds.Route})
	apis.Discover(t.Context())
	if got := len(clients.Actions()); got != 2 {
		t.Errorf("asked %d times, want once for each group: %v", got, clients.Actions())
	}
	known := apis.Served()

	broken := errors.New("no route to host")
	clients.PrependReactor("get", "resource", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, broken })
	clients.Resources = nil
	apis.Discover(t.Context())
	if err := apis.Unknown([]kinds.Kind{kafka.Kafka}); !errors.Is(err, broken) {
		t.Errorf("err = %v", err)
	}
	if diff := cmp.Diff(known, apis.Served()); diff != "" {
		t.Errorf("an unreachable API server is no reason to forget (-want +got):\n%s", diff)
	}
}

// TestOneGroupThatDoesNotAnswer is an OpenShift during an upgrade: Routes are served by an API server of their own.
func TestOneGroupThatDoesNotAnswer(t *testing.T) {
	clients := fake.NewClientset()
	clients.Resources = []*metav1.APIResourceList{serves("kafka.strimzi.io/v1", kafka.Kafka), serves("route.openshift.io/v1", kinds.Route)}
	asked := 0
	clients.PrependReactor("get", "resource", func(clienttesting.Action) (bool, runtime.Object, error) {
		if asked++; asked == 2 { // Kafka first, then Route
			return true, nil, apierrors.NewServiceUnavailable("the server is currently unable to handle the request")
		}
		return false, nil, nil
	})
	apis := watch.NewAPIs(clients.Discovery(), []kinds.Kind{kafka.Kafka, kinds.Route})
	apis.Discover(t.Context())
	if _, served := apis.Version(kafka.Kafka); !served {
		t.Error("Kafka is not served, because Routes are not")
	}
	if err := apis.Unknown([]kinds.Kind{kafka.Kafka}); err != nil {
		t.Errorf("Kafka: %v", err)
	}
	if err := apis.Unknown([]kinds.Kind{kafka.Kafka, kinds.Route}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("Route: %v", err)
	}
	if changed, err := apis.Refresh(t.Context(), "route.openshift.io"); err != nil || len(changed) != 1 {
		t.Errorf("changed %v, %v", changed, err)
	}
	if err := apis.Unknown([]kinds.Kind{kinds.Route}); err != nil {
		t.Errorf("Route answers again: %v", err)
	}
}
