package apply

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/components"
)

// Keys of a Secret with a certificate.
const (
	certificateKey = "tls.crt"
	privateKey     = "tls.key"
	authorityKey   = "ca.crt"
)

// Nothing renews a generated certificate, so that what trusts it goes on doing so; the clocks of nodes may differ.
const (
	certificateLife = 10 * 365 * 24 * time.Hour
	clockSkew       = time.Hour
)

// GeneratedKeys are the keys of a Secret that get values when they are not there. Empty for other objects.
func (p Prepared) GeneratedKeys() []string {
	var keys []string
	for _, random := range p.Generate {
		keys = append(keys, random.Key)
	}
	if p.Certificate != nil {
		keys = append(keys, certificateKey, privateKey, authorityKey)
	}
	return keys
}

// renderedKeys are the keys of a Secret whose values are rendered.
func (p Prepared) renderedKeys() []string {
	data, _, _ := unstructured.NestedMap(p.Object.Object, "data")
	return sortedKeys(data)
}

// values are the generated data of a Secret that the live one, which may be nil, lacks. The parts of a certificate belong
// together: when one is missing all are made anew.
func (p Prepared) values(live *unstructured.Unstructured) (map[string]any, error) {
	values := map[string]any{}
	for _, random := range p.Generate {
		if live != nil && !lacks(live, []string{random.Key}) {
			continue
		}
		value, err := randomValue(random)
		if err != nil {
			return nil, err
		}
		values[random.Key] = value
	}
	if p.Certificate == nil || live != nil && !lacks(live, []string{certificateKey, privateKey, authorityKey}) {
		return values, nil
	}
	made, err := makeCertificate(*p.Certificate, time.Now())
	if err != nil {
		return nil, fmt.Errorf("making the certificate of %s: %w", p, err)
	}
	for key, value := range made {
		values[key] = base64.StdEncoding.EncodeToString(value)
	}
	return values, nil
}

func lacks(live *unstructured.Unstructured, keys []string) bool {
	data, _, _ := unstructured.NestedMap(live.Object, "data")
	for _, key := range keys {
		if _, ok := data[key]; !ok {
			return true
		}
	}
	return false
}

func randomValue(random components.Random) (string, error) {
	const least = 16 // bytes: 128 bits
	value := make([]byte, max(random.Bytes, least))
	if _, err := rand.Read(value); err != nil {
		return "", fmt.Errorf("generating %s: %w", random.Key, err)
	}
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(value))), nil
}

// makeCertificate makes an authority, and a server certificate signed by it. The key of the authority is forgotten.
func makeCertificate(wanted components.Certificate, now time.Time) (map[string][]byte, error) {
	authorityPair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serverPair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "opendatahub " + hex.EncodeToString(authorityPair.X.Bytes()[:4])},
		NotBefore:    now.Add(-clockSkew), NotAfter: now.Add(certificateLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano() + 1),
		Subject:      pkix.Name{CommonName: "opendatahub"},
		NotBefore:    authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: wanted.DNSNames,
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityPair.Public(), authorityPair)
	if err != nil {
		return nil, err
	}
	serverDER, err := x509.CreateCertificate(rand.Reader, server, authority, serverPair.Public(), authorityPair)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(serverPair)
	if err != nil {
		return nil, err
	}
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	authorityPEM := encode("CERTIFICATE", authorityDER)
	return map[string][]byte{
		// With the authority, because Rook trusts what is in tls.crt.
		certificateKey: append(encode("CERTIFICATE", serverDER), authorityPEM...),
		privateKey:     encode("PRIVATE KEY", keyDER),
		authorityKey:   authorityPEM,
	}, nil
}
