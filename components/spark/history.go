package spark

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"

	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

// historyPart shows sessions that have ended.
const historyPart = "history"

const (
	historyField = "spec.components.spark.historyServer"
	// historyPort is Spark's own, on the loopback of the Pod.
	historyPort = 18080
	// modulesFolder has Hadoop's module for S3 where the image lacks it.
	modulesFolder = "/opt/opendatahub/s3a"
)

// What modules are fetched, and what they must be.
const (
	ivyFile       = "ivy.xml"
	checksumsFile = "jars.sha256"
)

var (
	//go:embed ivy.xml
	modules string
	//go:embed jars.sha256
	checksums string
)

// fetchModules has the Ivy in Spark's image fetch them. What is not as expected is not used.
const fetchModules = `
cd "$(mktemp -d)"
"${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "${SPARK_HOME:-/opt/spark}/jars/*" org.apache.ivy.Main -warn -ivy "$1/` + ivyFile + `" -cache "$PWD/cache" -confs default \
  -retrieve "$PWD/[artifact]-[revision].[ext]"
sha256sum --check --strict --quiet "$1/` + checksumsFile + `"
while read -r _ jar; do mv "$jar" "$2"; done <"$1/` + checksumsFile + `"
`

// history is what the history server is made of.
type history struct {
	inputs
	proxy         native.LoginProxy
	image         string
	own           bool // the image is the user's, and has the modules
	retentionDays int32
	resources     v1alpha1.Resources
	secrets       string // changes with the Secrets that the Pod reads at its start
}

// historyResources by profile. Memory is that of Java, with what it shows of the last sessions.
var historyResources = map[v1alpha1.Profile]v1alpha1.Resources{
	v1alpha1.ProfileDevelopment:      native.Resources("50m", "512Mi", "", "1Gi"),
	v1alpha1.ProfileStandard:         native.Resources("100m", "1Gi", "", "2Gi"),
	v1alpha1.ProfileHighAvailability: native.Resources("200m", "2Gi", "", "4Gi"),
}

// historyProxyResources are those of the login proxy.
var historyProxyResources = native.Resources("10m", "32Mi", "", "256Mi")

// historyProxy is the platform's login in front of the history server.
func (in inputs) historyProxy(facts components.Facts) (native.LoginProxy, error) {
	return native.NewLoginProxy(in.App, facts, native.WebInterface{
		Part: historyPart, Title: "Spark history server", Port: historyPort, APIPaths: []string{"^/api/"},
	})
}

// history of the spec; nil if it asks for none.
func (in inputs) history(facts components.Facts) (*history, error) {
	spec := specOf(facts).HistoryServer
	if spec == nil {
		return nil, nil
	}
	if in.storage == nil {
		return nil, components.Invalid(historyField, "event logs are kept in the object storage, and the platform has none; set spec.objectStorage, or add the component ceph")
	}
	proxy, err := in.historyProxy(facts)
	if err != nil {
		return nil, err
	}
	defaults, ok := historyResources[facts.Spec.Profile]
	if !ok {
		defaults = historyResources[v1alpha1.ProfileStandard]
	}
	h := &history{
		inputs: in, proxy: proxy, image: spec.Image, own: spec.Image != "", retentionDays: spec.RetentionDays,
		resources: native.Fill(spec.Resources, defaults),
		secrets:   native.Digest(proxy.Secrets, s3.Digest(facts, s3.DataLake)),
	}
	if !h.own {
		h.image = image
	}
	return h, nil
}

// historyReferences are the Secrets that the history server uses and that the component does not make.
func historyReferences(facts components.Facts) []components.Reference {
	if specOf(facts).HistoryServer == nil {
		return nil
	}
	return append(native.NewApp(facts, name).References(facts), s3.References(facts, s3.DataLake)...)
}

func (h *history) objects() []components.Object {
	objects := append([]components.Object{components.Owned(h.policy())}, h.proxy.Objects()...)
	return append(objects, components.Owned(h.conf()), components.Owned(h.deployment()))
}

// policy: browsers come in through the login; out go the object storage and, for the modules, Maven Central.
func (h *history) policy() *networking.NetworkPolicyApplyConfiguration {
	egress := slices.Concat([]native.Egress{native.DNS()}, h.proxy.Egress(), h.storage.Egress())
	if !h.own {
		egress = append(egress, native.To(native.Ports(443), native.Internet()...))
		egress = append(egress, h.Outbound.Egress()...)
	}
	return h.Policy(historyPart, []native.Ingress{h.proxy.Ingress()}, egress)
}

// conf has spark-env.sh as sessions have it, which makes the folder of event logs: without it the server does not start.
func (h *history) conf() *core.ConfigMapApplyConfiguration {
	lines := append(h.storageConf(),
		"spark.history.fs.logDirectory "+h.eventLogs,
		fmt.Sprintf("spark.history.ui.port %d", historyPort),
		// What it has read is not read again when a session is shown once more, and does not fill the memory.
		"spark.history.store.path /tmp/store",
		"spark.history.store.maxDiskUsage 1g")
	if h.retentionDays > 0 {
		lines = append(lines, "spark.history.fs.cleaner.enabled true", fmt.Sprintf("spark.history.fs.cleaner.maxAge %dd", h.retentionDays))
	}
	files := components.Merge(h.sessionFiles(), map[string]string{defaultsFile: joined(lines)})
	if !h.own {
		files[ivyFile], files[checksumsFile] = modules, checksums
	}
	return h.ConfigMap(historyPart, historyPart).WithData(files)
}

func (h *history) deployment() *apps.DeploymentApplyConfiguration {
	env := []*core.EnvVarApplyConfiguration{
		native.Env("HOME", "/tmp"),
		native.Env("SPARK_CONF_DIR", confFolder),
		native.Env("SPARK_LOCAL_IP", "127.0.0.1"), // where it listens
		// Nobody waits for it: its probe says when it takes too long.
		native.Env("OPENDATAHUB_EVENT_LOG_SECONDS", "0"),
		native.Env("SPARK_DAEMON_MEMORY", fmt.Sprintf("%dm", heap(h.resources.Limits.Memory))),
	}
	mounts := []*core.VolumeMountApplyConfiguration{native.Mount("tmp", "/tmp"), native.MountReadOnly("conf", confFolder)}
	volumes := []*core.VolumeApplyConfiguration{native.EmptyVolume("tmp"), native.ConfigMapVolume("conf", h.Object(historyPart))}
	authority := components.NotebookAuthority{Name: "object-storage", CertificateAuthority: h.storage.CA}
	env = append(env, h.storage.Env(s3.DataLake, authority.File())...)
	if options := h.Outbound.JavaOptions(); options != "" && !h.own {
		env = append(env, native.Env("JAVA_TOOL_OPTIONS", options)) // for what fetches the modules
	}
	if hasAuthority(h.storage) {
		env = append(env, native.Env("SPARK_DAEMON_JAVA_OPTS", "-Djavax.net.ssl.trustStore=/tmp/opendatahub-truststore"))
		mounts = append(mounts, native.MountReadOnly("object-storage-ca", authority.Folder()))
		volumes = append(volumes, authority.Volume("object-storage-ca"))
	}
	container := func(name string) *core.ContainerApplyConfiguration {
		return native.Container(name, h.image, h.resources).WithVolumeMounts(mounts...)
	}
	server := container("server").
		WithCommand("sh", "-c", findSpark, "sh").
		WithArgs("org.apache.spark.deploy.history.HistoryServer").
		WithEnv(env...).
		WithStartupProbe(historyProbe(5, 60)).
		WithLivenessProbe(historyProbe(30, 4)).
		WithReadinessProbe(historyProbe(10, 3))
	if !h.own {
		server.WithEnv(native.Env("SPARK_DIST_CLASSPATH", modulesFolder+"/*")).WithVolumeMounts(native.MountReadOnly("modules", modulesFolder))
		volumes = append(volumes, native.EmptyVolume("modules"))
	}
	pod := h.Pod(historyPart, sparkUser, server).WithVolumes(volumes...)
	if !h.own {
		pod.WithInitContainers(container("modules").
			WithCommand("bash", "-euc", fetchModules, "bash").
			WithArgs(confFolder, modulesFolder).
			WithEnv(native.Env("HOME", "/tmp")).
			WithVolumeMounts(native.Mount("modules", modulesFolder)))
	}
	h.proxy.AddTo(pod, historyProxyResources)
	content := h.conf().Data
	var config []string
	for _, file := range slices.Sorted(maps.Keys(content)) {
		config = append(config, content[file])
	}
	return h.Recreate(historyPart, map[string]string{
		native.AnnotationConfig: native.Digest(config...), native.AnnotationSecrets: h.secrets,
	}, pod)
}

// historyProbe asks from inside the container, with what every image of Spark has: nobody else reaches the loopback.
func historyProbe(period, failures int32) *core.ProbeApplyConfiguration {
	script := fmt.Sprintf(`exec 3<>/dev/tcp/127.0.0.1/%d; printf 'GET /api/v1/version HTTP/1.0\r\n\r\n' >&3; read -r answer <&3; [[ $answer == *" 200 "* ]]`, historyPort)
	return core.Probe().WithExec(core.ExecAction().WithCommand("bash", "-c", script)).
		WithPeriodSeconds(period).WithTimeoutSeconds(10).WithFailureThreshold(failures)
}
