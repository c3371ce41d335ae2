package dependencies

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	crdVersion = regexp.MustCompile(`^v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?$`)
	digest     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	chartName  = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
)

// releaseLength is Helm's own limit: it makes longer names from the release's.
const releaseLength = 53

// Validate says everything that is wrong with a table, each with its place and with what is allowed there.
func (t Table) Validate() error { return lines(t.validate()) }

// lines is one error with a line for each, and none twice: OpenShift may have the same.
func lines(found field.ErrorList) error {
	if len(found) == 0 {
		return nil
	}
	return errors.Join(found.ToAggregate().Errors()...)
}

func (t Table) validate() field.ErrorList {
	var found problems
	all := field.NewPath("operators")
	seen := map[string]string{}
	for i, dependency := range t {
		at := element(all, i, dependency.Name)
		found.dependency(at, dependency)
		if other, ok := seen[dependency.ID()]; ok && dependency.Name != "" {
			found.rule(false, at.Child("name"), dependency.Name, fmt.Sprintf("is too much like %q; letters and digits must differ", other))
		}
		seen[dependency.ID()] = dependency.Name
	}
	for _, openShift := range []bool{false, true} {
		owners := map[string]string{"": ""}
		for _, dependency := range t.For(openShift) {
			if other := owners[dependency.Namespace]; other != "" {
				found.rule(false, all.Key(dependency.Name).Child("namespace"), dependency.Namespace, "is the namespace of "+other+"; every operator needs one of its own")
			} else if dependency.Namespace != "" {
				owners[dependency.Namespace] = dependency.Name
			}
		}
	}
	return field.ErrorList(found)
}

// problems are what is wrong, one rule a line.
type problems field.ErrorList

// rule says what a value must be, if it is not.
func (p *problems) rule(holds bool, at *field.Path, value any, allowed string) {
	if !holds {
		*p = append(*p, field.Invalid(at, value, allowed))
	}
}

// need says what is missing.
func (p *problems) need(has bool, at *field.Path, allowed string) {
	if !has {
		*p = append(*p, field.Required(at, allowed))
	}
}

// not says what may not be set.
func (p *problems) not(forbidden bool, at *field.Path, why string) {
	if forbidden {
		*p = append(*p, field.Forbidden(at, why))
	}
}

func oneOf[T ~string](p *problems, at *field.Path, value T, allowed ...T) {
	if !slices.Contains(allowed, value) {
		*p = append(*p, field.NotSupported(at, value, allowed))
	}
}

func unique[T any](p *problems, at *field.Path, list []T, name func(T) string) {
	seen := map[string]bool{}
	for _, each := range list {
		if seen[name(each)] {
			*p = append(*p, field.Duplicate(at, name(each)))
		}
		seen[name(each)] = true
	}
}

func isLabel(name string) bool     { return len(validation.IsDNS1123Label(name)) == 0 }
func isSubdomain(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

const aNamespace = "must be the name of a namespace: at most 63 lower-case letters, digits and -"

func (p *problems) dependency(at *field.Path, d Dependency) {
	p.rule(isLabel(d.ID()), at.Child("name"), d.Name, "must be letters and digits, at most 63")
	p.need(len(d.CRDs) > 0, at.Child("crds"), "the operator is found by them")
	p.crds(at.Child("crds"), d.CRDs)
	for _, name := range d.Byproducts {
		p.crdName(at.Child("byproducts"), name)
	}
	_, err := semver.NewConstraint(d.Versions)
	p.rule(err == nil && d.Versions != "", at.Child("versions"), d.Versions, "must be a range of versions, such as >=1.2.0 <2.0.0-0")
	p.way(at, d.Way)
	p.rule(isLabel(d.Namespace), at.Child("namespace"), d.Namespace, aNamespace)
	for _, key := range slices.Sorted(maps.Keys(d.NamespaceLabels)) {
		for _, message := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(d.NamespaceLabels[key])...) {
			p.rule(false, at.Child("namespaceLabels").Key(key), d.NamespaceLabels[key], message)
		}
	}
	p.need(len(d.Packages)+len(d.Charts) > 0, at, "packages or charts")
	for i, pkg := range d.Packages {
		p.olmPackage(element(at.Child("packages"), i, pkg.Name), pkg)
	}
	for i, chart := range d.Charts {
		p.chart(element(at.Child("charts"), i, chart.Release), chart)
	}
	unique(p, at.Child("packages"), d.Packages, func(pkg Package) string { return pkg.Name })
	unique(p, at.Child("charts"), d.Charts, func(chart Chart) string { return chart.Release })
	if over := d.OpenShift; over != nil {
		at := at.Child("openShift")
		p.crds(at.Child("crds"), over.CRDs)
		if over.Way != "" {
			p.way(at, over.Way)
		}
		p.rule(over.Namespace == "" || isLabel(over.Namespace), at.Child("namespace"), over.Namespace, aNamespace)
		for _, release := range slices.Sorted(maps.Keys(over.Values)) {
			oneOf(p, at.Child("values"), release, releases(d.Charts)...)
		}
	}
	for _, openShift := range []bool{false, true} {
		on := d.For(openShift)
		p.rule(on.Way != WayHelm || len(d.Charts) > 0, at.Child("way"), on.Way, "there are no charts")
		p.rule(on.Way != WayOLM || len(d.Packages) > 0, at.Child("way"), on.Way, "there are no packages")
	}
}

func (p *problems) crds(list *field.Path, crds []CRD) {
	for i, crd := range crds {
		at := element(list, i, crd.Name)
		p.crdName(at.Child("name"), crd.Name)
		p.need(len(crd.Versions) > 0, at.Child("versions"), "as in v1")
		for _, version := range crd.Versions {
			p.rule(crdVersion.MatchString(version), at.Child("versions"), version, "must be a version of an API, such as v1 or v1beta2")
		}
	}
}

func (p *problems) crdName(at *field.Path, name string) {
	_, group, _ := strings.Cut(name, ".")
	p.rule(group != "" && isSubdomain(name), at, name, "must be PLURAL.GROUP, as in kafkas.kafka.strimzi.io")
}

func (p *problems) way(at *field.Path, way Way) {
	oneOf(p, at.Child("way"), way, WayAuto, WayOLM, WayHelm, WayNone)
}

func (p *problems) olmPackage(at *field.Path, pkg Package) {
	p.rule(isSubdomain(pkg.Name), at.Child("name"), pkg.Name, "must be the name of a package, such as strimzi-kafka-operator")
	p.rule(pkg.Channel != "" && !strings.ContainsAny(pkg.Channel, " \t\n"), at.Child("channel"), pkg.Channel,
		"must be the name of a channel: the default of a catalogue is not where new versions land")
	p.need(len(pkg.Catalogs) > 0, at.Child("catalogs"), "with name and namespace")
	for i, catalog := range pkg.Catalogs {
		in := element(at.Child("catalogs"), i, catalog.Name)
		p.rule(isSubdomain(catalog.Name), in.Child("name"), catalog.Name, "must be the name of a CatalogSource, such as community-operators")
		p.rule(isLabel(catalog.Namespace), in.Child("namespace"), catalog.Namespace, aNamespace)
	}
	oneOf(p, at.Child("installMode"), pkg.InstallMode, AllNamespaces, OwnNamespace)
	oneOf(p, at.Child("approval"), pkg.Approval, "", ApprovalAutomatic, ApprovalManual)
	p.not(pkg.OpenShiftOnly && pkg.KubernetesOnly, at, "openShiftOnly and kubernetesOnly exclude each other")
}

func (p *problems) chart(at *field.Path, chart Chart) {
	kind := chart.kind()
	p.rule(isLabel(chart.Release) && len(chart.Release) <= releaseLength, at.Child("release"), chart.Release,
		fmt.Sprintf("must be at most %d lower-case letters, digits and -", releaseLength))
	p.rule(kind != unknownChart, at.Child("chart"), shown(chart.Chart), "must be oci://HOST/PATH/NAME, https://HOST/PATH/NAME (http:// with plainHTTP: true), "+
		"or the absolute path of a folder or of a .tgz, without the version")
	p.not(chart.PlainHTTP && kind != unknownChart && kind != ociChart && !strings.HasPrefix(chart.Chart, "http://"), at.Child("plainHTTP"),
		"is for oci:// and http:// only")
	_, err := semver.StrictNewVersion(strings.TrimPrefix(chart.Version, "v"))
	p.rule(err == nil, at.Child("version"), chart.Version, "must be exactly one version, such as 1.2.0")
	p.rule(chart.Digest == "" || digest.MatchString(chart.Digest), at.Child("digest"), chart.Digest,
		"must be sha256: and the 64 digits that sha256sum prints for the chart's .tgz")
	p.not(chart.Digest != "" && kind == localChart && path.Ext(chart.Chart) != ".tgz", at.Child("digest"), "folders have none; use a .tgz")
}

// chartKind is the form of a reference to a chart.
type chartKind int

const (
	unknownChart chartKind = iota
	ociChart
	httpChart
	localChart
)

func (c Chart) kind() chartKind {
	if strings.HasPrefix(c.Chart, "/") {
		if path.Clean(c.Chart) != c.Chart || c.Chart == "/" {
			return unknownChart
		}
		return localChart
	}
	return urlKind(c.Chart, c.PlainHTTP)
}

// urlKind is the form of an address with a host and a path. Credentials are no part of it: it is shown in messages.
func urlKind(address string, plainHTTP bool) chartKind {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" ||
		path.Clean(parsed.Path) != parsed.Path || !chartName.MatchString(path.Base(parsed.Path)) {
		return unknownChart
	}
	switch {
	case parsed.Scheme == "oci":
		return ociChart
	case parsed.Scheme == "https", parsed.Scheme == "http" && plainHTTP:
		return httpChart
	}
	return unknownChart
}

// shown is an address for messages, without a password.
func shown(address string) string {
	if parsed, err := url.Parse(address); err == nil {
		return parsed.Redacted()
	}
	return "(not a URL)"
}

func releases(charts []Chart) []string {
	var names []string
	for _, chart := range charts {
		names = append(names, chart.Release)
	}
	return names
}
