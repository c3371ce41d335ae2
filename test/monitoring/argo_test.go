package monitoring_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing/fstest"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/test/container"
)

const argoModule = "../../hack/argo"

// installArgo serves the kinds of Argo Workflows, from the module of its controller.
func (s *site) installArgo(ctx context.Context) {
	s.Helper()
	module, err := goCommand(s.T, argoModule, "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-workflows/v4")
	if err != nil {
		s.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(module, "manifests", "base", "crds", "minimal", "argoproj.io_*.yaml"))
	if err != nil || len(files) == 0 {
		s.Fatalf("no definitions of Argo's kinds in %s: %v", module, err)
	}
	definitions := fstest.MapFS{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		definitions[filepath.Base(file)] = &fstest.MapFile{Data: content}
	}
	if err := s.InstallCRDFiles(ctx, definitions); err != nil {
		s.Fatal(err)
	}
}

// startArgo runs the real controller, as the account of its Pod, and has it see workflows through that need no Pod, and one that has one.
func (s *site) startArgo(ctx context.Context) {
	s.Helper()
	build := exec.CommandContext(ctx, filepath.Join(argoModule, "build.sh"))
	build.Stderr = os.Stderr
	programs, err := build.Output()
	if err != nil {
		s.Fatal(err)
	}
	deployment := &appsv1.Deployment{}
	s.get(ctx, deployment, "odh-argoworkflows-controller")
	p := s.newPod(ctx, deployment.Spec.Template.Spec)
	kubeconfig := filepath.Join(p.root, "kubeconfig")
	if err := s.WriteServiceAccountKubeconfig(ctx, namespace, p.spec.ServiceAccountName, kubeconfig); err != nil {
		s.Fatal(err)
	}
	// It reads its configuration from the API server, and its port from that.
	rendered := string(s.configMap(ctx, "odh-argoworkflows-config")["config"])
	own := strings.Replace(rendered, "  port: 9090\n", "  port: "+port(s.argo)+"\n", 1)
	if own == rendered {
		s.Fatalf("the configuration of Argo's controller has no port 9090:\n%s", rendered)
	}
	if err := s.Admin.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "argo-of-the-test"}, Data: map[string]string{"config": own},
	}); err != nil {
		s.Fatal(err)
	}
	command := p.command(ctx, p.spec.Containers[0].Name, filepath.Join(strings.TrimSpace(string(programs)), "workflow-controller"),
		"odh-argoworkflows-config", "argo-of-the-test")
	command.Args = append(command.Args, "--kubeconfig", kubeconfig)
	// A workflow is looked at again after 10 seconds otherwise.
	command.Env = append(command.Env, "HOME="+p.root, "KUBECONFIG="+kubeconfig, "LEADER_ELECTION_IDENTITY=argo", "DEFAULT_REQUEUE_TIME=1s")
	container.Start(s.T, command)
	for name, spec := range map[string]string{
		"waits-for-somebody": "{entrypoint: main, templates: [{name: main, suspend: {}}]}",
		"ends-by-itself":     `{entrypoint: main, templates: [{name: main, suspend: {duration: "1"}}]}`,
		"cannot-begin":       "{entrypoint: nowhere, templates: [{name: main, suspend: {}}]}",
		"has-a-pod":          "{entrypoint: main, templates: [{name: main, container: {image: registry.example.com/step:1, command: [step]}}]}",
	} {
		workflow := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
			"metadata": map[string]any{"namespace": namespace, "name": name, "labels": map[string]any{
				"workflows.argoproj.io/controller-instanceid": "odh-argoworkflows",
			}},
		}}
		var content map[string]any
		if err := yaml.Unmarshal([]byte(spec), &content); err != nil {
			s.Fatal(err)
		}
		workflow.Object["spec"] = content
		if err := s.Admin.Create(ctx, workflow); err != nil {
			s.Fatal(err)
		}
	}
}
