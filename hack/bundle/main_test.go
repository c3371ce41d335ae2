package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const repository = "../.."

func TestBundleIsAccepted(t *testing.T) {
	folder := t.TempDir()
	if err := generate(repository, folder, "0.1.0", "registry.example.com/operator:v0.1.0"); err != nil {
		t.Fatal(err)
	}
	if err := validate(folder); err != nil {
		t.Error(err)
	}
	csv, err := os.ReadFile(filepath.Join(folder, "manifests", packageName+".clusterserviceversion.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"name: opendatahub-operator.v0.1.0", "image: registry.example.com/operator:v0.1.0", "value: registry.example.com/operator:v0.1.0", "serviceAccountName: opendatahub-operator",
	} {
		if !strings.Contains(string(csv), want) {
			t.Errorf("the ClusterServiceVersion lacks %q", want)
		}
	}
}

func TestBrokenBundleIsRefused(t *testing.T) {
	folder := t.TempDir()
	if err := generate(repository, folder, "0.1.0", "registry.example.com/operator:v0.1.0"); err != nil {
		t.Fatal(err)
	}
	// Without its CustomResourceDefinition the bundle owns what it does not have.
	if err := os.Remove(filepath.Join(folder, "manifests", "opendatahub.io_opendatahubs.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := validate(folder); err == nil {
		t.Error("a bundle without its CustomResourceDefinition is accepted")
	}
}

// TestNamespaceInBundleIsRefused: OLM's unpacking refuses such a bundle, and the validators of package validation do not look.
func TestNamespaceInBundleIsRefused(t *testing.T) {
	folder := t.TempDir()
	if err := generate(repository, folder, "0.1.0", "registry.example.com/operator:v0.1.0"); err != nil {
		t.Fatal(err)
	}
	service := filepath.Join(folder, "manifests", "opendatahub-operator-metrics_v1_service.yaml")
	content, err := os.ReadFile(service)
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Replace(content, []byte("metadata:\n"), []byte("metadata:\n  namespace: elsewhere\n"), 1)
	if err := os.WriteFile(service, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := validate(folder); err == nil || !strings.Contains(err.Error(), "metadata.namespace") {
		t.Errorf("validate = %v; want an error about metadata.namespace", err)
	}
}

func TestVersionMustBeSemantic(t *testing.T) {
	if err := generate(repository, t.TempDir(), "latest", "registry.example.com/operator:latest"); err == nil {
		t.Error("the version latest is accepted")
	}
}
