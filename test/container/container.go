// Package container starts the containers of rendered Pods as processes: Secrets are made by the operator's own code, volumes
// become files, and arguments and environment are those of the container. Only paths and ports are other ones. Everything is
// on 127.0.0.1.
package container

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/clustertest"
)

// Patience is how long anything may take on a busy machine. Nothing waits that long unless it fails.
const Patience = 3 * time.Minute

// LoginProxy is the oauth2-proxy that is deployed. It is built when it is first needed.
var LoginProxy = goProgram("github.com/oauth2-proxy/oauth2-proxy/v7", native.LoginProxyVersion)

// objectStorage is a real S3 service that keeps objects as files, the same as on the real node. It is built when it is first needed.
var objectStorage = goProgram("github.com/versity/versitygw/cmd/versitygw", "v1.8.0")

// goProgram is what returns the path of a program.
func goProgram(path, version string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		command := exec.Command("../../hack/go-program.sh", path, version)
		var problems bytes.Buffer
		command.Stderr = &problems
		program, err := command.Output()
		if err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", path, err, problems.String())
		}
		return strings.TrimSpace(string(program)), nil
	})
}

// Pod is a Pod in the namespace of a platform, with the objects that its component renders.
type Pod struct {
	*testing.T
	Spec    corev1.PodSpec
	Cluster *clustertest.Cluster
	// Folder stands for the root of every container.
	Folder string

	component string
	platform  components.Platform
	objects   []components.Object
}

// NewPod makes the Secrets of the objects, adds others, which people or other components make, and mounts the volumes.
func NewPod(t *testing.T, component string, platform components.Platform, objects []components.Object, pod *core.PodSpecApplyConfiguration, others ...*corev1.Secret) *Pod {
	t.Helper()
	p := &Pod{
		T: t, Cluster: clustertest.New(t), Folder: t.TempDir(), component: component, platform: platform, objects: objects,
	}
	content, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &p.Spec); err != nil {
		t.Fatal(err)
	}
	for _, secret := range others {
		if err := p.Cluster.Create(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	p.Generate()
	p.Mount()
	return p
}

// Generate does what the operator does with Secrets whenever something changed.
func (p *Pod) Generate() {
	p.Helper()
	var secrets []components.Object
	for _, object := range p.objects {
		if _, ok := object.ApplyConfiguration.(*core.SecretApplyConfiguration); ok {
			secrets = append(secrets, object)
		}
	}
	facts := components.Facts{Platform: p.platform, Secrets: map[string]components.Secret{}}
	for _, secret := range secrets {
		for _, c := range secret.Copies {
			facts.Secrets[c.Secret] = components.Secret{Keys: slices.Sorted(maps.Keys(p.Secret(c.Secret))), Digest: "1"}
		}
	}
	prepared, err := apply.Prepare(p.component, []components.Use{{Kind: kinds.Secret}}, facts, nil, secrets)
	if err != nil {
		p.Fatal(err)
	}
	applier := &apply.Applier{Client: p.Cluster, Reader: p.Cluster, Children: p.Cluster.Children(kinds.Secret.GVK())}
	if _, err := applier.Generate(p.Context(), apply.Manager(p.component), prepared); err != nil {
		p.Fatal(err)
	}
}

// Secret returns the values of a Secret.
func (p *Pod) Secret(name string) map[string]string {
	p.Helper()
	object := p.Cluster.Object(kinds.Secret.GVK(), p.platform.Namespace, name)
	if object == nil {
		p.Fatalf("there is no Secret %s", name)
	}
	encoded, _, err := unstructured.NestedStringMap(object.Object, "data")
	if err != nil {
		p.Fatal(err)
	}
	data := map[string]string{}
	for key, value := range encoded {
		decoded, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			p.Fatal(err)
		}
		data[key] = string(decoded)
	}
	return data
}

func (p *Pod) configMap(name string) map[string]string {
	p.Helper()
	for _, object := range p.objects {
		if configMap, ok := object.ApplyConfiguration.(*core.ConfigMapApplyConfiguration); ok && *configMap.Name == name {
			return configMap.Data
		}
	}
	p.Fatalf("no ConfigMap %s is rendered", name)
	return nil
}

// Mount writes the volumes as the kubelet does: a reader sees the old file or the new one.
func (p *Pod) Mount() {
	p.Helper()
	for _, volume := range p.Spec.Volumes {
		folder := p.Path(p.mountPath(volume.Name))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			p.Fatal(err)
		}
		var data map[string]string
		var items []corev1.KeyToPath
		switch {
		case volume.Secret != nil:
			data, items = p.Secret(volume.Secret.SecretName), volume.Secret.Items
		case volume.ConfigMap != nil:
			data, items = p.configMap(volume.ConfigMap.Name), volume.ConfigMap.Items
		case volume.EmptyDir == nil && volume.PersistentVolumeClaim == nil:
			p.Fatalf("volume %s is of a kind that is not played here", volume.Name)
		}
		for key, content := range data {
			file := key
			if len(items) > 0 {
				i := slices.IndexFunc(items, func(item corev1.KeyToPath) bool { return item.Key == key })
				if i < 0 {
					continue
				}
				file = items[i].Path
			}
			path := filepath.Join(folder, file)
			if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
				p.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				p.Fatal(err)
			}
		}
	}
}

func (p *Pod) mountPath(volume string) string {
	for _, container := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, mount := range container.VolumeMounts {
			if mount.Name == volume {
				return mount.MountPath
			}
		}
	}
	p.Fatalf("no container mounts the volume %s", volume)
	return ""
}

// Path is where a path of the container is.
func (p *Pod) Path(path string) string { return filepath.Join(p.Folder, path) }

// Container of that name.
func (p *Pod) Container(name string) corev1.Container {
	p.Helper()
	for _, container := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if container.Name == name {
			return container
		}
	}
	p.Fatalf("there is no container %s", name)
	return corev1.Container{}
}

// Command runs a program with the arguments and the environment of a container. Pairs of texts are replaced in them.
func (p *Pod) Command(name, program string, replace ...string) *exec.Cmd {
	p.Helper()
	container := p.Container(name)
	for _, mount := range container.VolumeMounts {
		replace = append(replace, mount.MountPath+"/", p.Path(mount.MountPath)+"/", "="+mount.MountPath, "="+p.Path(mount.MountPath))
	}
	environment := map[string]string{"PATH": filepath.Dir(program) + ":" + os.Getenv("PATH"), "TMPDIR": p.Path("/tmp")}
	for _, from := range container.EnvFrom {
		maps.Copy(environment, p.Secret(from.SecretRef.Name))
	}
	for _, variable := range container.Env {
		environment[variable.Name] = p.Value(variable)
	}
	environment["HOME"] = p.Path("/tmp")
	replacer := strings.NewReplacer(replace...)
	for variable, value := range environment {
		if variable != "PATH" && variable != "TMPDIR" && variable != "HOME" {
			environment[variable] = replacer.Replace(value)
		}
	}
	var args []string
	for _, arg := range container.Args {
		for variable, value := range environment {
			arg = strings.ReplaceAll(arg, "$("+variable+")", value)
		}
		args = append(args, replacer.Replace(arg))
	}
	command := exec.Command(program, args...)
	for variable, value := range environment {
		command.Env = append(command.Env, variable+"="+value)
	}
	command.Dir = p.Folder
	return command
}

// Value of a variable.
func (p *Pod) Value(variable corev1.EnvVar) string {
	p.Helper()
	if variable.ValueFrom == nil {
		return variable.Value
	}
	reference := variable.ValueFrom.SecretKeyRef
	value, ok := p.Secret(reference.Name)[reference.Key]
	if !ok {
		p.Fatalf("the Secret %s has no key %s: the container would not start", reference.Name, reference.Key)
	}
	return value
}

// environments holds, by requirements, what makes the environment once and returns the folder of its programs.
var environments sync.Map

// Programs is the folder of the programs of a Python that has what a file of hack/python lists, such as "mlflow": python itself is among
// them. The environment is made once, and kept.
func Programs(tb testing.TB, requirements string) string {
	tb.Helper()
	made, _ := environments.LoadOrStore(requirements, sync.OnceValues(func() (string, error) {
		command := exec.Command("../../hack/python/venv.sh", "../../hack/python/"+requirements+".txt")
		var problems strings.Builder
		command.Stderr = &problems
		folder, err := command.Output()
		if err != nil {
			return "", fmt.Errorf("making a virtual environment for %s: %w\n%s", requirements, err, problems.String())
		}
		return filepath.Join(strings.TrimSpace(string(folder)), "bin"), nil
	}))
	folder, err := made.(func() (string, error))()
	if err != nil {
		tb.Fatal(err)
	}
	return folder
}

// FreeAddress is an address on which nobody listens. Its port is below the range from which systems hand out ports, so that nobody
// gets it before it is used.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	var err error
	for range 100 {
		var listener net.Listener
		if listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))); err == nil {
			_ = listener.Close()
			return listener.Addr().String()
		}
	}
	tb.Fatalf("no port is free: %v", err)
	return ""
}

// Process is a command that runs.
type Process struct {
	t       *testing.T
	command *exec.Cmd
	log     *log
	ended   chan struct{}
}

// Start runs a command until the test ends. Its output is shown if the test fails.
func Start(t *testing.T, command *exec.Cmd) *Process {
	t.Helper()
	process := &Process{t: t, command: command, log: &log{}, ended: make(chan struct{})}
	command.Stdout, command.Stderr = process.log, process.log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // programs start others
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = command.Wait()
		close(process.ended)
	}()
	t.Cleanup(func() {
		process.Stop()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(command.Path), process.log)
		}
	})
	return process
}

// Stop ends the process as a Pod is ended, and waits.
func (p *Process) Stop() {
	_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL)
		<-p.ended
	}
}

// Until waits until the process is as it should be, or has ended: then it returns false.
func (p *Process) Until(done func() bool) bool {
	p.t.Helper()
	for deadline := time.Now().Add(Patience); ; {
		if done() {
			return true
		}
		select {
		case <-p.ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s is not as it should be in time:\n%s", filepath.Base(p.command.Path), p.log)
		}
	}
}

// Output so far.
func (p *Process) Output() string { return p.log.String() }

type log struct {
	mu      sync.Mutex
	content bytes.Buffer
}

func (l *log) Write(more []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.Write(more)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.String()
}
