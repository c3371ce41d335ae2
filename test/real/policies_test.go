package real_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// shellImage is on the node for whoever needs a shell.
const shellImage = "docker.io/library/debian:trixie-slim"

// reach is who may connect to whom, by name and port. docs/jupyterhub.md and docs/mlflow.md say why.
var reach = []struct {
	target             string
	notebook, stranger bool
}{
	{"odh-jupyterhub." + namespace + ":80", false, true},       // JupyterHub's pages have a login
	{"odh-jupyterhub-hub." + namespace + ":8081", true, false}, // a notebook asks the hub who its user is
	{"odh-jupyterhub-proxy." + namespace + ":8001", false, false},
	{"odh-mlflow." + namespace + ":443", true, true}, // MLflow's pages have a login
	{"kafka.streaming:9092", true, true},             // listed in reachable
	{"s3.object-storage:7070", true, true},           // no policy there; a notebook's lets it out
	{"kubernetes.default:443", false, true},          // a notebook has no business with the API server
}

// wantPolicies has a user's notebook and somebody else's Pod in the same namespace try to connect.
func (e *env) wantPolicies(t *testing.T, b *browser, user string) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stranger"},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false), TerminationGracePeriodSeconds: new(int64(0)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(1000)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "shell", Image: shellImage, ImagePullPolicy: corev1.PullNever, Command: []string{"sleep", "600"},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if err := e.Admin.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Admin.Delete(context.WithoutCancel(t.Context()), pod); err != nil {
			t.Error(err)
		}
	}()
	e.until(t, "Pod stranger runs", func(ctx context.Context) error {
		if err := e.Admin.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil || pod.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("it is %s: %w", pod.Status.Phase, err)
		}
		return nil
	})
	var script, code strings.Builder
	// The engine learns of a new Pod a moment after its first packets, and who asks for a name asks again after five seconds only.
	script.WriteString("until getent hosts kubernetes.default >/dev/null; do sleep 0.2; done\n")
	for _, row := range reach {
		host, port, _ := strings.Cut(row.target, ":")
		fmt.Fprintf(&script, "if timeout 5 bash -c '</dev/tcp/%s/%s' 2>/dev/null; then echo %[3]s true; else echo %[3]s false; fi &\n", host, port, row.target)
		fmt.Fprintf(&code, "(%q, %s, %q),", host, port, row.target)
	}
	exec := exec.CommandContext(t.Context(), "kubectl", "--kubeconfig", e.Kubeconfig(), "exec", "--namespace", namespace, pod.Name, "--", "bash", "-c", script.String()+"wait")
	var problems bytes.Buffer
	exec.Stderr = &problems
	stranger, err := exec.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, problems.String())
	}
	notebook := b.execute(t, user, `
import concurrent.futures, socket
def reach(target):
    host, port, name = target
    try:
        socket.create_connection((host, port), 5).close()
        return name + " true"
    except OSError:
        return name + " false"
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    for answer in pool.map(reach, [`+code.String()+`]):
        print(answer)
`)
	for _, row := range reach {
		for who, asked := range map[string]struct {
			said string
			want bool
		}{"a notebook": {notebook, row.notebook}, "a Pod of somebody else": {string(stranger), row.stranger}} {
			if !strings.Contains(asked.said, fmt.Sprintf("%s %t\n", row.target, asked.want)) {
				t.Errorf("%s and %s: want %t; it said\n%s", who, row.target, asked.want, asked.said)
			}
		}
	}
}
