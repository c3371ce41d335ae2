package doctor

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/dependencies"
)

// catalogSource is the kind of OLM's catalogues.
var catalogSource = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "CatalogSource"}

// dependencies judges third-party operators as the operator will, and asks whether they may be installed.
func (d *Doctor) dependencies(ctx context.Context, p *Patient) (findings []Finding, looked string, err error) {
	report, err := d.report(ctx)
	if err != nil {
		return nil, "", err
	}
	var failed error
	view := dependencies.View{
		Served: func(kind kinds.Kind) bool {
			version, err := d.served.Version(schema.GroupResource{Group: kind.Group, Resource: kind.Plural}, kind.Versions...)
			if err != nil {
				failed = err
			}
			return version != ""
		},
		Exists: func(kind kinds.Kind) bool {
			err := d.client.Get(ctx, client.ObjectKey{Name: kind.CRD()}, cluster.NewCRD())
			if err != nil && !apierrors.IsNotFound(err) {
				failed = err
			}
			return err == nil
		},
		OpenShift: p.Facts.Cluster.OpenShift, Namespace: p.Hub.Namespace,
		Manual: p.Hub.Spec.Dependencies.Installation == v1alpha1.InstallationManual,
		Report: report, Stopped: func() string { return "" },
	}
	var missing, needed []string
	for _, required := range dependencies.Required(p.Table, p.All, p.Facts) {
		dependency, _ := p.Table.Find(required.Dependency)
		status := view.Judge(dependency, required)
		if failed != nil {
			return findings, "", failed
		}
		needed = append(needed, dependency.Name)
		_, known := report[dependency.Name]
		switch {
		case status.State == v1alpha1.DependencyReady:
		case report != nil && !view.Manual && !known:
			missing = append(missing, dependency.Name) // the installer has not been asked yet
		case status.State != v1alpha1.DependencyInstalling:
			findings = append(findings, problem("%s is needed by %s: %s", dependency.Name, strings.Join(required.Components, " and "), status.Message))
		}
	}
	if len(missing) > 0 {
		namespace := cluster.NewNamespace()
		if err := d.client.Get(ctx, client.ObjectKey{Name: p.Hub.Namespace}, namespace); client.IgnoreNotFound(err) != nil {
			return findings, "", err
		}
		if !components.Allowed(namespace.Labels, components.LabelAllowInstalls) {
			findings = append(findings, problem("%s must be installed, and the installer may not do so for namespace %s: an administrator allows it with %s",
				strings.Join(missing, " and "), p.Hub.Namespace, components.AllowCommand(p.Hub.Namespace, components.LabelAllowInstalls)))
		}
	}
	switch {
	case len(needed) == 0:
		looked = "none is needed"
	case len(missing) > 0:
		looked = fmt.Sprintf("%s: the installer will install what is missing", strings.Join(needed, ", "))
	default:
		looked = strings.Join(needed, ", ")
	}
	return findings, looked, nil
}

// catalogues looks at those that hold packages of third-party operators which are not there.
func (d *Doctor) catalogues(ctx context.Context, p *Patient) (findings []Finding, looked string, err error) {
	there, err := d.served.All(catalogSource.GroupVersion(), "catalogsources")
	if err != nil {
		return nil, "", err
	}
	if !there {
		return nil, "there is no Operator Lifecycle Manager; charts are fetched by the installer, which was not tried", nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(catalogSource.GroupVersion().WithKind("CatalogSourceList"))
	if err := d.client.List(ctx, list); err != nil {
		return nil, "", err
	}
	for _, required := range dependencies.Required(p.Table, p.All, p.Facts) {
		dependency, _ := p.Table.Find(required.Dependency)
		for _, offered := range dependency.Packages {
			for i := range list.Items {
				source := &list.Items[i]
				for _, catalog := range offered.Catalogs {
					if catalog.Name != source.GetName() || catalog.Namespace != source.GetNamespace() {
						continue
					}
					if state, _, _ := unstructured.NestedString(source.Object, "status", "connectionState", "lastObservedState"); state != "READY" {
						if state == "" {
							state = "not known yet"
						}
						findings = append(findings, problem("OLM cannot reach the catalogue %s/%s, which has %s (its state is %s): kubectl get pod -n %s -l olm.catalogSource=%s",
							catalog.Namespace, catalog.Name, dependency.Name, state, catalog.Namespace, catalog.Name))
					}
				}
			}
		}
	}
	return findings, "OLM reaches those with the operators that are needed", nil
}

// ingress looks for how web interfaces are reached.
func (d *Doctor) ingress(ctx context.Context, p *Patient) (findings []Finding, looked string, err error) {
	spec := p.Hub.Spec.Ingress
	if spec.Type == "" && spec.Domain == "" && !p.Facts.Cluster.OpenShift {
		return []Finding{warning("spec.ingress.domain is not set, so web interfaces have no address outside the cluster and are reached with kubectl port-forward: set it, as in apps.example.com, or set spec.ingress.type to None")}, "", nil
	}
	classes := map[string]bool{}
	for _, part := range p.Parts {
		for _, object := range part.Objects {
			if object.GroupVersionKind().GroupKind() == kinds.Ingress.GroupKind {
				class, _, _ := unstructured.NestedString(object.Object, "spec", "ingressClassName")
				classes[class] = true
			}
		}
	}
	if len(classes) == 0 {
		return nil, "nothing needs an IngressClass", nil
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "IngressClassList"})
	if err := d.client.List(ctx, list); err != nil {
		return nil, "", err
	}
	var names []string
	hasDefault := false
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
		hasDefault = hasDefault || list.Items[i].Annotations["ingressclass.kubernetes.io/is-default-class"] == "true"
		delete(classes, list.Items[i].Name)
	}
	if classes[""] && !hasDefault {
		findings = append(findings, problem("spec.ingress.className is not set, and no IngressClass is the default; there are %s: set it, or make one the default", orNone(names)))
	}
	delete(classes, "")
	for _, class := range sortedKeys(classes) {
		findings = append(findings, problem("spec.ingress.className: there is no IngressClass %s; there are %s", class, orNone(names)))
	}
	return findings, "the IngressClass is there", nil
}
