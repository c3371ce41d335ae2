package cmd

import (
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// platformMetricsPath is followed by a namespace.
const platformMetricsPath = "/metrics/"

// platformMetrics serves the metrics of one platform, at /metrics/<namespace>, without what is said of other namespaces: whoever may read
// that path, and not /metrics, learns nothing of other platforms.
func platformMetrics(all prometheus.Gatherer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		namespace := strings.TrimPrefix(request.URL.Path, platformMetricsPath)
		gatherer := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			families, err := all.Gather()
			return ofNamespace(families, namespace), err
		})
		promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}).ServeHTTP(w, request)
	})
}

// ofNamespace leaves out the metrics of other namespaces. What is of no namespace stays.
func ofNamespace(families []*dto.MetricFamily, namespace string) []*dto.MetricFamily {
	for _, family := range families {
		family.Metric = slices.DeleteFunc(family.Metric, func(metric *dto.Metric) bool {
			return slices.ContainsFunc(metric.Label, func(label *dto.LabelPair) bool {
				return label.GetName() == "namespace" && label.GetValue() != namespace
			})
		})
	}
	return slices.DeleteFunc(families, func(family *dto.MetricFamily) bool { return len(family.Metric) == 0 })
}
