package olm

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/dependencies"
)

// The kinds of OLM. Their fields are described in https://olm.operatorframework.io/docs/concepts/crds/ and in
// https://operator-framework.github.io/operator-controller/api-reference/olmv1-api-reference/.
var (
	subscriptionKind = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "Subscription"}
	csvKind          = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "ClusterServiceVersion"}
	planKind         = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "InstallPlan"}
	catalogKind      = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "CatalogSource"}
	groupKind        = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1", Kind: "OperatorGroup"}
	extensionKind    = schema.GroupVersionKind{Group: "olm.operatorframework.io", Version: "v1", Kind: "ClusterExtension"}
)

const (
	// copiedFrom is the label of the copies of a ClusterServiceVersion that OLM puts into every namespace.
	copiedFrom = "olm.copiedFrom"
	// componentPrefix begins the label that OLM puts on what belongs to a package.
	componentPrefix = "operators.coreos.com/"
	// propertiesAnnotation of a ClusterServiceVersion names its package.
	propertiesAnnotation = "operatorframework.io/properties"
	// targetsAnnotation of a ClusterServiceVersion lists the namespaces that it watches.
	targetsAnnotation = "olm.targetNamespaces"
)

// notCopied selects ClusterServiceVersions that are no copies. On a cluster with a thousand namespaces, nearly all are.
var notCopied = func() labels.Selector {
	requirement, err := labels.NewRequirement(copiedFrom, selection.DoesNotExist, nil)
	if err != nil {
		panic(err)
	}
	return labels.NewSelector().Add(*requirement)
}()

type subscription struct {
	Metadata metav1.ObjectMeta  `json:"metadata"`
	Spec     subscriptionSpec   `json:"spec"`
	Status   subscriptionStatus `json:"status"`
}

type subscriptionSpec struct {
	Package          string                `json:"name,omitempty"`
	Channel          string                `json:"channel,omitempty"`
	Catalog          string                `json:"source,omitempty"`
	CatalogNamespace string                `json:"sourceNamespace,omitempty"`
	Approval         dependencies.Approval `json:"installPlanApproval,omitempty"`
}

func (s subscriptionSpec) catalog() dependencies.Catalog {
	return dependencies.Catalog{Name: s.Catalog, Namespace: s.CatalogNamespace}
}

type subscriptionStatus struct {
	State          string          `json:"state"`
	CurrentCSV     string          `json:"currentCSV"`
	InstalledCSV   string          `json:"installedCSV"`
	InstallPlanRef reference       `json:"installPlanRef"`
	Conditions     []condition     `json:"conditions"`
	CatalogHealth  []catalogHealth `json:"catalogHealth"`
}

type catalogHealth struct {
	Catalog reference `json:"catalogSourceRef"`
	Healthy bool      `json:"healthy"`
}

type reference struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type condition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
	ObservedGeneration int64  `json:"observedGeneration"`
}

type csv struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     csvSpec           `json:"spec"`
	Status   csvStatus         `json:"status"`
}

type csvSpec struct {
	Version  string `json:"version"`
	Replaces string `json:"replaces"`
}

type csvStatus struct {
	Phase        string        `json:"phase"`
	Reason       string        `json:"reason"`
	Message      string        `json:"message"`
	Requirements []requirement `json:"requirementStatus"`
	// History is where it stood before, oldest first, and where it stands now.
	History []struct {
		Phase   string `json:"phase"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
	} `json:"conditions"`
}

type requirement struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

type operatorGroup struct {
	Metadata metav1.ObjectMeta   `json:"metadata"`
	Spec     operatorGroupSpec   `json:"spec"`
	Status   operatorGroupStatus `json:"status"`
}

type operatorGroupSpec struct {
	Targets  []string              `json:"targetNamespaces,omitempty"`
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

type operatorGroupStatus struct {
	Namespaces []string `json:"namespaces"`
}

type catalogSource struct {
	Metadata metav1.ObjectMeta   `json:"metadata"`
	Spec     catalogSourceSpec   `json:"spec"`
	Status   catalogSourceStatus `json:"status"`
}

type catalogSourceSpec struct {
	Priority int `json:"priority"`
}

type catalogSourceStatus struct {
	Message    string          `json:"message"`
	Connection connectionState `json:"connectionState"`
}

type connectionState struct {
	State string `json:"lastObservedState"`
}

type extension struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     extensionSpec     `json:"spec"`
	Status   extensionStatus   `json:"status"`
}

type extensionSpec struct {
	Source struct {
		Catalog struct {
			Package string `json:"packageName"`
		} `json:"catalog"`
	} `json:"source"`
}

type extensionStatus struct {
	Conditions []condition `json:"conditions"`
	Install    struct {
		Bundle struct {
			Version string `json:"version"`
		} `json:"bundle"`
	} `json:"install"`
}

// list reads the objects of a kind, in the order of their names.
func list[T any](ctx context.Context, reader Lister, kind schema.GroupVersionKind, options ...client.ListOption) ([]T, error) {
	objects := &unstructured.UnstructuredList{}
	objects.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := reader.List(ctx, objects, options...); err != nil {
		return nil, fmt.Errorf("listing %ss: %w", kind.Kind, err)
	}
	slices.SortFunc(objects.Items, func(a, b unstructured.Unstructured) int { return compare(&a, &b) })
	all := make([]T, 0, len(objects.Items))
	for i := range objects.Items {
		decoded, err := decode[T](&objects.Items[i])
		if err != nil {
			return nil, err
		}
		all = append(all, decoded)
	}
	return all, nil
}

// get reads an object; nil if it does not exist.
func get[T any](ctx context.Context, reader client.Reader, kind schema.GroupVersionKind, key client.ObjectKey) (*T, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	switch err := reader.Get(ctx, key, object); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s %s: %w", kind.Kind, key, err)
	}
	decoded, err := decode[T](object)
	return &decoded, err
}

func decode[T any](object *unstructured.Unstructured) (T, error) {
	var decoded T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &decoded); err != nil {
		return decoded, fmt.Errorf("reading %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
	}
	return decoded, nil
}

// listCSVs reads the metadata of ClusterServiceVersions that are no copies, in the order of their names. The whole objects
// can be some hundred kilobytes each.
func listCSVs(ctx context.Context, reader Lister, options ...client.ListOption) ([]metav1.PartialObjectMetadata, error) {
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(csvKind.GroupVersion().WithKind(csvKind.Kind + "List"))
	if err := reader.List(ctx, objects, options...); err != nil {
		return nil, fmt.Errorf("listing %ss: %w", csvKind.Kind, err)
	}
	all := slices.DeleteFunc(objects.Items, func(object metav1.PartialObjectMetadata) bool {
		_, copied := object.Labels[copiedFrom]
		return copied
	})
	slices.SortFunc(all, func(a, b metav1.PartialObjectMetadata) int { return compare(&a, &b) })
	return all, nil
}

func compare(a, b metav1.Object) int {
	return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}

// isOurs is whether the installer made an object for the operator.
func isOurs(dependency dependencies.Dependency, labels map[string]string) bool {
	return labels[dependencies.Label] == dependency.ID()
}

// hasPackage is whether a package is one of the operator's.
func hasPackage(dependency dependencies.Dependency, name string) bool {
	return slices.ContainsFunc(dependency.Packages, func(p dependencies.Package) bool { return p.Name == name })
}

// packageOf is the package of the operator that a ClusterServiceVersion was installed from, if it is one of the operator's.
// OLM's label outlives the Subscription; the annotation is for the moments before OLM has put on the label.
func packageOf(dependency dependencies.Dependency, object metav1.Object) (string, bool) {
	for _, p := range dependency.Packages {
		if _, labelled := object.GetLabels()[componentLabel(p.Name, object.GetNamespace())]; labelled {
			return p.Name, true
		}
	}
	name := packageProperty(object.GetAnnotations()[propertiesAnnotation])
	return name, hasPackage(dependency, name)
}

// componentLabel is OLM's label for what belongs to a package in a namespace.
func componentLabel(packageName, namespace string) string {
	const limit = 63
	name := packageName + "." + namespace
	if len(name) > limit {
		name = strings.TrimRight(name[:limit], "._-")
	}
	return componentPrefix + name
}

// properties is what the annotation of a ClusterServiceVersion holds.
type properties struct {
	Properties []property `json:"properties"`
}

type property struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

const packagePropertyType = "olm.package"

func packageProperty(annotation string) string {
	var all properties
	if json.Unmarshal([]byte(annotation), &all) != nil {
		return ""
	}
	for _, p := range all.Properties {
		var value struct {
			Name string `json:"packageName"`
		}
		if p.Type == packagePropertyType && json.Unmarshal(p.Value, &value) == nil {
			return value.Name
		}
	}
	return ""
}
