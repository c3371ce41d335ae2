package apply

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	rbacac "k8s.io/client-go/applyconfigurations/rbac/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
)

var clusterWide = kinds.Kind{
	GroupKind: schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"}, Versions: []string{"v1"},
	Plural: "storageclasses", ClusterScoped: true,
}

var (
	everyKind = []kinds.Kind{kinds.ConfigMap, kinds.Secret, kinds.Service, kinds.Deployment, kinds.RoleBinding, kafka.Kafka, clusterWide}
	lab       = components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}}
	hubOwner  = &metav1.OwnerReference{
		APIVersion: "opendatahub.io/v1alpha1", Kind: "OpenDataHub", Name: "odh", UID: "1", BlockOwnerDeletion: new(true),
	}
)

func everyUse(all []kinds.Kind) []components.Use {
	uses := make([]components.Use, 0, len(all))
	for _, kind := range all {
		uses = append(uses, components.Use{Kind: kind})
	}
	return uses
}

type kafkaSpec struct {
	Replicas int     `json:"replicas,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
}

func TestPrepare(t *testing.T) {
	tests := map[string]struct {
		object components.Object
		owner  *metav1.OwnerReference
		want   string // with HASH for the hash
	}{
		"an owned object gets namespace, labels, owner and hash": {
			object: components.Owned(coreac.ConfigMap("odh-kafka", "").WithData(map[string]string{"a": "b"})),
			owner:  hubOwner,
			want: `
apiVersion: v1
kind: ConfigMap
metadata:
  name: odh-kafka
  namespace: lab
  labels:
    app.kubernetes.io/managed-by: opendatahub-operator
    app.kubernetes.io/part-of: opendatahub
    opendatahub.io/component: kafka
    opendatahub.io/platform: odh
  annotations: {opendatahub.io/hash: HASH}
  ownerReferences: [{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, name: odh, uid: "1", controller: true}]
data: {a: b}
`,
		},
		"data has a label and no owner": {
			object: components.Data(coreac.ConfigMap("odh-kafka", "lab")),
			owner:  hubOwner,
			want: `
apiVersion: v1
kind: ConfigMap
metadata:
  name: odh-kafka
  namespace: lab
  labels:
    app.kubernetes.io/managed-by: opendatahub-operator
    app.kubernetes.io/part-of: opendatahub
    opendatahub.io/component: kafka
    opendatahub.io/data: "true"
    opendatahub.io/platform: odh
  annotations: {opendatahub.io/hash: HASH}
`,
		},
		"an object in another namespace says whose it is and has no owner": {
			object: components.Owned(coreac.ConfigMap("odh-kafka", "elsewhere")),
			owner:  hubOwner,
			want: `
apiVersion: v1
kind: ConfigMap
metadata:
  name: odh-kafka
  namespace: elsewhere
  labels:
    app.kubernetes.io/managed-by: opendatahub-operator
    app.kubernetes.io/part-of: opendatahub
    opendatahub.io/component: kafka
    opendatahub.io/platform: odh
    opendatahub.io/platform-namespace: lab
  annotations: {opendatahub.io/hash: HASH}
`,
		},
		"a cluster-scoped object gets no namespace": {
			object: components.Owned(kinds.New(clusterWide.GVK(), "", "odh-fast", struct{}{})),
			owner:  hubOwner,
			want: `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: odh-fast
  labels:
    app.kubernetes.io/managed-by: opendatahub-operator
    app.kubernetes.io/part-of: opendatahub
    opendatahub.io/component: kafka
    opendatahub.io/platform: odh
    opendatahub.io/platform-namespace: lab
  annotations: {opendatahub.io/hash: HASH}
spec: {}
`,
		},
		"labels and annotations of the component stay, but for the platform's own": {
			object: components.Owned(coreac.ConfigMap("odh-kafka", "").
				WithLabels(map[string]string{
					"app.kubernetes.io/name": "kafka", "app.kubernetes.io/part-of": "streams", components.LabelPlatform: "stolen",
				}).
				WithAnnotations(map[string]string{"note": "kept"})),
			want: `
apiVersion: v1
kind: ConfigMap
metadata:
  name: odh-kafka
  namespace: lab
  labels:
    app.kubernetes.io/managed-by: opendatahub-operator
    app.kubernetes.io/name: kafka
    app.kubernetes.io/part-of: streams
    opendatahub.io/component: kafka
    opendatahub.io/platform: odh
  annotations: {note: kept, opendatahub.io/hash: HASH}
`,
		},
		"a status carries nothing but itself": {
			object: components.Object{
				ApplyConfiguration: withLabels(kinds.NewStatus[kafkaSpec](kafka.Kafka.GVK(), "", "odh-kafka", map[string]any{"clusterId": "abc"})),
				Subresource:        "status",
			},
			owner: hubOwner,
			want: `
apiVersion: kafka.strimzi.io/v1
kind: Kafka
metadata: {name: odh-kafka, namespace: lab}
status: {clusterId: abc}
`,
		},
		"numbers have the types of unstructured objects": {
			object: components.Owned(kinds.New(kafka.Kafka.GVK(), "", "odh-kafka", kafkaSpec{Replicas: 3, Ratio: 0.5})),
			want: `
apiVersion: kafka.strimzi.io/v1
kind: Kafka
metadata:
  name: odh-kafka
  namespace: lab
  labels:
    app.kubernetes.io/managed-by: opendatahub-operator
    app.kubernetes.io/part-of: opendatahub
    opendatahub.io/component: kafka
    opendatahub.io/platform: odh
  annotations: {opendatahub.io/hash: HASH}
spec: {replicas: 3, ratio: 0.5}
`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			prepared, err := Prepare("kafka", everyUse(everyKind), lab, test.owner, []components.Object{test.object})
			if err != nil {
				t.Fatal(err)
			}
			got := prepared[0]
			if len(got.Hash) != 16 {
				t.Errorf("the hash %q has %d characters, want 16", got.Hash, len(got.Hash))
			}
			if got.Data != test.object.Data || got.Subresource != test.object.Subresource {
				t.Errorf("Data %t, Subresource %q; want those of the object", got.Data, got.Subresource)
			}
			raw, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(test.want, "HASH", `"`+got.Hash+`"`)))
			if err != nil {
				t.Fatal(err)
			}
			want := &unstructured.Unstructured{}
			if err := want.UnmarshalJSON(raw); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.Object, got.Object.Object); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func withLabels(resource *kinds.Resource[kafkaSpec]) *kinds.Resource[kafkaSpec] {
	resource.WithLabels(map[string]string{"a": "b"})
	return resource
}

func TestPrepareKeepsTheOrder(t *testing.T) {
	objects := []components.Object{
		components.Owned(coreac.Secret("b", "")),
		components.Owned(coreac.ConfigMap("c", "")),
		{ApplyConfiguration: coreac.Secret("a", ""), Generate: []components.Random{{Key: "password", Bytes: 32}}},
	}
	prepared, err := Prepare("kafka", everyUse(everyKind), lab, nil, objects)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range prepared {
		got = append(got, p.String())
	}
	if diff := cmp.Diff([]string{"Secret lab/b", "ConfigMap lab/c", "Secret lab/a"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(objects[2].Generate, prepared[2].Generate); diff != "" {
		t.Errorf("Generate (-want +got):\n%s", diff)
	}
}

func TestHash(t *testing.T) {
	hashOf := func(t *testing.T, owner *metav1.OwnerReference, object components.Object) string {
		t.Helper()
		prepared, err := Prepare("kafka", everyUse(everyKind), lab, owner, []components.Object{object})
		if err != nil {
			t.Fatal(err)
		}
		return prepared[0].Hash
	}
	config := func(value string) components.Object {
		return components.Owned(coreac.ConfigMap("odh-kafka", "").WithData(map[string]string{"a": value, "b": "1", "c": "2"}))
	}
	base := hashOf(t, hubOwner, config("x"))
	anotherOwner := *hubOwner
	anotherOwner.UID = "2"
	for name, same := range map[string]string{
		"rendered again":       hashOf(t, hubOwner, config("x")),
		"without owner":        hashOf(t, nil, config("x")),
		"owned by a new owner": hashOf(t, &anotherOwner, config("x")),
	} {
		if same != base {
			t.Errorf("%s: the hash is %s, want %s as before", name, same, base)
		}
	}
	asData := config("x")
	asData.Data = true
	for name, other := range map[string]string{
		"another value":        hashOf(t, hubOwner, config("y")),
		"turned into data":     hashOf(t, hubOwner, asData),
		"in another namespace": hashOf(t, hubOwner, components.Owned(coreac.ConfigMap("odh-kafka", "other").WithData(map[string]string{"a": "x", "b": "1", "c": "2"}))),
	} {
		if other == base {
			t.Errorf("%s: the hash is the same", name)
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	config := func(name string) *coreac.ConfigMapApplyConfiguration { return coreac.ConfigMap(name, "") }
	tests := map[string]struct {
		known   []kinds.Kind
		objects []components.Object
		want    string
	}{
		"an object that is rendered twice": {
			objects: []components.Object{components.Owned(config("a")), components.Owned(config("a"))},
			want:    "kafka: ConfigMap lab/a is rendered twice; are two entries of the spec named alike?",
		},
		"an object that is rendered twice, once with its namespace": {
			objects: []components.Object{components.Owned(config("a")), components.Owned(coreac.ConfigMap("a", "lab"))},
			want:    "kafka: ConfigMap lab/a is rendered twice; are two entries of the spec named alike?",
		},
		"an object without a name": {
			objects: []components.Object{components.Owned(coreac.ConfigMap("", "lab"))},
			want:    "kafka: object 1: ConfigMap has no name",
		},
		"an object without a kind": {
			objects: []components.Object{components.Owned(&coreac.ConfigMapApplyConfiguration{})},
			want:    "kafka: object 1: *v1.ConfigMapApplyConfiguration has no kind or apiVersion",
		},
		"nothing": {
			objects: []components.Object{{}},
			want:    "kafka: object 1: nothing is rendered",
		},
		"a kind that is not listed": {
			known:   []kinds.Kind{kinds.Secret},
			objects: []components.Object{components.Owned(appsac.Deployment("a", ""))},
			want:    "kafka: object 1: Deployment.apps a is of a kind that the component does not list",
		},
		"a version that is not listed": {
			objects: []components.Object{components.Owned(kinds.New(kafka.Kafka.WithVersion("v9"), "", "a", kafkaSpec{}))},
			want:    "kafka: object 1: Kafka a has version v9, and the component knows v1, v1beta2",
		},
		"a cluster-scoped object with a namespace": {
			objects: []components.Object{components.Owned(kinds.New(clusterWide.GVK(), "lab", "a", kafkaSpec{}))},
			want:    "kafka: object 1: StorageClass lab/a has a namespace, but its kind has none",
		},
		"a long name": {
			objects: []components.Object{components.Owned(config(strings.Repeat("a", 254)))},
			want: "kafka: object 1: ConfigMap lab/" + strings.Repeat("a", 254) +
				": the name has 254 characters, and 253 is the limit; choose shorter names in the spec",
		},
		"a long name of a Service": {
			objects: []components.Object{components.Owned(coreac.Service(strings.Repeat("a", 64), ""))},
			want: "kafka: object 1: Service lab/" + strings.Repeat("a", 64) +
				": the name has 64 characters, and 63 is the limit; choose shorter names in the spec",
		},
		"a name with capitals": {
			objects: []components.Object{components.Owned(config("A"))},
			want:    "kafka: object 1: ConfigMap lab/A: the name is not allowed: a lowercase RFC 1123 subdomain",
		},
		"a namespace with a dot": {
			objects: []components.Object{components.Owned(coreac.ConfigMap("a", "b.c"))},
			want:    `kafka: object 1: ConfigMap b.c/a: the namespace "b.c" is not allowed: must not contain dots`,
		},
		"a label value with a space": {
			objects: []components.Object{components.Owned(config("a").WithLabels(map[string]string{"x": "a b"}))},
			want:    `kafka: object 1: ConfigMap lab/a: the value "a b" of the label x is not allowed: a valid label`,
		},
		"a long label value": {
			objects: []components.Object{components.Owned(config("a").WithLabels(map[string]string{"x": strings.Repeat("a", 64)}))},
			want:    `is not allowed: must be no more than 63`,
		},
		"a label key with a space": {
			objects: []components.Object{components.Owned(config("a").WithLabels(map[string]string{"x y": "a"}))},
			want:    `kafka: object 1: ConfigMap lab/a: the label key "x y" is not allowed: name part`,
		},
		"an annotation key with a space": {
			objects: []components.Object{components.Owned(config("a").WithAnnotations(map[string]string{"x y": "a"}))},
			want:    `kafka: object 1: ConfigMap lab/a: the annotation key "x y" is not allowed: name part`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			known := test.known
			if known == nil {
				known = everyKind
			}
			_, err := Prepare("kafka", everyUse(known), lab, nil, test.objects)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("Prepare: %v; want %q", err, test.want)
			}
			var failure *components.Failure
			if !errors.As(err, &failure) || !failure.Terminal || failure.Reason != v1alpha1.ReasonInvalidSpec {
				t.Errorf("%#v is not a terminal InvalidSpec", err)
			}
		})
	}
}

func TestPrepareAllowsWhatTheAPIServerAllows(t *testing.T) {
	objects := []components.Object{
		components.Owned(rbacac.RoleBinding("system:odh", "")),
		components.Owned(coreac.ConfigMap("a", "").WithAnnotations(map[string]string{"Example.com/Key": "any text\nat all"})),
		components.Owned(coreac.ConfigMap("b", "").WithLabels(map[string]string{"empty": ""})),
		// The same name as another kind, and the same object with another subresource.
		components.Owned(coreac.Secret("a", "")),
		components.Owned(kinds.New(kafka.Kafka.GVK(), "", "a", kafkaSpec{})),
		{ApplyConfiguration: kinds.NewStatus[kafkaSpec](kafka.Kafka.GVK(), "", "a", map[string]any{}), Subresource: "status"},
		components.Owned(&coreac.ServiceApplyConfiguration{
			TypeMetaApplyConfiguration:   *metaac.TypeMeta().WithAPIVersion("v1").WithKind("Service"),
			ObjectMetaApplyConfiguration: metaac.ObjectMeta().WithName(strings.Repeat("a", 63)),
		}),
	}
	if _, err := Prepare("kafka", everyUse(everyKind), lab, hubOwner, objects); err != nil {
		t.Error(err)
	}
}
