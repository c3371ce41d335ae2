package seldon

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

// exposedObjects are the login, the router behind it, and the address outside the cluster. Models themselves are not reached from there.
func (in inputs) exposedObjects() []components.Object {
	if in.exposed == nil {
		return nil
	}
	objects := append([]components.Object{components.Owned(in.routerPolicy())}, in.exposed.proxy.Objects()...)
	return append(objects, components.Owned(in.router()))
}

// routerPolicy: clients come in through the login; out go predictions.
func (in inputs) routerPolicy() *networking.NetworkPolicyApplyConfiguration {
	egress := append([]native.Egress{native.DNS()}, in.exposed.proxy.Egress()...)
	egress = append(egress, native.To(native.Ports(httpPort), native.Pods(map[string]string{labelManagedBy: managedBy})))
	return in.Policy(routerPart, []native.Ingress{in.exposed.proxy.Ingress()}, egress)
}

func (in inputs) router() *apps.DeploymentApplyConfiguration {
	args := []string{
		"model-router", "--namespace=" + in.Platform.Namespace,
		fmt.Sprintf("--bind-address=127.0.0.1:%d", routerPort), fmt.Sprintf("--health-probe-bind-address=:%d", probePort),
	}
	for _, model := range in.models {
		if model.spec.Exposure == v1alpha1.SeldonExposureLogin {
			args = append(args, "--model="+in.Object(model.spec.Name)+"="+in.address(in.service(model)))
		}
	}
	alive := func(period, failures int32) *core.ProbeApplyConfiguration {
		probe := native.Probe("/healthz", period, failures)
		probe.HTTPGet.WithPort(intstr.FromString("probes"))
		return probe
	}
	router := native.Container(routerPart, in.exposed.image, routerResources).
		WithArgs(args...).
		WithPorts(native.Port("probes", probePort)).
		WithEnv(core.EnvVar().WithName("MEMORY_LIMIT").WithValueFrom(core.EnvVarSource().WithResourceFieldRef(
			core.ResourceFieldSelector().WithResource("limits." + string(corev1.ResourceMemory))))).
		WithLivenessProbe(alive(30, 4)).
		WithReadinessProbe(alive(10, 3))
	pod := in.Pod(routerPart, 65532, router)
	in.exposed.proxy.AddTo(pod, proxyResources)
	return in.Rolling(routerPart, in.exposed.replicas, map[string]string{native.AnnotationSecrets: in.exposed.proxy.Secrets}, pod)
}
