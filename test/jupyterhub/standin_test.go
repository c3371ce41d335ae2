package jupyterhub_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// proxy is the API of configurable-http-proxy: it keeps routes, for those who know the token.
type proxy struct {
	url    string
	mu     sync.Mutex
	routes map[string]json.RawMessage
}

func newProxy(t *testing.T, token string) *proxy {
	t.Helper()
	p := &proxy{routes: map[string]json.RawMessage{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		route, ok := strings.CutPrefix(r.URL.Path, "/api/routes")
		switch {
		case r.Header.Get("Authorization") != "token "+token:
			w.WriteHeader(http.StatusForbidden)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case r.Method == http.MethodPost:
			p.routes[route], _ = io.ReadAll(r.Body)
			w.WriteHeader(http.StatusCreated)
		case r.Method == http.MethodDelete:
			delete(p.routes, route)
			w.WriteHeader(http.StatusNoContent)
		default:
			reply(w, p.routes)
		}
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *proxy) has(route string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, found := p.routes[route]
	return found
}

// cluster is an API server that knows Pods, claims and Events in one namespace, and a kubelet that says that every Pod runs.
// The notebook in each is the same small server.
type cluster struct {
	url          string
	notebookPort int
	stop         chan struct{}

	// kubelet says what becomes of a Pod: each step is its status, and an Event about it, if any. Nil: every Pod runs.
	kubelet func(corev1.Pod) []step
	// refuse is why the cluster creates no Pod. Empty: it does.
	refuse string

	mu      sync.Mutex
	changed chan struct{}
	// events are what happened to Pods and Events, as watchers are told.
	events   map[string][]watchEvent
	pods     map[string]corev1.Pod
	created  []corev1.Pod
	claims   map[string]corev1.PersistentVolumeClaim
	requests map[access]bool
}

type watchEvent struct {
	Type   string        `json:"type"`
	Object metav1.Object `json:"object"`
}

// step is what happens next to a Pod.
type step struct {
	status corev1.PodStatus
	event  *corev1.Event
}

// access is something that the hub did at the API server.
type access struct{ verb, resource string }

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{
		stop:     make(chan struct{}),
		changed:  make(chan struct{}),
		events:   map[string][]watchEvent{},
		pods:     map[string]corev1.Pod{},
		claims:   map[string]corev1.PersistentVolumeClaim{},
		requests: map[access]bool{},
	}
	api := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(func() {
		close(c.stop)
		api.Close()
	})
	c.url = api.URL
	c.notebookPort = newNotebook(t)
	return c
}

// newNotebook is the server in every Pod, as far as the hub asks. It returns its port.
func newNotebook(t *testing.T) int {
	t.Helper()
	notebook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-JupyterHub-Version", "5.5.0")
	}))
	t.Cleanup(notebook.Close)
	address, err := url.Parse(notebook.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (c *cluster) kubeconfig(t *testing.T, folder string) string {
	t.Helper()
	path := filepath.Join(folder, "kubeconfig")
	write(t, path, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "test",
"contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
"clusters": [{"name": "test", "cluster": {"server": %q}}],
"users": [{"name": "test", "user": {}}]}`, c.url))
	return path
}

func (c *cluster) serve(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/data/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	resource, name, _ := strings.Cut(path, "/")
	verb := map[string]string{http.MethodGet: "get", http.MethodPost: "create", http.MethodDelete: "delete"}[r.Method]
	switch {
	case verb == "get" && r.URL.Query().Has("watch"):
		verb = "watch"
	case verb == "get" && name == "":
		verb = "list"
	}
	c.mu.Lock()
	c.requests[access{verb, resource}] = true
	c.mu.Unlock()
	switch verb + " " + resource {
	case "list pods":
		c.list(w)
	case "list events":
		c.listEvents(w)
	case "watch pods", "watch events":
		c.watch(w, r, resource)
	case "create pods":
		c.createPod(w, r)
	case "delete pods":
		c.deletePod(w, name)
	case "create persistentvolumeclaims":
		c.createClaim(w, r)
	default:
		w.WriteHeader(http.StatusForbidden)
	}
}

func (c *cluster) list(w http.ResponseWriter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{}}
	list.ResourceVersion = strconv.Itoa(len(c.events["pods"]))
	for _, pod := range c.pods {
		list.Items = append(list.Items, pod)
	}
	reply(w, list)
}

func (c *cluster) listEvents(w http.ResponseWriter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := corev1.EventList{TypeMeta: metav1.TypeMeta{Kind: "EventList", APIVersion: "v1"}, Items: []corev1.Event{}}
	list.ResourceVersion = strconv.Itoa(len(c.events["events"]))
	for _, happened := range c.events["events"] {
		list.Items = append(list.Items, *happened.Object.(*corev1.Event))
	}
	reply(w, list)
}

// watch sends what happened since the resourceVersion, which counts events, and what happens until the client leaves or
// its time is up.
func (c *cluster) watch(w http.ResponseWriter, r *http.Request, resource string) {
	sent, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	seconds, err := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	if err != nil {
		seconds = 60
	}
	timeout := time.After(time.Duration(seconds) * time.Second)
	flusher := w.(http.Flusher)
	w.Header().Set("Content-Type", "application/json")
	flusher.Flush()
	for {
		c.mu.Lock()
		news, changed := slices.Clone(c.events[resource][sent:]), c.changed
		sent = len(c.events[resource])
		c.mu.Unlock()
		for _, event := range news {
			_ = json.NewEncoder(w).Encode(event)
		}
		flusher.Flush()
		select {
		case <-changed:
		case <-timeout:
			return
		case <-r.Context().Done():
			return
		case <-c.stop:
			return
		}
	}
}

// happened tells watchers of the resource.
func (c *cluster) happened(resource, kind string, object metav1.Object) {
	object.SetResourceVersion(strconv.Itoa(len(c.events[resource]) + 1))
	c.events[resource] = append(c.events[resource], watchEvent{kind, object})
	close(c.changed)
	c.changed = make(chan struct{})
}

// play lets a step happen to a Pod that is there.
func (c *cluster) play(name string, next step) {
	pod, found := c.pods[name]
	if !found {
		return
	}
	pod.Status = next.status
	c.pods[name] = pod
	c.happened("pods", "MODIFIED", pod.DeepCopy())
	if next.event != nil {
		event := next.event.DeepCopy()
		event.Namespace = "data"
		event.UID += types.UID(fmt.Sprint(len(c.created))) // another Pod's Events are others, whatever the Pod's name
		event.TypeMeta = metav1.TypeMeta{Kind: "Event", APIVersion: "v1"}
		event.InvolvedObject = corev1.ObjectReference{Kind: "Pod", Name: name}
		event.LastTimestamp = metav1.Now()
		c.happened("events", "ADDED", event)
	}
}

func (c *cluster) createPod(w http.ResponseWriter, r *http.Request) {
	var pod corev1.Pod
	if err := json.NewDecoder(r.Body).Decode(&pod); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != "" {
		w.WriteHeader(http.StatusForbidden)
		reply(w, metav1.Status{Status: metav1.StatusFailure, Message: c.refuse, Code: http.StatusForbidden})
		return
	}
	c.created = append(c.created, *pod.DeepCopy())
	pod.TypeMeta = metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
	pod.Namespace = "data"
	pod.UID = "00000000-0000-0000-0000-000000000000"
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending}
	c.pods[pod.Name] = pod
	c.happened("pods", "ADDED", pod.DeepCopy())
	steps := []step{{status: running()}}
	if c.kubelet != nil {
		steps = c.kubelet(pod)
	}
	for _, next := range steps {
		c.play(pod.Name, next)
	}
	w.WriteHeader(http.StatusCreated)
	reply(w, pod)
}

func running() corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "127.0.0.1", ContainerStatuses: []corev1.ContainerStatus{
		{Name: "notebook", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}},
	}}
}

func (c *cluster) deletePod(w http.ResponseWriter, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pod, found := c.pods[name]; found {
		delete(c.pods, name)
		c.happened("pods", "DELETED", pod.DeepCopy())
	}
	reply(w, metav1.Status{Status: metav1.StatusSuccess})
}

func (c *cluster) createClaim(w http.ResponseWriter, r *http.Request) {
	var claim corev1.PersistentVolumeClaim
	if err := json.NewDecoder(r.Body).Decode(&claim); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims[claim.Name] = claim
	w.WriteHeader(http.StatusCreated)
	reply(w, claim)
}

// did returns what the hub did so far.
func (c *cluster) did() []access {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []access
	for one := range c.requests {
		all = append(all, one)
	}
	return all
}

// pod is the last Pod that was created, as it was sent.
func (c *cluster) pod(t *testing.T) corev1.Pod {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.created) == 0 {
		t.Fatal("no Pod was created")
	}
	return c.created[len(c.created)-1]
}

func (c *cluster) running() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pods)
}

func reply(w io.Writer, value any) { _ = json.NewEncoder(w).Encode(value) }

// become sets what becomes of Pods from now on.
func (c *cluster) become(steps []step, refuse string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kubelet = func(corev1.Pod) []step { return steps }
	c.refuse = refuse
}
