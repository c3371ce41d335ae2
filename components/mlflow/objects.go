package mlflow

import (
	"fmt"
	"path"
	"strings"

	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

const (
	dataFolder    = "/var/lib/mlflow"
	metricsFolder = "/var/run/mlflow-metrics"
	caFolder      = "/etc/mlflow/object-storage-ca"

	databaseURI      = "MLFLOW_BACKEND_STORE_URI"
	databaseCAFolder = "/etc/mlflow/database-ca"
)

// policy: browsers, notebooks and Prometheus come in, all through the login; out go the database and the object storage.
func policy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	egress := append([]native.Egress{native.DNS()}, in.proxy.Egress()...)
	egress = append(egress, in.database.Egress()...)
	if in.storage != nil {
		egress = append(egress, in.storage.Egress()...)
	}
	return in.Policy(serverPart, []native.Ingress{in.proxy.Ingress()}, egress)
}

// deployment stops the old Pods before it starts new ones: a new version changes the tables of the database, which the old
// one then cannot use.
func deployment(in inputs) *apps.DeploymentApplyConfiguration {
	mounts := []*core.VolumeMountApplyConfiguration{native.Mount("tmp", "/tmp"), native.Mount("metrics", metricsFolder)}
	volumes := []*core.VolumeApplyConfiguration{native.EmptyVolume("tmp"), native.EmptyVolume("metrics")}
	if in.hasVolume() {
		mounts = append(mounts, native.Mount("data", dataFolder))
		volumes = append(volumes, native.ClaimVolume("data", in.Object(dataPart)))
	}
	if in.storage != nil && in.storage.CA.Key != "" {
		mounts = append(mounts, native.MountReadOnly("object-storage-ca", caFolder))
		volumes = append(volumes, in.storage.Volume("object-storage-ca"))
	}
	if ca := in.database.Volume("database-ca"); ca != nil {
		mounts = append(mounts, native.MountReadOnly("database-ca", databaseCAFolder))
		volumes = append(volumes, ca)
	}
	container := func(name string) *core.ContainerApplyConfiguration {
		return native.Container(name, image, in.resources).WithCommand("mlflow").WithEnv(env(in)...).WithVolumeMounts(mounts...)
	}
	// migration upgrades the tables for a new version of MLflow, and creates those of a new database.
	migration := container("migration").WithArgs("db", "upgrade", "$("+databaseURI+")")
	server := container("server").WithArgs(args(in)...).
		WithStartupProbe(alive(5, 60)).
		WithLivenessProbe(alive(30, 4)).
		WithReadinessProbe(alive(10, 3))
	pod := in.Pod(serverPart, 1001, server).WithInitContainers(migration).WithVolumes(volumes...)
	in.proxy.AddTo(pod, proxyResources)
	deployment := in.Recreate(serverPart, map[string]string{native.AnnotationSecrets: in.secrets}, pod)
	deployment.Spec.WithReplicas(in.replicas)
	return deployment
}

// alive asks from inside the container: nobody else reaches the loopback.
func alive(period, failures int32) *core.ProbeApplyConfiguration {
	script := fmt.Sprintf("import urllib.request as r; r.urlopen('http://127.0.0.1:%d/health', timeout=5)", port)
	return core.Probe().WithExec(core.ExecAction().WithCommand("python", "-c", script)).
		WithPeriodSeconds(period).WithTimeoutSeconds(10).WithFailureThreshold(failures)
}

func env(in inputs) []*core.EnvVarApplyConfiguration {
	env := []*core.EnvVarApplyConfiguration{native.Env(databaseURI, "sqlite:///"+dataFolder+"/mlflow.db")}
	if in.database != nil {
		env = in.database.Env(databaseURI, databaseCAFolder)
	}
	env = append(env,
		native.Env("HOME", "/tmp"),
		native.Env("PYTHONUNBUFFERED", "1"),
		native.Env("MLFLOW_DISABLE_TELEMETRY", "true"),
		// LLM judges would run here, in processes of their own.
		native.Env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
	)
	if in.storage == nil {
		return env
	}
	style := "path"
	if in.storage.Addressing == s3.AddressingVirtualHost {
		style = "virtual"
	}
	env = append(env, native.Env("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", style))
	env = append(env, in.storage.Env(experiments, path.Join(caFolder, in.storage.CA.Key))...)
	return append(env, in.storage.ProxyEnv()...)
}

// args of the server. Clients send artifacts to it, and it stores them: they need no credentials of the object storage.
func args(in inputs) []string {
	artifacts := dataFolder + "/artifacts"
	if in.storage != nil {
		artifacts = "s3://" + in.storage.Bucket(experiments).Name
	}
	// The host names at which the server answers, and the origin whose pages may send it requests.
	service := in.Web() + "." + in.Platform.Namespace
	hosts := []string{service + ".svc", service + ".svc.cluster.local", service, in.Web()}
	origin := fmt.Sprintf("https://localhost:%d", in.proxy.Port()) // kubectl port-forward
	if host := in.proxy.Exposure.Host; host != "" {
		hosts, origin = append(hosts, host), "https://"+host
	}
	// Prometheus names the Pod by its port, and kubectl port-forward this machine by any. They pass the login, too.
	hosts = append(hosts, fmt.Sprintf("*:%d", in.proxy.Port()), "localhost:*", "127.0.0.1:*")
	return []string{
		"server", "--host=127.0.0.1", fmt.Sprintf("--port=%d", port), fmt.Sprintf("--workers=%d", in.workers),
		"--serve-artifacts", "--artifacts-destination=" + artifacts,
		"--allowed-hosts=" + strings.Join(hosts, ","), "--cors-allowed-origins=" + origin,
		"--expose-prometheus=" + metricsFolder,
	}
}
