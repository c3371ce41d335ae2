package spark

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
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
