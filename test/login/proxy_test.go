package login_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/clustertest"
)

// patience is how long anything may take on a busy machine. Nothing waits that long unless it fails.
const patience = 2 * time.Minute

const manager = "opendatahub-mlflow"

var binary = sync.OnceValues(func() (string, error) {
	command := exec.Command("../../hack/oauth2-proxy.sh", native.LoginProxyVersion)
	var problems bytes.Buffer
	command.Stderr = &problems
	path, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("building oauth2-proxy: %w\n%s", err, problems.String())
	}
	return strings.TrimSpace(string(path)), nil
})

// site is a web interface that says who asks, and the proxy in front of it, as rendered.
type site struct {
	*testing.T
	proxy    native.LoginProxy
	objects  []components.Object
	cluster  *clustertest.Cluster
	upstream *httptest.Server
	pod      corev1.PodSpec

	folder        string // stands for the root of the container
	secure, plain string // addresses of the proxy, of which it has one
}

// newSite makes all that the proxy reads: Secrets by the operator's own code, and files as the kubelet would.
func newSite(t *testing.T, spec v1alpha1.OpenDataHubSpec) *site {
	t.Helper()
	s := &site{T: t, cluster: clustertest.New(t), folder: t.TempDir(), secure: freeAddress(t), plain: freeAddress(t)}
	s.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "hello %s at %s", r.Header.Get("X-Forwarded-User"), r.Host)
	}))
	t.Cleanup(s.upstream.Close)

	facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}, Spec: spec}
	app := native.NewApp(facts, "mlflow")
	proxy, err := native.NewLoginProxy(app, facts, native.WebInterface{
		Part: "server", Port: int32(s.upstream.Listener.Addr().(*net.TCPAddr).Port),
		APIPaths: []string{"^/api/"}, Programs: []string{"notebook"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.proxy, s.objects = proxy, proxy.Objects()
	s.generate()
	if oidc := spec.Authentication.OIDC; oidc != nil {
		s.put(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: oidc.ClientSecretRef.Name, Namespace: "lab"},
			Data:       map[string][]byte{native.OIDCSecretKey: []byte(clientSecret)},
		})
	}

	pod := app.Pod("server", 1000)
	proxy.AddTo(pod, v1alpha1.Resources{})
	content, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &s.pod); err != nil {
		t.Fatal(err)
	}
	s.mount()
	return s
}

// generate is what the operator does with Secrets.
func (s *site) generate() {
	s.Helper()
	facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}}
	var secrets []components.Object
	for _, object := range s.objects {
		if _, ok := object.ApplyConfiguration.(*core.SecretApplyConfiguration); ok {
			secrets = append(secrets, object)
		}
	}
	prepared, err := apply.Prepare("mlflow", []components.Use{{Kind: kinds.Secret}}, facts, nil, secrets)
	if err != nil {
		s.Fatal(err)
	}
	applier := &apply.Applier{Client: s.cluster, Reader: s.cluster, Children: s.cluster.Children(kinds.Secret.GVK())}
	if _, err := applier.Generate(s.Context(), manager, prepared); err != nil {
		s.Fatal(err)
	}
}

func (s *site) put(secret *corev1.Secret) {
	s.Helper()
	if err := s.cluster.Create(s.Context(), secret); err != nil {
		s.Fatal(err)
	}
}

// data of a Secret or ConfigMap.
func (s *site) data(kind kinds.Kind, name string) map[string]string {
	s.Helper()
	data := map[string]string{}
	if kind.Kind == "ConfigMap" {
		for _, object := range s.objects {
			if configMap, ok := object.ApplyConfiguration.(*core.ConfigMapApplyConfiguration); ok && *configMap.Name == name {
				return configMap.Data
			}
		}
		s.Fatalf("no ConfigMap %s is rendered", name)
	}
	object := s.cluster.Object(kind.GVK(), "lab", name)
	if object == nil {
		s.Fatalf("there is no Secret %s", name)
	}
	encoded, _, err := unstructured.NestedStringMap(object.Object, "data")
	if err != nil {
		s.Fatal(err)
	}
	for key, value := range encoded {
		decoded, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			s.Fatal(err)
		}
		data[key] = string(decoded)
	}
	return data
}

// mount writes the volumes of the Pod into files.
func (s *site) mount() {
	s.Helper()
	folders := map[string]string{}
	for _, mount := range s.pod.Containers[0].VolumeMounts {
		if !mount.ReadOnly {
			s.Errorf("the volume %s can be written", mount.Name)
		}
		folders[mount.Name] = filepath.Join(s.folder, mount.MountPath)
	}
	for _, volume := range s.pod.Volumes {
		var data map[string]string
		var items []corev1.KeyToPath
		switch {
		case volume.Secret != nil:
			data, items = s.data(kinds.Secret, volume.Secret.SecretName), volume.Secret.Items
		case volume.ConfigMap != nil:
			data, items = s.data(kinds.ConfigMap, volume.ConfigMap.Name), volume.ConfigMap.Items
		default:
			s.Fatalf("volume %s is of a kind that this test does not know", volume.Name)
		}
		if len(items) > 0 {
			chosen := map[string]string{}
			for _, item := range items {
				chosen[item.Path] = data[item.Key]
			}
			data = chosen
		}
		if err := os.MkdirAll(folders[volume.Name], 0o700); err != nil {
			s.Fatal(err)
		}
		for name, content := range data {
			// As the kubelet does it: a reader sees the old file or the new one.
			path := filepath.Join(folders[volume.Name], name)
			if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
				s.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				s.Fatal(err)
			}
		}
	}
}

// command runs the container: its arguments, with the folder for the root and other ports.
func (s *site) command() *exec.Cmd {
	s.Helper()
	path, err := binary()
	if err != nil {
		s.Fatal(err)
	}
	var args []string
	for _, arg := range s.pod.Containers[0].Args {
		arg = strings.Replace(arg, "=/etc/", "="+s.folder+"/etc/", 1)
		arg = strings.Replace(arg, "--https-address=:8443", "--https-address="+s.secure, 1)
		args = append(args, strings.Replace(arg, "--http-address=:8080", "--http-address="+s.plain, 1))
	}
	return exec.CommandContext(s.Context(), path, args...)
}

// address at which the proxy listens.
func (s *site) address() string {
	if s.pod.Containers[0].Ports[0].Name == "https" {
		return s.secure
	}
	return s.plain
}

// ends runs the container and says whether it fails before it serves anybody.
func (s *site) ends() (output string, ends bool) {
	s.Helper()
	command := s.command()
	log := &bytes.Buffer{}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		s.Fatal(err)
	}
	failed := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(failed)
	}()
	for {
		select {
		case <-failed:
			return log.String(), true
		default:
		}
		if connection, err := net.Dial("tcp", s.address()); err == nil {
			_ = connection.Close()
			_ = command.Process.Kill()
			<-failed
			return log.String(), false
		}
	}
}

func (s *site) start() {
	s.Helper()
	command := s.command()
	log := &bytes.Buffer{}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		s.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	s.Cleanup(func() {
		_ = command.Process.Kill()
		_ = <-ended
		if s.Failed() {
			s.Logf("oauth2-proxy:\n%s", log)
		}
	})
	for begin := time.Now(); ; {
		select {
		case err := <-ended:
			ended <- err
			s.Fatalf("oauth2-proxy ended: %v", err)
		default:
		}
		probe := s.pod.Containers[0].ReadinessProbe.HTTPGet
		response, err := s.browser().client().Get(strings.ToLower(string(probe.Scheme)) + "://odh-mlflow.lab.svc" + probe.Path)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Since(begin) > patience {
			s.Fatalf("oauth2-proxy is not ready: %v", err)
		}
	}
}

// browser keeps cookies. It knows two hosts: the Service, and the address outside, where a router ends TLS and speaks HTTP
// to the Pod.
type browser struct {
	site   *site
	jar    http.CookieJar
	router *httptest.Server
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	b := &browser{site: s, jar: jar}
	b.router = httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: s.plain})
		r.Out.Host = r.In.Host
	}})
	s.Cleanup(b.router.Close)
	return b
}

func (b *browser) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(b.router.Certificate())
	if authority := b.site.proxy.Authority(); authority.Secret != "" {
		roots.AppendCertsFromPEM([]byte(b.site.data(kinds.Secret, authority.Secret)[authority.Key]))
	}
	return &http.Client{
		Jar:           b.jar,
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", b.site.plain)
			},
			DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				target, name := b.site.secure, strings.TrimSuffix(address, ":443")
				if !strings.HasSuffix(name, ".svc") {
					target, name = b.router.Listener.Addr().String(), "example.com"
				}
				return (&tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", target)
			},
		},
	}
}

type answer struct {
	status   int
	location string
	body     string
	cookies  []*http.Cookie
}

func (b *browser) do(request *http.Request) answer {
	b.site.Helper()
	response, err := b.client().Do(request)
	if err != nil {
		b.site.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.site.Fatal(err)
	}
	return answer{response.StatusCode, response.Header.Get("Location"), string(body), response.Cookies()}
}

func (b *browser) get(url string, headers ...string) answer {
	b.site.Helper()
	request, err := http.NewRequestWithContext(b.site.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.site.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return b.do(request)
}

func (b *browser) post(url string, form url.Values) answer {
	b.site.Helper()
	request, err := http.NewRequestWithContext(b.site.Context(), http.MethodPost, url, strings.NewReader(form.Encode()))
	if err != nil {
		b.site.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(request)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
