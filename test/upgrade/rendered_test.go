package upgrade

import (
	"bytes"
	"maps"
	"path/filepath"
	"testing"

	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components/catalog"
)

// TestRendered has the previous version and this one render the samples of the previous one, and wants the reason for each difference in
// changes.yaml, and no reason for what is the same.
func TestRendered(t *testing.T) {
	previous, root := previous(t)
	changed := map[string]string{}
	for _, sample := range []string{"opendatahub.yaml", "full.yaml"} {
		file := filepath.Join(previous.sources, "config", "samples", sample)
		for _, platform := range [][]string{nil, {"--openshift", "--ingress-domain", "apps.example.com"}} {
			arguments := append([]string{"render", "--filename", file}, platform...)
			manifests, err := output(t.Context(), root, append([]string{previous.binary}, arguments...)...)
			if err != nil {
				t.Fatal(err)
			}
			before, err := decoded(manifests)
			if err != nil {
				t.Fatal(err)
			}
			var printed bytes.Buffer
			command := cmd.New("test", catalog.All())
			command.SetArgs(arguments)
			command.SetOut(&printed)
			if err := command.Execute(); err != nil {
				t.Fatalf("a resource that the previous version accepted is refused: %v", err)
			}
			after, err := decoded(printed.String())
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(changed, differences(t, before, after))
		}
	}
	checkReasons(t, root, changed)
	for name := range reasons(t, root) {
		if changed[name] == "" {
			t.Errorf("%s does not change: take it out of test/upgrade/changes.yaml", name)
		}
	}
}
