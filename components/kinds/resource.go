package kinds

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	metav1 "k8s.io/client-go/applyconfigurations/meta/v1"
)

// Resource is the apply configuration of a custom resource. Spec is a small struct of the component that has only the
// fields it sets, all omitempty or omitzero, so that server-side apply owns nothing that nobody chose.
type Resource[Spec any] struct {
	metav1.TypeMetaApplyConfiguration    `json:",inline"`
	*metav1.ObjectMetaApplyConfiguration `json:"metadata,omitempty"`

	Spec *Spec `json:"spec,omitempty"`
	// Status is set only to restore it, see components.Object.Subresource.
	Status any `json:"status,omitempty"`
}

// New returns a custom resource with a spec.
func New[Spec any](kind schema.GroupVersionKind, namespace, name string, spec Spec) *Resource[Spec] {
	resource := NewStatus[Spec](kind, namespace, name, nil)
	resource.Spec = &spec
	return resource
}

// NewStatus returns the status of a custom resource, without a spec.
func NewStatus[Spec any](kind schema.GroupVersionKind, namespace, name string, status any) *Resource[Spec] {
	version, kindName := kind.ToAPIVersionAndKind()
	resource := &Resource[Spec]{ObjectMetaApplyConfiguration: metav1.ObjectMeta(), Status: status}
	resource.WithAPIVersion(version).WithKind(kindName)
	resource.WithName(name)
	if namespace != "" {
		resource.WithNamespace(namespace)
	}
	return resource
}

// IsApplyConfiguration marks the type as an apply configuration.
func (*Resource[Spec]) IsApplyConfiguration() {}
