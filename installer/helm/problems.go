package helm

import (
	"fmt"
	"strings"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

// invalid is for a chart that cannot be used as it is.
func invalid(c dependencies.Chart, err error) error {
	return dependencies.Blocked(v1alpha1.ReasonChartInvalid,
		"%s cannot be used: %s; correct it, or its version or values in the installer's configuration", nameOf(c), oneLine(err.Error()))
}

// nameOf is how people name a chart: "chart oci://quay.io/example/demo 1.2.3".
func nameOf(c dependencies.Chart) string {
	return fmt.Sprintf("chart %s %s", withoutPassword(c.Chart), c.Version)
}

// oneLine makes one line of a message of Helm's, which often has several.
func oneLine(message string) string {
	var parts []string
	for line := range strings.Lines(message) {
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, " ")
}
