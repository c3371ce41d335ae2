package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/postgresql"
	"opendatahub.io/operator/components/s3"
	"opendatahub.io/operator/controllers/status"
	"opendatahub.io/operator/controllers/watch"
	"opendatahub.io/operator/dependencies"
)

// summaryReconciler sums up the component conditions of every OpenDataHub. It also reports components that
// this binary does not have, and resources that are refused.
type summaryReconciler struct {
	odhs   *odhs
	status *status.Writer
	events events.EventRecorder
	// all is what this binary can deploy.
	all     []components.Component
	cluster components.Cluster
	// operators that platforms need.
	operators *operators
	access    *access
	// policies are the admission policies that are missing.
	policies func() []string
}

// SummaryManager is the field manager of Ready, Reconciling, Stalled and the counts.
const SummaryManager = watch.ManagerPrefix

// Reconcile implements reconcile.Reconciler.
func (r *summaryReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	odh, err := r.odhs.get(ctx, request.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if odh == nil {
		r.status.Forget(request.NamespacedName, SummaryManager)
		return ctrl.Result{}, nil
	}
	platform, err := r.odhs.platformOf(ctx, odh.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	if odh.DeletionTimestamp != nil && len(odh.Finalizers) == 0 {
		return ctrl.Result{}, nil
	}

	var report status.Report
	awaits := false // the installer
	if platform != nil && platform.UID != odh.UID {
		report = refused(odh, platform)
	} else {
		report = summarize(odh, r.cluster, r.all)
		operators := r.operators.of(ctx, odh)
		needs(&report, odh, operators)
		unbounded(&report, r.policies())
		outdated(&report, r.status.Lacks(request.NamespacedName))
		awaits = r.operators.report() != nil && slices.ContainsFunc(operators, dependencies.Awaits)
	}
	again := false
	if allReported(odh) {
		if again, err = r.status.Sort(ctx, odh, SummaryManager, inOrder); err != nil {
			return ctrl.Result{}, err
		}
	}
	wrote, wait, err := r.status.Write(ctx, odh, SummaryManager, report)
	if err != nil {
		return ctrl.Result{}, err
	}
	if again {
		wait = time.Second
	}
	if wrote {
		r.announce(ctx, odh, report.Conditions)
	}
	if awaits && (wait == 0 || wait > leaseInterval) {
		wait = leaseInterval
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// inOrder are the names of all components, in the order of the spec.
var inOrder = func() (names []string) {
	for _, component := range components.All() {
		names = append(names, component.Name)
	}
	return names
}()

// allReported is whether every component that is wanted has said something: before, sorting what they say is too early.
func allReported(odh *v1alpha1.OpenDataHub) bool {
	return !slices.ContainsFunc(components.Wanted(odh.Spec.Components), func(wanted components.WantedComponent) bool {
		return meta.FindStatusCondition(odh.Status.Conditions, wanted.Condition) == nil
	})
}

func (r *summaryReconciler) announce(ctx context.Context, odh *v1alpha1.OpenDataHub, conditions []metav1.Condition) {
	if !r.access.seen(ctx, odh.Namespace) {
		return // Events are not ours to write there
	}
	for _, condition := range conditions {
		before := meta.FindStatusCondition(odh.Status.Conditions, condition.Type)
		changed := before == nil || before.Status != condition.Status
		switch {
		case condition.Type == v1alpha1.ConditionReady && condition.Status == metav1.ConditionTrue && changed:
			r.events.Eventf(odh, nil, "Normal", condition.Reason, "Reconcile", "The platform is ready: %s", condition.Message)
		case condition.Type == v1alpha1.ConditionDependenciesReady && (changed || before.Reason != condition.Reason):
			r.announceOperators(odh, before, condition)
		case condition.Type == v1alpha1.ConditionStalled && changed:
			r.events.Eventf(odh, nil, "Warning", condition.Reason, "Reconcile", "%.900s", condition.Message)
		}
	}
}

// announceOperators records an Event when the status of the operators that the platform needs changes. Operators that were ready from
// the beginning need none.
func (r *summaryReconciler) announceOperators(odh *v1alpha1.OpenDataHub, before *metav1.Condition, condition metav1.Condition) {
	switch {
	case condition.Status == metav1.ConditionTrue && before != nil && before.Status != metav1.ConditionTrue:
		r.events.Eventf(odh, nil, corev1.EventTypeNormal, condition.Reason, "Reconcile", "Third-party operators are %.900s", condition.Message)
	case condition.Status == metav1.ConditionTrue:
	case condition.Reason == v1alpha1.ReasonProgressing || condition.Reason == v1alpha1.ReasonPending:
		r.events.Eventf(odh, nil, corev1.EventTypeNormal, condition.Reason, "Reconcile", "%.900s", condition.Message)
	default:
		r.events.Eventf(odh, nil, corev1.EventTypeWarning, condition.Reason, "Reconcile", "%.900s", condition.Message)
	}
}

// refused is the status of a resource whose namespace has a platform already.
func refused(odh, platform *v1alpha1.OpenDataHub) status.Report {
	message := fmt.Sprintf("namespace %s already has the OpenDataHub %s, and holds one platform only; "+
		"delete this resource, or create it in another namespace", odh.Namespace, platform.Name)
	condition := func(kind string, value metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{
			Type: kind, Status: value, Reason: v1alpha1.ReasonPlatformExists, Message: message, ObservedGeneration: odh.Generation,
		}
	}
	return status.Report{
		Conditions: []metav1.Condition{
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse),
			condition(v1alpha1.ConditionStalled, metav1.ConditionTrue),
		},
		Summary: &status.Summary{ObservedGeneration: odh.Generation},
	}
}

// verdict is what a component says.
type verdict struct {
	name string
	// condition is the type of the condition that says it.
	condition string
	reason    string
	message   string
	ready     bool
}

// terminalReasons are those that no retry and no watch can end: a person must edit the resource or the cluster.
var terminalReasons = []string{
	v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonImmutableFieldChanged, v1alpha1.ReasonNotSupported, v1alpha1.ReasonPodSecurityTooStrict,
	v1alpha1.ReasonVersionNotSupported, v1alpha1.ReasonNotAllowed,
}

// movingReasons are those of a component that is on its way, or that something awaited will wake.
var movingReasons = []string{
	v1alpha1.ReasonPending, v1alpha1.ReasonProgressing, v1alpha1.ReasonAPINotInstalled, v1alpha1.ReasonAccessNotGranted, v1alpha1.ReasonReferenceNotFound,
	v1alpha1.ReasonFactsUnavailable, v1alpha1.ReasonApplyFailed, v1alpha1.ReasonPruneFailed, v1alpha1.ReasonConflict, v1alpha1.ReasonRemoving,
}

// summarize judges the platform by its component conditions. The worst comes first: what only a person can end, then what is broken,
// then what is on its way, then what has not reported; each in the order of the spec.
func summarize(odh *v1alpha1.OpenDataHub, detected components.Cluster, all []components.Component) status.Report {
	var report status.Report
	facts := components.NewFacts(odh, detected, all)
	verdicts, supported := parts(odh, facts, all)
	ready, wanted := 0, 0
	for _, component := range components.All() {
		condition := meta.FindStatusCondition(odh.Status.Conditions, component.Condition)
		_, ok := components.FindWanted(odh.Spec.Components, component.Name)
		if !ok || odh.DeletionTimestamp != nil {
			if leaves, message := leaving(odh, component.Name, condition, slices.Contains(supported, component.Name)); leaves {
				verdicts = append(verdicts, verdict{component.Name, component.Condition, v1alpha1.ReasonRemoving, message, false})
			}
			continue
		}
		wanted++
		if !slices.Contains(supported, component.Name) {
			own := metav1.Condition{
				Type: component.Condition, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotSupported,
				Message: components.NotSupported(component.Name), ObservedGeneration: odh.Generation,
			}
			report.Conditions = append(report.Conditions, own)
			condition = &own
		}
		v := judge(component.Name, component.Condition, condition, odh.Generation)
		if v.ready {
			ready++
		}
		verdicts = append(verdicts, v)
	}

	report.Summary = &status.Summary{
		ObservedGeneration: odh.Generation,
		ComponentsReady:    fmt.Sprintf("%d/%d", ready, wanted),
		Authentication:     authenticationOf(facts.Declared),
		ObjectStorage:      s3.Of(facts).Status(),
		Databases:          postgresql.Status(facts),
	}
	report.Conditions = append(report.Conditions, overall(odh, verdicts, ready, wanted)...)
	return report
}

// authenticationOf is what an administrator of the login provider has to set up, or nil.
func authenticationOf(declared components.Declarations) *v1alpha1.AuthenticationStatus {
	if len(declared.LoginClients) == 0 {
		return nil
	}
	login := &v1alpha1.AuthenticationStatus{}
	for _, client := range declared.LoginClients {
		login.Callbacks = append(login.Callbacks, client.Callback)
	}
	slices.Sort(login.Callbacks)
	login.Callbacks = slices.Compact(login.Callbacks)
	return login
}

// needs adds the status of the third-party operators that the platform needs.
func needs(report *status.Report, odh *v1alpha1.OpenDataHub, operators []v1alpha1.DependencyStatus) {
	condition := dependencies.Condition(operators)
	condition.ObservedGeneration = odh.Generation
	report.Conditions = append(report.Conditions, condition)
	report.Summary.Dependencies = operators
}

// unbounded says, for a platform that is ready, which admission policies the cluster lacks: what is deployed works, but a stolen token
// can do more than it should.
func unbounded(report *status.Report, missing []string) {
	ready := meta.FindStatusCondition(report.Conditions, v1alpha1.ConditionReady)
	if len(missing) > 0 && ready != nil && ready.Status == metav1.ConditionTrue {
		ready.Message += "; " + missingPolicies(missing)
	}
}

// missingPolicies is what there is to say of admission policies that are not in force.
func missingPolicies(missing []string) string {
	return fmt.Sprintf("nothing bounds what a stolen token of the operator can do, because this cluster is without %s; apply config/admission",
		strings.Join(missing, " and "))
}

// outdated says which fields the status is without, because the definition in the cluster is older than the operator. That happens when somebody
// puts it back, as a tool does that applies what it has once more.
func outdated(report *status.Report, fields []string) {
	if ready := meta.FindStatusCondition(report.Conditions, v1alpha1.ConditionReady); len(fields) > 0 && ready != nil {
		ready.Message += fmt.Sprintf("; the definition of OpenDataHub in this cluster is older than the operator and lacks status.%s; "+
			"apply config/crd of the operator's version", strings.Join(fields, " and status."))
	}
}

// policyChanged makes the function that the watch of admission policies calls.
func policyChanged(odhs *odhs, queues *watch.Queues) func(context.Context, string, bool, bool) {
	return func(ctx context.Context, policy string, inForce, first bool) {
		log := ctrl.LoggerFrom(ctx)
		admissionPolicies.set(policy, inForce)
		switch {
		case !inForce:
			log.Info("Warning: "+missingPolicies([]string{policy}), "policy", policy)
		case first: // as it should be
			return
		default:
			log.Info("The admission policy is in force again", "policy", policy)
		}
		for _, key := range odhs.keys() {
			queues.Wake(SummaryManager, key)
		}
	}
}

// parts judges the parts of the platform itself, which have a condition only while something is wrong, and names the other components.
func parts(odh *v1alpha1.OpenDataHub, facts components.Facts, all []components.Component) (verdicts []verdict, others []string) {
	for _, component := range all {
		part, ok := component.(components.WithRule)
		if !ok {
			others = append(others, component.Name())
			continue
		}
		conditionType, _ := components.ConditionOf(component)
		condition := meta.FindStatusCondition(odh.Status.Conditions, conditionType)
		deploying := odh.DeletionTimestamp == nil && part.Wanted(facts)
		if condition != nil && (deploying || condition.Reason == v1alpha1.ReasonRemoving) {
			verdicts = append(verdicts, judge(component.Name(), conditionType, condition, odh.Generation))
		}
	}
	return verdicts, others
}

// leaving is whether a component that is not wanted is still there, and what it says. Before it reports that it is being removed, its
// finalizer or its last condition shows it.
func leaving(odh *v1alpha1.OpenDataHub, name string, condition *metav1.Condition, supported bool) (leaves bool, message string) {
	switch {
	case condition != nil && condition.Reason == v1alpha1.ReasonRemoving:
		return true, condition.Message
	case odh.DeletionTimestamp != nil || !supported:
		return false, ""
	case condition != nil, slices.Contains(odh.Finalizers, cluster.FinalizerPrefix+name):
		return true, "is being removed"
	}
	return false, ""
}

func judge(name, conditionType string, condition *metav1.Condition, generation int64) verdict {
	if condition == nil || condition.ObservedGeneration != generation {
		return verdict{name, conditionType, v1alpha1.ReasonPending, "has not reported yet", false}
	}
	return verdict{name, conditionType, condition.Reason, condition.Message, condition.Status == metav1.ConditionTrue}
}

// weight orders what components say, the worst first.
func (v verdict) weight() int {
	switch {
	case slices.Contains(terminalReasons, v.reason):
		return 0
	case v.reason == v1alpha1.ReasonPending:
		return 4
	case v.reason == v1alpha1.ReasonProgressing, v.reason == v1alpha1.ReasonRemoving, v.reason == v1alpha1.ReasonUnmanaged:
		return 3
	case slices.Contains(movingReasons, v.reason):
		return 2
	}
	return 1 // Degraded: nothing is on its way
}

// merged joins components that report the same message, as they do about spec.ingress: "jupyterHub, mlflow: ...".
func merged(verdicts []verdict) []verdict {
	var merged []verdict
	for _, v := range verdicts {
		same := slices.IndexFunc(merged, func(m verdict) bool {
			return m.reason == v.reason && m.message == v.message && m.ready == v.ready
		})
		if same < 0 || v.reason == v1alpha1.ReasonPending {
			merged = append(merged, v)
		} else {
			merged[same].name += ", " + v.name
		}
	}
	return merged
}

func overall(odh *v1alpha1.OpenDataHub, verdicts []verdict, ready, wanted int) []metav1.Condition {
	condition := func(kind string, value metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: value, Reason: reason, Message: message, ObservedGeneration: odh.Generation}
	}
	issues := slices.DeleteFunc(merged(verdicts), func(v verdict) bool { return v.ready })
	slices.SortStableFunc(issues, func(a, b verdict) int { return cmp.Compare(a.weight(), b.weight()) })
	var moving, stalled, updating []verdict
	for _, v := range issues {
		if slices.Contains(terminalReasons, v.reason) {
			stalled = append(stalled, v)
		}
		if slices.Contains(movingReasons, v.reason) || v.reason == v1alpha1.ReasonUnmanaged {
			moving = append(moving, v)
		}
	}
	for _, v := range verdicts {
		if v.ready && v.reason == v1alpha1.ReasonUpdating {
			updating = append(updating, v)
		}
	}
	reason := ""
	if len(issues) > 0 {
		reason = issues[0].reason
	}
	if reason == v1alpha1.ReasonPending {
		reason = v1alpha1.ReasonProgressing
	}
	message := brief(issues)

	switch {
	case odh.DeletionTimestamp != nil:
		if message == "" {
			message = "the platform is being removed"
		}
		return []metav1.Condition{
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRemoving, message),
			condition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRemoving, message),
		}
	case message == "" && wanted == 0:
		return []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonNoComponents,
			"spec.components names no component, so nothing is deployed")}
	case message == "" && len(updating) > 0:
		return []metav1.Condition{
			condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonUpdating,
				fmt.Sprintf("%d of %d components ready; restarted for this version of the operator: %s", ready, wanted, brief(updating))),
			condition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonUpdating, brief(updating)),
		}
	case message == "":
		return []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable,
			fmt.Sprintf("%d of %d components ready", ready, wanted))}
	}
	conditions := []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)}
	if len(moving) > 0 && len(stalled) == 0 {
		conditions = append(conditions, condition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing,
			brief(moving)))
	}
	if len(stalled) > 0 {
		conditions = append(conditions, condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, stalled[0].reason, brief(stalled)))
	}
	return conditions
}

// maxSummary is how many characters fit in a line of kubectl get. What does not fit is in the components' own conditions.
const maxSummary = 256

// brief says as much as fits, in the order given: the first ones in full, the others by name.
func brief(issues []verdict) string {
	if len(issues) == 0 {
		return ""
	}
	for full := len(issues); full > 0; full-- {
		texts := make([]string, 0, full)
		for _, v := range issues[:full] {
			texts = append(texts, v.name+": "+v.message)
		}
		if text := strings.Join(texts, "; ") + others(issues[full:]); utf8.RuneCountInString(text) <= maxSummary {
			return text
		}
	}
	worst, rest := issues[0], others(issues[1:])
	see := "... (see " + worst.condition + ")"
	room := maxSummary - utf8.RuneCountInString(see+rest)
	return cut(worst.name+": "+worst.message, room) + see + rest
}

func others(issues []verdict) string {
	names := make([]string, 0, len(issues))
	for _, v := range issues {
		names = append(names, v.name)
	}
	if len(names) == 0 {
		return ""
	}
	return "; not ready either: " + strings.Join(names, ", ")
}

// cut ends a text after a word.
func cut(text string, room int) string {
	runes := []rune(text)
	if room <= 0 || len(runes) <= room {
		return text
	}
	short := string(runes[:room])
	if end := strings.LastIndexAny(short, " "); end > len(short)/2 {
		short = short[:end]
	}
	return strings.TrimRight(short, " ,;:")
}
