package serving

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
)

const namespace = "opendatahub-operator"

func secret(data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "opendatahub-operator-metrics-tls"}, Data: data}
}

// trusts is whether a client that trusts an authority connects to a server with the certificate.
func trusts(t *testing.T, c *Certificate, authority []byte, name string) error {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client, server := net.Pipe()
	defer client.Close() //nolint:errcheck // in memory
	go func() {
		_ = tls.Server(server, &tls.Config{GetCertificate: c.Get, MinVersion: tls.VersionTLS12}).Handshake()
		_ = server.Close()
	}()
	return tls.Client(client, &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}).Handshake()
}

func TestCertificateIsKeptAndCanBeChecked(t *testing.T) {
	clients := fake.NewClientset(secret(nil))
	first, err := New(t.Context(), clients, namespace, Operator)
	if err != nil {
		t.Fatal(err)
	}
	again, err := New(t.Context(), clients, namespace, Operator)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Authority(), again.Authority()) || len(first.Authority()) == 0 {
		t.Error("the next process has another authority")
	}
	name := ServerName(Operator, namespace)
	if err := trusts(t, again, first.Authority(), name); err != nil {
		t.Errorf("who trusts the authority does not connect to %s: %v", name, err)
	}
	if err := trusts(t, again, first.Authority(), ServerName(Installer, namespace)); err == nil {
		t.Error("the operator passes for the installer")
	}
	other, err := New(t.Context(), fake.NewClientset(secret(nil)), namespace, Operator)
	if err != nil {
		t.Fatal(err)
	}
	if err := trusts(t, again, other.Authority(), name); err == nil {
		t.Error("who trusts another authority connects")
	}
}

func TestCertificateWithoutItsSecretLastsAsLongAsTheProcess(t *testing.T) {
	clients := fake.NewClientset()
	c, err := New(t.Context(), clients, namespace, Operator)
	if err != nil {
		t.Fatal(err)
	}
	if err := trusts(t, c, c.Authority(), ServerName(Operator, namespace)); err != nil {
		t.Error(err)
	}
	for _, action := range clients.Actions() {
		if action.GetVerb() != "get" {
			t.Errorf("it does %s", action.GetVerb())
		}
	}
}

func TestNoCertificateHasNoAuthority(t *testing.T) {
	var c *Certificate
	c.OnChange(func(context.Context) {})
	if c.Authority() != nil {
		t.Error("a process without metrics has an authority")
	}
}

func TestCertificateFollowsItsSecret(t *testing.T) {
	clients := fake.NewClientset(secret(nil))
	// The fake API loses what happens between a list and the watch that follows.
	watching := make(chan struct{})
	watched := sync.OnceFunc(func() { close(watching) })
	clients.PrependWatchReactor("secrets", func(action clienttesting.Action) (bool, watch.Interface, error) {
		defer watched()
		w, err := clients.Tracker().Watch(action.GetResource(), action.GetNamespace())
		return true, w, err
	})
	c, err := New(t.Context(), clients, namespace, Operator)
	if err != nil {
		t.Fatal(err)
	}
	var changes atomic.Int64
	c.OnChange(func(context.Context) { changes.Add(1) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Start(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	update := func(data map[string][]byte) {
		t.Helper()
		if _, err := clients.CoreV1().Secrets(namespace).Update(ctx, secret(data), metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, done func() bool) {
		t.Helper()
		NewWithT(t).Eventually(done).WithTimeout(time.Minute).WithPolling(time.Millisecond).Should(BeTrue(), what)
	}
	name := ServerName(Operator, namespace)

	<-watching

	// Whoever empties it gets another one.
	before := c.Authority()
	update(nil)
	until("another authority", func() bool { return !bytes.Equal(c.Authority(), before) })
	until("somebody is told", func() bool { return changes.Load() > 0 })
	if err := trusts(t, c, before, name); err == nil {
		t.Error("the authority from before is trusted")
	}

	// One of somebody else is used.
	own, err := apply.MakeCertificate(components.Certificate{DNSNames: []string{name}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	update(own)
	until("the authority of somebody else", func() bool { return bytes.Equal(c.Authority(), own["ca.crt"]) })
	if err := trusts(t, c, own["ca.crt"], name); err != nil {
		t.Error(err)
	}

	// What is none does no harm. What comes after it is seen after it.
	told := changes.Load()
	update(map[string][]byte{"tls.crt": []byte("none"), "tls.key": []byte("none"), "ca.crt": []byte("none")})
	another, err := apply.MakeCertificate(components.Certificate{DNSNames: []string{name}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	update(another)
	until("the authority after that", func() bool { return bytes.Equal(c.Authority(), another["ca.crt"]) })
	until("somebody is told", func() bool { return changes.Load() > told })
	if err := trusts(t, c, another["ca.crt"], name); err != nil {
		t.Error(err)
	}
}
