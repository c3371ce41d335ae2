package monitoring_test

import (
	"cmp"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/test/container"
)

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

// run runs a server of the Prometheus operator's at an address of the loopback.
func (p *pod) run(ctx context.Context, name, address string) {
	p.Helper()
	command := p.command(ctx, name, p.program(name))
	command.Args = slices.DeleteFunc(command.Args, func(arg string) bool { return strings.HasPrefix(arg, "--web.listen-address") })
	command.Args = append(command.Args, "--web.listen-address="+address)
	container.Start(p.T, command)
}
