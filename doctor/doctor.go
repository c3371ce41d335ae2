// Package doctor looks, before an OpenDataHub is applied, for what would keep its platform from working: in the resource, and in the cluster,
// with the rights of whoever asks. It changes nothing.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilversion "k8s.io/apimachinery/pkg/util/version"
	podsecurity "k8s.io/pod-security-admission/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

// MinKubeVersion is the oldest Kubernetes that the operator is tested with. OpenShift 4.21 is of this version.
const MinKubeVersion = "1.34"

// Severity is how bad a finding is.
type Severity string

// The severities, from best to worst.
const (
	// OK: the check found nothing.
	OK Severity = "ok"
	// Warning: the platform will work, but perhaps not as expected; or the check could not be made.
	Warning Severity = "warning"
	// Problem: the platform, or a part of it, will not work.
	Problem Severity = "problem"
)

// Finding is what a check found.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	// Message says what is wrong, where, and what to do. Of a check that found nothing it says what was looked at.
	Message string `json:"message"`
}

// Worst is the worst severity among findings.
func Worst(findings []Finding) Severity {
	worst := OK
	for _, finding := range findings {
		if finding.Severity == Problem || worst == OK {
			worst = finding.Severity
		}
	}
	return worst
}

// Part is what the operator would apply for one component.
type Part struct {
	Component components.Component
	Objects   []*unstructured.Unstructured
}

// Patient is the resource that is looked at, and what is known of it without a cluster.
type Patient struct {
	Hub   *v1alpha1.OpenDataHub
	Facts components.Facts
	// Parts that are rendered. Components whose spec is invalid are missing.
	Parts []Part
	// Invalid is what the operator refuses of the spec.
	Invalid []error
	// All components that the operator can deploy, and the third-party operators that they need.
	All   []components.Component
	Table dependencies.Table
	// Marks says what an administrator must allow first, if anything.
	Marks func(namespace *metav1.PartialObjectMetadata) []error
}

// Doctor reads a cluster.
type Doctor struct {
	client    client.Client
	served    *cluster.Served
	namespace string // the operator's
}

// New reads with the given client, which must not be a cache. operatorNamespace is where the operator and its installer run.
func New(reader client.Client, served *cluster.Served, operatorNamespace string) *Doctor {
	return &Doctor{client: reader, served: served, namespace: operatorNamespace}
}

// check looks at one thing. It returns what is wrong, and what it looked at.
type check struct {
	name string
	look func(context.Context, *Patient) (findings []Finding, looked string, err error)
}

// Examine makes every check. One that cannot be made, for lack of rights for example, is a warning.
func (d *Doctor) Examine(ctx context.Context, patient *Patient) []Finding {
	var findings []Finding
	for _, check := range []check{
		{"resource", d.resource}, {"kubernetes", d.kubernetes}, {"operator", d.operator}, {"permissions", d.permissions}, {"namespace", d.namespaced},
		{"third-party operators", d.dependencies}, {"catalogues", d.catalogues}, {"storage", d.storage}, {"ingress", d.ingress}, {"secrets", d.secrets},
		{"capacity", d.capacity},
	} {
		found, looked, err := check.look(ctx, patient)
		if err != nil {
			found = append(found, warning("not checked: %v", err))
		}
		if len(found) == 0 {
			found = []Finding{{Severity: OK, Message: looked}}
		}
		for _, finding := range found {
			finding.Check = check.name
			findings = append(findings, finding)
		}
	}
	return findings
}

func warning(format string, arguments ...any) Finding {
	return Finding{Severity: Warning, Message: fmt.Sprintf(format, arguments...)}
}

func problem(format string, arguments ...any) Finding {
	return Finding{Severity: Problem, Message: fmt.Sprintf(format, arguments...)}
}

func (d *Doctor) resource(ctx context.Context, p *Patient) (findings []Finding, looked string, err error) {
	for _, invalid := range p.Invalid {
		findings = append(findings, problem("%v", invalid))
	}
	for _, wanted := range components.Wanted(p.Hub.Spec.Components) {
		if !slices.ContainsFunc(p.All, func(c components.Component) bool { return c.Name() == wanted.Name }) {
			findings = append(findings, problem("%s: %s", wanted.Name, components.NotSupported(wanted.Name)))
		}
	}
	list := &v1alpha1.OpenDataHubList{}
	if err := d.client.List(ctx, list, client.InNamespace(p.Hub.Namespace)); err != nil {
		if meta.IsNoMatchError(err) {
			err = nil // the check of the operator says it
		}
		return findings, "", err
	}
	var odhs []*v1alpha1.OpenDataHub
	for i := range list.Items {
		odhs = append(odhs, &list.Items[i])
	}
	if other := cluster.PlatformOf(odhs); other != nil && other.Name != p.Hub.Name {
		findings = append(findings, problem("namespace %s has the platform %s already, and can hold one: use another namespace", other.Namespace, other.Name))
	}
	refused, asked, err := d.dryRun(ctx, p.Hub)
	if !asked {
		return findings, "the operator accepts the spec", err
	}
	return append(findings, refused...), "the operator accepts the spec, and so does the API server", nil
}

// dryRun asks the API server whether it would take the resource: its definition may be older than this program, and quotas and policies are the
// cluster's own. It is not asked when another check says why it cannot be.
func (d *Doctor) dryRun(ctx context.Context, hub *v1alpha1.OpenDataHub) (refused []Finding, asked bool, err error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(hub)
	if err != nil {
		return nil, false, err
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": content["spec"]}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OpenDataHub"))
	object.SetNamespace(hub.Namespace)
	object.SetName(hub.Name)
	object.SetLabels(hub.Labels)
	object.SetAnnotations(hub.Annotations)
	err = d.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.DryRunAll, client.ForceOwnership, client.FieldOwner("opendatahub-doctor"))
	switch lacks := cluster.Undeclared(err); {
	case err == nil:
		return nil, true, nil
	case len(lacks) > 0:
		return []Finding{problem("the definition of OpenDataHub in this cluster is older than this program, and lacks %s: upgrade the operator with opendatahub install, or use the program of its version",
			strings.Join(lacks, ", "))}, true, nil
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err): // no OpenDataHubs, or no namespace
		return nil, false, nil
	case apierrors.IsForbidden(err):
		if denied, err := d.denied(ctx, hub.Namespace); err != nil || len(denied) > 0 {
			return nil, false, err
		}
		return []Finding{problem("the API server refuses it: %v", err)}, true, nil
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return []Finding{problem("the API server refuses it: %v", err)}, true, nil
	default:
		return nil, false, err
	}
}

func (d *Doctor) kubernetes(_ context.Context, p *Patient) (findings []Finding, looked string, err error) {
	version, err := utilversion.ParseGeneric(p.Facts.Cluster.KubeVersion)
	if err != nil {
		return nil, "", err
	}
	if version.LessThan(utilversion.MustParseGeneric(MinKubeVersion)) {
		findings = append(findings, problem("Kubernetes is of version %s, and %s or later is needed (OpenShift 4.21): upgrade the cluster", p.Facts.Cluster.KubeVersion, MinKubeVersion))
	}
	known := map[string]bool{}
	for _, part := range p.Parts {
		for _, use := range components.UsesOf(part.Component) {
			if _, operator := p.Table.Find(use.Provider); operator || known[use.CRD()] || !rendered(part, use) {
				continue
			}
			known[use.CRD()] = true
			version, err := d.served.Version(schema.GroupResource{Group: use.Group, Resource: use.Plural}, use.Versions...)
			if err != nil {
				return findings, "", err
			}
			if version == "" {
				findings = append(findings, problem("%s: the cluster does not serve %s in version %s", part.Component.Name(), use.CRD(), strings.Join(use.Versions, " or ")))
			}
		}
	}
	return findings, fmt.Sprintf("%s, and all kinds that it must serve itself", p.Facts.Cluster.KubeVersion), nil
}

func rendered(part Part, use components.Use) bool {
	return slices.ContainsFunc(part.Objects, func(o *unstructured.Unstructured) bool { return o.GroupVersionKind().GroupKind() == use.GroupKind })
}

func (d *Doctor) operator(ctx context.Context, _ *Patient) (findings []Finding, looked string, err error) {
	served, err := d.served.All(v1alpha1.GroupVersion, "opendatahubs")
	if err != nil {
		return nil, "", err
	}
	if !served {
		return []Finding{problem("the cluster does not know OpenDataHub resources: install the operator first")}, "", nil
	}
	deployments := &unstructured.UnstructuredList{}
	deployments.SetAPIVersion("apps/v1")
	deployments.SetKind("DeploymentList")
	if err := d.client.List(ctx, deployments, client.InNamespace(d.namespace), client.MatchingLabels{"app.kubernetes.io/name": "opendatahub-operator"}); err != nil {
		return nil, "", err
	}
	if len(deployments.Items) == 0 {
		return []Finding{warning("there is no Deployment of the operator in namespace %s: install it, or name its namespace with --operator-namespace", d.namespace)}, "", nil
	}
	for i := range deployments.Items {
		if available, _, _ := unstructured.NestedInt64(deployments.Items[i].Object, "status", "availableReplicas"); available == 0 {
			findings = append(findings, problem("Deployment %s/%s has no Pod that is available: kubectl describe deployment %s -n %s",
				d.namespace, deployments.Items[i].GetName(), deployments.Items[i].GetName(), d.namespace))
		}
	}
	return findings, "it runs in namespace " + d.namespace, nil
}

func (d *Doctor) namespaced(ctx context.Context, p *Patient) (findings []Finding, looked string, err error) {
	namespace := cluster.NewNamespace()
	err = d.client.Get(ctx, client.ObjectKey{Name: p.Hub.Namespace}, namespace)
	if apierrors.IsNotFound(err) {
		return []Finding{problem("namespace %s does not exist: kubectl create namespace %s", p.Hub.Namespace, p.Hub.Namespace)}, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	level, because, whose := components.PodSecurityRestricted, "", ""
	for _, part := range p.Parts {
		if secured, ok := part.Component.(components.WithPodSecurity); ok {
			if needs, why := secured.PodSecurity(p.Facts); !needs.FitsIn(level) {
				level, because, whose = needs, why, part.Component.Name()
			}
		}
	}
	enforced, labelled := namespace.Labels[podsecurity.EnforceLevelLabel]
	set := fmt.Sprintf("kubectl label namespace %s %s=%s --overwrite", namespace.Name, podsecurity.EnforceLevelLabel, level)
	switch {
	case labelled && !level.FitsIn(components.PodSecurityLevel(enforced)):
		findings = append(findings, problem("namespace %s enforces the Pod Security level %s, and the Pods of %s need %s, because %s: %s", namespace.Name, enforced, whose, level, because, set))
	case !labelled && level != components.PodSecurityRestricted:
		findings = append(findings, warning("namespace %s has no Pod Security label, and if the cluster's own level is stricter than %s it refuses the Pods of %s, because %s: %s",
			namespace.Name, level, whose, because, set))
	}
	for _, refused := range p.Marks(namespace) {
		findings = append(findings, problem("%v", refused))
	}
	return findings, fmt.Sprintf("%s admits Pods of level %s", namespace.Name, level), nil
}

// denied is what whoever runs this may not do with the resource.
func (d *Doctor) denied(ctx context.Context, namespace string) (findings []Finding, err error) {
	for _, verb := range []string{"create", "patch"} {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: v1alpha1.GroupVersion.Group, Resource: "opendatahubs",
		}}}
		if err := d.client.Create(ctx, review); err != nil {
			return findings, err
		}
		if !review.Status.Allowed {
			findings = append(findings, problem("you may not %s OpenDataHubs in namespace %s: an administrator of the namespace can bind you to the ClusterRole edit", verb, namespace))
		}
	}
	return findings, nil
}

// permissions asks what whoever runs this may do, and what the operator may.
func (d *Doctor) permissions(ctx context.Context, p *Patient) (findings []Finding, looked string, err error) {
	if findings, err = d.denied(ctx, p.Hub.Namespace); err != nil {
		return findings, "", err
	}
	report, err := d.report(ctx)
	if err != nil || report != nil {
		return findings, "you may apply it, and the installer grants the operator what it needs", err
	}
	for _, resource := range []authorizationv1.ResourceAttributes{
		{Verb: "patch", Group: "apps", Resource: "deployments"}, {Verb: "create", Resource: "services"}, {Verb: "get", Resource: "secrets"},
	} {
		resource.Namespace = p.Hub.Namespace
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + d.namespace + ":" + operatorAccount, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + d.namespace, "system:authenticated"},
			ResourceAttributes: &resource,
		}}
		if err := d.client.Create(ctx, review); err != nil {
			return findings, "", err
		}
		if !review.Status.Allowed {
			return append(findings, problem("the operator may not %s %s in namespace %s, and there is no installer that grants it: opendatahub grants -f FILE | kubectl apply --server-side -f -",
				resource.Verb, resource.Resource, p.Hub.Namespace)), "", nil
		}
	}
	return findings, "you may apply it, and the operator has its rights in the namespace", nil
}

// operatorAccount is the ServiceAccount of the operator.
const operatorAccount = "opendatahub-operator"

// report is what the installer says. It is nil without an installer.
func (d *Doctor) report(ctx context.Context) (dependencies.Report, error) {
	config := &corev1.ConfigMap{}
	err := d.client.Get(ctx, client.ObjectKey{Namespace: d.namespace, Name: dependencies.ReportName}, config)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return dependencies.ReadReport(config.Data)
}

// secrets looks for those that the spec names, without reading them.
func (d *Doctor) secrets(ctx context.Context, p *Patient) (findings []Finding, looked string, err error) {
	count := 0
	for _, component := range p.All {
		referring, ok := component.(components.WithReferences)
		if _, wanted := components.StateOf(component, p.Facts); !wanted || !ok {
			continue
		}
		for _, reference := range referring.References(p.Facts) {
			if reference.Awaited {
				continue
			}
			count++
			secret := &metav1.PartialObjectMetadata{}
			secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
			err := d.client.Get(ctx, client.ObjectKey{Namespace: p.Hub.Namespace, Name: reference.Name}, secret)
			switch {
			case apierrors.IsNotFound(err):
				findings = append(findings, problem("Secret %s, which %s names, does not exist in namespace %s: create it with the keys %s",
					reference.Name, reference.Field, p.Hub.Namespace, strings.Join(reference.Keys, ", ")))
			case err != nil:
				return findings, "", err
			}
		}
	}
	if count == 0 {
		return findings, "the spec names none", nil
	}
	return findings, "all that the spec names exist; their keys were not looked at", nil
}
