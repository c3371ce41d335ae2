package installer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
)

// olmManaged is OLM's label on the CustomResourceDefinitions that it installed.
const olmManaged = "olm.managed"

// concernedByCRD wakes the dependencies that serve a CustomResourceDefinition, and all when OLM comes or goes.
func (r *reconciler) concernedByCRD(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetName()
	if olmCRD(name) {
		return r.everyDependency()
	}
	var concerned []reconcile.Request
	for _, dependency := range r.table {
		if slices.ContainsFunc(dependency.CRDs, func(crd dependencies.CRD) bool { return crd.Name == name }) {
			concerned = append(concerned, requestFor(dependency))
		}
	}
	return concerned
}

// crds is what the cluster has of a dependency's CustomResourceDefinitions.
type crds struct {
	presence presence
	// workload is the Deployment of an operator that somebody else installed, nil when none is found.
	workload *metav1.PartialObjectMetadata
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
	// overdue is the age from which definitions that are not served are taken for those of another version. The manager waits as long.
	overdue = 10 * time.Second
	// outdatedInterval is how often they are looked at then.
	outdatedInterval = time.Minute
)

// coming is whether what is lacking may be served in a moment.
func (c crds) coming() bool { return c.again == establishing }

// crdsOf looks at the CustomResourceDefinitions that a dependency should serve. The first one stands for the dependency:
// others of it may have come with something else.
func (r *reconciler) crdsOf(ctx context.Context, dependency dependencies.Dependency, hasOLM bool) (crds, error) {
	var found crds
	discovered := cluster.NewServed(r.discovery)
	fresh, late := false, false
	for i, crd := range dependency.CRDs {
		object := cluster.NewCRD()
		err := r.cache.Get(ctx, types.NamespacedName{Name: crd.Name}, object)
		if client.IgnoreNotFound(err) != nil {
			return crds{}, fmt.Errorf("reading CustomResourceDefinition %s: %w", crd.Name, err)
		}
		exists := err == nil && object.DeletionTimestamp == nil
		gone := err != nil
		if i == 0 && exists && !leftover(object, hasOLM) {
			found.presence = served
			if found.workload, err = r.workloadOf(ctx, dependency); err != nil {
				return crds{}, err
			}
			if found.workload == nil && dependency.Way != dependencies.WayNone && len(dependency.Workloads) > 0 {
				found.presence = abandoned
			}
		}
		ok := false
		if gone {
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

// fresh is whether a kind of the group may be served in a moment, because a CustomResourceDefinition of it is new.
func (r *reconciler) fresh(ctx context.Context, group string) (bool, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinitionList"))
	if err := r.cache.List(ctx, list); err != nil {
		return false, fmt.Errorf("listing CustomResourceDefinitions: %w", err)
	}
	return slices.ContainsFunc(list.Items, func(crd metav1.PartialObjectMetadata) bool {
		return strings.HasSuffix(crd.Name, "."+group) && r.now().Sub(crd.CreationTimestamp.Time) < overdue
	}), nil
}

// leftover is whether a CustomResourceDefinition says nothing of a dependency: the installer applied it, or OLM did and
// would know the dependency if there was one. Neither deletes it together with the dependency.
func leftover(crd *metav1.PartialObjectMetadata, hasOLM bool) bool {
	return crd.Labels[dependencies.Label] != "" || hasOLM && crd.Labels[olmManaged] == "true"
}

// newDeployment returns an object that metadata of any Deployment is read into.
func newDeployment() *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	return object
}

// concernedByDeployment wakes the dependencies whose operator a Deployment may be.
func (r *reconciler) concernedByDeployment(_ context.Context, object client.Object) []reconcile.Request {
	var concerned []reconcile.Request
	for _, dependency := range r.configured() {
		if runs(dependency, object) {
			concerned = append(concerned, requestFor(dependency))
		}
	}
	return concerned
}

// workloadOf finds the Deployment of an operator that somebody else installed: CustomResourceDefinitions alone do not say that it
// is still there.
func (r *reconciler) workloadOf(ctx context.Context, dependency dependencies.Dependency) (*metav1.PartialObjectMetadata, error) {
	if len(dependency.Workloads) == 0 {
		return nil, nil
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("DeploymentList"))
	if err := r.cache.List(ctx, list); err != nil {
		return nil, fmt.Errorf("looking for %s: %w", dependency.Name, err)
	}
	for i := range list.Items {
		if runs(dependency, &list.Items[i]) {
			return &list.Items[i], nil
		}
	}
	return nil, nil
}

// runs is whether a Deployment is the operator, by its name or a label. One that the operator made of a custom resource is not.
func runs(dependency dependencies.Dependency, deployment metav1.Object) bool {
	owner := metav1.GetControllerOf(deployment)
	for _, crd := range dependency.CRDs {
		if _, group, _ := strings.Cut(crd.Name, "."); owner != nil && strings.HasPrefix(owner.APIVersion, group+"/") {
			return false
		}
	}
	return slices.ContainsFunc(dependency.Workloads, func(name string) bool {
		if strings.Contains(deployment.GetName(), name) {
			return true
		}
		for _, value := range deployment.GetLabels() {
			if strings.Contains(value, name) {
				return true
			}
		}
		return false
	})
}

// versionOf is what a Deployment that somebody else installed says of its version: its Helm release, or the usual label. It may
// say nothing.
func (r *reconciler) versionOf(ctx context.Context, deployment *metav1.PartialObjectMetadata) (string, error) {
	if deployment == nil {
		return "", nil
	}
	if name := deployment.Annotations[helm.ReleaseAnnotation]; name != "" {
		var list corev1.SecretList
		err := r.reader.List(ctx, &list, client.InNamespace(deployment.Annotations[helm.ReleaseNamespaceAnnotation]),
			client.MatchingLabels{"owner": "helm", "name": name, "status": "deployed"})
		if err != nil {
			return "", fmt.Errorf("reading Helm release %s: %w", name, err)
		}
		for i := range list.Items {
			if release, err := helm.ReadRelease(&list.Items[i]); err == nil {
				return cmp.Or(release.AppVersion, release.Version), nil
			}
		}
	}
	return deployment.Labels["app.kubernetes.io/version"], nil
}
