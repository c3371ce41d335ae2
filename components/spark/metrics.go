package spark

import (
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"opendatahub.io/operator/components"
)

var (
	clusters = prometheus.NewDesc("opendatahub_spark_clusters",
		"Spark clusters that exist for notebooks and other Pods, by state: starting, ready, or ending when the Pod has ended. Alert on one of them with "+
			"sum by (namespace) (opendatahub_spark_clusters) > 0.9 * the platform's maxClusters.",
		[]string{"namespace", "state"}, nil)

	oldest = prometheus.NewDesc("opendatahub_spark_clusters_oldest_seconds",
		"How long the cluster that has been starting, or ending, for the longest time has been, and how long the Pod that waits for a cluster "+
			"the longest has waited. Alert on: opendatahub_spark_clusters_oldest_seconds{state=\"ending\"} > 600.",
		[]string{"namespace", "state"}, nil)

	refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "opendatahub_spark_clusters_refused_total",
		Help: "Pods that had to start without a Spark cluster, by the limit that was reached: platform or user. " +
			"Alert on: increase(opendatahub_spark_clusters_refused_total{limit=\"platform\"}[1h]) > 5.",
	}, []string{"namespace", "limit"})

	startSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "opendatahub_spark_cluster_start_seconds",
		Help: "Time from the Pod that wants a Spark cluster until the master and all workers are ready. " +
			"Alert on: histogram_quantile(0.9, rate(opendatahub_spark_cluster_start_seconds_bucket[1h])) > 120.",
		Buckets: []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600},
	}, []string{"namespace"})
)

// metricsPath of masters and workers. A path without the slash is redirected to it.
const metricsPath = "/metrics/prometheus/"

// droppedMetrics are those that all of Spark's processes have and that say nothing about a master or worker, and the second copy of each gauge.
const droppedMetrics = "metrics_(CodeGenerator|HiveExternalCatalog)_.*|metrics_.*_Number"

// metricsConf has processes of these parts show their metrics in their web interfaces.
func metricsConf(parts ...string) map[string]string {
	conf := map[string]string{}
	for _, part := range parts {
		sink := "spark.metrics.conf." + part + ".sink.prometheusServlet."
		conf[sink+"class"] = "org.apache.spark.metrics.sink.PrometheusServlet"
		conf[sink+"path"] = strings.TrimSuffix(metricsPath, "/")
	}
	return conf
}

// scrapes are the web interfaces of masters and workers. Drivers have none: what runs in a notebook is its user's. The workers of shared
// clusters have none either, because the Spark operator does not say which port they listen at.
func (in inputs) scrapes(shared bool) []components.Scrape {
	scrape := func(name string, pods map[string]string, labels ...string) components.Scrape {
		return components.Scrape{Name: name, Pods: pods, Port: webName, Path: metricsPath, Labels: labels, Drop: droppedMetrics}
	}
	scrapes := []components.Scrape{
		scrape(masterPart, map[string]string{LabelSpark: "true", labelRole: masterPart}, LabelCluster),
		scrape(workerPart, map[string]string{LabelSpark: "true", labelRole: workerPart}, LabelCluster),
	}
	if shared {
		scrapes = append(scrapes, scrape("shared", components.Merge(in.Selector(clusterPart), map[string]string{labelSparkRole: masterPart}), LabelShared))
	}
	return scrapes
}

func init() { metrics.Registry.MustRegister(current, refused, startSeconds) }

// current is the ledger of the controller that runs.
var current = &collector{}

// collector reads the ledger when metrics are scraped.
type collector struct{ atomic.Pointer[ledger] }

// Describe implements prometheus.Collector.
func (c *collector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- clusters
	descriptions <- oldest
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	l := c.Load()
	if l == nil {
		return
	}
	for at, sum := range l.sums() {
		if at.state != waiting {
			metrics <- prometheus.MustNewConstMetric(clusters, prometheus.GaugeValue, float64(sum.count), at.namespace, string(at.state))
		}
		if at.state != ready {
			metrics <- prometheus.MustNewConstMetric(oldest, prometheus.GaugeValue, sum.oldest.Seconds(), at.namespace, string(at.state))
		}
	}
}
