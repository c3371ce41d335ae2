package helm

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"opendatahub.io/operator/dependencies"
)

func TestDigests(t *testing.T) {
	const actual = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"
	tests := map[string]struct {
		digest string
		wantOK bool
	}{
		"none":                   {"", true},
		"right":                  {"sha256:" + actual, true},
		"right, of a repository": {actual, true},
		"right, in capitals":     {"SHA256:" + strings.ToUpper(actual), true},
		"wrong":                  {"sha256:" + strings.Repeat("0", 64), false},
		"another kind":           {"sha512:" + actual, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := checkDigest(dependencies.Chart{}, []byte("hello"), test.digest, "somebody"); (err == nil) != test.wantOK {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// TestCauses: the same problem must have the same text each time.
func TestCauses(t *testing.T) {
	here := func(port int) net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: port} }
	reset := func(port int) error {
		return &url.Error{Op: "Get", URL: "https://example.com", Err: &net.OpError{Op: "read", Net: "tcp", Source: here(port), Err: errors.New("connection reset by peer")}}
	}
	tests := map[string]struct {
		err  error
		want string
	}{
		"a connection": {reset(1234), "connection reset by peer"},
		"a name": {
			&url.Error{Err: &net.OpError{Err: &net.DNSError{Err: "no such host", Name: "a", Server: "10.0.0.1:53", IsNotFound: true}}},
			"its name is not known",
		},
		"a name server": {
			&url.Error{Err: &net.OpError{Err: &net.DNSError{Err: "read udp 10.0.0.1:1234->10.0.0.1:53: connection refused", Name: "a"}}},
			"its name cannot be looked up",
		},
		"a time": {fmt.Errorf("get: %w", context.DeadlineExceeded), "it does not answer in time"},
		"a certificate": {
			&url.Error{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: "current time 2026-01-01T00:00:00Z is after 2025"}},
			"its certificate has expired or is not valid yet",
		},
		"an answer":      {&url.Error{Err: errors.New("http: server gave HTTP response to HTTPS client")}, "http: server gave HTTP response to HTTPS client"},
		"something else": {errors.Join(errors.New("one"), errors.New("two")), "one two"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := cause(test.err); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	if cause(reset(1)) != cause(reset(2)) {
		t.Error("a port makes it another problem")
	}
}

func TestPasswordsAreNotTold(t *testing.T) {
	for reference, want := range map[string]string{
		"https://example.com/stable/demo":           "https://example.com/stable/demo",
		"https://me:hidden@example.com/stable/demo": "https://me:xxxxx@example.com/stable/demo",
		"/charts/demo":           "/charts/demo",
		"oci://example.com/demo": "oci://example.com/demo",
	} {
		if got := withoutPassword(reference); got != want {
			t.Errorf("%s is shown as %s", reference, got)
		}
	}
}
