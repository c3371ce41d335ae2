package monitoring_test

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"

	"opendatahub.io/operator/test/container"
)

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
