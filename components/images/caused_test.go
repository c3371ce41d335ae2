package images

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// operator is what a chart renders, with images in all the ways in which charts name them.
const operator = `
kind: List
items:
- kind: Deployment
  spec:
    template:
      spec:
        initContainers:
        - {name: init, image: busybox}
        containers:
        - name: operator
          image: strimzi/operator:1.3.0
          args: [--default-base=quay.io/prometheus/prometheus, "--reloader=quay.io/prometheus/reloader:v1", --domain=example.com/path]
          env:
          - {name: KAFKA_IMAGES, value: "4.0=quay.io/strimzi/kafka:4.0\n4.1=quay.io/strimzi/kafka:4.1"}
          - {name: HOME, value: "https://quay.io/docs:1"}
        - {name: other, image: "registry.example.com/other:1"}
- kind: ConfigMap
  data: {ROOK_CSI_IMAGE: "quay.io/cephcsi/cephcsi:v3", config: "image: ghcr.io/a/b:1\nplugin: quay.io/a/c:2"}
- kind: ClusterPolicy
  spec:
    driver: {repository: nvcr.io/nvidia, image: driver, version: "580"}
    toolkit: {repository: nvcr.io/nvidia/k8s, image: toolkit, version: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
    manager: {repository: nvcr.io/nvidia, image: manager}
`

func decoded(t *testing.T, text string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestCaused(t *testing.T) {
	object := decoded(t, operator)
	found := Caused(object)
	slices.Sort(found)
	want := []string{
		"docker.io/library/busybox", "docker.io/strimzi/operator:1.3.0", "ghcr.io/a/b:1", "nvcr.io/nvidia/driver:580", "nvcr.io/nvidia/k8s/toolkit" + digest,
		"quay.io/a/c:2", "quay.io/cephcsi/cephcsi:v3", "quay.io/prometheus/reloader:v1", "quay.io/strimzi/kafka:4.0", "quay.io/strimzi/kafka:4.1",
		"registry.example.com/other:1",
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(decoded(t, operator), object); diff != "" {
		t.Errorf("looking changes (-before +after):\n%s", diff)
	}
}

func TestReplaceCaused(t *testing.T) {
	object := decoded(t, operator)
	Table{
		Images:     map[string]string{"nvcr.io/nvidia/driver:580": "mirror.example.org/gpu/driver" + digest},
		Registries: map[string]string{"quay.io": "mirror.example.org/quay", "docker.io": "mirror.example.org/hub", "ghcr.io": "mirror.example.org/ghcr", "nvcr.io": "mirror.example.org/nvidia"},
	}.ReplaceCaused(object)
	want := decoded(t, `
kind: List
items:
- kind: Deployment
  spec:
    template:
      spec:
        initContainers:
        - {name: init, image: mirror.example.org/hub/library/busybox}
        containers:
        - name: operator
          image: mirror.example.org/hub/strimzi/operator:1.3.0
          args: [--default-base=mirror.example.org/quay/prometheus/prometheus, "--reloader=mirror.example.org/quay/prometheus/reloader:v1", --domain=example.com/path]
          env:
          - {name: KAFKA_IMAGES, value: "4.0=mirror.example.org/quay/strimzi/kafka:4.0\n4.1=mirror.example.org/quay/strimzi/kafka:4.1"}
          - {name: HOME, value: "https://quay.io/docs:1"}
        - {name: other, image: "registry.example.com/other:1"}
- kind: ConfigMap
  data: {ROOK_CSI_IMAGE: "mirror.example.org/quay/cephcsi/cephcsi:v3", config: "image: mirror.example.org/ghcr/a/b:1\nplugin: mirror.example.org/quay/a/c:2"}
- kind: ClusterPolicy
  spec:
    driver: {repository: mirror.example.org/gpu, image: driver, version: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
    toolkit: {repository: mirror.example.org/nvidia/nvidia/k8s, image: toolkit, version: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
    manager: {repository: mirror.example.org/nvidia/nvidia, image: manager}
`)
	if diff := cmp.Diff(want, object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	Table{}.ReplaceCaused(object)
	if diff := cmp.Diff(want, object); diff != "" {
		t.Errorf("an empty table changes something (-before +after):\n%s", diff)
	}
}
