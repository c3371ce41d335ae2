package cmd

import (
	"strings"
	"testing"
)

func TestReferenceHasEveryCommand(t *testing.T) {
	out, _, err := opendatahub(t, "", "reference")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range New("v1.2.3", nil).Commands() {
		title := "\n### opendatahub " + command.Name() + "\n"
		if got := strings.Count(out, title); (got == 1) != (!command.Hidden && command.Name() != "help") {
			t.Errorf("%s is there %d times, hidden %t", command.Name(), got, command.Hidden)
		}
	}
	if strings.Count(out, "--as-group") != 1 {
		t.Error("flags of kubectl are there once")
	}
}

func TestInstallRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		want      string
	}{
		"another dry run":                      {[]string{"--dry-run=maybe"}, `--dry-run "maybe": use client or server`},
		"an installer for named namespaces":    {[]string{"--watch-namespaces", "one"}, "add --without-installer"},
		"rights in all and in some namespaces": {[]string{"--watch-namespaces", "one", "--without-installer", "--cluster-wide"}, "no rights in the cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := opendatahub(t, "", append([]string{"install"}, test.arguments...)...); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestInstallSaysWhatIsNext(t *testing.T) {
	for name, test := range map[string]struct {
		options   installOptions
		want, not []string
	}{
		"with the installer":           {want: []string{"allow-installs=true", "kubectl create namespace opendatahub\n"}, not: []string{"opendatahub grants"}},
		"without it":                   {options: installOptions{withoutInstaller: true}, want: []string{"opendatahub grants -f", "opendatahub dependencies -f"}, not: []string{"allow-installs"}},
		"without it, with rights":      {options: installOptions{withoutInstaller: true, clusterWide: true}, want: []string{"opendatahub dependencies -f"}, not: []string{"opendatahub grants"}},
		"in namespaces that are there": {options: installOptions{withoutInstaller: true, watchNamespaces: []string{"one", "two"}}, want: []string{"namespace: one}"}, not: []string{"create namespace"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := test.options.next()
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("it lacks %q:\n%s", want, text)
				}
			}
			for _, not := range test.not {
				if strings.Contains(text, not) {
					t.Errorf("it has %q:\n%s", not, text)
				}
			}
		})
	}
}
