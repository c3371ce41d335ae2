package components

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/components/kinds"
)

// WithUses is a component that uses some of its kinds in a way of its own.
type WithUses interface {
	// Uses lists these kinds. The others of Kinds are rendered, watched, pruned and removed, and that is all.
	Uses() []Use
}

// Use is how a component uses a kind.
type Use struct {
	kinds.Kind
	// Optional kinds are rendered where the cluster serves them and left out elsewhere: nothing is installed for them, and when
	// one is served later, its objects are created.
	Optional bool
	// Needed is whether a spec takes the kind, so that the third-party operator that serves it is installed: for the objects that the
	// component renders, or for those that people make. Nil: every spec does.
	Needed func(Facts) bool
	// Foreign kinds are not rendered: others make their objects, for the whole cluster, and the component never writes them.
	Foreign bool
	// Keep takes from an object of a foreign kind what the component does not look at; what it leaves is in Facts.Found, and a change of
	// it wakes the component. Nil: the component reads none of them, and it only matters whether the cluster serves the kind.
	Keep func(*unstructured.Unstructured)
	// Release is a JSON patch that is put on an object before it is deleted while data is kept, so that its operator lets go
	// of what the object stands for instead of deleting that too. Such objects have no owner reference to the platform:
	// garbage collection, as of kubectl delete --cascade=foreground, would delete them unreleased.
	Release string
	// Destroy is how data of such objects is deleted that takes more than deletionPolicy Delete. Nil: that is enough.
	Destroy *Destruction
	// Granted kinds are created and changed by rights that the component has granted, see WithGrants. The manager's own roles leave these
	// rights out.
	Granted bool
	// Subresources are the verbs that deploying the kind takes on its subresources, by their names.
	Subresources map[string][]string
}

// Destruction is the end of data that the spec has to confirm. Until then nothing of the component's data is deleted, and what
// serves it goes on.
type Destruction struct {
	// Confirmed reports whether the spec does. It is asked with the spec as it is at the removal, in which the component's block
	// may be missing, and with the objects of Facts.Live.
	Confirmed func(Facts) bool
	// Patch is a merge patch that is put on an object right before it is deleted together with its data, so that its operator wipes
	// what the object stands for.
	Patch string
}

// Needs reports whether a spec takes a kind that only a third-party operator serves.
func (u Use) Needs(facts Facts) bool { return !u.Optional && (u.Needed == nil || u.Needed(facts)) }

// RenderedKinds are the kinds of a component that are not foreign.
func RenderedKinds(component Component) []kinds.Kind {
	var rendered []kinds.Kind
	for _, use := range UsesOf(component) {
		if !use.Foreign {
			rendered = append(rendered, use.Kind)
		}
	}
	return rendered
}

// KeepsData reports whether the data of a component stays when it is removed.
func KeepsData(component Component, facts Facts) bool {
	if facts.Retains() {
		return true
	}
	destruction := destructionOf(component)
	return destruction != nil && !destruction.Confirmed(facts)
}

// ServesKeptData reports whether what serves a component's data goes on when the component is removed and its data
// stays.
func ServesKeptData(component Component) bool { return destructionOf(component) != nil }

func destructionOf(component Component) *Destruction {
	for _, use := range UsesOf(component) {
		if use.Destroy != nil {
			return use.Destroy
		}
	}
	return nil
}

// UseOf is how a component uses a kind.
func UseOf(component Component, kind kinds.Kind) Use {
	if user, ok := component.(WithUses); ok {
		for _, use := range user.Uses() {
			if use.GroupKind == kind.GroupKind {
				return use
			}
		}
	}
	return Use{Kind: kind}
}

// UsesOf lists how a component uses each of its kinds, in the order of Kinds.
func UsesOf(component Component) []Use {
	uses := make([]Use, 0, len(component.Kinds()))
	for _, kind := range component.Kinds() {
		uses = append(uses, UseOf(component, kind))
	}
	return uses
}
