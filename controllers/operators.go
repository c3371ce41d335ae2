package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/watch"
	"opendatahub.io/operator/dependencies"
)

// operators knows where the third-party operators stand that platforms need: from what the cluster serves, and from what
// the installer reports.
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
	// leaseExpired is how long the installer may leave its Lease: twice as long as it takes another one to take over.
	leaseExpired = time.Minute
	// leaseInterval is how often its Lease is read while somebody waits for it.
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

// of is where each operator stands that the platform needs, in the order of the table.
func (o *operators) of(ctx context.Context, hub *v1alpha1.OpenDataHub) []v1alpha1.DependencyStatus {
	return o.judge(ctx, hub, o.all, sync.OnceValue(func() string { return o.stopped(ctx) }))
}

// notReady is where those operators of a component stand that are not ready, by their names.
func (o *operators) notReady(ctx context.Context, hub *v1alpha1.OpenDataHub, component components.Component) map[string]v1alpha1.DependencyStatus {
	found := map[string]v1alpha1.DependencyStatus{}
	running := func() string { return "" } // the condition about operators says whether it is
	for _, status := range o.judge(ctx, hub, []components.Component{component}, running) {
		if status.State != v1alpha1.DependencyReady {
			found[status.Name] = status
		}
	}
	return found
}

// explain says in a condition of a component why an operator is not ready. How to install one by hand is a long text, and stands
// in the condition about operators.
func explain(status v1alpha1.DependencyStatus) string {
	if status.State == v1alpha1.DependencyMissing {
		return fmt.Sprintf("install %s, condition %s says how", status.Name, v1alpha1.ConditionDependenciesReady)
	}
	return dependencies.Explain(status)
}

func (o *operators) judge(ctx context.Context, hub *v1alpha1.OpenDataHub, all []components.Component, stopped func() string) []v1alpha1.DependencyStatus {
	view := dependencies.View{
		Served:    func(kind kinds.Kind) bool { _, served := o.apis.Version(kind); return served },
		Exists:    func(kind kinds.Kind) bool { return o.exists(ctx, kind) },
		OpenShift: o.cluster.OpenShift,
		Manual:    hub.Spec.Dependencies.Installation == v1alpha1.InstallationManual,
		Report:    o.report(),
		Stopped:   stopped,
	}
	var judged []v1alpha1.DependencyStatus
	for _, need := range dependencies.Needed(o.table, all, cluster.FactsOf(hub, o.cluster)) {
		operator, _ := o.table.Find(need.Operator)
		judged = append(judged, view.Judge(operator, need))
	}
	return judged
}

func (o *operators) exists(ctx context.Context, kind kinds.Kind) bool {
	return o.crds != nil && o.crds.Get(ctx, types.NamespacedName{Name: kind.CRD()}, cluster.NewCRD()) == nil
}

// wakePlatforms queues every platform for the components that render one of the concerned kinds, and for the summary, which says
// where the operators stand that bring them.
func wakePlatforms(ctx context.Context, hubs cache.Cache, children *watch.Children, all []components.Component, concerned func(kinds.Kind) bool) error {
	var list v1alpha1.OpenDataHubList
	if err := hubs.List(ctx, &list); err != nil {
		return fmt.Errorf("listing OpenDataHubs: %w", err)
	}
	for i := range list.Items {
		key := client.ObjectKeyFromObject(&list.Items[i])
		children.Wake(SummaryManager, key)
		for _, component := range all {
			if slices.ContainsFunc(component.Kinds(), concerned) {
				children.Wake(component.Name(), key)
			}
		}
	}
	return nil
}

// reportChanged makes the function that the watch of the installer's report calls.
func reportChanged(hubs cache.Cache, children *watch.Children, all []components.Component, table dependencies.Table) func(context.Context, []string) {
	return func(ctx context.Context, changed []string) {
		if len(changed) == 0 { // the installer came or went
			for _, operator := range table {
				changed = append(changed, operator.Name)
			}
		}
		concerned := func(kind kinds.Kind) bool { return slices.Contains(changed, kind.Operator) }
		if err := wakePlatforms(ctx, hubs, children, all, concerned); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Cannot wake the platforms for news of the installer")
		}
	}
}
