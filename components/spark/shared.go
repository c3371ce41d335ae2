package spark

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
)

// The Spark of shared clusters whose image the spec does not name.
const (
	version = "4.2.0"
	image   = "docker.io/apache/spark:" + version + "-python3"
)

// LabelShared is the name of the shared cluster that a Pod is a driver of.
const LabelShared = "opendatahub.io/spark-shared-cluster"

// Labels that the Spark operator puts on the Pods of a SparkCluster. (SparkClusterResourceSpec, Spark operator 1.0.0)
const (
	labelSparkCluster = "spark.operator/spark-cluster-name"
	labelSparkRole    = "spark-role"
)

const (
	// secretKey of the Secret of a shared cluster is what its processes and drivers know each other by.
	secretKey = "secret"
	// secretVariable is where Spark looks for it first. (SecurityManager.ENV_AUTH_SECRET)
	secretVariable = "_SPARK_AUTH_SECRET"
	// sparkUser runs Apache's images.
	sparkUser = 185
)

// sharedCluster is one of the spec, with its defaults.
type sharedCluster struct {
	inputs
	spec v1alpha1.SparkSharedCluster
	// overridden is what becomes of its Pods after they are rendered.
	overridden []string
}

// sharedClusters of the spec. Names that would not fit are refused: the operator derives labels from them.
func (in inputs) sharedClusters(facts components.Facts) ([]sharedCluster, error) {
	var all []sharedCluster
	for i, shared := range specOf(facts).SharedClusters {
		shared.Image = cmp.Or(shared.Image, image)
		shared.Version = cmp.Or(shared.Version, version)
		shared.Worker = fill(shared.Worker, "2Gi")
		shared.Master = fill(shared.Master, "1Gi")
		s := sharedCluster{in, shared, facts.Overridden(name, map[string]string{masterPart: shared.Image, workerPart: shared.Image})}
		field := fmt.Sprintf("spec.components.spark.sharedClusters[%d].name", i)
		// A revision of a StatefulSet is a label of its Pods: <name>-worker-<10 characters>.
		const most = 63 - len("-worker-0123456789")
		if name := s.name(); len(name) > most {
			return nil, components.Invalid(field, "%s is %d characters longer than what the Spark operator can use with a platform called %s; use a shorter name",
				shared.Name, len(name)-most, in.Platform.Name)
		}
		if slices.ContainsFunc(in.sizes, func(size v1alpha1.SparkClusterSize) bool { return size.Name == shared.Name }) {
			return nil, components.Invalid(field, "%s is a size in clusterSizes, and notebooks name one or the other; use another name", shared.Name)
		}
		all = append(all, s)
	}
	return all, nil
}

// stable is the name of what stays when the cluster is made anew: odh-spark-team.
func (s sharedCluster) stable() string { return s.Object(s.spec.Name) }

// name of the SparkCluster. The operator changes no cluster that it has made, so one that is specified otherwise is another one.
func (s sharedCluster) name() string {
	content, err := json.Marshal(s.sparkCluster())
	if err != nil {
		panic(err) // it is encoded to be applied, too
	}
	return s.stable() + "-" + native.Digest(append([]string{string(content)}, s.overridden...)...)[:5]
}

func (s sharedCluster) labels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": s.Name, "app.kubernetes.io/component": "shared-cluster"}
}

func (s sharedCluster) masterURL() string {
	return fmt.Sprintf("spark://%s:%d", s.stable(), masterPort)
}

// objects of a shared cluster.
func (s sharedCluster) objects(facts components.Facts) []components.Object {
	secret := components.Owned(core.Secret(s.stable(), s.Platform.Namespace).WithLabels(s.labels()).WithType(corev1.SecretTypeOpaque))
	secret.Generate = []components.Random{{Key: secretKey, Bytes: 32}}
	cluster := kinds.New(facts.GVK(SparkCluster), s.Platform.Namespace, s.name(), s.sparkCluster())
	cluster.WithLabels(s.labels())
	return []components.Object{
		components.Owned(s.policy()), components.Owned(s.driverPolicy()), secret, components.Owned(s.conf()), components.Owned(s.service()),
		components.Owned(cluster),
	}
}

func (s sharedCluster) sparkCluster() sparkClusterSpec {
	workers := s.spec.Workers
	limit := workers
	if workers == 1 {
		limit = 0 // the operator's disruption budget of one worker would let no node be drained
	}
	return sparkClusterSpec{
		RuntimeVersions:    runtimeVersions{SparkVersion: s.spec.Version},
		ClusterTolerations: clusterTolerations{InstanceConfig: instanceConfig{workers, limit, limit}},
		SparkConf: components.Merge(metricsConf(masterPart), map[string]string{
			"spark.kubernetes.container.image":           s.spec.Image,
			"spark.authenticate":                         "true",
			"spark.network.crypto.enabled":               "true",
			"spark.master.rest.enabled":                  "false",
			"spark.ui.killEnabled":                       "false",
			"spark.worker.preferConfiguredMasterAddress": "true",
			"spark.worker.cleanup.enabled":               "true",
			"spark.deploy.defaultCores":                  fmt.Sprint(max(1, workers*s.spec.Worker.Cores/2)),
		}),
		MasterSpec: s.process(masterPart, s.spec.Master),
		WorkerSpec: s.process(workerPart, s.spec.Worker,
			native.Env("SPARK_WORKER_PORT", fmt.Sprint(workerPort)),
			native.Env("SPARK_WORKER_CORES", fmt.Sprint(s.spec.Worker.Cores)),
			native.Env("SPARK_WORKER_MEMORY", fmt.Sprintf("%dm", heap(s.spec.Worker.Memory)))),
	}
}

// process is what the operator adds its command, ports and image to.
func (s sharedCluster) process(part string, size v1alpha1.SparkProcessSize, env ...*core.EnvVarApplyConfiguration) processSpec {
	container := native.Container(part, s.spec.Image, s.processResources(size)).
		WithEnv(
			native.SecretEnv(secretVariable, s.stable(), secretKey),
			fieldEnv("SPARK_LOCAL_HOSTNAME", "status.podIP"),
			native.Env("HOME", "/tmp"),
			native.Env("SPARK_LOCAL_DIRS", "/tmp/local"),
		).
		WithEnv(env...).
		WithVolumeMounts(native.Mount("tmp", "/tmp"))
	container.Image = nil // the operator takes it from the configuration
	volumes := []*core.VolumeApplyConfiguration{native.EmptyVolume("tmp")}
	port := int32(workerPort)
	if part == masterPart {
		port = masterPort
		container.WithEnv(fieldEnv("SPARK_MASTER_HOST", "status.podIP"), native.Env("SPARK_LOG_DIR", "/tmp/log"),
			native.Env("SPARK_DAEMON_MEMORY", fmt.Sprintf("%dm", heap(size.Memory))))
	} else {
		// The operator has the worker write its log there.
		volumes = append(volumes, native.EmptyVolume("work"))
		container.WithVolumeMounts(native.Mount("work", "/opt/spark/work")).WithEnv(native.Env("SPARK_DAEMON_MEMORY", "128m"))
		if hasAuthority(s.storage) {
			volumes = append(volumes, s.trust(container)...)
		}
	}
	container.WithReadinessProbe(core.Probe().WithTCPSocket(core.TCPSocketAction().WithPort(intstr.FromInt32(port))).WithPeriodSeconds(5))
	pod := s.Pod(clusterPart, sparkUser, container).WithVolumes(volumes...)
	pod.TerminationGracePeriodSeconds = nil // the operator's
	return processSpec{StatefulSetSpec: statefulSetSpec{
		Template: core.PodTemplateSpec().
			WithLabels(components.Merge(s.PodLabels(clusterPart), map[string]string{LabelShared: s.spec.Name})).
			WithSpec(pod),
	}}
}

// trust has executors trust the object storage, with the same file as drivers.
func (s sharedCluster) trust(container *core.ContainerApplyConfiguration) []*core.VolumeApplyConfiguration {
	authority := components.NotebookAuthority{Name: "object-storage", CertificateAuthority: s.storage.CA}
	volume := authority.Volume("object-storage-ca")
	if volume.Secret != nil {
		volume.Secret.WithOptional(true)
	} else {
		volume.ConfigMap.WithOptional(true)
	}
	container.WithEnv(native.Env("SPARK_CONF_DIR", confFolder), native.Env("AWS_CA_BUNDLE", authority.File())).
		WithVolumeMounts(native.MountReadOnly("spark", confFolder), native.MountReadOnly("object-storage-ca", authority.Folder()))
	return []*core.VolumeApplyConfiguration{volume, core.Volume().WithName("spark").WithConfigMap(core.ConfigMapVolumeSource().
		WithName(s.stable()).WithItems(core.KeyToPath().WithKey(envFile).WithPath(envFile)))}
}

// members are the drivers of the cluster and its own Pods, which have the operator's label besides.
func (s sharedCluster) members(own metav1.LabelSelectorOperator) *meta.LabelSelectorApplyConfiguration {
	return meta.LabelSelector().WithMatchLabels(map[string]string{LabelShared: s.spec.Name}).
		WithMatchExpressions(meta.LabelSelectorRequirement().WithKey(labelSparkRole).WithOperator(own))
}

// policy: drivers and the cluster itself come in, Prometheus to the master's web interface, and code of users reaches what it reaches from notebooks.
func (s sharedCluster) policy() *networking.NetworkPolicyApplyConfiguration {
	within := append(ports(masterPort, masterWebPort, workerPort, workerWebPort), span(blockPort))
	all := native.Pods(map[string]string{LabelShared: s.spec.Name})
	egress := slices.Concat(s.egress, []native.Egress{networking.NetworkPolicyEgressRule().
		WithPorts(within...).WithPorts(span(driverPort), span(driverBlockPort)).WithTo(all)})
	ingress := []native.Ingress{networking.NetworkPolicyIngressRule().WithPorts(within...).WithFrom(all), s.metrics(masterWebPort)}
	return s.networkPolicy("", s.members(metav1.LabelSelectorOpExists), ingress, egress...)
}

// driverPolicy adds to what drivers may do besides, as that of a Pod with a cluster of its own.
func (s sharedCluster) driverPolicy() *networking.NetworkPolicyApplyConfiguration {
	peer := networking.NetworkPolicyPeer().WithPodSelector(s.members(metav1.LabelSelectorOpExists))
	return s.networkPolicy("-driver", s.members(metav1.LabelSelectorOpDoesNotExist),
		[]native.Ingress{networking.NetworkPolicyIngressRule().WithPorts(span(driverPort), span(driverBlockPort)).WithFrom(peer)},
		native.DNS(),
		networking.NetworkPolicyEgressRule().WithPorts(append(ports(masterPort, masterWebPort, workerWebPort), span(blockPort))...).WithTo(peer))
}

func (s sharedCluster) networkPolicy(suffix string, pods *meta.LabelSelectorApplyConfiguration, ingress []native.Ingress, egress ...native.Egress) *networking.NetworkPolicyApplyConfiguration {
	return networking.NetworkPolicy(s.stable()+suffix, s.Platform.Namespace).WithLabels(s.labels()).
		WithSpec(networking.NetworkPolicySpec().
			WithPodSelector(pods).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
			WithIngress(ingress...).
			WithEgress(egress...))
}

// conf is what drivers configure themselves by. The secret is in their environment; Spark wants the setting to be there all the same.
// (SecurityManager.initializeAuth)
func (s sharedCluster) conf() *core.ConfigMapApplyConfiguration {
	lines := slices.Concat(
		driverConf(s.masterURL(), s.spec.Worker, s.spec.Workers), s.storageConf(),
		[]string{"spark.authenticate true", "spark.authenticate.secret in-the-environment", "spark.network.crypto.enabled true"})
	files := components.Merge(s.sessionFiles(), map[string]string{defaultsFile: joined(lines)})
	return core.ConfigMap(s.stable(), s.Platform.Namespace).WithLabels(s.labels()).WithData(files)
}

// service is the address of the master, whichever cluster has the name now.
func (s sharedCluster) service() *core.ServiceApplyConfiguration {
	port := func(name string, number int32) *core.ServicePortApplyConfiguration {
		// The operator's container names its ports, one of them wrongly.
		return native.ServicePort(name, number).WithTargetPort(intstr.FromInt32(number))
	}
	return core.Service(s.stable(), s.Platform.Namespace).WithLabels(s.labels()).
		WithSpec(core.ServiceSpec().
			WithSelector(map[string]string{LabelShared: s.spec.Name, labelSparkRole: masterPart}).
			WithPorts(port(masterPart, masterPort), port(webName, masterWebPort)))
}

// driverPod is what a Pod must have to be a driver of the cluster.
func (s sharedCluster) driverPod() components.NotebookPod {
	return components.NotebookPod{
		Labels: map[string]string{LabelShared: s.spec.Name},
		Environment: append(driverEnv(s.masterURL()),
			native.SecretEnv(secretVariable, s.stable(), secretKey)),
		Volumes: []*core.VolumeApplyConfiguration{core.Volume().WithName("spark").WithConfigMap(
			core.ConfigMapVolumeSource().WithName(s.stable()).WithOptional(true))},
		Mounts: []*core.VolumeMountApplyConfiguration{native.MountReadOnly("spark", confFolder)},
	}
}
