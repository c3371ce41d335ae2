package cmd

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/validation"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/controllers/apply"
)

// variants are the sample with every field, and again without what the hub waits for, and with what has a router.
var variants = []func(spec map[string]any){func(map[string]any) {}, func(spec map[string]any) {
	all := spec["components"].(map[string]any)
	delete(all["jupyterHub"].(map[string]any), "extraConfig")
	all["seldon"].(map[string]any)["deployments"].([]any)[0].(map[string]any)["exposure"] = "Login"
}}

// sample is the sample with every field, changed.
func sample(t *testing.T, changes ...func(spec map[string]any)) components.Facts {
	t.Helper()
	content, err := os.ReadFile("../config/samples/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var resource map[string]any
	if err := yaml.Unmarshal(content, &resource); err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		change(resource["spec"].(map[string]any))
	}
	if content, err = yaml.Marshal(resource); err != nil {
		t.Fatal(err)
	}
	odhs, err := validation.Decode(strings.NewReader(string(content)), "default")
	if err != nil {
		t.Fatal(err)
	}
	return components.NewFacts(odhs[0], components.Cluster{KubeVersion: defaultKubeVersion}, catalog.All())
}

// renderedPods are the Pods of what a component renders, by the object that they are in.
func renderedPods(t *testing.T, component components.Component, facts components.Facts) (map[string][]map[string]any, []apply.Prepared) {
	t.Helper()
	prepared, err := renderOffline(component, facts)
	if err != nil {
		t.Fatalf("%s: %v", component.Name(), err)
	}
	pods := map[string][]map[string]any{}
	for _, p := range prepared {
		var find func(value any)
		find = func(value any) {
			switch value := value.(type) {
			case map[string]any:
				if list, ok := value["containers"].([]any); ok && len(list) > 0 {
					name := p.Object.GetKind() + " " + p.Object.GetName()
					pods[name] = append(pods[name], value)
				}
				for _, field := range value {
					find(field)
				}
			case []any:
				for _, entry := range value {
					find(entry)
				}
			}
		}
		find(p.Object.Object)
	}
	return pods, prepared
}

func containersOf(pod map[string]any) map[string]map[string]any {
	all := map[string]map[string]any{}
	for _, list := range []string{"initContainers", "containers"} {
		entries, _ := pod[list].([]any)
		for _, entry := range entries {
			container := entry.(map[string]any)
			all[container["name"].(string)] = container
		}
	}
	return all
}

// TestEveryContainerCanBeOverridden: whatever a component has Pods made of, the spec has a field for the image and the resources of each of
// their containers.
func TestEveryContainerCanBeOverridden(t *testing.T) {
	count := 0
	for _, component := range catalog.All() {
		for _, variant := range variants {
			count += overridden(t, component, variant)
		}
	}
	if count < 30 {
		t.Errorf("only %d containers were found", count)
	}
}

// overridden replaces what all containers of a component have, and counts them.
func overridden(t *testing.T, component components.Component, variant func(map[string]any)) int {
	t.Helper()
	names := map[string]bool{}
	pods, _ := renderedPods(t, component, sample(t, variant))
	for _, all := range pods {
		for _, pod := range all {
			for container := range containersOf(pod) {
				names[container] = true
			}
		}
	}
	if len(names) == 0 {
		return 0 // its operator chooses containers, and the custom resource says with which resources
	}
	var resources, images []any
	for _, container := range slices.Sorted(maps.Keys(names)) {
		resources = append(resources, map[string]any{"container": container, "requests": map[string]any{"memory": "77Mi"}, "limits": map[string]any{"memory": "777Mi"}})
		images = append(images, map[string]any{"container": container, "image": "registry.example.com/" + container + ":1"})
	}
	pods, _ = renderedPods(t, component, sample(t, variant, func(spec map[string]any) {
		block := spec["components"].(map[string]any)[component.Name()].(map[string]any)
		block["containerResources"], block["containerImages"] = resources, images
	}))
	for object, all := range pods {
		for _, pod := range all {
			for container, fields := range containersOf(pod) {
				got, _ := fields["resources"].(map[string]any)
				requests, _ := got["requests"].(map[string]any)
				limits, _ := got["limits"].(map[string]any)
				if requests["memory"] != "77Mi" || limits["memory"] != "777Mi" {
					t.Errorf("%s: container %s has the resources %v", object, container, got)
				}
				if want := "registry.example.com/" + container + ":1"; fields["image"] != want {
					t.Errorf("%s: container %s has the image %v", object, container, fields["image"])
				}
			}
		}
	}
	return len(names)
}

// TestEveryPodHasAPlacement: spec.placement is for all Pods but those of the components that have one of their own.
func TestEveryPodHasAPlacement(t *testing.T) {
	pool := func(fields map[string]any) any {
		selector, _ := fields["nodeSelector"].(map[string]any)
		return selector["node.example.com/pool"]
	}
	count := 0
	for _, component := range catalog.All() {
		pods, prepared := renderedPods(t, component, sample(t, variants[1]))
		for object, all := range pods {
			for _, pod := range all {
				if strings.HasPrefix(object, "DaemonSet ") { // it pulls images where notebooks are
					if pool(pod) != nil {
						t.Errorf("%s is where the platform is", object)
					}
					continue
				}
				count++
				tolerations, _ := pod["tolerations"].([]any)
				if pool(pod) != "platform" || len(tolerations) != 1 {
					t.Errorf("%s: %s is on nodes %v, tolerating %v", component.Name(), object, pod["nodeSelector"], tolerations)
				}
			}
		}
		for _, p := range prepared {
			if kind := p.Object.GetKind(); kind == "Prometheus" || kind == "Alertmanager" {
				count++
				spec := p.Object.Object["spec"].(map[string]any)
				if tolerations, _ := spec["tolerations"].([]any); pool(spec) != "platform" || len(tolerations) != 1 {
					t.Errorf("%s is on nodes %v, tolerating %v", kind, spec["nodeSelector"], tolerations)
				}
			}
		}
	}
	if count < 12 {
		t.Errorf("only %d Pods were found", count)
	}
}

// TestWhatCannotChangeIsMadeAnew: the API server takes no other template of a Job, and Spark's operator does not look again at a cluster that it
// has made. With other Pods they have another name.
func TestWhatCannotChangeIsMadeAnew(t *testing.T) {
	resources := func(component, container string) func(map[string]any) {
		return func(spec map[string]any) {
			block := spec["components"].(map[string]any)[component].(map[string]any)
			block["containerResources"] = []any{map[string]any{"container": container, "limits": map[string]any{"memory": "777Mi"}}}
		}
	}
	tests := map[string]struct {
		change func(spec map[string]any)
		table  images.Table
		want   []string // the kinds that are made anew
	}{
		"another placement": {
			change: func(spec map[string]any) {
				spec["placement"] = map[string]any{"nodeSelector": map[string]any{"a": "b"}}
			},
			want: []string{"Job", "SparkCluster"},
		},
		"other resources of the test":       {change: resources("jupyterHub", "load-test"), want: []string{"Job"}},
		"other resources of the hub":        {change: resources("jupyterHub", "proxy")},
		"other resources of workers":        {change: resources("spark", "worker"), want: []string{"SparkCluster"}},
		"other resources of another server": {change: resources("spark", "login-proxy")},
		"another registry":                  {table: images.Table{Registries: map[string]string{"docker.io": "a.example.com", "quay.io": "b.example.com"}}, want: []string{"Job", "SparkCluster"}},
	}
	made := func(facts components.Facts) map[string]string {
		names := map[string]string{}
		for _, component := range catalog.All() {
			if component.Name() != "jupyterHub" && component.Name() != "spark" {
				continue
			}
			_, prepared := renderedPods(t, component, facts)
			for _, p := range prepared {
				if kind := p.Object.GetKind(); kind == "Job" || kind == "SparkCluster" {
					names[kind] += p.Object.GetName()
				}
			}
		}
		return names
	}
	before := made(sample(t))
	if len(before) != 2 {
		t.Fatalf("the sample has %v", before)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			change := test.change
			if change == nil {
				change = func(map[string]any) {}
			}
			facts := sample(t, change)
			facts.Cluster.Images = test.table
			var got []string
			for kind, names := range made(facts) {
				if names != before[kind] {
					got = append(got, kind)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("made anew are %v, want %v", got, test.want)
			}
		})
	}
}

// TestReplicas: there is a field for how many Pods a server has, or a reason why there is one.
func TestReplicas(t *testing.T) {
	fields := map[string]string{ // of spec.components, for what can have several
		"Deployment odh-argoworkflows-controller": "argoWorkflows.controller.replicas",
		"Deployment odh-argoworkflows-server":     "argoWorkflows.server.replicas",
		"Deployment odh-mlflow-server":            "mlflow.replicas",
		"Deployment odh-portal-server":            "portal.replicas",
		"Prometheus odh":                          "monitoring.prometheus.replicas",
		"Alertmanager odh":                        "monitoring.alertmanager.replicas",
	}
	single := map[string]string{
		"Deployment odh-jupyterhub-hub":   "it knows in memory which notebooks run",
		"Deployment odh-jupyterhub-proxy": "it has the routes in memory",
		"Deployment odh-spark-history":    "it has the histories that it has read on a volume of its own",
		"Deployment odh-seldon-router":    "the profile says whether there are two: it has no state, and passes on more than models answer",
		"Grafana odh-grafana":             "its database is a file",
	}
	seen := map[string]bool{}
	facts := sample(t, variants[1], func(spec map[string]any) {
		for _, field := range fields {
			path := strings.Split(field, ".")
			block := spec["components"].(map[string]any)
			for _, key := range path[:len(path)-1] {
				block = block[key].(map[string]any)
			}
			block[path[len(path)-1]] = 3
		}
	})
	for _, component := range catalog.All() {
		_, prepared := renderedPods(t, component, facts)
		for _, p := range prepared {
			name := p.Object.GetKind() + " " + p.Object.GetName()
			spec, _ := p.Object.Object["spec"].(map[string]any)
			switch p.Object.GetKind() {
			case "Deployment", "StatefulSet", "Prometheus", "Alertmanager", "Grafana":
			default:
				continue
			}
			seen[name] = true
			switch {
			case fields[name] != "" && spec["replicas"] != int64(3):
				t.Errorf("%s has %v replicas, although spec.components.%s is 3", name, spec["replicas"], fields[name])
			case fields[name] == "" && single[name] == "":
				t.Errorf("%s has %v replicas, and the test knows neither a field for it nor a reason", name, spec["replicas"])
			}
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(fields)), slices.Collect(maps.Keys(single))) {
		if !seen[name] {
			t.Errorf("%s is not rendered", name)
		}
	}
}
