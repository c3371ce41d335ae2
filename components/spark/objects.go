package spark

import (
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

// daemonConf is the configuration of master and workers. It lies beside the driver's and is asked for by name.
const daemonConf = "daemon.conf"

// Cluster returns the objects of the cluster of a Pod, in the order in which they are created, and whether the platform has the size
// that the Pod asks for. secret is what the processes of the cluster authenticate each other with.
func Cluster(facts components.Facts, pod *corev1.Pod, secret string) ([]runtime.ApplyConfiguration, bool) {
	in := newInputs(facts)
	size, ok := in.size(pod.Annotations[AnnotationSize])
	if !ok {
		return nil, false
	}
	c := cluster{inputs: in, size: size, pod: pod, secret: secret}
	return []runtime.ApplyConfiguration{
		c.clusterPolicy(), c.driverPolicy(), c.conf(), c.service(),
		c.deployment(masterPart, 1, c.master()),
		c.deployment(workerPart, size.Workers, c.worker()),
	}, true
}

// cluster is what the objects of one are made of.
type cluster struct {
	inputs
	size   v1alpha1.SparkClusterSize
	pod    *corev1.Pod
	secret string
}

func (c cluster) name() string { return clusterName(string(c.pod.UID)) }

// labels of the objects. The component's own label is not among them: what carries that and is not rendered is pruned.
func (c cluster) labels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":      c.Name,
		"app.kubernetes.io/component": clusterPart,
		components.LabelPlatform:      c.Platform.Name,
		LabelSpark:                    "true",
		LabelCluster:                  ClusterKey(c.pod.Name),
	}
}

func (c cluster) annotations() map[string]string {
	return map[string]string{AnnotationUser: c.pod.Annotations[AnnotationUser], AnnotationSize: c.size.Name}
}

// owner is the Pod: whatever becomes of the controller, what belongs to a Pod goes with it. It does not block the deletion of the Pod,
// for which OpenShift would ask for a right on Pods.
func (c cluster) owner() *meta.OwnerReferenceApplyConfiguration {
	return meta.OwnerReference().WithAPIVersion("v1").WithKind("Pod").WithName(c.pod.Name).WithUID(c.pod.UID)
}

// members are the Pod and the Pods of its cluster.
func (c cluster) members() map[string]string {
	return map[string]string{LabelCluster: ClusterKey(c.pod.Name)}
}

// processes selects the Pods of the cluster.
func (c cluster) processes() *meta.LabelSelectorApplyConfiguration {
	return meta.LabelSelector().WithMatchLabels(c.members()).
		WithMatchExpressions(meta.LabelSelectorRequirement().WithKey(labelRole).WithOperator(metav1.LabelSelectorOpExists))
}

// clusterPolicy: the driver and the cluster itself come in, and Prometheus to the web interfaces.
func (c cluster) clusterPolicy() *networking.NetworkPolicyApplyConfiguration {
	within := append(ports(masterPort, masterWebPort, workerPort, workerWebPort), span(blockPort))
	egress := slices.Concat(c.egress, []native.Egress{networking.NetworkPolicyEgressRule().
		WithPorts(within...).WithPorts(span(driverPort), span(driverBlockPort)).WithTo(native.Pods(c.members()))})
	ingress := []native.Ingress{networking.NetworkPolicyIngressRule().WithPorts(within...).WithFrom(native.Pods(c.members())), c.metrics(masterWebPort, workerWebPort)}
	return c.policy("", c.processes(), ingress, egress...)
}

// driverPolicy adds to what the Pod may do besides: its cluster comes in, and it goes out to its cluster.
func (c cluster) driverPolicy() *networking.NetworkPolicyApplyConfiguration {
	peer := networking.NetworkPolicyPeer().WithPodSelector(c.processes())
	driver := meta.LabelSelector().WithMatchLabels(c.members()).
		WithMatchExpressions(meta.LabelSelectorRequirement().WithKey(labelRole).WithOperator(metav1.LabelSelectorOpDoesNotExist))
	return c.policy("-driver", driver,
		[]native.Ingress{networking.NetworkPolicyIngressRule().WithPorts(span(driverPort), span(driverBlockPort)).WithFrom(peer)},
		native.DNS(),
		networking.NetworkPolicyEgressRule().
			WithPorts(append(ports(masterPort, masterWebPort, workerWebPort), span(blockPort))...).WithTo(peer))
}

func (c cluster) policy(suffix string, pods *meta.LabelSelectorApplyConfiguration, ingress []native.Ingress, egress ...native.Egress) *networking.NetworkPolicyApplyConfiguration {
	return networking.NetworkPolicy(c.name()+suffix, c.Platform.Namespace).
		WithLabels(c.labels()).WithAnnotations(c.annotations()).WithOwnerReferences(c.owner()).
		WithSpec(networking.NetworkPolicySpec().
			WithPodSelector(pods).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
			WithIngress(ingress...).
			WithEgress(egress...))
}

// metrics lets Prometheus in.
func (in inputs) metrics(ports ...int32) native.Ingress {
	return native.From(ports, native.Prometheus(in.OpenShift)...)
}

func ports(numbers ...int32) []*networking.NetworkPolicyPortApplyConfiguration {
	all := make([]*networking.NetworkPolicyPortApplyConfiguration, 0, len(numbers))
	for _, number := range numbers {
		all = append(all, networking.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(number)))
	}
	return all
}

// span is a port and those that Spark tries after it.
func span(port int32) *networking.NetworkPolicyPortApplyConfiguration {
	return ports(port)[0].WithEndPort(port + portRetries)
}

// conf is a Secret: standalone clusters take the secret from nowhere but their configuration.
// https://spark.apache.org/docs/latest/security.html#standalone-mode
func (c cluster) conf() *core.SecretApplyConfiguration {
	shared := []string{
		"spark.authenticate true",
		"spark.authenticate.secret " + c.secret,
		"spark.network.crypto.enabled true",
	}
	driver := slices.Concat(driverConf(masterURL(string(c.pod.UID)), c.size.Worker, c.size.Workers), c.storageConf(), shared)
	daemons := append([]string{
		"spark.master.rest.enabled false",
		"spark.ui.killEnabled false",
		// A master whose Pod is replaced has another address, behind the same Service.
		"spark.worker.preferConfiguredMasterAddress true",
		"spark.worker.cleanup.enabled true",
	}, shared...)
	metrics := metricsConf(masterPart, workerPart)
	for _, setting := range slices.Sorted(maps.Keys(metrics)) {
		daemons = append(daemons, setting+" "+metrics[setting])
	}
	files := components.Merge(c.sessionFiles(), map[string]string{defaultsFile: joined(driver), daemonConf: joined(daemons)})
	return core.Secret(secretName(c.pod.Name), c.Platform.Namespace).
		WithLabels(c.labels()).WithAnnotations(c.annotations()).WithOwnerReferences(c.owner()).
		WithType(corev1.SecretTypeOpaque).
		WithStringData(files)
}

// service is the address of the master, which is known before the master is there.
func (c cluster) service() *core.ServiceApplyConfiguration {
	return core.Service(c.name(), c.Platform.Namespace).
		WithLabels(c.labels()).WithAnnotations(c.annotations()).WithOwnerReferences(c.owner()).
		WithSpec(core.ServiceSpec().
			WithSelector(components.Merge(c.members(), map[string]string{labelRole: masterPart})).
			// Workers begin to ask for it while it starts.
			WithPublishNotReadyAddresses(true).
			WithPorts(native.ServicePort(masterPart, masterPort), native.ServicePort(webName, masterWebPort)))
}

func (c cluster) master() *core.ContainerApplyConfiguration {
	return c.container(masterPart, c.size.Master, heap(c.size.Master.Memory),
		"org.apache.spark.deploy.master.Master",
		"--port", fmt.Sprint(masterPort), "--webui-port", fmt.Sprint(masterWebPort)).
		WithPorts(native.Port(masterPart, masterPort), native.Port(webName, masterWebPort)).
		WithReadinessProbe(core.Probe().WithTCPSocket(core.TCPSocketAction().WithPort(intstr.FromInt32(masterPort))).WithPeriodSeconds(2))
}

// worker is a small process beside the executors that it starts.
func (c cluster) worker() *core.ContainerApplyConfiguration {
	env, _, mounts := driverStorage(c.pod)
	return c.container(workerPart, c.size.Worker, 128,
		"org.apache.spark.deploy.worker.Worker",
		"--port", fmt.Sprint(workerPort), "--webui-port", fmt.Sprint(workerWebPort),
		"--cores", fmt.Sprint(c.size.Worker.Cores), "--memory", fmt.Sprintf("%dm", heap(c.size.Worker.Memory)), "--work-dir", "/tmp/work",
		masterURL(string(c.pod.UID))).
		WithEnv(env...).
		WithVolumeMounts(mounts...).
		WithPorts(native.Port(workerPart, workerPort), native.Port(webName, workerWebPort)).
		WithReadinessProbe(core.Probe().WithTCPSocket(core.TCPSocketAction().WithPort(intstr.FromInt32(workerPort))).WithPeriodSeconds(2))
}

// findSpark runs Spark where images have it: in SPARK_HOME, in the path (as pip installs it), or where Apache's own image has it.
const findSpark = `PATH="${SPARK_HOME:+$SPARK_HOME/bin:}$PATH:/opt/spark/bin"; exec spark-class "$@"`

// processResources are what a process asks for and may take at most.
func (in inputs) processResources(size v1alpha1.SparkProcessSize) v1alpha1.Resources {
	return v1alpha1.Resources{
		Requests: v1alpha1.ResourceAmounts{CPU: *resource.NewMilliQuantity(int64(size.Cores)*in.corePart, resource.DecimalSI), Memory: size.Memory},
		Limits:   v1alpha1.ResourceAmounts{CPU: *resource.NewQuantity(int64(size.Cores), resource.DecimalSI), Memory: size.Memory},
	}
}

// container runs a process of Spark from the image of the Pod, so that Python, Java and Spark are the same on both sides, as Spark needs it.
func (c cluster) container(part string, size v1alpha1.SparkProcessSize, heap int64, class string, args ...string) *core.ContainerApplyConfiguration {
	args = append([]string{class, "--host", "$(POD_IP)", "--properties-file", confFolder + "/" + daemonConf}, args...)
	container := native.Container(part, c.pod.Spec.Containers[0].Image, c.processResources(size)).
		WithCommand("sh", "-c", findSpark, "sh").
		WithArgs(args...).
		WithEnv(
			fieldEnv("POD_IP", "status.podIP"),
			native.Env("HOME", "/tmp"),
			native.Env("SPARK_LOCAL_DIRS", "/tmp/local"),
			native.Env("SPARK_CONF_DIR", confFolder),
			native.Env("SPARK_DAEMON_MEMORY", fmt.Sprintf("%dm", heap)),
		).
		WithVolumeMounts(native.Mount("tmp", "/tmp"), native.MountReadOnly("spark", confFolder))
	if policy := c.pod.Spec.Containers[0].ImagePullPolicy; policy != "" {
		container.WithImagePullPolicy(policy)
	}
	return container
}

// deployment runs the Pods of a part. Nothing of them is worth waiting for when they end.
func (c cluster) deployment(part string, replicas int32, container *core.ContainerApplyConfiguration) *apps.DeploymentApplyConfiguration {
	conf := core.SecretVolumeSource().WithSecretName(secretName(c.pod.Name)).WithItems(core.KeyToPath().WithKey(daemonConf).WithPath(daemonConf))
	if hasAuthority(c.storage) {
		conf.WithItems(core.KeyToPath().WithKey(envFile).WithPath(envFile))
	}
	pod := c.Pod(clusterPart, 1000, container).
		WithTerminationGracePeriodSeconds(1).
		WithVolumes(native.EmptyVolume("tmp"), core.Volume().WithName("spark").WithSecret(conf))
	native.Place(pod, c.placement)
	if part == workerPart {
		_, volumes, _ := driverStorage(c.pod)
		pod.WithVolumes(volumes...)
	}
	// As the Pod's own processes, for which the image was made.
	pod.SecurityContext.RunAsUser, pod.SecurityContext.RunAsGroup, pod.SecurityContext.FSGroup = c.user()
	for _, secret := range c.pod.Spec.ImagePullSecrets {
		pod.WithImagePullSecrets(core.LocalObjectReference().WithName(secret.Name))
	}
	labels := components.Merge(c.members(), map[string]string{LabelSpark: "true", labelRole: part})
	annotations := map[string]string{annotationDriver: string(c.pod.UID)}
	if labels[LabelCluster] != c.pod.Name {
		annotations[annotationDriverName] = c.pod.Name
	}
	return apps.Deployment(c.name()+"-"+part, c.Platform.Namespace).
		WithLabels(c.labels()).WithAnnotations(c.annotations()).WithOwnerReferences(c.owner()).
		WithSpec(apps.DeploymentSpec().
			WithReplicas(replicas).
			WithRevisionHistoryLimit(0).
			WithStrategy(apps.DeploymentStrategy().WithType(appsv1.RecreateDeploymentStrategyType)).
			WithSelector(meta.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(core.PodTemplateSpec().
				WithLabels(c.Labels(clusterPart)).
				// The component's label is how the status counts clusters.
				WithLabels(map[string]string{components.LabelPlatform: c.Platform.Name, components.LabelComponent: name}).
				WithLabels(labels).
				WithAnnotations(annotations).
				WithSpec(pod)))
}

// user, group and volumes' group of the Pod; those of its first container win, as they do there.
func (c cluster) user() (user, group, volumes *int64) {
	if context := c.pod.Spec.SecurityContext; context != nil {
		user, group, volumes = context.RunAsUser, context.RunAsGroup, context.FSGroup
	}
	if context := c.pod.Spec.Containers[0].SecurityContext; context != nil {
		if context.RunAsUser != nil {
			user = context.RunAsUser
		}
		if context.RunAsGroup != nil {
			group = context.RunAsGroup
		}
	}
	return user, group, volumes
}
