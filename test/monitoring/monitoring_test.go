package monitoring_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"testing"
	"testing/fstest"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components/catalog"
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
objectStorage: {type: External, external: {endpoint: "http://minio.lake.svc:9000", credentialsSecretRef: {name: s3}}}
components:
  kafka: {}
  ceph: {}
  seldon: {}
  argoWorkflows: {}
  gpu: {}
  mlflow: {}
  jupyterHub: {}
  spark: {maxClusters: 1, clusterSizes: [{name: one, workers: 1}]}
  monitoring:
    scrapeIntervalSeconds: 5
    grafana: {state: Disabled}
    alertmanager: {receivers: [{name: pager, type: Webhook, minimumSeverity: Info, secretRef: {name: pager}}]}
`

// site is a cluster with a platform that is monitored.
type site struct {
	*testing.T
	*harness.Env
	// programs are paths by name.
	programs map[string]string
	// addresses that stand for Pods and for Services of the operator, by the object that has them scraped.
	addresses map[string]string
	// Where they listen; the proxy of JupyterHub for metrics.
	prometheus, alertmanager, mlflow, hub, proxy, sparkMaster, sparkWorker, argo string
	// pods are the addresses of Pods that no object of ours makes, by their names.
	pods map[string]string
	// searchRuns asks MLflow behind its login.
	searchRuns func() bool
}

func TestMonitoring(t *testing.T) {
	ctx := t.Context()
	s := &site{T: t, programs: build(t), pods: map[string]string{}}
	for _, address := range []*string{&s.prometheus, &s.alertmanager, &s.hub, &s.proxy, &s.sparkMaster, &s.sparkWorker, &s.argo} {
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
		"odh-monitoring-argoworkflows-controller": s.argo,
	}
	told := make(chan notification, 100)
	s.deploy(ctx, webhook(t, told))
	s.addStranger(ctx)
	s.startMLflow(ctx)
	s.startHub(ctx)
	s.startSpark(ctx)
	s.startArgo(ctx)
	s.startKafka(ctx)
	s.serveRecorded(ctx)
	s.startAlertmanager(ctx)
	s.startPrometheus(ctx)
	s.everyTargetIsUp(ctx)
	s.dashboardsShowSomething(ctx)
	s.gpusOfOthersAreUnknown(ctx)
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
	s.installArgo(ctx)
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
	must(s.Admin.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "s3", Annotations: map[string]string{"opendatahub.io/allow-addresses": "http://minio.lake.svc:9000"},
			Labels: map[string]string{"opendatahub.io/allow-notebooks": "true"},
		},
		StringData: map[string]string{"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "password"},
	}))
	hub, err := s.CreatePlatform(ctx, namespace, platform, spec)
	must(err)
	s.eventually(func(g Gomega) {
		g.Expect(s.Condition(hub, "MonitoringReady")(ctx)).To(HavePrefix("True"), "by the word of the real operator")
		g.Expect(s.Condition(hub, "JupyterHubReady")(ctx)).To(HavePrefix("True"))
		g.Expect(s.Condition(hub, "MLflowReady")(ctx)).To(HavePrefix("True"))
		g.Expect(s.Condition(hub, "ArgoWorkflowsReady")(ctx)).To(HavePrefix("True"))
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
