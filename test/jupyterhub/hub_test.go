package jupyterhub_test

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
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

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/jupyterhub"
	"opendatahub.io/operator/test/container"
)

// patience is how long anything may take on a busy machine. Nothing waits that long unless it fails.
const patience = 2 * time.Minute

// hub is a running JupyterHub.
type hub struct {
	url string
	// profiles is the folder with profiles.json.
	profiles string
	// offers is the folder with a folder for each component that offers devices of nodes.
	offers  string
	secrets map[string]map[string]string
	cluster *cluster
	proxy   *proxy
	log     *log
	// data is the folder with the database, and pid the process of the hub.
	data string
	pid  int
}

// start renders a platform and starts its hub with the command, the files and the environment of its Deployment. Only
// folders and addresses differ. The hub has to be free of complaints when the test ends.
func start(t *testing.T, facts components.Facts, options ...string) *hub {
	t.Helper()
	return startIn(t, nil, facts, options...)
}

// startIn starts the hub as the last arguments of another command.
func startIn(t *testing.T, wrap []string, facts components.Facts, options ...string) *hub {
	t.Helper()
	c := newCluster(t)
	return startFiles(t, wrap, render(t, facts), c, c.notebookPort, c.kubeconfig, options...)
}

// startFiles starts the hub with the files of its Pod. Notebooks answer at the port, and the folder of the hub gets a kubeconfig.
func startFiles(t *testing.T, wrap []string, files rendered, c *cluster, notebookPort int, kubeconfig func(*testing.T, string) string, options ...string) *hub {
	t.Helper()
	python := filepath.Join(container.Programs(t, "jupyterhub"), "python")
	container := files.deployment.Spec.Template.Spec.Containers[0]
	env := map[string]string{}
	for _, variable := range container.Env {
		env[variable.Name] = variable.Value
		if from := variable.ValueFrom; from != nil {
			env[variable.Name] = files.secrets[from.SecretKeyRef.Name][from.SecretKeyRef.Key]
			if env[variable.Name] == "" {
				t.Fatalf("%s: Secret %s has no key %s", variable.Name, from.SecretKeyRef.Name, from.SecretKeyRef.Key)
			}
		}
	}

	h := &hub{secrets: files.secrets, cluster: c, proxy: newProxy(t, env["CONFIGPROXY_AUTH_TOKEN"]), log: newLog()}
	folder := t.TempDir()
	port := freePort(t)
	h.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	// The hub has what its container mounts, and no more.
	for _, mount := range container.VolumeMounts {
		switch mount.MountPath {
		case "/etc/jupyterhub":
			writeAll(t, filepath.Join(folder, "config"), files.config)
		case "/etc/jupyterhub-profiles":
			writeAll(t, filepath.Join(folder, "profiles"), files.profiles)
		case "/etc/jupyterhub-extra":
			writeAll(t, filepath.Join(folder, "extra"), files.extra)
		}
	}
	for _, name := range []string{"data", "tmp"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	env["HOME"] = folder
	env["TMPDIR"] = filepath.Join(folder, "tmp") // NativeAuthenticator leaves its templates there
	env["PATH"] = os.Getenv("PATH")
	env["KUBECONFIG"] = kubeconfig(t, folder)
	env["ODH_CONFIG_DIR"] = filepath.Join(folder, "config")
	h.profiles = filepath.Join(folder, "profiles")
	env["ODH_PROFILES_DIR"] = h.profiles
	h.offers = filepath.Join(folder, "offers")
	env["ODH_OFFERS_DIR"] = h.offers
	env["ODH_DATA_DIR"] = filepath.Join(folder, "data")
	env["ODH_EXTRA_DIR"] = filepath.Join(folder, "extra")
	env["ODH_HUB_PORT"] = fmt.Sprint(port)

	args := []string{"-m"}
	for _, arg := range container.Args {
		args = append(args, strings.Replace(arg, "/etc/jupyterhub/", env["ODH_CONFIG_DIR"]+"/", 1))
	}
	args = append(args,
		"--JupyterHub.hub_bind_url="+h.url, "--JupyterHub.hub_connect_url="+h.url,
		"--ConfigurableHTTPProxy.api_url="+h.proxy.url,
		fmt.Sprintf("--KubeSpawner.port=%d", notebookPort))
	command := append(slices.Clone(wrap), append([]string{python}, append(args, options...)...)...)
	h.run(t, exec.Command(command[0], command[1:]...), env, filepath.Join(folder, "data"))
	return h
}

func writeAll(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		write(t, filepath.Join(folder, name), content)
	}
}

// run starts the hub and waits until it serves.
func (h *hub) run(t *testing.T, command *exec.Cmd, env map[string]string, folder string) {
	t.Helper()
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Dir = folder
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	h.data, h.pid = folder, command.Process.Pid
	ended := make(chan struct{})
	go func() {
		h.log.read(output)
		_ = command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		complaints := h.log.complaints()
		// On SIGTERM it also stops its services, which would keep running otherwise.
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("JupyterHub did not stop within %s", patience)
			_ = command.Process.Kill()
		}
		if len(complaints) > 0 {
			t.Errorf("JupyterHub complains:\n%s", strings.Join(complaints, "\n"))
		}
		if t.Failed() {
			t.Logf("the log of JupyterHub:\n%s", h.log)
		}
	})
	h.log.wait(t, "JupyterHub is now running")
}

// rendered is what is rendered for the hub's Pod.
type rendered struct {
	deployment appsv1.Deployment
	config     map[string]string
	profiles   map[string]string
	// loadTest tries extra.
	loadTest batchv1.Job
	extra    map[string]string
	secrets  map[string]map[string]string
}

// render renders the component and plays the operator and the API server for its Secrets.
func render(t *testing.T, facts components.Facts) rendered {
	t.Helper()
	component := jupyterhub.New()
	objects, err := component.Render(facts)
	if err != nil {
		t.Fatal(err)
	}
	result := rendered{secrets: map[string]map[string]string{}}
	for _, reference := range component.(components.WithReferences).References(facts) {
		keys := map[string]string{}
		for _, key := range reference.Keys {
			keys[key] = "the-" + key
		}
		result.secrets[reference.Name] = keys
	}
	for _, object := range objects {
		content, err := json.Marshal(object.ApplyConfiguration)
		if err != nil {
			t.Fatal(err)
		}
		var kind struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		decode(t, content, &kind)
		switch kind.Kind + " " + kind.Metadata.Name {
		case "Deployment odh-jupyterhub-hub":
			decode(t, content, &result.deployment)
		case "ConfigMap odh-jupyterhub-config":
			result.config = dataOf(t, content)
		case "ConfigMap odh-jupyterhub-profiles":
			result.profiles = dataOf(t, content)
		}
		switch {
		case kind.Kind == "Job":
			decode(t, content, &result.loadTest)
		case kind.Kind == "ConfigMap" && strings.HasPrefix(kind.Metadata.Name, "odh-jupyterhub-extra-"):
			result.extra = dataOf(t, content)
		case kind.Kind == "Secret":
			result.secrets[kind.Metadata.Name] = secretOf(t, content, object.Generate)
		}
	}
	if result.loadTest.Name != "" && len(facts.Live) == 0 {
		facts.Live = components.Objects{passed(result.loadTest.Name)}
		return render(t, facts)
	}
	return result
}

// passed is the load test of an extraConfig that is good.
func passed(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": name},
		"status": map[string]any{"conditions": []any{map[string]any{"type": "Complete", "status": "True"}}},
	}}
}

func secretOf(t *testing.T, content []byte, generate []components.Random) map[string]string {
	t.Helper()
	var secret corev1.Secret
	decode(t, content, &secret)
	values := map[string]string{}
	for key, value := range secret.Data {
		values[key] = string(value)
	}
	for _, random := range generate {
		value := make([]byte, random.Bytes)
		_, _ = rand.Read(value)
		values[random.Key] = hex.EncodeToString(value)
	}
	if secret.Type == corev1.SecretTypeServiceAccountToken {
		values["token"] = "the-token-of-the-account"
	}
	return values
}

func dataOf(t *testing.T, content []byte) map[string]string {
	t.Helper()
	var configMap corev1.ConfigMap
	decode(t, content, &configMap)
	return configMap.Data
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	_, port, err := net.SplitHostPort(container.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// log is what the hub and its services print.
type log struct {
	mu sync.Mutex
	// expected are complaints that a test provokes.
	expected []string
	lines    []string
	changed  chan struct{}
	ended    bool
}

func newLog() *log { return &log{changed: make(chan struct{})} }

func (l *log) read(output io.Reader) {
	scanner := bufio.NewScanner(output)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l.add(scanner.Text(), false)
	}
	l.add("(end)", true)
}

func (l *log) add(line string, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	l.ended = ended
	close(l.changed)
	l.changed = make(chan struct{})
}

// wait returns when a line has the text.
func (l *log) wait(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		found := slices.ContainsFunc(l.lines, func(line string) bool { return strings.Contains(line, text) })
		ended, changed := l.ended, l.changed
		l.mu.Unlock()
		switch {
		case found:
			return
		case ended:
			t.Fatalf("JupyterHub ended without saying %q", text)
		case len(l.complaints()) > 0:
			t.Fatalf("JupyterHub complains instead of saying %q", text)
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("JupyterHub did not say %q within %s", text, patience)
		}
	}
}

var complaint = regexp.MustCompile(`^\[[EC] |Traceback|not recognized|^\S*(Error|Exception)\b`)

// complaints are errors, exceptions and options that this JupyterHub does not have, except for those that a test provokes.
func (l *log) complaints() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	expected := append([]string{"XSRF error on login form"}, l.expected...)
	return slices.DeleteFunc(slices.Clone(l.lines), func(line string) bool {
		return !complaint.MatchString(line) ||
			slices.ContainsFunc(expected, func(text string) bool { return strings.Contains(line, text) })
	})
}

// expect says which complaints a test provokes.
func (l *log) expect(texts ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expected = append(l.expected, texts...)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// browser is one person's, as far as JupyterHub can tell: it keeps cookies and says where a request comes from.
type browser struct {
	t      *testing.T
	hub    *hub
	client *http.Client
}

// page is an answer. Redirects are followed.
type page struct {
	status int
	path   string
	body   string
}

func (h *hub) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, hub: h, client: &http.Client{
		Jar:     secureJar{jar},
		Timeout: patience,
		CheckRedirect: func(request *http.Request, _ []*http.Request) error {
			if !strings.HasPrefix(request.URL.String(), h.url+"/hub/") {
				return http.ErrUseLastResponse // into a notebook, or away to log in
			}
			return nil
		},
	}}
}

// secureJar hands out Secure cookies although the hub is reached without its proxy, and so without TLS.
type secureJar struct{ http.CookieJar }

func https(address *url.URL) *url.URL {
	secure := *address
	secure.Scheme = "https"
	return &secure
}

func (j secureJar) SetCookies(address *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(https(address), cookies)
}
func (j secureJar) Cookies(address *url.URL) []*http.Cookie {
	return j.CookieJar.Cookies(https(address))
}

func (b *browser) get(path string, headers ...string) page {
	b.t.Helper()
	return b.do(http.MethodGet, path, nil, headers...)
}

// post fills in the form at the path.
func (b *browser) post(path string, fields ...string) page {
	b.t.Helper()
	form := url.Values{"_xsrf": {b.xsrf(path)}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do(http.MethodPost, path, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
}

var xsrfToken = regexp.MustCompile(`name="_xsrf" value="([^"]+)"|xsrf_token: "([^"]+)"`)

// xsrf is the token that the page at the path has.
func (b *browser) xsrf(path string) string {
	b.t.Helper()
	found := xsrfToken.FindStringSubmatch(b.get(path).body)
	if found == nil {
		b.t.Fatalf("the page %s has no XSRF token", path)
	}
	return found[1] + found[2]
}

func (b *browser) do(method, path string, body io.Reader, headers ...string) page {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.hub.url+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Mode", "navigate")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	result := page{status: response.StatusCode, path: response.Request.URL.Path, body: string(content)}
	if location := response.Header.Get("Location"); location != "" {
		result.path = location
	}
	return result
}

// login says whether the login form lets the user in.
func (b *browser) login(user, password string) bool {
	b.t.Helper()
	answer := b.post("/hub/login", "username", user, "password", password)
	if answer.status >= http.StatusInternalServerError {
		b.t.Errorf("logging in as %s: status %d", user, answer.status)
	}
	return b.get("/hub/home").path == "/hub/home"
}

func (b *browser) want(path string, status int, headers ...string) page {
	b.t.Helper()
	answer := b.get(path, headers...)
	if answer.status != status {
		b.t.Errorf("GET %s: got status %d, want %d", path, answer.status, status)
	}
	return answer
}
