package apply

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	batchac "k8s.io/client-go/applyconfigurations/batch/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	rbacac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
)

// rendered are a restricted Deployment with a proxy, and objects of other kinds.
func rendered() []components.Object {
	app := native.NewApp(lab, "mlflow")
	pod := app.Pod("server", 1000, native.Container("server", "example.com/server:1", v1alpha1.Resources{}), native.Container("proxy", "example.com/proxy:1", v1alpha1.Resources{}))
	return []components.Object{
		components.Owned(app.Rolling("server", 1, nil, pod)),
		components.Owned(coreac.ConfigMap("settings", "lab").WithData(map[string]string{"level": "info", "colour": "red"})),
		components.Owned(coreac.Secret("odh-secret", "lab")),
		components.Owned(coreac.ServiceAccount("odh-account", "lab")),
		components.Owned(rbacac.RoleBinding("odh-binding", "lab")),
		components.Owned(kinds.New(kafka.Kafka.WithVersion("v1"), "lab", "odh", map[string]any{
			"template": map[string]any{"pod": map[string]any{"securityContext": map[string]any{"runAsNonRoot": true}}},
		})),
		components.Owned(kinds.New(clusterWide.WithVersion("v1"), "", "fast", kafkaSpec{})),
		{ApplyConfiguration: kinds.NewStatus[kafkaSpec](kafka.Kafka.WithVersion("v1"), "lab", "odh", map[string]any{"clusterId": "x"}), Subresource: "status"},
	}
}

func overriding(common v1alpha1.ComponentSpec, unsafe bool) ([]Prepared, error) {
	facts := lab
	facts.Spec.Components.MLflow = &v1alpha1.MLflowSpec{ComponentSpec: common}
	facts.Cluster.UnsafePatches = unsafe
	return Prepare("mlflow", everyUse(append(everyKind, kinds.ServiceAccount)), facts, nil, rendered())
}

func find(t *testing.T, all []Prepared, kind, name string) map[string]any {
	t.Helper()
	for _, prepared := range all {
		if prepared.Object.GetKind() == kind && prepared.Object.GetName() == name && prepared.Subresource == "" {
			return prepared.Object.Object
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}

func TestOverridesChangeWhatIsApplied(t *testing.T) {
	plain, err := overriding(v1alpha1.ComponentSpec{}, false)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := overriding(v1alpha1.ComponentSpec{
		ContainerImages: []v1alpha1.ContainerImage{{Container: "proxy", Image: "registry.example.com/proxy:2"}},
		Patches: []v1alpha1.Patch{
			{Kind: "Deployment", Name: "odh-mlflow-server", Patch: "spec: {template: {spec: {priorityClassName: high}}}"},
			{Kind: "Deployment", Name: "odh-mlflow-server", Type: v1alpha1.PatchJSON, Patch: `[{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "A", "value": "b"}]}]`},
			{Kind: "ConfigMap", Name: "settings", Patch: "data: {level: debug, colour: null}\nmetadata: {labels: {opendatahub.io/platform: other, team: a}}"},
			{Kind: "Kafka", Name: "odh", Type: v1alpha1.PatchMerge, Patch: "spec: {maintenanceTimeWindows: ['* * 1 * * ?']}"},
		},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	deployment := find(t, changed, "Deployment", "odh-mlflow-server")
	if got, _, _ := unstructured.NestedString(deployment, "spec", "template", "spec", "priorityClassName"); got != "high" {
		t.Errorf("priorityClassName is %q", got)
	}
	containers, _, _ := unstructured.NestedSlice(deployment, "spec", "template", "spec", "containers")
	if image := containers[1].(map[string]any)["image"]; image != "registry.example.com/proxy:2" {
		t.Errorf("the image is %v", image)
	}
	if image := containers[0].(map[string]any)["image"]; image != "example.com/server:1" {
		t.Errorf("the image of the other container is %v", image)
	}
	if containers[0].(map[string]any)["env"] == nil {
		t.Error("the operations of the JSON patch were not applied")
	}
	settings := find(t, changed, "ConfigMap", "settings")
	if data, _, _ := unstructured.NestedStringMap(settings, "data"); len(data) != 1 || data["level"] != "debug" {
		t.Errorf("data is %v", data)
	}
	labels, _, _ := unstructured.NestedStringMap(settings, "metadata", "labels")
	if labels["opendatahub.io/platform"] != "odh" || labels["team"] != "a" {
		t.Errorf("labels are %v: the operator's own stay, others are added", labels)
	}
	for i := range plain {
		name := plain[i].String()
		touched := strings.Contains(name, "Deployment") || strings.Contains(name, "ConfigMap") || name == "Kafka lab/odh"
		if same := plain[i].Hash == changed[i].Hash; same && touched && plain[i].Subresource == "" {
			t.Errorf("%s is changed and keeps its hash, so it would not be applied", name)
		}
	}
}

func TestContainerResources(t *testing.T) {
	container := func() map[string]any {
		return map[string]any{"name": "proxy", "resources": map[string]any{
			"requests": map[string]any{"cpu": "100m", "memory": "64Mi", "nvidia.com/gpu": "1"},
			"limits":   map[string]any{"memory": "128Mi", "nvidia.com/gpu": "1"},
			"claims":   []any{},
		}}
	}
	for name, test := range map[string]struct {
		requests, limits v1alpha1.ContainerAmounts
		want             string
	}{
		"one amount":           {v1alpha1.ContainerAmounts{CPU: "20m"}, v1alpha1.ContainerAmounts{}, "limits: memory 128Mi, nvidia.com/gpu 1; requests: cpu 20m, memory 64Mi, nvidia.com/gpu 1"},
		"a limit is raised":    {v1alpha1.ContainerAmounts{Memory: "1Gi"}, v1alpha1.ContainerAmounts{}, "limits: memory 1Gi, nvidia.com/gpu 1; requests: cpu 100m, memory 1Gi, nvidia.com/gpu 1"},
		"a request is lowered": {v1alpha1.ContainerAmounts{}, v1alpha1.ContainerAmounts{CPU: "50m", Memory: "32Mi"}, "limits: cpu 50m, memory 32Mi, nvidia.com/gpu 1; requests: cpu 50m, memory 32Mi, nvidia.com/gpu 1"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := container()
			if err := setResources(changed, v1alpha1.ContainerResources{Requests: test.requests, Limits: test.limits}); err != nil {
				t.Fatal(err)
			}
			resources := changed["resources"].(map[string]any)
			var got []string
			for _, kind := range []string{"limits", "requests"} {
				var amounts []string
				for name, amount := range resources[kind].(map[string]any) {
					amounts = append(amounts, fmt.Sprint(name, " ", amount))
				}
				slices.Sort(amounts)
				got = append(got, kind+": "+strings.Join(amounts, ", "))
			}
			if strings.Join(got, "; ") != test.want || resources["claims"] == nil {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestPlacement: an object may be in memory that others read, too.
func TestPlacement(t *testing.T) {
	before := map[string]any{"kubernetes.io/os": "linux"}
	pod := map[string]any{"nodeSelector": before}
	if err := place(pod, v1alpha1.Placement{
		NodeSelector: map[string]v1alpha1.LabelValue{"pool": "a"},
		Tolerations:  []v1alpha1.Toleration{{Key: "pool", Value: "a"}, {Operator: "Exists", Effect: "NoSchedule"}},
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{
		"nodeSelector": map[string]any{"kubernetes.io/os": "linux", "pool": "a"},
		"tolerations": []any{
			map[string]any{"key": "pool", "operator": "Equal", "value": "a"}, map[string]any{"operator": "Exists", "effect": "NoSchedule"},
		},
	}, pod); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(before) != 1 {
		t.Errorf("what was there is changed: %v", before)
	}
}

func TestOverridesThatAreRefused(t *testing.T) {
	patch := func(kind, name, patch string) v1alpha1.ComponentSpec {
		return v1alpha1.ComponentSpec{Patches: []v1alpha1.Patch{{Kind: kind, Name: name, Patch: patch}}}
	}
	operations := func(patch string) v1alpha1.ComponentSpec {
		return v1alpha1.ComponentSpec{Patches: []v1alpha1.Patch{{Kind: "Deployment", Name: "odh-mlflow-server", Type: v1alpha1.PatchJSON, Patch: patch}}}
	}
	const deployment = "odh-mlflow-server"
	for name, test := range map[string]struct {
		common v1alpha1.ComponentSpec
		want   string
		// unsafe is whether --allow-unsafe-patches allows it.
		unsafe bool
	}{
		"nothing of that name":      {patch("Deployment", "odh-mlflow", "spec: {}"), "patches[0]: the component renders no Deployment odh-mlflow; of this kind there are odh-mlflow-server", false},
		"nothing of that kind":      {patch("StatefulSet", "odh", "spec: {}"), "the component renders no StatefulSet odh; see opendatahub render", false},
		"no such container":         {v1alpha1.ComponentSpec{ContainerImages: []v1alpha1.ContainerImage{{Container: "hub", Image: "x"}}}, "containerImages[0]: no container is called hub; there are proxy, server", false},
		"resources of no container": {v1alpha1.ComponentSpec{ContainerResources: []v1alpha1.ContainerResources{{Container: "hub"}}}, "containerResources[0]: no container is called hub; there are proxy, server", false},
		"a request above its limit": {v1alpha1.ComponentSpec{ContainerResources: []v1alpha1.ContainerResources{{
			Container: "proxy", Requests: v1alpha1.ContainerAmounts{Memory: "2Gi"}, Limits: v1alpha1.ContainerAmounts{Memory: "1Gi"},
		}}}, "containerResources[0]: Deployment odh-mlflow-server: requests.memory must not exceed limits.memory", false},
		"no amount": {v1alpha1.ComponentSpec{ContainerResources: []v1alpha1.ContainerResources{{
			Container: "proxy", Limits: v1alpha1.ContainerAmounts{CPU: "much"},
		}}}, "limits.cpu: much is no amount", false},
		"no YAML":                     {patch("ConfigMap", "settings", "{"), "neither YAML nor JSON", false},
		"a list to merge":             {patch("ConfigMap", "settings", "[1]"), "", false},
		"no operations":               {operations("spec: {}"), "RFC 6902", false},
		"a path that is not there":    {operations(`[{"op": "replace", "path": "/spec/nowhere/at", "value": 1}]`), "nowhere", false},
		"another name":                {patch("ConfigMap", "settings", "metadata: {name: other}"), "may not change metadata.name", false},
		"another kind":                {patch("ConfigMap", "settings", "kind: Secret"), "may not change kind", false},
		"another owner":               {patch("ConfigMap", "settings", "metadata: {ownerReferences: []}"), "may not change metadata.ownerReferences", false},
		"a status":                    {patch("Kafka", "odh", "status: {clusterId: y}"), "may not change status", false},
		"a Secret":                    {patch("Secret", "odh-secret", "stringData: {a: b}"), "in the Secrets", false},
		"what all platforms share":    {patch("StorageClass", "fast", "parameters: {}"), "not the platform's alone", false},
		"rights":                      {patch("RoleBinding", "odh-binding", "roleRef: {name: cluster-admin}"), "rights and accounts", true},
		"an account":                  {patch("ServiceAccount", "odh-account", "automountServiceAccountToken: true"), "rights and accounts", true},
		"a privileged container":      {operations(`[{"op": "add", "path": "/spec/template/spec/containers/0/securityContext/privileged", "value": true}]`), "securityContext", true},
		"no security context":         {operations(`[{"op": "remove", "path": "/spec/template/spec/containers/0/securityContext"}]`), "may not change or remove securityContext", true},
		"a container without one":     {operations(`[{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "x", "image": "y"}}]`), "Pod Security Standard restricted", true},
		"the node's network":          {patch("Deployment", deployment, "spec: {template: {spec: {hostNetwork: true}}}"), "may not set hostNetwork", true},
		"a folder of the node":        {patch("Deployment", deployment, "spec: {template: {spec: {volumes: [{name: a, hostPath: {path: /}}]}}}"), "may not set hostPath", true},
		"another account":             {patch("Deployment", deployment, "spec: {template: {spec: {serviceAccountName: default}}}"), "serviceAccountName", true},
		"a token":                     {patch("Deployment", deployment, "spec: {template: {spec: {volumes: [{name: a, projected: {sources: [{serviceAccountToken: {path: t}}]}}]}}}"), "serviceAccountToken", true},
		"root in a custom resource":   {patch("Kafka", "odh", "spec: {template: {pod: {securityContext: {runAsUser: 0, runAsNonRoot: false}}}}"), "securityContext", true},
		"every disk of every node":    {patch("Kafka", "odh", "spec: {storage: {useAllNodes: true, useAllDevices: true}}"), "may not set useAllDevices", true},
		"what is no template of Pods": {patch("Deployment", deployment, "spec: {template: {spec: {containers: 1}}}"), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := overriding(test.common, false)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "spec.components.mlflow.") {
				t.Fatalf("got %v, want %q, and the field", err, test.want)
			}
			failure := components.AsFailure(err, "")
			if failure.Reason != v1alpha1.ReasonInvalidSpec || !failure.Terminal {
				t.Errorf("reason %q, terminal %t", failure.Reason, failure.Terminal)
			}
			if _, err := overriding(test.common, true); (err == nil) != test.unsafe {
				t.Errorf("with --allow-unsafe-patches: %v", err)
			}
		})
	}
}

// TestOverridesAwaitJobs: what a component renders only after a Job may have an override before.
func TestOverridesAwaitJobs(t *testing.T) {
	job := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "first"}}}
	done := job.DeepCopy()
	done.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Complete", "status": "True"}}}
	for name, test := range map[string]struct {
		live    components.Objects
		refused bool
	}{
		"not there":  {nil, false},
		"not done":   {components.Objects{job}, false},
		"successful": {components.Objects{done}, true},
	} {
		t.Run(name, func(t *testing.T) {
			facts := lab
			facts.Live = test.live
			facts.Spec.Components.MLflow = &v1alpha1.MLflowSpec{ComponentSpec: v1alpha1.ComponentSpec{
				ContainerImages: []v1alpha1.ContainerImage{{Container: "later", Image: "example.com/later:1"}},
			}}
			_, err := Prepare("mlflow", everyUse(append(everyKind, kinds.ServiceAccount, kinds.Job)), facts, nil,
				append(rendered(), components.Owned(batchac.Job("first", "lab"))))
			if (err != nil) != test.refused {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestOverridesNeedAMark: who may edit OpenDataHubs would else run what they like among Secrets that they may not read.
func TestOverridesNeedAMark(t *testing.T) {
	facts := lab
	facts.Spec.Components.Kafka = &v1alpha1.KafkaSpec{ComponentSpec: v1alpha1.ComponentSpec{
		ContainerImages: []v1alpha1.ContainerImage{{Container: "a", Image: "b"}}, Patches: []v1alpha1.Patch{{Kind: "Kafka", Name: "odh"}},
	}}
	reach := components.ReachOf(kafka.New(), facts)
	if len(reach) != 2 || reach[0].Mark != components.LabelAllowCode || reach[1].Mark != components.LabelAllowCode {
		t.Errorf("reach: %+v", reach)
	}
	facts.Spec.Components.Kafka = &v1alpha1.KafkaSpec{}
	if reach := components.ReachOf(kafka.New(), facts); len(reach) != 0 {
		t.Errorf("without overrides: %+v", reach)
	}
}
