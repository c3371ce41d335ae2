package upgrade

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"opendatahub.io/operator/test/cluster"
)

// wanted says whether the tests run: "must" fails where they cannot, "try" skips them there.
const wanted = "OPENDATAHUB_TEST_UPGRADE"

// A version is a version of the operator.
type version struct {
	// sources is a folder.
	sources string
	// binary is built from them.
	binary string
}

// previous is the version before this one, and root the checkout. The binary is built once and kept in the user's cache folder.
func previous(t *testing.T) (before version, root string) {
	t.Helper()
	want := os.Getenv(wanted)
	if want == "" {
		t.Skip("builds the version before this one: make check-upgrade runs it")
	}
	ctx := t.Context()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(root, "test", "upgrade", "previous.txt"))
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSpace(string(content))
	commit, err := output(ctx, root, "git", "rev-parse", "--verify", "--quiet", name+"^{commit}")
	if err != nil {
		report := t.Fatalf
		if want == "try" {
			report = t.Skipf
		}
		report("the checkout has no commit %s, which is the version before this one (test/upgrade/previous.txt), as in a shallow clone: git fetch --unshallow --tags gets it", name)
	}
	commit = strings.TrimSpace(commit)

	before.sources = t.TempDir()
	packed := filepath.Join(t.TempDir(), "sources.tar")
	for _, command := range [][]string{
		{"git", "archive", "--output", packed, commit},
		{"tar", "-xf", packed, "-C", before.sources},
	} {
		if _, err := output(ctx, root, command...); err != nil {
			t.Fatal(err)
		}
	}
	user, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(user, "opendatahub", "previous")
	before.binary = filepath.Join(cache, commit)
	if _, err := os.Stat(before.binary); err == nil {
		return before, root
	}
	if err := os.RemoveAll(cache); err != nil { // an older one
		t.Fatal(err)
	}
	built := before.binary + ".tmp"
	if _, err := output(ctx, before.sources, "go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-buildvcs=false", "-ldflags=-s -w", "-o", built, "."); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(built, before.binary); err != nil {
		t.Fatal(err)
	}
	return before, root
}

// output runs a command in a folder.
func output(ctx context.Context, folder string, words ...string) (string, error) {
	var out, problems bytes.Buffer
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Dir = folder
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("running %s: %w\n%s", strings.Join(words, " "), err, &problems)
	}
	return out.String(), nil
}
