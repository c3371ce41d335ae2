package spark

import (
	"crypto/sha256"
	"fmt"
	"strings"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

// What a Pod that wants a cluster says. See docs/spark.md.
const (
	// LabelSpark is "true" on Pods that want a cluster, and on everything that clusters consist of.
	LabelSpark = "opendatahub.io/spark"
	// LabelCluster is the [ClusterKey] of the Pod that has the cluster, on that Pod and on everything that its cluster consists of. It is
	// how network policies tell clusters apart: no two Pods of a namespace have the same name.
	LabelCluster = "opendatahub.io/spark-cluster"
	// AnnotationSize names the size of the cluster. Without it the cluster has the first size.
	AnnotationSize = "opendatahub.io/spark-size"
	// AnnotationUser is whose Pod it is. Pods without it count as those of one user.
	AnnotationUser = "opendatahub.io/user"
)

const (
	// labelRole is master or worker, on Pods of clusters.
	labelRole = "opendatahub.io/spark-role"
	// annotationDriver is the UID of the Pod that has the cluster, on Pods of clusters.
	annotationDriver = "opendatahub.io/spark-driver"
	// annotationDriverName is the name of that Pod, where the label does not have it.
	annotationDriverName = "opendatahub.io/spark-driver-name"
)

// Ports. Where several drivers, or executors, run in one Pod, each takes the next one that is free.
const (
	masterPort      = 7077
	masterWebPort   = 8080
	workerPort      = 7078
	workerWebPort   = 8081
	driverPort      = 37000
	driverBlockPort = 37100
	blockPort       = 37200
	portRetries     = 16
)

// webName is what the ports of web interfaces are called, here and by the Spark operator.
const webName = "web"

// confFolder holds the configuration, in drivers and in the Pods of clusters. Drivers read defaultsFile.
const (
	confFolder   = "/etc/opendatahub/spark"
	defaultsFile = "spark-defaults.conf"
)

// driverPod is what a Pod must have to get a cluster and to use it. All of it is known before the Pod exists. Spark finds master, secret,
// ports and sizes in its configuration; the variables are for programs that configure it themselves.
func driverPod(size, pod, user string) components.NotebookPod {
	return components.NotebookPod{
		Labels:      map[string]string{LabelSpark: "true", LabelCluster: ClusterKey(pod)},
		Annotations: map[string]string{AnnotationSize: size, AnnotationUser: user},
		Environment: append([]*core.EnvVarApplyConfiguration{fieldEnv("POD_UID", "metadata.uid")}, driverEnv(masterURL("$(POD_UID)"))...),
		Volumes: []*core.VolumeApplyConfiguration{core.Volume().WithName("spark").WithSecret(
			core.SecretVolumeSource().WithSecretName(secretName(pod)).WithOptional(true))},
		Mounts: []*core.VolumeMountApplyConfiguration{native.MountReadOnly("spark", confFolder)},
	}
}

// driverEnv are the variables of a driver of that master.
func driverEnv(master string) []*core.EnvVarApplyConfiguration {
	return []*core.EnvVarApplyConfiguration{
		fieldEnv("SPARK_DRIVER_HOST", "status.podIP"),
		native.Env("SPARK_DRIVER_PORT", fmt.Sprint(driverPort)),
		native.Env("SPARK_DRIVER_BLOCK_MANAGER_PORT", fmt.Sprint(driverBlockPort)),
		native.Env("SPARK_MASTER", master),
		native.Env("SPARK_CONF_DIR", confFolder),
	}
}

// driverConf is the configuration of a driver of that master, but for its secret: ports that network policies know, and executors that
// fit the workers.
func driverConf(master string, worker v1alpha1.SparkProcessSize, workers int32) []string {
	return []string{
		"spark.master " + master,
		"spark.driver.host ${env:SPARK_DRIVER_HOST}",
		"spark.driver.bindAddress 0.0.0.0",
		fmt.Sprintf("spark.driver.port %d", driverPort),
		fmt.Sprintf("spark.driver.blockManager.port %d", driverBlockPort),
		fmt.Sprintf("spark.blockManager.port %d", blockPort),
		fmt.Sprintf("spark.port.maxRetries %d", portRetries),
		// One executor fills a worker.
		fmt.Sprintf("spark.executor.cores %d", worker.Cores),
		fmt.Sprintf("spark.executor.memory %dm", heap(worker.Memory)),
		// Executors that are idle go, so that several programs share the cluster.
		"spark.dynamicAllocation.enabled true",
		"spark.dynamicAllocation.shuffleTracking.enabled true",
		fmt.Sprintf("spark.dynamicAllocation.maxExecutors %d", workers),
	}
}

// joined is a file of these lines.
func joined(lines []string) string { return strings.Join(lines, "\n") + "\n" }

// fieldEnv is a variable that the kubelet fills with a field of the Pod.
func fieldEnv(name, path string) *core.EnvVarApplyConfiguration {
	return core.EnvVar().WithName(name).WithValueFrom(core.EnvVarSource().WithFieldRef(core.ObjectFieldSelector().WithFieldPath(path)))
}

// clusterName derives from the UID, which no other Pod ever has, so a Pod of the same name never meets what is left of the cluster of
// the one before it.
func clusterName(uid string) string { return "spark-" + uid }

// ClusterKey is the name of a Pod, or, where that is longer than the value of a label may be, as much of its SHA-256 as fits.
func ClusterKey(pod string) string {
	const most = 63
	if len(pod) <= most {
		return pod
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(pod)))[:most]
}

// secretName derives from the Pod's name: no other field of it can stand in a volume.
func secretName(pod string) string { return ClusterKey(pod) + "-spark" }

func masterURL(uid string) string { return fmt.Sprintf("spark://%s:%d", clusterName(uid), masterPort) }
