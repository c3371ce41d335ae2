package installer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
	"opendatahub.io/operator/installer/olm"
)

// reconciler brings dependencies to the desired state. Its requests are named after them.
type reconciler struct {
	// table as the binary has it.
	table     dependencies.Table
	all       []components.Component
	cluster   components.Cluster
	namespace string
	now       func() time.Time

	cache     cache.Cache
	discovery discovery.DiscoveryInterface
	helm      *helm.Client
	client    client.Client
	reader    client.Reader
	mapper    meta.RESTMapper
	objects   *objects
	records   *records
	applier   *apply.Applier
	olm       *olm.OLM
	packages  *packages
	report    *reporter
	retries   *retries
	// latest is the table of the latest configuration that could be read.
	latest atomic.Pointer[dependencies.Table]
	uses   *uses
	queue  queue
}

// outcome is where a dependency stands. No status means that there is nothing to say of it.
type outcome struct {
	status *v1alpha1.DependencyStatus
	// again is when to look again without any other sign; zero is never.
	again time.Duration
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if err := r.report.load(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if request == reportRequest {
		return ctrl.Result{}, r.report.restore(ctx, r.cache)
	}
	dependency, ok := r.table.FindID(request.Name)
	if !ok {
		return ctrl.Result{}, nil // a label that somebody made up
	}
	log := ctrl.LoggerFrom(ctx).WithValues("dependency", dependency.Name)
	ctx = ctrl.LoggerInto(ctx, log)

	result, err := r.reconcile(ctx, dependency)
	if err != nil {
		if _, known := r.report.get(dependency.Name); known {
			return ctrl.Result{}, err // that something could not be read is no news of the dependency
		}
		problem := dependencies.Failed(v1alpha1.ReasonFactsUnavailable, "cannot find out where %s stands: %v", dependency.Name, err)
		_, reportErr := r.report.set(ctx, dependency.Name, statusOf(dependency, problem))
		return ctrl.Result{}, errors.Join(err, reportErr)
	}
	news, err := r.report.set(ctx, dependency.Name, result.status)
	if err != nil {
		return ctrl.Result{}, err
	}
	if news && result.status != nil {
		log.Info("Changed "+dependency.Name, "state", result.status.State, "reason", result.status.Reason, "message", result.status.Message)
	}
	return ctrl.Result{RequeueAfter: result.again}, nil
}

// reconcile finds out where the dependency stands, and takes the next step.
func (r *reconciler) reconcile(ctx context.Context, dependency dependencies.Dependency) (outcome, error) {
	// Read once: settings of a platform that is gone must not be missed by what was decided while it was there.
	platforms, err := r.platforms(ctx)
	if err != nil {
		return outcome{}, err
	}
	wants, err := r.wantFor(ctx, platforms, dependency)
	if err != nil {
		return outcome{}, err
	}
	config, err := r.config(ctx)
	if err != nil {
		problem := dependencies.Blocked(v1alpha1.ReasonInstallerConfigInvalid,
			"nothing is installed or changed until ConfigMap %s/%s is corrected: %v", r.namespace, dependencies.ConfigName, err)
		if wants == unwanted { // nobody waits for it, so it stays as it was left
			if before, ok := r.report.get(dependency.Name); ok {
				return outcome{status: &before}, nil
			}
			return outcome{}, nil
		}
		return outcome{status: statusOf(dependency, problem)}, nil
	}
	table := config.Table.For(r.cluster.OpenShift)
	r.latest.Store(&table)
	dependency, _ = table.Find(dependency.Name)

	s := situation{want: wants, policy: config.DeletionPolicy}
	if before, ok := r.report.get(dependency.Name); ok {
		s.removing = before.State == v1alpha1.DependencyRemoving
	}
	apis, err := r.olm.Served(ctx)
	if err != nil {
		return outcome{}, err
	}
	if err := r.packages.follow(ctx, apis); err != nil {
		return outcome{}, err
	}
	if s.packaged, err = r.olm.Find(ctx, dependency); err != nil {
		return outcome{}, err
	}
	if s.shared, err = r.shared(ctx, platforms, dependency); err != nil {
		return outcome{}, err
	}
	if s.installed, err = r.installedOf(ctx, dependency, s.shared); err != nil {
		return outcome{}, err
	}
	found, err := r.crdsOf(ctx, dependency, apis.V0)
	if err != nil {
		return outcome{}, err
	}
	s.presence = found.presence
	result, err := r.take(ctx, decide(s), dependency, s, found, apis)
	if err == nil && s.want == wanted && s.packaged != nil && result.status != nil && result.status.State == v1alpha1.DependencyReady {
		again, sharedErr := r.keepShared(ctx, s.shared, s.installed.shared)
		if sharedErr != nil {
			result.status, again = unchanged(*result.status, sharedErr.Error(), found), r.retries.after(dependency)
		}
		if again > 0 && (result.again == 0 || again < result.again) {
			result.again = again
		}
	}
	if wants != unwanted && found.again > 0 && (result.again == 0 || found.again < result.again) {
		result.again = found.again
	}
	return result, err
}

// config is the table with what the administrators changed.
func (r *reconciler) config(ctx context.Context) (dependencies.Config, error) {
	object := &corev1.ConfigMap{}
	err := r.cache.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: dependencies.ConfigName}, object)
	if client.IgnoreNotFound(err) != nil {
		return dependencies.Config{}, err
	}
	return dependencies.ParseConfig(object.Data)
}

// configured is the table as the administrators have it.
func (r *reconciler) configured() dependencies.Table {
	if table := r.latest.Load(); table != nil {
		return *table
	}
	return r.table
}

// take the step, and say where the dependency stands after it.
func (r *reconciler) take(ctx context.Context, next step, dependency dependencies.Dependency, s situation, found crds, apis olm.APIs) (outcome, error) {
	if next != remove {
		r.uses.forget(ctx, dependency)
	}
	switch next {
	case leave:
		return outcome{status: r.left(dependency, s)}, nil
	case remove:
		return r.remove(ctx, dependency, s, apis)
	case collide:
		return outcome{status: statusOf(dependency, dependencies.Blocked(v1alpha1.ReasonSubscriptionConflict,
			"%s is installed twice: by OLM, which somebody else asked for, and by this installer in namespace %s; "+
				"delete the Subscription and its ClusterServiceVersion, or let ConfigMap %s say way: OLM",
			dependency.Name, dependency.Namespace, dependencies.ConfigName))}, nil
	case adoptPackage:
		return outcome{status: complete(s.packaged.Status, found)}, nil
	case adoptServed:
		version, err := r.versionOf(ctx, found.workload)
		return outcome{status: &v1alpha1.DependencyStatus{
			Name: dependency.Name, Source: v1alpha1.DependencySourceExisting, State: v1alpha1.DependencyReady, Reason: v1alpha1.ReasonAvailable,
			Version: version,
		}}, err
	case orphaned:
		return outcome{status: statusOf(dependency, dependencies.Blocked(v1alpha1.ReasonNotInstalled,
			"the cluster serves %s, but no Deployment named or labelled %s is found: if %s was removed, have it installed again with "+
				"kubectl label crd %s %s=%s; if it runs under another name, say so in ConfigMap %s",
			dependency.CRDs[0].Name, strings.Join(dependency.Workloads, " or "), dependency.Name,
			dependency.CRDs[0].Name, dependencies.Label, dependency.ID(), dependencies.ConfigName))}, nil
	case refuse:
		return outcome{status: refused(dependency, found)}, nil
	case keepPackage:
		return r.keepPackage(ctx, dependency, s, found)
	case keepRelease:
		return r.keepRelease(ctx, dependency, s, found)
	case await:
		return outcome{status: &v1alpha1.DependencyStatus{
			Name: dependency.Name, State: v1alpha1.DependencyMissing, Reason: v1alpha1.ReasonNotAllowed,
			Message: fmt.Sprintf("%s is not installed, and no platform that needs it may have it installed", dependency.Name),
		}}, nil
	case install:
		return r.install(ctx, dependency, s, apis, found)
	default:
		return outcome{}, nil
	}
}

// left says of a dependency that nobody needs that it stays.
func (r *reconciler) left(dependency dependencies.Dependency, s situation) *v1alpha1.DependencyStatus {
	status := &v1alpha1.DependencyStatus{
		Name: dependency.Name, Source: v1alpha1.DependencySourceHelm, State: v1alpha1.DependencyReady, Reason: v1alpha1.ReasonKept,
		Message: fmt.Sprintf("no platform needs it any more; it stays, because deletionPolicy in ConfigMap %s is not Delete", dependencies.ConfigName),
	}
	if before, ok := r.report.get(dependency.Name); ok && s.removing {
		status.Source, status.Version = before.Source, before.Version // what is left may not say it
	}
	if s.installed.record != nil {
		status.Version = s.installed.record.version(dependency)
	}
	if s.packaged != nil {
		status.Source, status.Version = v1alpha1.DependencySourceOLM, s.packaged.Status.Version
	}
	return status
}

// install what is not there, by OLM or by Helm.
func (r *reconciler) install(ctx context.Context, dependency dependencies.Dependency, s situation, apis olm.APIs, found crds) (outcome, error) {
	if dependency.Way == dependencies.WayNone {
		return outcome{status: &v1alpha1.DependencyStatus{
			Name: dependency.Name, State: v1alpha1.DependencyMissing, Reason: v1alpha1.ReasonNotInstalled,
			Message: fmt.Sprintf("%s is not installed, and ConfigMap %s says way: None; to install it: %s",
				dependency.Name, dependencies.ConfigName, dependencies.Hint(dependency, r.cluster.OpenShift)),
		}}, nil
	}
	note := "" // nobody expects OLM where there is none
	switch {
	case dependency.Way == dependencies.WayHelm || len(dependency.Packages) == 0:
	case apis.V0:
		candidate, err := r.olm.Resolve(ctx, dependency, r.cluster.OpenShift)
		if err == nil {
			return r.subscribe(ctx, dependency, candidate, found)
		}
		var failure *components.Failure
		if !errors.As(err, &failure) {
			return outcome{}, err
		}
		if dependency.Way == dependencies.WayOLM || len(dependency.Charts) == 0 || !olm.NotOffered(err) {
			return r.failed(dependency, failure), nil // the watches wake us when a person has acted
		}
		note = failure.Error()
	case dependency.Way == dependencies.WayOLM || len(dependency.Charts) == 0:
		return r.failed(dependency, dependencies.Blocked(v1alpha1.ReasonNotInstalled,
			"%s is to be installed by OLM, and the cluster has no Operator Lifecycle Manager; install OLM, or let ConfigMap %s say way: Helm",
			dependency.Name, dependencies.ConfigName)), nil
	}
	return r.release(ctx, dependency, s, note, found)
}

// failed notes that an attempt failed, or was not possible.
func (r *reconciler) failed(dependency dependencies.Dependency, failure *components.Failure) outcome {
	return outcome{status: statusOf(dependency, failure), again: r.retries.after(dependency)}
}

// attempted turns the error of an attempt into an outcome. Errors without a reason are trouble with the API server.
func (r *reconciler) attempted(dependency dependencies.Dependency, reason string, err error) outcome {
	installs.WithLabelValues(dependency.Name, "Failed").Inc()
	return r.failed(dependency, components.AsFailure(err, reason))
}

// subscribe asks OLM for a package. What comes of it is seen by the watches.
func (r *reconciler) subscribe(ctx context.Context, dependency dependencies.Dependency, candidate olm.Candidate, found crds) (outcome, error) {
	if err := r.olm.Ensure(ctx, dependency, candidate); err != nil {
		return r.attempted(dependency, v1alpha1.ReasonInstallFailed, err), nil
	}
	installs.WithLabelValues(dependency.Name, "Applied").Inc()
	r.retries.succeed(dependency)
	return r.packaged(ctx, dependency, found)
}

// packaged reads where our package stands.
func (r *reconciler) packaged(ctx context.Context, dependency dependencies.Dependency, found crds) (outcome, error) {
	current, err := r.olm.Find(ctx, dependency)
	if err != nil {
		return outcome{}, err
	}
	if current == nil { // not in the cache yet; the watch wakes us
		return outcome{status: installing(dependency, v1alpha1.DependencySourceOLM, "waiting for the Operator Lifecycle Manager")}, nil
	}
	return outcome{status: complete(current.Status, found)}, nil
}

// keepPackage keeps our Subscription as the table says.
func (r *reconciler) keepPackage(ctx context.Context, dependency dependencies.Dependency, s situation, found crds) (outcome, error) {
	if s.want != wanted || dependency.Way == dependencies.WayNone {
		return outcome{status: complete(s.packaged.Status, found)}, nil
	}
	changed, err := r.olm.Update(ctx, dependency, *s.packaged)
	if err != nil {
		result := r.attempted(dependency, v1alpha1.ReasonInstallFailed, err)
		if s.packaged.Status.State == v1alpha1.DependencyReady { // what is installed works as before
			result.status = unchanged(s.packaged.Status, result.status.Message, found)
		}
		return result, nil
	}
	r.retries.succeed(dependency)
	if changed {
		installs.WithLabelValues(dependency.Name, "Applied").Inc()
		return r.packaged(ctx, dependency, found)
	}
	return outcome{status: complete(s.packaged.Status, found)}, nil
}

// keepRelease keeps what is installed of charts as the table says, unless nothing may be installed.
func (r *reconciler) keepRelease(ctx context.Context, dependency dependencies.Dependency, s situation, found crds) (outcome, error) {
	if s.want != wanted || dependency.Way == dependencies.WayNone {
		r.retries.succeed(dependency)
		return r.released(ctx, dependency, s.installed.record, nil, found)
	}
	return r.release(ctx, dependency, s, "", found)
}

// remove takes away what we installed, unless somebody uses it.
func (r *reconciler) remove(ctx context.Context, dependency dependencies.Dependency, s situation, apis olm.APIs) (outcome, error) {
	status := r.left(dependency, s)
	inUse, err := r.uses.find(ctx, dependency, func() { r.queue.Add(requestFor(dependency)) })
	if err != nil {
		return outcome{}, err
	}
	again := time.Duration(0)
	if inUse == "" {
		again = lookAgain // nobody watches Pods
		if inUse, err = r.usedBy(ctx, dependency); err != nil {
			return outcome{}, err
		}
	}
	if inUse != "" {
		status.Reason = v1alpha1.ReasonInUse
		status.Message = fmt.Sprintf("no platform needs it any more; it stays as long as %s exists", inUse)
		return outcome{status: status, again: again}, nil
	}
	status.State, status.Reason, status.Message = v1alpha1.DependencyRemoving, v1alpha1.ReasonRemoving, "no platform needs it any more"
	if _, err := r.report.set(ctx, dependency.Name, status); err != nil {
		return outcome{}, err
	}
	if len(s.installed.shared) > 0 { // while their operator runs, which may have to clean up after them
		if _, err := r.applier.Delete(ctx, dependencies.FieldManager, s.installed.shared...); err != nil {
			return r.attempted(dependency, v1alpha1.ReasonRemoveFailed, err), nil
		}
		status.Message = "waiting for " + nameOf(s.installed.shared[0]) + " to be gone"
		return outcome{status: status}, nil // the watches wake us
	}
	gone := true
	if apis.V0 {
		if gone, err = r.olm.Remove(ctx, dependency); err != nil {
			return r.attempted(dependency, v1alpha1.ReasonRemoveFailed, err), nil
		}
	}
	waiting, err := r.uninstall(ctx, dependency, s.installed)
	if err != nil {
		return r.attempted(dependency, v1alpha1.ReasonRemoveFailed, err), nil
	}
	if waiting != "" {
		gone, status.Message = false, waiting
	}
	r.retries.succeed(dependency)
	if !gone {
		return outcome{status: status}, nil // the watches wake us
	}
	installs.WithLabelValues(dependency.Name, "Removed").Inc()
	r.uses.forget(ctx, dependency)
	return outcome{}, nil
}
