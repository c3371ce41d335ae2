package cmd

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"opendatahub.io/operator/components/catalog"
)

// TestPortalKnowsTheGuides: without a folder the page has those of all components, so all can be read.
func TestPortalKnowsTheGuides(t *testing.T) {
	guides, err := readGuides("", catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("..", "components", "*", "guide.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no guides are found: %v", err)
	}
	if len(guides) != len(files) {
		t.Errorf("%d guides for %d files: %v", len(guides), len(files), slices.Sorted(maps.Keys(guides)))
	}
}

func TestPortalRefusesWhatItCannotServe(t *testing.T) {
	good := PortalOptions{
		ProcessOptions: ProcessOptions{Namespace: "lab"}, Platform: "odh", Authentication: "OIDC", Address: "127.0.0.1:8000",
	}
	if err := good.complete(); err != nil {
		t.Error(err)
	}
	for name, test := range map[string]struct {
		change func(*PortalOptions)
		want   string
	}{
		"no platform":                {func(o *PortalOptions) { o.Platform = "" }, "--platform"},
		"no namespace":               {func(o *PortalOptions) { o.Namespace = "" }, "--namespace"},
		"an address that others see": {func(o *PortalOptions) { o.Address = "0.0.0.0:8000" }, "loopback"},
		"nobody who knows visitors":  {func(o *PortalOptions) { o.Authentication = "None" }, "use Local, OIDC or OpenShift"},
	} {
		options := good
		test.change(&options)
		if err := options.complete(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
