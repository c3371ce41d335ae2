package jupyterhub_test

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/test/container"
)

// verdict is how the load test of a snippet ends, with the command, the files and the environment of its Pod.
type verdict struct {
	status int
	words  string
}

func loadTest(t *testing.T, facts components.Facts, env ...string) verdict {
	t.Helper()
	files := render(t, facts)
	pod := files.loadTest.Spec.Template.Spec
	folder := t.TempDir()
	for name, content := range files.config {
		write(t, filepath.Join(folder, "config", name), content)
	}
	write(t, filepath.Join(folder, "extra", "extra.py"), files.extra["extra.py"])
	if err := os.Mkdir(filepath.Join(folder, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, arg := range pod.Containers[0].Command[1:] {
		args = append(args, strings.Replace(arg, "/etc/jupyterhub/", filepath.Join(folder, "config")+"/", 1))
	}
	command := exec.CommandContext(t.Context(), filepath.Join(container.Programs(t, "jupyterhub"), "python"), args...)
	for _, variable := range pod.Containers[0].Env {
		command.Env = append(command.Env, variable.Name+"="+variable.Value)
	}
	words := filepath.Join(folder, "termination-log")
	command.Env = append(command.Env, "PATH="+os.Getenv("PATH"), "HOME="+folder, "ODH_CONFIG_DIR="+filepath.Join(folder, "config"),
		"ODH_EXTRA_DIR="+filepath.Join(folder, "extra"), "ODH_DATA_DIR="+filepath.Join(folder, "data"), "ODH_TERMINATION_LOG="+words)
	command.Env = append(command.Env, env...)
	command.Dir = folder
	output, err := command.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	result := verdict{status: command.ProcessState.ExitCode()}
	if content, err := os.ReadFile(words); err == nil {
		result.words = string(content)
	}
	t.Logf("the load test says:\n%s", output)
	return result
}

func withExtra(python string) components.Facts {
	return platform(func(facts *components.Facts) { facts.Spec.Components.JupyterHub.ExtraConfig = python })
}

// The real JupyterHub loads what is good, and says what is wrong with what is not.
func TestLoadTest(t *testing.T) {
	t.Parallel()
	passes := `
import os
from traitlets.config import Config

c.JupyterHub.template_vars = {"announcement": "\"Closed\" on {Friday}"}
assert c.JupyterHub.load_roles[0]["name"] == "prometheus"  # what the platform has is there
c.JupyterHub.services.append({"name": "audit", "api_token": "x" * 32})
c.JupyterHub.load_roles.append({"name": "audit", "services": ["audit"], "scopes": ["list:users"]})

def hook(spawner):
    spawner.environment["A"] = os.getcwd()

c.KubeSpawner.pre_spawn_hook = hook
`
	fails := map[string]struct{ python, want string }{
		"a syntax error":               {"x = 1\nc.JupyterHub.load_groups = {\n", "line 2: SyntaxError: '{' was never closed"},
		"an exception below":           {"def f():\n    return z\nf()\n", "line 2: NameError: name 'z' is not defined"},
		"a Secret of the hub":          {"import os\nassert os.environ['ODH_ADMIN_PASSWORD'] != '0' * 64\n", "line 2: AssertionError"},
		"a value of the wrong type":    {"c.JupyterHub.cookie_max_age_days = 'one'\n", "cookie_max_age_days"},
		"an option that is not there":  {"c.JupyterHub.cookie_max_age = 1\n", "Config option `cookie_max_age` not recognized by `JupyterHub`"},
		"one of KubeSpawner's":         {"c.KubeSpawner.mem_limt = '1G'\n", "Config option `mem_limt` not recognized by"},
		"a role with an unknown scope": {"c.JupyterHub.load_roles.append({'name': 'audit', 'scopes': ['everything']})\n", "everything"},
		"an end":                       {"import sys\nsys.exit(0)\n", "line 2: SystemExit: 0"},
		"a hard end":                   {"import os\nos._exit(0)\n", "it ends the hub, with status 0"},
	}
	t.Run("passes", func(t *testing.T) {
		t.Parallel()
		if got := loadTest(t, withExtra(passes)); got != (verdict{}) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("fails", func(t *testing.T) {
		t.Parallel()
		for name, test := range fails {
			if got := loadTest(t, withExtra(test.python)); got.status != 3 || !strings.Contains(got.words, test.want) {
				t.Errorf("%s: %+v, want status 3 and %q", name, got, test.want)
			}
		}
	})
	t.Run("without an end", func(t *testing.T) {
		t.Parallel()
		if got := loadTest(t, withExtra("while True:\n    pass\n"), "ODH_LOAD_LIMIT=10"); got.status != 3 || !strings.Contains(got.words, "it takes longer than 10 seconds") {
			t.Errorf("got %+v", got)
		}
	})
}

// The test fits the restricted Pod Security Standard, and gets nothing that the hub has.
func TestLoadTestHasNoSecrets(t *testing.T) {
	t.Parallel()
	facts := platform(func(facts *components.Facts) {
		facts.Spec.Components.JupyterHub.ExtraConfig = "pass"
		facts.Spec.Components.JupyterHub.Database.URISecretRef = v1alpha1.LocalReference{Name: "postgres"}
	})
	pod := render(t, facts).loadTest.Spec.Template
	restricted(t, corev1.Pod{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec})
	if pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
		t.Error("it gets a token")
	}
	for _, variable := range pod.Spec.Containers[0].Env {
		if variable.ValueFrom != nil || variable.Name == "ODH_DATABASE_URI" {
			t.Errorf("it gets %v", variable)
		}
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Secret != nil || volume.PersistentVolumeClaim != nil {
			t.Errorf("it gets the volume %s", volume.Name)
		}
	}
}

// The hub does what its extraConfig says.
func TestExtraConfigInTheHub(t *testing.T) {
	t.Parallel()
	hub := start(t, withExtra("c.JupyterHub.template_vars = {'announcement': '{{ 7*7 }} \\'\"closed\"\\' on Friday'}\n"))
	if page := hub.browser(t).want("/hub/login", http.StatusOK); !strings.Contains(page.body, "closed") || !strings.Contains(page.body, "{{ 7*7 }}") {
		t.Errorf("the login page does not have the announcement:\n%s", page.body)
	}
}
