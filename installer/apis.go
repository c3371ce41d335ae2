package installer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/dependencies"
)

// olmManaged is OLM's label on the CustomResourceDefinitions that it brought.
const olmManaged = "olm.managed"

// concernedByCRD wakes the operators that serve a CustomResourceDefinition, and all when OLM comes or goes.
func (r *reconciler) concernedByCRD(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetName()
	if olmCRD(name) {
		return r.everyOperator()
	}
	var concerned []reconcile.Request
	for _, operator := range r.table {
		if slices.ContainsFunc(operator.CRDs, func(crd dependencies.CRD) bool { return crd.Name == name }) {
			concerned = append(concerned, requestFor(operator))
		}
	}
	return concerned
}

// crds is what the cluster has of an operator's CustomResourceDefinitions.
type crds struct {
	presence presence
	// lacking names what is not served, with the versions that would do.
	lacking []string
	// absent names what does not even exist.
	absent []string
	// again is when to look again, because no watch tells when what exists is served. Zero is never.
	again time.Duration
}

const (
	// establishing is how often to look while definitions are new: the API server takes a moment to serve one, and others follow.
	establishing = time.Second
	// overdue is how old they are when they are taken for those of another version. The manager's look-out waits as long.
	overdue = 10 * time.Second
	// outdatedInterval is how often they are looked at then.
	outdatedInterval = time.Minute
)

// coming is whether what is lacking may be served in a moment.
func (c crds) coming() bool { return c.again == establishing }

// crdsOf looks at the CustomResourceDefinitions that an operator should serve. The first one stands for the operator:
// others of it may have come with something else.
func (r *reconciler) crdsOf(ctx context.Context, operator dependencies.Operator, hasOLM bool) (crds, error) {
	var found crds
	discovered := cluster.NewServed(r.discovery)
	fresh, late := false, false
	for i, crd := range operator.CRDs {
		object := cluster.NewCRD()
		err := r.cache.Get(ctx, types.NamespacedName{Name: crd.Name}, object)
		if client.IgnoreNotFound(err) != nil {
			return crds{}, fmt.Errorf("reading CustomResourceDefinition %s: %w", crd.Name, err)
		}
		exists := err == nil && object.DeletionTimestamp == nil
		if i == 0 && exists && !leftover(object, hasOLM) {
			found.presence = served
		}
		ok := false
		if err != nil {
			found.absent = append(found.absent, crd.Name)
		}
		if exists {
			version, err := discovered.Version(schema.ParseGroupResource(crd.Name), crd.Versions...)
			if err != nil {
				return crds{}, err
			}
			ok = version != ""
		}
		fresh = fresh || exists && r.now().Sub(object.CreationTimestamp.Time) < overdue
		late = late || exists && !ok
		if !ok {
			found.lacking = append(found.lacking, fmt.Sprintf("%s (%s)", crd.Name, strings.Join(crd.Versions, " or ")))
		}
	}
	if found.presence == served && len(found.lacking) > 0 {
		found.presence = outdated
	}
	switch {
	case fresh && len(found.lacking) > 0:
		found.again = establishing
	case late:
		found.again = outdatedInterval
	}
	return found, nil
}

// leftover is whether a CustomResourceDefinition says nothing of an operator: the installer applied it, or OLM did and
// would know the operator if there was one. Neither deletes it together with the operator.
func leftover(crd *metav1.PartialObjectMetadata, hasOLM bool) bool {
	return crd.Labels[dependencies.Label] != "" || hasOLM && crd.Labels[olmManaged] == "true"
}
