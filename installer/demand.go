package installer

import (
	"context"
	"fmt"
	"slices"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

// demandFor is what the platforms of the cluster want of an operator.
func (r *reconciler) demandFor(ctx context.Context, operator dependencies.Operator) (demand, error) {
	var list v1alpha1.OpenDataHubList
	if err := r.cache.List(ctx, &list); err != nil {
		return unwanted, fmt.Errorf("listing OpenDataHubs: %w", err)
	}
	namespaces := map[string][]*v1alpha1.OpenDataHub{}
	for i := range list.Items {
		hub := &list.Items[i]
		namespaces[hub.Namespace] = append(namespaces[hub.Namespace], hub)
	}
	most := unwanted
	for _, hubs := range namespaces {
		most = max(most, demandOf(cluster.PlatformOf(hubs), r.all, r.cluster, operator))
	}
	return most, nil
}

// demandOf is what one platform wants of an operator: of its spec, only which components it names and whether anything may
// be installed for it are asked.
func demandOf(hub *v1alpha1.OpenDataHub, all []components.Component, detected components.Cluster, operator dependencies.Operator) demand {
	needed := slices.ContainsFunc(dependencies.Needed(dependencies.Table{operator}, all, components.NewFacts(hub, detected, all)),
		func(need dependencies.Need) bool { return need.Operator == operator.Name })
	switch {
	case !needed:
		return unwanted
	case hub.DeletionTimestamp != nil, hub.Spec.Dependencies.Installation == v1alpha1.InstallationManual:
		return used // what is being removed needs it still, and nothing new
	}
	return wanted
}
