package watch

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components/kinds"
)

// APIs knows which of the kinds that components render the cluster serves, and in which version.
type APIs struct {
	discovery discovery.DiscoveryInterface
	kinds     []kinds.Kind

	mu     sync.RWMutex
	served map[schema.GroupKind]string
	// unknown is why a group could not be asked what it serves.
	unknown map[string]error
}

// NewAPIs looks for the third-party kinds among the given ones; native kinds are always served.
func NewAPIs(discovery discovery.DiscoveryInterface, all []kinds.Kind) *APIs {
	apis := &APIs{discovery: discovery, served: map[schema.GroupKind]string{}, unknown: map[string]error{}}
	for _, kind := range all {
		if kind.ThirdParty() {
			apis.kinds = append(apis.kinds, kind)
		}
	}
	return apis
}

// Discover asks the API server for every version of every third-party group: a handful of requests, made once at the start and
// then for one group at a time when its CustomResourceDefinitions change. A group whose own API server does not answer, as that of
// OpenShift's Routes during an upgrade, is unknown until it is asked again.
func (a *APIs) Discover(ctx context.Context) {
	for _, group := range a.Groups() {
		if _, err := a.Refresh(ctx, group); err != nil {
			ctrl.LoggerFrom(ctx).Info("Cannot tell yet which kinds are served", "group", group, "error", err.Error())
		}
	}
}

// Refresh asks again what a group serves. It returns the kinds whose state changed. If the group cannot be asked, what is known of
// it stays.
func (a *APIs) Refresh(_ context.Context, group string) ([]kinds.Kind, error) {
	served := cluster.NewServed(a.discovery)
	found := map[schema.GroupKind]string{}
	for _, kind := range a.kinds {
		if kind.Group != group {
			continue
		}
		version, err := served.Version(schema.GroupResource{Group: group, Resource: kind.Plural}, kind.Versions...)
		if err != nil {
			return nil, a.failed(group, err)
		}
		if version != "" {
			found[kind.GroupKind] = version
		}
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.unknown, group)
	var changed []kinds.Kind
	for _, kind := range a.kinds {
		if kind.Group != group || a.served[kind.GroupKind] == found[kind.GroupKind] {
			continue
		}
		changed = append(changed, kind)
		if version, ok := found[kind.GroupKind]; ok {
			a.served[kind.GroupKind] = version
		} else {
			delete(a.served, kind.GroupKind)
		}
	}
	return changed, nil
}

// Served is the served version of each third-party kind that is served.
func (a *APIs) Served() map[schema.GroupKind]string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	served := make(map[schema.GroupKind]string, len(a.served))
	for kind, version := range a.served {
		served[kind] = version
	}
	return served
}

// Version is the version in which a kind is served.
func (a *APIs) Version(kind kinds.Kind) (version string, served bool) {
	if !kind.ThirdParty() {
		return kind.Versions[0], true
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	version, served = a.served[kind.GroupKind]
	return version, served
}

func (a *APIs) failed(group string, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unknown[group] = err
	return err
}

// Unknown is why it is not known which of the kinds are served, or nil.
func (a *APIs) Unknown(all []kinds.Kind) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, kind := range all {
		if err := a.unknown[kind.Group]; err != nil {
			return err
		}
	}
	return nil
}

// Groups are the API groups that the third-party kinds are of.
func (a *APIs) Groups() []string {
	var groups []string
	for _, kind := range a.kinds {
		if !slices.Contains(groups, kind.Group) {
			groups = append(groups, kind.Group)
		}
	}
	return groups
}

// OfGroup are the third-party kinds of a group.
func (a *APIs) OfGroup(group string) []kinds.Kind {
	var found []kinds.Kind
	for _, kind := range a.kinds {
		if kind.Group == group && !slices.ContainsFunc(found, func(k kinds.Kind) bool { return k.GroupKind == kind.GroupKind }) {
			found = append(found, kind)
		}
	}
	return found
}

// GroupOfCRD is the group of the CustomResourceDefinition of that name, if a component renders its kind.
func (a *APIs) GroupOfCRD(name string) (group string, concerns bool) {
	for _, kind := range a.kinds {
		if kind.CRD() == name {
			return kind.Group, true
		}
	}
	return "", false
}
