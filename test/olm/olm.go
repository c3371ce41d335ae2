// Package olm plays the Operator Lifecycle Manager on a local cluster: its package server, with catalogues that are Go data,
// and its controllers, from a Subscription over an InstallPlan to a ClusterServiceVersion and back. Its objects take the
// states, in the order and with the words, that OLM v0.46 gives them. It runs no operator: a bundle contains only its
// CustomResourceDefinitions.
package olm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/cluster/standin"
	"opendatahub.io/operator/test/upstream"
)

// GlobalNamespace is where catalogues are for all namespaces.
const GlobalNamespace = "olm"

// openShiftNamespace is the same on OpenShift.
const openShiftNamespace = "openshift-marketplace"

// global reports whether the catalogues of a namespace are for all namespaces.
func global(namespace string) bool {
	return namespace == GlobalNamespace || namespace == openShiftNamespace
}

// Catalog is a CatalogSource and what it offers.
type Catalog struct {
	Name string
	// Namespace is GlobalNamespace by default.
	Namespace string
	// Unreachable catalogues are not READY, for this reason.
	Unreachable string
	Packages    []Package
}

// Package of a catalogue.
type Package struct {
	Name     string
	Channels []Channel
}

// Channel is the head of a channel: the one bundle that is installed from it.
type Channel struct {
	Name string
	// CSV is the name of the ClusterServiceVersion, Version its version, and Replaces the name of the one before.
	CSV, Version, Replaces string
	// InstallModes that it supports, as in AllNamespaces.
	InstallModes []string
	// CRDs that it contains.
	CRDs []*apiextensionsv1.CustomResourceDefinition
	// Padding is added to what the package server says of it, to be as large as real ones are.
	Padding int
	Fails   Failure
}

// Failure is how a ClusterServiceVersion fails. Without one it succeeds.
type Failure struct {
	// Requirement is a CustomResourceDefinition that it waits for.
	Requirement     string
	Reason, Message string
}

// OLM is the played Operator Lifecycle Manager of a cluster.
type OLM struct {
	// Packages is the package server.
	Packages *PackageServer

	client client.WithWatch
	wake   chan struct{}
	stop   func() error
	// failed is when ClusterServiceVersions failed.
	failed map[types.UID]time.Time

	mu       sync.Mutex
	catalogs []Catalog
}

// Start installs OLM's CustomResourceDefinitions, the real ones where they are at hand, and plays OLM until Stop.
func Start(ctx context.Context, c *cluster.Cluster, root string) (*OLM, error) {
	if err := installCRDs(ctx, c, root); err != nil {
		return nil, err
	}
	config := c.Config()
	config.WarningHandler = rest.NoWarnings{}
	inner, err := client.NewWithWatch(config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	o := &OLM{client: inner, wake: make(chan struct{}, 1), failed: map[types.UID]time.Time{}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: GlobalNamespace}}
	if err := inner.Create(ctx, namespace); client.IgnoreAlreadyExists(err) != nil {
		return nil, fmt.Errorf("creating namespace %s: %w", GlobalNamespace, err)
	}
	o.Packages = &PackageServer{client: inner, Catalogs: o.Catalogs}
	if err := o.Packages.Start(ctx); err != nil {
		return nil, err
	}
	controllers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.run(controllers)
	}()
	o.stop = sync.OnceValue(func() error {
		cancel()
		<-done
		return o.Packages.Stop()
	})
	return o, nil
}

// Stop ends the controllers and the package server.
func (o *OLM) Stop() error { return o.stop() }

// installCRDs installs the CustomResourceDefinitions of OLM v0: the real ones, if the checkout at root has them.
func installCRDs(ctx context.Context, c *cluster.Cluster, root string) error {
	folder, err := upstream.Folder(root)
	if err != nil {
		return err
	}
	if folder != "" {
		return c.InstallCRDs(ctx, filepath.Join(folder, "olm"))
	}
	kind := func(version, kind string) standin.Kind {
		return standin.Kind{Group: "operators.coreos.com", Versions: []string{version}, Kind: kind}
	}
	return c.InstallCRDObjects(ctx, standin.CRDs(kind("v1alpha1", "Subscription"), kind("v1alpha1", "InstallPlan"),
		kind("v1alpha1", "ClusterServiceVersion"), kind("v1alpha1", "CatalogSource"), kind("v1", "OperatorGroup"))...)
}

// Catalogs are the catalogues as they are now.
func (o *OLM) Catalogs() []Catalog {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.catalogs)
}

// SetCatalog adds a catalogue, or gives it other contents.
func (o *OLM) SetCatalog(ctx context.Context, catalog Catalog) error {
	if catalog.Namespace == "" {
		catalog.Namespace = GlobalNamespace
	}
	o.mu.Lock()
	o.catalogs = slices.DeleteFunc(o.catalogs, catalog.same)
	o.catalogs = append(o.catalogs, catalog)
	o.mu.Unlock()

	source := object(catalogKind, catalog.Namespace, catalog.Name)
	source.Object["spec"] = map[string]any{"sourceType": "grpc", "image": "example.com/" + catalog.Name}
	if err := o.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(source), client.FieldOwner("catalogs"), client.ForceOwnership); err != nil {
		return fmt.Errorf("applying CatalogSource %s: %w", catalog.Name, err)
	}
	connection := map[string]any{"lastObservedState": "READY", "address": catalog.Name + "." + catalog.Namespace + ".svc:50051"}
	status := map[string]any{"connectionState": connection}
	if catalog.Unreachable != "" {
		connection["lastObservedState"], status["message"] = "TRANSIENT_FAILURE", catalog.Unreachable
	}
	source.Object["status"] = status
	if err := o.client.Status().Update(ctx, source); err != nil {
		return fmt.Errorf("writing the status of CatalogSource %s: %w", catalog.Name, err)
	}
	o.poke()
	return nil
}

// RemoveCatalogs takes all catalogues away.
func (o *OLM) RemoveCatalogs(ctx context.Context) error {
	o.mu.Lock()
	all := o.catalogs
	o.catalogs = nil
	o.mu.Unlock()
	var errs []error
	for _, catalog := range all {
		errs = append(errs, client.IgnoreNotFound(o.client.Delete(ctx, object(catalogKind, catalog.Namespace, catalog.Name))))
	}
	return errors.Join(errs...)
}

func (c Catalog) same(other Catalog) bool {
	return c.Name == other.Name && c.Namespace == other.Namespace
}

// poke makes the controllers look at everything again.
func (o *OLM) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// head is what a Subscription leads to.
func (o *OLM) head(s subscription) (c Catalog, p Package, head Channel, found bool) {
	for _, c := range o.Catalogs() {
		if c.Name != s.Spec.Source || c.Namespace != s.Spec.SourceNamespace {
			continue
		}
		for _, p := range c.Packages {
			for _, head := range p.Channels {
				if p.Name == s.Spec.Package && head.Name == s.Spec.Channel {
					return c, p, head, true
				}
			}
		}
		return c, Package{}, Channel{}, false
	}
	return Catalog{}, Package{}, Channel{}, false
}

// bundle is the channel head that a ClusterServiceVersion is from.
func (o *OLM) bundle(csv string) (p Package, head Channel, found bool) {
	for _, c := range o.Catalogs() {
		for _, p := range c.Packages {
			for _, head := range p.Channels {
				if head.CSV == csv {
					return p, head, true
				}
			}
		}
	}
	return Package{}, Channel{}, false
}

func object(kind groupVersionKind, namespace, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetGroupVersionKind(kind)
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}
