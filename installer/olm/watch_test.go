package olm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/dependencies"
)

func TestConcerns(t *testing.T) {
	table := []dependencies.Dependency{
		kafkaOperator(),
		kafkaOperator(func(d *dependencies.Dependency) {
			d.Name, d.Namespace, d.Packages[0].Name = "Grafana", "grafana", "grafana-operator"
		}),
		{Name: "Rook", Namespace: "rook-ceph"}, // has no package
	}
	tests := map[string]struct {
		object string
		want   []string
	}{
		"its Subscription, wherever": {
			"{apiVersion: operators.coreos.com/v1alpha1, kind: Subscription, metadata: {namespace: x, name: y}, spec: {name: grafana-operator}}", []string{"Grafana"},
		},
		"another Subscription": {"{apiVersion: operators.coreos.com/v1alpha1, kind: Subscription, metadata: {namespace: x, name: grafana-operator}, spec: {name: z}}", nil},
		"one that has the name that ours would get": {
			"{apiVersion: operators.coreos.com/v1alpha1, kind: Subscription, metadata: {namespace: grafana, name: grafana-operator}, spec: {name: z}}", []string{"Grafana"},
		},
		"one of ours, of a package that the table has no more": {
			"{apiVersion: operators.coreos.com/v1alpha1, kind: Subscription, metadata: {namespace: x, name: y, labels: {opendatahub.io/dependency: rook}}, spec: {name: z}}", []string{"Rook"},
		},
		"its ClusterServiceVersion": {version("1.1.0", "", "{}"), []string{"Strimzi"}},
		"another ClusterServiceVersion in its namespace": {
			strings.Replace(version("1.1.0", "", "{}"), "strimzi-kafka-operator.", "other.", 1), nil,
		},
		"an OperatorGroup of its namespace": {strings.Replace(group, "opendatahub.io/dependency", "a", 1), []string{"Strimzi"}},
		"an OperatorGroup of another namespace": {
			strings.NewReplacer("namespace: strimzi", "namespace: x", "opendatahub.io/dependency", "a").Replace(group), nil,
		},
		"an OperatorGroup where nothing is installed by OLM": {
			strings.NewReplacer("namespace: strimzi", "namespace: rook-ceph", "opendatahub.io/dependency", "a").Replace(group), nil,
		},
		"a catalogue": {catalog, []string{"Strimzi", "Grafana"}},
		"its ClusterExtension": {
			"{apiVersion: olm.operatorframework.io/v1, kind: ClusterExtension, metadata: {name: y}, spec: {source: {catalog: {packageName: grafana-operator}}}}", []string{"Grafana"},
		},
		"another ClusterExtension": {
			"{apiVersion: olm.operatorframework.io/v1, kind: ClusterExtension, metadata: {name: grafana-operator}, spec: {source: {catalog: {packageName: z}}}}", nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Concerns(watched(t, test.object), table)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// watched is an object as the cache holds it.
func watched(t *testing.T, text string) client.Object {
	t.Helper()
	object := objects(t, text)[0].(*unstructured.Unstructured)
	transform := transformFor(object)
	if object.GetKind() != csvKind.Kind {
		stripped, err := transform(object)
		if err != nil {
			t.Fatal(err)
		}
		return stripped.(client.Object)
	}
	meta := &metav1.PartialObjectMetadata{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, meta); err != nil {
		t.Fatal(err)
	}
	if _, err := transform(meta); err != nil {
		t.Fatal(err)
	}
	return meta
}

func TestChanged(t *testing.T) {
	sub := subscribed(with(atLatest, "{type: CatalogSourcesUnhealthy, status: 'False', lastTransitionTime: '2026-01-01T00:00:00Z'}"))
	tests := map[string]struct {
		before, after string
		want          bool
	}{
		"nothing":                   {catalog, catalog, false},
		"a resource version":        {catalog, strings.Replace(catalog, "name: community,", "name: community, resourceVersion: '2',", 1), false},
		"the time of a poll":        {catalog, strings.Replace(catalog, "latestImageRegistryPoll: \"2026-01-01", "latestImageRegistryPoll: \"2026-02-02", 1), false},
		"a new connection":          {catalog, strings.Replace(catalog, "lastConnect: \"2026-01-01", "lastConnect: \"2026-02-02", 1), true},
		"the priority":              {catalog, strings.Replace(catalog, "priority: 5", "priority: 6", 1), true},
		"the time of a condition":   {sub, strings.Replace(sub, "2026-01-01", "2026-02-02", 1), false},
		"a condition":               {sub, strings.Replace(sub, "'False'", "'True'", 1), true},
		"the state":                 {sub, strings.Replace(sub, "AtLatestKnown", "UpgradePending", 1), true},
		"the channel":               {sub, strings.Replace(sub, "channel: stable", "channel: alpha", 1), true},
		"somebody's label":          {sub, strings.Replace(sub, "labels: {", "labels: {a: b, ", 1), false},
		"our label":                 {sub, strings.Replace(sub, "opendatahub.io/dependency: strimzi", "a: b", 1), true},
		"the namespaces of a group": {group, strings.Replace(group, "spec: {}", "spec: {targetNamespaces: [a]}", 1), true},
		"a version, of which only metadata is seen": {
			version("1.1.0", "", "{}"), strings.Replace(version("1.1.0", "", "{}"), "metadata:", "metadata:\n  resourceVersion: '2'", 1), true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.before == test.after && test.want {
				t.Fatal("the test changes nothing")
			}
			if got := Changed(watched(t, test.before), watched(t, test.after)); got != test.want {
				t.Errorf("changed = %v", got)
			}
		})
	}
}

// TestTransforms: what stays of an object is small, whatever its size, and a second transform changes nothing.
func TestTransforms(t *testing.T) {
	padding := strings.Repeat("x", 100_000)
	for name, text := range map[string]string{
		"Subscription":          strings.Replace(subscribed(with(atLatest)), "spec: {", "spec: {config: {env: [{name: A, value: "+padding+"}]}, ", 1),
		"OperatorGroup":         strings.Replace(group, "metadata: {", "metadata: {annotations: {olm.providedAPIs: "+padding+"}, ", 1),
		"CatalogSource":         strings.Replace(catalog, "spec: {", "spec: {icon: {base64data: "+padding+"}, ", 1),
		"ClusterServiceVersion": strings.Replace(strings.Replace(version("1.1.0", "", "{}"), "labels: {", "labels: {opendatahub.io/dependency: strimzi, ", 1), `alm-examples: "[]"`, "alm-examples: "+padding+", "+propertiesAnnotation+`: '{"properties":[{"type":"olm.gvk","value":{"group":"`+padding+`"}},{"type":"olm.package","value":{"packageName":"strimzi-kafka-operator"}}]}'`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(text, padding) {
				t.Fatal("the test adds nothing")
			}
			object := watched(t, text)
			once, err := yaml.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			if len(once) > 1000 {
				t.Errorf("%d bytes are kept: %.500s", len(once), once)
			}
			again, err := transformFor(object)(object)
			if err != nil {
				t.Fatal(err)
			}
			twice, err := yaml.Marshal(again)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(once), string(twice)); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(text, dependencies.Label) != isOurs(kafkaOperator(), object.GetLabels()) {
				t.Errorf("labels = %v", object.GetLabels())
			}
			if len(Concerns(object, []dependencies.Dependency{kafkaOperator()})) != 1 {
				t.Error("it concerns nobody any more")
			}
		})
	}
}
