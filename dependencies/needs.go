package dependencies

import (
	"slices"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// Need is an operator that a platform needs.
type Need struct {
	// Operator is its name in the table.
	Operator string
	// Components that need it, by their names.
	Components []string
	// Kinds of the operator that they render.
	Kinds []kinds.Kind
}

// Needed lists the operators that a platform needs, in the order of the table: those that bring the kinds which the
// wanted components render. all is what this binary can deploy; the rest of a spec needs nothing. It is all that a spec
// can say about operators: names, and nothing of where they come from.
func Needed(table Table, all []components.Component, facts components.Facts) []Need {
	needs := map[string]*Need{}
	for _, component := range all {
		if _, wanted := components.StateOf(component, facts); !wanted {
			continue
		}
		for _, use := range components.UsesOf(component) {
			if _, known := table.Find(use.Provider); !known || use.Optional {
				continue // a kind of Kubernetes, of the kind of cluster, or one that the component does without
			}
			need := needs[use.Provider]
			if need == nil {
				need = &Need{Operator: use.Provider}
				needs[use.Provider] = need
			}
			if !slices.Contains(need.Components, component.Name()) {
				need.Components = append(need.Components, component.Name())
			}
			need.Kinds = append(need.Kinds, use.Kind)
		}
	}
	var ordered []Need
	for _, operator := range table {
		if need := needs[operator.Name]; need != nil {
			ordered = append(ordered, *need)
		}
	}
	return ordered
}

// FindID returns the operator with that ID.
func (t Table) FindID(id string) (Operator, bool) {
	for _, operator := range t {
		if operator.ID() == id {
			return operator, true
		}
	}
	return Operator{}, false
}
