package olm

import (
	"cmp"
	"fmt"
	"slices"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

// Conditions of Subscriptions: what is True is bad.
const (
	catalogsUnhealthy  = "CatalogSourcesUnhealthy"
	planPending        = "InstallPlanPending"
	installPlanFailed  = "InstallPlanFailed"
	resolutionFailed   = "ResolutionFailed"
	bundleUnpacking    = "BundleUnpacking"
	bundleUnpackFailed = "BundleUnpackFailed"
	deprecated         = "Deprecated"
)

const (
	// requiresApproval is the phase of an InstallPlan that a person must approve. OLM repeats phases of InstallPlans as the
	// reason of the Subscription's condition, so that InstallPlans, which hold whole manifests, need not be read.
	requiresApproval = "RequiresApproval"
	// notSatisfiable is the reason of ResolutionFailed that no retry changes.
	notSatisfiable = "ConstraintsNotSatisfiable"
)

// view is a Subscription and what else says where its operator stands.
type view struct {
	dependency   dependencies.Dependency
	subscription subscription
	// installed is the ClusterServiceVersion that the Subscription names, nil if it does not exist, and replaced the one
	// before it, as long as that is needed.
	installed, replaced *csv
	// In the Subscription's namespace:
	groups   []operatorGroup
	siblings []subscription
	orphans  []string // ClusterServiceVersions of the package that no Subscription names
	// catalogs of the whole cluster.
	catalogs []catalogSource
}

func (v view) claim() claim {
	s := v.subscription
	c := claim{object: s.object()}
	c.Ours = isOurs(v.dependency, s.Metadata.Labels)
	if c.Ours {
		c.subscription, c.upToDate = &s, v.upToDate()
	}
	c.Status = v.status(statusOf(v.dependency, c.Ours))
	return c
}

func (v view) status(status v1alpha1.DependencyStatus) v1alpha1.DependencyStatus {
	if v.subscription.Metadata.DeletionTimestamp != nil {
		return removing(status, "%s is being deleted", v.subscription.object())
	}
	problems := v.problems()
	remarks := make([]string, 0, len(problems)+3)
	for _, problem := range problems {
		remarks = append(remarks, problem.Error())
	}
	remarks = append(remarks, deprecation(v.subscription.Status.Conditions))
	switch {
	case v.installed != nil && v.installed.works():
		return v.working(status, *v.installed, remarks...)
	case v.installed != nil && v.replaced != nil && v.replaced.works():
		upgrade := csvStatusOf(status, *v.installed, v.groups)
		return v.working(status, *v.replaced, append(remarks, "it is to be upgraded: "+upgrade.Message)...)
	case v.installed != nil:
		status.Version = v.installed.Spec.Version
		return csvStatusOf(status, *v.installed, v.groups)
	}
	if problem := groupProblem(v.subscription.Metadata.Namespace, v.groups); problem != nil {
		return troubled(status, problem)
	}
	if len(problems) > 0 {
		return troubled(status, problems[0])
	}
	return v.starting(status)
}

// working is the status of a ClusterServiceVersion that succeeded.
func (v view) working(status v1alpha1.DependencyStatus, works csv, remarks ...string) v1alpha1.DependencyStatus {
	if !v.dependency.Supports(works.Spec.Version) {
		status.Version = works.Spec.Version
		return troubled(status, unsupported.of(v.subscription.object(), "%s: %s", v.subscription.object(), mismatch(v.dependency, works.Spec.Version)))
	}
	return ready(status, works.Spec.Version, append(remarks, scope(v.dependency, works))...)
}

// starting is the status while nothing is wrong and nothing is installed yet.
func (v view) starting(status v1alpha1.DependencyStatus) v1alpha1.DependencyStatus {
	s, o := v.subscription, v.subscription.object()
	if s.Status.InstalledCSV != "" && s.Status.InstalledCSV == s.Status.CurrentCSV && v.condition(planPending) == nil {
		// OLM considers the InstallPlan done, and waits for ever. Deleting the plan changes nothing.
		return troubled(status, deleted.of(o, "%s was deleted, and OLM does not bring it back by itself",
			object{csvKind, s.Metadata.Namespace, s.Status.InstalledCSV}))
	}
	if unpacking := v.condition(bundleUnpacking); unpacking != nil {
		return onItsWay(status, "%s", sentences("OLM is unpacking the bundle of "+o.String(), quote(unpacking.Message)))
	}
	if s.Status.CurrentCSV != "" {
		return onItsWay(status, "OLM is installing %s for %s", s.Status.CurrentCSV, o)
	}
	return onItsWay(status, "OLM is choosing what to install for %s", o)
}

// problems that the Subscription reports, the worst first. They are remarks when something works in spite of them.
func (v view) problems() []*components.Failure {
	o := v.subscription.object()
	plan := object{planKind, o.namespace, v.subscription.Status.InstallPlanRef.Name}
	var problems []*components.Failure
	if c := v.condition(installPlanFailed); c != nil {
		problems = append(problems, planFailed.of(plan, "%s of %s failed: %s", plan, o, reasoned(*c)))
	}
	if c := v.condition(planPending); c != nil && c.Reason == requiresApproval {
		problems = append(problems, needsApproval.of(plan, "%s, which installs %s, waits for approval%s", plan, v.subscription.Status.CurrentCSV, v.whyManual()))
	}
	if c := v.condition(bundleUnpackFailed); c != nil {
		problems = append(problems, notUnpacked.of(o, "OLM cannot unpack the bundle of %s: %s", o, reasoned(*c)))
	}
	if v.catalogUnhealthy() {
		problems = append(problems, v.catalogProblem())
	}
	// While one replaces another, OLM cannot resolve the namespace, and says so of a different object each time.
	if c := v.condition(resolutionFailed); c != nil && v.replaced == nil {
		problems = append(problems, v.resolutionProblem(*c))
	}
	return problems
}

func (v view) resolutionProblem(failed condition) *components.Failure {
	o, why := v.subscription.object(), reasoned(failed)
	switch {
	case len(v.orphans) > 0:
		left := object{csvKind, o.namespace, v.orphans[0]}
		return orphan.of(left, "%s belongs to no Subscription, and so %s cannot be resolved: %s", left, o, why)
	case failed.Reason == notSatisfiable:
		return unsatisfiable.of(o, "OLM cannot resolve %s: %s", o, why)
	}
	return unresolved.of(o, "OLM cannot resolve %s: %s", o, why)
}

// catalogUnhealthy is whether OLM cannot reach the catalogue of this Subscription. The condition alone says so of any catalogue.
func (v view) catalogUnhealthy() bool {
	if v.condition(catalogsUnhealthy) == nil {
		return false
	}
	for _, catalog := range v.subscription.Status.CatalogHealth {
		if catalog.Catalog.Name == v.subscription.Spec.Catalog && catalog.Catalog.Namespace == v.subscription.Spec.CatalogNamespace {
			return !catalog.Healthy
		}
	}
	return true // OLM does not know it
}

func (v view) catalogProblem() *components.Failure {
	o, wanted := v.subscription.object(), v.subscription.Spec.catalog()
	if source := sourceOf(v.catalogs, wanted); source != nil {
		return source.unavailable(o.String())
	}
	return noCatalog.of(o, "CatalogSource %s, which %s is to come from, does not exist", nameOf(wanted), o)
}

// whyManual explains an approval that this Subscription does not ask for.
func (v view) whyManual() string {
	if v.subscription.Spec.Approval == dependencies.ApprovalManual {
		return ""
	}
	for _, sibling := range v.siblings {
		if sibling.Spec.Approval == dependencies.ApprovalManual {
			return fmt.Sprintf(", because %s asks for it, on behalf of all in that namespace", sibling.object())
		}
	}
	return ""
}

// condition is one that is True, or nil.
func (v view) condition(kind string) *condition {
	if c := find(v.subscription.Status.Conditions, kind); c.Status == "True" {
		return &c
	}
	return nil
}

func (s subscription) object() object {
	return object{subscriptionKind, s.Metadata.Namespace, s.Metadata.Name}
}

// upToDate is whether our Subscription is as the table wants it, as far as can be seen without asking the catalogues.
func (v view) upToDate() bool {
	s := v.subscription
	i := slices.IndexFunc(v.dependency.Packages, func(p dependencies.Package) bool { return p.Name == s.Spec.Package })
	if i < 0 {
		return true // the table has moved on to another package, and what is there stays as it is
	}
	wanted := v.dependency.Packages[i]
	if s.Spec.Channel != wanted.Channel || s.Spec.Approval != approval(wanted) {
		return false
	}
	if len(v.groups) == 1 && isOurs(v.dependency, v.groups[0].Metadata.Labels) && !v.groups[0].fits(wanted.InstallMode) || len(v.groups) == 0 {
		return false
	}
	if slices.Contains(wanted.Catalogs, s.Spec.catalog()) {
		return true
	}
	// A catalogue that the table prefers may have come, or this one gone.
	preferred := slices.ContainsFunc(v.catalogs, func(c catalogSource) bool { return slices.Contains(wanted.Catalogs, c.key()) })
	return !preferred && sourceOf(v.catalogs, s.Spec.catalog()) != nil
}

func approval(p dependencies.Package) dependencies.Approval {
	return cmp.Or(p.Approval, dependencies.ApprovalAutomatic)
}
