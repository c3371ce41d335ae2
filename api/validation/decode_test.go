package validation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"opendatahub.io/operator/api/v1alpha1"
)

const odh = `
apiVersion: opendatahub.io/v1alpha1
kind: OpenDataHub
metadata: {name: odh}
`

func TestDecode(t *testing.T) {
	type hub struct {
		Name, Namespace string
		Profile         v1alpha1.Profile
		Kafka           bool
		ManagementState v1alpha1.ManagementState
	}
	bare := hub{Name: "odh", Namespace: "lab"}
	plain := hub{Name: "odh", Namespace: "lab", Profile: v1alpha1.ProfileStandard}
	tests := map[string]struct {
		input string
		want  []hub
	}{
		"the defaults of the schema are filled in": {
			input: odh + "spec: {}",
			want:  []hub{plain},
		},
		"without a spec there is nothing to fill in": {
			input: odh,
			want:  []hub{{Name: "odh", Namespace: "lab"}},
		},
		"the defaults inside a block as well": {
			input: odh + `spec: {components: {kafka: {}}}`,
			want:  []hub{{"odh", "lab", v1alpha1.ProfileStandard, true, v1alpha1.Managed}},
		},
		"what is set stays": {
			input: strings.Replace(odh, "{name: odh}", "{name: odh, namespace: own}", 1) + `spec: {profile: Development}`,
			want:  []hub{{Name: "odh", Namespace: "own", Profile: v1alpha1.ProfileDevelopment}},
		},
		"several documents, other kinds and empty ones among them": {
			input: "# a comment\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: lab}}\n---" + odh + "---\n---" +
				strings.Replace(odh, "name: odh", "name: two", 1),
			want: []hub{bare, {Name: "two", Namespace: "lab"}},
		},
		"a List, as kubectl get -o yaml prints it, with status and server-side metadata": {
			input: `
apiVersion: v1
kind: List
items:
- apiVersion: opendatahub.io/v1alpha1
  kind: OpenDataHub
  metadata:
    name: odh
    namespace: lab
    uid: 00000000-0000-0000-0000-000000000000
    resourceVersion: "7"
    creationTimestamp: "2026-01-01T00:00:00Z"
    managedFields: [{manager: kubectl, operation: Update, apiVersion: opendatahub.io/v1alpha1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {}}}]
  spec: {}
  status: {observedGeneration: 5, thisIsIgnored: true}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: other}}
`,
			want: []hub{plain},
		},
		"JSON": {
			input: `{"apiVersion": "opendatahub.io/v1alpha1", "kind": "OpenDataHub", "metadata": {"name": "odh"}, "spec": {}}`,
			want:  []hub{plain},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hubs, err := Decode(strings.NewReader(test.input), "lab")
			if err != nil {
				t.Fatal(err)
			}
			var got []hub
			for _, h := range hubs {
				one := hub{Name: h.Name, Namespace: h.Namespace, Profile: h.Spec.Profile}
				if kafka := h.Spec.Components.Kafka; kafka != nil {
					one.Kafka, one.ManagementState = true, kafka.ManagementState
				}
				got = append(got, one)
				if h.Status.ObservedGeneration != -1 {
					t.Errorf("%s: observedGeneration is %d, want -1 as on creation", h.Name, h.Status.ObservedGeneration)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := map[string]struct {
		input string
		want  []string
	}{
		"nothing at all": {
			input: "# only a comment\n",
			want:  []string{"there is no OpenDataHub of opendatahub.io/v1alpha1 in it"},
		},
		"only other kinds": {
			input: `{apiVersion: v1, kind: ConfigMap}`,
			want:  []string{"there is no OpenDataHub"},
		},
		"text that is not YAML": {
			input: "a: b: c",
			want:  []string{"document 1: yaml: mapping values are not allowed in this context"},
		},
		"a scalar": {
			input: "hello",
			want:  []string{"document 1: this is not an object"},
		},
		"an object of no kind": {
			input: "spec: {}",
			want:  []string{"document 1: this is not a Kubernetes object: it has no kind"},
		},
		"a kind that is no text": {
			input: "kind: [a]",
			want:  []string{"document 1: this is not a Kubernetes object: it has no kind"},
		},
		"another version": {
			input: strings.Replace(odh, "v1alpha1", "v9", 1),
			want:  []string{"document 1: OpenDataHub odh: apiVersion: opendatahub.io/v9 is not known, use opendatahub.io/v1alpha1"},
		},
		"a key that is given twice": {
			input: odh + "spec: {profile: Standard, profile: Development}",
			want:  []string{`document 1: yaml: unmarshal errors:`, `key "profile" already set in map`},
		},
		"an unknown field, with its path": {
			input: odh + "spec: {components: {kafka: {replica: 3}}}",
			want:  []string{`document 1: OpenDataHub odh: unknown field "spec.components.kafka.replica"`},
		},
		"an unknown component": {
			input: odh + "spec: {components: {hive: {}}}",
			want:  []string{`unknown field "spec.components.hive"`},
		},
		"an unknown field of metadata": {
			input: strings.Replace(odh, "{name: odh}", "{name: odh, label: {a: b}}", 1),
			want:  []string{`unknown field "metadata.label"`},
		},
		"metadata of the wrong type": {
			input: strings.Replace(odh, "{name: odh}", "{name: odh, labels: x}", 1),
			want:  []string{`document 1: `, "labels"},
		},
		"a wrong enum, with what is allowed": {
			input: odh + "spec: {profile: Small}",
			want:  []string{`spec.profile: Unsupported value: "Small": supported values: "Development", "Standard", "HighAvailability"`},
		},
		"a wrong type": {
			input: odh + "spec: {components: {kafka: []}}",
			want:  []string{`spec.components.kafka: Invalid value: "array"`},
		},
		"a CEL rule": {
			input: odh + "spec: {authentication: {type: OIDC}}",
			want:  []string{"oidc must be set when type is OIDC"},
		},
		"a name that is too long for what derives from it": {
			input: strings.Replace(odh, "name: odh", "name: "+strings.Repeat("a", 31), 1),
			want:  []string{": metadata.name must be at most 30 characters"},
		},
		"no name": {
			input: strings.Replace(odh, "{name: odh}", "{}", 1),
			want:  []string{"metadata.name: Required value"},
		},
		"a namespace that cannot be": {
			input: strings.Replace(odh, "{name: odh}", "{name: odh, namespace: A_B}", 1),
			want:  []string{`metadata.namespace: Invalid value: "A_B"`},
		},
		"a list with a repeated key": {
			input: odh + "spec: {authentication: {adminUsers: [a, a]}}",
			want:  []string{`spec.authentication.adminUsers[1]: Duplicate value: "a"`},
		},
		"everything that is wrong, in every document": {
			input: odh + "spec: {profile: Small, x: 1}\n---" + strings.Replace(odh, "name: odh", "name: two", 1) + "spec: {deletionPolicy: Keep}",
			want: []string{
				`document 1: OpenDataHub odh: unknown field "spec.x"`,
				`document 1: OpenDataHub odh: spec.profile: Unsupported value: "Small"`,
				`document 2: OpenDataHub two: spec.deletionPolicy: Unsupported value: "Keep"`,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hubs, err := Decode(strings.NewReader(test.input), "lab")
			if err == nil {
				t.Fatalf("Decode = %v, want an error with %q", hubs, test.want)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%s", want, err)
				}
			}
		})
	}
}

func TestRefusalsHaveAnOrder(t *testing.T) {
	input := odh + `spec:
  profile: Huge
  a: 1
  b: 2
  deletionPolicy: Sometimes
  objectStorage: {type: Tape}
  authentication: {type: Trust}
  ingress: {type: Tunnel}
  components: {kafka: {replicas: many, managementState: Maybe, c: 3, d: 4}, jupyterHub: {managementState: Maybe}}
`
	_, want := Decode(strings.NewReader(input), "lab")
	if lines := strings.Count(want.Error(), "\n"); lines < 8 {
		t.Fatalf("only %d lines: %v", lines, want)
	}
	for range 20 {
		if _, err := Decode(strings.NewReader(input), "lab"); err.Error() != want.Error() {
			t.Fatalf("two calls return different errors:\n%v\nand\n%v", err, want)
		}
	}
}
