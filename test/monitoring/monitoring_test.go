package monitoring_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/monitoring"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/container"
	"opendatahub.io/operator/test/harness"
)

const (
	namespace = "lab"
	platform  = "odh"

	// envPictures names a folder for pictures of the dashboards.
	envPictures = "OPENDATAHUB_SCREENSHOTS"
)

// loopback is the address of Pods that ask for theirs.
const loopback = "127.0.0.1"

// spec has a Kafka that cannot be, because nobody installs its operator: an alert will tell of it.
const spec = `
profile: Development
dependencies: {installation: Manual}
components:
  kafka: {}
  mlflow: {}
  jupyterHub: {}
  spark: {maxClusters: 1, clusterSizes: [{name: one, workers: 1}]}
  monitoring:
    scrapeIntervalSeconds: 5
    grafana: {state: Disabled}
    alertmanager: {receivers: [{name: pager, type: Webhook, minimumSeverity: Info, secretRef: {name: pager}}]}
`

// silent are panels that show nothing on a platform that is well, or as small as this one.
var silent = map[string]string{
	"Failed starts in an hour":                "nobody starts a notebook",
	"Time to start, 50th and 95th percentile": "nobody starts a notebook",
	"Starts by outcome":                       "nobody starts a notebook",
	"Samples that other systems refused":      "there is no remote write",
}

// site is a cluster with a platform that is monitored.
type site struct {
	*testing.T
	*harness.Env
	// programs are paths by name.
	programs map[string]string
	// addresses that stand for Pods and for Services of the operator, by the object that has them scraped.
	addresses map[string]string
	// Where they listen; the proxy of JupyterHub for metrics.
	prometheus, alertmanager, mlflow, hub, proxy, sparkMaster, sparkWorker string
	// searchRuns asks MLflow behind its login.
	searchRuns func() bool
}

func TestMonitoring(t *testing.T) {
	ctx := t.Context()
	s := &site{T: t, programs: build(t)}
	for _, address := range []*string{&s.prometheus, &s.alertmanager, &s.hub, &s.proxy, &s.sparkMaster, &s.sparkWorker} {
		*address = container.FreeAddress(t)
	}
	s.mlflow = atPort(t, 8443) // it answers to this port of any address, and to no other
	harness.LogTo(io.Discard)
	var err error
	s.Env, err = harness.StartBare(ctx, catalog.All(), cluster.Options{Name: "monitoring", Dir: t.TempDir(), Operators: []string{}, Nodes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Env.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.MetricsAddress, s.InstallerMetricsAddress = container.FreeAddress(t), container.FreeAddress(t)
	s.addresses = map[string]string{
		"odh-monitoring-operator": s.MetricsAddress, "stranger": s.MetricsAddress, "odh-monitoring-installer": s.InstallerMetricsAddress,
		"odh-monitoring-monitoring-prometheus": s.prometheus, "odh-monitoring-monitoring-alertmanager": s.alertmanager,
		"odh-monitoring-mlflow-server": s.mlflow, "odh-monitoring-jupyterhub-hub": s.hub, "odh-monitoring-jupyterhub-proxy": s.proxy,
		"odh-monitoring-spark-master": s.sparkMaster, "odh-monitoring-spark-worker": s.sparkWorker,
	}
	told := make(chan notification, 100)
	s.deploy(ctx, webhook(t, told))
	s.addStranger(ctx)
	s.startMLflow(ctx)
	s.startHub(ctx)
	s.startSpark(ctx)
	s.startAlertmanager(ctx)
	s.startPrometheus(ctx)
	s.everyTargetIsUp(ctx)
	s.dashboardsShowSomething(ctx)
	s.somebodyIsTold(told)
	if folder := os.Getenv(envPictures); folder != "" {
		s.bustle(ctx)
		for _, file := range dashboards {
			s.draw(ctx, file, folder)
		}
	}
}

// atPort is an address of the loopback on whose port nobody listens.
func atPort(t *testing.T, port int) string {
	t.Helper()
	var err error
	for range 100 {
		var listener net.Listener
		if listener, err = net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254), port)); err == nil {
			_ = listener.Close()
			return listener.Addr().String()
		}
	}
	t.Fatalf("port %d is free nowhere: %v", port, err)
	return ""
}

// Modules that say which versions are run.
const (
	prometheusModule = "../../hack/promtool" // with its Alertmanager
	operatorModule   = "../../hack/prometheus-operator"
)

// build has the programs, by name: built once for each version of theirs and of Go.
func build(t *testing.T) map[string]string {
	t.Helper()
	const alertmanager = "github.com/prometheus/alertmanager"
	programs := map[string]string{}
	built := func(module, of string, fill func(folder string) error, names ...string) {
		t.Helper()
		version, err := goCommand(t, module, "list", "-m", "-f", "{{.Version}}", of)
		if err != nil {
			t.Fatal(err)
		}
		folder := kept(t, filepath.Join("bin", strings.Join([]string{path.Base(of), version, runtime.Version()}, "-")), fill)
		for _, name := range names {
			programs[name] = filepath.Join(folder, name)
		}
	}
	built(prometheusModule, "github.com/prometheus/prometheus", func(folder string) error {
		_, err := goCommand(t, prometheusModule, "build", "-tags", "remove_all_sd,enable_kubernetes_sd", "-o", folder+"/",
			"github.com/prometheus/prometheus/cmd/prometheus", "github.com/prometheus/prometheus/cmd/promtool")
		return err
	}, "prometheus", "promtool")
	built(operatorModule, "github.com/prometheus-operator/prometheus-operator", func(folder string) error {
		_, err := goCommand(t, operatorModule, "build", "-o", folder+"/", "github.com/prometheus-operator/prometheus-operator/cmd/operator")
		return err
	}, "operator")
	// Its module has no web pages, which are made with Node.js: a copy of it has an empty one.
	built(prometheusModule, alertmanager, func(folder string) error {
		_, err := goCommand(t, prometheusModule, "mod", "download", alertmanager)
		if err != nil {
			return err
		}
		module, err := goCommand(t, prometheusModule, "list", "-m", "-f", "{{.Dir}}", alertmanager)
		if err != nil {
			return err
		}
		sources := t.TempDir()
		pages := filepath.Join(sources, "ui", "app", "dist")
		if err := cmp.Or(os.CopyFS(sources, os.DirFS(module)), os.Mkdir(pages, 0o700), os.WriteFile(filepath.Join(pages, "index.html"), nil, 0o600)); err != nil {
			return err
		}
		_, err = goCommand(t, sources, "build", "-o", folder+"/", "./cmd/alertmanager") // with the versions of its own module
		return err
	}, "alertmanager")
	return programs
}

// goCommand runs Go in the folder of a module, and returns what it says.
func goCommand(t *testing.T, module string, args ...string) (string, error) {
	t.Helper()
	// Suites beside it have bounds of time, and must not wait for what is built once.
	command := exec.CommandContext(t.Context(), "nice", append([]string{"go"}, args...)...)
	command.Dir = module
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, problems.String())
	}
	return strings.TrimSpace(string(out)), nil
}

func (s *site) program(name string) string { return s.programs[name] }

// deploy runs the operators, and has the platform ready but for its object storage.
func (s *site) deploy(ctx context.Context, webhook string) {
	s.Helper()
	definitions, err := exec.CommandContext(ctx, s.program("operator"), "full-crds").Output()
	if err != nil {
		s.Fatal(err)
	}
	must := func(err error) {
		s.Helper()
		if err != nil {
			s.Fatal(err)
		}
	}
	must(s.InstallCRDFiles(ctx, fstest.MapFS{"crds.yaml": &fstest.MapFile{Data: definitions}}))
	s.startOperator()
	must(s.InstallInstaller(ctx))
	installer, err := s.StartInstaller(ctx)
	must(err)
	manager, err := s.StartManager(ctx)
	must(err)
	s.Cleanup(func() {
		if err := installer.Stop(); err != nil {
			s.Error(err)
		}
		if err := manager.Stop(); err != nil {
			s.Error(err)
		}
	})
	must(s.EnsureNamespace(ctx, namespace))
	must(s.Admin.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pager"}, Data: map[string][]byte{"url": []byte(webhook)},
	}))
	hub, err := s.CreatePlatform(ctx, namespace, platform, spec)
	must(err)
	s.eventually(func(g Gomega) {
		g.Expect(s.Condition(hub, "MonitoringReady")(ctx)).To(HavePrefix("True"), "by the word of the real operator")
		g.Expect(s.Condition(hub, "JupyterHubReady")(ctx)).To(HavePrefix("True"))
		g.Expect(s.Condition(hub, "MLflowReady")(ctx)).To(HavePrefix("True"))
		g.Expect(s.Condition(hub, "KafkaReady")(ctx)).To(HavePrefix("False APINotInstalled"))
	})
}

// startOperator runs the Prometheus operator.
func (s *site) startOperator() {
	s.Helper()
	address := container.FreeAddress(s.T)
	command := exec.Command(s.program("operator"), "--web.listen-address="+address, "--kubelet-endpoints=false")
	command.Env = append(os.Environ(), "KUBECONFIG="+s.Kubeconfig())
	container.Start(s.T, command)
}

func (s *site) eventually(what func(Gomega)) {
	s.Helper()
	NewWithT(s.T).Eventually(what).WithTimeout(container.Patience).WithPolling(container.Patience / 1000).Should(Succeed())
}

// get reads an object, once it is there.
func (s *site) get(ctx context.Context, object client.Object, name string) {
	s.Helper()
	s.eventually(func(g Gomega) {
		g.Expect(s.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)).To(Succeed())
	})
}

func (s *site) secret(ctx context.Context, name string) map[string][]byte {
	s.Helper()
	secret := &corev1.Secret{}
	s.get(ctx, secret, name)
	return secret.Data
}

// pod is what the kubelet makes of the template of a Pod: its volumes are folders below one root, and its containers processes.
type pod struct {
	*site
	spec corev1.PodSpec
	root string
	// mounts are paths of the containers, the longest first.
	mounts []string
}

func (s *site) newPod(ctx context.Context, spec corev1.PodSpec) *pod {
	s.Helper()
	p := &pod{site: s, spec: spec, root: s.TempDir()}
	mounts := map[string]corev1.VolumeMount{}
	for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, mount := range container.VolumeMounts {
			mounts[mount.MountPath] = mount
		}
	}
	p.mounts = slices.SortedFunc(maps.Keys(mounts), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	for _, mount := range mounts {
		p.mount(ctx, mount)
	}
	return p
}

// moved has the paths of the containers in a text be those below root. /prometheus in /etc/prometheus/prometheus.yaml is none.
func (p *pod) moved(text string) string {
	quoted := make([]string, 0, len(p.mounts))
	for _, path := range p.mounts {
		quoted = append(quoted, regexp.QuoteMeta(path))
	}
	paths := regexp.MustCompile(`(^|[=\s"':])((?:sqlite:///)?)(` + strings.Join(quoted, "|") + `)(/|$|[\s"',])`)
	return paths.ReplaceAllString(text, "${1}${2}"+p.root+"${3}${4}")
}

// statefulSet is the Pod of one that the Prometheus operator made.
func (s *site) statefulSet(ctx context.Context, name string) *pod {
	s.Helper()
	set := &appsv1.StatefulSet{}
	s.get(ctx, set, name)
	return s.newPod(ctx, set.Spec.Template.Spec)
}

func (p *pod) container(name string) corev1.Container {
	p.Helper()
	for _, container := range slices.Concat(p.spec.InitContainers, p.spec.Containers) {
		if container.Name == name {
			return container
		}
	}
	p.Fatalf("there is no container %s", name)
	return corev1.Container{}
}

// command is that of a container, with another program. Pairs of texts are replaced in arguments and environment.
func (p *pod) command(ctx context.Context, name, program string, replace ...string) *exec.Cmd {
	p.Helper()
	running := p.container(name)
	replacer := strings.NewReplacer(replace...)
	environment := map[string]string{"PATH": filepath.Dir(program) + ":" + os.Getenv("PATH")}
	var variables []string
	for _, variable := range running.Env {
		value := variable.Value
		switch from := variable.ValueFrom; {
		case from == nil:
		case from.SecretKeyRef != nil:
			value = string(p.secret(ctx, from.SecretKeyRef.Name)[from.SecretKeyRef.Key])
		case from.FieldRef != nil && from.FieldRef.FieldPath == "status.podIP":
			value = loopback
		}
		environment[variable.Name] = p.moved(replacer.Replace(value))
		variables = append(variables, "$("+variable.Name+")", environment[variable.Name])
	}
	command := exec.Command(program)
	for _, arg := range running.Args {
		command.Args = append(command.Args, strings.NewReplacer(variables...).Replace(p.moved(replacer.Replace(arg))))
	}
	for name, value := range environment {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Dir = p.root
	return command
}

func (p *pod) mount(ctx context.Context, mount corev1.VolumeMount) {
	p.Helper()
	files := map[string][]byte{}
	for _, volume := range p.spec.Volumes {
		if volume.Name != mount.Name {
			continue
		}
		switch {
		case volume.Secret != nil:
			maps.Copy(files, chosen(p.secret(ctx, volume.Secret.SecretName), volume.Secret.Items))
		case volume.ConfigMap != nil && ptr.Deref(volume.ConfigMap.Optional, false) && !p.exists(ctx, volume.ConfigMap.Name):
		case volume.ConfigMap != nil:
			maps.Copy(files, chosen(p.configMap(ctx, volume.ConfigMap.Name), volume.ConfigMap.Items))
		case volume.Projected != nil:
			for _, source := range volume.Projected.Sources {
				switch {
				case source.Secret != nil:
					maps.Copy(files, chosen(p.secret(ctx, source.Secret.Name), source.Secret.Items))
				case source.ConfigMap != nil:
					maps.Copy(files, chosen(p.configMap(ctx, source.ConfigMap.Name), source.ConfigMap.Items))
				default:
					p.Fatalf("volume %s has a source that is not played here", volume.Name)
				}
			}
		case volume.EmptyDir == nil && volume.PersistentVolumeClaim == nil:
			p.Fatalf("volume %s is of a kind that is not played here", volume.Name)
		}
	}
	if content, ok := files[mount.SubPath]; ok {
		p.write(mount.MountPath, content)
		return
	}
	if err := os.MkdirAll(filepath.Join(p.root, mount.MountPath), 0o700); err != nil {
		p.Fatal(err)
	}
	for name, content := range files {
		p.write(filepath.Join(mount.MountPath, name), content)
	}
}

func (s *site) configMap(ctx context.Context, name string) map[string][]byte {
	s.Helper()
	object := &corev1.ConfigMap{}
	s.get(ctx, object, name)
	files := map[string][]byte{}
	for key, content := range object.Data {
		files[key] = []byte(content)
	}
	return files
}

func (s *site) exists(ctx context.Context, configMap string) bool {
	s.Helper()
	err := s.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: configMap}, &corev1.ConfigMap{})
	if client.IgnoreNotFound(err) != nil {
		s.Fatal(err)
	}
	return err == nil
}

func chosen(files map[string][]byte, items []corev1.KeyToPath) map[string][]byte {
	if len(items) == 0 {
		return files
	}
	chosen := map[string][]byte{}
	for _, item := range items {
		chosen[item.Path] = files[item.Key]
	}
	return chosen
}

// write writes a file of the Pod, in which paths of containers are those of this machine.
func (p *pod) write(path string, content []byte) {
	p.Helper()
	path = filepath.Join(p.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(p.moved(string(content))), 0o600); err != nil {
		p.Fatal(err)
	}
}

// unpack is what the configuration reloader does with the configuration: it is packed, and the Pod's name goes into it.
func (s *site) unpack(packed []byte, pod string) []byte {
	s.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		s.Fatal(err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		s.Fatal(err)
	}
	return []byte(strings.NewReplacer("$(POD_NAME)", pod, "$(SHARD)", "0").Replace(string(content)))
}

// run runs a server of the Prometheus operator's at an address of the loopback.
func (p *pod) run(ctx context.Context, name, address string) {
	p.Helper()
	command := p.command(ctx, name, p.program(name))
	command.Args = slices.DeleteFunc(command.Args, func(arg string) bool { return strings.HasPrefix(arg, "--web.listen-address") })
	command.Args = append(command.Args, "--web.listen-address="+address)
	container.Start(p.T, command)
}

// startMLflow runs the real MLflow and the login in front of it.
func (s *site) startMLflow(ctx context.Context) {
	s.Helper()
	deployment := &appsv1.Deployment{}
	s.get(ctx, deployment, "odh-mlflow-server")
	p := s.newPod(ctx, deployment.Spec.Template.Spec)
	upstream := container.FreeAddress(s.T)
	s.searchRuns = func() bool {
		return answers("http://"+upstream+"/api/2.0/mlflow/experiments/search?max_results=1", "odh-mlflow")
	}
	python := filepath.Join(container.Programs(s.T, "mlflow"), "python")
	// The scripts of a virtual environment do not survive its move, modules do.
	mlflow := func(name string) *exec.Cmd {
		command := p.command(ctx, name, python, "--port=5000", "--port="+port(upstream))
		command.Args = slices.Insert(command.Args, 1, "-m", p.container(name).Command[0])
		return command
	}
	if out, err := mlflow("migration").CombinedOutput(); err != nil {
		s.Fatalf("the database of MLflow: %v\n%s", err, out)
	}
	container.Start(s.T, mlflow("server"))
	proxy, err := container.LoginProxy()
	if err != nil {
		s.Fatal(err)
	}
	container.Start(s.T, p.command(ctx, "login-proxy", proxy, ":8443", s.mlflow, "127.0.0.1:5000", upstream))
	s.eventually(func(g Gomega) {
		g.Expect(s.searchRuns()).To(BeTrue())
	})
}

// startHub runs the real JupyterHub, as the account of its Pod, and its real proxy.
func (s *site) startHub(ctx context.Context) {
	s.Helper()
	web, api := container.FreeAddress(s.T), container.FreeAddress(s.T)
	deployment := &appsv1.Deployment{}
	s.get(ctx, deployment, "odh-jupyterhub-proxy")
	p := s.newPod(ctx, deployment.Spec.Template.Spec)
	_, version, _ := strings.Cut(p.container("proxy").Image, ":")
	proxy := container.Start(s.T, p.command(ctx, "proxy", httpProxy(s.T, version),
		"--ip=", "--ip=127.0.0.1", "--api-ip=", "--api-ip=127.0.0.1", "--metrics-ip=", "--metrics-ip=127.0.0.1",
		"port=8000", "port="+port(web), "port=8001", "port="+port(api), "port=8002", "port="+port(s.proxy), "odh-jupyterhub-hub:8081", s.hub))

	deployment = &appsv1.Deployment{}
	s.get(ctx, deployment, "odh-jupyterhub-hub")
	p = s.newPod(ctx, deployment.Spec.Template.Spec)
	kubeconfig := filepath.Join(p.root, "kubeconfig")
	if err := s.WriteServiceAccountKubeconfig(ctx, namespace, p.spec.ServiceAccountName, kubeconfig); err != nil {
		s.Fatal(err)
	}
	command := p.command(ctx, "hub", filepath.Join(container.Programs(s.T, "jupyterhub"), "python"))
	command.Args = slices.Insert(command.Args, 1, "-m")
	command.Args = append(command.Args, "--JupyterHub.hub_bind_url=http://"+s.hub, "--JupyterHub.hub_connect_url=http://"+s.hub,
		"--ConfigurableHTTPProxy.api_url=http://"+api)
	command.Env = append(command.Env, "KUBECONFIG="+kubeconfig, "ODH_HUB_PORT="+port(s.hub), "ODH_CONFIG_DIR="+filepath.Join(p.root, "etc", "jupyterhub"),
		"ODH_PROFILES_DIR="+filepath.Join(p.root, "etc", "jupyterhub-profiles"), "ODH_DATA_DIR="+filepath.Join(p.root, "srv", "jupyterhub"))
	container.Start(s.T, command)
	if !proxy.Until(func() bool { return answers("http://"+web+"/hub/login", "") }) {
		s.Fatal("the proxy ended")
	}
}

// port of an address.
func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// answers is whether somebody answers with 200, when asked for by the name of a host, if there is one.
func answers(address, host string) bool {
	request, err := http.NewRequest(http.MethodGet, address, nil) //nolint:noctx // ends with the process
	if err != nil {
		return false
	}
	request.Host = host
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// httpProxy is the proxy of JupyterHub, from the registry that npm is set up for.
func httpProxy(t *testing.T, version string) string {
	t.Helper()
	folder := kept(t, "configurable-http-proxy-"+version, func(folder string) error {
		out, err := exec.CommandContext(t.Context(), "npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", folder,
			"configurable-http-proxy@"+version).CombinedOutput()
		if err != nil {
			return fmt.Errorf("fetching the proxy of JupyterHub: %w\n%s", err, out)
		}
		return nil
	})
	return filepath.Join(folder, "node_modules", ".bin", "configurable-http-proxy")
}

// kept is a folder in the user's cache folder that is filled once.
func kept(t *testing.T, name string, fill func(folder string) error) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "opendatahub", name)
	parent := filepath.Dir(folder)
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	making, err := os.MkdirTemp(parent, "making") //nolint:usetesting // a folder beside the one it becomes: a rename does not cross file systems
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(making) //nolint:errcheck // nothing is there when it worked
	if err := fill(making); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(making, folder); err != nil { // unless another test was faster
		if _, missing := os.Stat(folder); missing != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func (s *site) startAlertmanager(ctx context.Context) {
	s.Helper()
	var configuration []byte
	s.eventually(func(g Gomega) { // it is made anew when the AlertmanagerConfig is there
		packed := s.secret(ctx, "alertmanager-"+platform+"-generated")["alertmanager.yaml.gz"]
		g.Expect(packed).NotTo(BeEmpty())
		configuration = s.unpack(packed, "alertmanager-"+platform+"-0")
		g.Expect(string(configuration)).To(ContainSubstring("receiver-pager"))
	})
	p := s.statefulSet(ctx, "alertmanager-"+platform)
	p.write("/etc/alertmanager/config_out/alertmanager.env.yaml", configuration)
	p.run(ctx, "alertmanager", s.alertmanager)
}

func (s *site) startPrometheus(ctx context.Context) {
	s.Helper()
	const file = "/etc/prometheus/config_out/prometheus.env.yaml"
	var configuration []byte
	s.eventually(func(g Gomega) { // it is made anew with every monitor that comes
		configuration = s.unpack(s.secret(ctx, "prometheus-"+platform)["prometheus.yaml.gz"], "prometheus-"+platform+"-0")
		for name := range s.addresses {
			g.Expect(string(configuration)).To(ContainSubstring("/"+name), "the configuration scrapes it")
		}
		var rules string
		for _, content := range s.configMap(ctx, "prometheus-"+platform+"-rulefiles-0") {
			rules += string(content)
		}
		g.Expect(rules).To(ContainSubstring("alert: ComponentNotReady"))
	})
	p := s.statefulSet(ctx, "prometheus-"+platform)
	s.shorten(p)
	p.write(file, configuration)
	path := filepath.Join(p.root, file)
	if out, err := exec.CommandContext(ctx, s.program("promtool"), "check", "config", path).CombinedOutput(); err != nil {
		s.Fatalf("promtool check config: %v\n%s", err, out)
	}
	kubeconfig := filepath.Join(p.root, "kubeconfig")
	if err := s.WriteServiceAccountKubeconfig(ctx, namespace, p.spec.ServiceAccountName, kubeconfig); err != nil {
		s.Fatal(err)
	}
	p.write(file, s.local(configuration, kubeconfig))
	p.run(ctx, "prometheus", s.prometheus)
}

// shorten has alerts about components fire at once: nobody waits here for a quarter of an hour.
func (s *site) shorten(p *pod) {
	s.Helper()
	files, err := filepath.Glob(filepath.Join(p.root, "etc", "prometheus", "rules", "*", "*"))
	if err != nil || len(files) == 0 {
		s.Fatalf("no files with rules: %v", err)
	}
	shortened := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		changed := regexp.MustCompile(`(?s)(alert: ComponentNotReady\n.*?for: )15m`).ReplaceAll(content, []byte("${1}5s"))
		shortened = shortened || !bytes.Equal(changed, content)
		if err := os.WriteFile(file, changed, 0o600); err != nil {
			s.Fatal(err)
		}
	}
	if !shortened {
		s.Fatal("no file has the alert ComponentNotReady, for 15 minutes")
	}
}

// local has Prometheus find Pods in this cluster, as the account of its Pod, and scrape the addresses that stand for them.
func (s *site) local(configuration []byte, kubeconfig string) []byte {
	s.Helper()
	var parsed map[string]any
	if err := yaml.Unmarshal(configuration, &parsed); err != nil {
		s.Fatal(err)
	}
	move := func(config map[string]any, address string) {
		for _, discovery := range list(config["kubernetes_sd_configs"]) {
			discovery["kubeconfig_file"] = kubeconfig
		}
		if address != "" {
			relabelings, _ := config["relabel_configs"].([]any)
			config["relabel_configs"] = append(relabelings, map[string]any{"action": "replace", "target_label": "__address__", "replacement": address})
		}
	}
	for _, scrape := range list(parsed["scrape_configs"]) {
		move(scrape, s.addresses[strings.Split(fmt.Sprint(scrape["job_name"]), "/")[2]])
	}
	alerting, _ := parsed["alerting"].(map[string]any)
	for _, config := range list(alerting["alertmanagers"]) {
		move(config, s.alertmanager)
	}
	changed, err := yaml.Marshal(parsed)
	if err != nil {
		s.Fatal(err)
	}
	return changed
}

func list(value any) []map[string]any {
	var all []map[string]any
	items, _ := value.([]any)
	for _, item := range items {
		if object, ok := item.(map[string]any); ok {
			all = append(all, object)
		}
	}
	return all
}

// ask asks Prometheus over TLS, as Grafana does.
func (s *site) ask(ctx context.Context, path string, answer any) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.secret(ctx, "odh-monitoring-prometheus-tls")["ca.crt"])
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "odh-monitoring-prometheus." + namespace + ".svc", MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.prometheus+path, nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // only read
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

func (s *site) everyTargetIsUp(ctx context.Context) {
	s.Helper()
	s.eventually(func(g Gomega) {
		var answer struct {
			Data struct {
				ActiveTargets []struct {
					ScrapePool string            `json:"scrapePool"`
					Labels     map[string]string `json:"labels"`
					Health     string            `json:"health"`
					LastError  string            `json:"lastError"`
				} `json:"activeTargets"`
			} `json:"data"`
		}
		g.Expect(s.ask(ctx, "/api/v1/targets?state=active", &answer)).To(Succeed())
		var jobs []string
		stranger := false
		for _, target := range answer.Data.ActiveTargets {
			if target.Labels["job"] == strangerJob {
				g.Expect(target.Health).To(Equal("down"))
				g.Expect(target.LastError).To(ContainSubstring("certificate signed by unknown authority"))
				stranger = true
				continue
			}
			jobs = append(jobs, target.Labels["job"])
			g.Expect(target.Health).To(Equal("up"), target.ScrapePool+": "+target.LastError)
			if strings.HasPrefix(target.Labels["job"], "spark-") {
				g.Expect(target.Labels).To(HaveKeyWithValue("opendatahub_io_spark_cluster", sparkDriver))
			}
		}
		g.Expect(jobs).To(ConsistOf("opendatahub-operator", "opendatahub-installer", "monitoring-prometheus", "monitoring-alertmanager", "mlflow-server",
			"jupyterhub-hub", "jupyterhub-proxy", "spark-master", "spark-worker"))
		g.Expect(stranger).To(BeTrue(), "what somebody else has signed is asked for")
	})
}

// strangerJob has the operator scraped by somebody who trusts another authority than that which signed its certificate.
const strangerJob = "stranger"

// addStranger adds it, as people add metrics of their own.
func (s *site) addStranger(ctx context.Context) {
	s.Helper()
	scrape := &unstructured.Unstructured{}
	s.eventually(func(g Gomega) {
		scrape.SetGroupVersionKind(monitoring.ScrapeConfig.GVK())
		g.Expect(s.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "odh-monitoring-operator"}, scrape)).To(Succeed())
	})
	spec, ok := scrape.Object["spec"].(map[string]any)
	if !ok {
		s.Fatal("the ScrapeConfig of the operator has no spec")
	}
	spec["jobName"] = strangerJob
	tls, ok := spec["tlsConfig"].(map[string]any)
	if !ok {
		s.Fatal("the certificate of the operator is not checked")
	}
	tls["ca"] = map[string]any{"secret": map[string]any{"name": "odh-monitoring-prometheus-tls", "key": "ca.crt"}}
	own := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	own.SetGroupVersionKind(scrape.GroupVersionKind())
	own.SetNamespace(namespace)
	own.SetName("stranger")
	own.SetLabels(map[string]string{components.LabelPlatform: platform})
	if err := s.Admin.Create(ctx, own); err != nil {
		s.Fatal(err)
	}
}

// dashboards of what is scraped here.
var dashboards = []string{"monitoring/dashboard.json", "monitoring/dashboard_servers.json", "mlflow/dashboard.json", "jupyterhub/dashboard.json",
	"spark/dashboard.json"}

// dashboard is what Grafana reads.
type dashboard struct {
	Title  string `json:"title"`
	Panels []struct {
		Type        string         `json:"type"`
		Title       string         `json:"title"`
		GridPos     map[string]int `json:"gridPos"`
		FieldConfig struct {
			Defaults json.RawMessage `json:"defaults"`
		} `json:"fieldConfig"`
		Transformations []struct {
			Options struct {
				ExcludeByName map[string]bool `json:"excludeByName"`
			} `json:"options"`
		} `json:"transformations"`
		Targets []struct {
			Expr   string `json:"expr"`
			Legend string `json:"legendFormat"`
		} `json:"targets"`
	} `json:"panels"`
}

func (s *site) dashboard(file string) dashboard {
	s.Helper()
	content, err := os.ReadFile(filepath.Join(s.Root, "components", file))
	if err != nil {
		s.Fatal(err)
	}
	var read dashboard
	if err := json.Unmarshal(content, &read); err != nil {
		s.Fatal(err)
	}
	return read
}

// query is what Grafana asks for a panel.
func query(expr string) string {
	return url.QueryEscape(strings.NewReplacer("$namespace", namespace, "$__rate_interval", "1m").Replace(expr))
}

// dashboardsShowSomething asks what each panel about what is scraped here asks.
func (s *site) dashboardsShowSomething(ctx context.Context) {
	s.Helper()
	for _, file := range dashboards {
		for _, panel := range s.dashboard(file).Panels {
			if _, ok := silent[panel.Title]; ok {
				continue
			}
			for _, target := range panel.Targets {
				s.eventually(func(g Gomega) {
					var answer struct {
						Data struct {
							Result []any `json:"result"`
						} `json:"data"`
					}
					g.Expect(s.ask(ctx, "/api/v1/query?query="+query(target.Expr), &answer)).To(Succeed())
					g.Expect(answer.Data.Result).NotTo(BeEmpty(), file+": "+panel.Title+": "+target.Expr)
				})
			}
		}
	}
}

// series is a line of a picture.
type series struct {
	Legend string            `json:"legend"`
	Labels map[string]string `json:"labels"`
	Points [][2]any          `json:"points"`
}

// picture is a panel of one.
type picture struct {
	Type     string          `json:"type"`
	Title    string          `json:"title"`
	Defaults json.RawMessage `json:"defaults"`
	// Hidden labels have no column in a table.
	Hidden []string `json:"hidden"`
	X      int      `json:"x"`
	Y      int      `json:"y"`
	W      int      `json:"w"`
	H      int      `json:"h"`
	Series []series `json:"series"`
}

// bustle changes the platform for a minute, so that there is something to see: an operator at rest does nothing.
func (s *site) bustle(ctx context.Context) {
	s.Helper()
	until := time.Now().Add(time.Minute)
	NewWithT(s.T).Eventually(func(g Gomega) {
		hub := &v1alpha1.OpenDataHub{}
		g.Expect(s.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: platform}, hub)).To(Succeed())
		pager := &hub.Spec.Components.Monitoring.Alertmanager.Receivers[0] // which replaces no Pod
		pager.MinimumSeverity = map[string]string{"Info": "Warning", "Warning": "Info"}[pager.MinimumSeverity]
		g.Expect(s.Admin.Update(ctx, hub)).To(Succeed())
		g.Expect(answers("http://"+s.hub+"/hub/login", "")).To(BeTrue())
		g.Expect(s.searchRuns()).To(BeTrue())
		g.Expect(time.Now()).To(BeTemporally(">", until))
	}).WithTimeout(container.Patience).WithPolling(2 * time.Second).Should(Succeed())
}

// draw draws the last two minutes of a dashboard. No registry of packages has a Grafana, so draw.py does.
func (s *site) draw(ctx context.Context, file, folder string) {
	s.Helper()
	read := s.dashboard(file)
	var pictures []picture
	now := time.Now().Unix()
	for _, panel := range read.Panels {
		drawn := picture{
			Type: panel.Type, Title: panel.Title, Defaults: panel.FieldConfig.Defaults, Hidden: []string{},
			X: panel.GridPos["x"], Y: panel.GridPos["y"], W: panel.GridPos["w"], H: panel.GridPos["h"],
		}
		for _, transformation := range panel.Transformations {
			drawn.Hidden = slices.AppendSeq(drawn.Hidden, maps.Keys(transformation.Options.ExcludeByName))
		}
		for _, target := range panel.Targets {
			var answer struct {
				Data struct {
					Result []struct {
						Metric map[string]string `json:"metric"`
						Values [][2]any          `json:"values"`
					} `json:"result"`
				} `json:"data"`
			}
			path := fmt.Sprintf("/api/v1/query_range?query=%s&start=%d&end=%d&step=5", query(target.Expr), now-120, now)
			if err := s.ask(ctx, path, &answer); err != nil {
				s.Fatal(err)
			}
			for _, result := range answer.Data.Result {
				one := series{Legend: legend(target.Legend, result.Metric), Labels: result.Metric}
				for _, value := range result.Values {
					text, _ := value[1].(string)
					if number, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(number) && !math.IsInf(number, 0) {
						one.Points = append(one.Points, [2]any{value[0], number})
					}
				}
				if len(one.Points) > 0 {
					drawn.Series = append(drawn.Series, one)
				}
			}
		}
		pictures = append(pictures, drawn)
	}
	content, err := json.Marshal(map[string]any{"title": read.Title, "panels": pictures})
	if err != nil {
		s.Fatal(err)
	}
	out := filepath.Join(folder, strings.NewReplacer("/", "-", ".json", ".png").Replace(file))
	command := exec.CommandContext(ctx, filepath.Join(container.Programs(s.T, "mlflow"), "python"), "draw.py", out)
	command.Stdin = bytes.NewReader(content)
	if output, err := command.CombinedOutput(); err != nil {
		s.Errorf("drawing %s: %v\n%s", file, err, output)
	}
}

// legend of a series, as Grafana makes it.
func legend(format string, labels map[string]string) string {
	if format == "" {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			if name != "__name__" {
				all = append(all, name+"="+labels[name])
			}
		}
		return strings.Join(all, " ")
	}
	return regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`).ReplaceAllStringFunc(format, func(text string) string {
		return labels[strings.Trim(text, "{ }")]
	})
}

// notification is what Alertmanager sends to a webhook.
type notification struct {
	Receiver string  `json:"receiver"`
	Alerts   []alert `json:"alerts"`
}

type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func webhook(t *testing.T, told chan<- notification) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		var sent notification
		if err := json.NewDecoder(request.Body).Decode(&sent); err != nil {
			t.Error(err)
			return
		}
		select {
		case told <- sent:
		default: // nobody asks for that many
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/alerts"
}

// somebodyIsTold waits for the alert about Kafka: through rules, Prometheus, Alertmanager and its routes to the receiver.
func (s *site) somebodyIsTold(told <-chan notification) {
	s.Helper()
	s.eventually(func(g Gomega) {
		var sent notification
		g.Expect(told).To(Receive(&sent))
		g.Expect(sent.Alerts).To(ContainElement(And(
			HaveField("Status", "firing"),
			HaveField("Labels", And(HaveKeyWithValue("alertname", "ComponentNotReady"), HaveKeyWithValue("component", "kafka"),
				HaveKeyWithValue("namespace", namespace), HaveKeyWithValue("severity", "warning"))),
			HaveField("Annotations", And(HaveKeyWithValue("summary", "kafka of platform odh is not ready"), HaveKey("description"), HaveKey("runbook"))),
		)))
	})
}
