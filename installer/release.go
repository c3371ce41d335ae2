package installer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
)

// installed is what the cluster has of the charts of a dependency.
type installed struct {
	// record is what they were rendered to, nil when they were not.
	record *record
	// objects of ours, without those that a chart says to keep.
	objects []*unstructured.Unstructured
	// shared are objects of ours that belong to no chart, see keepShared.
	shared []*unstructured.Unstructured
	// releases are the Secrets of releases that earlier versions of this installer left to Helm.
	releases []*unstructured.Unstructured
}

func (i installed) any() bool { return i.record != nil || len(i.objects) > 0 || len(i.releases) > 0 }

// installedOf finds what is ours by its label, in whatever namespace it is.
func (r *reconciler) installedOf(ctx context.Context, dependency dependencies.Dependency, shared []shared) (installed, error) {
	var found installed
	if err := r.objects.ensure(ctx, usual...); err != nil {
		return found, err
	}
	known, err := r.records.get(ctx, dependency)
	if err != nil {
		return found, err
	}
	found.record = known
	if known != nil { // kinds that only this chart has
		if err := r.objects.ensure(ctx, kindsOf(known.objects())...); err != nil {
			return found, err
		}
	}
	if err := r.objects.ensure(ctx, sharedKinds(shared)...); err != nil {
		return found, err
	}
	all, err := r.objects.all(ctx, dependency.ID())
	if err != nil {
		return found, err
	}
	for _, object := range all {
		switch {
		case object.GetKind() == "Secret" && object.Object["type"] == helm.ReleaseType:
			found.releases = append(found.releases, object)
		case apply.IsOurs(object, dependencies.FieldManager) && isShared(object):
			found.shared = append(found.shared, object)
		case apply.IsOurs(object, dependencies.FieldManager) && !helm.IsKept(object):
			found.objects = append(found.objects, object)
		}
	}
	if len(found.releases) == 0 {
		return found, nil
	}
	charts, err := r.releases(ctx, found.releases)
	if err != nil {
		return found, err
	}
	merged := &record{}
	if known != nil {
		merged.Note, merged.Charts = known.Note, slices.Clone(known.Charts)
	}
	for _, chart := range charts {
		if merged.chart(chart.Release) == nil {
			merged.Charts = append(merged.Charts, chart)
		}
	}
	found.record = merged
	return found, r.objects.ensure(ctx, kindsOf(merged.objects())...)
}

func kindsOf(objects []*unstructured.Unstructured) []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	for _, object := range objects {
		if kind := object.GroupVersionKind(); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// release brings the charts of a dependency to what the table says: what is not recorded as such is fetched and rendered, all of it is
// applied, and what is no longer among it is deleted. Whatever fails, what works goes on.
func (r *reconciler) release(ctx context.Context, dependency dependencies.Dependency, s situation, note string, found crds) (outcome, error) {
	restore, missing := false, time.Duration(0)
	if len(found.absent) == 0 {
		r.retries.complete(dependency)
	} else if s.installed.record != nil {
		restore, missing = r.retries.restores(dependency)
	}
	next, failure, wait := r.render(ctx, dependency, s.installed, note, restore)
	if ctx.Err() != nil {
		return outcome{}, ctx.Err()
	}
	changed := next != nil && !reflect.DeepEqual(next, s.installed.record) || next != nil && len(s.installed.releases) > 0
	if changed {
		if err := r.namespaceFor(ctx, dependency); err != nil {
			return outcome{}, err
		}
		if err := r.records.put(ctx, dependency, next); err != nil {
			return outcome{}, err
		}
	}
	complete := failure == nil
	if next != nil {
		waiting, again, err := r.applyRecord(ctx, dependency, next, s.shared, complete, s.installed.releases)
		if err != nil && failure == nil {
			failure = components.AsFailure(err, v1alpha1.ReasonInstallFailed)
		}
		if waiting != "" && failure == nil {
			return outcome{status: installing(dependency, v1alpha1.DependencySourceHelm, waiting), again: again}, nil
		}
	}
	if changed { // what its CRDs serve may have changed
		var err error
		if found, err = r.crdsOf(ctx, dependency, false); err != nil {
			return outcome{}, err
		}
	}
	result, err := r.released(ctx, dependency, next, failure, found)
	switch {
	case err != nil:
		return result, err
	case failure == nil:
		r.retries.succeed(dependency)
		result.again = missing
		if found.again > 0 {
			result.again = found.again
		}
	case wait > 0:
		result.again = wait
	default:
		installs.WithLabelValues(dependency.Name, "Failed").Inc()
		result.again = r.retries.after(dependency)
	}
	return result, nil
}

// render is the record as the table has it now. A chart that cannot be rendered stays as it was, and those after it too; then wait
// says how long until it is tried again, if it is not tried now.
func (r *reconciler) render(ctx context.Context, dependency dependencies.Dependency, current installed, note string, restore bool) (*record, *components.Failure, time.Duration) {
	before := current.record
	if before == nil {
		before = &record{}
	}
	next := &record{Note: cmp.Or(note, before.Note)}
	var capabilities *common.Capabilities
	for i, chart := range dependency.Charts {
		stop := func(failure *components.Failure, wait time.Duration) (*record, *components.Failure, time.Duration) {
			for _, later := range dependency.Charts[i:] {
				if kept := before.chart(later.Release); kept != nil {
					next.Charts = append(next.Charts, *kept)
				}
			}
			if len(next.Charts) == 0 {
				return nil, failure, wait
			}
			return next, failure, wait
		}
		request, err := r.helm.Request(chart)
		if err != nil {
			return stop(components.AsFailure(err, v1alpha1.ReasonInstallFailed), 0)
		}
		have := before.chart(chart.Release)
		if have != nil && have.Request == request && have.Namespace == dependency.Namespace && !restore {
			next.Charts = append(next.Charts, *have)
			continue
		}
		if failure, wait := r.retries.pending(dependency, request); failure != nil {
			return stop(failure, wait)
		}
		if err := r.announce(ctx, dependency, current); err != nil {
			return stop(components.AsFailure(err, v1alpha1.ReasonInstallFailed), 0)
		}
		if capabilities == nil {
			if capabilities, err = r.capabilities(); err != nil {
				return stop(components.AsFailure(err, v1alpha1.ReasonInstallFailed), 0)
			}
		}
		rendered, err := r.helm.Render(ctx, chart, dependency.Namespace, capabilities)
		if err != nil {
			failure := components.AsFailure(err, v1alpha1.ReasonInstallFailed)
			installs.WithLabelValues(dependency.Name, "Failed").Inc()
			return stop(failure, r.retries.fail(dependency, request, failure))
		}
		if err := r.applyCRDs(ctx, dependency, rendered.CRDs); err != nil {
			return stop(components.AsFailure(err, v1alpha1.ReasonInstallFailed), 0)
		}
		next.Charts = append(next.Charts, recordOf(chart.Release, request, dependency.Namespace, dependency.ID(), rendered))
		installs.WithLabelValues(dependency.Name, "Applied").Inc()
		ctrl.LoggerFrom(ctx).Info("Rendered chart", "release", chart.Release, "version", chart.Version, "namespace", dependency.Namespace)
	}
	return next, nil, 0
}

// announce reports a first install before a step that may take a while. What failed stays failed until it works, and what works is ready.
func (r *reconciler) announce(ctx context.Context, dependency dependencies.Dependency, current installed) error {
	if current.any() || r.retries.failing(dependency) {
		return nil
	}
	_, err := r.report.set(ctx, dependency.Name, installing(dependency, v1alpha1.DependencySourceHelm, "its charts are being fetched"))
	return err
}

// applyRecord applies the objects of a record, and deletes what is not among them. Deployments that are not wanted any more go first, and
// the others wait for that: two operators at a time would work on the same resources. What is left of Helm's releases goes last.
func (r *reconciler) applyRecord(ctx context.Context, dependency dependencies.Dependency, next *record, shared []shared, complete bool, releases []*unstructured.Unstructured) (waiting string, again time.Duration, err error) {
	prepared, pending, err := r.prepare(ctx, dependency, next, shared)
	if err != nil {
		return "", 0, err
	}
	all, err := r.installedOf(ctx, dependency, shared)
	if err != nil {
		return "", 0, err
	}
	wanted := map[string]bool{}
	for _, p := range prepared {
		wanted[identity(p.Object)] = true
	}
	for _, p := range pending {
		wanted[identity(p)] = true
	}
	var superfluous, workloads []*unstructured.Unstructured
	for _, object := range all.objects {
		switch {
		case wanted[identity(object)] || !complete:
		case isWorkload(object):
			workloads = append(workloads, object)
		default:
			superfluous = append(superfluous, object)
		}
	}
	if len(workloads) > 0 {
		_, err := r.applier.Delete(ctx, dependencies.FieldManager, workloads...)
		return "waiting for " + nameOf(workloads[0]) + " to be gone, which is not wanted any more", 0, err
	}
	changes, err := r.applier.Apply(ctx, dependencies.FieldManager, prepared)
	if notFound := (apierrors.APIStatus)(nil); errors.As(err, &notFound) && apierrors.IsNotFound(err) {
		err = errors.Join(err, r.namespaceFor(ctx, dependency)) // somebody deleted it
	}
	for _, change := range changes {
		ctrl.LoggerFrom(ctx).Info(string(change.Action)+" "+change.Kind, "namespace", change.Namespace, "name", change.Name)
	}
	if err != nil {
		return "", 0, explained(err)
	}
	if len(pending) > 0 {
		what := fmt.Sprintf("%s %s, of which the chart has %s", pending[0].GetAPIVersion(), pending[0].GetKind(), nameOf(pending[0]))
		fresh, err := r.fresh(ctx, pending[0].GroupVersionKind().Group)
		if err == nil && !fresh {
			err = dependencies.Failed(v1alpha1.ReasonInstallFailed, "the cluster does not serve %s", what)
		}
		return "not served yet: " + what, establishing, err
	}
	if !complete {
		return "", 0, nil
	}
	if _, err := r.applier.Delete(ctx, dependencies.FieldManager, superfluous...); err != nil {
		return "", 0, err
	}
	return "", 0, r.forgetReleases(ctx, releases)
}

func (r *reconciler) forgetReleases(ctx context.Context, releases []*unstructured.Unstructured) error {
	for _, secret := range releases {
		if err := r.client.Delete(ctx, secret.DeepCopy(), client.Preconditions{UID: new(secret.GetUID())}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the record of a Helm release: %w", err)
		}
	}
	return nil
}

// prepare is the record as it is applied. pending are objects of kinds that are not served, or not yet.
func (r *reconciler) prepare(ctx context.Context, dependency dependencies.Dependency, next *record, shared []shared) (prepared []apply.Prepared, pending []*unstructured.Unstructured, err error) {
	if err := r.objects.ensure(ctx, kindsOf(next.objects())...); err != nil {
		return nil, nil, err
	}
	for _, chart := range next.Charts {
		objects := make([]*unstructured.Unstructured, 0, len(chart.Objects))
		for _, content := range chart.Objects {
			objects = append(objects, (&unstructured.Unstructured{Object: content}).DeepCopy())
		}
		if len(dependency.Charts) > 0 && chart.Release == dependency.Charts[0].Release {
			if objects, err = r.laidOverChart(ctx, shared, objects); err != nil {
				return nil, nil, err
			}
		}
		for _, object := range objects {
			mapping, err := r.mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
			switch {
			case meta.IsNoMatchError(err):
				pending = append(pending, object)
				continue
			case err != nil:
				return nil, nil, fmt.Errorf("asking for the kind %s: %w", object.GetKind(), err)
			case mapping.Scope.Name() == meta.RESTScopeNameRoot:
				object.SetNamespace("")
			default:
				object.SetNamespace(cmp.Or(object.GetNamespace(), chart.Namespace))
			}
			if !r.objects.watched(object.GroupVersionKind()) {
				pending = append(pending, object)
				continue
			}
			live, err := r.objects.Get(ctx, object.GroupVersionKind(), client.ObjectKeyFromObject(object))
			if err != nil {
				return nil, nil, err
			}
			if live != nil && live.GetLabels()[dependencies.Label] != dependency.ID() {
				return nil, nil, foreign(object, live)
			}
			p, err := apply.PrepareObject(object)
			if err != nil {
				return nil, nil, dependencies.Blocked(v1alpha1.ReasonChartInvalid, "chart %s cannot be used: %v", chart.Release, err)
			}
			prepared = append(prepared, p)
		}
	}
	return prepared, pending, nil
}

// claim lets the applier take an object that lost the installer's label, and no others.
func claim(_ string, want apply.Prepared, existing *unstructured.Unstructured) error {
	label := existing.GetLabels()[dependencies.Label]
	if label == want.Object.GetLabels()[dependencies.Label] || label == "" && apply.IsOurs(existing, dependencies.FieldManager) {
		return nil
	}
	return foreign(want.Object, existing)
}

// foreign says whose an object is that stands where one of ours should.
func foreign(want, existing *unstructured.Unstructured) error {
	owner := "it lacks the label " + dependencies.Label
	labels := existing.GetLabels()
	switch {
	case labels[dependencies.Label] != "":
		owner = fmt.Sprintf("its label %s says %s", dependencies.Label, labels[dependencies.Label])
	case helm.Owner(existing) != "":
		owner = "it belongs to Helm release " + helm.Owner(existing)
	case labels[managedByLabel] != "":
		owner = fmt.Sprintf("its label %s says %s", managedByLabel, labels[managedByLabel])
	case len(existing.GetManagedFields()) > 0:
		owner = "its field manager is " + existing.GetManagedFields()[0].Manager
	}
	return dependencies.Failed(v1alpha1.ReasonInstallFailed,
		"%s exists and was not made by this installer: %s; move or delete it, and the installer goes on", nameOf(want), owner)
}

const managedByLabel = "app.kubernetes.io/managed-by"

// explained returns InstallFailed, which is retried, for what the API server refused, for immutable fields and for conflicts.
func explained(err error) error {
	var failure *components.Failure
	if errors.As(err, &failure) && failure.Reason != v1alpha1.ReasonImmutableFieldChanged && failure.Reason != v1alpha1.ReasonConflict {
		return err
	}
	return dependencies.Failed(v1alpha1.ReasonInstallFailed, "%v", err)
}

// applyCRDs applies CustomResourceDefinitions before anything else. They are never deleted, and those that somebody else applied stay
// as they are.
func (r *reconciler) applyCRDs(ctx context.Context, dependency dependencies.Dependency, definitions []*unstructured.Unstructured) error {
	for _, crd := range definitions {
		live := cluster.NewCRD()
		err := r.reader.Get(ctx, client.ObjectKeyFromObject(crd), live)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading CustomResourceDefinition %s: %w", crd.GetName(), err)
		}
		if err == nil && live.Labels[dependencies.Label] != dependency.ID() {
			ctrl.LoggerFrom(ctx).Info("Left CustomResourceDefinition, which somebody else applied", "name", crd.GetName())
			continue
		}
		mark(crd, dependency.ID())
		delete(crd.Object, "status")
		unstructured.RemoveNestedField(crd.Object, "metadata", "creationTimestamp")
		err = r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(crd), client.FieldOwner(dependencies.FieldManager), client.ForceOwnership)
		if err != nil {
			return dependencies.Failed(v1alpha1.ReasonInstallFailed, "the API server refuses CustomResourceDefinition %s: %v", crd.GetName(), err)
		}
	}
	return nil
}

// namespaceFor creates the namespace. One that exists stays as it is.
func (r *reconciler) namespaceFor(ctx context.Context, dependency dependencies.Dependency) error {
	err := r.reader.Get(ctx, types.NamespacedName{Name: dependency.Namespace}, &corev1.Namespace{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	namespace := corev1ac.Namespace(dependency.Namespace).
		WithLabels(dependency.NamespaceLabels).WithLabels(map[string]string{dependencies.Label: dependency.ID()})
	if err := r.client.Apply(ctx, namespace, client.FieldOwner(dependencies.FieldManager), client.ForceOwnership); err != nil {
		return fmt.Errorf("creating Namespace %s: %w", dependency.Namespace, err)
	}
	return nil
}

// capabilities are what templates may ask of the cluster.
func (r *reconciler) capabilities() (*common.Capabilities, error) {
	version, err := r.discovery.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("asking for the version of Kubernetes: %w", err)
	}
	apis, err := action.GetVersionSet(memory.NewMemCacheClient(r.discovery))
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, fmt.Errorf("asking which APIs are served: %w", err)
	}
	return &common.Capabilities{
		KubeVersion: common.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor},
		APIVersions: apis, HelmVersion: common.DefaultCapabilities.HelmVersion,
	}, nil
}

// uninstall deletes what is ours of a dependency: custom resources first, because their operator may have to clean up after them,
// and the rest when they are gone. It returns what it waits for. The namespace and the CustomResourceDefinitions stay.
func (r *reconciler) uninstall(ctx context.Context, dependency dependencies.Dependency, found installed) (waiting string, err error) {
	objects := slices.Clone(found.objects)
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(helm.UninstallOrder(a), helm.UninstallOrder(b)), cmp.Compare(nameOf(a), nameOf(b)))
	})
	if len(objects) > 0 && helm.IsCustom(objects[0]) {
		objects = slices.DeleteFunc(objects, func(object *unstructured.Unstructured) bool { return !helm.IsCustom(object) })
	}
	if _, err := r.applier.Delete(ctx, dependencies.FieldManager, objects...); err != nil {
		return "", dependencies.Failed(v1alpha1.ReasonRemoveFailed, "removing %s: %v", dependency.Name, err)
	}
	if len(objects) > 0 {
		text := "waiting for " + nameOf(objects[0]) + " to be gone"
		if finalizers := objects[0].GetFinalizers(); len(finalizers) > 0 {
			text += fmt.Sprintf(": it has the finalizers %v, which their owners have not removed", finalizers)
		}
		return text, nil
	}
	if err := r.forgetReleases(ctx, found.releases); err != nil {
		return "", err
	}
	if found.record == nil {
		return "", nil
	}
	return "", r.records.delete(ctx, dependency)
}

// identity is the kind and the name of an object, in whatever version.
func identity(object *unstructured.Unstructured) string {
	return object.GroupVersionKind().GroupKind().String() + " " + object.GetNamespace() + "/" + object.GetName()
}

// nameOf is how people name an object: "ConfigMap kafka/settings".
func nameOf(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetKind() + " " + object.GetName()
	}
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}
