package dependencies

import (
	"fmt"
	"slices"

	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
)

// ReportName is the ConfigMap, beside the installer, in which it says where the dependencies stand. It is shipped with the
// installer and goes with it, so a cluster that has one has an installer.
const ReportName = "opendatahub-dependencies"

// ReportAuthority is the key, among the binary data of that ConfigMap, with who signed the certificate of the installer's metrics.
const ReportAuthority = "metrics-ca.crt"

// LeaseName is the Lease, beside the installer, that the working one of its replicas renews.
const LeaseName = "opendatahub-installer"

// Report is what the installer says of dependencies, by their names. A nil Report means that there is no installer.
type Report map[string]v1alpha1.DependencyStatus

// ReadReport reads the data of the ConfigMap. The result is never nil.
func ReadReport(data map[string]string) (Report, error) {
	report := Report{}
	for key, value := range data {
		var status v1alpha1.DependencyStatus
		if err := yaml.UnmarshalStrict([]byte(value), &status); err != nil {
			return Report{}, fmt.Errorf("reading key %s of ConfigMap %s: %w", key, ReportName, err)
		}
		report[status.Name] = status
	}
	return report, nil
}

// Data is the report as the data of its ConfigMap: one key per dependency.
func (r Report) Data() (map[string]string, error) {
	data := map[string]string{}
	for name, status := range r {
		content, err := yaml.Marshal(status)
		if err != nil {
			return nil, fmt.Errorf("writing what is known of %s: %w", name, err)
		}
		data[Dependency{Name: name}.ID()] = string(content)
	}
	return data, nil
}

// Changed lists the dependencies of which two reports say different things, sorted.
func (r Report) Changed(other Report) []string {
	var changed []string
	for name, status := range r {
		if other[name] != status {
			changed = append(changed, name)
		}
	}
	for name := range other {
		if _, ok := r[name]; !ok {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed
}
