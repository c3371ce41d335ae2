package monitoring_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Modules that say which versions are run.
const (
	prometheusModule = "../../hack/promtool" // with its Alertmanager
	operatorModule   = "../../hack/prometheus-operator"
)

// build has the programs, by name: built once for each version of theirs and of Go.
func build(t *testing.T) map[string]string {
	t.Helper()
	const alertmanager = "github.com/prometheus/alertmanager"
	programs := map[string]string{}
	built := func(module, of, with string, fill func(folder string) error, names ...string) {
		t.Helper()
		version, err := goCommand(t, module, "list", "-m", "-f", "{{.Version}}", of)
		if err != nil {
			t.Fatal(err)
		}
		folder := kept(t, filepath.Join("bin", strings.Join([]string{path.Base(of) + with, version, runtime.Version()}, "-")), fill)
		for _, name := range names {
			programs[name] = filepath.Join(folder, name)
		}
	}
	// It finds targets by what the operator renders, and by nothing else.
	built(prometheusModule, "github.com/prometheus/prometheus", "-with-dns", func(folder string) error {
		_, err := goCommand(t, prometheusModule, "build", "-tags", "remove_all_sd,enable_kubernetes_sd,enable_dns_sd", "-o", folder+"/",
			"github.com/prometheus/prometheus/cmd/prometheus", "github.com/prometheus/prometheus/cmd/promtool")
		return err
	}, "prometheus", "promtool")
	built(operatorModule, "github.com/prometheus-operator/prometheus-operator", "", func(folder string) error {
		_, err := goCommand(t, operatorModule, "build", "-o", folder+"/", "github.com/prometheus-operator/prometheus-operator/cmd/operator")
		return err
	}, "operator")
	// Its module has no web pages, which are made with Node.js: a copy of it has an empty one.
	built(prometheusModule, alertmanager, "", func(folder string) error {
		_, err := goCommand(t, prometheusModule, "mod", "download", alertmanager)
		if err != nil {
			return err
		}
		module, err := goCommand(t, prometheusModule, "list", "-m", "-f", "{{.Dir}}", alertmanager)
		if err != nil {
			return err
		}
		sources := t.TempDir()
		pages := filepath.Join(sources, "ui", "app", "dist")
		if err := cmp.Or(os.CopyFS(sources, os.DirFS(module)), os.Mkdir(pages, 0o700), os.WriteFile(filepath.Join(pages, "index.html"), nil, 0o600)); err != nil {
			return err
		}
		_, err = goCommand(t, sources, "build", "-o", folder+"/", "./cmd/alertmanager") // with the versions of its own module
		return err
	}, "alertmanager")
	return programs
}

// goCommand runs Go in the folder of a module, and returns what it says.
func goCommand(t *testing.T, module string, args ...string) (string, error) {
	t.Helper()
	// Suites beside it have bounds of time, and must not wait for what is built once.
	command := exec.CommandContext(t.Context(), "nice", append([]string{"go"}, args...)...)
	command.Dir = module
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, problems.String())
	}
	return strings.TrimSpace(string(out)), nil
}

func (s *site) program(name string) string { return s.programs[name] }

// httpProxy is the proxy of JupyterHub, from the registry that npm is set up for.
func httpProxy(t *testing.T, version string) string {
	t.Helper()
	folder := kept(t, "configurable-http-proxy-"+version, func(folder string) error {
		out, err := exec.CommandContext(t.Context(), "npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", folder,
			"configurable-http-proxy@"+version).CombinedOutput()
		if err != nil {
			return fmt.Errorf("fetching the proxy of JupyterHub: %w\n%s", err, out)
		}
		return nil
	})
	return filepath.Join(folder, "node_modules", ".bin", "configurable-http-proxy")
}

// kept is a folder in the user's cache folder that is filled once.
func kept(t *testing.T, name string, fill func(folder string) error) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "opendatahub", name)
	parent := filepath.Dir(folder)
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	making, err := os.MkdirTemp(parent, "making") //nolint:usetesting // a folder beside the one it becomes: a rename does not cross file systems
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(making) //nolint:errcheck // nothing is there when it worked
	if err := fill(making); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(making, folder); err != nil { // unless another test was faster
		if _, missing := os.Stat(folder); missing != nil {
			t.Fatal(err)
		}
	}
	return folder
}
