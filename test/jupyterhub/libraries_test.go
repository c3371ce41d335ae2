package jupyterhub_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/test/container"
)

// What people write in a notebook, without a word about where the object storage is.
const useObjectStorage = `
import os, boto3
from pyarrow import fs

s3 = boto3.client("s3")
s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
s3.put_object(Bucket="lake", Key="greeting", Body=b"hello")
assert s3.get_object(Bucket="lake", Key="greeting")["Body"].read() == b"hello"

lake, path = fs.FileSystem.from_uri(f"s3://lake?tls_ca_file_path={os.environ['AWS_CA_BUNDLE']}")
assert lake.open_input_stream(f"{path}/greeting").read() == b"hello"
assert boto3.session.Session().region_name == "eu-central-1"
`

// Real libraries find a real S3 server (moto) over TLS by the environment that a notebook gets.
func TestLibrariesFindTheObjectStorage(t *testing.T) {
	t.Parallel()
	python := filepath.Join(container.Programs(t, "mlflow"), "python")
	port := freePort(t)
	authority := serve(t, python, port)

	facts := platform(func(facts *components.Facts) {
		facts.Spec.ObjectStorage = v1alpha1.ObjectStorageSpec{Type: v1alpha1.ObjectStorageExternal, External: &v1alpha1.ExternalObjectStorage{
			Endpoint: fmt.Sprintf("https://127.0.0.1:%d", port), Region: "eu-central-1",
			CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"}, CASecretRef: v1alpha1.LocalReference{Name: "s3-ca"},
		}}
	})
	var profiles struct {
		Override struct {
			Environment map[string]any `json:"environment"`
		} `json:"override"`
	}
	decode(t, []byte(render(t, facts).profiles["profiles.json"]), &profiles)
	notebook := exec.CommandContext(t.Context(), python, "-c", useObjectStorage)
	for name, value := range profiles.Override.Environment {
		text, plain := value.(string)
		switch {
		case !plain:
			text = "from-the-secret" // moto takes any key
		case name == "AWS_CA_BUNDLE":
			text = authority
		}
		notebook.Env = append(notebook.Env, name+"="+text)
	}
	if said, err := notebook.CombinedOutput(); err != nil {
		environment, _ := json.Marshal(profiles.Override.Environment)
		t.Errorf("%v:\n%s\nwith %s", err, said, environment)
	}
}

// selfSigned is a certificate for this host, which is its own authority, and its key.
func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "ca.crt"), filepath.Join(folder, "tls.key")
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return certFile, keyFile
}

// serve starts moto with a certificate of its own, and returns the file with the authority.
func serve(t *testing.T, python string, port int) string {
	t.Helper()
	certFile, keyFile := selfSigned(t)
	ctx, cancel := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, python, "-m", "moto.server", "-H", "127.0.0.1", "-p", fmt.Sprint(port), "-c", certFile, "-k", keyFile)
	var said bytes.Buffer
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = server.Wait()
		if t.Failed() {
			t.Logf("moto says:\n%s", &said)
		}
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for deadline := time.Now().Add(patience); ; {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = connection.Close()
			return certFile
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto does not listen at %s within %s", address, patience)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
