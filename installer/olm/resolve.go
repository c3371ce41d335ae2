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
	// CSV that its channel leads to now, and the version that this has.
	CSV     string
	Version string
}

// NotOffered is whether an error of Resolve says that the catalogues do not have the operator in a form that will do, so that it
// may as well come by other ways. The other problems end: a catalogue that cannot be reached, or a choice that a person
// must make.
func NotOffered(err error) bool {
	var problem *components.Failure
	if !errors.As(err, &problem) {
		return false
	}
	switch problem.Reason {
	case v1alpha1.ReasonPackageNotFound, v1alpha1.ReasonChannelNotFound, v1alpha1.ReasonVersionNotSupported, v1alpha1.ReasonInstallModeNotSupported:
		return true
	}
	return false
}

// Resolve picks a package of the operator and a catalogue that has it, in the channel, version and install mode that the table
// asks for. A *components.Failure says why none will do; see NotOffered. Catalogues that the table names come first, in its
// order, then any other, by the priority of its CatalogSource. A named one that is there but cannot be reached is
// waited for: which vendor's build is installed must not depend on the moment.
func (o *OLM) Resolve(ctx context.Context, operator dependencies.Operator, openShift bool) (Candidate, error) {
	operator = operator.For(openShift)
	if len(operator.Packages) == 0 {
		return Candidate{}, dependencies.Blocked(v1alpha1.ReasonPackageNotFound,
			"%s has no package for OLM on this kind of cluster; let the ConfigMap of the installer say way: Helm for it", operator.Name)
	}
	sources, err := list[catalogSource](ctx, o.cached, catalogKind)
	if err != nil {
		return Candidate{}, fmt.Errorf("looking for a catalogue with %s: %w", operator.Name, err)
	}
	var first error
	for _, p := range operator.Packages {
		candidate, err := o.resolvePackage(ctx, operator, p, sources)
		if err == nil || !NotOffered(err) {
			return candidate, err
		}
		if first == nil || isNotFound(first) && !isNotFound(err) {
			first = err
		}
	}
	return Candidate{}, first
}

// isNotFound is whether a package is in no catalogue, which says less than what is wrong with one that is.
func isNotFound(err error) bool {
	var problem *components.Failure
	return errors.As(err, &problem) && problem.Reason == v1alpha1.ReasonPackageNotFound
}

func (o *OLM) resolvePackage(ctx context.Context, operator dependencies.Operator, p dependencies.Package, sources []catalogSource) (Candidate, error) {
	offers, err := o.offers(ctx, operator.Namespace, p.Name)
	if err != nil {
		return Candidate{}, err
	}
	var refused error // why the first catalogue with the package does not do
	for _, catalog := range p.Catalogs {
		source := sourceOf(sources, catalog)
		if source != nil && !source.reachable() {
			return Candidate{}, unavailable("package "+p.Name, *source)
		}
		if !slices.Contains(offers, catalog) {
			continue
		}
		candidate, err := o.examine(ctx, operator, p, catalog)
		if err == nil || !NotOffered(err) {
			return candidate, err
		}
		refused = cmp.Or(refused, err)
	}
	candidate, err := o.resolveAnywhere(ctx, operator, p, offers, sources)
	if err != nil && NotOffered(err) {
		return Candidate{}, cmp.Or(refused, err)
	}
	return candidate, err
}

// resolveAnywhere tries the catalogues that the table does not name.
func (o *OLM) resolveAnywhere(ctx context.Context, operator dependencies.Operator, p dependencies.Package, offers []dependencies.Catalog,
	sources []catalogSource) (Candidate, error) {
	var best []Candidate
	var refused error
	highest := 0
	for _, catalog := range offers {
		if slices.Contains(p.Catalogs, catalog) {
			continue
		}
		source := sourceOf(sources, catalog)
		if source == nil {
			continue // deleted a moment ago
		}
		if !source.reachable() {
			refused = cmp.Or[error](refused, unavailable("package "+p.Name, *source))
			continue
		}
		candidate, err := o.examine(ctx, operator, p, catalog)
		switch {
		case err != nil && !NotOffered(err):
			return Candidate{}, err
		case err != nil:
			refused = cmp.Or(refused, err)
		case len(best) == 0 || source.Spec.Priority > highest:
			best, highest = []Candidate{candidate}, source.Spec.Priority
		case source.Spec.Priority == highest:
			best = append(best, candidate)
		}
	}
	switch {
	case len(best) == 1:
		return best[0], nil
	case len(best) > 1:
		return Candidate{}, ambiguous(operator, p, best)
	case refused != nil:
		return Candidate{}, refused
	}
	return Candidate{}, absent(operator, p, sources)
}

func ambiguous(operator dependencies.Operator, p dependencies.Package, best []Candidate) error {
	names := make([]string, 0, len(best))
	for _, candidate := range best {
		names = append(names, nameOf(candidate.Catalog))
	}
	slices.Sort(names)
	return dependencies.Blocked(v1alpha1.ReasonAmbiguousCatalog,
		"package %s is in several catalogues of the same priority: %s; name one as the catalogue of %s in the ConfigMap of the installer, "+
			"or give one a higher priority: %s", p.Name, strings.Join(names, ", "), operator.Name,
		kubectl(best[0].Catalog.Namespace, `patch catalogsources.operators.coreos.com %s --type merge --patch '{"spec":{"priority":1}}'`, best[0].Catalog.Name))
}

// absent says that a package is nowhere, and which catalogues could not be asked.
func absent(operator dependencies.Operator, p dependencies.Package, sources []catalogSource) error {
	var asked, silent []string
	for _, source := range sources {
		if source.reachable() {
			asked = append(asked, nameOf(source.key()))
		} else {
			silent = append(silent, nameOf(source.key()))
		}
	}
	switch {
	case len(asked) == 0 && len(silent) > 0:
		return dependencies.Failed(v1alpha1.ReasonCatalogUnavailable,
			"OLM cannot reach any catalogue, so nobody knows whether one has package %s: %s; see kubectl get catalogsources --all-namespaces",
			p.Name, strings.Join(silent, ", "))
	case len(asked) == 0:
		return dependencies.Blocked(v1alpha1.ReasonPackageNotFound,
			"OLM has no catalogue at all, and so not package %s; create a CatalogSource, or let the ConfigMap of the installer say way: Helm for %s",
			p.Name, operator.Name)
	}
	unreached := ""
	if len(silent) > 0 {
		unreached = " (it cannot reach " + strings.Join(silent, ", ") + ")"
	}
	return dependencies.Blocked(v1alpha1.ReasonPackageNotFound,
		"none of OLM's catalogues offers package %s to namespace %s: %s%s; create a CatalogSource that has it, "+
			"or let the ConfigMap of the installer say way: Helm for %s",
		p.Name, operator.Namespace, strings.Join(asked, ", "), unreached, operator.Name)
}

// examine looks at what a catalogue has of a package.
func (o *OLM) examine(ctx context.Context, operator dependencies.Operator, p dependencies.Package, catalog dependencies.Catalog) (Candidate, error) {
	m, err := o.manifest(ctx, operator.Namespace, p.Name, catalog)
	if err != nil {
		return Candidate{}, err
	}
	i := slices.IndexFunc(m.Status.Channels, func(c channel) bool { return c.Name == p.Channel })
	if i < 0 {
		return Candidate{}, dependencies.Blocked(v1alpha1.ReasonChannelNotFound,
			"package %s of catalogue %s has no channel %s, but %s; name one of these for %s in the ConfigMap of the installer",
			p.Name, nameOf(catalog), p.Channel, strings.Join(m.channels(), ", "), operator.Name)
	}
	head := m.Status.Channels[i]
	if !operator.Supports(head.Description.Version) {
		return Candidate{}, dependencies.Blocked(v1alpha1.ReasonVersionNotSupported,
			"channel %s of package %s of catalogue %s leads to version %s, and components work with %s %s only; "+
				"name another channel for it in the ConfigMap of the installer: %s",
			p.Channel, p.Name, nameOf(catalog), head.Description.Version, operator.Name, operator.Versions, strings.Join(m.channels(), ", "))
	}
	if !head.supports(p.InstallMode) {
		return Candidate{}, dependencies.Blocked(v1alpha1.ReasonInstallModeNotSupported,
			"%s of package %s of catalogue %s cannot watch %s (its install modes are %s); "+
				"name another channel or install mode for %s in the ConfigMap of the installer, or let it say way: Helm",
			head.CSV, p.Name, nameOf(catalog), needs(p.InstallMode, operator.Namespace), strings.Join(head.modes(), ", "), operator.Name)
	}
	return Candidate{Package: p, Catalog: catalog, CSV: head.CSV, Version: head.Description.Version}, nil
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

// reachable is whether OLM has a connection to the catalogue, or would make one at once.
func (s catalogSource) reachable() bool {
	return s.Status.Connection.State == "READY" || s.Status.Connection.State == "IDLE"
}

// trouble is what OLM says of a catalogue that it cannot reach.
func (s catalogSource) trouble() string {
	state := "the connection is " + s.Status.Connection.State
	switch {
	case s.Status.Connection.State == "":
		state = "there is no connection yet"
	case s.reachable():
		state = "its Pod or its Service is not as OLM wants it"
	}
	return sentences(state, quote(s.Status.Message))
}
