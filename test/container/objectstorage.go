package container

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// ObjectStorage is a real S3 service, with a certificate that an authority of its own has signed.
type ObjectStorage struct {
	// Endpoint is its URL.
	Endpoint string
	// Region is the only one that requests may be signed for.
	Region string
	// AccessKey and SecretKey are its only credentials.
	AccessKey, SecretKey string
	// Authority is the file, and CA the content, of the certificate that signed the service's own.
	Authority, CA string
	// Process serves it.
	Process *Process
	// Folder has a folder for each bucket.
	Folder string
}

// StartObjectStorage starts one with these buckets, and waits until it answers.
func StartObjectStorage(t *testing.T, buckets ...string) *ObjectStorage {
	t.Helper()
	program, err := objectStorage()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	s := &ObjectStorage{
		Region: "eu-central-1", AccessKey: rand.Text(), SecretKey: rand.Text(),
		Folder: filepath.Join(folder, "data"), Authority: filepath.Join(folder, "ca.crt"),
	}
	for _, bucket := range buckets {
		if err := os.MkdirAll(filepath.Join(s.Folder, bucket), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	certificate, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	authority, own, private := Signed(t)
	s.CA = string(authority)
	for path, content := range map[string][]byte{s.Authority: authority, certificate: own, key: private} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := FreeAddress(t)
	s.Endpoint = "https://" + address
	command := exec.Command(program, "--port="+address, "--region="+s.Region, "--health=/health", "--cert="+certificate, "--key="+key, "posix", s.Folder)
	command.Env = []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey, "HOME=" + folder}
	s.Process = Start(t, command)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	if !s.Process.Until(func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoint+"/health", http.NoBody)
		if err != nil {
			return false
		}
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}) {
		t.Fatal("the object storage ended")
	}
	return s
}

// Signed is an authority, and a certificate for this host with its key, as PEM.
func Signed(tb testing.TB) (authority, certificate, key []byte) {
	tb.Helper()
	issue := func(template, parent *x509.Certificate, public, signer *ecdsa.PrivateKey) []byte {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public.Public(), signer)
		if err != nil {
			tb.Fatal(err)
		}
		return der
	}
	keys := [2]*ecdsa.PrivateKey{}
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			tb.Fatal(err)
		}
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	ca.Subject.CommonName = "the test's authority"
	own := &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caDER := issue(ca, ca, keys[0], keys[0])
	parent, err := x509.ParseCertificate(caDER)
	if err != nil {
		tb.Fatal(err)
	}
	ownDER := issue(own, parent, keys[1], keys[0])
	private, err := x509.MarshalPKCS8PrivateKey(keys[1])
	if err != nil {
		tb.Fatal(err)
	}
	block := func(kind string, content []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	}
	return block("CERTIFICATE", caDER), block("CERTIFICATE", ownDER), block("PRIVATE KEY", private)
}
