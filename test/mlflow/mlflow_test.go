package mlflow_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/mlflow"
	"opendatahub.io/operator/test/container"
)

// site is a platform odh in the namespace lab with MLflow.
type site struct {
	*container.Pod
	facts    components.Facts
	python   string
	upstream string // address of MLflow
	front    string // address of the login
	server   *container.Process
}

func newSite(t *testing.T, spec v1alpha1.OpenDataHubSpec) *site {
	t.Helper()
	python := filepath.Join(container.Programs(t, "mlflow"), "python")
	odh := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Name: "odh", Namespace: "lab"}, Spec: spec}
	odh.Spec.Profile = v1alpha1.ProfileDevelopment
	odh.Spec.Components.MLflow = &v1alpha1.MLflowSpec{}
	s := &site{
		facts:  components.NewFacts(odh, components.Cluster{}, []components.Component{mlflow.New()}),
		python: python, upstream: container.FreeAddress(t), front: container.FreeAddress(t),
	}
	objects, err := mlflow.New().Render(s.facts)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if deployment, ok := object.ApplyConfiguration.(*apps.DeploymentApplyConfiguration); ok {
			s.Pod = container.NewPod(t, "mlflow", s.facts.Platform, objects, deployment.Spec.Template.Spec, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: "s3", Namespace: "lab"},
				Data:       map[string][]byte{"AWS_ACCESS_KEY_ID": []byte("key"), "AWS_SECRET_ACCESS_KEY": []byte("secret")},
			})
		}
	}
	proxy, err := container.LoginProxy()
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	container.Start(t, s.Command("login-proxy", proxy,
		"--https-address=:8443", "--https-address="+s.front, "127.0.0.1:5000", s.upstream))
	return s
}

// start is what the kubelet does: the init container, the server, and the probe until it succeeds.
func (s *site) start() {
	s.Helper()
	_, port, err := net.SplitHostPort(s.upstream)
	if err != nil {
		s.Fatal(err)
	}
	if output, err := s.mlflow("migration").CombinedOutput(); err != nil {
		s.Fatalf("the database: %v\n%s", err, output)
	}
	s.server = container.Start(s.T, s.mlflow("server", "--port=5000", "--port="+port))
	probe := s.Container("server").ReadinessProbe.Exec.Command
	script := strings.ReplaceAll(probe[2], "127.0.0.1:5000", s.upstream)
	if !s.server.Until(func() bool {
		return exec.CommandContext(s.Context(), s.python, probe[1], script).Run() == nil
	}) {
		s.Fatal("the server ended")
	}
}

// mlflow runs a container of MLflow. The scripts of a virtual environment do not survive its move, modules do.
func (s *site) mlflow(name string, replace ...string) *exec.Cmd {
	s.Helper()
	command := s.Command(name, s.python, replace...)
	command.Args = slices.Insert(command.Args, 1, "-m", s.Container(name).Command[0])
	return command
}

// notebook runs a step of notebook.py with the environment that JupyterHub gives notebooks, and nothing else.
func (s *site) notebook(step string) string {
	s.Helper()
	_, port, err := net.SplitHostPort(s.front)
	if err != nil {
		s.Fatal(err)
	}
	folder := s.TempDir()
	command := exec.CommandContext(s.Context(), s.python, "notebook.py", step, folder)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "TEST_PORT=" + port, "MLFLOW_DISABLE_TELEMETRY=true"}
	declared := s.facts.Declared.Notebooks
	for _, variable := range declared.Environment {
		var value string
		if variable.Value != nil {
			value = *variable.Value
		} else {
			value = s.Secret(*variable.ValueFrom.SecretKeyRef.Name)[*variable.ValueFrom.SecretKeyRef.Key]
		}
		for _, authority := range declared.Authorities {
			if value == authority.File() {
				value = filepath.Join(folder, authority.Key)
				if err := os.WriteFile(value, []byte(s.Secret(authority.Secret)[authority.Key]), 0o600); err != nil {
					s.Fatal(err)
				}
			}
		}
		command.Env = append(command.Env, *variable.Name+"="+value)
	}
	var problems bytes.Buffer
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		s.Fatalf("%s: %v\n%s", step, err, problems.String())
	}
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return lines[len(lines)-1]
}

// client speaks to the login, whatever the name of the host.
func (s *site) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.Secret("odh-mlflow-tls")["ca.crt"]))
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: container.Patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: "odh-mlflow.lab.svc", MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", s.front)
		},
	}}
}

func (s *site) do(client *http.Client, method, address, body string, headers ...string) (int, string) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), method, address, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	if user, password, ok := strings.Cut(request.Header.Get("Login"), ":"); ok {
		request.SetBasicAuth(user, password)
	}
	response, err := client.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// objectStorage is a real HTTP server that speaks S3, with the bucket in it.
func objectStorage(t *testing.T) v1alpha1.ObjectStorageSpec {
	t.Helper()
	python := filepath.Join(container.Programs(t, "mlflow"), "python")
	address := container.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	moto := container.Start(t, exec.Command(python, "-m", "moto.server", "-H", "127.0.0.1", "-p", port))
	if !moto.Until(func() bool { return request(t, http.MethodPut, "http://"+address+"/experiments") != "" }) {
		t.Fatal("moto ended")
	}
	return v1alpha1.ObjectStorageSpec{Type: v1alpha1.ObjectStorageExternal, External: &v1alpha1.ExternalObjectStorage{
		Endpoint: "http://" + address, CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"},
	}}
}

// request returns the status and the content, or nothing if nobody answers.
func request(t *testing.T, method, address string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return response.Status + string(content)
}

func TestExperimentsAreKept(t *testing.T) {
	storage := objectStorage(t)
	s := newSite(t, v1alpha1.OpenDataHubSpec{ObjectStorage: storage})
	run := s.notebook("log")
	if listing := request(t, http.MethodGet, storage.External.Endpoint+"/experiments"); !strings.Contains(listing, run+"/artifacts/note.txt") {
		t.Errorf("the artifact of run %s is not in the bucket: %s", run, listing)
	}
	s.server.Stop()
	s.start()
	if got := s.notebook("read"); got != "kept in S3 1" {
		t.Errorf("after a restart the notebook reads %q", got)
	}
	whoMayDoWhat(s)
}

func whoMayDoWhat(s *site) {
	s.Helper()
	const search = "/api/2.0/mlflow/experiments/search?max_results=1"
	login := s.Secret("odh-mlflow-login")
	anonymous := s.client()
	for _, path := range []string{"/", search, "/metrics", "/health", "/version", "/graphql", "/static-files/index.html"} {
		if status, body := s.do(anonymous, http.MethodGet, "https://odh-mlflow.lab.svc"+path, ""); status != http.StatusUnauthorized && status != http.StatusForbidden {
			s.Errorf("%s without a login: %d %.200s", path, status, body)
		}
	}

	// Prometheus names the Pod by its address.
	status, metrics := s.do(anonymous, http.MethodGet, "https://10.1.2.3:8443/metrics", "", "Login", "prometheus:"+login["prometheus-password"])
	if status != http.StatusOK || !strings.Contains(metrics, "mlflow_http_request_duration_seconds_count") {
		s.Errorf("/metrics: %d %.300s", status, metrics)
	}

	for host, want := range map[string]int{
		"odh-mlflow": 200, "odh-mlflow.lab": 200, "odh-mlflow.lab.svc": 200, "odh-mlflow.lab.svc.cluster.local": 200, "localhost:8443": 200,
		"localhost:35783": 200, "127.0.0.1:9000": 200, // kubectl port-forward, when 8443 is taken
		"evil.example": 403, "localhost.evil.example:35783": 403,
	} {
		if status, body := s.do(anonymous, http.MethodGet, "https://"+host+search, "", "Login", "notebook:"+login["notebook-password"]); status != want {
			s.Errorf("as %s: %d %.200s, want %d", host, status, body, want)
		}
	}

	browser := s.client()
	const local = "https://localhost:8443" // kubectl port-forward
	if status, page := s.do(browser, http.MethodPost, local+"/oauth2/sign_in",
		url.Values{"username": {"admin"}, "password": {login["password"]}, "rd": {"/"}}.Encode(),
		"Content-Type", "application/x-www-form-urlencoded"); status != http.StatusOK || !strings.Contains(page, "<title>MLflow</title>") {
		s.Errorf("after the login: %d %.300s", status, page)
	}
	for origin, want := range map[string]int{local: 200, "https://evil.example": 403} {
		status, body := s.do(browser, http.MethodPost, local+"/ajax-api/2.0/mlflow/experiments/create", `{"name":"from a page"}`,
			"Content-Type", "application/json", "Origin", origin)
		if status != want {
			s.Errorf("a page of %s creates an experiment: %d %.200s, want %d", origin, status, body, want)
		}
	}
}

// Without an object storage the volume has the artifacts as well.
func TestArtifactsOnTheVolume(t *testing.T) {
	s := newSite(t, v1alpha1.OpenDataHubSpec{})
	run := s.notebook("log")
	found, err := filepath.Glob(s.Path("/var/lib/mlflow/artifacts/*/" + run + "/artifacts/note.txt"))
	if err != nil || len(found) != 1 {
		t.Errorf("the artifact is at %v, %v", found, err)
	}
	if got := s.notebook("read"); got != "kept in S3 1" {
		t.Errorf("the notebook reads %q", got)
	}
}
