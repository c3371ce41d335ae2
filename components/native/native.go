// Package native builds what the components that we deploy ourselves have in common: the Deployment of a part with its
// Pod, Service, account, volume and network policies, how a web interface is exposed, and how people log in to it.
package native

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"

	"opendatahub.io/operator/components"
)

// Annotations of Pod templates: a Pod reads its files and Secrets when it starts, so a change of their digests replaces it.
const (
	AnnotationConfig  = "opendatahub.io/config"
	AnnotationSecrets = "opendatahub.io/secrets"
)

// App names and labels the objects of one component. Its parts, such as hub and proxy, have a Pod each.
type App struct {
	// Name is the component's in names and in the label app.kubernetes.io/name: "jupyterhub".
	Name     string
	Platform components.Platform
	// OpenShift is as in components.Cluster.
	OpenShift bool
	// Outbound is how Pods reach addresses outside the cluster.
	Outbound Outbound
	// ObjectLabels are further labels of every object.
	ObjectLabels map[string]string

	// watched are the labels by which the operator sees Pods.
	watched map[string]string
	// trustedCA is that of the spec.
	trustedCA components.CertificateAuthority
}

// NewApp is the App of a component.
func NewApp(facts components.Facts, component string) App {
	return App{
		Name:      strings.ToLower(component),
		Platform:  facts.Platform,
		OpenShift: facts.Cluster.OpenShift,
		Outbound:  NewOutbound(facts),
		watched:   facts.Labels(component),
		trustedCA: TrustedCA(facts),
	}
}

// Web is the name of what browsers talk to: odh-jupyterhub.
func (a App) Web() string { return a.Platform.Name + "-" + a.Name }

// Object is the name of a part's object: odh-jupyterhub-hub.
func (a App) Object(part string) string { return a.Web() + "-" + part }

// Labels of the objects of a part.
func (a App) Labels(part string) map[string]string {
	return components.Merge(a.ObjectLabels, map[string]string{
		"app.kubernetes.io/name":      a.Name,
		"app.kubernetes.io/component": part,
	})
}

// Selector finds the Pods of a part.
func (a App) Selector(part string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":      a.Name,
		"app.kubernetes.io/component": part,
		components.LabelPlatform:      a.Platform.Name,
	}
}

// ServiceAccount of a part. Its token is in no Pod that does not ask for it.
func (a App) ServiceAccount(part string) *core.ServiceAccountApplyConfiguration {
	return core.ServiceAccount(a.Object(part), a.Platform.Namespace).
		WithLabels(a.Labels(part)).
		WithAutomountServiceAccountToken(false)
}

// Secret is odh-jupyterhub-<name>, with the labels of a part.
func (a App) Secret(part, name string) *core.SecretApplyConfiguration {
	return core.Secret(a.Object(name), a.Platform.Namespace).WithLabels(a.Labels(part)).WithType(corev1.SecretTypeOpaque)
}

// ConfigMap is odh-jupyterhub-<name>, with the labels of a part.
func (a App) ConfigMap(part, name string) *core.ConfigMapApplyConfiguration {
	return core.ConfigMap(a.Object(name), a.Platform.Namespace).WithLabels(a.Labels(part))
}

// Service of that name in front of the Pods of a part.
func (a App) Service(name, part string, ports ...*core.ServicePortApplyConfiguration) *core.ServiceApplyConfiguration {
	return core.Service(name, a.Platform.Namespace).WithLabels(a.Labels(part)).
		WithSpec(core.ServiceSpec().WithSelector(a.Selector(part)).WithPorts(ports...))
}

// ServicePort leads to the containers' port of the same name.
func ServicePort(name string, number int32) *core.ServicePortApplyConfiguration {
	return core.ServicePort().WithName(name).WithPort(number).WithTargetPort(intstr.FromString(name)).WithProtocol(corev1.ProtocolTCP)
}

// PodLabels are those of the Pods of a part: the operator sees them, and can say why one fails.
func (a App) PodLabels(part string) map[string]string {
	return components.Merge(a.watched, a.Labels(part))
}

// Recreate is the Deployment of a part that must not run twice, not even while its Pod is replaced, such as one with a
// volume.
func (a App) Recreate(part string, annotations map[string]string, pod *core.PodSpecApplyConfiguration) *apps.DeploymentApplyConfiguration {
	return a.deployment(part, 1, appsv1.RecreateDeploymentStrategyType, annotations, pod)
}

// Rolling is the Deployment of a part of which a new Pod is ready before an old one stops. make component begins with it.
func (a App) Rolling(part string, replicas int32, annotations map[string]string, pod *core.PodSpecApplyConfiguration) *apps.DeploymentApplyConfiguration {
	return a.deployment(part, replicas, appsv1.RollingUpdateDeploymentStrategyType, annotations, pod)
}

func (a App) deployment(part string, replicas int32, strategy appsv1.DeploymentStrategyType, annotations map[string]string, pod *core.PodSpecApplyConfiguration) *apps.DeploymentApplyConfiguration {
	return apps.Deployment(a.Object(part), a.Platform.Namespace).
		WithLabels(a.Labels(part)).
		WithSpec(apps.DeploymentSpec().
			WithReplicas(replicas).
			WithRevisionHistoryLimit(2).
			WithStrategy(apps.DeploymentStrategy().WithType(strategy)).
			WithSelector(meta.LabelSelector().WithMatchLabels(a.Selector(part))).
			WithTemplate(core.PodTemplateSpec().
				WithLabels(a.PodLabels(part)).
				WithAnnotations(annotations).
				WithSpec(pod)))
}
