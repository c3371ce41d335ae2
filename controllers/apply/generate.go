package apply

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // htpasswd files know no better digest that is fast
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/watch"
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
	if p.Htpasswd != nil {
		keys = append(keys, p.Htpasswd.Key)
	}
	if p.copied != "" {
		keys = append(keys, p.copiedKeys()...)
	}
	return keys
}

func (p Prepared) copiedKeys() []string {
	var keys []string
	for _, c := range p.Copies {
		keys = append(keys, c.Key)
	}
	return keys
}

// generated reports whether keys of a Secret have, or will have, values that nobody renders.
func (p Prepared) generated() bool { return len(p.GeneratedKeys()) > 0 || len(p.Copies) > 0 }

// renderedKeys are the keys of a Secret whose values are rendered.
func (p Prepared) renderedKeys() []string {
	data, _, _ := unstructured.NestedMap(p.Object.Object, "data")
	return sortedKeys(data)
}

// values are the generated data of a Secret that the live one, which may be nil, lacks. The parts of a certificate belong
// together: when one is missing all are recreated.
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
	made, err := MakeCertificate(*p.Certificate, time.Now())
	if err != nil {
		return nil, fmt.Errorf("making the certificate of %s: %w", p, err)
	}
	for key, value := range made {
		values[key] = base64.StdEncoding.EncodeToString(value)
	}
	return values, nil
}

// passwordsAnnotation says of which passwords an htpasswd file was made.
const passwordsAnnotation = "opendatahub.io/htpasswd"

// outdated is whether a password was changed after the htpasswd file was made, or what was copied or the copy was.
func (p Prepared) outdated(live *unstructured.Unstructured) bool {
	annotations := live.GetAnnotations()
	return p.Htpasswd != nil && annotations[passwordsAnnotation] != p.passwords(live) ||
		p.copied != "" && annotations[copiesAnnotation] != p.copies(live)
}

// copiesAnnotation says of which Secrets copies were made, and what the copies were.
const copiesAnnotation = "opendatahub.io/copies"

// copied is Prepared.copied.
func copied(facts components.Facts, copies []components.Copy) string {
	digests := map[string]string{}
	for _, c := range copies {
		secret, ok := facts.Secrets[c.Secret]
		if !ok || !slices.Contains(secret.Keys, c.From) {
			return ""
		}
		digests[c.Secret] = secret.Digest
	}
	if len(digests) == 0 {
		return ""
	}
	return watch.SecretOf(digests).Digest
}

// copies changes when a copy changes, or a Secret that is copied. secret is as for passwords.
func (p Prepared) copies(secret *unstructured.Unstructured) string {
	return p.copied + "-" + digestOf(secret, p.copiedKeys())
}

// passwords changes when a password changes. secret holds values, or digests of them as the cache does.
func (p Prepared) passwords(secret *unstructured.Unstructured) string {
	keys := make([]string, 0, len(p.Htpasswd.Accounts))
	for _, account := range p.Htpasswd.Accounts {
		keys = append(keys, account.PasswordKey)
	}
	return digestOf(secret, keys)
}

// digestOf these keys of a Secret.
func digestOf(secret *unstructured.Unstructured, keys []string) string {
	stripped, err := watch.StripChild(secret)
	if err != nil {
		return ""
	}
	data, _, _ := unstructured.NestedStringMap(stripped.Object, "data")
	digests := map[string]string{}
	for _, key := range keys {
		digests[key] = data[key]
	}
	return watch.SecretOf(digests).Digest
}

// addHtpasswd adds the htpasswd file to a Secret that has the passwords.
func (p Prepared) addHtpasswd(secret *unstructured.Unstructured) error {
	if p.Htpasswd == nil {
		return nil
	}
	data, _, err := unstructured.NestedStringMap(secret.Object, "data")
	if err != nil {
		return fmt.Errorf("reading the passwords of %s: %w", p, err)
	}
	var file strings.Builder
	for _, account := range p.Htpasswd.Accounts {
		password, err := base64.StdEncoding.DecodeString(data[account.PasswordKey])
		if err != nil || len(password) == 0 {
			return fmt.Errorf("the key %s of %s holds no password; set one, or delete the key to have one generated", account.PasswordKey, p)
		}
		entry, err := htpasswdEntry(account, password)
		if err != nil {
			return fmt.Errorf("the key %s of %s: %w", account.PasswordKey, p, err)
		}
		fmt.Fprintf(&file, "%s:%s\n", account.Name, entry)
	}
	secret.SetAnnotations(components.Merge(secret.GetAnnotations(), map[string]string{passwordsAnnotation: p.passwords(secret)}))
	return unstructured.SetNestedField(secret.Object, base64.StdEncoding.EncodeToString([]byte(file.String())), "data", p.Htpasswd.Key)
}

func htpasswdEntry(account components.Account, password []byte) (string, error) {
	if account.Program {
		sum := sha1.Sum(password) //nolint:gosec // what htpasswd files have; the password is random
		return "{SHA}" + base64.StdEncoding.EncodeToString(sum[:]), nil
	}
	hash, err := bcrypt.GenerateFromPassword(password, bcrypt.DefaultCost)
	return string(hash), err
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

// MakeCertificate makes an authority, and a server certificate signed by it. The key of the authority is forgotten.
func MakeCertificate(wanted components.Certificate, now time.Time) (map[string][]byte, error) {
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
	// As it was made: with its key's identifier, which clients such as Python 3.13 want the server's certificate to name.
	if authority, err = x509.ParseCertificate(authorityDER); err != nil {
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
