package monitoring

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
)

// Assess implements components.Component.
func (component) Assess(observed components.Observed) components.Health {
	result := health.Assess(observed, map[schema.GroupKind]health.Rule{
		Prometheus.GroupKind:         assessServer,
		Alertmanager.GroupKind:       assessServer,
		AlertmanagerConfig.GroupKind: health.Exists,
		PodMonitor.GroupKind:         health.Exists,
		ScrapeConfig.GroupKind:       health.Exists,
		PrometheusRule.GroupKind:     health.Exists,
		Grafana.GroupKind:            assessGrafana,
		GrafanaDatasource.GroupKind:  assessContent("DatasourceSynchronized"),
		GrafanaDashboard.GroupKind:   assessContent("DashboardSynchronized"),
	})
	in, err := newInputs(observed.Facts)
	if err != nil {
		return result
	}
	if in.prometheus != nil {
		result.Endpoints = append(result.Endpoints, v1alpha1.Endpoint{Name: prometheusPart, URL: in.url(prometheusPart, prometheusPort)})
	}
	if in.alertmanager != nil {
		result.Endpoints = append(result.Endpoints, v1alpha1.Endpoint{Name: alertmanagerPart, URL: in.url(alertmanagerPart, alertmanagerPort)})
	}
	if g := in.grafana; g != nil {
		result.Endpoints = append(result.Endpoints, v1alpha1.Endpoint{Name: "web", URL: g.URL(g.expose, grafanaWeb)})
		result.CredentialsSecret = g.Object("login")
	}
	if result.State == components.Ready {
		result.Message += note(in)
	}
	return result
}

// note says what is missing although the component is ready.
func note(in inputs) string {
	switch {
	case in.prometheus == nil && in.grafana == nil && specOf(in.facts).Grafana.State != v1alpha1.Disabled:
		return "; there is no Grafana, because nothing says where the metrics of this cluster are: use type Platform"
	case in.prometheus != nil && in.alertmanager == nil:
		return "; alerts go nowhere: " + field + "alertmanager.state is Disabled"
	case in.alertmanager != nil && len(in.alertmanager.receivers) == 0:
		return "; alerts go nowhere: name who is told in " + field + "alertmanager.receivers"
	default:
		return ""
	}
}

// assessServer judges a Prometheus or an Alertmanager: Available says whether its Pods run, and Reconciled whether the operator could
// do what is asked (pkg/operator/status.go of the Prometheus operator). Degraded is a status of Available there: only some of the
// Pods run.
func assessServer(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
	pods = health.Labelled(map[string]string{"app.kubernetes.io/instance": object.GetName()}, pods)
	part := "prometheus"
	if object.GetKind() == Alertmanager.Kind {
		part = "alertmanager"
	}
	pods = health.Labelled(map[string]string{"app.kubernetes.io/name": part}, pods)
	problem, state := health.PodProblem(pods)
	because := func(verdict health.Verdict) health.Verdict {
		if problem == "" {
			return verdict
		}
		if state == components.Degraded {
			return health.Failing("%s", problem)
		}
		return health.Progress("%s", problem)
	}
	reconciled, current := condition(object, "Reconciled")
	switch {
	case current && reconciled.Status == metav1.ConditionFalse:
		return health.Failing("the Prometheus operator cannot do what is asked: %s", health.Explain(reconciled))
	case !current:
		return because(health.Progress("the Prometheus operator has not looked at it; does it look after this namespace?"))
	}
	available, current := condition(object, "Available")
	switch {
	case current && available.Status == metav1.ConditionTrue:
		return health.Healthy()
	case current && available.Status == "Degraded":
		return because(health.Failing("%s", cmp.Or(available.Message, "some of the Pods do not run")))
	default:
		return because(health.Progress("%s", cmp.Or(available.Message, "the Pods are starting")))
	}
}

// assessGrafana judges a Grafana by its stages (controllers/grafana_controller.go of the Grafana operator): GrafanaReady is there after the
// last one, when its API answers.
func assessGrafana(object *unstructured.Unstructured, pods []*corev1.Pod) health.Verdict {
	pods = health.Labelled(map[string]string{"app.kubernetes.io/name": grafanaPart}, pods)
	text := func(key string) string {
		value, _, _ := unstructured.NestedString(object.Object, "status", key)
		return value
	}
	stage, status := text("stage"), text("stageStatus")
	if ready, current := condition(object, "GrafanaReady"); current && ready.Status == metav1.ConditionTrue && status == "success" {
		return health.Healthy()
	}
	if problem, state := health.PodProblem(pods); problem != "" {
		if state == components.Degraded {
			return health.Failing("%s", problem)
		}
		return health.Progress("%s", problem)
	}
	switch {
	case stage == "":
		return health.Progress("the Grafana operator has not looked at it; does it look after this namespace?")
	case status == "failed":
		return health.Failing("the Grafana operator fails at %s: %s", stage, cmp.Or(text("lastMessage"), "it says nothing more"))
	default:
		return health.Progress("the Grafana operator is at %s", stage)
	}
}

// assessContent judges what the operator puts into a Grafana.
func assessContent(synchronized string) health.Rule {
	return func(object *unstructured.Unstructured, _ []*corev1.Pod) health.Verdict {
		for _, refused := range []string{"InvalidSpec", synchronized} {
			found, ok := health.Condition(object, refused)
			switch {
			case ok && refused == synchronized && found.Status == metav1.ConditionTrue:
				return health.Healthy()
			case ok && (found.Status == metav1.ConditionFalse) == (refused == synchronized):
				return health.Failing("it did not get into Grafana: %s", health.Explain(found))
			}
		}
		return health.Progress("it waits for Grafana")
	}
}

// condition of an object, and whether it is about the current generation.
func condition(object *unstructured.Unstructured, kind string) (found metav1.Condition, current bool) {
	found, ok := health.Condition(object, kind)
	return found, ok && found.ObservedGeneration >= object.GetGeneration()
}
