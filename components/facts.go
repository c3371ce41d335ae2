package components

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/components/kinds"
)

// Labels that every object of a platform carries. They are how objects are found, watched and adopted again.
const (
	// LabelPlatform holds the name of the OpenDataHub.
	LabelPlatform = "opendatahub.io/platform"
	// LabelPlatformNamespace holds the namespace of the OpenDataHub, on objects outside it only.
	LabelPlatformNamespace = "opendatahub.io/platform-namespace"
	// LabelComponent holds the component's name. The operator's cache holds only objects that have it.
	LabelComponent = "opendatahub.io/component"
	// LabelShared is "true" on objects that the installer makes for all platforms which want them, see WithSettings.
	LabelShared = "opendatahub.io/shared"
	// LabelData is "true" on objects that hold data and outlive the platform under deletionPolicy Retain.
	LabelData = "opendatahub.io/data"
)

// Facts is everything that rendering may depend on, read once per reconcile. A component that needs to know more gets
// a new field here, so that its golden files stay complete.
type Facts struct {
	// Platform is the OpenDataHub's own name and namespace.
	Platform Platform
	// Spec as stored, with the defaults of the schema.
	Spec v1alpha1.OpenDataHubSpec
	// Cluster is what kind of cluster this is.
	Cluster Cluster
	// Declared is what the components of the platform want of each other and offer each other, see NewFacts.
	Declared Declarations
	// Secrets are the component's own generated Secrets and those it refers to, by name. Absent: not there (yet).
	Secrets map[string]Secret
	// Live are the component's objects as last seen: when rendering, before the apply, and in Observed after it. Empty before the first
	// apply and when rendering offline.
	Live Objects
	// Found are the objects of foreign kinds that the cluster has, see Use.Keep, by kind and name. Empty when rendering offline.
	Found Objects
}

// Platform identifies an OpenDataHub.
type Platform struct {
	Name      string
	Namespace string
}

// ManagerAccount is the ServiceAccount of this operator, in Cluster.ManagerNamespace.
const ManagerAccount = "opendatahub-operator"

// Cluster is what rendering must know about the cluster.
type Cluster struct {
	// OpenShift is whether config.openshift.io is served.
	OpenShift bool
	// KubeVersion is the API server's version, as in v1.37.2.
	KubeVersion string
	// IngressDomain is the domain of OpenShift's own ingress, as in apps.example.com. Empty elsewhere.
	IngressDomain string
	// Proxy is that of the cluster, on OpenShift.
	Proxy Proxy
	// ManagerNamespace is where this operator and its installer run. Empty: the namespace that config/ gives them.
	ManagerNamespace string
	// MetricsAuthorities signed the certificates with which this operator and its installer serve metrics.
	MetricsAuthorities MetricsAuthorities
	// OperatorImage is the image that this operator runs from, for components that run it as well. Empty: that of this version.
	OperatorImage string
	// Images are what an administrator puts in the places of images.
	Images images.Table
	// UnsafePatches is whether patches of the spec may loosen the security of Pods and change rights.
	UnsafePatches bool
	// Served holds, for each third-party kind that is served, the version to use.
	Served map[schema.GroupKind]string
	// OperatorNamespaces holds the namespace in which each third-party operator runs, by the operator's name: "Rook". It is
	// known when grants are asked for, see WithGrants; rendering must not depend on it.
	OperatorNamespaces map[string]string
}

// Proxy is what addresses outside the cluster are reached through.
type Proxy struct {
	// HTTP and HTTPS are the addresses of the proxies for either scheme, without credentials. Empty: there is none.
	HTTP, HTTPS string
	// NoProxy is what is reached directly, separated by commas.
	NoProxy string
	// Authorities is whether the cluster trusts others than the public authorities.
	Authorities bool
}

// MetricsAuthorities are certificates in PEM. Empty: that process serves no metrics, or it is not known yet who signed its certificate.
type MetricsAuthorities struct {
	Operator, Installer string
}

// Secret is what rendering may know of a Secret: never a value.
type Secret struct {
	// Keys that the Secret has.
	Keys []string
	// Digest changes when a value changes; short enough to give no value away. For Pod template annotations, so
	// that Pods which read the Secret at their start are replaced.
	Digest string
	// Addresses that its owner allows its values to be sent to, see AnnotationAllowAddresses.
	Addresses []string
	// Notebooks is whether its owner allows notebooks to have its values, see LabelAllowNotebooks.
	Notebooks bool
}

// OpenShiftServiceCA is the ConfigMap with the authority that signs OpenShift's serving certificates, in every namespace.
const OpenShiftServiceCA = "openshift-service-ca.crt"

// GVK is the kind in the version that the cluster serves, or in the preferred version if it serves none.
func (f Facts) GVK(kind kinds.Kind) schema.GroupVersionKind {
	if version, ok := f.Cluster.Served[kind.GroupKind]; ok {
		return kind.WithVersion(version)
	}
	return kind.WithVersion(kind.Versions[0])
}

// Labels are the platform's labels for an object of a component. The controller adds them to what is rendered;
// components put them on Pod templates, so that the operator can see why a Pod fails.
func (f Facts) Labels(component string) map[string]string {
	return map[string]string{LabelPlatform: f.Platform.Name, LabelComponent: component}
}

// Retains reports whether data survives the removal of what uses it.
func (f Facts) Retains() bool { return f.Spec.DeletionPolicy != v1alpha1.DeletionPolicyDelete }

// Observed is what the cluster holds for the objects that a component rendered.
type Observed struct {
	Facts
	// Now is when it was observed, to compare with times that objects have in their status. See Health.Expires.
	Now time.Time
	// Rendered are the objects that should exist.
	Rendered []Rendered
	// Pods that carry the component's labels, whoever created them.
	Pods []*corev1.Pod
}

// Rendered identifies an object that a component wants.
type Rendered struct {
	Kind      schema.GroupVersionKind
	Namespace string
	Name      string
}

// Objects is a list of objects as the cluster holds them.
type Objects []*unstructured.Unstructured

// Find returns the object of that kind and name, or nil. Versions are not compared.
func (o Objects) Find(kind schema.GroupKind, name string) *unstructured.Unstructured {
	for _, object := range o {
		if object.GetName() == name && object.GroupVersionKind().GroupKind() == kind {
			return object
		}
	}
	return nil
}

// Merge returns the union of label or annotation maps; later ones win.
func Merge(all ...map[string]string) map[string]string {
	merged := map[string]string{}
	for _, m := range all {
		maps.Copy(merged, m)
	}
	return merged
}
