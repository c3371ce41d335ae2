package componenttest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/validation"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/test/upstream"
)

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            x-kubernetes-validations:
            - {rule: "self.low <= self.high", message: low must not exceed high}
            properties:
              low: {type: integer, default: 1}
              high: {type: integer, default: 5}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}}
          status:
            type: object
            properties: {id: {type: string}}
`

func widgetSchema(t *testing.T) *validation.Schema {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "widgets.yaml"), []byte("# licence\n---"+widgets), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(upstream.Env, folder)
	compiled, ok := schemasOf(upstream.Definitions(t, folder, "example.com"))[schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}]
	if !ok {
		t.Fatal("the definition was not read")
	}
	result, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestObjectsThatAnAPIServerRefusesAreRefused(t *testing.T) {
	tests := map[string]struct {
		object string
		status bool
		want   string
	}{
		"valid":                     {object: "{spec: {low: 2}}"},
		"unknown field":             {object: "{spec: {lwo: 2}}", want: `unknown field "spec.lwo"`},
		"wrong type":                {object: `{spec: {low: "2"}}`, want: "spec.low: Invalid value"},
		"required field missing":    {object: "{}", want: "spec: Required value"},
		"rule broken":               {object: "{spec: {low: 9, high: 3}}", want: "low must not exceed high"},
		"rule broken by a default":  {object: "{spec: {low: 9}}", want: "low must not exceed high"},
		"list item twice":           {object: "{spec: {parts: [{name: a}, {name: a}]}}", want: "Duplicate value"},
		"status alone":              {object: "{status: {id: x}}", status: true},
		"unknown field of a status": {object: "{status: {di: x}}", status: true, want: `unknown field "status.di"`},
		"wrong type in a status":    {object: "{status: {id: 1}}", status: true, want: "status.id: Invalid value"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			definition := widgetSchema(t)
			object, err := readObject([]byte("{apiVersion: example.com/v1, kind: Widget, " + test.object[1:]))
			if err != nil {
				t.Fatal(err)
			}
			admit := definition.Admit
			if test.status {
				admit = definition.AdmitStatus
			}
			got := fmt.Sprint(errors.Join(admit(object)...))
			if test.want == "" && got != "<nil>" || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestProblemsOfRenderedObjectsAreFound(t *testing.T) {
	container := coreapply.Container().WithName("c").WithImage("i")
	deployment := func(container *coreapply.ContainerApplyConfiguration) components.Object {
		return components.Owned(appsapply.Deployment("d", "n").WithSpec(appsapply.DeploymentSpec().WithTemplate(
			coreapply.PodTemplateSpec().WithSpec(coreapply.PodSpec().WithContainers(container)))))
	}
	restricted := coreapply.Container().WithName("c").WithImage("i").WithSecurityContext(coreapply.SecurityContext().
		WithRunAsNonRoot(true).WithAllowPrivilegeEscalation(false).
		WithCapabilities(coreapply.Capabilities().WithDrop("ALL")).
		WithSeccompProfile(coreapply.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)))

	rendered, golden, err := encode([]components.Object{deployment(container)})
	if err != nil {
		t.Fatal(err)
	}
	if got := podProblems(rendered); len(got) != 1 || !strings.Contains(got[0], "Deployment d does not fit the restricted") {
		t.Errorf("want the unrestricted Pod reported, and nothing else: %q\n%s", got, golden)
	}
	if got := undeclared([]kinds.Kind{kinds.StatefulSet}, rendered); len(got) != 1 {
		t.Errorf("an undeclared kind is not reported: %q", got)
	}
	if got := undeclared([]kinds.Kind{kinds.Deployment}, rendered); got != nil {
		t.Errorf("a declared kind is reported: %q", got)
	}

	rendered, _, err = encode([]components.Object{deployment(restricted), deployment(restricted)})
	if err != nil {
		t.Fatal(err)
	}
	if got := podProblems(rendered); got != nil {
		t.Errorf("a restricted Pod is reported: %q", got)
	}
	rendered, _, err = encode([]components.Object{components.Owned(appsapply.Deployment("d", "n").WithSpec(appsapply.DeploymentSpec().WithTemplate(
		coreapply.PodTemplateSpec().WithSpec(coreapply.PodSpec().
			WithContainers(restricted.WithVolumeMounts(coreapply.VolumeMount().WithName("seen").WithMountPath("/seen"))).
			WithVolumes(coreapply.Volume().WithName("seen").WithEmptyDir(coreapply.EmptyDirVolumeSource()),
				coreapply.Volume().WithName("forgotten").WithEmptyDir(coreapply.EmptyDirVolumeSource()))))))})
	if err != nil {
		t.Fatal(err)
	}
	if got := podProblems(rendered); len(got) != 1 || !strings.Contains(got[0], "forgotten") {
		t.Errorf("a volume that nobody mounts is not reported: %q", got)
	}
	rendered, _, err = encode([]components.Object{deployment(restricted), deployment(restricted)})
	if err != nil {
		t.Fatal(err)
	}
	if got := duplicates(rendered); len(got) != 1 {
		t.Errorf("an object that is rendered twice is not reported: %q", got)
	}
}

func TestGoldenFilesShowTheMarksOfObjects(t *testing.T) {
	secret := components.Data(coreapply.Secret("s", "n"))
	secret.Generate = []components.Random{{Key: "password", Bytes: 16}}
	status := components.Owned(coreapply.ConfigMap("c", "n"))
	status.Subresource = "status"
	_, got, err := encode([]components.Object{secret, status})
	if err != nil {
		t.Fatal(err)
	}
	want := `# holds data, generates password (16 bytes)
apiVersion: v1
kind: Secret
metadata:
  name: s
  namespace: "n"
---
# subresource status
apiVersion: v1
kind: ConfigMap
metadata:
  name: c
  namespace: "n"
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFactsOfACase(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The schema is found from the folder of the package, so it stays the working directory.
	write(hubFile, `{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {name: odh, namespace: data}, spec: {components: {kafka: {}}}}`)
	write(factsFile, `
cluster: {openShift: true, served: {Kafka.kafka.strimzi.io: v1beta2}}
secrets: {s: {keys: [k], digest: d}}
live: [{apiVersion: v1, kind: ConfigMap, metadata: {name: c, generation: 3}}]
`)
	facts, err := readFacts(folder)
	if err != nil {
		t.Fatal(err)
	}
	if facts.Spec.Profile != "Standard" || facts.Spec.Components.Kafka.ManagementState != "Managed" {
		t.Errorf("the defaults of the schema are missing: %+v", facts.Spec)
	}
	if got := facts.GVK(kafka.Kafka).Version; got != "v1beta2" {
		t.Errorf("served version %q, want v1beta2", got)
	}
	if !facts.Cluster.OpenShift || facts.Secrets["s"].Digest != "d" {
		t.Errorf("facts are missing: %+v", facts)
	}
	if got := facts.Live.Find(kinds.ConfigMap.GroupKind, "c").GetGeneration(); got != 3 {
		t.Errorf("generation %d, want 3", got)
	}

	write(factsFile, "cluster: {openshift: true, unknown: 1}")
	if _, err := readFacts(folder); err == nil {
		t.Error("a wrong key in facts.yaml is accepted")
	}
	write(hubFile, `{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {name: odh, namespace: data}, spec: {profil: Standard}}`)
	if _, err := readFacts(folder); !errors.Is(err, errRefused) {
		t.Errorf("a wrong field in hub.yaml gives %v", err)
	}
}
