package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// A cluster lives for days at most; a year leaves no one with an expired certificate.
const certificateLifetime = 365 * 24 * time.Hour

// authority signs all certificates of one cluster. Nothing outside the cluster trusts it.
type authority struct {
	folder      string
	certificate *x509.Certificate
	key         crypto.Signer
	pem         []byte
}

// identity is a subject that components present to the API server or to etcd.
type identity struct {
	name   string
	groups []string
	// hosts makes it a server's certificate too.
	hosts []string
}

func newAuthority(folder string) (*authority, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificateTemplate(pkix.Name{CommonName: "opendatahub-local-ca"})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage |= x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	ca := &authority{
		folder: folder, certificate: certificate, key: key,
		pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}
	if err := os.WriteFile(ca.certificateFile("ca"), ca.pem, 0o600); err != nil {
		return nil, err
	}
	return ca, writeKey(ca.keyFile("ca"), key)
}

func (ca *authority) certificateFile(name string) string {
	return filepath.Join(ca.folder, name+".crt")
}
func (ca *authority) keyFile(name string) string { return filepath.Join(ca.folder, name+".key") }

// issue writes a certificate and its key under the given file name.
func (ca *authority) issue(file string, id identity) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := certificateTemplate(pkix.Name{CommonName: id.name, Organization: id.groups})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(id.hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, host := range id.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, key.Public(), ca.key)
	if err != nil {
		return fmt.Errorf("issuing the certificate of %s: %w", id.name, err)
	}
	if err := os.WriteFile(ca.certificateFile(file), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	return writeKey(ca.keyFile(file), key)
}

// issueServiceAccountKeys writes the key pair that signs and verifies the tokens of ServiceAccounts.
func (ca *authority) issueServiceAccountKeys() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(ca.folder, "service-accounts.pub"), public, 0o600); err != nil {
		return err
	}
	return writeKey(ca.keyFile("service-accounts"), key)
}

// user returns a kubeconfig user with the certificate issued under the given file name.
func (ca *authority) user(file string) (*clientcmdapi.AuthInfo, error) {
	certificate, err := os.ReadFile(ca.certificateFile(file))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(ca.keyFile(file))
	if err != nil {
		return nil, err
	}
	return &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}, nil
}

func certificateTemplate(subject pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // the system has no randomness: crypto/rand documents that this does not happen
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		// A clock that is set back a little while the cluster runs must not make its certificates invalid.
		NotBefore: now.Add(-time.Hour),
		NotAfter:  now.Add(certificateLifetime),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}

func writeKey(file string, key crypto.Signer) error {
	der, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
