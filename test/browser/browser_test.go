package browser

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestEnd: a browser leaves no process and no temporary files.
func TestEnd(t *testing.T) {
	if _, err := exec.LookPath(Program); err != nil {
		if os.Getenv("OPENDATAHUB_TEST_BROWSER") == "must" {
			t.Fatal(err)
		}
		t.Skipf("%v: it needs a browser", err)
	}
	temporary, profile := t.TempDir(), filepath.Join(t.TempDir(), "profile")
	t.Setenv("TMPDIR", temporary)
	t.Run("browser", func(t *testing.T) {
		b := Start(t, profile)
		b.Open("data:text/html,<title>a page</title>")
		if title := b.Eval("document.title"); title != "a page" {
			t.Errorf("its title is %q", title)
		}
		if entries, err := os.ReadDir(temporary); err != nil || len(entries) == 0 {
			t.Errorf("a browser keeps files elsewhere now: %v", err)
		}
	})
	if entries, err := os.ReadDir(temporary); err != nil || len(entries) > 0 {
		t.Errorf("it leaves %v (%v)", entries, err)
	}
	if output, err := exec.CommandContext(t.Context(), "pgrep", "--full", profile).Output(); err == nil {
		t.Errorf("it leaves the processes %s", output)
	}
}
