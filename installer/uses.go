package installer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/discovery"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/dependencies"
)

// uses finds objects of a dependency's kinds, anywhere: as long as there are any, the dependency stays. Their kinds are watched,
// metadata only, from when a dependency could go until it is gone or needed again.
type uses struct {
	cache     cache.Cache
	reader    client.Reader
	discovery discovery.DiscoveryInterface

	mu      sync.Mutex
	watched map[string][]schema.GroupVersionKind // by dependency
}

func newUses(cache cache.Cache, reader client.Reader, discovery discovery.DiscoveryInterface) *uses {
	return &uses{cache: cache, reader: reader, discovery: discovery, watched: map[string][]schema.GroupVersionKind{}}
}

// find names an object that keeps the dependency, as in "Kafka data/odh"; empty when there is none. wake is called when one
// of them goes.
func (u *uses) find(ctx context.Context, dependency dependencies.Dependency, wake func()) (string, error) {
	kinds, err := u.kinds(dependency)
	if err != nil {
		return "", err
	}
	found, err := u.first(ctx, kinds)
	if err != nil || found == "" {
		return found, err
	}
	// One that went before the watch began would wake nobody.
	if begun, err := u.watch(ctx, dependency, kinds, wake); err != nil || !begun {
		return found, err
	}
	return u.first(ctx, kinds)
}

// kinds are all that the cluster serves in the API groups of the dependency, of which components render only some.
func (u *uses) kinds(dependency dependencies.Dependency) ([]schema.GroupVersionKind, error) {
	var groups []string
	for _, crd := range dependency.CRDs {
		if _, group, _ := strings.Cut(crd.Name, "."); !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	lists, err := u.discovery.ServerPreferredResources()
	var partly *discovery.ErrGroupDiscoveryFailed
	if errors.As(err, &partly) {
		for failed := range partly.Groups {
			if slices.Contains(groups, failed.Group) {
				return nil, fmt.Errorf("asking which kinds of %s are served: %w", dependency.Name, err)
			}
		}
	} else if err != nil {
		return nil, fmt.Errorf("asking which kinds of %s are served: %w", dependency.Name, err)
	}
	var kinds []schema.GroupVersionKind
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil || !slices.Contains(groups, version.Group) {
			continue
		}
		for _, resource := range list.APIResources {
			byproduct := slices.Contains(dependency.Byproducts, resource.Name+"."+version.Group)
			if !byproduct && slices.Contains(resource.Verbs, "list") && slices.Contains(resource.Verbs, "watch") {
				kinds = append(kinds, version.WithKind(resource.Kind))
			}
		}
	}
	return kinds, nil
}

// first is an object of one of the kinds that the dependency's own charts did not make.
func (u *uses) first(ctx context.Context, kinds []schema.GroupVersionKind) (string, error) {
	foreign, err := labels.NewRequirement(dependencies.Label, selection.DoesNotExist, nil)
	if err != nil {
		return "", fmt.Errorf("selecting what others made: %w", err)
	}
	for _, kind := range kinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		err := u.reader.List(ctx, list, client.MatchingLabelsSelector{Selector: labels.NewSelector().Add(*foreign)}, client.Limit(1))
		switch {
		case meta.IsNoMatchError(err) || apierrors.IsNotFound(err): // the kind went
		case err != nil:
			return "", fmt.Errorf("looking for objects of kind %s: %w", kind.Kind, err)
		case len(list.Items) > 0:
			return fmt.Sprintf("%s %s", kind.Kind, client.ObjectKeyFromObject(&list.Items[0])), nil
		}
	}
	return "", nil
}

// watch returns when the kinds are watched, and whether some were not before.
func (u *uses) watch(ctx context.Context, dependency dependencies.Dependency, kinds []schema.GroupVersionKind, wake func()) (begun bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, kind := range kinds {
		if slices.Contains(u.watched[dependency.Name], kind) {
			continue
		}
		begun = true
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(kind)
		informer, err := u.informer(ctx, object)
		if err != nil {
			return begun, fmt.Errorf("watching %s: %w", kind.Kind, err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{DeleteFunc: func(any) { wake() }}); err != nil {
			return begun, fmt.Errorf("watching %s: %w", kind.Kind, err)
		}
		u.watched[dependency.Name] = append(u.watched[dependency.Name], kind)
	}
	return begun, nil
}

// informer is bounded: the kind may have gone since it was listed, and waiting for it for ever would hold up all dependencies.
func (u *uses) informer(ctx context.Context, object client.Object) (cache.Informer, error) {
	syncing, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	informer, err := u.cache.GetInformer(syncing, object)
	if err != nil {
		return nil, errors.Join(err, u.cache.RemoveInformer(ctx, object))
	}
	return informer, nil
}

// forget ends the watches.
func (u *uses) forget(ctx context.Context, dependency dependencies.Dependency) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, kind := range u.watched[dependency.Name] {
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(kind)
		_ = u.cache.RemoveInformer(ctx, object) // the cache has stopped, and so have all watches
	}
	delete(u.watched, dependency.Name)
}
