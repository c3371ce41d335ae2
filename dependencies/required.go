package dependencies

import (
	"slices"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// Requirement is a dependency of a platform.
type Requirement struct {
	// Dependency is its name in the table.
	Dependency string
	// Components that require it, by their names.
	Components []string
	// Kinds of the dependency that they render.
	Kinds []kinds.Kind
}

// Required lists the dependencies of a platform, in the order of the table: those that serve the kinds which the
// wanted components render. all is what this binary can deploy; the rest of a spec needs nothing. This is all that a spec
// can say about dependencies: which are needed, and nothing of where they come from.
func Required(table Table, all []components.Component, facts components.Facts) []Requirement {
	found := map[string]*Requirement{}
	for _, component := range all {
		if _, wanted := components.StateOf(component, facts); !wanted {
			continue
		}
		for _, use := range components.UsesOf(component) {
			if _, known := table.Find(use.Provider); !known || !use.Needs(facts) {
				continue // a kind of Kubernetes, of the kind of cluster, or one that the component or the spec does without
			}
			required := found[use.Provider]
			if required == nil {
				required = &Requirement{Dependency: use.Provider}
				found[use.Provider] = required
			}
			if !slices.Contains(required.Components, component.Name()) {
				required.Components = append(required.Components, component.Name())
			}
			required.Kinds = append(required.Kinds, use.Kind)
		}
	}
	var ordered []Requirement
	for _, dependency := range table {
		if required := found[dependency.Name]; required != nil {
			ordered = append(ordered, *required)
		}
	}
	return ordered
}

// FindID returns the dependency with that ID.
func (t Table) FindID(id string) (Dependency, bool) {
	for _, dependency := range t {
		if dependency.ID() == id {
			return dependency, true
		}
	}
	return Dependency{}, false
}
