package cmd

import (
	"bytes"
	"path/filepath"
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
		"another dry run":                      {[]string{"--dry-run=maybe"}, `--dry-run "maybe": use none, client or server`},
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

func TestHelp(t *testing.T) {
	help := func(program string, arguments ...string) string {
		var out bytes.Buffer
		root := New("v1.2.3", nil)
		root.SetOut(&out)
		if err := CalledAs(root, append(append([]string{program}, arguments...), "--help")).Execute(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, command := range New("v1.2.3", nil).Commands() {
		text := help("opendatahub", command.Name())
		own, kubectls, found := strings.Cut(text, "\n\nFlags of the connection")
		if strings.Contains(own, "--as-group") || found != strings.Contains(kubectls, "--as-group") || found && !strings.Contains(own, "--help") {
			t.Errorf("the flags of %s are not apart from those of kubectl:\n%s", command.Name(), text)
		}
		if command.Example == "" {
			continue
		}
		_, typed, _ := strings.Cut(help("/usr/local/bin/kubectl-opendatahub", command.Name()), "Examples:\n")
		typed, _, _ = strings.Cut(typed, "\n\n")
		if got := strings.Count(typed, "kubectl opendatahub "+command.Name()); got == 0 || got != strings.Count(typed, "opendatahub "+command.Name()) {
			t.Errorf("examples of the plugin are not all of the plugin:\n%s", typed)
		}
	}
	if text := help("kubectl-opendatahub"); !strings.Contains(text, "\n  kubectl opendatahub install ") {
		t.Errorf("the plugin's own examples are not:\n%s", text)
	}
}

func TestWithoutACluster(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("KUBECONFIG", none)
	t.Setenv("KUBERNETES_SERVICE_HOST", "") // a Pod that runs this test
	for name, test := range map[string]struct {
		arguments []string
		want      string
	}{
		"nothing to connect to":    {[]string{"status"}, "finding a cluster: there is no kubeconfig at " + none + "; name one with --kubeconfig or $KUBECONFIG, or a cluster with --server"},
		"a file that is not there": {[]string{"status", "--kubeconfig", none}, "finding a cluster: stat " + none + ": no such file or directory"},
		"no platform":              {[]string{"wait"}, "name one platform: opendatahub wait NAME [flags]"},
		"no component":             {[]string{"login"}, "name one component: opendatahub login COMPONENT [flags]"},
		"another word":             {[]string{"wait", "odh", "--for=broken"}, `--for "broken": use ready or deleted`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := opendatahub(t, "", test.arguments...); err == nil || err.Error() != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}
