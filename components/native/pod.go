package native

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// defaultOperatorImage is that of config/manager, for renderings without a cluster.
const defaultOperatorImage = "quay.io/opendatahub/operator:v0.1.0"

// OperatorImage is the image of this operator, whose other commands are servers of components.
func OperatorImage(facts components.Facts) string {
	return cmp.Or(facts.Cluster.OperatorImage, defaultOperatorImage)
}

// Pod of a part, under its own ServiceAccount, as the restricted Pod Security Standard wants it. user runs the image and
// owns its volumes; OpenShift assigns users and groups to each namespace and refuses others.
func (a App) Pod(part string, user int64, containers ...*core.ContainerApplyConfiguration) *core.PodSpecApplyConfiguration {
	security := core.PodSecurityContext().
		WithRunAsNonRoot(true).
		WithSeccompProfile(core.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if !a.OpenShift {
		security.WithRunAsUser(user).WithRunAsGroup(user).WithFSGroup(user)
	}
	return core.PodSpec().
		WithServiceAccountName(a.Object(part)).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(60).
		WithSecurityContext(security).
		WithContainers(containers...)
}

// Container without privileges, which writes to its volumes only. If it crashes without a termination message, the end of
// its log is in its status, so that the condition can say why.
func Container(name, image string, resources v1alpha1.Resources) *core.ContainerApplyConfiguration {
	return core.Container().WithName(name).WithImage(image).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError).
		WithResources(core.ResourceRequirements().
			WithRequests(amounts(resources.Requests)).
			WithLimits(amounts(resources.Limits))).
		WithSecurityContext(core.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(core.Capabilities().WithDrop("ALL")))
}

func amounts(amounts v1alpha1.ResourceAmounts) corev1.ResourceList {
	list := corev1.ResourceList{}
	if !amounts.CPU.IsZero() {
		list[corev1.ResourceCPU] = amounts.CPU
	}
	if !amounts.Memory.IsZero() {
		list[corev1.ResourceMemory] = amounts.Memory
	}
	return list
}

// Port of a container.
func Port(name string, number int32) *core.ContainerPortApplyConfiguration {
	return core.ContainerPort().WithName(name).WithContainerPort(number).WithProtocol(corev1.ProtocolTCP)
}

// Probe asks the port http for path every so many seconds; so many failures in a row count.
func Probe(path string, period, failures int32) *core.ProbeApplyConfiguration {
	return core.Probe().
		WithHTTPGet(core.HTTPGetAction().WithPath(path).WithPort(intstr.FromString("http"))).
		WithPeriodSeconds(period).WithTimeoutSeconds(3).WithFailureThreshold(failures)
}

// Env is a variable with a value.
func Env(name, value string) *core.EnvVarApplyConfiguration {
	return core.EnvVar().WithName(name).WithValue(value)
}

// SecretEnv is a variable with the value of a key of a Secret. Without the Secret or the key, the Pod does not start.
func SecretEnv(name, secret, key string) *core.EnvVarApplyConfiguration {
	return core.EnvVar().WithName(name).WithValueFrom(
		core.EnvVarSource().WithSecretKeyRef(core.SecretKeySelector().WithName(secret).WithKey(key)))
}

// Mount of a volume that can be written.
func Mount(volume, path string) *core.VolumeMountApplyConfiguration {
	return core.VolumeMount().WithName(volume).WithMountPath(path)
}

// MountReadOnly is the mount of a volume that cannot be written.
func MountReadOnly(volume, path string) *core.VolumeMountApplyConfiguration {
	return Mount(volume, path).WithReadOnly(true)
}

// ConfigMapVolume has the keys of a ConfigMap as files.
func ConfigMapVolume(name, configMap string) *core.VolumeApplyConfiguration {
	return core.Volume().WithName(name).WithConfigMap(core.ConfigMapVolumeSource().WithName(configMap))
}

// SecretVolume has the keys of a Secret as files.
func SecretVolume(name, secret string) *core.VolumeApplyConfiguration {
	return core.Volume().WithName(name).WithSecret(core.SecretVolumeSource().WithSecretName(secret))
}

// ClaimVolume is a PersistentVolumeClaim.
func ClaimVolume(name, claim string) *core.VolumeApplyConfiguration {
	return core.Volume().WithName(name).WithPersistentVolumeClaim(core.PersistentVolumeClaimVolumeSource().WithClaimName(claim))
}

// EmptyVolume goes with its Pod.
func EmptyVolume(name string) *core.VolumeApplyConfiguration {
	return core.Volume().WithName(name).WithEmptyDir(core.EmptyDirVolumeSource())
}
