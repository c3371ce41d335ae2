package spark_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/spark"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, spark.New()) }

// The Gateway API is not an operator, so its CRDs are not among those of the operators.
func TestUpstream(t *testing.T) { componenttest.Upstream(t, spark.New(), kinds.HTTPRoute) }

// What users copy is admitted by the definition of the operator that the table names.
func TestSample(t *testing.T) {
	componenttest.Sample(t, "config/samples/workloads/sparkapplication.yaml", spark.SparkCluster.Group)
}

// Whoever chooses the image of a server that has Secrets reads them.
func TestReach(t *testing.T) {
	reach := func(server *v1alpha1.SparkHistoryServer) []components.Reach {
		facts := components.Facts{Spec: v1alpha1.OpenDataHubSpec{Components: v1alpha1.ComponentsSpec{Spark: &v1alpha1.SparkSpec{HistoryServer: server}}}}
		return components.ReachOf(spark.New(), facts)
	}
	for _, server := range []*v1alpha1.SparkHistoryServer{nil, {}} {
		if got := reach(server); len(got) > 0 {
			t.Errorf("with %v it asks for %v", server, got)
		}
	}
	got := reach(&v1alpha1.SparkHistoryServer{Image: "registry.example.com/spark:4.2.0"})
	if len(got) != 1 || got[0].Mark != components.LabelAllowCode || got[0].Field != "spec.components.spark.historyServer.image" {
		t.Errorf("with an image of its own it asks for %v", got)
	}
}

func TestHealth(t *testing.T) { componenttest.Health(t, spark.New()) }

// TestCluster renders the cluster of testdata/clusters/<case>.pod.yaml on the platform in <case>.hub.yaml.
func TestCluster(t *testing.T) {
	pods, err := filepath.Glob("testdata/clusters/*.pod.yaml")
	if err != nil || len(pods) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range pods {
		name, _ := strings.CutSuffix(path, ".pod.yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			pod, odh := &corev1.Pod{}, &v1alpha1.OpenDataHub{}
			read(t, path, pod)
			read(t, name+".hub.yaml", odh)
			cluster := components.Cluster{OpenShift: strings.HasSuffix(name, "openshift")}
			objects, ok := spark.Cluster(components.NewFacts(odh, cluster, catalog.All()), pod, "0123456789")
			if !ok {
				t.Fatal("the platform has no such size")
			}
			var documents []string
			for _, object := range objects {
				content, err := yaml.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				documents = append(documents, string(content))
			}
			compare(t, name+".objects.yaml", strings.Join(documents, "---\n"))
		})
	}
}

// What notebooks get is shown as JupyterHub renders it: with templates for the names.
func TestNotebooks(t *testing.T) {
	odh := &v1alpha1.OpenDataHub{}
	read(t, "testdata/standard/hub.yaml", odh)
	extras := components.NewFacts(odh, components.Cluster{}, catalog.All()).Declared.Notebooks.Extras
	var documents []string
	for _, extra := range extras {
		pod := extra.Pod("{pod_name}", "{username}")
		content, err := yaml.Marshal(map[string]any{"name": extra.Component + " " + extra.Name, "labels": pod.Labels, "annotations": pod.Annotations,
			"env": pod.Environment, "volumes": pod.Volumes, "volumeMounts": pod.Mounts})
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(content))
	}
	compare(t, "testdata/notebooks.yaml", strings.Join(documents, "---\n"))
}

func TestUnknownSize(t *testing.T) {
	odh := &v1alpha1.OpenDataHub{}
	read(t, "testdata/standard/hub.yaml", odh)
	pod := &corev1.Pod{}
	read(t, "testdata/clusters/notebook.pod.yaml", pod)
	pod.Annotations[spark.AnnotationSize] = "huge"
	if objects, ok := spark.Cluster(components.NewFacts(odh, components.Cluster{}, catalog.All()), pod, ""); ok {
		t.Errorf("rendered %d objects of a size that does not exist", len(objects))
	}
}

// Names of Services are labels of DNS, values of labels have 63 characters, and names of Pods up to 253.
func TestNamesFit(t *testing.T) {
	for _, name := range []string{strings.Repeat("a.", 31) + "a", strings.Repeat("a", 64), strings.Repeat("a.", 126) + "a"} {
		t.Run(fmt.Sprint(len(name)), func(t *testing.T) { namesFit(t, name) })
	}
}

func namesFit(t *testing.T, name string) {
	t.Helper()
	odh, pod := &v1alpha1.OpenDataHub{}, &corev1.Pod{}
	read(t, "testdata/standard/hub.yaml", odh)
	read(t, "testdata/clusters/notebook.pod.yaml", pod)
	pod.Name = name
	objects, _ := spark.Cluster(components.NewFacts(odh, components.Cluster{}, catalog.All()), pod, "")
	for _, object := range objects {
		content, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		var plain struct {
			Kind     string
			Metadata struct {
				Name   string
				Labels map[string]string
			}
			Spec struct {
				Template struct {
					Metadata struct{ Labels, Annotations map[string]string }
				}
			}
		}
		if err := json.Unmarshal(content, &plain); err != nil {
			t.Fatal(err)
		}
		problems := validation.IsDNS1123Subdomain(plain.Metadata.Name)
		if plain.Kind == "Service" {
			problems = validation.IsDNS1035Label(plain.Metadata.Name)
		}
		for _, labels := range []map[string]string{plain.Metadata.Labels, plain.Spec.Template.Metadata.Labels} {
			for _, value := range labels {
				problems = append(problems, validation.IsValidLabelValue(value)...)
			}
		}
		for _, problem := range problems {
			t.Errorf("%s %s: %s", plain.Kind, plain.Metadata.Name, problem)
		}
		// How the controller finds the Pod of a cluster.
		if template := plain.Spec.Template.Metadata; plain.Kind == "Deployment" {
			if found := cmp.Or(template.Annotations["opendatahub.io/spark-driver-name"], template.Labels[spark.LabelCluster]); found != name {
				t.Errorf("the Pods of %s are said to be of %s", plain.Metadata.Name, found)
			}
		}
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(content, into); err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); run with -update if that is meant:\n%s", path, diff)
	}
}

func TestDevelopmentFitsASmallMachine(t *testing.T) {
	odh := &v1alpha1.OpenDataHub{}
	read(t, "testdata/clusters/notebook.hub.yaml", odh)
	odh.Spec.Profile = v1alpha1.ProfileDevelopment
	pod := &corev1.Pod{}
	read(t, "testdata/clusters/notebook.pod.yaml", pod)
	objects, ok := spark.Cluster(components.NewFacts(odh, components.Cluster{}, catalog.All()), pod, "0123456789")
	if !ok {
		t.Fatal("the platform has no such size")
	}
	var seen int
	for _, object := range objects {
		deployment, ok := object.(*apps.DeploymentApplyConfiguration)
		if !ok {
			continue
		}
		seen++
		resources := deployment.Spec.Template.Spec.Containers[0].Resources
		if requests, limits := resources.Requests.Cpu().String(), resources.Limits.Cpu().String(); requests != "50m" || limits != "1" {
			t.Errorf("%s requests %s and may have %s, want 50m and 1", *deployment.Name, requests, limits)
		}
	}
	if seen != 2 {
		t.Errorf("%d Deployments, want 2", seen)
	}
}
