package dependencies

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

//go:embed table.yaml
var embedded []byte

// Table is the operators that platforms need, in the order in which they are installed.
type Table []Operator

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
func (o *Operator) complete() {
	if o.Way == "" {
		o.Way = WayAuto
	}
	for i := range o.Packages {
		if o.Packages[i].Approval == "" {
			o.Packages[i].Approval = ApprovalAutomatic
		}
	}
}

// Find returns the operator of that name.
func (t Table) Find(name string) (Operator, bool) {
	for _, operator := range t {
		if operator.Name == name {
			return operator, true
		}
	}
	return Operator{}, false
}

// Names of the operators, in the order of the table.
func (t Table) Names() []string {
	names := make([]string, 0, len(t))
	for _, operator := range t {
		names = append(names, operator.Name)
	}
	return names
}

// For is the table as it is on a kind of cluster.
func (t Table) For(openShift bool) Table {
	resolved := make(Table, 0, len(t))
	for _, operator := range t {
		resolved = append(resolved, operator.For(openShift))
	}
	return resolved
}

// For is the operator as it is on a kind of cluster: without the packages that are of the other kind, and with what differs
// on OpenShift. The result says the same for both kinds.
func (o Operator) For(openShift bool) Operator {
	var packages []Package
	for _, p := range o.Packages {
		if (openShift && !p.KubernetesOnly) || (!openShift && !p.OpenShiftOnly) {
			p.OpenShiftOnly, p.KubernetesOnly = false, false
			packages = append(packages, p)
		}
	}
	o.Packages = packages
	override := o.OpenShift
	o.OpenShift = nil
	if !openShift || override == nil {
		return o
	}
	if len(override.CRDs) > 0 {
		o.CRDs = override.CRDs
	}
	if override.Way != "" {
		o.Way = override.Way
	}
	if override.Namespace != "" {
		o.Namespace = override.Namespace
	}
	o.Charts = slices.Clone(o.Charts)
	for i, chart := range o.Charts {
		if values := override.Values[chart.Release]; len(values) > 0 {
			o.Charts[i].Values = merge(chart.Values, values, true)
		}
	}
	return o
}

var notInIDs = regexp.MustCompile(`[^a-z0-9]+`)

// ID is the name as it is in labels, names of objects and keys: "node-feature-discovery".
func (o Operator) ID() string {
	return strings.Trim(notInIDs.ReplaceAllString(strings.ToLower(o.Name), "-"), "-")
}

// Supports is whether components render for that version of the operator. What is not a version says nothing, and is
// taken as supported. Releases before a version, such as 1.2.0-rc1, and builds, such as the 4.18.0-202511 of OpenShift's
// catalogues, count as if they were in the range's own order.
func (o Operator) Supports(version string) bool {
	parsed, err := semver.NewVersion(strings.TrimSpace(version))
	if err != nil {
		return true
	}
	supported, err := semver.NewConstraint(o.Versions)
	if err != nil {
		return true
	}
	supported.IncludePrerelease = true
	return supported.Check(parsed)
}
