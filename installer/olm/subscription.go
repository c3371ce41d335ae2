package olm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/dependencies"
)

// Conditions of Subscriptions: what is True is bad.
const (
	catalogsUnhealthy  = "CatalogSourcesUnhealthy"
	planPending        = "InstallPlanPending"
	planFailed         = "InstallPlanFailed"
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

// maxQuote bounds what is quoted of OLM, in runes: some of its messages list every bundle of a catalogue.
const maxQuote = 600

// view is a Subscription and what else says where its operator stands.
type view struct {
	operator     dependencies.Operator
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
	c := claim{object: v.object(), remove: v.remove()}
	c.Ours = isOurs(v.operator, s.Metadata.Labels)
	if c.Ours {
		c.subscription, c.settled = &s, v.settled()
	}
	if v.installed != nil {
		c.Namespaces = watches(*v.installed)
	}
	c.Status = v.status(statusOf(v.operator, c.Ours))
	return c
}

func (v view) status(status v1alpha1.DependencyStatus) v1alpha1.DependencyStatus {
	if v.subscription.Metadata.DeletionTimestamp != nil {
		return removing(status, "%s is being deleted", v.object())
	}
	remarks := make([]string, 0, 4)
	for _, problem := range v.problems() {
		remarks = append(remarks, problem.Error())
	}
	if notice := v.condition(deprecated); notice != nil {
		remarks = append(remarks, "deprecated: "+quote(notice.Message))
	}
	switch {
	case v.installed != nil && v.installed.works():
		remarks = append(remarks, scope(v.operator, *v.installed))
		return v.working(status, *v.installed, remarks...)
	case v.installed != nil && v.replaced != nil && v.replaced.works():
		upgrade := csvStatusOf(status, *v.installed, v.groups)
		remarks = append(remarks, "it is to be upgraded: "+upgrade.Message, scope(v.operator, *v.replaced))
		return v.working(status, *v.replaced, remarks...)
	case v.installed != nil:
		status.Version = v.installed.Spec.Version
		return csvStatusOf(status, *v.installed, v.groups)
	}
	if problem := groupProblem(v.subscription.Metadata.Namespace, v.groups); problem != nil {
		return troubled(status, problem)
	}
	if problems := v.problems(); len(problems) > 0 {
		return troubled(status, problems[0])
	}
	return v.starting(status)
}

// working is the status of a ClusterServiceVersion that succeeded.
func (v view) working(status v1alpha1.DependencyStatus, works csv, remarks ...string) v1alpha1.DependencyStatus {
	if !v.operator.Supports(works.Spec.Version) {
		status.Version = works.Spec.Version
		return troubled(status, unsupported(v.operator, works.Spec.Version, v.object(),
			"choose a channel that leads to one ("+v.edit()+"), or, where OLM knows no upgrade to it, delete the Subscription and then its "+
				"ClusterServiceVersion, and the installer brings one that will do ("+v.remove()+")"))
	}
	return ready(status, works.Spec.Version, remarks...)
}

// starting is when nothing is wrong, and nothing is installed.
func (v view) starting(status v1alpha1.DependencyStatus) v1alpha1.DependencyStatus {
	s := v.subscription
	if s.Status.InstalledCSV != "" && s.Status.InstalledCSV == s.Status.CurrentCSV && v.condition(planPending) == nil {
		// OLM takes the InstallPlan for done, and waits for good. Deleting the plan changes nothing.
		return troubled(status, dependencies.Blocked(v1alpha1.ReasonCSVFailed,
			"ClusterServiceVersion %s/%s was deleted, and OLM does not bring it back by itself; delete the Subscription, and the installer asks for it anew: %s",
			s.Metadata.Namespace, s.Status.InstalledCSV, v.remove()))
	}
	if unpacking := v.condition(bundleUnpacking); unpacking != nil {
		return onItsWay(status, "%s", sentences("OLM is unpacking the bundle of "+v.object(), quote(unpacking.Message)))
	}
	if s.Status.CurrentCSV != "" {
		return onItsWay(status, "OLM is installing %s for %s", s.Status.CurrentCSV, v.object())
	}
	return onItsWay(status, "OLM is choosing what to install for %s", v.object())
}

// problems that the Subscription reports, the worst first. They are remarks when something works in spite of them.
func (v view) problems() []*components.Failure {
	s, namespace := v.subscription, v.subscription.Metadata.Namespace
	plan := s.Status.InstallPlanRef.Name
	var problems []*components.Failure
	if failed := v.condition(planFailed); failed != nil {
		problems = append(problems, dependencies.Blocked(v1alpha1.ReasonInstallPlanFailed,
			"InstallPlan %s/%s of %s failed: %s; once the cause is gone, have OLM make another: %s",
			namespace, plan, v.object(), reasoned(*failed), v.deletePlan()))
	}
	if pending := v.condition(planPending); pending != nil && pending.Reason == requiresApproval {
		problems = append(problems, dependencies.Blocked(v1alpha1.ReasonApprovalRequired,
			"InstallPlan %s/%s, which installs %s, waits for approval%s; to approve it: %s", namespace, plan, s.Status.CurrentCSV,
			v.whyManual(), kubectl(namespace, `patch installplans.operators.coreos.com %s --type merge --patch '{"spec":{"approved":true}}'`, plan)))
	}
	if failed := v.condition(bundleUnpackFailed); failed != nil {
		problems = append(problems, dependencies.Failed(v1alpha1.ReasonBundleUnpackFailed,
			"OLM cannot unpack the bundle of %s: %s; see that the cluster can pull the bundle's image, then delete the failed Job: "+
				"kubectl get jobs --all-namespaces --selector operatorframework.io/bundle-unpack-ref",
			v.object(), reasoned(*failed)))
	}
	if v.catalogUnhealthy() {
		problems = append(problems, v.catalogProblem())
	}
	// While one replaces another, OLM cannot resolve the namespace, and says so of ever another object.
	if failed := v.condition(resolutionFailed); failed != nil && v.replaced == nil {
		problems = append(problems, v.resolutionProblem(*failed))
	}
	return problems
}

func (v view) resolutionProblem(failed condition) *components.Failure {
	namespace := v.subscription.Metadata.Namespace
	if len(v.orphans) > 0 {
		return dependencies.Blocked(v1alpha1.ReasonOrphanCSV,
			"ClusterServiceVersion %s/%s belongs to no Subscription, and so %s cannot be resolved: %s; either delete the "+
				"ClusterServiceVersion, and the Subscription installs it anew (%s), or delete the Subscription and keep what is there (%s)",
			namespace, v.orphans[0], v.object(), reasoned(failed), deleteCSV(namespace, v.orphans[0]), v.remove())
	}
	problem := dependencies.Failed(v1alpha1.ReasonResolutionFailed,
		"OLM cannot resolve %s: %s; all Subscriptions of a namespace are resolved together: compare them with what the catalogues offer "+
			"(%s and kubectl get packagemanifests)",
		v.object(), reasoned(failed), kubectl(namespace, "get subscriptions.operators.coreos.com"))
	if failed.Reason == notSatisfiable {
		problem.Terminal = true
	}
	return problem
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
	wanted := v.subscription.Spec.catalog()
	for _, catalog := range v.catalogs {
		if catalog.key() == wanted {
			return unavailable(v.object(), catalog)
		}
	}
	return dependencies.Failed(v1alpha1.ReasonCatalogUnavailable,
		"CatalogSource %s/%s, which %s is to come from, does not exist; create it, or name one that does: %s",
		wanted.Namespace, wanted.Name, v.object(), v.edit())
}

// unavailable says that a catalogue cannot be reached.
func unavailable(what string, catalog catalogSource) *components.Failure {
	return dependencies.Failed(v1alpha1.ReasonCatalogUnavailable,
		"OLM cannot reach CatalogSource %s/%s, which %s is to come from: %s; see its Pod: %s",
		catalog.Metadata.Namespace, catalog.Metadata.Name, what, catalog.trouble(),
		kubectl(catalog.Metadata.Namespace, "describe pods --selector olm.catalogSource=%s", catalog.Metadata.Name))
}

// whyManual explains an approval that this Subscription does not ask for.
func (v view) whyManual() string {
	if v.subscription.Spec.Approval == dependencies.ApprovalManual {
		return ""
	}
	for _, sibling := range v.siblings {
		if sibling.Spec.Approval == dependencies.ApprovalManual {
			return fmt.Sprintf(", because Subscription %s/%s asks for it, on behalf of all in that namespace",
				sibling.Metadata.Namespace, sibling.Metadata.Name)
		}
	}
	return ""
}

func (v view) condition(kind string) *condition {
	return isTrue(v.subscription.Status.Conditions, kind)
}

func isTrue(conditions []condition, kind string) *condition {
	for i := range conditions {
		if conditions[i].Type == kind && conditions[i].Status == "True" {
			return &conditions[i]
		}
	}
	return nil
}

func (v view) object() string {
	return "Subscription " + v.subscription.Metadata.Namespace + "/" + v.subscription.Metadata.Name
}

func (v view) deletePlan() string {
	return kubectl(v.subscription.Metadata.Namespace, "delete installplans.operators.coreos.com %s", v.subscription.Status.InstallPlanRef.Name)
}

func (v view) edit() string {
	return kubectl(v.subscription.Metadata.Namespace, "edit subscriptions.operators.coreos.com %s", v.subscription.Metadata.Name)
}

func (v view) remove() string {
	return kubectl(v.subscription.Metadata.Namespace, "delete subscriptions.operators.coreos.com %s", v.subscription.Metadata.Name)
}

// settled is whether our Subscription is as the table wants it, as far as can be seen without asking the catalogues.
func (v view) settled() bool {
	s := v.subscription
	i := slices.IndexFunc(v.operator.Packages, func(p dependencies.Package) bool { return p.Name == s.Spec.Package })
	if i < 0 {
		return true // the table has moved on to another package, and what is there stays as it is
	}
	wanted := v.operator.Packages[i]
	if s.Spec.Channel != wanted.Channel || s.Spec.Approval != approval(wanted) {
		return false
	}
	if len(v.groups) == 1 && isOurs(v.operator, v.groups[0].Metadata.Labels) && !v.groups[0].fits(wanted.InstallMode) || len(v.groups) == 0 {
		return false
	}
	if slices.Contains(wanted.Catalogs, s.Spec.catalog()) {
		return true
	}
	exists := false
	for _, catalog := range v.catalogs {
		if slices.Contains(wanted.Catalogs, catalog.key()) {
			return false // a catalogue that the table prefers has come
		}
		exists = exists || catalog.key() == s.Spec.catalog()
	}
	return exists
}

func approval(p dependencies.Package) dependencies.Approval {
	return cmp.Or(p.Approval, dependencies.ApprovalAutomatic)
}

// reasoned is what a condition says.
func reasoned(c condition) string {
	if c.Message == "" || strings.HasPrefix(c.Message, c.Reason) {
		return cmp.Or(quote(c.Message), c.Reason)
	}
	return strings.TrimPrefix(c.Reason+": ", ": ") + quote(c.Message)
}

// quote is a text of OLM's, at a length that can be read.
func quote(text string) string { return health.Shorten(strings.TrimRight(text, " .\n"), maxQuote) }

// kubectl is a command that a person can type.
func kubectl(namespace, format string, args ...any) string {
	return "kubectl --namespace " + namespace + " " + fmt.Sprintf(format, args...)
}
