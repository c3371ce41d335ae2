package installer

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var dependencyReady = readyGauge{prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "opendatahub_dependency_ready",
	Help: "Whether a third-party operator that platforms need is ready (1) or not (0). " +
		"Alert on: opendatahub_dependency_ready == 0 for 15m.",
}, []string{"dependency"})}

var installs = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "opendatahub_dependency_changes_total",
	Help: "What the installer did: installed or changed an operator (Applied), removed one (Removed), or tried and failed (Failed). " +
		"Alert on: increase(opendatahub_dependency_changes_total{action=\"Failed\"}[1h]) > 5.",
}, []string{"dependency", "action"})

func init() {
	metrics.Registry.MustRegister(dependencyReady, installs)
}

type readyGauge struct{ *prometheus.GaugeVec }

func (g readyGauge) set(name string, ready bool) {
	value := 0.0
	if ready {
		value = 1
	}
	g.WithLabelValues(name).Set(value)
}

func (g readyGauge) remove(name string) { g.DeleteLabelValues(name) }
