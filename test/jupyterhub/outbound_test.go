package jupyterhub_test

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/test/container"
)

// outside is what is beyond the cluster: servers of *.example.com, with certificates of an authority of their own, that nobody reaches but
// through a forward proxy.
type outside struct {
	proxy, authority string

	mu sync.Mutex
	// asked are the hosts that the proxy was asked for.
	asked []string
}

func newOutside(t *testing.T, servers http.Handler) *outside {
	t.Helper()
	o := &outside{}
	certificate, authority := certified(t, "*.example.com")
	o.authority = filepath.Join(t.TempDir(), "ca.crt")
	write(t, o.authority, authority)

	server := httptest.NewUnstartedServer(servers)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	forward := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked = append(o.asked, r.Host)
		o.mu.Unlock()
		if r.Method != http.MethodConnect || !strings.HasSuffix(r.Host, ".example.com:443") {
			http.Error(w, r.Host+" is not outside", http.StatusForbidden)
			return
		}
		there, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("taking the connection over: %v", err)
			_ = there.Close()
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(there, buffered); _ = there.(*net.TCPConn).CloseWrite() })
		both.Go(func() { _, _ = io.Copy(here, there); _ = here.(*net.TCPConn).CloseWrite() })
		both.Wait()
		_, _ = there.Close(), here.Close()
	}))
	t.Cleanup(forward.Close)
	o.proxy = forward.URL
	return o
}

// hosts are those that the proxy was asked for, each once.
func (o *outside) hosts() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	hosts := slices.Clone(o.asked)
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// set is what the spec says of it.
func (o *outside) set(spec *v1alpha1.OpenDataHubSpec) {
	spec.Proxy = &v1alpha1.ProxySpec{HTTPProxy: o.proxy, HTTPSProxy: o.proxy}
	spec.TrustedCASecretRef = v1alpha1.LocalReference{Name: "authorities"}
}

// certified is a certificate for the name, and the authority that signed it.
func certified(t *testing.T, name string) (tls.Certificate, string) {
	t.Helper()
	issue := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			parent, signer = template, key
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		content, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.ParseCertificate(content)
		if err != nil {
			t.Fatal(err)
		}
		return certificate, key
	}
	authority, signer := issue(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "outside"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	leaf, key := issue(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, authority, signer)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw}))
}

// wheel is a Python package without anything in it.
func wheel(t *testing.T) []byte {
	t.Helper()
	var content bytes.Buffer
	archive := zip.NewWriter(&content)
	for name, text := range map[string]string{
		"METADATA": "Metadata-Version: 2.1\nName: elephant\nVersion: 1.0\n",
		"WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"RECORD":   "",
	} {
		file, err := archive.Create("elephant-1.0.dist-info/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(file, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

const useOutside = `
import boto3, subprocess, sys, urllib.request

assert urllib.request.urlopen("https://data.example.com/greeting").read() == b"hello"
assert boto3.client("s3").get_object(Bucket="lake", Key="greeting")["Body"].read() == b"hello"
subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--no-cache-dir",
                "--index-url", "https://packages.example.com/simple", "elephant"], check=True)
refs = subprocess.run(["git", "ls-remote", "https://git.example.com/elephant"], check=True, capture_output=True, text=True).stdout
assert "refs/heads/main" in refs, refs
# A Service of the cluster, and the notebook itself.
for inside in sys.argv[1:]:
    assert urllib.request.urlopen(inside).read() == b"inside"
`

// Real programs get out of the cluster by the environment that a notebook gets, and what is inside is not asked of the proxy.
func TestNotebooksReachWhatIsOutside(t *testing.T) {
	t.Parallel()
	pkg := wheel(t)
	mux := http.NewServeMux()
	mux.HandleFunc("data.example.com/greeting", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("s3.example.com/lake/greeting", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("packages.example.com/simple/elephant/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!DOCTYPE html><a href="/elephant-1.0-py3-none-any.whl">elephant-1.0-py3-none-any.whl</a>`)
	})
	mux.HandleFunc("packages.example.com/elephant-1.0-py3-none-any.whl", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(pkg) })
	mux.HandleFunc("git.example.com/elephant/info/refs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprintf(w, "%s\trefs/heads/main\n", strings.Repeat("a", 40))
	})
	outside := newOutside(t, mux)
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") }))
	defer inside.Close()

	facts := platform(func(facts *components.Facts) {
		outside.set(&facts.Spec)
		facts.Spec.ObjectStorage = v1alpha1.ObjectStorageSpec{Type: v1alpha1.ObjectStorageExternal, External: &v1alpha1.ExternalObjectStorage{
			Endpoint: "https://s3.example.com", CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"},
		}}
	})
	files := render(t, facts)
	var profiles struct {
		Override struct {
			Environment map[string]any `json:"environment"`
		} `json:"override"`
	}
	decode(t, []byte(files.profiles["profiles.json"]), &profiles)
	folder := t.TempDir()
	notebook := exec.CommandContext(t.Context(), filepath.Join(container.Programs(t, "libraries"), "python"), "-c", useOutside, inside.URL,
		strings.Replace(inside.URL, "127.0.0.1", "localhost", 1))
	notebook.Dir = folder
	notebook.Env = []string{"HOME=" + folder, "PATH=" + os.Getenv("PATH"), "PIP_CONFIG_FILE=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1"}
	for name, value := range profiles.Override.Environment {
		text, plain := value.(string)
		switch {
		case !plain:
			text = "secret"
		case strings.HasSuffix(text, "-ca/ca.crt"):
			text = outside.authority
		}
		notebook.Env = append(notebook.Env, name+"="+text)
	}
	if said, err := notebook.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s\nwith %s", err, said, strings.Join(notebook.Env, "\n"))
	}
	want := []string{"data.example.com:443", "git.example.com:443", "packages.example.com:443", "s3.example.com:443"}
	if got := outside.hosts(); !slices.Equal(got, want) {
		t.Errorf("the proxy was asked for %v, want %v", got, want)
	}
}

// The real hub, with libcurl as its image has it, finds the login provider through the proxy, and the notebooks and the API server of
// the cluster without it.
func TestLoginThroughAProxy(t *testing.T) {
	t.Parallel()
	provider := newProvider(t, "the-hub", "the-clientSecret")
	outside := newOutside(t, provider.handler)
	provider.url = "https://sso.example.com"
	facts := platform(func(facts *components.Facts) {
		outside.set(&facts.Spec)
		facts.Spec.Ingress = v1alpha1.IngressSpec{Domain: "data.example.com"}
		facts.Spec.Authentication = v1alpha1.AuthenticationSpec{
			Type: v1alpha1.AuthenticationOIDC,
			OIDC: &v1alpha1.OIDCSpec{
				Issuer: provider.url, ClientID: "the-hub", ClientSecretRef: v1alpha1.LocalReference{Name: "sso"},
				AuthorizationEndpoint: provider.url + "/authorize", TokenEndpoint: provider.url + "/token", UserInfoEndpoint: provider.url + "/userinfo",
				UsernameClaim: "email", GroupsClaim: "roles",
			},
		}
	})
	curl, err := filepath.Glob(filepath.Join(container.Programs(t, "curl"), "..", "lib", "python3*", "site-packages"))
	if err != nil || len(curl) != 1 {
		t.Fatalf("the packages of curl: %v, %v", curl, err)
	}
	hub := startIn(t, []string{"env", "PYTHONPATH=" + curl[0]}, facts,
		// Where the hub makes it of the file that is mounted.
		fmt.Sprintf(`--OAuthenticator.http_request_kwargs={"ca_certs": %q}`, outside.authority))
	provider.put("alice@example.com", "/users")
	browser := hub.browser(t)
	if _, in := provider.login(t, browser, "alice@example.com"); !in {
		t.Fatal("alice did not get in")
	}
	if got := outside.hosts(); !slices.Equal(got, []string{"sso.example.com:443"}) {
		t.Errorf("the proxy was asked for %v", got)
	}
}
