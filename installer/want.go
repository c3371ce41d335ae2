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

// wantFor is what the platforms of the cluster want of a dependency.
func (r *reconciler) wantFor(ctx context.Context, dependency dependencies.Dependency) (want, error) {
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
		most = max(most, wantOf(cluster.PlatformOf(hubs), r.all, r.cluster, dependency))
	}
	return most, nil
}

// wantOf is what one platform wants of a dependency: of its spec, only which components it names and whether anything may
// be installed for it are asked.
func wantOf(hub *v1alpha1.OpenDataHub, all []components.Component, detected components.Cluster, dependency dependencies.Dependency) want {
	needed := slices.ContainsFunc(dependencies.Required(dependencies.Table{dependency}, all, components.NewFacts(hub, detected, all)),
		func(required dependencies.Requirement) bool { return required.Dependency == dependency.Name })
	switch {
	case !needed:
		return unwanted
	case hub.DeletionTimestamp != nil, hub.Spec.Dependencies.Installation == v1alpha1.InstallationManual:
		return used // what is being removed needs it still, and nothing new
	}
	return wanted
}
