package monitoring_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/gomega"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/monitoring"
	"opendatahub.io/operator/test/prometheus"
)

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
		relabelings, _ := config["relabel_configs"].([]any)
		if address != "" {
			relabelings = append(relabelings, map[string]any{"action": "replace", "target_label": "__address__", "replacement": address})
		}
		for pod, address := range s.pods {
			relabelings = append(relabelings, map[string]any{
				"action": "replace", "source_labels": []string{"__meta_kubernetes_pod_name"}, "regex": pod, "target_label": "__address__", "replacement": address,
			})
		}
		config["relabel_configs"] = relabelings
		if config["dns_sd_configs"] != nil { // there is no DNS here
			delete(config, "dns_sd_configs")
			config["static_configs"] = []any{map[string]any{"targets": []string{address}}}
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

// prometheusAPI asks Prometheus over TLS, as Grafana does.
func (s *site) prometheusAPI(ctx context.Context) promv1.API {
	s.Helper()
	api, err := prometheus.Connect(s.prometheus, "odh-monitoring-prometheus."+namespace+".svc", s.secret(ctx, "odh-monitoring-prometheus-tls")["ca.crt"])
	if err != nil {
		s.Fatal(err)
	}
	return api
}

func (s *site) everyTargetIsUp(ctx context.Context) {
	s.Helper()
	s.eventually(func(g Gomega) {
		answer, err := s.prometheusAPI(ctx).Targets(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		var jobs []string
		stranger := false
		for _, target := range answer.Active {
			job := string(target.Labels["job"])
			if job == strangerJob {
				g.Expect(target.Health).To(Equal(promv1.HealthBad))
				g.Expect(target.LastError).To(ContainSubstring("certificate signed by unknown authority"))
				stranger = true
				continue
			}
			jobs = append(jobs, job)
			g.Expect(target.Health).To(Equal(promv1.HealthGood), target.ScrapePool+": "+target.LastError)
			if strings.HasPrefix(job, "spark-") {
				g.Expect(target.Labels).To(HaveKeyWithValue(model.LabelName("opendatahub_io_spark_cluster"), model.LabelValue(sparkDriver)))
			}
		}
		g.Expect(jobs).To(ConsistOf("opendatahub-operator", "opendatahub-installer", "monitoring-prometheus", "monitoring-alertmanager", "mlflow-server",
			"jupyterhub-hub", "jupyterhub-proxy", "spark-master", "spark-worker", "argoworkflows-controller", "kafka-nodes", "kafka-nodes",
			"seldon-models", "ceph-manager", "gpu-exporter"))
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
