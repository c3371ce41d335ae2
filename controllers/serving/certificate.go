// Package serving keeps the certificate with which a process of this operator serves its metrics, so that those who scrape them can
// check it.
package serving

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
)

// The processes that serve metrics.
const (
	Operator  = "operator"
	Installer = "installer"
)

// AuthorityKey of the Secret has who signed the certificate.
const AuthorityKey = "ca.crt"

// Certificate is what a process shows its clients, and who signed it. It is in a Secret that is shipped empty: creating Secrets in the
// namespace of the installer would be a right to tokens of its account. What lacks is made; what somebody else writes there is used.
// A nil Certificate has no authority.
type Certificate struct {
	client    kubernetes.Interface
	namespace string
	process   string
	now       func() time.Time

	mu        sync.RWMutex
	pair      *tls.Certificate
	authority []byte
	changed   func(context.Context)
}

// New reads the certificate of a process in the operator's own namespace, or makes it. Start follows it.
func New(ctx context.Context, client kubernetes.Interface, namespace, process string) (*Certificate, error) {
	c := &Certificate{client: client, namespace: namespace, process: process, now: time.Now, changed: func(context.Context) {}}
	secret, err := client.CoreV1().Secrets(namespace).Get(ctx, c.Secret(), metav1.GetOptions{})
	switch {
	case err == nil:
		return c, c.use(ctx, secret)
	case apierrors.IsNotFound(err) || apierrors.IsForbidden(err):
		ctrl.LoggerFrom(ctx).Info("The certificate of the metrics lasts until this process ends, because there is no Secret to keep it in; apply what is shipped",
			"Secret", namespace+"/"+c.Secret(), "error", err.Error())
		return c, c.use(ctx, nil)
	default:
		return nil, fmt.Errorf("reading the certificate of the metrics: %w", err)
	}
}

// Secret is the name of the Secret that keeps it.
func (c *Certificate) Secret() string { return SecretName(c.process) }

// SecretName is that of the Secret which keeps the certificate of a process.
func SecretName(process string) string { return "opendatahub-" + process + "-metrics-tls" }

// ServerName is a name that the certificate of a process in a namespace is valid for: that of its Service.
func ServerName(process, namespace string) string {
	return "opendatahub-" + process + "-metrics." + namespace + ".svc"
}

// Get is the certificate as crypto/tls asks for it.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.pair, nil
}

// Authority that signed the certificate, in PEM.
func (c *Certificate) Authority() []byte {
	if c == nil {
		return nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.authority
}

// OnChange has a function called when another authority signs. It must be set before the manager starts.
func (c *Certificate) OnChange(changed func(context.Context)) {
	if c != nil {
		c.changed = changed
	}
}

// Start implements manager.Runnable: it follows the Secret until the context ends. Whoever empties it gets another certificate.
func (c *Certificate) Start(ctx context.Context) error {
	informer := informers.NewFilteredSecretInformer(c.client, c.namespace, 0, nil, func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, c.Secret()).String()
	})
	saw := func(object any) {
		secret, ok := object.(*corev1.Secret)
		if !ok {
			return
		}
		before := c.Authority()
		if err := c.use(ctx, secret); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Cannot use the certificate of the metrics, and goes on with the one before", "Secret", c.namespace+"/"+c.Secret())
			return
		}
		if !bytes.Equal(before, c.Authority()) {
			c.changed(ctx)
		}
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	_, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: saw, UpdateFunc: func(_, object any) { saw(object) }})
	if err == nil {
		err = informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *toolscache.Reflector, err error) {
			if apierrors.IsForbidden(err) { // New said so
				stop()
				return
			}
			toolscache.DefaultWatchErrorHandler(ctx, r, err)
		})
	}
	if err != nil {
		return fmt.Errorf("watching the certificate of the metrics: %w", err)
	}
	informer.RunWithContext(watching)
	<-ctx.Done()
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica serves metrics.
func (*Certificate) NeedLeaderElection() bool { return false }

// use has the certificate of a Secret served. One that is not complete is made, and kept if there is a Secret.
func (c *Certificate) use(ctx context.Context, secret *corev1.Secret) error {
	var data map[string][]byte
	if secret != nil {
		data = secret.Data
	}
	if len(data[corev1.TLSCertKey]) == 0 || len(data[corev1.TLSPrivateKeyKey]) == 0 || len(data[AuthorityKey]) == 0 {
		name := ServerName(c.process, c.namespace)
		made, err := apply.MakeCertificate(components.Certificate{DNSNames: []string{name, name + ".cluster.local", "localhost"}}, c.now())
		if err != nil {
			return fmt.Errorf("making the certificate of the metrics: %w", err)
		}
		data = made
		if secret != nil {
			kept := secret.DeepCopy()
			kept.Data = map[string][]byte{}
			maps.Copy(kept.Data, secret.Data)
			maps.Copy(kept.Data, made)
			_, err := c.client.CoreV1().Secrets(c.namespace).Update(ctx, kept, metav1.UpdateOptions{})
			if apierrors.IsConflict(err) { // another replica was faster
				var theirs *corev1.Secret
				if theirs, err = c.client.CoreV1().Secrets(c.namespace).Get(ctx, c.Secret(), metav1.GetOptions{}); err == nil {
					return c.use(ctx, theirs)
				}
			}
			if err != nil {
				return fmt.Errorf("keeping the certificate of the metrics in Secret %s: %w", c.Secret(), err)
			}
		}
	}
	pair, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return fmt.Errorf("Secret %s: %w", c.Secret(), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pair, c.authority = &pair, data[AuthorityKey]
	return nil
}
