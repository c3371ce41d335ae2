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
)

var (
	crdVersion = regexp.MustCompile(`^v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?$`)
	digest     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	chartName  = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
)

// releaseLength is Helm's own limit: it makes longer names from the release's.
const releaseLength = 53

// Validate says everything that is wrong with a table, each with its place and with what is allowed there.
func (t Table) Validate() error {
	var found problems
	seen := map[string]string{}
	for i, operator := range t {
		place := fmt.Sprintf("operators[%s]", operator.Name)
		if operator.Name == "" {
			place = fmt.Sprintf("operators[%d]", i)
		}
		found.operator(place, operator)
		if other, ok := seen[operator.ID()]; ok && operator.Name != "" {
			found.add(place+".name", "%q is too much like %q, which is in the table too; letters and digits must differ", operator.Name, other)
		}
		seen[operator.ID()] = operator.Name
	}
	for _, openShift := range []bool{false, true} {
		found.namespaces(t, openShift)
	}
	return errors.Join(found...)
}

type problems []error

// add reports each problem once, though OpenShift may have it too.
func (p *problems) add(place, format string, args ...any) {
	problem := place + ": " + fmt.Sprintf(format, args...)
	if !slices.ContainsFunc(*p, func(err error) bool { return err.Error() == problem }) {
		*p = append(*p, errors.New(problem))
	}
}

func (p *problems) namespaces(t Table, openShift bool) {
	owners := map[string]string{}
	for _, operator := range t.For(openShift) {
		if other, ok := owners[operator.Namespace]; ok && operator.Namespace != "" {
			p.add(fmt.Sprintf("operators[%s].namespace", operator.Name), "%q is the namespace of %s; every operator needs one of its own",
				operator.Namespace, other)
		}
		owners[operator.Namespace] = operator.Name
	}
}

func (p *problems) operator(place string, o Operator) {
	if messages := validation.IsDNS1123Label(o.ID()); len(messages) > 0 {
		p.add(place+".name", "%q gives no label; use letters and digits, and at most 63", o.Name)
	}
	if len(o.CRDs) == 0 {
		p.add(place+".crds", "name at least one CustomResourceDefinition: the operator is found by them")
	}
	p.crds(place, o.CRDs)
	for _, name := range o.Byproducts {
		p.crdName(place+".byproducts", name)
	}
	if _, err := semver.NewConstraint(o.Versions); err != nil || o.Versions == "" {
		p.add(place+".versions", "%q is not a range of versions; use one such as %q", o.Versions, ">=1.2.0 <2.0.0-0")
	}
	p.way(place, o.Way)
	p.dnsLabel(place+".namespace", o.Namespace)
	for _, key := range slices.Sorted(maps.Keys(o.NamespaceLabels)) {
		value := o.NamespaceLabels[key]
		for _, message := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...) {
			p.add(place+".namespaceLabels", "%s=%s: %s", key, value, message)
		}
	}
	if len(o.Packages) == 0 && len(o.Charts) == 0 {
		p.add(place, "has neither packages nor charts; name at least one of them")
	}
	for i, pkg := range o.Packages {
		p.olmPackage(elementPlace(place+".packages", i, map[string]any{"name": pkg.Name}), pkg)
	}
	for i, chart := range o.Charts {
		p.chart(elementPlace(place+".charts", i, map[string]any{"release": chart.Release}), chart)
	}
	repeated(p, place+".packages", "name", o.Packages, func(pkg Package) string { return pkg.Name })
	repeated(p, place+".charts", "release", o.Charts, func(chart Chart) string { return chart.Release })
	if o.OpenShift != nil {
		p.override(place+".openShift", o)
	}
	for _, openShift := range []bool{false, true} {
		switch on := o.For(openShift); {
		case on.Way == WayHelm && len(o.Charts) == 0:
			p.add(place+".way", "is Helm, and there are no charts")
		case on.Way == WayOLM && len(o.Packages) == 0:
			p.add(place+".way", "is OLM, and there are no packages")
		}
	}
}

func (p *problems) override(place string, o Operator) {
	p.crds(place, o.OpenShift.CRDs)
	if o.OpenShift.Way != "" {
		p.way(place, o.OpenShift.Way)
	}
	if o.OpenShift.Namespace != "" {
		p.dnsLabel(place+".namespace", o.OpenShift.Namespace)
	}
	for _, release := range slices.Sorted(maps.Keys(o.OpenShift.Values)) {
		if !slices.ContainsFunc(o.Charts, func(chart Chart) bool { return chart.Release == release }) {
			p.add(join(place, "values."+release), "no chart has this release; use %s", oneOf(releases(o.Charts)...))
		}
	}
}

func (p *problems) crds(place string, crds []CRD) {
	for i, crd := range crds {
		at := elementPlace(place+".crds", i, map[string]any{"name": crd.Name})
		p.crdName(at+".name", crd.Name)
		if len(crd.Versions) == 0 {
			p.add(at+".versions", "name at least one, as in v1")
		}
		for _, version := range crd.Versions {
			if !crdVersion.MatchString(version) {
				p.add(at+".versions", "%q is not a version of an API; use one such as v1 or v1beta2", version)
			}
		}
	}
}

func (p *problems) crdName(place, name string) {
	if _, group, _ := strings.Cut(name, "."); group == "" || len(validation.IsDNS1123Subdomain(name)) > 0 {
		p.add(place, "%q is not the name of a CustomResourceDefinition; use PLURAL.GROUP, as in kafkas.kafka.strimzi.io", name)
	}
}

func (p *problems) way(place string, way Way) {
	member(p, place+".way", way, WayAuto, WayOLM, WayHelm, WayNone)
}

func (p *problems) olmPackage(place string, pkg Package) {
	if len(validation.IsDNS1123Subdomain(pkg.Name)) > 0 {
		p.add(place+".name", "%q is not the name of a package; use one such as strimzi-kafka-operator", pkg.Name)
	}
	if pkg.Channel == "" || strings.ContainsAny(pkg.Channel, " \t\n") {
		p.add(place+".channel", "%q is not the name of a channel; "+
			"name one, because the default of a catalogue is not where new versions land", pkg.Channel)
	}
	if len(pkg.Catalogs) == 0 {
		p.add(place+".catalogs", "name at least one, with name and namespace")
	}
	for i, catalog := range pkg.Catalogs {
		at := elementPlace(place+".catalogs", i, map[string]any{"name": catalog.Name})
		if len(validation.IsDNS1123Subdomain(catalog.Name)) > 0 {
			p.add(at+".name", "%q is not the name of a CatalogSource; use one such as community-operators", catalog.Name)
		}
		p.dnsLabel(at+".namespace", catalog.Namespace)
	}
	member(p, place+".installMode", pkg.InstallMode, AllNamespaces, OwnNamespace)
	if pkg.Approval != "" {
		member(p, place+".approval", pkg.Approval, ApprovalAutomatic, ApprovalManual)
	}
	if pkg.OpenShiftOnly && pkg.KubernetesOnly {
		p.add(place, "openShiftOnly and kubernetesOnly exclude each other; set one of them, or neither")
	}
}

func (p *problems) chart(place string, chart Chart) {
	if len(validation.IsDNS1123Label(chart.Release)) > 0 || len(chart.Release) > releaseLength {
		p.add(place+".release", "%q is not the name of a release; use at most %d lower-case letters, digits and -", chart.Release, releaseLength)
	}
	switch kind := chart.kind(); {
	case kind == unknownChart && strings.HasPrefix(chart.Chart, "http://"):
		p.add(place+".chart", "%q is without TLS; use https://, or set plainHTTP: true", shown(chart.Chart))
	case kind == unknownChart:
		p.add(place+".chart", "%q is no reference to a chart; use oci://HOST/PATH/NAME, https://HOST/PATH/NAME, "+
			"or the absolute path of a folder or of a .tgz, without the version", shown(chart.Chart))
	case chart.PlainHTTP && kind != ociChart && !strings.HasPrefix(chart.Chart, "http://"):
		p.add(place+".plainHTTP", "is for oci:// and http:// only")
	}
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(chart.Version, "v")); err != nil {
		p.add(place+".version", "%q is not a version; use exactly one, such as 1.2.0", chart.Version)
	}
	if chart.Digest != "" && !digest.MatchString(chart.Digest) {
		p.add(place+".digest", "%q is not a digest; use sha256: and the 64 digits that sha256sum prints for the chart's .tgz", chart.Digest)
	}
	if chart.Digest != "" && chart.kind() == localChart && path.Ext(chart.Chart) != ".tgz" {
		p.add(place+".digest", "folders have none; use a .tgz, or leave it out")
	}
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

func (p *problems) dnsLabel(place, name string) {
	if len(validation.IsDNS1123Label(name)) > 0 {
		p.add(place, "%q is not the name of a namespace; use at most 63 lower-case letters, digits and -", name)
	}
}

func member[T ~string](p *problems, place string, value T, allowed ...T) {
	if !slices.Contains(allowed, value) {
		p.add(place, "%q is not known; use %s", value, oneOf(allowed...))
	}
}

func repeated[T any](p *problems, place, key string, list []T, name func(T) string) {
	seen := map[string]bool{}
	for _, element := range list {
		if seen[name(element)] {
			p.add(place, "%s %q is there twice; every %s must be another one", key, name(element), key)
		}
		seen[name(element)] = true
	}
}

// oneOf lists what is allowed: "a, b or c".
func oneOf[T ~string](allowed ...T) string {
	var texts []string
	for _, value := range allowed {
		texts = append(texts, string(value))
	}
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:len(texts)-1], ", ") + " or " + texts[len(texts)-1]
}

func releases(charts []Chart) []string {
	var names []string
	for _, chart := range charts {
		names = append(names, chart.Release)
	}
	return names
}
