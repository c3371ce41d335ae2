package real_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/test/harness"
)

// envFaults chooses what breaks: "all", or a regular expression of faults. Empty: nothing does.
const envFaults = "OPENDATAHUB_FAULTS"

// A fault is something that breaks while a user works.
type fault struct {
	what string
	// strike breaks it.
	strike func(t *testing.T)
	// noticed are texts that the status must say of it, in one condition; none where the platform itself is well, or mends it within seconds.
	noticed []string
	// meanwhile is nil when what the fault must not disturb works, asked once the status has said it; it may be nil itself.
	meanwhile func(context.Context) error
	// repair mends what does not mend itself; it may be nil.
	repair func(t *testing.T)
	// works is nil when what was struck works again.
	works func(context.Context) error
}

// A victim is a user with a notebook, and what faults strike.
type victim struct {
	*env
	hub            *v1alpha1.OpenDataHub
	user           *browser
	name, password string
	// replaced is nil when what the last fault killed has been replaced; it is nil itself when that killed no Pod.
	replaced func(context.Context) error
}

// suffer has faults strike one after the other. After each the user has the file that a kernel wrote.
func (v *victim) suffer(t *testing.T) {
	t.Helper()
	wish := os.Getenv(envFaults)
	if wish == "" {
		t.Skip("set " + envFaults + " to all, or to a regular expression, to have things break")
	}
	wanted, err := regexp.Compile(wish)
	if err != nil {
		t.Fatalf("%s: %v", envFaults, err)
	}
	var rows []string
	defer func() { tellFaults(t, rows) }()
	for _, fault := range v.faults() {
		if wish != "all" && !wanted.MatchString(fault.what) {
			continue
		}
		if !t.Run(fault.what, func(t *testing.T) {
			rows = append(rows, v.strike(t, fault))
			v.user.wantFile(t, v.name)
		}) {
			return
		}
	}
}

func (v *victim) notebookAnswers(ctx context.Context) error {
	return v.user.answers(ctx, "/user/"+v.name+"/api/status")
}

func (v *victim) faults() []fault {
	notebookAnswers := v.notebookAnswers
	hubAnswers := func(ctx context.Context) error { return v.user.answers(ctx, "/hub/api/user") }
	part := func(component, name string) client.MatchingLabels {
		return client.MatchingLabels{"opendatahub.io/platform": platform, "app.kubernetes.io/name": component, "app.kubernetes.io/component": name}
	}
	var kubelet []string
	return append([]fault{
		{
			what:      "The hub is killed",
			strike:    v.killPods(namespace, part("jupyterhub", "hub")),
			meanwhile: notebookAnswers, works: hubAnswers,
		},
		{
			what:   "JupyterHub's proxy is killed",
			strike: v.killPods(namespace, part("jupyterhub", "proxy")),
			works:  notebookAnswers,
		},
		{
			what:   "The user's notebook is killed",
			strike: v.killPods(namespace, client.MatchingLabels{"opendatahub.io/hub": platform}),
			repair: func(t *testing.T) {
				t.Helper()
				v.user.stopped(t, v.name)
				v.user.start(t, v.name)
			},
			works: notebookAnswers,
		},
		{
			what: "The operator is killed, and then somebody deletes what it made",
			strike: func(t *testing.T) {
				t.Helper()
				v.killPods(harness.OperatorNamespace, client.MatchingLabels{"app.kubernetes.io/component": "manager"})(t)
				if err := v.Admin.Delete(t.Context(), profiles()); err != nil {
					t.Fatal(err)
				}
			},
			meanwhile: notebookAnswers,
			works: func(ctx context.Context) error {
				found := profiles()
				return v.Admin.Get(ctx, client.ObjectKeyFromObject(found), found)
			},
		},
		{
			what: "A kernel wants more memory than the notebook may have",
			strike: func(t *testing.T) {
				t.Helper()
				if _, err := v.user.tryExecute(t, v.name, "data = bytearray(3 * 2**30); print(len(data))"); err == nil {
					t.Error("it got 3 GiB, and its limit is 2")
				}
			},
			works: notebookAnswers,
		},
		{
			what: "The user's home is full",
			strike: func(t *testing.T) {
				t.Helper()
				got := v.user.execute(t, v.name, `
try:
    with open("large", "wb") as file:
        while True:
            file.write(bytes(2**24))
except OSError as error:
    print(error.strerror)
`)
				if got != "No space left on device\n" {
					t.Errorf("writing too much says %q", got)
				}
			},
			repair: func(t *testing.T) {
				t.Helper()
				v.user.execute(t, v.name, "import os; os.remove('large')")
			},
			works: notebookAnswers,
		},
		{
			what:    "MLflow gets an image that does not exist",
			strike:  v.patchSpec(`{"components":{"mlflow":{"containerImages":[{"container":"migration","image":"example.com/mlflow:missing"}]}}}`),
			noticed: []string{"mlflow", "example.com/mlflow:missing"},
			repair:  v.patchSpec(`{"components":{"mlflow":{"containerImages":null}}}`),
			works:   func(ctx context.Context) error { return v.available(ctx, "odh-mlflow-server") },
		},
		{
			what: "The user chooses an image that does not exist",
			strike: func(t *testing.T) {
				t.Helper()
				v.patch(types.JSONPatchType, &v1alpha1.OpenDataHub{}, platform,
					`[{"op":"add","path":"/spec/components/jupyterHub/images/-","value":{"name":"missing","image":"example.com/notebook:missing"}}]`)(t)
				v.user.stop(t, v.name)
				v.podGone(t, "odh-nb-"+v.name)
				v.user.login(t, v.name, v.password) // cookies are worth nothing when the hub's keys have been replaced
				v.until(t, "the hub offers it", func(ctx context.Context) error { return v.user.offers(ctx, "missing") })
				said := v.user.failToStart(t, v.name, "missing")
				if !strings.Contains(said, "example.com/notebook:missing") {
					t.Errorf("the user reads %q", said)
				}
			},
			repair: func(t *testing.T) {
				t.Helper()
				v.user.start(t, v.name)
			},
			works: notebookAnswers,
		},
		{
			what: "The hub's volume is full",
			strike: func(t *testing.T) {
				t.Helper()
				v.inPod(t, namespace, "odh-jupyterhub-hub", "dd if=/dev/zero of=/srv/jupyterhub/large bs=1M 2>&1 || true")
			},
			noticed:   []string{"jupyterHub", "cannot use its database", "database.size"},
			meanwhile: notebookAnswers,
			repair: func(t *testing.T) { // a larger size would do, too, where the kernel lets this process grow a file system in use
				t.Helper()
				v.inPod(t, namespace, "odh-jupyterhub-hub", "rm /srv/jupyterhub/large")
			},
			works: func(ctx context.Context) error { return v.user.canLogIn(ctx, v.name, v.password) },
		},
		{
			// The operator is cut off, too, and says nothing before it is back.
			what: "The Pods' network is down",
			strike: func(t *testing.T) {
				t.Helper()
				v.inNetwork("ip", "link", "set", "pods0", "down")(t)
				v.until(t, "the kubelet notices it", func(ctx context.Context) error {
					if err := v.available(ctx, "odh-jupyterhub-hub"); err == nil {
						return errors.New("the hub is still available")
					}
					return nil
				})
			},
			repair: func(t *testing.T) {
				t.Helper()
				v.inNetwork("ip", "link", "set", "pods0", "up")(t)
				v.operatorIsBack(t)
			},
			works: notebookAnswers,
		},
		{
			what: "The kubelet is killed",
			strike: func(t *testing.T) {
				t.Helper()
				kubelet = v.kill(t, "kubelet")
			},
			// Services leave out the Pods of a node that nobody hears of, so that nothing answers before it is back.
			noticed: []string{"jupyterHub"},
			repair: func(t *testing.T) {
				t.Helper()
				if _, err := v.Run("kubelet", nil, kubelet[0], kubelet[1:]...); err != nil {
					t.Fatal(err)
				}
				v.operatorIsBack(t)
			},
			works: notebookAnswers,
		},
	}, v.secretFaults()...)
}

// profiles is what the operator made for the hub to read.
func profiles() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "odh-jupyterhub-profiles"}}
}

// strike breaks it, waits until all is well, and tells what the status said meanwhile.
func (v *victim) strike(t *testing.T, fault fault) string {
	t.Helper()
	started := time.Now()
	heard := v.listen(t)
	v.replaced = nil
	fault.strike(t)
	said := ""
	if len(fault.noticed) > 0 {
		v.until(t, "the status says it", func(context.Context) error {
			for _, text := range heard() {
				if !slices.ContainsFunc(fault.noticed, func(part string) bool { return !strings.Contains(text, part) }) {
					said = text
					return nil
				}
			}
			return fmt.Errorf("it said %q, want %q", heard(), fault.noticed)
		})
	}
	if fault.meanwhile != nil {
		if err := fault.meanwhile(t.Context()); err != nil {
			t.Errorf("meanwhile: %v", err)
		}
	}
	if fault.repair != nil {
		fault.repair(t)
	}
	if v.replaced != nil {
		v.until(t, "what was killed is replaced", v.replaced)
	}
	v.until(t, "it works again", fault.works)
	works := time.Since(started)
	v.ready(t, v.hub)
	ready := time.Since(started)
	if said == "" { // whatever it said first, if it noticed at all
		said = "Ready throughout"
		for _, text := range heard() {
			if strings.HasPrefix(text, "False") {
				said = text
				break
			}
		}
	}
	return fmt.Sprintf("| %s | %s | %.0f s | %.0f s |", fault.what, said, works.Seconds(), ready.Seconds())
}

// listen collects what condition Ready says from now on, to the end of the test.
func (v *victim) listen(t *testing.T) func() []string {
	t.Helper()
	var mutex sync.Mutex
	var said []string
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			if text, err := v.Condition(v.hub, v1alpha1.ConditionReady)(ctx); err == nil {
				mutex.Lock()
				if len(said) == 0 || said[len(said)-1] != text {
					said = append(said, text)
				}
				mutex.Unlock()
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return func() []string {
		mutex.Lock()
		defer mutex.Unlock()
		return slices.Clone(said)
	}
}

// killPods ends Pods at once, as if their processes were killed. They are replaced when others are ready.
func (v *victim) killPods(namespace string, labels client.MatchingLabels) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		var before corev1.PodList
		if err := v.Admin.List(t.Context(), &before, client.InNamespace(namespace), labels); err != nil || len(before.Items) == 0 {
			t.Fatalf("there are no Pods with %v: %v", labels, err)
		}
		old := map[types.UID]bool{}
		for _, pod := range before.Items {
			old[pod.UID] = true
			if err := v.Admin.Delete(t.Context(), &pod, client.GracePeriodSeconds(0)); err != nil {
				t.Fatal(err)
			}
		}
		v.replaced = func(ctx context.Context) error {
			var pods corev1.PodList
			if err := v.Admin.List(ctx, &pods, client.InNamespace(namespace), labels); err != nil {
				return err
			}
			for _, pod := range pods.Items {
				for _, condition := range pod.Status.Conditions {
					if !old[pod.UID] && condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
						return nil
					}
				}
			}
			return fmt.Errorf("no new Pod with %v is ready", labels)
		}
	}
}

// patch changes an object of the platform's namespace.
func (v *victim) patch(kind types.PatchType, object client.Object, name, patch string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		object.SetNamespace(namespace)
		object.SetName(name)
		if err := v.Admin.Patch(t.Context(), object, client.RawPatch(kind, []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
}

func (v *victim) patchSpec(spec string) func(*testing.T) {
	return v.patch(types.MergePatchType, &v1alpha1.OpenDataHub{}, platform, `{"spec":`+spec+`}`)
}

// inPod runs a script in the Pod of a Deployment.
func (v *victim) inPod(t *testing.T, namespace, deployment, script string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "kubectl", "--kubeconfig", v.Kubeconfig(), "exec", "--namespace", namespace, "deployment/"+deployment,
		"--", "sh", "-c", script)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("Deployment %s/%s: %v: %s", namespace, deployment, err, output)
	}
}

// operatorIsBack waits until the operator leads again: until then the status says what it last said.
func (v *victim) operatorIsBack(t *testing.T) {
	t.Helper()
	since := time.Now()
	v.until(t, "the operator is back", func(ctx context.Context) error {
		lease := &coordinationv1.Lease{}
		if err := v.Admin.Get(ctx, client.ObjectKey{Namespace: harness.OperatorNamespace, Name: "opendatahub-operator"}, lease); err != nil {
			return err
		}
		if renewed := lease.Spec.RenewTime; renewed == nil || renewed.Before(&metav1.MicroTime{Time: since}) {
			return fmt.Errorf("its Lease was renewed at %v", renewed)
		}
		return nil
	})
}

// inNetwork runs a command in the node's network.
func (v *victim) inNetwork(command ...string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		enter := v.Machine().Enter
		if output, err := exec.CommandContext(t.Context(), enter[0], slices.Concat(enter[1:], command)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", command, err, output)
		}
	}
}

// kill ends a process of the node, and returns the command that starts it.
func (v *victim) kill(t *testing.T, name string) []string {
	t.Helper()
	// The process that is recorded entered the node's namespaces, and waits for the one in them.
	pid := v.PID(name)
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		t.Fatal(err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(string(bytes.TrimSpace(children)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(command), "\x00"), "\x00")
}

// tellFaults prints the table of docs/faults.md, and checks that it has these faults.
func tellFaults(t *testing.T, rows []string) {
	t.Helper()
	t.Logf("| what breaks | what condition Ready says | works again after | Ready again after |\n|---|---|---|---|\n%s", strings.Join(rows, "\n"))
	told, err := os.ReadFile(filepath.Join("..", "..", "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if what, _, _ := strings.Cut(row[len("| "):], " | "); !strings.Contains(string(told), "| "+what+" |") {
			t.Errorf("docs/faults.md does not have the fault %q", what)
		}
	}
}
