package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/watch"
	"opendatahub.io/operator/dependencies"
)

// operators knows the status of the third-party operators that platforms need, from what the cluster serves and from what the
// installer reports.
type operators struct {
	table   dependencies.Table
	all     []components.Component
	cluster components.Cluster
	apis    *watch.APIs
	// crds is nil when CustomResourceDefinitions cannot be watched.
	crds client.Reader
	// report is what the installer says.
	report func() dependencies.Report
	// leases reads the installer's Lease in the operator's own namespace. The reader is the API server itself.
	leases    client.Reader
	namespace string
	now       func() time.Time
}

const (
	// leaseExpired is how long the installer may go without renewing its Lease: twice the time in which another one takes over.
	leaseExpired = time.Minute
	// leaseInterval is how often its Lease is read while a platform waits for it.
	leaseInterval = time.Minute
)

// stopped says where the installer is if it does not run. One that needs no Lease, because it is the only one, is believed.
func (o *operators) stopped(ctx context.Context) string {
	lease := &coordinationv1.Lease{}
	err := o.leases.Get(ctx, types.NamespacedName{Namespace: o.namespace, Name: dependencies.LeaseName}, lease)
	if err != nil || lease.Spec.RenewTime == nil || o.now().Sub(lease.Spec.RenewTime.Time) < leaseExpired {
		return ""
	}
	return fmt.Sprintf("kubectl get pods --namespace %s --selector app.kubernetes.io/component=installer", o.namespace)
}

// of returns the status of each operator that the platform needs, in the order of the table.
func (o *operators) of(ctx context.Context, odh *v1alpha1.OpenDataHub) []v1alpha1.DependencyStatus {
	return o.judge(ctx, odh, o.all, sync.OnceValue(func() string { return o.stopped(ctx) }))
}

// notReady returns the status of those operators of a component that are not ready, by name.
func (o *operators) notReady(ctx context.Context, odh *v1alpha1.OpenDataHub, component components.Component) map[string]v1alpha1.DependencyStatus {
	found := map[string]v1alpha1.DependencyStatus{}
	running := func() string { return "" } // the condition about operators says whether it is
	for _, status := range o.judge(ctx, odh, []components.Component{component}, running) {
		if status.State != v1alpha1.DependencyReady {
			found[status.Name] = status
		}
	}
	return found
}

// explain says in a component's condition why an operator is not ready. How to install one by hand takes a long text, which is in
// the condition DependenciesReady.
func explain(status v1alpha1.DependencyStatus) string {
	if status.State == v1alpha1.DependencyMissing {
		return fmt.Sprintf("install %s, condition %s says how", status.Name, v1alpha1.ConditionDependenciesReady)
	}
	return dependencies.Explain(status)
}

// upgrade says which versions of its operators a component needs, if the failure is that a definition is too old.
func (o *operators) upgrade(component components.Component, failure *components.Failure) *components.Failure {
	if failure.Reason != v1alpha1.ReasonVersionNotSupported {
		return failure
	}
	err := failure.Err
	for _, dependency := range o.table {
		if slices.ContainsFunc(component.Kinds(), func(kind kinds.Kind) bool { return kind.Provider == dependency.Name }) {
			err = fmt.Errorf("%w; upgrade %s to a version in the range %s", err, dependency.Name, dependency.Versions)
		}
	}
	return &components.Failure{Reason: failure.Reason, Err: err}
}

// notInstalled says which definitions a component misses, and what to do about it.
func (o *operators) notInstalled(ctx context.Context, odh *v1alpha1.OpenDataHub, component components.Component, missing []kinds.Kind) error {
	var absent, facts, advice []string
	outdated := map[string][]string{} // by the versions that are needed
	waiting := o.notReady(ctx, odh, component)
	alternative := ""
	for _, kind := range missing {
		status, ok := waiting[kind.Provider]
		switch {
		case status.State == v1alpha1.DependencyInstalling: // needs nobody's decision
		case ok && status.State != v1alpha1.DependencyMissing: // what is said of it is no advice
			alternative = fmt.Sprintf("; act on condition %s, or set spec.components.%s.managementState to Removed",
				v1alpha1.ConditionDependenciesReady, component.Name())
		case alternative == "":
			alternative = fmt.Sprintf(", or set spec.components.%s.managementState to Removed", component.Name())
		}
		// A definition that was just created is not served at once.
		if status.State != v1alpha1.DependencyInstalling && o.exists(ctx, kind) {
			versions := strings.Join(kind.Versions, " or ")
			outdated[versions] = append(outdated[versions], kind.CRD())
		} else {
			absent = append(absent, kind.CRD())
		}
		var text string
		switch {
		case ok:
			text = explain(status)
		case kind.Provider == kinds.OpenShift:
			text = "only OpenShift has " + kind.Kind + "s"
		default:
			text = "install the " + kind.Provider // which is no operator's
		}
		if !slices.Contains(advice, text) {
			advice = append(advice, text)
		}
	}
	if len(absent) > 0 {
		facts = append(facts, crds(absent, "is", "are")+" not installed")
	}
	for _, versions := range slices.Sorted(maps.Keys(outdated)) {
		facts = append(facts, crds(outdated[versions], "does", "do")+" not serve "+versions)
	}
	return &components.Failure{Reason: v1alpha1.ReasonAPINotInstalled, Err: fmt.Errorf(
		"%s; %s%s", strings.Join(facts, ", "), strings.Join(advice, "; "), alternative)}
}

// crds names CustomResourceDefinitions, with a verb that agrees with their number.
func crds(names []string, one, many string) string {
	if len(names) == 1 {
		return fmt.Sprintf("CRD %s %s", names[0], one)
	}
	return fmt.Sprintf("CRDs %s %s", strings.Join(names, ", "), many)
}

func (o *operators) judge(ctx context.Context, odh *v1alpha1.OpenDataHub, all []components.Component, stopped func() string) []v1alpha1.DependencyStatus {
	view := dependencies.View{
		Served:    func(kind kinds.Kind) bool { _, served := o.apis.Version(kind); return served },
		Exists:    func(kind kinds.Kind) bool { return o.exists(ctx, kind) },
		OpenShift: o.cluster.OpenShift,
		Namespace: odh.Namespace,
		Manual:    odh.Spec.Dependencies.Installation == v1alpha1.InstallationManual,
		Report:    o.report(),
		Stopped:   stopped,
	}
	var judged []v1alpha1.DependencyStatus
	for _, required := range dependencies.Required(o.table, all, components.NewFacts(odh, o.cluster, o.all)) {
		dependency, _ := o.table.Find(required.Dependency)
		judged = append(judged, view.Judge(dependency, required))
	}
	return judged
}

func (o *operators) exists(ctx context.Context, kind kinds.Kind) bool {
	return o.crds != nil && o.crds.Get(ctx, types.NamespacedName{Name: kind.CRD()}, cluster.NewCRD()) == nil
}

// wakePlatforms queues every platform for the components that render one of the concerned kinds, and for the summary, which
// reports the operators that serve them.
func wakePlatforms(ctx context.Context, odhs *odhs, queues *watch.Queues, all []components.Component, concerned func(kinds.Kind) bool) error {
	platforms, err := odhs.list(ctx)
	if err != nil {
		return err
	}
	for _, odh := range platforms {
		key := client.ObjectKeyFromObject(odh)
		queues.Wake(SummaryManager, key)
		for _, component := range all {
			if slices.ContainsFunc(component.Kinds(), concerned) {
				queues.Wake(component.Name(), key)
			}
		}
	}
	return nil
}

// reportChanged makes the function that the watch of the installer's report calls.
func reportChanged(odhs *odhs, queues *watch.Queues, all []components.Component, table dependencies.Table) func(context.Context, []string) {
	return func(ctx context.Context, changed []string) {
		if len(changed) == 0 { // the installer came or went
			for _, dependency := range table {
				changed = append(changed, dependency.Name)
			}
		}
		concerned := func(kind kinds.Kind) bool { return slices.Contains(changed, kind.Provider) }
		if err := wakePlatforms(ctx, odhs, queues, all, concerned); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Cannot wake the platforms for news of the installer")
		}
	}
}
