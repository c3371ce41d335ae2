package login_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/test/container"
	"opendatahub.io/operator/test/oidc"
)

// site is a web interface that says who asks, and the proxy in front of it, as rendered.
type site struct {
	*container.Pod
	proxy         native.LoginProxy
	secure, plain string // addresses of the proxy, of which it has one
}

func newSite(t *testing.T, spec v1alpha1.OpenDataHubSpec) *site {
	t.Helper()
	return siteOf(t, spec, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "hello %s at %s", r.Header.Get("X-Forwarded-User"), r.Host)
	}))
}

func siteOf(t *testing.T, spec v1alpha1.OpenDataHubSpec, web http.Handler) *site {
	t.Helper()
	upstream := httptest.NewServer(web)
	t.Cleanup(upstream.Close)
	facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "lab"}, Spec: spec}
	app := native.NewApp(facts, "mlflow")
	proxy, err := native.NewLoginProxy(app, facts, native.WebInterface{
		Part: "server", Port: int32(upstream.Listener.Addr().(*net.TCPAddr).Port),
		APIPaths: []string{"^/api/"}, Programs: []string{"notebook"}, BearerTokens: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	var others []*corev1.Secret
	if login := spec.Authentication.OIDC; login != nil {
		others = append(others, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: login.ClientSecretRef.Name, Namespace: "lab"},
			Data:       map[string][]byte{native.OIDCSecretKey: []byte(oidc.ClientSecret)},
		})
	}
	pod := app.Pod("server", 1000)
	proxy.AddTo(pod, v1alpha1.Resources{})
	s := &site{proxy: proxy, secure: container.FreeAddress(t), plain: container.FreeAddress(t)}
	s.Pod = container.NewPod(t, "mlflow", facts.Platform, proxy.Objects(), pod, others...)
	for _, mount := range s.Container(proxyContainer).VolumeMounts {
		if !mount.ReadOnly {
			t.Errorf("the volume %s can be written", mount.Name)
		}
	}
	return s
}

const proxyContainer = "login-proxy"

func (s *site) run() *container.Process {
	s.Helper()
	path, err := container.LoginProxy()
	if err != nil {
		s.Fatal(err)
	}
	return container.Start(s.T, s.Command(proxyContainer, path,
		"--https-address=:8443", "--https-address="+s.secure, "--http-address=:8080", "--http-address="+s.plain))
}

// address at which the proxy listens.
func (s *site) address() string {
	if s.Container(proxyContainer).Ports[0].Name == "https" {
		return s.secure
	}
	return s.plain
}

// ends runs the container and says whether it fails before it serves anybody.
func (s *site) ends() (output string, ends bool) {
	s.Helper()
	process := s.run()
	listens := process.Until(func() bool {
		connection, err := net.Dial("tcp", s.address())
		if err == nil {
			_ = connection.Close()
		}
		return err == nil
	})
	process.Stop()
	return process.Output(), !listens
}

func (s *site) start() {
	s.Helper()
	probe := s.Container(proxyContainer).ReadinessProbe.HTTPGet
	b := s.browser()
	if !s.run().Until(func() bool {
		response, err := b.client().Get(strings.ToLower(string(probe.Scheme)) + "://odh-mlflow.lab.svc" + probe.Path)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}) {
		s.Fatal("the proxy ended")
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
		roots.AppendCertsFromPEM([]byte(b.site.Secret(authority.Secret)[authority.Key]))
	}
	return &http.Client{
		Jar:           b.jar,
		Timeout:       container.Patience,
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

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
