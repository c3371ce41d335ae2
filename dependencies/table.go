package dependencies

import (
	"cmp"
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

//go:embed table.yaml
var embedded []byte

// Table is the dependencies that platforms need, in the order in which they are installed.
type Table []Dependency

// Default is the table that the binary has. It is for both kinds of cluster, see For.
func Default() Table {
	table, _ := decodeTable(defaultTree()) // a test sees that it decodes
	return table
}

// defaultTree is the table before it is decoded: a list of maps.
func defaultTree() any {
	tree, _ := parse(embedded) // as above
	return tree
}

func decodeTable(tree any) (Table, error) {
	var table Table
	if err := decode(field.NewPath("operators"), tree, &table); err != nil {
		return nil, err
	}
	for i := range table {
		table[i].complete()
	}
	return table, nil
}

// complete sets what is left out.
func (d *Dependency) complete() {
	d.Way = cmp.Or(d.Way, WayAuto)
	for i := range d.Packages {
		d.Packages[i].Approval = cmp.Or(d.Packages[i].Approval, ApprovalAutomatic)
	}
}

// Find returns the dependency of that name.
func (t Table) Find(name string) (Dependency, bool) {
	for _, dependency := range t {
		if dependency.Name == name {
			return dependency, true
		}
	}
	return Dependency{}, false
}

// Names of the dependencies, in the order of the table.
func (t Table) Names() []string {
	names := make([]string, 0, len(t))
	for _, dependency := range t {
		names = append(names, dependency.Name)
	}
	return names
}

// For is the table as it is on a kind of cluster.
func (t Table) For(openShift bool) Table {
	resolved := make(Table, 0, len(t))
	for _, dependency := range t {
		resolved = append(resolved, dependency.For(openShift))
	}
	return resolved
}

// For is the dependency as it is on a kind of cluster: without the packages that are of the other kind, and with what differs
// on OpenShift. The result says the same for both kinds.
func (d Dependency) For(openShift bool) Dependency {
	var packages []Package
	for _, p := range d.Packages {
		if (openShift && !p.KubernetesOnly) || (!openShift && !p.OpenShiftOnly) {
			p.OpenShiftOnly, p.KubernetesOnly = false, false
			packages = append(packages, p)
		}
	}
	d.Packages = packages
	override := d.OpenShift
	d.OpenShift = nil
	if !openShift || override == nil {
		return d
	}
	if len(override.CRDs) > 0 {
		d.CRDs = override.CRDs
	}
	d.Way, d.Namespace = cmp.Or(override.Way, d.Way), cmp.Or(override.Namespace, d.Namespace)
	d.Charts = slices.Clone(d.Charts)
	for i, chart := range d.Charts {
		if values := override.Values[chart.Release]; len(values) > 0 {
			d.Charts[i].Values = merge(chart.Values, values, true)
		}
	}
	return d
}

var notInIDs = regexp.MustCompile(`[^a-z0-9]+`)

// ID is the name as it is in labels, names of objects and keys: "node-feature-discovery".
func (d Dependency) ID() string {
	return strings.Trim(notInIDs.ReplaceAllString(strings.ToLower(d.Name), "-"), "-")
}

// Supports is whether components render for that version of the dependency. What is not a version says nothing, and is
// taken as supported. Releases before a version, such as 1.2.0-rc1, and builds, such as the 4.18.0-202511 of OpenShift's
// catalogues, count as if they were in the range's own order.
func (d Dependency) Supports(version string) bool {
	parsed, err := semver.NewVersion(strings.TrimSpace(version))
	if err != nil {
		return true
	}
	supported, err := semver.NewConstraint(d.Versions)
	if err != nil {
		return true
	}
	supported.IncludePrerelease = true
	return supported.Check(parsed)
}
