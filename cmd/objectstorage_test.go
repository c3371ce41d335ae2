package cmd

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
)

const withCeph = `
apiVersion: opendatahub.io/v1alpha1
kind: OpenDataHub
metadata: {name: odh, namespace: lab}
spec:
  components: {ceph: {}, kafka: {}, jupyterHub: {}, seldon: {deployments: [{name: iris, server: SKLearn}]}}
`

const withExternal = withCeph + `
  objectStorage:
    type: External
    external: {endpoint: "https://s3.example.com", credentialsSecretRef: {name: s3}}
`

// Only the objects on this list may depend on where S3 comes from. Pods are replaced only if they read it at their start.
func TestSwitchingTheObjectStorageChangesItsConsumersOnly(t *testing.T) {
	all := catalog.All()
	before := renderAll(t, all, withCeph)
	switched := renderAll(t, all, withExternal)
	var changed []string
	for name, text := range before {
		if switched[name] != text {
			changed = append(changed, name)
		}
	}
	for name := range switched {
		if _, ok := before[name]; !ok {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	want := []string{
		"ConfigMap odh-jupyterhub-profiles",      // what notebooks get
		"ConfigMap odh-object-storage",           // what users' own workloads read
		"NetworkPolicy odh-jupyterhub-notebook",  // where notebooks may go
		"NetworkPolicy odh-seldon-models",        // whence models are fetched
		"Secret odh-seldon-models",               // with what
		"SeldonDeployment odh-seldon-iris",       // those that were fetched
		"ServiceAccount odh-jupyterhub-notebook", // what notebooks may mount
	}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("what changes (-want +got):\n%s", diff)
	}
	for _, leftover := range []string{"ceph", "rook", "rgw"} {
		for _, name := range want {
			if strings.Contains(switched[name], leftover) {
				t.Errorf("%s still speaks of %s:\n%s", name, leftover, switched[name])
			}
		}
	}
	if diff := cmp.Diff(before, renderAll(t, all, withCeph)); diff != "" {
		t.Errorf("back again, it is not the same:\n%s", diff)
	}
}

// renderAll gives the objects of a resource by kind and name, each as the text that is printed.
func renderAll(t *testing.T, all []components.Component, odh string) map[string]string {
	t.Helper()
	var out, warnings bytes.Buffer
	command := New("test", all)
	command.SetArgs([]string{"render", "-f", "-"})
	command.SetIn(strings.NewReader(odh))
	command.SetOut(&out)
	command.SetErr(&warnings)
	if err := command.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	objects := map[string]string{}
	for document := range strings.SplitSeq("\n"+out.String(), "\n---\n") {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		if object.Kind != "" {
			objects[object.Kind+" "+object.Metadata.Name] += document
		}
	}
	if len(objects) < 20 {
		t.Fatalf("only %d objects were rendered:\n%s", len(objects), out.String())
	}
	return objects
}
