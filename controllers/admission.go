package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	podsecurity "k8s.io/pod-security-admission/api"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/apply"
)

// admissionInterval is how often the manager asks whether a namespace admits a component's Pods by now: it may not watch
// namespaces.
const admissionInterval = 10 * time.Second

// admitted records that a namespace admitted a component's Pods when it was last asked.
type admitted struct {
	generation int64
	at         time.Time
	// marks are what the installer told of the namespace then.
	marks string
	// remark is what is not certain.
	remark string
}

// admit fails when the platform's namespace would refuse the component's Pods: the third-party operator would try for ever, and
// only its log would say why. It also fails when an administrator has not allowed what the spec asks for beyond the namespace. It
// asks once for each generation of the spec, again while the component does not become ready, and when the installer reports other
// marks. The remark says what could still keep the component from becoming ready. What an operator needs granted is known when it is
// installed.
func (r *componentReconciler) admit(ctx context.Context, odh *v1alpha1.OpenDataHub, facts components.Facts, prepared []apply.Prepared, served []apply.Served) (remark string, err error) {
	hosts := hostsOf(prepared)
	if err := r.hostsTaken(ctx, odh, hosts); err != nil {
		return "", err
	}
	level, because := components.PodSecurityRestricted, ""
	if secured, ok := r.component.(components.WithPodSecurity); ok {
		level, because = secured.PodSecurity(facts)
	}
	accounts := grantedAccounts(r.component, facts)
	reach := components.ReachOf(r.component, facts)
	hosts = foreign(hosts, facts)
	if level == components.PodSecurityRestricted && len(accounts) == 0 && len(reach) == 0 && len(hosts) == 0 {
		return "", nil
	}
	marks := r.access.marks(ctx, odh.Namespace)
	if known, ok := r.admitted.Load(odh.UID); ok && known.(admitted).generation == odh.Generation && known.(admitted).marks == marks {
		return known.(admitted).remark, nil
	}

	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.reader.Get(ctx, types.NamespacedName{Name: odh.Namespace}, namespace); err != nil {
		return "", fmt.Errorf("reading namespace %s: %w", odh.Namespace, err)
	}
	if err := allowed(namespace, reach, hosts); err != nil {
		return "", err
	}
	set := fmt.Sprintf("kubectl label namespace %s %s=%s", odh.Namespace, podsecurity.EnforceLevelLabel, level)
	enforced, labelled := namespace.Labels[podsecurity.EnforceLevelLabel]
	switch {
	case !labelled && level != components.PodSecurityRestricted:
		remark = fmt.Sprintf("namespace %s has no label %s, and if the cluster's own level is stricter than %s it refuses the Pods (%s): %s",
			odh.Namespace, podsecurity.EnforceLevelLabel, level, because, set)
	case labelled && !level.FitsIn(components.PodSecurityLevel(enforced)):
		return "", &components.Failure{Reason: v1alpha1.ReasonPodSecurityTooStrict, Err: fmt.Errorf(
			"namespace %s enforces the Pod Security level %s, and the Pods need %s: %s; nothing is changed until somebody sets it: %s --overwrite",
			odh.Namespace, enforced, level, because, set)}
	}

	if _, missing := r.split(prepared, served); len(missing) > 0 {
		return remark, nil
	}
	missing, err := r.missing(ctx, odh.Namespace, accounts)
	if err != nil {
		return "", err
	}
	if len(missing) > 0 {
		return "", r.notGranted(odh, missing)
	}
	r.admitted.Store(odh.UID, admitted{generation: odh.Generation, at: r.now(), marks: marks, remark: remark})
	return remark, nil
}

// Allowed fails when the namespace lacks a mark for what a component asks for beyond it, in the words of the component's condition.
func Allowed(namespace *metav1.PartialObjectMetadata, component components.Component, facts components.Facts, prepared []apply.Prepared) error {
	return allowed(namespace, components.ReachOf(component, facts), foreign(hostsOf(prepared), facts))
}

// foreign are the host names that are not below OpenShift's own domain, in which every platform may have some.
func foreign(hosts []string, facts components.Facts) []string {
	return slices.DeleteFunc(hosts, func(host string) bool { return components.InDomain(host, facts.Cluster.IngressDomain) })
}

// allowed fails when the namespace lacks a mark for what the spec asks for.
func allowed(namespace *metav1.PartialObjectMetadata, reach []components.Reach, hosts []string) error {
	refuse := func(format string, args ...any) error {
		return &components.Failure{Reason: v1alpha1.ReasonNotAllowed, Err: fmt.Errorf(format, args...)}
	}
	for _, asked := range reach {
		if !components.Allowed(namespace.Labels, asked.Mark) {
			return refuse("%s asks for %s, which namespace %s may not have; nothing is changed until an administrator allows it: %s",
				asked.Field, asked.What, namespace.Name, components.AllowCommand(namespace.Name, asked.Mark))
		}
	}
	domains := components.SplitMark(namespace.Annotations[components.AnnotationAllowDomains])
	for _, host := range hosts {
		if !slices.ContainsFunc(domains, func(domain string) bool { return components.InDomain(host, domain) }) {
			_, domain, _ := strings.Cut(host, ".")
			return refuse("the host name %s is in no domain that namespace %s may use; nothing is changed until an administrator allows it: "+
				"kubectl annotate namespace %s --overwrite %s=%s", host, namespace.Name, namespace.Name,
				components.AnnotationAllowDomains, strings.Join(append(domains, domain), ","))
		}
	}
	return nil
}

// grantedAccounts are the ServiceAccounts in the platform's namespace that the component needs granted. The manager may look at
// them, and they stand for the rest: all is applied together.
func grantedAccounts(component components.Component, facts components.Facts) []string {
	granted, ok := component.(components.WithGrants)
	if !ok {
		return nil
	}
	var names []string
	for _, object := range granted.Grants(facts) {
		account, ok := object.ApplyConfiguration.(*coreapply.ServiceAccountApplyConfiguration)
		if ok && *account.GetNamespace() == facts.Platform.Namespace {
			names = append(names, *account.GetName())
		}
	}
	return names
}

func (r *componentReconciler) missing(ctx context.Context, namespace string, accounts []string) ([]string, error) {
	var missing []string
	for _, name := range accounts {
		account := &metav1.PartialObjectMetadata{}
		account.SetGroupVersionKind(kinds.ServiceAccount.GVK())
		err := r.reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, account)
		switch {
		case apierrors.IsNotFound(err):
			missing = append(missing, name)
		case err != nil:
			return nil, fmt.Errorf("reading ServiceAccount %s/%s: %w", namespace, name, err)
		}
	}
	slices.Sort(missing)
	return missing, nil
}

func (r *componentReconciler) notGranted(odh *v1alpha1.OpenDataHub, missing []string) error {
	noun := "ServiceAccount " + missing[0] + " that its Pods need does"
	if len(missing) > 1 {
		noun = "ServiceAccounts " + strings.Join(missing, ", ") + " that its Pods need do"
	}
	return &components.Failure{Reason: v1alpha1.ReasonAccessNotGranted, Err: fmt.Errorf(
		"the %s not exist in namespace %s; %s", noun, odh.Namespace, r.howToGrant(odh, "them"))}
}

// howToGrant is who grants what the components of a platform declare, or the command that does.
func (r *componentReconciler) howToGrant(odh *v1alpha1.OpenDataHub, what string) string {
	if r.operators.report() != nil {
		return "the installer is to grant " + what
	}
	return fmt.Sprintf("grant %s: kubectl get opendatahub %s --namespace %s --output yaml | opendatahub grants --filename - | "+
		"kubectl apply --server-side --filename -", what, odh.Name, odh.Namespace)
}

// refused says how to grant the right that was missing, if the failure is that an object of a granted kind could not be written.
func (r *componentReconciler) refused(odh *v1alpha1.OpenDataHub, failure *components.Failure) *components.Failure {
	var status apierrors.APIStatus
	if !apierrors.IsForbidden(failure) || !errors.As(failure, &status) || status.Status().Details == nil {
		return failure
	}
	details := status.Status().Details
	for _, use := range components.UsesOf(r.component) {
		if use.Granted && use.Group == details.Group && use.Plural == details.Kind {
			return &components.Failure{Reason: v1alpha1.ReasonAccessNotGranted, Err: fmt.Errorf(
				"the operator may not write the %s %s in namespace %s; %s", use.Kind.Kind, details.Name, odh.Namespace, r.howToGrant(odh, "that"))}
		}
	}
	return failure
}

// reconsider has the next reconcile look at the namespace again when what was admitted does not become ready.
func (r *componentReconciler) reconsider(odh *v1alpha1.OpenDataHub) {
	if known, ok := r.admitted.Load(odh.UID); ok && r.now().Sub(known.(admitted).at) > admissionInterval {
		r.admitted.Delete(odh.UID)
	}
}
