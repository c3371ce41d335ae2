package jupyterhub_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// What kubelets report is from pkg/kubelet/images/image_manager.go and pkg/kubelet/kuberuntime of Kubernetes 1.37.

func waiting(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "notebook", Image: "quay.io/jupyter/minimal-notebook:gone",
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}}}
}

func restarted(ended corev1.ContainerStateTerminated) corev1.PodStatus {
	status := waiting("CrashLoopBackOff", "back-off 20s restarting failed container")
	status.Phase, status.PodIP = corev1.PodRunning, "127.0.0.1"
	status.ContainerStatuses[0].RestartCount = 2
	status.ContainerStatuses[0].LastTerminationState.Terminated = &ended
	return status
}

// pulls is what the kubelet reports of so many tries to pull an image.
func pulls(tries int) []step {
	const cause = `Failed to pull image "quay.io/jupyter/minimal-notebook:gone": not found`
	var steps []step
	for try := range tries {
		event := func(kind, reason, message string) *corev1.Event {
			event := &corev1.Event{Type: kind, Reason: reason, Message: message, Count: int32(try + 1)}
			event.Name, event.UID = reason, types.UID(reason)
			return event
		}
		steps = append(steps,
			step{waiting("ErrImagePull", "not found"), event("Warning", "Failed", cause)},
			step{waiting("ImagePullBackOff", "Back-off pulling image"), event("Normal", "BackOff", "Back-off pulling image")})
	}
	return steps
}

func TestANotebookThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	hub := start(t, platform(nil), "--KubeSpawner.start_timeout=18")
	hub.log.expect("Error starting admin's server", "Failed for ", "Traceback (most recent call last)", "ApiException: (403)", "finish_user_spawn()")
	admin := hub.browser(t)
	if !admin.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Fatal("admin did not get in")
	}
	unschedulable := corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available: 3 Insufficient memory.",
	}}}
	for _, test := range []struct {
		name    string
		kubelet []step
		refuse  string
		want    string
	}{
		{"an image that is not there", pulls(3), "",
			`the image quay.io/jupyter/minimal-notebook:gone cannot be pulled: Failed to pull image \"quay.io/jupyter/minimal-notebook:gone\": not found`},
		{"an image whose name is none", []step{{status: waiting("InvalidImageName", "")}}, "", "cannot be pulled: this is not the name of an image"},
		{"a container that cannot be made", []step{{status: waiting("CreateContainerConfigError", `secret "s3" not found`)}}, "",
			`its container notebook cannot be made: secret \"s3\" not found`},
		{"a container that ends", []step{{status: restarted(corev1.ContainerStateTerminated{ExitCode: 127, Message: "line\njupyterhub-singleuser: not found\n"})}}, "",
			"its container notebook ends with exit code 127: jupyterhub-singleuser: not found"},
		{"too little memory", []step{{status: restarted(corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"})}}, "",
			"it needs more memory than its size has: choose a larger one"},
		{"a quota", nil, "pods \"odh-nb-admin\" is forbidden: exceeded quota", `The cluster refuses the notebook: pods \"odh-nb-admin\" is forbidden: exceeded quota`},
		{"no node, in the end", []step{{status: unschedulable}}, "", "did not start within 0 minutes: 0/3 nodes are available: 3 Insufficient memory."},
		{"an image that is slow to come, in the end", pulls(2), "", "did not start within 0 minutes: Failed to pull image"},
	} {
		t.Run(test.name, func(t *testing.T) {
			hub.cluster.become(test.kubelet, test.refuse)
			admin.post("/hub/spawn/admin", "profile", "minimal")
			progress := admin.get("/hub/api/users/admin/server/progress", "Sec-Fetch-Mode", "cors", "X-Xsrftoken", admin.xsrf("/hub/home"))
			if !strings.Contains(progress.body, `"failed": true`) || !strings.Contains(progress.body, test.want) {
				t.Errorf("the user does not read %s, but:\n%s", test.want, progress.body)
			}
			if hub.cluster.running() != 0 {
				t.Error("the Pod stays")
			}
		})
	}
	t.Run("two tries are not the end", func(t *testing.T) {
		hub.cluster.become(append(pulls(2), step{status: running()}), "")
		spawn(t, hub, admin, "admin", "profile", "minimal")
	})
}

// The database is on a file system of its own, which runs full as a volume does.
func TestAFullDatabase(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has file systems in a namespace of their own")
	}
	t.Parallel()
	mount := `mount -t tmpfs -o size=40m tmpfs "$ODH_DATA_DIR" && cd "$ODH_DATA_DIR" && exec "$@"`
	hub := startIn(t, []string{"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"}, platform(nil))
	hub.log.expect("") // whatever JupyterHub complains of while it cannot write
	anybody := hub.browser(t)
	anybody.want("/hub/ready", http.StatusOK)

	volume := fmt.Sprintf("/proc/%d/root%s", hub.pid, hub.data)
	filler := filepath.Join(volume, "filler")
	content := make([]byte, 1<<20)
	file, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = file.Write(content)
	}
	_ = file.Close()

	becomes := func(status int) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; {
			answer := anybody.get("/hub/ready")
			if answer.status == status {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("GET /hub/ready: got status %d for %s, want %d", answer.status, patience, status)
			}
			select {
			case <-t.Context().Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	}
	becomes(http.StatusServiceUnavailable)
	anybody.want("/hub/health", http.StatusOK) // it is not to be restarted: that would not help
	hub.log.wait(t, "cannot write to the database of the hub: No space left on device")

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	becomes(http.StatusOK)
	hub.log.wait(t, "the database of the hub works again")
	if !anybody.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Error("nobody gets in after there is room again")
	}
}
