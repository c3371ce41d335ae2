package cmd

import (
	"strings"
	"testing"
)

// TestDiffFailsAsDiffDoes: exit code 1 says that there are differences, so what goes wrong has another one.
func TestDiffFailsAsDiffDoes(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		want      string
	}{
		"another format":          {[]string{"-o", "yaml"}, `--output "yaml": use text or json`},
		"a name and a file":       {[]string{"odh", "-f", "-"}, "odh: with --filename the names are in the files"},
		"a flag that is none":     {[]string{"--all"}, "unknown flag: --all"},
		"two names":               {[]string{"one", "two"}, "accepts at most 1 arg(s)"},
		"no cluster that answers": {[]string{"--server", "https://127.0.0.1:1", "-n", "lab"}, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := opendatahub(t, odh, append([]string{"diff"}, test.arguments...)...)
			if code, message := Exit(err); code != exitTrouble || !strings.Contains(message, test.want) {
				t.Errorf("exit code %d, %q", code, message)
			}
		})
	}
}

func TestDiffColoursOnTerminals(t *testing.T) {
	for line, want := range map[string]string{
		"-a\n": "\x1b[31m-a\x1b[0m\n", "+a\n": "\x1b[32m+a\x1b[0m\n", " a\n": " a\n", "--- a\n": "\x1b[1m--- a\x1b[0m\n", "@@ -1 +1 @@\n": "\x1b[36m@@ -1 +1 @@\x1b[0m\n",
	} {
		if got := style(true).diffLine(line); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
		if got := style(false).diffLine(line); got != line {
			t.Errorf("%q becomes %q without colour", line, got)
		}
	}
}
