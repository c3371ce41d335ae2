package jupyterhub_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/s3"
	"opendatahub.io/operator/test/container"
)

// What people write in a notebook, without a word about where the object storage is.
const useObjectStorage = `
import os, boto3, s3fs
from pyarrow import fs

s3 = boto3.client("s3")
s3.put_object(Bucket="lake", Key="greeting", Body=b"hello")
assert s3.get_object(Bucket="lake", Key="greeting")["Body"].read() == b"hello"
assert boto3.session.Session().region_name == "eu-central-1"

files = s3fs.S3FileSystem()
assert files.cat("lake/greeting") == b"hello"
with files.open("lake/answer", "wb") as file:
    file.write(b"good day")

lake, path = fs.FileSystem.from_uri(f"s3://lake?tls_ca_file_path={os.environ['AWS_CA_BUNDLE']}")
assert lake.open_input_stream(f"{path}/answer").read() == b"good day"
`

// Real libraries find a real S3 service over TLS by the environment that a notebook gets. It refuses other credentials, and requests that
// are signed for another region. Those for Java are in test/spark.
func TestLibrariesFindTheObjectStorage(t *testing.T) {
	t.Parallel()
	storage := container.StartObjectStorage(t, "lake")
	facts := platform(func(facts *components.Facts) {
		facts.Spec.ObjectStorage = v1alpha1.ObjectStorageSpec{Type: v1alpha1.ObjectStorageExternal, External: &v1alpha1.ExternalObjectStorage{
			Endpoint: storage.Endpoint, Region: storage.Region,
			CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"}, CASecretRef: v1alpha1.LocalReference{Name: "s3-ca"},
		}}
	})
	var profiles struct {
		Override struct {
			Environment map[string]any `json:"environment"`
		} `json:"override"`
	}
	decode(t, []byte(render(t, facts).profiles["profiles.json"]), &profiles)
	notebook := exec.CommandContext(t.Context(), filepath.Join(container.Programs(t, "libraries"), "python"), "-c", useObjectStorage)
	secret := map[string]string{s3.AccessKey: storage.AccessKey, s3.SecretKey: storage.SecretKey}
	for name, value := range profiles.Override.Environment {
		text, plain := value.(string)
		switch {
		case !plain:
			text = secret[name]
		case name == "AWS_CA_BUNDLE":
			text = storage.Authority
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
