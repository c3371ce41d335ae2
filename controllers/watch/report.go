package watch

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/dependencies"
)

// Report follows what the installer of third-party operators reports: one ConfigMap, watched by its name.
type Report struct {
	client    kubernetes.Interface
	namespace string
	// changed receives the operators whose reported status has changed; none when there is news of the installer itself.
	changed func(ctx context.Context, operators []string)

	mu        sync.RWMutex
	report    dependencies.Report
	authority []byte
}

// NewReport reads the report of the installer in a namespace, the operator's own. Without a namespace, or without the
// right to read it, there is no report. Start keeps it up to date.
func NewReport(ctx context.Context, client kubernetes.Interface, namespace string, changed func(ctx context.Context, operators []string)) (*Report, error) {
	r := &Report{client: client, namespace: namespace, changed: changed}
	if namespace == "" {
		return r, nil
	}
	config, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, dependencies.ReportName, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		ctrl.LoggerFrom(ctx).Info("Cannot read what the installer reports, so there is none", "error", err.Error())
		r.namespace = ""
	case apierrors.IsNotFound(err):
	case err != nil:
		return nil, fmt.Errorf("reading what the installer reports: %w", err)
	default:
		r.report, r.authority = read(ctx, config), config.BinaryData[dependencies.ReportAuthority]
	}
	return r, nil
}

// Current is the report as last seen; nil without an installer.
func (r *Report) Current() dependencies.Report {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.report
}

// Authority signed the certificate with which the installer serves its metrics, in PEM. Nil: it serves none.
func (r *Report) Authority() []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.authority
}

// Start implements manager.Runnable: it watches until the context ends.
func (r *Report) Start(ctx context.Context) error {
	if r.namespace == "" {
		return nil
	}
	informer := informers.NewFilteredConfigMapInformer(r.client, r.namespace, 0, nil, func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, dependencies.ReportName).String()
	})
	_, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { r.saw(ctx, object) },
		UpdateFunc: func(_, object any) { r.saw(ctx, object) },
		DeleteFunc: func(any) { r.set(ctx, nil, nil) },
	})
	if err != nil {
		return fmt.Errorf("watching what the installer reports: %w", err)
	}
	informer.RunWithContext(ctx)
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: a new leader must know the report at once.
func (*Report) NeedLeaderElection() bool { return false }

func (r *Report) saw(ctx context.Context, object any) {
	if config, ok := object.(*corev1.ConfigMap); ok {
		r.set(ctx, read(ctx, config), config.BinaryData[dependencies.ReportAuthority])
	}
}

func (r *Report) set(ctx context.Context, report dependencies.Report, authority []byte) {
	r.mu.Lock()
	before, signed := r.report, r.authority
	r.report, r.authority = report, authority
	r.mu.Unlock()
	operators := report.Changed(before)
	switch {
	case !bytes.Equal(signed, authority):
		r.changed(ctx, nil)
	case len(operators) > 0 || (before == nil) != (report == nil):
		r.changed(ctx, operators)
	}
}

// read treats what cannot be read as an installer that has reported nothing: it is running, and will write it anew.
func read(ctx context.Context, config *corev1.ConfigMap) dependencies.Report {
	report, err := dependencies.ReadReport(config.Data)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot read what the installer reports")
	}
	return report
}
