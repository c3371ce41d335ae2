//go:build linux

package images

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestNamesAreThoseThatAreRendered(t *testing.T) {
	rendered := read(t, "components", "jupyterhub", "testdata", "development", "objects.yaml")
	for _, name := range Names() {
		if !strings.Contains(rendered, name) {
			t.Errorf("no component renders the image %s: a Pod would ask for another one", name)
		}
	}
}

func TestReadmeListsTheImages(t *testing.T) {
	readme := read(t, "README.md")
	for _, name := range append(Names(), DNSName) {
		if !strings.Contains(readme, "`"+name) {
			t.Errorf("the table of what is real does not have %s", name)
		}
	}
}

func TestNotebookHasTheVersionOfItsHub(t *testing.T) {
	version := regexp.MustCompile(`(?m)^jupyterhub==(\S+)$`)
	hub := version.FindString(read(t, "hack", "python", "jupyterhub.txt"))
	if notebook := version.FindString(notebookRequirements); notebook != hub || hub == "" {
		t.Errorf("the notebook has %q, the hub %q", notebook, hub)
	}
}

func TestKeysFollowTheContent(t *testing.T) {
	below := &layer{name: "below", build: "true"}
	keyOf := func(change func(*layer)) string {
		l := &layer{name: "top", parent: below, fetch: "a", build: "b", files: map[string]string{"f": "1"}}
		if change != nil {
			change(l)
		}
		return l.key()
	}
	same := keyOf(nil)
	if got := keyOf(nil); got != same {
		t.Errorf("the same layer has the keys %s and %s", same, got)
	}
	for name, change := range map[string]func(*layer){
		"fetch":       func(l *layer) { l.fetch = "c" },
		"build":       func(l *layer) { l.build = "c" },
		"a file":      func(l *layer) { l.files["f"] = "2" },
		"another one": func(l *layer) { l.files["g"] = "1" },
		"below":       func(l *layer) { l.parent = &layer{name: "below", build: "false"} },
	} {
		if keyOf(change) == same {
			t.Errorf("a change of %s does not change the key", name)
		}
	}
}
