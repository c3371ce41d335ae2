package installer

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

// platforms are the OpenDataHubs that are deployed, one of each namespace.
func (r *reconciler) platforms(ctx context.Context) ([]*v1alpha1.OpenDataHub, error) {
	var list v1alpha1.OpenDataHubList
	if err := r.cache.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("listing OpenDataHubs: %w", err)
	}
	namespaces := map[string][]*v1alpha1.OpenDataHub{}
	for i := range list.Items {
		hub := &list.Items[i]
		namespaces[hub.Namespace] = append(namespaces[hub.Namespace], hub)
	}
	platforms := make([]*v1alpha1.OpenDataHub, 0, len(namespaces))
	for _, hubs := range namespaces {
		platforms = append(platforms, cluster.PlatformOf(hubs))
	}
	return platforms, nil
}

// wantFor is what the platforms of the cluster want of a dependency.
func (r *reconciler) wantFor(ctx context.Context, platforms []*v1alpha1.OpenDataHub, dependency dependencies.Dependency) (want, error) {
	most := unwanted
	for _, platform := range platforms {
		wants := wantOf(platform, r.all, r.cluster, dependency)
		if wants > most && wants == wanted {
			allowed, err := r.allows(ctx, platform.Namespace, components.LabelAllowInstalls)
			if err != nil {
				return unwanted, err
			}
			if !allowed {
				wants = used
			}
		}
		most = max(most, wants)
	}
	return most, nil
}

// allows is whether an administrator has put a mark on a namespace.
func (r *reconciler) allows(ctx context.Context, name, mark string) (bool, error) {
	namespace := cluster.NewNamespace()
	err := r.cache.Get(ctx, types.NamespacedName{Name: name}, namespace)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	return components.Allowed(namespace.Labels, mark), nil
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
