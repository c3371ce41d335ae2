package jupyterhub

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	rbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// The parts, as they appear in names and in the label app.kubernetes.io/component.
const (
	hubPart      = "hub"
	proxyPart    = "proxy"
	notebookPart = "notebook"
	databasePart = "db"
	keysPart     = "keys"
	loginPart    = "login"
	oauthPart    = "oauth"
	caPart       = "ca"
	configPart   = "config"
	profilesPart = "profiles"
)

// Annotations of Pod templates: a Pod reads its files and Secrets when it starts, so a change of them replaces it.
const (
	annotationConfig  = "opendatahub.io/config"
	annotationSecrets = "opendatahub.io/secrets"
)

// HubRole is the ClusterRole, shipped in config/rbac, that is bound in each platform's namespace.
const HubRole = "opendatahub-jupyterhub-hub"

// selector finds the Pods of a part.
func selector(in inputs, part string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":      "jupyterhub",
		"app.kubernetes.io/component": part,
		components.LabelPlatform:      in.platform,
	}
}

// labelled is the labels of an object of a part. The label app is what JupyterHub's own dashboards select by.
func labelled(part string) map[string]string {
	return map[string]string{
		"app":                         "jupyterhub",
		"app.kubernetes.io/name":      "jupyterhub",
		"app.kubernetes.io/component": part,
	}
}

func hubAccount(in inputs) *core.ServiceAccountApplyConfiguration {
	account := core.ServiceAccount(in.object(hubPart), in.namespace).
		WithLabels(labelled(hubPart)).
		WithAutomountServiceAccountToken(false)
	if in.login.kind == v1alpha1.AuthenticationOpenShift {
		// The account is the OAuth client; this is the only address that OpenShift sends browsers back to.
		account.WithAnnotations(map[string]string{
			"serviceaccounts.openshift.io/oauth-redirecturi.jupyterhub": in.url() + "hub/oauth_callback",
		})
	}
	return account
}

func proxyAccount(in inputs) *core.ServiceAccountApplyConfiguration {
	return core.ServiceAccount(in.object(proxyPart), in.namespace).
		WithLabels(labelled(proxyPart)).
		WithAutomountServiceAccountToken(false)
}

func notebookAccount(in inputs) *core.ServiceAccountApplyConfiguration {
	return core.ServiceAccount(in.object(notebookPart), in.namespace).
		WithLabels(labelled(notebookPart)).
		WithAutomountServiceAccountToken(false)
}

func hubBinding(in inputs) *rbac.RoleBindingApplyConfiguration {
	return rbac.RoleBinding(in.object(hubPart), in.namespace).
		WithLabels(labelled(hubPart)).
		WithRoleRef(rbac.RoleRef().WithAPIGroup("rbac.authorization.k8s.io").WithKind("ClusterRole").WithName(HubRole)).
		WithSubjects(rbac.Subject().WithKind("ServiceAccount").WithName(in.object(hubPart)).WithNamespace(in.namespace))
}

// keysSecret goes with the database: the database has values that were encrypted with it.
func keysSecret(in inputs) components.Object {
	object := components.Data(core.Secret(in.object(keysPart), in.namespace).
		WithLabels(labelled(hubPart)).
		WithType(corev1.SecretTypeOpaque))
	object.Generate = []components.Random{
		{Key: cookieKey, Bytes: 32},
		{Key: cryptKey, Bytes: 32},
		{Key: prometheusKey, Bytes: 32},
	}
	return object
}

// proxySecret is apart from the other keys, because replacing the proxy cuts every connection: only a change of this
// one key may do that.
func proxySecret(in inputs) components.Object {
	object := components.Owned(core.Secret(in.object(proxyPart), in.namespace).
		WithLabels(labelled(proxyPart)).
		WithType(corev1.SecretTypeOpaque))
	object.Generate = []components.Random{{Key: proxyTokenKey, Bytes: 32}}
	return object
}

// loginObjects are what the login needs besides configuration.
func loginObjects(in inputs) []components.Object {
	var objects []components.Object
	if in.login.kind == v1alpha1.AuthenticationLocal {
		login := components.Data(core.Secret(in.object(loginPart), in.namespace).
			WithLabels(labelled(hubPart)).
			WithType(corev1.SecretTypeOpaque).
			WithData(map[string][]byte{"username": []byte(administrator)}))
		login.Generate = []components.Random{{Key: adminKey, Bytes: 16}}
		objects = append(objects, login)
	}
	if in.login.kind == v1alpha1.AuthenticationOpenShift {
		// The secret of a ServiceAccount as OAuth client is one of its tokens; the token in the Pod would not do, because
		// it changes every hour and the hub reads it at its start.
		objects = append(objects, components.Owned(core.Secret(in.object(oauthPart), in.namespace).
			WithLabels(labelled(hubPart)).
			WithAnnotations(map[string]string{corev1.ServiceAccountNameKey: in.object(hubPart)}).
			WithType(corev1.SecretTypeServiceAccountToken)))
	}
	if in.openShift {
		// OpenShift fills it with the authorities that the cluster trusts.
		objects = append(objects, components.Owned(core.ConfigMap(in.object(caPart), in.namespace).
			WithLabels(labelled(hubPart)).
			WithLabels(map[string]string{"config.openshift.io/inject-trusted-cabundle": "true"})))
	}
	return objects
}

// hubFiles is what the hub reads at its start.
func hubFiles(in inputs) map[string]string {
	return map[string]string{"jupyterhub_config.py": configPy, "config.json": encode(config(in))}
}

func configMap(in inputs) *core.ConfigMapApplyConfiguration {
	return core.ConfigMap(in.object(configPart), in.namespace).WithLabels(labelled(hubPart)).WithData(hubFiles(in))
}

func profilesMap(in inputs) *core.ConfigMapApplyConfiguration {
	return core.ConfigMap(in.object(profilesPart), in.namespace).WithLabels(labelled(hubPart)).
		WithData(map[string]string{"profiles.json": encode(choices(in))})
}

func database(in inputs) *core.PersistentVolumeClaimApplyConfiguration {
	spec := core.PersistentVolumeClaimSpec().
		WithAccessModes(corev1.ReadWriteOnce).
		WithResources(core.VolumeResourceRequirements().WithRequests(corev1.ResourceList{corev1.ResourceStorage: in.database.Size}))
	if in.database.StorageClassName != "" {
		spec.WithStorageClassName(in.database.StorageClassName)
	}
	return core.PersistentVolumeClaim(in.object(databasePart), in.namespace).WithLabels(labelled(hubPart)).WithSpec(spec)
}

func hubService(in inputs) *core.ServiceApplyConfiguration {
	return serviceOf(in, in.object(hubPart), hubPart, port("http", 8081))
}

// proxyService is the proxy's inside: its API for the hub, its metrics.
func proxyService(in inputs) *core.ServiceApplyConfiguration {
	return serviceOf(in, in.object(proxyPart), proxyPart, port("api", 8001), port("metrics", 8002))
}

func webService(in inputs) *core.ServiceApplyConfiguration {
	return serviceOf(in, in.web(), proxyPart, port("http", 80))
}

func port(name string, number int32) *core.ServicePortApplyConfiguration {
	return core.ServicePort().WithName(name).WithPort(number).WithTargetPort(intstr.FromString(name)).WithProtocol(corev1.ProtocolTCP)
}

func serviceOf(in inputs, name, part string, ports ...*core.ServicePortApplyConfiguration) *core.ServiceApplyConfiguration {
	return core.Service(name, in.namespace).WithLabels(labelled(part)).
		WithSpec(core.ServiceSpec().WithSelector(selector(in, part)).WithPorts(ports...))
}

func hubDeployment(in inputs) *apps.DeploymentApplyConfiguration {
	files := hubFiles(in)
	annotations := map[string]string{
		annotationConfig:  digest(files["config.json"], files["jupyterhub_config.py"]),
		annotationSecrets: in.hubSecrets,
	}
	container := core.Container().WithName("hub").WithImage(hubImage).
		WithArgs("jupyterhub", "--config", "/etc/jupyterhub/jupyterhub_config.py", "--upgrade-db").
		WithEnv(hubEnv(in)...).
		WithPorts(core.ContainerPort().WithName("http").WithContainerPort(8081).WithProtocol(corev1.ProtocolTCP)).
		WithResources(requirements(in.hub)).
		WithSecurityContext(containerSecurity()).
		// A new version of JupyterHub may have to convert a large database first.
		WithStartupProbe(probe("/hub/health", 5, 120)).
		WithLivenessProbe(probe("/hub/health", 10, 6)).
		WithReadinessProbe(probe("/hub/health", 5, 3)).
		WithVolumeMounts(
			core.VolumeMount().WithName("config").WithMountPath("/etc/jupyterhub").WithReadOnly(true),
			core.VolumeMount().WithName("profiles").WithMountPath("/etc/jupyterhub-profiles").WithReadOnly(true),
			core.VolumeMount().WithName("ca").WithMountPath("/etc/jupyterhub-ca").WithReadOnly(true),
			core.VolumeMount().WithName("data").WithMountPath("/srv/jupyterhub"),
			core.VolumeMount().WithName("tmp").WithMountPath("/tmp"),
		)
	pod := core.PodSpec().
		WithServiceAccountName(in.object(hubPart)).
		WithAutomountServiceAccountToken(true). // it starts notebooks
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(60).
		WithSecurityContext(podSecurity(in, 1000)).
		WithContainers(container).
		WithVolumes(
			core.Volume().WithName("config").WithConfigMap(core.ConfigMapVolumeSource().WithName(in.object(configPart))),
			core.Volume().WithName("profiles").WithConfigMap(core.ConfigMapVolumeSource().WithName(in.object(profilesPart))),
			core.Volume().WithName("ca").WithConfigMap(core.ConfigMapVolumeSource().WithName(in.object(caPart)).WithOptional(true)),
			core.Volume().WithName("data").WithPersistentVolumeClaim(
				core.PersistentVolumeClaimVolumeSource().WithClaimName(in.object(databasePart))),
			core.Volume().WithName("tmp").WithEmptyDir(core.EmptyDirVolumeSource()),
		)
	return deployment(in, hubPart, annotations, pod)
}

func hubEnv(in inputs) []*core.EnvVarApplyConfiguration {
	env := []*core.EnvVarApplyConfiguration{
		fromSecret("CONFIGPROXY_AUTH_TOKEN", in.object(proxyPart), proxyTokenKey),
		fromSecret("JPY_COOKIE_SECRET", in.object(keysPart), cookieKey),
		fromSecret("JUPYTERHUB_CRYPT_KEY", in.object(keysPart), cryptKey),
		fromSecret("ODH_TOKEN_PROMETHEUS", in.object(keysPart), prometheusKey),
		core.EnvVar().WithName("HOME").WithValue("/tmp"),
		// OpenShift runs it under a user id that no file of the image knows.
		core.EnvVar().WithName("USER").WithValue("jovyan"),
		// Behind load balancers a browser's address may change between the login page and its answer.
		core.EnvVar().WithName("JUPYTERHUB_XSRF_ANONYMOUS_IP_CIDRS").WithValue("10.0.0.0/8;172.16.0.0/12;192.168.0.0/16"),
		core.EnvVar().WithName("PYTHONUNBUFFERED").WithValue("1"),
	}
	switch in.login.kind {
	case v1alpha1.AuthenticationLocal:
		env = append(env, fromSecret("ODH_ADMIN_PASSWORD", in.object(loginPart), adminKey))
	case v1alpha1.AuthenticationOpenShift:
		env = append(env, fromSecret("OAUTH_CLIENT_SECRET", in.object(oauthPart), accountTokenKey))
	case v1alpha1.AuthenticationOIDC:
		env = append(env, fromSecret("OAUTH_CLIENT_SECRET", in.login.oidc.ClientSecretRef.Name, oidcSecretKey))
	}
	return env
}

func proxyDeployment(in inputs) *apps.DeploymentApplyConfiguration {
	hub := "http://" + in.object(hubPart) + ":8081"
	container := core.Container().WithName("proxy").WithImage(proxyImage).
		WithCommand("configurable-http-proxy").
		// No address means all of them, of both families.
		WithArgs(
			"--ip=", "--port=8000",
			"--api-ip=", "--api-port=8001",
			"--metrics-ip=", "--metrics-port=8002",
			"--default-target="+hub, "--error-target="+hub+"/hub/error",
		).
		WithEnv(fromSecret("CONFIGPROXY_AUTH_TOKEN", in.object(proxyPart), proxyTokenKey)).
		WithPorts(
			core.ContainerPort().WithName("http").WithContainerPort(8000).WithProtocol(corev1.ProtocolTCP),
			core.ContainerPort().WithName("api").WithContainerPort(8001).WithProtocol(corev1.ProtocolTCP),
			core.ContainerPort().WithName("metrics").WithContainerPort(8002).WithProtocol(corev1.ProtocolTCP),
		).
		WithResources(requirements(in.proxy)).
		WithSecurityContext(containerSecurity()).
		WithLivenessProbe(probe("/_chp_healthz", 10, 6)).
		WithReadinessProbe(probe("/_chp_healthz", 5, 3))
	pod := core.PodSpec().
		WithServiceAccountName(in.object(proxyPart)).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(60).
		WithSecurityContext(podSecurity(in, 65534)).
		WithContainers(container)
	return deployment(in, proxyPart, map[string]string{annotationSecrets: in.proxySecrets}, pod)
}

// deployment of one Pod. Neither part can run twice, not even while it is replaced: two hubs would share a database, and a
// hub between two proxies has been seen to delete notebooks that it took for unreachable.
func deployment(in inputs, part string, annotations map[string]string, pod *core.PodSpecApplyConfiguration) *apps.DeploymentApplyConfiguration {
	template := core.PodTemplateSpec().
		WithLabels(components.Merge(in.labels, labelled(part), map[string]string{"component": part})).
		WithAnnotations(annotations).
		WithSpec(pod)
	return apps.Deployment(in.object(part), in.namespace).
		WithLabels(labelled(part)).
		WithSpec(apps.DeploymentSpec().
			WithReplicas(1).
			WithRevisionHistoryLimit(2).
			WithStrategy(apps.DeploymentStrategy().WithType("Recreate")).
			WithSelector(meta.LabelSelector().WithMatchLabels(selector(in, part))).
			WithTemplate(template))
}

func podSecurity(in inputs, user int64) *core.PodSecurityContextApplyConfiguration {
	security := core.PodSecurityContext().
		WithRunAsNonRoot(true).
		WithSeccompProfile(core.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if in.openShift { // which assigns users and groups to each namespace and refuses others
		return security
	}
	return security.WithRunAsUser(user).WithRunAsGroup(user).WithFSGroup(user)
}

func containerSecurity() *core.SecurityContextApplyConfiguration {
	return core.SecurityContext().
		WithAllowPrivilegeEscalation(false).
		WithReadOnlyRootFilesystem(true).
		WithCapabilities(core.Capabilities().WithDrop("ALL"))
}

func probe(path string, period, failures int32) *core.ProbeApplyConfiguration {
	return core.Probe().
		WithHTTPGet(core.HTTPGetAction().WithPath(path).WithPort(intstr.FromString("http"))).
		WithPeriodSeconds(period).WithTimeoutSeconds(3).WithFailureThreshold(failures)
}

func fromSecret(variable, secret, key string) *core.EnvVarApplyConfiguration {
	return core.EnvVar().WithName(variable).WithValueFrom(
		core.EnvVarSource().WithSecretKeyRef(core.SecretKeySelector().WithName(secret).WithKey(key)))
}

func requirements(resources v1alpha1.Resources) *core.ResourceRequirementsApplyConfiguration {
	return core.ResourceRequirements().
		WithRequests(amountsOf(resources.Requests)).
		WithLimits(amountsOf(resources.Limits))
}

func amountsOf(amounts v1alpha1.ResourceAmounts) corev1.ResourceList {
	list := corev1.ResourceList{}
	if !amounts.CPU.IsZero() {
		list[corev1.ResourceCPU] = amounts.CPU
	}
	if !amounts.Memory.IsZero() {
		list[corev1.ResourceMemory] = amounts.Memory
	}
	return list
}
