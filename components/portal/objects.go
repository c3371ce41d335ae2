package portal

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"
	rbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/native"
)

const guidesFolder = "/etc/portal/guides"

// policy lets browsers in, through the login, and requests to the API server out.
func policy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	egress := []native.Egress{native.DNS(), native.To(native.APIServerPorts(), native.Anywhere()...)}
	if in.proxy.Login.Type != v1alpha1.AuthenticationOpenShift { // which is at the API server, too
		egress = append(egress, in.proxy.Egress()...)
	}
	return in.Policy(part, []native.Ingress{in.proxy.Ingress()}, egress)
}

func binding(in inputs) *rbac.RoleBindingApplyConfiguration {
	return rbac.RoleBinding(in.Object(part), in.Platform.Namespace).
		WithLabels(in.Labels(part)).
		WithRoleRef(rbac.RoleRef().WithAPIGroup("rbac.authorization.k8s.io").WithKind("ClusterRole").WithName(Role)).
		WithSubjects(rbac.Subject().WithKind("ServiceAccount").WithName(in.Object(part)).WithNamespace(in.Platform.Namespace))
}

// guides are read when the server starts.
func guides(in inputs) *core.ConfigMapApplyConfiguration {
	return in.ConfigMap(part, "guides").WithData(in.guides)
}

func deployment(in inputs) *apps.DeploymentApplyConfiguration {
	alive := func(period, failures int32) *core.ProbeApplyConfiguration {
		probe := native.Probe("/healthz", period, failures)
		probe.HTTPGet.WithPort(intstr.FromString("probes"))
		return probe
	}
	server := native.Container("server", in.image, in.resources).
		WithArgs(
			"portal", "--platform="+in.Platform.Name, "--authentication="+string(in.proxy.Login.Type), "--guides="+guidesFolder,
			fmt.Sprintf("--bind-address=127.0.0.1:%d", port), fmt.Sprintf("--health-probe-bind-address=:%d", probePort),
		).
		WithPorts(native.Port("probes", probePort)).
		WithEnv(core.EnvVar().WithName("MEMORY_LIMIT").WithValueFrom(core.EnvVarSource().WithResourceFieldRef(
			core.ResourceFieldSelector().WithResource("limits."+string(corev1.ResourceMemory))))).
		WithVolumeMounts(native.MountReadOnly("guides", guidesFolder), native.MountReadOnly("token", native.TokenFolder)).
		WithLivenessProbe(alive(30, 4)).
		WithReadinessProbe(alive(10, 3))
	pod := in.Pod(part, 65532, server).WithVolumes(
		native.ConfigMapVolume("guides", in.Object("guides")), native.TokenVolume("token"),
	)
	in.proxy.AddTo(pod, proxyResources)
	return in.Rolling(part, in.replicas, map[string]string{
		native.AnnotationSecrets: in.proxy.Secrets, native.AnnotationConfig: native.Digest(native.JSON(in.guides)),
	}, pod)
}
