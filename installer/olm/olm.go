// Package olm asks the Operator Lifecycle Manager of a cluster for third-party operators, and reads where they stand: what
// is installed by whom, what the catalogues offer, and what a person must do. It changes only what carries its label.
package olm

import (
	"context"
	"sync"

	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/cluster"
)

// APIs are the Operator Lifecycle Managers that a cluster serves.
type APIs struct {
	// V0 is the one with Subscriptions, of the group operators.coreos.com. Packages are installed through it.
	V0 bool
	// V1 is the one with ClusterExtensions, of the group olm.operatorframework.io. What it installed is adopted.
	V1 bool
}

// OLM is the Operator Lifecycle Manager of one cluster.
type OLM struct {
	cached    Lister
	live      client.Reader
	writer    client.Writer
	discovery discovery.DiscoveryInterface

	mu   sync.Mutex
	apis *APIs // as last asked; nil before
}

// Lister lists objects.
type Lister interface {
	List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error
}

// New returns the OLM of a cluster. cached lists the kinds that [Watched] names, and only those, once they are served; it may be
// a live client too. live reads the API server itself: the one ClusterServiceVersion that matters, and everything again
// before something is written. The client of the discovery also reads PackageManifests, which no cache should hold.
func New(cached Lister, live client.Reader, writer client.Writer, discovery discovery.DiscoveryInterface) *OLM {
	return &OLM{cached: cached, live: live, writer: writer, discovery: discovery}
}

// Served asks which of the two OLMs the cluster serves. The other methods go by the last answer, so it must be asked again when
// their CustomResourceDefinitions come or go.
func (o *OLM) Served(_ context.Context) (APIs, error) {
	served := cluster.NewServed(o.discovery)
	packages, err := served.All(subscriptionKind.GroupVersion(), "subscriptions", "clusterserviceversions", "catalogsources")
	if err != nil {
		return APIs{}, err
	}
	groups, err := served.All(groupKind.GroupVersion(), "operatorgroups")
	if err != nil {
		return APIs{}, err
	}
	extensions, err := served.All(extensionKind.GroupVersion(), "clusterextensions")
	if err != nil {
		return APIs{}, err
	}
	apis := APIs{V0: packages && groups, V1: extensions}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.apis = &apis
	return apis, nil
}

// known is the last answer of Served.
func (o *OLM) known(ctx context.Context) (APIs, error) {
	o.mu.Lock()
	apis := o.apis
	o.mu.Unlock()
	if apis != nil {
		return *apis, nil
	}
	return o.Served(ctx)
}
