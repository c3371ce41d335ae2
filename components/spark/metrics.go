package spark

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	clusters = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "opendatahub_spark_clusters",
		Help: "Spark clusters that exist for notebooks and other Pods. Alert on one of them with " +
			"opendatahub_spark_clusters > 0.9 * the platform's maxClusters.",
	}, []string{"namespace"})

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

func init() { metrics.Registry.MustRegister(clusters, refused, startSeconds) }
