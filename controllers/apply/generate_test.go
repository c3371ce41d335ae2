package apply

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/components"
)

func TestCertificateIsTrustedForItsNamesAndNoOthers(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	made, err := MakeCertificate(components.Certificate{DNSNames: []string{"s3.lab.svc", "s3.lab"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(made["tls.crt"], made["tls.key"]); err != nil {
		t.Fatalf("no server would take it: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(made["ca.crt"]) {
		t.Fatal("ca.crt holds no certificate")
	}
	pair, err := tls.X509KeyPair(made["tls.crt"], made["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	server, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, trusted := range map[string]bool{"s3.lab.svc": true, "s3.lab": true, "s3.other.svc": false} {
		_, err := server.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now})
		if (err == nil) != trusted {
			t.Errorf("%s: %v, want trusted = %v", name, err, trusted)
		}
	}
	if server.IsCA {
		t.Error("the server's certificate can sign others")
	}
	block, _ := pem.Decode(made["ca.crt"])
	authority, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if len(authority.SubjectKeyId) == 0 || !bytes.Equal(server.AuthorityKeyId, authority.SubjectKeyId) {
		t.Errorf("the server's certificate names the authority %x, which is %x: strict clients refuse it", server.AuthorityKeyId, authority.SubjectKeyId)
	}
}

func TestValuesFillWhatIsMissing(t *testing.T) {
	secret := func(data map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"data": data}}
	}
	p := Prepared{
		Object: secret(nil), Generate: []components.Random{{Key: "password", Bytes: 16}},
		Certificate: &components.Certificate{DNSNames: []string{"a"}},
	}
	all, err := p.values(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 4 {
		t.Errorf("a new Secret gets %d keys, want password, tls.crt, tls.key and ca.crt", len(all))
	}
	none, err := p.values(secret(all))
	if err != nil || len(none) != 0 {
		t.Errorf("a whole Secret gets %v, %v", none, err)
	}
	torn := map[string]any{"password": all["password"], "tls.crt": all["tls.crt"], "ca.crt": all["ca.crt"]}
	again, err := p.values(secret(torn))
	if err != nil {
		t.Fatal(err)
	}
	if len(again) != 3 || again["tls.crt"] == all["tls.crt"] {
		t.Errorf("a Secret without its key gets %d keys, want a whole new certificate", len(again))
	}
	raw, err := base64.StdEncoding.DecodeString(again["tls.crt"].(string))
	if err != nil || !bytes.HasPrefix(raw, []byte("-----BEGIN CERTIFICATE-----")) {
		t.Errorf("tls.crt is not base64 of PEM: %v", err)
	}
}
