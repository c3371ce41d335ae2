package watch

import (
	"encoding/json"
	"fmt"
	"sync"
	"unique"
	"weak"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"opendatahub.io/operator/components"
)

// child is one object of a platform in the form in which it is kept. An object as a tree of maps takes ten times the memory
// of its JSON, and most objects are read a few times and then never again; so the JSON is kept, and the tree is decoded when
// it is read, and shared for as long as it is in use.
type child struct {
	key     types.NamespacedName
	uid     types.UID
	version string // the resource version
	owner   unique.Handle[owner]

	raw []byte      // the stripped object, unless it is a Pod
	pod *corev1.Pod // the stripped Pod

	mu   sync.Mutex
	tree weak.Pointer[unstructured.Unstructured]
}

// owner is the component of a platform that an object belongs to.
type owner struct {
	platform  types.NamespacedName
	component string
}

// childOf strips an object that a watch or a write delivered. It must not be used afterwards.
func childOf(object any, of grouping) (*child, error) {
	switch object := object.(type) {
	case *child:
		return object, nil
	case *corev1.Pod:
		stripped, err := StripPod(object)
		if err != nil {
			return nil, err
		}
		kept := identify(stripped.(*corev1.Pod), of)
		kept.pod = stripped.(*corev1.Pod)
		return kept, nil
	case *unstructured.Unstructured:
		if object.GetKind() == "Pod" && object.GetAPIVersion() == "v1" {
			return nil, fmt.Errorf("a Pod that is not typed")
		}
		stripped, err := StripChild(object)
		if err != nil {
			return nil, err
		}
		kept := identify(stripped, of)
		if kept.raw, err = json.Marshal(stripped.Object); err != nil {
			return nil, fmt.Errorf("encoding %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		return kept, nil
	default:
		return nil, fmt.Errorf("%T is no object of a platform", object)
	}
}

func identify(object metav1.Object, of grouping) *child {
	return &child{
		key:     types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()},
		uid:     object.GetUID(),
		version: object.GetResourceVersion(),
		owner:   unique.Make(of.OwnerOf(object.GetNamespace(), object.GetLabels())),
	}
}

// grouping is the label by which objects are watched, and which says whose they are.
type grouping struct {
	label string
	// platforms is whether other labels say which platform's an object is.
	platforms bool
}

// ownerOf goes by the labels: objects that hold data have no owner reference.
func (g grouping) OwnerOf(namespace string, labels map[string]string) owner {
	if !g.platforms {
		return owner{component: labels[g.label]}
	}
	if labels[components.LabelPlatformNamespace] != "" {
		namespace = labels[components.LabelPlatformNamespace]
	}
	return owner{
		platform:  types.NamespacedName{Namespace: namespace, Name: labels[components.LabelPlatform]},
		component: labels[g.label],
	}
}

// object is the whole object. It is shared, and must not be changed.
func (c *child) object() (*unstructured.Unstructured, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tree := c.tree.Value(); tree != nil {
		return tree, nil
	}
	tree := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(c.raw, &tree.Object); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", c.key, err)
	}
	c.tree = weak.Make(tree)
	return tree, nil
}

// GetNamespace and the following identify the object for an Overlay.
func (c *child) GetNamespace() string { return c.key.Namespace }

// GetName is the name of the object.
func (c *child) GetName() string { return c.key.Name }

// GetUID is the UID of the object.
func (c *child) GetUID() types.UID { return c.uid }

// GetResourceVersion is the version of the object.
func (c *child) GetResourceVersion() string { return c.version }

// GetObjectMeta lets a reflector find the key and the version of what it keeps while it lists.
func (c *child) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: c.key.Namespace, Name: c.key.Name, UID: c.uid, ResourceVersion: c.version}
}

// GetObjectKind and DeepCopyObject let a watch deliver what is kept.
func (*child) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. What is kept is never changed.
func (c *child) DeepCopyObject() runtime.Object { return c }
