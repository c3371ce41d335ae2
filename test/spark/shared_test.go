package spark_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/spark"
	"opendatahub.io/operator/test/container"
)

// newSharedSite is a notebook that uses the shared cluster team, and that cluster. The Spark operator starts its processes with
// Spark's start-master.sh and start-worker.sh, which the packages of PyPI do not have: their commands are written here.
func newSharedSite(t *testing.T, secret string) *site {
	t.Helper()
	odh := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Name: "odh", Namespace: "lab"}}
	odh.Spec.Components.Spark = &v1alpha1.SparkSpec{SharedClusters: []v1alpha1.SparkSharedCluster{{Name: "team", Workers: 1}}}
	facts := components.NewFacts(odh, components.Cluster{}, []components.Component{spark.New()})
	s := &site{T: t, deployments: map[string]corev1.Container{}, secret: secret, temporary: t.TempDir()}
	for _, extra := range facts.Declared.Notebooks.Extras {
		if extra.Name == "team" {
			s.pod = extra.Pod("odh-nb-alice", "alice")
		}
	}
	objects, err := spark.New().Render(facts)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if configMap, ok := object.ApplyConfiguration.(*core.ConfigMapApplyConfiguration); ok {
			s.conf = configMap.Data
		}
		content, err := json.Marshal(object.ApplyConfiguration)
		if err != nil {
			t.Fatal(err)
		}
		type process struct {
			StatefulSetSpec struct{ Template corev1.PodTemplateSpec }
		}
		var cluster struct {
			Kind string
			Spec struct {
				SparkConf              map[string]string
				MasterSpec, WorkerSpec process
			}
		}
		if err := json.Unmarshal(content, &cluster); err != nil {
			continue // another kind, whose spec has other types
		}
		if cluster.Kind != spark.SparkCluster.Kind {
			continue
		}
		var options strings.Builder
		for key, value := range cluster.Spec.SparkConf {
			fmt.Fprintf(&options, "-D%s=%q ", key, value)
		}
		for part, process := range map[string]process{"master": cluster.Spec.MasterSpec, "worker": cluster.Spec.WorkerSpec} {
			container := process.StatefulSetSpec.Template.Spec.Containers[0]
			container.Env = append(container.Env, corev1.EnvVar{Name: "SPARK_" + strings.ToUpper(part) + "_OPTS", Value: options.String()})
			command := `exec spark-class org.apache.spark.deploy.master.Master --host "$SPARK_MASTER_HOST" --port 7077 --webui-port 8080`
			if part == "worker" {
				command = `exec spark-class org.apache.spark.deploy.worker.Worker --webui-port 8081 spark://odh-spark-team:7077`
			}
			container.Command = []string{"bash", "-c", command}
			s.deployments[part] = container
		}
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s.hosts = filepath.Join(t.TempDir(), "hosts")
	write(t, s.hosts, fmt.Sprintf("127.0.0.1 localhost %s\n%s odh-spark-team\n", host, masterAddress))
	return s
}

// metricsOf reads them at the web interface, which is at the next free port.
func metricsOf(t *testing.T, process *container.Process, path string) string {
	t.Helper()
	started := regexp.MustCompile(`WebUI to \S+, and started at http://\S+:(\d+)`).FindStringSubmatch(process.Output())
	if started == nil {
		t.Fatal("there is no web interface")
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+masterAddress+":"+started[1]+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestASharedCluster(t *testing.T) {
	team := newSharedSite(t, "secret-of-the-team")
	master := team.start("master", masterAddress)
	if !said(team.start("worker", workerAddress), "Successfully registered with master") {
		t.Fatal("the worker ended")
	}
	if metrics := metricsOf(t, master, "/metrics/prometheus/"); !strings.Contains(metrics, `metrics_master_aliveWorkers_Value{type="gauges"} 1`) {
		t.Errorf("the master does not tell Prometheus of its worker:\n%s", metrics)
	}
	output, err := team.driver(driverAddress).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, want := range []string{"sum 332833500\n", "fetched 3000000\n", "master spark://odh-spark-team:7077 host " + driverAddress + "\n"} {
		if !strings.Contains(string(output), want) {
			t.Errorf("the notebook did not say %q:\n%s", want, output)
		}
	}
	if strings.Contains(master.Output(), team.secret) {
		t.Error("the log has the secret")
	}

	registered := strings.Count(master.Output(), "Registered app ")
	team.secret = "secret-of-mallory"
	driver := container.Start(t, team.driver(otherAddress))
	if !said(driver, "Failed to connect to master") {
		t.Error("a notebook with another secret ended before it was refused")
	}
	if strings.Contains(driver.Output(), "sum ") || strings.Count(master.Output(), "Registered app ") != registered {
		t.Error("a notebook with another secret was let in")
	}
}
