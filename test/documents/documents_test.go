package documents

// These tests run the commands of the documentation on a local cluster with a platform: kubectl and opendatahub are real, as are the API server
// and what is deployed; nodes and Pods are played.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"mvdan.cc/sh/v3/syntax"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/container"
	"opendatahub.io/operator/test/harness"
)

const (
	namespace = "opendatahub"
	spec      = `{profile: Development, components: {ceph: {}, jupyterHub: {}, kafka: {topics: [{name: events}]}, mlflow: {}, spark: {}, argoWorkflows: {}, seldon: {}, monitoring: {}, portal: {}}}`
)

// harmless is a kubectl that changes nothing, so that the order of documents does not matter: the API server checks each change, and forgets it.
// Only what later lines of a block refer to is made.
const harmless = `#!/usr/bin/env bash
case "$1 ${2:-}" in
"create secret" | "create configmap" | "create namespace")
  set -o pipefail
  "$KUBECTL" "$@" --dry-run=client -o yaml | "$KUBECTL" apply --server-side --force-conflicts -f - ;;
"create token") exec "$KUBECTL" "$@" ;;
"apply "* | "create "* | "delete "* | "patch "* | "label "* | "annotate "* | "set "*) exec "$KUBECTL" "$@" --dry-run=server ;;
*) exec "$KUBECTL" "$@" ;;
esac
`

// status ends a script with the exit code of its last pipeline, and with 90 if another part of that failed than the last.
const status = `codes=("${PIPESTATUS[@]}")
for code in "${codes[@]::${#codes[@]}-1}"; do [ "$code" = 0 ] || exit 90; done
exit "${codes[-1]}"
`

// answers are exit codes of commands that say something else than that they failed.
var answers = map[int]*regexp.Regexp{
	1: regexp.MustCompile(`\bdiff\b|\bcan-i\b|\| grep [^|]*$`), // there is a difference; no; nothing is found
	3: regexp.MustCompile(`\bdoctor\b`),                        // there are warnings only
}

var (
	// runs are the programs that are run here; docs/blocks_test.go knows the others.
	runs = strings.Fields("awk base64 cat date grep kubectl opendatahub sed tail xargs")
	// ofTheClone are programs by which the tutorial starts and stops the cluster and changes the version, which are given here.
	ofTheClone = strings.Fields("make export git go")
	// notHere are parts of commands that are not run here, and why.
	notHere = map[string]string{
		"opendatahub install":                     "changes the operator, which others need; test/setup runs it",
		"opendatahub uninstall":                   "as install",
		"opendatahub portal":                      "stays until Ctrl-C; the tutorial is run with it",
		"kubectl exec":                            "talks to a Pod, and Pods are played",
		"kubectl logs":                            "as exec",
		"kubectl port-forward":                    "as exec",
		"kubectl top":                             "as exec",
		"--watch":                                 "stays until Ctrl-C",
		"--open":                                  "opens a browser",
		"--for deleted":                           "waits until nothing is left",
		"--operators":                             "reads charts from registries",
		"dependencies -f hub.yaml --openshift":    "applies kinds of the Operator Lifecycle Manager",
		"config/gitops/argocd":                    "applies kinds of Argo CD; test/gitops does",
		"config/gitops/flux":                      "applies kinds of Flux; test/gitops does",
		"config/gitops/platform":                  "writes to the checkout",
		"ca-certificates.crt":                     "is a file of Debian",
		"clusterrolebinding opendatahub-platform": "deletes what earlier versions made",
		"createdb":                                "needs a PostgreSQL",
		"NAME":                                    "is for the reader to fill in",
		"gpu-1":                                   "is a node of the reader's",
		"jupyter-ada":                             "is a notebook of a user's",
	}
)

func TestCommands(t *testing.T) {
	env := platform(t)
	sh := newShell(t, env)
	t.Run("blocks", func(t *testing.T) { testBlocks(t, env.Root, sh) })
	t.Run("first hour", func(t *testing.T) { testFirstHour(t, env.Root, sh) })
}

// testBlocks runs what can be run of each block. Each block begins anew, but for what others made.
func testBlocks(t *testing.T, root string, sh shell) {
	t.Helper()
	count := 0
	blocks, err := Blocks(root, "sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks {
		if filepath.Base(block.Document) == Tutorial {
			continue // its lines need those before them
		}
		t.Run(block.String(), func(t *testing.T) {
			for _, statement := range runnable(t, block.Text) {
				count++
				code, output := sh.run(t, statement+"\n"+status, filepath.Join(sh.folder, "harmless"))
				if answer := answers[code]; code != 0 && (answer == nil || !answer.MatchString(statement)) {
					t.Errorf("%s\nends with exit code %d\n%s", statement, code, output)
				}
			}
		})
	}
	for part, why := range notHere {
		if !slices.ContainsFunc(blocks, func(block Block) bool { return strings.Contains(block.Text, part) }) {
			t.Errorf("no command has %q, which %s: take it out", part, why)
		}
	}
	if count < 100 {
		t.Errorf("only %d commands were run", count)
	}
}

// testFirstHour does all that the tutorial says after the platform of `make run` is there. What fails there, as the recording shows, must fail here.
func testFirstHour(t *testing.T, root string, sh shell) {
	t.Helper()
	commands, err := ReadRecording(filepath.Join(root, "docs", Recording))
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(sh.folder, ".local", "clusters", "first", "kubeconfig")
	if err := os.MkdirAll(filepath.Dir(kubeconfig), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(sh.kubeconfig, kubeconfig); err != nil {
		t.Fatal(err)
	}
	address := container.FreeAddress(t) // of the page
	looked := false
	for _, command := range commands {
		text := strings.ReplaceAll(command.Text, "127.0.0.1:8000", address)
		switch program := strings.Fields(text)[0]; {
		case slices.Contains(ofTheClone, program):
			continue
		case strings.HasPrefix(text, "bin/opendatahub portal "):
			page := container.Start(t, sh.command(t, "exec "+text+" --bind-address "+address))
			if !page.Until(func() bool { return strings.Contains(page.Output(), address) }) {
				t.Fatalf("%s\nends at once\n%s", text, page.Output())
			}
			continue
		}
		code, output := sh.run(t, text)
		if code != command.Code {
			t.Fatalf("%s\nends with exit code %d, and with %d in the recording\n%s", text, code, command.Code, output)
		}
		if strings.HasPrefix(text, "curl ") {
			looked = true
			if !strings.Contains(output, "Everything works") || !strings.Contains(output, "Notebooks") {
				t.Errorf("%s\nthe page is not that of the platform:\n%s", text, output)
			}
		}
	}
	if !looked {
		t.Error("nobody looks at the page")
	}
}

// shell runs commands in a folder, with the programs of this checkout.
type shell struct{ folder, kubectl, kubeconfig string }

func newShell(t *testing.T, env *harness.Env) shell {
	t.Helper()
	sh := shell{folder: t.TempDir()}
	sh.kubeconfig = filepath.Join(sh.folder, "kubeconfig")
	config, err := os.ReadFile(env.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	write(t, sh.kubeconfig, string(config), 0o600)
	sh.kubectl, err = cluster.BuildKubectl(t.Context(), cluster.BuildOptions{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(sh.folder, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(sh.folder, "harmless", "kubectl"), harmless, 0o700)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "opendatahub"), ".")
	build.Dir = env.Root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the command line: %v\n%s", err, output)
	}
	for name, destination := range map[string]string{"config": filepath.Join(env.Root, "config"), filepath.Join("bin", "kubectl"): sh.kubectl} {
		if err := os.Symlink(destination, filepath.Join(sh.folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	sample, err := os.ReadFile(filepath.Join(env.Root, "config", "samples", "opendatahub.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"hub.yaml": string(sample), "platform.yaml": string(sample), "ca.crt": "a certificate\n", "our-authority.pem": "a certificate\n", "images.yaml": "images: {}\n",
		"installer.yaml": "deletionPolicy: Retain\n",
	} {
		write(t, filepath.Join(sh.folder, name), content, 0o600)
	}
	code, output := sh.run(t, strings.Join([]string{
		"kubectl config set-context --current --namespace=" + namespace,
		"kubectl annotate namespace " + namespace + " opendatahub.io/allow-domains-", // which the harness gives it
		"kubectl create secret generic warehouse",
	}, " && "))
	if code != 0 {
		t.Fatal(output)
	}
	return sh
}

// run runs a script, and returns its exit code and output.
func (s shell) run(t *testing.T, script string, folders ...string) (int, string) {
	t.Helper()
	command := s.command(t, script, folders...)
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("running %s: %v", script, err)
	}
	return command.ProcessState.ExitCode(), string(output)
}

// command is a script, with the programs in folders before others.
func (s shell) command(t *testing.T, script string, folders ...string) *exec.Cmd {
	t.Helper()
	folders = append(folders, filepath.Join(s.folder, "bin"), os.Getenv("PATH"))
	command := exec.CommandContext(t.Context(), "bash", "-c", script)
	command.Dir = s.folder
	command.Env = append(os.Environ(), "KUBECTL="+s.kubectl, "KUBECONFIG="+s.kubeconfig,
		"PATH="+strings.Join(folders, ":"))
	return command
}

// platform is one with every component, and the operator that deploys it.
func platform(t *testing.T) *harness.Env {
	t.Helper()
	ctx := t.Context()
	harness.LogTo(io.Discard)
	env, err := harness.StartBare(ctx, catalog.All(), cluster.Options{Name: "documents", Dir: t.TempDir(), Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	env.MetricsAddress = container.FreeAddress(t)
	for _, name := range []string{"manager", "installer"} {
		if err := env.ApplyFolder(ctx, filepath.Join(env.Root, "config", name)); err != nil {
			t.Fatal(err)
		}
	}
	charts := t.TempDir()
	if err := env.WriteCharts(charts); err != nil {
		t.Fatal(err)
	}
	config := corev1ac.ConfigMap(dependencies.ConfigName, harness.OperatorNamespace).
		WithData(map[string]string{dependencies.ConfigKey: "mirror: " + charts + "\n"})
	if err := env.Admin.Apply(ctx, config, client.FieldOwner("documents"), client.ForceOwnership); err != nil {
		t.Fatal(err)
	}
	for _, start := range []func(context.Context) (*harness.Manager, error){
		func(ctx context.Context) (*harness.Manager, error) { return env.StartManager(ctx) }, env.StartInstaller,
	} {
		manager, err := start(context.WithoutCancel(ctx))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := manager.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	if err := env.EnsureNamespace(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	hub, err := env.CreatePlatform(ctx, namespace, "odh", spec)
	if err != nil {
		t.Fatal(err)
	}
	NewWithT(t).Eventually(ctx, env.Condition(hub, v1alpha1.ConditionReady)).WithTimeout(3 * time.Minute).Should(HavePrefix("True"))
	return env
}

// runnable are the statements of a script that can be run here.
func runnable(t *testing.T, text string) []string {
	t.Helper()
	file, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var statements []string
	assignments := ""
	for _, statement := range file.Stmts {
		var printed bytes.Buffer
		if err := syntax.NewPrinter().Print(&printed, statement); err != nil {
			t.Fatal(err)
		}
		if call, ok := statement.Cmd.(*syntax.CallExpr); ok && len(call.Args) == 0 {
			assignments += printed.String() + "\n" // for the lines after it
			continue
		}
		if canRun(statement, printed.String()) {
			statements = append(statements, assignments+printed.String())
		}
	}
	return statements
}

func canRun(statement *syntax.Stmt, text string) bool {
	for part := range notHere {
		if strings.Contains(text, part) {
			return false
		}
	}
	can := true
	syntax.Walk(statement, func(node syntax.Node) bool {
		if call, ok := node.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			can = can && slices.Contains(runs, filepath.Base(call.Args[0].Lit()))
		}
		return true
	})
	return can
}

func write(t *testing.T, file, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
