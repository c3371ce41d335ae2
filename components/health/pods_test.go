package health

import (
	"strings"
	"testing"

	"opendatahub.io/operator/components"
)

// podTemplate is a Pod of the Deployment odh-hub; %NAME% is its generated suffix.
const podTemplate = `
apiVersion: v1
kind: Pod
metadata:
  name: odh-hub-6c8d9f7b5-%NAME%
  generateName: odh-hub-6c8d9f7b5-
  namespace: lab
  uid: 0f0e0d0c-1111-2222-3333-%NAME%
  labels: {opendatahub.io/platform: odh, opendatahub.io/component: jupyterHub, app.kubernetes.io/component: hub, pod-template-hash: 6c8d9f7b5}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: odh-hub-6c8d9f7b5, uid: "1", controller: true}]
spec:
  containers: [{name: hub, image: "quay.io/x/hub:1", resources: {limits: {memory: 512Mi}}}]
status: `

const logsHint = ", see: kubectl logs -n lab deployment/odh-hub -c hub --previous"

func TestPodProblem(t *testing.T) {
	waiting := func(reason, message string) string {
		return `{containerStatuses: [{name: hub, image: "quay.io/x/hub:1", imageID: "", ready: false, restartCount: 0, state: {waiting: {reason: ` +
			reason + `, message: '` + message + `'}}}]}`
	}
	tests := map[string]struct {
		statuses  []string
		want      string
		wantState components.State
	}{
		"no Pods": {wantState: components.Ready},
		"a Pod without status is on its way": {
			statuses: []string{`{}`}, wantState: components.Progressing,
		},
		"a ready Pod has no problem, whatever happened before": {
			statuses: []string{`{conditions: [{type: Ready, status: "True"}], containerStatuses: [{name: hub, image: a, imageID: a, ready: true, restartCount: 9,
  state: {running: {}}, lastState: {terminated: {exitCode: 1}}}]}`},
			wantState: components.Ready,
		},
		"a finished Pod has no problem": {
			statuses: []string{`{phase: Succeeded}`}, wantState: components.Ready,
		},
		"containers that are being created are on their way": {
			statuses: []string{waiting("ContainerCreating", "")}, wantState: components.Progressing,
		},
		"image not found": {
			statuses:  []string{waiting("ErrImagePull", `rpc error: code = NotFound desc = failed to pull and unpack image "quay.io/x/hub:1": not found`)},
			want:      "cannot pull image quay.io/x/hub:1: the registry does not have it",
			wantState: components.Degraded,
		},
		"image not found, while the kubelet backs off": {
			statuses:  []string{waiting("ImagePullBackOff", `Back-off pulling image "quay.io/x/hub:1": ErrImagePull: rpc error: code = NotFound desc = not found`)},
			want:      "cannot pull image quay.io/x/hub:1: the registry does not have it",
			wantState: components.Degraded,
		},
		"image pull backs off on an old kubelet, which hides the cause": {
			statuses:  []string{waiting("ImagePullBackOff", `Back-off pulling image "quay.io/x/hub:1"`)},
			want:      "cannot pull image quay.io/x/hub:1",
			wantState: components.Degraded,
		},
		"registry refuses": {
			statuses:  []string{waiting("ErrImagePull", "pull access denied, repository does not exist or may require authorization")},
			want:      "cannot pull image quay.io/x/hub:1: the registry refuses access; it may not exist, or the cluster lacks a pull secret for it",
			wantState: components.Degraded,
		},
		"registry unreachable, worded without the address": {
			statuses:  []string{waiting("ErrImagePull", "dial tcp 10.0.0.1:43211->10.0.0.2:443: i/o timeout")},
			want:      "cannot pull image quay.io/x/hub:1: the registry cannot be reached from the node",
			wantState: components.Degraded,
		},
		"registry limits": {
			statuses:  []string{waiting("ErrImagePull", "429 Too Many Requests - toomanyrequests: denied")},
			want:      "cannot pull image quay.io/x/hub:1: the registry limits how often it may be pulled; use credentials or a mirror",
			wantState: components.Degraded,
		},
		"registry not trusted": {
			statuses:  []string{waiting("ErrImagePull", "x509: signed by unknown authority")},
			want:      "cannot pull image quay.io/x/hub:1: the node does not trust the registry's certificate",
			wantState: components.Degraded,
		},
		"image problem of another kind keeps its message": {
			statuses:  []string{waiting("ImagePullBackOff", `Back-off pulling image "a": ErrImagePull: no space left on device`)},
			want:      "cannot pull image quay.io/x/hub:1: no space left on device",
			wantState: components.Degraded,
		},
		"invalid image name": {
			statuses:  []string{waiting("InvalidImageName", "not parsable")},
			want:      "cannot pull image quay.io/x/hub:1: this is not a valid image name",
			wantState: components.Degraded,
		},
		"missing Secret": {
			statuses:  []string{waiting("CreateContainerConfigError", `secret "odh-hub" not found`)},
			want:      `container hub cannot start: secret "odh-hub" not found`,
			wantState: components.Degraded,
		},
		"configuration error that names the Pod": {
			statuses: []string{waiting("CreateContainerConfigError",
				`container has runAsNonRoot and image will run as root (pod: "odh-hub-6c8d9f7b5-%NAME%_lab(0f0e0d0c-1111-2222-3333-%NAME%)", container: hub)`)},
			want:      "container hub cannot start: container has runAsNonRoot and image will run as root",
			wantState: components.Degraded,
		},
		"runtime error that names ids": {
			statuses: []string{waiting("RunContainerError",
				"task 0123456789abcdef0123456789abcdef of odh-hub-6c8d9f7b5-%NAME% at 2026-03-04T05:06:07.123Z: no such file")},
			want:      "container hub cannot start: task … of the Pod at : no such file",
			wantState: components.Degraded,
		},
		"crash loop": {
			statuses: []string{`{containerStatuses: [{name: hub, image: a, imageID: a, ready: false, restartCount: 4,
  state: {waiting: {reason: CrashLoopBackOff, message: "back-off 1m20s restarting failed container=hub"}},
  lastState: {terminated: {exitCode: 1, reason: Error, message: "starting\n[2026-03-04 05:06:07,123] cannot open database\n"}}}]}`},
			want:      `container hub keeps crashing: exit code 1, "cannot open database"` + logsHint,
			wantState: components.Degraded,
		},
		"crash loop, while the next attempt runs": {
			statuses: []string{`{containerStatuses: [{name: hub, image: a, imageID: a, ready: false, restartCount: 4, state: {running: {}},
  lastState: {terminated: {exitCode: 1, reason: Error}}}]}`},
			want:      `container hub keeps crashing: exit code 1` + logsHint,
			wantState: components.Degraded,
		},
		"crash loop, at the moment of the crash": {
			statuses: []string{`{containerStatuses: [{name: hub, image: a, imageID: a, ready: false, restartCount: 4,
  state: {terminated: {exitCode: 1, reason: Error}}, lastState: {terminated: {exitCode: 2, reason: Error}}}]}`},
			want:      `container hub keeps crashing: exit code 1` + logsHint,
			wantState: components.Degraded,
		},
		"one crash is not a loop": {
			statuses: []string{`{containerStatuses: [{name: hub, image: a, imageID: a, ready: false, restartCount: 1, state: {running: {}},
  lastState: {terminated: {exitCode: 1, reason: Error}}}]}`},
			want:      "container hub runs but is not ready: its probe fails so far",
			wantState: components.Progressing,
		},
		"out of memory": {
			statuses: []string{`{containerStatuses: [{name: hub, image: a, imageID: a, ready: false, restartCount: 4,
  state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}}]}`},
			want:      "container hub runs out of memory (limit 512Mi); raise its memory limit",
			wantState: components.Degraded,
		},
		"init container fails": {
			statuses: []string{`{initContainerStatuses: [{name: migrate, image: a, imageID: a, ready: false, restartCount: 3,
  state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 2}}}],
  containerStatuses: [{name: hub, image: a, imageID: "", ready: false, restartCount: 0, state: {waiting: {reason: PodInitializing}}}]}`},
			want:      "init container migrate keeps crashing: exit code 2, see: kubectl logs -n lab deployment/odh-hub -c migrate --previous",
			wantState: components.Degraded,
		},
		"init container that is done after retries": {
			statuses: []string{`{initContainerStatuses: [{name: migrate, image: a, imageID: a, ready: true, restartCount: 3,
  state: {terminated: {exitCode: 0, reason: Completed}}, lastState: {terminated: {exitCode: 2}}}],
  containerStatuses: [{name: hub, image: a, imageID: "", ready: false, restartCount: 0, state: {waiting: {reason: PodInitializing}}}]}`},
			wantState: components.Progressing,
		},
		"unschedulable for lack of CPU": {
			statuses: []string{`{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable,
  message: "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available."}]}`},
			want:      "unschedulable: 0/3 nodes are available: 3 Insufficient cpu; add nodes or lower the requests",
			wantState: components.Degraded,
		},
		"unschedulable for an unbound claim": {
			statuses: []string{`{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable,
  message: "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."}]}`},
			want:      "unschedulable: no PersistentVolume is bound to its claim; does its StorageClass exist, or the cluster have a default one?",
			wantState: components.Degraded,
		},
		"unschedulable for a taint": {
			statuses: []string{`{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable,
  message: "0/3 nodes are available: 3 node(s) had untolerated taint(s)."}]}`},
			want:      "unschedulable: 0/3 nodes are available: 3 node(s) had untolerated taint(s); label a node or take its taint away, or change the placement in the spec",
			wantState: components.Degraded,
		},
		"unschedulable where the spec has it placed": {
			statuses: []string{`{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable,
  message: "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."}]}`},
			want: "unschedulable: 0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector; " +
				"label a node or take its taint away, or change the placement in the spec",
			wantState: components.Degraded,
		},
		"waiting for a scheduling gate is no problem": {
			statuses:  []string{`{conditions: [{type: PodScheduled, status: "False", reason: SchedulingGated}]}`},
			wantState: components.Progressing,
		},
		"evicted": {
			statuses:  []string{`{phase: Failed, reason: Evicted, message: "The node was low on resource: memory."}`},
			want:      "Evicted: The node was low on resource: memory.",
			wantState: components.Progressing,
		},
		"evicted, and replaced": {
			statuses: []string{
				`{phase: Failed, reason: Evicted, message: "The node was low on resource: memory."}`,
				`{phase: Running, conditions: [{type: Ready, status: "True"}]}`,
			},
			want:      "Evicted: The node was low on resource: memory.",
			wantState: components.Progressing,
		},
		"a Java process says why below a stack trace": {
			statuses: []string{`{containerStatuses: [{name: kafka, image: a, imageID: a, ready: false, restartCount: 4,
  state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1,
  message: "starting\njava.lang.RuntimeException: Invalid cluster.id in: /var/lib/kafka/meta.properties\n\tat kafka.server.Server.start(Server.java:12)\n\t... 7 more\n"}}}]}`},
			want: `container kafka keeps crashing: exit code 1, "java.lang.RuntimeException: Invalid cluster.id in: ` +
				`/var/lib/kafka/meta.properties", see: kubectl logs -n lab deployment/odh-hub -c kafka --previous`,
			wantState: components.Degraded,
		},
		"the probe has not succeeded yet": {
			statuses:  []string{`{containerStatuses: [{name: hub, image: a, imageID: a, ready: false, restartCount: 0, state: {running: {}}}]}`},
			want:      "container hub runs but is not ready: its probe fails so far",
			wantState: components.Progressing,
		},
		"the worst of several Pods": {
			statuses: []string{
				`{containerStatuses: [{name: hub, image: a, imageID: a, ready: false, restartCount: 0, state: {running: {}}}]}`,
				`{phase: Failed, reason: Evicted}`,
				`{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: "no"}]}`,
				waiting("InvalidImageName", ""),
			},
			want:      "cannot pull image quay.io/x/hub:1: this is not a valid image name",
			wantState: components.Degraded,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// Whichever generated name, and in whichever order, the text is the same.
			for _, suffixes := range []string{"abcde", "zyxwv"} {
				var documents []string
				for i, status := range test.statuses {
					documents = append(documents, strings.ReplaceAll(podTemplate+status+"\n", "%NAME%", suffixes[i:]))
				}
				if suffixes == "zyxwv" {
					for i, j := 0, len(documents)-1; i < j; i, j = i+1, j-1 {
						documents[i], documents[j] = documents[j], documents[i]
					}
				}
				got, state := PodProblem(pods(t, strings.Join(documents, "---\n")))
				if got != test.want || state != test.wantState {
					t.Errorf("PodProblem =\n  %q, %s; want\n  %q, %s", got, state, test.want, test.wantState)
				}
			}
		})
	}
}

func TestCause(t *testing.T) {
	tests := map[string]struct{ words, want string }{
		"nothing":                  {"\n", ""},
		"one line":                 {"no space left on device\n", "no space left on device"},
		"only frames":              {"\tat a.B.c(B.java:1)\n", ""},
		"Python":                   {"Traceback (most recent call last):\n  File \"a.py\", line 3\nOSError: [Errno 28] No space left\n", "OSError: [Errno 28] No space left"},
		"Go":                       {"panic: no database\n\ngoroutine 1 [running]:\nmain.run(0x1)\n\t/src/main.go:12 +0x1d\nexit status 2\n", "panic: no database"},
		"a cause in Java":          {"A: first\n\tat a.B.c(B.java:1)\nCaused by: C: second\n\tat a.B.d(B.java:2)\n\t... 3 more\n", "Caused by: C: second"},
		"Node.js":                  {"Error: listen EADDRINUSE\n    at Server.listen (net.js:1)\n}\n\nNode.js v22.1.0\n", "Error: listen EADDRINUSE"},
		"a call that is a message": {"could not open file (errno 13)", "could not open file (errno 13)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := cause(test.words); got != test.want {
				t.Errorf("cause = %q, want %q", got, test.want)
			}
		})
	}
}

func TestPodProblemIgnoresPodsThatGo(t *testing.T) {
	going := strings.Replace(podTemplate, "namespace: lab", `namespace: lab
  deletionTimestamp: "2026-01-01T00:00:00Z"`, 1) + `{phase: Failed, reason: Evicted}`
	if text, state := PodProblem(pods(t, going)); text != "" || state != components.Ready {
		t.Errorf("PodProblem = %q, %s; want nothing about a Pod that is being deleted", text, state)
	}
}

func TestPodProblemNamesPodsWithStableNames(t *testing.T) {
	broker := `{apiVersion: v1, kind: Pod, metadata: {name: odh-kafka-2, namespace: lab,
  ownerReferences: [{apiVersion: core.strimzi.io/v1, kind: StrimziPodSet, name: odh-kafka, uid: "1", controller: true}]},
  status: {containerStatuses: [{name: kafka, image: a, imageID: a, ready: false, restartCount: 4,
  state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 3}}}]}}`
	want := "Pod odh-kafka-2: container kafka keeps crashing: exit code 3, see: kubectl logs -n lab odh-kafka-2 -c kafka --previous"
	if got, _ := PodProblem(pods(t, broker)); got != want {
		t.Errorf("PodProblem =\n  %q; want\n  %q", got, want)
	}
}

func TestLogsOfPodsWithoutDeployment(t *testing.T) {
	pod := pods(t, `{apiVersion: v1, kind: Pod, metadata: {name: x-1, generateName: x-, labels: {opendatahub.io/component: spark, other: x, opendatahub.io/platform: odh}}}`)[0]
	if got, want := logsOf(pod), "-l opendatahub.io/platform=odh,opendatahub.io/component=spark"; got != want {
		t.Errorf("logsOf = %q, want %q", got, want)
	}
}
