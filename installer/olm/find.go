package olm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

// Found is an operator that OLM installed, or was asked to.
type Found struct {
	// Ours is whether this installer asked for it, so that Update and Remove may be called. Nothing else may be touched.
	Ours bool
	// Status is where it stands, read through to the cause. Removing says that what is ours is on its way out: it must be
	// gone, see Remove, before it can come again.
	Status v1alpha1.DependencyStatus

	subscription *subscription // ours
	upToDate     bool          // Update has nothing to do
}

// claim is one thing that asks for an operator, or is left of one.
type claim struct {
	Found
	object object
}

// Find looks for an operator over all namespaces, by its packages and never by our own names: Subscriptions,
// ClusterServiceVersions that no Subscription asks for, and ClusterExtensions. It is nil when there is nothing.
func (o *OLM) Find(ctx context.Context, dependency dependencies.Dependency) (*Found, error) {
	apis, err := o.known(ctx)
	if err != nil {
		return nil, err
	}
	var claims []claim
	if apis.V0 {
		if claims, err = o.packageClaims(ctx, dependency); err != nil {
			return nil, fmt.Errorf("looking for %s: %w", dependency.Name, err)
		}
	}
	if apis.V1 {
		extensions, err := list[extension](ctx, o.cached, extensionKind)
		if err != nil {
			return nil, fmt.Errorf("looking for %s: %w", dependency.Name, err)
		}
		for _, e := range extensions {
			if hasPackage(dependency, e.Spec.Source.Catalog.Package) {
				claims = append(claims, extensionClaim(dependency, e))
			}
		}
	}
	return combine(claims), nil
}

// packageClaims are those of OLM v0.
func (o *OLM) packageClaims(ctx context.Context, dependency dependencies.Dependency) ([]claim, error) {
	all, err := o.look(ctx)
	if err != nil {
		return nil, err
	}
	var claims []claim
	for _, s := range all.subscriptions {
		if !hasPackage(dependency, s.Spec.Package) && !isOurs(dependency, s.Metadata.Labels) {
			continue
		}
		v := all.view(dependency, s)
		if v.installed, v.replaced, err = o.installedBy(ctx, all, s); err != nil {
			return nil, err
		}
		if v.replaced != nil { // it is on its way out, and no orphan
			v.orphans = slices.DeleteFunc(v.orphans, func(name string) bool { return name == v.replaced.Metadata.Name })
		}
		claims = append(claims, v.claim())
	}
	for _, orphan := range all.orphans(dependency) {
		whole, err := get[csv](ctx, o.live, csvKind, client.ObjectKeyFromObject(&orphan))
		if err != nil {
			return nil, err
		}
		if whole != nil { // otherwise it went while we looked
			claims = append(claims, orphanClaim(dependency, *whole))
		}
	}
	return claims, nil
}

// installedBy reads the ClusterServiceVersion that a Subscription is about to install, or else the one it installed, and the one that
// this replaces, as long as there is one.
func (o *OLM) installedBy(ctx context.Context, all overview, s subscription) (installed, replaced *csv, err error) {
	for _, name := range []string{s.Status.CurrentCSV, s.Status.InstalledCSV} {
		if name == "" || installed != nil {
			continue
		}
		if installed, err = get[csv](ctx, o.live, csvKind, client.ObjectKey{Namespace: s.Metadata.Namespace, Name: name}); err != nil {
			return nil, nil, err
		}
	}
	if installed == nil {
		return nil, nil, nil
	}
	for _, object := range all.csvs {
		if object.Namespace == s.Metadata.Namespace && object.Name == installed.Spec.Replaces {
			replaced, err = get[csv](ctx, o.live, csvKind, client.ObjectKeyFromObject(&object))
		}
	}
	failing := installed.lasting()
	return &failing, replaced, err
}

// overview is what OLM has, over all namespaces.
type overview struct {
	subscriptions []subscription
	csvs          []metav1.PartialObjectMetadata
	groups        []operatorGroup
	catalogs      []catalogSource
}

func (o *OLM) look(ctx context.Context) (overview, error) {
	var all overview
	var err error
	if all.subscriptions, err = list[subscription](ctx, o.cached, subscriptionKind); err != nil {
		return all, err
	}
	if all.csvs, err = listCSVs(ctx, o.cached); err != nil {
		return all, err
	}
	if all.groups, err = list[operatorGroup](ctx, o.cached, groupKind); err != nil {
		return all, err
	}
	all.catalogs, err = list[catalogSource](ctx, o.cached, catalogKind)
	return all, err
}

// view is a Subscription with all that matters to it.
func (all overview) view(dependency dependencies.Dependency, s subscription) view {
	v := view{dependency: dependency, subscription: s, groups: groupsIn(all.groups, s.Metadata.Namespace), catalogs: all.catalogs}
	for _, other := range all.subscriptions {
		if other.Metadata.Namespace == s.Metadata.Namespace && other.Metadata.Name != s.Metadata.Name {
			v.siblings = append(v.siblings, other)
		}
	}
	for _, object := range all.csvs {
		if object.Namespace != s.Metadata.Namespace || all.asksFor(&object) {
			continue
		}
		if name, ok := packageOf(dependency, &object); ok && name == s.Spec.Package {
			v.orphans = append(v.orphans, object.Name)
		}
	}
	return v
}

// orphans are ClusterServiceVersions of the operator in namespaces where no Subscription asks for their package, and what is
// left of ours.
func (all overview) orphans(dependency dependencies.Dependency) []metav1.PartialObjectMetadata {
	var found []metav1.PartialObjectMetadata
	for _, object := range all.csvs {
		name, ok := packageOf(dependency, &object)
		wanted := slices.ContainsFunc(all.subscriptions, func(s subscription) bool {
			return s.Metadata.Namespace == object.Namespace && s.Spec.Package == name
		})
		if isOurs(dependency, object.Labels) || ok && !wanted {
			if !all.asksFor(&object) {
				found = append(found, object)
			}
		}
	}
	return found
}

// asksFor is whether a Subscription asks for a ClusterServiceVersion.
func (all overview) asksFor(object metav1.Object) bool {
	return slices.ContainsFunc(all.subscriptions, func(s subscription) bool { return refersTo(s, object) })
}

func refersTo(s subscription, object metav1.Object) bool {
	return s.Metadata.Namespace == object.GetNamespace() && (s.Status.InstalledCSV == object.GetName() || s.Status.CurrentCSV == object.GetName())
}

// combine makes one answer of several claims. OLM keeps two installs of a package from watching the same namespaces, so
// when one works, the others do it no harm.
func combine(claims []claim) *Found {
	switch len(claims) {
	case 0:
		return nil
	case 1:
		return &claims[0].Found
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return cmp.Compare(rank(a), rank(b)) })
	found := claims[0].Found
	for _, c := range claims[1:] {
		if c.Ours && !found.Ours {
			found.Ours, found.subscription, found.upToDate = true, c.subscription, c.upToDate
		}
	}
	objects := make([]string, 0, len(claims))
	removes := make([]string, 0, len(claims))
	for _, c := range claims {
		objects = append(objects, c.object.String())
		removes = append(removes, c.object.kubectl("delete"))
	}
	if found.Status.State == v1alpha1.DependencyReady {
		found.Status.Message = sentences(found.Status.Message, fmt.Sprintf(
			"it is installed more than once: %s; this is what %s says", strings.Join(objects, ", "), objects[0]))
		return &found
	}
	slices.Sort(objects)
	slices.Sort(removes)
	found.Status.State, found.Status.Reason = v1alpha1.DependencyBlocked, v1alpha1.ReasonSubscriptionConflict
	found.Status.Message = fmt.Sprintf("%s is asked for more than once, and none of them works: %s; keep one, and delete the others: %s",
		found.Status.Name, strings.Join(objects, ", "), strings.Join(removes, " or "))
	return &found
}

// rank puts what works first, and of those what is ours.
func rank(c claim) int {
	value := 0
	if c.Status.State != v1alpha1.DependencyReady {
		value += 2
	}
	if !c.Ours {
		value++
	}
	return value
}

// statusOf is where an operator stands, without saying where that is.
func statusOf(dependency dependencies.Dependency, ours bool) v1alpha1.DependencyStatus {
	status := v1alpha1.DependencyStatus{Name: dependency.Name, Source: v1alpha1.DependencySourceExisting}
	if ours {
		status.Source = v1alpha1.DependencySourceOLM
	}
	return status
}

func ready(status v1alpha1.DependencyStatus, version string, remarks ...string) v1alpha1.DependencyStatus {
	status.State, status.Reason, status.Version = v1alpha1.DependencyReady, v1alpha1.ReasonAvailable, version
	status.Message = sentences(remarks...)
	return status
}

func onItsWay(status v1alpha1.DependencyStatus, format string, args ...any) v1alpha1.DependencyStatus {
	status.State, status.Reason, status.Message = v1alpha1.DependencyInstalling, v1alpha1.ReasonProgressing, fmt.Sprintf(format, args...)
	return status
}

func removing(status v1alpha1.DependencyStatus, format string, args ...any) v1alpha1.DependencyStatus {
	status.State, status.Reason, status.Message = v1alpha1.DependencyRemoving, v1alpha1.ReasonRemoving, fmt.Sprintf(format, args...)
	return status
}

func troubled(status v1alpha1.DependencyStatus, problem *components.Failure) v1alpha1.DependencyStatus {
	status.State, status.Reason, status.Message = dependencies.StateOf(problem), problem.Reason, problem.Error()
	return status
}

// mismatch says of a version that components do not work with it.
func mismatch(dependency dependencies.Dependency, version string) string {
	return fmt.Sprintf("it has version %s of %s, and components work with %s only", version, dependency.Name, dependency.Versions)
}

// sentences joins what there is to say.
func sentences(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(text string) bool { return text == "" }), "; ")
}
