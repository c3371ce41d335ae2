package installer

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

// deploymentName is the installer's, as it is shipped.
const deploymentName = "opendatahub-installer"

// reporter publishes where the dependencies stand, in a ConfigMap that the manager reads.
type reporter struct {
	client    client.Client
	reader    client.Reader
	namespace string
	// authority signed the certificate of the installer's metrics.
	authority func() []byte
	// owner is the installer's Deployment, with which the report goes, even if a last write comes after its deletion.
	owner *metav1ac.OwnerReferenceApplyConfiguration

	mu     sync.Mutex
	loaded bool
	report dependencies.Report
}

// load begins with what an earlier process published. Only the leader may: another would later write an old copy over the leader's
// last words.
func (r *reporter) load(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loaded {
		return nil
	}
	deployment := &appsv1.Deployment{}
	err := r.reader.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: deploymentName}, deployment)
	switch {
	case err == nil:
		r.owner = metav1ac.OwnerReference().WithAPIVersion("apps/v1").WithKind("Deployment").
			WithName(deploymentName).WithUID(deployment.UID)
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("reading the installer's own Deployment: %w", err)
	}
	config := &corev1.ConfigMap{}
	err = r.reader.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: dependencies.ReportName}, config)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading what was reported earlier: %w", err)
	}
	// A report that cannot be read is written anew.
	r.report, _ = dependencies.ReadReport(config.Data)
	for name, status := range r.report {
		dependencyReady.set(name, status.State == v1alpha1.DependencyReady)
	}
	owned := r.owner == nil || slices.ContainsFunc(config.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == *r.owner.UID })
	if err != nil || !owned || !r.signs(config) {
		if err := r.write(ctx, r.report); err != nil { // that there is a ConfigMap says that there is an installer
			return err
		}
	}
	r.loaded = true
	return nil
}

// get is what is published of a dependency.
func (r *reporter) get(name string) (v1alpha1.DependencyStatus, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	status, ok := r.report[name]
	return status, ok
}

// set publishes where a dependency stands; nil withdraws it. It returns whether that is news.
func (r *reporter) set(ctx context.Context, name string, status *v1alpha1.DependencyStatus) (news bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := maps.Clone(r.report)
	if status == nil {
		delete(next, name)
	} else {
		next[name] = *status
	}
	if len(next.Changed(r.report)) == 0 {
		return false, nil
	}
	if err := r.write(ctx, next); err != nil {
		return false, err
	}
	r.report = next
	if status == nil {
		dependencyReady.remove(name)
	} else {
		dependencyReady.set(name, status.State == v1alpha1.DependencyReady)
	}
	return true, nil
}

// restore publishes it again when somebody else changed or deleted it. An event of an own write that is not the last one
// costs a write that changes nothing.
func (r *reporter) restore(ctx context.Context, reader client.Reader) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	config := &corev1.ConfigMap{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: dependencies.ReportName}, config)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading what is reported: %w", err)
	}
	data, dataErr := r.report.Data()
	if dataErr != nil || err == nil && maps.Equal(data, config.Data) && r.signs(config) {
		return dataErr
	}
	return r.write(ctx, r.report)
}

// signs is whether a report has the authority.
func (r *reporter) signs(config *corev1.ConfigMap) bool {
	return bytes.Equal(config.BinaryData[dependencies.ReportAuthority], r.authority())
}

func (r *reporter) write(ctx context.Context, report dependencies.Report) error {
	data, err := report.Data()
	if err != nil {
		return err
	}
	config := corev1ac.ConfigMap(dependencies.ReportName, r.namespace).WithData(data)
	if authority := r.authority(); authority != nil {
		config.WithBinaryData(map[string][]byte{dependencies.ReportAuthority: authority})
	}
	if r.owner != nil {
		config.WithOwnerReferences(r.owner)
	}
	if err := r.client.Apply(ctx, config, client.FieldOwner(dependencies.FieldManager), client.ForceOwnership); err != nil {
		return fmt.Errorf("publishing where the operators stand: %w", err)
	}
	return nil
}
