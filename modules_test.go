package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/modfile"
)

// TestModulesAgree: the programs of local clusters are in modules of their own, which need what the operator needs as well, Kubernetes'
// libraries above all. With the same versions everything is compiled once, which on a new machine saves minutes.
func TestModulesAgree(t *testing.T) {
	own := requirements(t, "go.mod")
	for _, folder := range []string{"hack/cluster/controlplane", "hack/cluster/coredns", "hack/cluster/kwok", "hack/cluster/policies", "hack/prometheus-operator"} {
		for module, version := range requirements(t, filepath.Join(folder, "go.mod")) {
			if want, shared := own[module]; shared && version != want {
				t.Errorf("%s has %s %s, and the operator has %s: raise the lower of them, by go get %s@... there", folder, module, version, want, module)
			}
		}
	}
}

// requirements are the versions that a go.mod file names, but for what it replaces.
func requirements(t *testing.T, path string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.Parse(path, content, nil)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, requirement := range file.Require {
		versions[requirement.Mod.Path] = requirement.Mod.Version
	}
	for _, replaced := range file.Replace {
		delete(versions, replaced.Old.Path)
	}
	return versions
}
