package jupyterhub

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	rbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
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
	configPart   = "config"
	profilesPart = "profiles"
	pullPart     = "images"
)

// databaseCAFolder has the authority of the platform's database server.
const databaseCAFolder = "/etc/jupyterhub-database-ca"

// offersFolder has a folder with offers.json for each component that offers devices of nodes. The file may be missing.
const offersFolder = "/etc/jupyterhub-offers"

// databaseVariable has the address of PostgreSQL in the hub's environment.
const databaseVariable = "ODH_DATABASE_URI"

// HubRole is the ClusterRole, shipped in config/rbac, that is bound in each platform's namespace.
const HubRole = "opendatahub-jupyterhub-hub"

func hubAccount(in inputs) *core.ServiceAccountApplyConfiguration {
	account := in.ServiceAccount(hubPart)
	if in.login.Type == v1alpha1.AuthenticationOpenShift {
		in.OpenShiftClient(account, callback(in.url()))
	}
	return account
}

func hubBinding(in inputs) *rbac.RoleBindingApplyConfiguration {
	return rbac.RoleBinding(in.Object(hubPart), in.Platform.Namespace).
		WithLabels(in.Labels(hubPart)).
		WithRoleRef(rbac.RoleRef().WithAPIGroup("rbac.authorization.k8s.io").WithKind("ClusterRole").WithName(HubRole)).
		WithSubjects(rbac.Subject().WithKind("ServiceAccount").WithName(in.Object(hubPart)).WithNamespace(in.Platform.Namespace))
}

// keysSecret goes with the database: the database has values that were encrypted with it.
func keysSecret(in inputs) components.Object {
	object := components.Data(in.Secret(hubPart, keysPart))
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
	object := components.Owned(in.Secret(proxyPart, proxyPart))
	object.Generate = []components.Random{{Key: proxyTokenKey, Bytes: 32}}
	return object
}

// loginObjects are what the login needs besides configuration.
func loginObjects(in inputs) []components.Object {
	var objects []components.Object
	if in.login.Type == v1alpha1.AuthenticationLocal {
		login := components.Data(in.Secret(hubPart, loginPart).
			WithData(map[string][]byte{"username": []byte(native.Administrator)}))
		login.Generate = []components.Random{{Key: adminKey, Bytes: 16}}
		objects = append(objects, login)
	}
	if in.login.Type == v1alpha1.AuthenticationOpenShift {
		// The secret of a ServiceAccount as OAuth client is one of its tokens; the token in the Pod would not do, because
		// it changes every hour and the hub reads it at its start.
		objects = append(objects, components.Owned(in.Secret(hubPart, oauthPart).
			WithAnnotations(map[string]string{corev1.ServiceAccountNameKey: in.Object(hubPart)}).
			WithType(corev1.SecretTypeServiceAccountToken)))
	}
	if in.OpenShift { // notebooks may have it as well
		objects = append(objects, components.Owned(in.ClusterCA(hubPart)))
	}
	return objects
}

// hubFiles is what the hub reads at its start, besides extraConfig.
func hubFiles(in inputs) map[string]string {
	return map[string]string{"jupyterhub_config.py": configPy, "notebooks.py": notebooksPy, "config.json": native.JSON(config(in))}
}

func configMap(in inputs) *core.ConfigMapApplyConfiguration {
	files := hubFiles(in)
	if in.extraConfig.python != "" {
		files["load_test.py"] = loadTestPy
	}
	return in.ConfigMap(hubPart, configPart).WithData(files)
}

func profilesMap(in inputs) *core.ConfigMapApplyConfiguration {
	return in.ConfigMap(hubPart, profilesPart).
		WithData(map[string]string{"profiles.json": native.JSON(choices(in))})
}

// hubService leads to the hub even while it is not ready, see ReadyHandler in jupyterhub_config.py: the proxy and notebooks have no
// other to go to.
func hubService(in inputs) *core.ServiceApplyConfiguration {
	service := in.Service(in.Object(hubPart), hubPart, native.ServicePort("http", 8081))
	service.Spec.WithPublishNotReadyAddresses(true)
	return service
}

func hubDeployment(in inputs) *apps.DeploymentApplyConfiguration {
	files := hubFiles(in)
	annotations := map[string]string{
		native.AnnotationConfig:  native.Digest(files["config.json"], files["jupyterhub_config.py"], files["notebooks.py"]),
		native.AnnotationSecrets: in.hubSecrets,
	}
	container := native.Container("hub", hubImage, in.hub).
		WithArgs("jupyterhub", "--config", "/etc/jupyterhub/jupyterhub_config.py", "--upgrade-db").
		WithEnv(hubEnv(in)...).
		WithPorts(native.Port("http", 8081)).
		// A new version of JupyterHub may have to convert a large database first.
		WithStartupProbe(native.Probe("/hub/health", 5, 120)).
		WithLivenessProbe(native.Probe("/hub/health", 10, 6)).
		WithReadinessProbe(native.Probe("/hub/ready", 10, 2)).
		WithVolumeMounts(
			native.MountReadOnly("config", "/etc/jupyterhub"),
			native.MountReadOnly("profiles", "/etc/jupyterhub-profiles"),
			native.MountReadOnly("ca", "/etc/jupyterhub-ca"),
			native.Mount("data", "/srv/jupyterhub"),
			native.Mount("tmp", "/tmp"),
		)
	databaseCA := in.database.Volume("database-ca")
	if databaseCA != nil {
		container.WithVolumeMounts(native.MountReadOnly("database-ca", databaseCAFolder))
	}
	data := native.EmptyVolume("data") // with PostgreSQL nothing is kept there
	if in.database == nil {
		data = native.ClaimVolume("data", in.Object(databasePart))
	}
	// The Pod has a copy of the container.
	if in.extraConfig.loaded != "" {
		container.WithVolumeMounts(native.MountReadOnly(extraVolume, "/etc/jupyterhub-extra"))
	}
	var offers []*core.VolumeApplyConfiguration
	if in.offers() {
		for i, offered := range in.notebooks.Offers {
			volume := fmt.Sprintf("offers-%d", i)
			container.WithVolumeMounts(native.MountReadOnly(volume, offersFolder+"/"+strconv.Itoa(i)))
			offers = append(offers, core.Volume().WithName(volume).WithConfigMap(core.ConfigMapVolumeSource().
				WithName(offered.ConfigMap).WithOptional(true).WithItems(core.KeyToPath().WithKey(offered.Key).WithPath("offers.json"))))
		}
	}
	pod := in.Pod(hubPart, 1000, container).
		WithAutomountServiceAccountToken(true). // it starts notebooks
		WithVolumes(
			native.ConfigMapVolume("config", in.Object(configPart)),
			native.ConfigMapVolume("profiles", in.Object(profilesPart)),
			loginCA(in),
			data,
			native.EmptyVolume("tmp"),
		)
	if databaseCA != nil {
		pod.WithVolumes(databaseCA)
	}
	pod.WithVolumes(offers...)
	if in.extraConfig.loaded != "" {
		pod.WithVolumes(native.ConfigMapVolume(extraVolume, in.extraConfig.loaded))
	}
	return deployment(in, hubPart, annotations, pod)
}

// loginCA is the volume with the authorities of the login provider, in the file ca-bundle.crt.
func loginCA(in inputs) *core.VolumeApplyConfiguration {
	volume := core.Volume().WithName("ca")
	if ca := in.LoginCA(); ca.Secret != "" {
		return volume.WithSecret(core.SecretVolumeSource().WithSecretName(ca.Secret).
			WithItems(core.KeyToPath().WithKey(ca.Key).WithPath(native.ClusterCAKey)))
	}
	return volume.WithConfigMap(core.ConfigMapVolumeSource().WithName(in.Object("ca")).WithOptional(true))
}

func hubEnv(in inputs) []*core.EnvVarApplyConfiguration {
	env := []*core.EnvVarApplyConfiguration{
		native.SecretEnv("CONFIGPROXY_AUTH_TOKEN", in.Object(proxyPart), proxyTokenKey),
		native.SecretEnv("JPY_COOKIE_SECRET", in.Object(keysPart), cookieKey),
		native.SecretEnv("JUPYTERHUB_CRYPT_KEY", in.Object(keysPart), cryptKey),
		native.SecretEnv("ODH_TOKEN_PROMETHEUS", in.Object(keysPart), prometheusKey),
		native.Env("HOME", "/tmp"),
		// OpenShift runs it under a user id that no file of the image knows.
		native.Env("USER", "jovyan"),
		// Behind load balancers a browser's address may change between the login page and its answer.
		native.Env("JUPYTERHUB_XSRF_ANONYMOUS_IP_CIDRS", "10.0.0.0/8;172.16.0.0/12;192.168.0.0/16"),
		native.Env("PYTHONUNBUFFERED", "1"),
	}
	if in.database != nil {
		env = append(env, in.database.Env(databaseVariable, databaseCAFolder)...)
	}
	switch in.login.Type {
	case v1alpha1.AuthenticationLocal:
		env = append(env, native.SecretEnv("ODH_ADMIN_PASSWORD", in.Object(loginPart), adminKey))
	case v1alpha1.AuthenticationOpenShift:
		env = append(env, native.SecretEnv("OAUTH_CLIENT_SECRET", in.Object(oauthPart), accountTokenKey))
	case v1alpha1.AuthenticationOIDC:
		env = append(env, in.login.ClientSecret("OAUTH_CLIENT_SECRET"))
		env = append(env, in.Outbound.SecureEnv(in.Object(hubPart), in.Object(proxyPart))...)
	}
	return env
}

func proxyDeployment(in inputs) *apps.DeploymentApplyConfiguration {
	hub := "http://" + in.Object(hubPart) + ":8081"
	container := native.Container("proxy", proxyImage, in.proxy).
		WithCommand("configurable-http-proxy").
		// No address means all of them, of both families.
		WithArgs(
			"--ip=", "--port=8000",
			"--api-ip=", "--api-port=8001",
			"--metrics-ip=", "--metrics-port=8002",
			"--default-target="+hub, "--error-target="+hub+"/hub/error",
		).
		WithEnv(native.SecretEnv("CONFIGPROXY_AUTH_TOKEN", in.Object(proxyPart), proxyTokenKey)).
		WithPorts(
			native.Port("http", 8000),
			native.Port("api", 8001),
			native.Port("metrics", 8002),
		).
		WithLivenessProbe(native.Probe("/_chp_healthz", 10, 6)).
		WithReadinessProbe(native.Probe("/_chp_healthz", 5, 3))
	pod := in.Pod(proxyPart, 65534, container)
	return deployment(in, proxyPart, map[string]string{native.AnnotationSecrets: in.proxySecrets}, pod)
}

// deployment of one Pod. Neither part can run twice, not even while it is replaced: two hubs would share a database, and a
// hub between two proxies has been seen to delete notebooks that it took for unreachable.
func deployment(in inputs, part string, annotations map[string]string, pod *core.PodSpecApplyConfiguration) *apps.DeploymentApplyConfiguration {
	deployment := in.Recreate(part, annotations, pod)
	deployment.Spec.Template.WithLabels(map[string]string{"component": part})
	return deployment
}
