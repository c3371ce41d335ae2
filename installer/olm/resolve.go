package olm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

// Candidate is what to subscribe to.
type Candidate struct {
	Package dependencies.Package
	Catalog dependencies.Catalog
}

// NotOffered is whether an error of Resolve says that the catalogues do not have the operator in a form that will do, so that it
// may as well come by other ways. The other problems can be solved: a catalogue that cannot be reached, or a choice that a
// person must make.
func NotOffered(err error) bool {
	var problem *components.Failure
	return errors.As(err, &problem) && problem.Reason == v1alpha1.ReasonPackageNotFound
}

// Resolve picks a package of the operator and a catalogue that has it, in the channel, version and install mode that the table
// asks for. A *components.Failure says why none will do; see NotOffered. Catalogues that the table names come first, in its
// order, then any other, by the priority of its CatalogSource. One that is there but cannot be reached is waited for: which
// vendor's build is installed must not depend on the moment.
func (o *OLM) Resolve(ctx context.Context, dependency dependencies.Dependency, openShift bool) (Candidate, error) {
	dependency = dependency.For(openShift)
	sources, err := list[catalogSource](ctx, o.cached, catalogKind)
	if err != nil {
		return Candidate{}, fmt.Errorf("looking for a catalogue with %s: %w", dependency.Name, err)
	}
	var refused []string
	for _, p := range dependency.Packages {
		candidate, why, err := o.resolvePackage(ctx, dependency, p, sources)
		if err != nil || why == "" {
			return candidate, err
		}
		refused = append(refused, why)
	}
	if len(refused) == 0 {
		refused = []string{"there is no package of " + dependency.Name + " for this kind of cluster"}
	}
	return Candidate{}, notOffered.of(object{}, "%s", strings.Join(refused, "; "))
}

// resolvePackage resolves one package, or says why it is refused.
func (o *OLM) resolvePackage(ctx context.Context, dependency dependencies.Dependency, p dependencies.Package, sources []catalogSource) (
	candidate Candidate, refused string, err error) {
	offers, err := o.offers(ctx, dependency.Namespace, p.Name)
	if err != nil {
		return Candidate{}, "", err
	}
	for _, catalog := range p.Catalogs {
		source := sourceOf(sources, catalog)
		if source != nil && !source.reachable() {
			return Candidate{}, "", source.unavailable("package " + p.Name)
		}
		if !slices.Contains(offers, catalog) {
			continue
		}
		candidate, why, err := o.examine(ctx, dependency, p, catalog)
		if err != nil || why == "" {
			return candidate, "", err
		}
		refused = cmp.Or(refused, why)
	}
	candidate, why, err := o.resolveAnywhere(ctx, dependency, p, offers, sources)
	if err != nil || why == "" {
		return candidate, "", err
	}
	return Candidate{}, cmp.Or(refused, why), nil
}

// resolveAnywhere tries the catalogues that the table does not name.
func (o *OLM) resolveAnywhere(ctx context.Context, dependency dependencies.Dependency, p dependencies.Package, offers []dependencies.Catalog,
	sources []catalogSource) (candidate Candidate, refused string, err error) {
	var best []Candidate
	var silent *catalogSource
	highest := 0
	for _, catalog := range offers {
		source := sourceOf(sources, catalog)
		if slices.Contains(p.Catalogs, catalog) || source == nil { // deleted a moment ago
			continue
		}
		if !source.reachable() {
			silent = source
			continue
		}
		candidate, why, err := o.examine(ctx, dependency, p, catalog)
		switch {
		case err != nil:
			return Candidate{}, "", err
		case why != "":
			refused = cmp.Or(refused, why)
		case len(best) == 0 || source.Spec.Priority > highest:
			best, highest = []Candidate{candidate}, source.Spec.Priority
		case source.Spec.Priority == highest:
			best = append(best, candidate)
		}
	}
	switch {
	case len(best) == 1:
		return best[0], "", nil
	case len(best) > 1:
		var names []string
		for _, candidate := range best {
			names = append(names, nameOf(candidate.Catalog))
		}
		slices.Sort(names)
		return Candidate{}, "", ambiguous.of(sourceOf(sources, best[0].Catalog).object(),
			"package %s is in several catalogues of the same priority: %s", p.Name, strings.Join(names, ", "))
	case silent != nil:
		return Candidate{}, "", silent.unavailable("package " + p.Name)
	case refused != "":
		return Candidate{}, refused, nil
	}
	return absent(dependency, p, sources)
}

// absent says that no catalogue has a package, and which ones could not be asked.
func absent(dependency dependencies.Dependency, p dependencies.Package, sources []catalogSource) (_ Candidate, refused string, _ error) {
	var asked, silent []string
	for _, source := range sources {
		if source.reachable() {
			asked = append(asked, nameOf(source.key()))
		} else {
			silent = append(silent, nameOf(source.key()))
		}
	}
	unreached := strings.Join(silent, ", ")
	if len(asked) == 0 && len(silent) > 0 {
		return Candidate{}, "", allUnreachable.of(object{}, "OLM cannot reach any catalogue, so nobody knows whether one has package %s: %s", p.Name, unreached)
	}
	if unreached != "" {
		unreached = " (it cannot reach " + unreached + ")"
	}
	return Candidate{}, fmt.Sprintf("none of OLM's catalogues offers package %s to namespace %s: %s%s",
		p.Name, dependency.Namespace, cmp.Or(strings.Join(asked, ", "), "it has none"), unreached), nil
}

// examine looks at what a catalogue has of a package, and says why that is refused.
func (o *OLM) examine(ctx context.Context, dependency dependencies.Dependency, p dependencies.Package, catalog dependencies.Catalog) (
	_ Candidate, refused string, _ error) {
	m, err := o.manifest(ctx, dependency.Namespace, p.Name, catalog)
	if err != nil {
		return Candidate{}, "", err
	}
	i := slices.IndexFunc(m.Status.Channels, func(c channel) bool { return c.Name == p.Channel })
	if i < 0 {
		return Candidate{}, fmt.Sprintf("package %s of catalogue %s has no channel %s, but %s",
			p.Name, nameOf(catalog), p.Channel, strings.Join(m.channels(), ", ")), nil
	}
	head := m.Status.Channels[i]
	if version := head.Description.Version; !dependency.Supports(version) {
		return Candidate{}, fmt.Sprintf("channel %s of package %s of catalogue %s leads to version %s, and components work with %s %s only; its channels are %s",
			p.Channel, p.Name, nameOf(catalog), version, dependency.Name, dependency.Versions, strings.Join(m.channels(), ", ")), nil
	}
	if !head.supports(p.InstallMode) {
		return Candidate{}, fmt.Sprintf("%s of package %s of catalogue %s cannot watch %s (its install modes are %s)",
			head.CSV, p.Name, nameOf(catalog), needs(p.InstallMode, dependency.Namespace), strings.Join(head.modes(), ", ")), nil
	}
	return Candidate{Package: p, Catalog: catalog}, "", nil
}

func nameOf(catalog dependencies.Catalog) string { return catalog.Namespace + "/" + catalog.Name }

func sourceOf(sources []catalogSource, catalog dependencies.Catalog) *catalogSource {
	for i := range sources {
		if sources[i].key() == catalog {
			return &sources[i]
		}
	}
	return nil
}

func (s catalogSource) key() dependencies.Catalog {
	return dependencies.Catalog{Name: s.Metadata.Name, Namespace: s.Metadata.Namespace}
}

func (s catalogSource) object() object {
	return object{catalogKind, s.Metadata.Namespace, s.Metadata.Name}
}

// reachable is whether OLM has a connection to the catalogue, or would make one at once.
func (s catalogSource) reachable() bool {
	return s.Status.Connection.State == "READY" || s.Status.Connection.State == "IDLE"
}

// unavailable says that OLM cannot reach the catalogue that something is to come from.
func (s catalogSource) unavailable(what string) *components.Failure {
	connection := "the connection is " + s.Status.Connection.State
	switch {
	case s.Status.Connection.State == "":
		connection = "there is no connection yet"
	case s.reachable():
		connection = "its Pod or its Service is not as OLM wants it"
	}
	return unreachable.of(s.object(), "OLM cannot reach %s, which %s is to come from: %s", s.object(), what, sentences(connection, quote(s.Status.Message)))
}
