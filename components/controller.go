package components

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"opendatahub.io/operator/components/kinds"
)

// WithController is a component with a controller of its own, for what cannot be said as objects that follow from the spec, such as
// a cluster for each notebook that runs. It runs while this manager leads. It is all of a component that reads or writes a cluster.
type WithController interface {
	// ControllerKinds lists what the controller reads and writes. The rights of the manager, its cache and its mapper follow from it.
	ControllerKinds() []ControllerKind
	// SetupWithManager adds the controller to the manager, which starts and stops it. platform finds the platform of a namespace.
	SetupWithManager(mgr manager.Manager, platform PlatformIn) error
}

// PlatformIn returns the facts of the platform in a namespace that follow from its spec alone, and whether there is one that is not
// being deleted. It reads the manager's cache.
type PlatformIn func(ctx context.Context, namespace string) (facts Facts, found bool, err error)

// ControllerKind is a kind that a component's own controller reads or writes.
type ControllerKind struct {
	kinds.Kind
	// Verbs that the controller needs where platforms live: the rights to list and to watch are for all namespaces, unless the kind
	// is Secret.
	Verbs []string
	// Labels select what the manager's cache holds of the kind, so that its memory does not grow with the cluster. Nil: the
	// controller reads none through the cache. No two controllers read one kind by different labels.
	Labels map[string]string
}

// ControllerKindsOf lists what a component's own controller, if it has one, reads and writes.
func ControllerKindsOf(component Component) []ControllerKind {
	if own, ok := component.(WithController); ok {
		return own.ControllerKinds()
	}
	return nil
}
