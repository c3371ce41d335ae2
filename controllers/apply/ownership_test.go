package apply

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const intent = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: a
  namespace: ns
  labels: {app: a}
  ownerReferences: [{apiVersion: v1, kind: X, name: x, uid: u1}]
spec:
  selector: {matchLabels: {app: a}}
  template:
    spec:
      containers:
      - name: hub
        ports: [{containerPort: 80}]
        args: [one, two]
        volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes:
      - {name: tmp, emptyDir: {}}
`

const complete = `{"f:metadata":{"f:labels":{"f:app":{}},"f:ownerReferences":{"k:{\"uid\":\"u1\"}":{}}},
"f:spec":{"f:selector":{},"f:template":{"f:spec":{
"f:containers":{"k:{\"name\":\"hub\"}":{".":{},"f:name":{},"f:args":{},
"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}},
"f:volumeMounts":{"k:{\"mountPath\":\"/tmp\"}":{".":{},"f:name":{},"f:mountPath":{}}}}},
"f:volumes":{"k:{\"name\":\"tmp\"}":{".":{},"f:emptyDir":{},"f:name":{}}}}}}}`

// TestCovers shows what the API server's managed fields say after others changed the object.
func TestCovers(t *testing.T) {
	cases := map[string]struct {
		fields string
		want   bool
	}{
		"as applied": {complete, true},
		"a label was changed or removed": {
			`{"f:metadata":{"f:ownerReferences":{"k:{\"uid\":\"u1\"}":{}}},"f:spec":{"f:selector":{},"f:template":{}}}`, false},
		"the owner was taken off": {
			`{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:selector":{},"f:template":{}}}`, false},
		"the arguments were changed": {without(complete, `"f:args":{},`), false},
		"the port was changed": {without(complete,
			`"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}},`+"\n"), false},
		"the volume was removed": {without(complete,
			`,`+"\n"+`"f:volumes":{"k:{\"name\":\"tmp\"}":{".":{},"f:emptyDir":{},"f:name":{}}}`), false},
		"the emptyDir was changed":  {without(complete, `"f:emptyDir":{},`), false},
		"managed fields were wiped": {`{}`, false},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			want := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(intent), &want.Object); err != nil {
				t.Fatal(err)
			}
			live := &unstructured.Unstructured{}
			live.SetManagedFields([]metav1.ManagedFieldsEntry{
				{Manager: "opendatahub-test", Operation: metav1.ManagedFieldsOperationApply, Subresource: "status",
					FieldsV1: metav1.NewFieldsV1(complete)},
				{Manager: "opendatahub-test", Operation: metav1.ManagedFieldsOperationApply,
					FieldsV1: metav1.NewFieldsV1(test.fields)},
			})
			fields, ok := fieldsOf(live, "opendatahub-test")
			if !ok {
				t.Fatal("the manager's entry was not found")
			}
			if got := parseFields(fields).coversObject(want); got != test.want {
				t.Errorf("covers = %v, want %v", got, test.want)
			}
		})
	}
}

// without takes a part out of a field set.
func without(fields, part string) string {
	for i := range len(fields) - len(part) + 1 {
		if fields[i:i+len(part)] == part {
			return fields[:i] + fields[i+len(part):]
		}
	}
	panic("no such part: " + part)
}
