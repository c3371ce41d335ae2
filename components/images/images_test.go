package images

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestReplace(t *testing.T) {
	table := Table{
		Images:     map[string]string{"quay.io/hub/hub:1": "registry.example.com/hub" + digest},
		Registries: map[string]string{"quay.io": "mirror.example.com:5000/quay", "quay.io/strimzi": "mirror.example.com:5000/kafka"},
	}
	value := map[string]any{
		"image":  "quay.io/hub/hub:1",
		"second": "quay.io/hub/hub:12",
		"third":  "quay.io/strimzi/kafka:1.2.0-kafka-4.3.1",
		"file":   `{"image": "quay.io/hub/hub:1", "other": "ghcr.io/mlflow/mlflow:v3", "page": "https://quay.io/hub/hub:1"}`,
		"list":   []any{"--image=quay.io/a/b:2", int64(3), nil, true, "quay.io/no/tag"},
	}
	want := map[string]any{
		"image":  "registry.example.com/hub" + digest,
		"second": "mirror.example.com:5000/quay/hub/hub:12",
		"third":  "mirror.example.com:5000/kafka/kafka:1.2.0-kafka-4.3.1",
		"file":   `{"image": "registry.example.com/hub` + digest + `", "other": "ghcr.io/mlflow/mlflow:v3", "page": "https://quay.io/hub/hub:1"}`,
		"list":   []any{"--image=mirror.example.com:5000/quay/a/b:2", int64(3), nil, true, "quay.io/no/tag"},
	}
	if diff := cmp.Diff(want, table.Replace(value)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := (Table{}).Replace("quay.io/hub/hub:1"); got != "quay.io/hub/hub:1" {
		t.Errorf("an empty table makes %v", got)
	}
}

func TestFind(t *testing.T) {
	text := "a: quay.io/a/b:1, b: docker.io/library/c" + digest + " (https://example.com/x:1) example.com/path"
	if got := Find(text); !slices.Equal(got, []string{"quay.io/a/b:1", "docker.io/library/c" + digest}) {
		t.Errorf("found %q", got)
	}
}

func TestParseTable(t *testing.T) {
	table, err := ParseTable([]byte("images: {\"quay.io/a/b:1\": \"registry.example.com/b" + digest + "\"}\nregistries: {quay.io: \"registry.example.com:5000/mirror\"}\n"))
	if err != nil || table.Empty() {
		t.Errorf("%+v, %v", table, err)
	}
	_, err = ParseTable([]byte("images: {nginx: \"registry.example.com/nginx:1\", \"quay.io/a/b\": \"quay.io/a/b:1\"}\nregistries: {\"https://quay.io\": registry}\n"))
	for _, want := range []string{`images: "nginx" is no image`, `images: "quay.io/a/b" is no image`, `registries: "https://quay.io" is no registry`, `registries: "registry" is no registry`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := ParseTable([]byte("image: {}")); err == nil {
		t.Error("an unknown field is accepted")
	}
}
