package cluster

import (
	"cmp"
	"slices"
	"strings"

	"opendatahub.io/operator/api/v1alpha1"
)

// FinalizerPrefix begins the finalizers by which components delay the deletion of an OpenDataHub until their objects
// are gone: opendatahub.io/kafka.
const FinalizerPrefix = "opendatahub.io/"

// PlatformOf returns the OpenDataHub of a namespace that is deployed, given all of the namespace: the one that has our finalizers,
// otherwise the oldest. Creation times have seconds only, so the name decides between resources of the same second. It is
// nil when there are none.
func PlatformOf(namespace []*v1alpha1.OpenDataHub) *v1alpha1.OpenDataHub {
	if len(namespace) == 0 {
		return nil
	}
	return slices.MinFunc(namespace, func(a, b *v1alpha1.OpenDataHub) int {
		if deployed(a) != deployed(b) {
			if deployed(a) {
				return -1
			}
			return 1
		}
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
}

// deployed is whether a component has put its finalizer on the resource.
func deployed(odh *v1alpha1.OpenDataHub) bool {
	return slices.ContainsFunc(odh.Finalizers, func(finalizer string) bool {
		return strings.HasPrefix(finalizer, FinalizerPrefix)
	})
}
