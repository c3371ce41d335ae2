package spark_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/spark"
	"opendatahub.io/operator/test/container"
)

// What the kubelet would give Pods as their addresses.
const (
	masterAddress = "127.0.71.1"
	workerAddress = "127.0.71.2"
	driverAddress = "127.0.71.3"
	otherAddress  = "127.0.71.4"
)

// site is a notebook and the cluster that is rendered for it.
type site struct {
	*testing.T
	uid         string
	pod         components.NotebookPod
	conf        map[string]string
	deployments map[string]corev1.Container
	hosts       string
	// secret is what a variable has that takes one from a Secret, unless values has its key.
	secret string
	values map[string]string
	// files are those of other volumes, by the volume.
	files map[string]map[string]string
	// home is SPARK_HOME, if the image has one.
	home string
	// temporary stands for /tmp in what spark-env.sh leaves there.
	temporary string
}

func newSite(t *testing.T, user, uid, secret string) *site {
	t.Helper()
	odh := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Name: "odh", Namespace: "lab"}}
	odh.Spec.Components.Spark = &v1alpha1.SparkSpec{ClusterSizes: []v1alpha1.SparkClusterSize{{Name: "one", Workers: 1}}}
	facts := components.NewFacts(odh, components.Cluster{}, []components.Component{spark.New()})
	return newSiteOf(t, facts, facts.Declared.Notebooks.Extras[0].Pod("odh-nb-"+user, user), user, uid, secret)
}

// newSiteOf is that of a notebook with these labels, variables and volumes.
func newSiteOf(t *testing.T, facts components.Facts, notebook components.NotebookPod, user, uid, secret string) *site {
	t.Helper()
	s := &site{T: t, uid: uid, pod: notebook, deployments: map[string]corev1.Container{}, temporary: t.TempDir()}
	content, err := json.Marshal(map[string]any{"containers": []any{map[string]any{
		"name": "notebook", "image": "image", "env": notebook.Environment, "volumeMounts": notebook.Mounts,
	}}, "volumes": notebook.Volumes})
	if err != nil {
		t.Fatal(err)
	}
	var spec corev1.PodSpec
	if err := json.Unmarshal(content, &spec); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "odh-nb-" + user, Namespace: "lab", UID: types.UID(uid), Labels: s.pod.Labels, Annotations: s.pod.Annotations,
		},
		Spec: spec,
	}
	objects, ok := spark.Cluster(facts, pod, secret)
	if !ok {
		t.Fatal("there is no such size")
	}
	for _, object := range objects {
		switch object := object.(type) {
		case *core.SecretApplyConfiguration:
			s.conf = object.StringData
		case *apps.DeploymentApplyConfiguration:
			content, err := json.Marshal(object.Spec.Template.Spec.Containers[0])
			if err != nil {
				t.Fatal(err)
			}
			var process corev1.Container
			if err := json.Unmarshal(content, &process); err != nil {
				t.Fatal(err)
			}
			s.deployments[process.Name] = process
		}
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s.hosts = filepath.Join(t.TempDir(), "hosts")
	write(t, s.hosts, fmt.Sprintf("127.0.0.1 localhost %s\n%s spark-%s\n", host, masterAddress, uid))
	return s
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command runs what a container runs, at an address, with a folder of its own in place of its volumes.
func (s *site) command(address string, command []string, env []corev1.EnvVar, mounts []corev1.VolumeMount) *exec.Cmd {
	s.Helper()
	programs := container.Programs(s.T, "spark")
	root := s.TempDir()
	var moved []string
	for _, mount := range mounts {
		folder := filepath.Join(root, mount.MountPath)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			s.Fatal(err)
		}
		moved = append(moved, mount.MountPath, folder)
		files := s.files[mount.Name]
		if mount.Name == "spark" {
			files = s.conf
		}
		for name, content := range files {
			write(s.T, filepath.Join(folder, name), strings.ReplaceAll(content, "/tmp/opendatahub-", s.temporary+"/opendatahub-"))
		}
	}
	values := strings.NewReplacer(moved...)
	all := []string{"PATH=" + programs + ":/usr/local/bin:/usr/bin:/bin", "JDK_JAVA_OPTIONS=-Djdk.net.hosts.file=" + s.hosts}
	if s.home != "" {
		all = append(all, "SPARK_HOME="+s.home)
	}
	var variables []string
	for _, variable := range env {
		value := values.Replace(variable.Value)
		switch {
		case variable.ValueFrom == nil:
		case variable.ValueFrom.SecretKeyRef != nil:
			value = cmp.Or(s.values[variable.ValueFrom.SecretKeyRef.Key], s.secret)
		default:
			switch variable.ValueFrom.FieldRef.FieldPath {
			case "status.podIP":
				value = address
			case "metadata.uid":
				value = s.uid
			default:
				s.Fatalf("the kubelet's field %s is not played", variable.ValueFrom.FieldRef.FieldPath)
			}
		}
		value = strings.NewReplacer(variables...).Replace(value)
		variables = append(variables, "$("+variable.Name+")", value)
		all = append(all, variable.Name+"="+value)
	}
	var args []string
	for _, arg := range command {
		if strings.Contains(arg, "exec spark-class") {
			args = append(args, arg)
			continue
		}
		args = append(args, strings.NewReplacer(variables...).Replace(values.Replace(arg)))
	}
	program := args[0]
	if own := filepath.Join(programs, program); exists(own) {
		program = own
	}
	process := exec.Command(program, args[1:]...)
	process.Env, process.Dir = all, root
	return process
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// start starts a process of the cluster.
func (s *site) start(part, address string) *container.Process {
	s.Helper()
	process := s.deployments[part]
	return container.Start(s.T, s.command(address, append(process.Command, process.Args...), process.Env, process.VolumeMounts))
}

// driver is a notebook that runs driver.py.
func (s *site) driver(address string) *exec.Cmd {
	s.Helper()
	return s.program(address, "driver.py")
}

// program is a notebook that runs a script.
func (s *site) program(address, name string) *exec.Cmd {
	s.Helper()
	script, err := filepath.Abs(name)
	if err != nil {
		s.Fatal(err)
	}
	content, err := json.Marshal(map[string]any{"env": s.pod.Environment, "volumeMounts": s.pod.Mounts})
	if err != nil {
		s.Fatal(err)
	}
	var notebook corev1.Container
	if err := json.Unmarshal(content, &notebook); err != nil {
		s.Fatal(err)
	}
	return s.command(address, []string{"python", script}, notebook.Env, notebook.VolumeMounts)
}

// said waits for a text in the output of a process.
func said(process *container.Process, texts ...string) bool {
	return process.Until(func() bool {
		for _, text := range texts {
			if strings.Contains(process.Output(), text) {
				return true
			}
		}
		return false
	})
}

func TestACluster(t *testing.T) {
	alice := newSite(t, "alice", "11111111-2222-3333-4444-555555555555", "secret-of-alice")
	master := alice.start("master", masterAddress)
	worker := alice.start("worker", workerAddress)
	if !said(worker, "Successfully registered with master") {
		t.Fatal("the worker ended")
	}

	t.Run("computes for its notebook", func(t *testing.T) {
		output, err := alice.driver(driverAddress).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		for _, want := range []string{
			"sum 332833500\n", "fetched 3000000\n", "groups 7\n",
			"work/app-", // the folder of an executor, which the worker made
			"master spark://spark-" + alice.uid + ":7077 host " + driverAddress + "\n",
		} {
			if !strings.Contains(string(output), want) {
				t.Errorf("the notebook did not say %q:\n%s", want, output)
			}
		}
	})

	registered := strings.Count(master.Output(), "Registered app ")
	if registered != 1 {
		t.Fatalf("the master registered %d applications", registered)
	}
	refused := func(t *testing.T, site *site) {
		t.Helper()
		driver := container.Start(t, site.driver(otherAddress))
		if !said(driver, "Failed to connect to master") {
			t.Error("the notebook ended before it was refused")
		}
		if strings.Contains(driver.Output(), "sum ") || strings.Count(master.Output(), "Registered app ") != registered {
			t.Error("the notebook was let in")
		}
	}
	t.Run("refuses a notebook without its secret", func(t *testing.T) {
		mallory := newSite(t, "mallory", alice.uid, "secret-of-alice")
		var lines []string
		for line := range strings.SplitSeq(mallory.conf["spark-defaults.conf"], "\n") {
			if !strings.HasPrefix(line, "spark.authenticate") && !strings.HasPrefix(line, "spark.network.crypto") {
				lines = append(lines, line)
			}
		}
		mallory.conf["spark-defaults.conf"] = strings.Join(lines, "\n")
		refused(t, mallory)
		if !strings.Contains(master.Output(), "Expected SaslMessage") {
			t.Error("the master did not refuse it for the lack of a secret")
		}
	})
	t.Run("refuses a notebook of another user", func(t *testing.T) {
		bob := newSite(t, "bob", "99999999-2222-3333-4444-555555555555", "secret-of-bob")
		bob.uid = alice.uid // he knows the address
		bob.hosts = alice.hosts
		bob.conf["spark-defaults.conf"] = strings.ReplaceAll(bob.conf["spark-defaults.conf"], "99999999-", "11111111-")
		refused(t, bob)
	})
}
