package upstream

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFolder(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "checkout")
	unset(t)
	if folder, err := Folder(root); folder != "" || err != nil {
		t.Errorf("with neither: %q, %v", folder, err)
	}
	beside := filepath.Join(base, "shared", "crds")
	if err := os.MkdirAll(beside, 0o750); err != nil {
		t.Fatal(err)
	}
	if folder, err := Folder(root); folder != beside || err != nil {
		t.Errorf("beside the checkout: %q, %v", folder, err)
	}
	named := t.TempDir()
	t.Setenv(Env, named)
	if folder, err := Folder(root); folder != named || err != nil {
		t.Errorf("named: %q, %v", folder, err)
	}
	t.Setenv(Env, filepath.Join(named, "missing"))
	if folder, err := Folder(root); err == nil {
		t.Errorf("a folder that does not exist was taken: %q", folder)
	}
}

// unset takes the variable away until the end of the test.
func unset(t *testing.T) {
	t.Helper()
	t.Setenv(Env, "") // remembers what was there
	if err := os.Unsetenv(Env); err != nil {
		t.Fatal(err)
	}
}
