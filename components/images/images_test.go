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
	if _, err := ParseTable([]byte("pullSecrets: [Mirror]")); err == nil || !strings.Contains(err.Error(), `pullSecrets: "Mirror" is no name`) {
		t.Errorf("a name that no Secret has: %v", err)
	}
	if _, err := ParseTable([]byte("image: {}")); err == nil {
		t.Error("an unknown field is accepted")
	}
}

func TestRelated(t *testing.T) {
	names := map[string]string{"HUB": "quay.io/hub/hub:1", "PROXY": "quay.io/hub/proxy:1", "CEPH": "quay.io/ceph/ceph:v1"}
	related, unknown, err := Related([]string{
		"PATH=/bin", "RELATED_IMAGE_HUB=registry.example.com/hub" + digest, "RELATED_IMAGE_PROXY=", "RELATED_IMAGE_CEPH=quay.io/ceph/ceph:v1",
		"RELATED_IMAGE_OLD=quay.io/old/old:1",
	}, names)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"quay.io/hub/hub:1": "registry.example.com/hub" + digest}, related); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !slices.Equal(unknown, []string{"RELATED_IMAGE_OLD"}) {
		t.Errorf("unknown: %q", unknown)
	}
	_, _, err = Related([]string{"RELATED_IMAGE_HUB=hub", "RELATED_IMAGE_CEPH=quay.io/ceph/ceph"}, names)
	for _, want := range []string{`RELATED_IMAGE_HUB: "hub" is no image`, `RELATED_IMAGE_CEPH: "quay.io/ceph/ceph" is no image`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestRelatedComesLast: what the environment says counts as what is rendered, and an administrator's table comes on top.
func TestRelatedComesLast(t *testing.T) {
	related := map[string]string{"quay.io/hub/hub:1": "quay.io/hub/hub" + digest}
	for name, test := range map[string]struct {
		table Table
		want  string
	}{
		"alone":                  {Table{}, "quay.io/hub/hub" + digest},
		"below a registry":       {Table{Registries: map[string]string{"quay.io": "mirror.example.com"}}, "mirror.example.com/hub/hub" + digest},
		"below what is rendered": {Table{Images: map[string]string{"quay.io/hub/hub:1": "mirror.example.com/hub:2"}}, "mirror.example.com/hub:2"},
		"below itself":           {Table{Images: map[string]string{"quay.io/hub/hub" + digest: "mirror.example.com/hub:3"}}, "mirror.example.com/hub:3"},
	} {
		test.table.Related = related
		if got := test.table.Image("quay.io/hub/hub:1"); got != test.want || test.table.Empty() {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestAddPullSecrets(t *testing.T) {
	table := Table{PullSecrets: []string{"mirror", "second"}}
	for name, test := range map[string]struct{ object, want map[string]any }{
		"ServiceAccount": {
			map[string]any{"apiVersion": "v1", "kind": "ServiceAccount"},
			map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": []any{map[string]any{"name": "mirror"}, map[string]any{"name": "second"}}},
		},
		"one that has some": {
			map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": []any{map[string]any{"name": "second"}, map[string]any{"name": "own"}}},
			map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": []any{map[string]any{"name": "second"}, map[string]any{"name": "own"}, map[string]any{"name": "mirror"}}},
		},
		"another kind": {map[string]any{"apiVersion": "v1", "kind": "Secret"}, map[string]any{"apiVersion": "v1", "kind": "Secret"}},
	} {
		table.AddPullSecrets(test.object)
		if diff := cmp.Diff(test.want, test.object); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	account := map[string]any{"apiVersion": "v1", "kind": "ServiceAccount"}
	if (Table{}).AddPullSecrets(account); len(account) != 2 || table.Empty() {
		t.Errorf("without Secrets: %v", account)
	}
}
