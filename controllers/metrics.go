package controllers

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"opendatahub.io/operator/api/v1alpha1"
)

var (
	componentReady = readyGauge{prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "opendatahub_component_ready",
		Help: "Whether a component of a platform is ready (1) or not (0). " +
			"Alert on: opendatahub_component_ready == 0 for 15m.",
	}, []string{"namespace", "name", "component"})}

	componentVersion = versionGauge{GaugeVec: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "opendatahub_component_info",
		Help: "Always 1: its label version is that of the software that a component of a platform runs.",
	}, []string{"namespace", "name", "component", "version"})}

	objectsApplied = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "opendatahub_objects_applied_total",
		Help: "Objects that were Created, Configured (the spec changed), Restored (somebody else had changed or deleted them), " +
			"Deleted, or Skipped (they were as wanted, which costs no request). Alert on: increase(opendatahub_objects_applied_total{action=\"Restored\"}[1h]) > 30, two writers fight.",
	}, []string{"component", "action"})

	stepSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "opendatahub_reconcile_step_seconds",
		Help: "How long a step of a reconcile of a component took: facts, render, apply, prune or assess. " +
			"Alert on: histogram_quantile(0.95, sum by (le, component, step) (rate(opendatahub_reconcile_step_seconds_bucket[15m]))) > 10.",
		Buckets: []float64{0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10},
	}, []string{"component", "step"})

	admissionPolicies = policyGauge{prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "opendatahub_admission_policy_in_force",
		Help: "Whether an admission policy that bounds the operator is in force (1) or missing (0). " +
			"Alert on: opendatahub_admission_policy_in_force == 0 for 15m.",
	}, []string{"policy"})}
)

// skipped is the action of objects that were as wanted.
const skipped = "Skipped"

func init() {
	metrics.Registry.MustRegister(componentReady, componentVersion.GaugeVec, objectsApplied, stepSeconds, admissionPolicies)
}

type readyGauge struct{ *prometheus.GaugeVec }

func (g readyGauge) set(odh *v1alpha1.OpenDataHub, component string, ready bool) {
	value := 0.0
	if ready {
		value = 1
	}
	g.WithLabelValues(odh.Namespace, odh.Name, component).Set(value)
}

func (g readyGauge) remove(platform types.NamespacedName, component string) {
	g.DeleteLabelValues(platform.Namespace, platform.Name, component)
}

// versionGauge has one series for each component that says its version.
type versionGauge struct {
	*prometheus.GaugeVec
	// last is the version by the other labels.
	last sync.Map
}

// set is for every reconcile. Without a version there is no series.
func (g *versionGauge) set(platform types.NamespacedName, component, version string) {
	key := [3]string{platform.Namespace, platform.Name, component}
	if last, ok := g.last.Swap(key, version); ok && last != version {
		g.DeleteLabelValues(platform.Namespace, platform.Name, component, last.(string))
	}
	if version == "" {
		g.last.Delete(key)
		return
	}
	g.WithLabelValues(platform.Namespace, platform.Name, component, version).Set(1)
}

// timed begins a step of a reconcile. The returned function ends it.
func (r *componentReconciler) timed(step string) (end func()) {
	started := r.now()
	return func() {
		stepSeconds.WithLabelValues(r.component.Name(), step).Observe(r.now().Sub(started).Seconds())
	}
}

type policyGauge struct{ *prometheus.GaugeVec }

func (g policyGauge) set(policy string, inForce bool) {
	value := 0.0
	if inForce {
		value = 1
	}
	g.WithLabelValues(policy).Set(value)
}
