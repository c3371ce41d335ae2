package jupyterhub_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/jupyterhub"
)

// cluster keeps what was rendered, as the controller does.
type cluster struct {
	t    *testing.T
	spec v1alpha1.JupyterHubSpec
	live components.Objects
	pods []*corev1.Pod
}

// reconcile renders, replaces what is live but for status, and judges.
func (c *cluster) reconcile() components.Health {
	c.t.Helper()
	hub := &v1alpha1.OpenDataHub{}
	hub.Name, hub.Namespace = "odh", "data"
	hub.Spec.Components.JupyterHub = &c.spec
	facts := components.NewFacts(hub, components.Cluster{}, []components.Component{jupyterhub.New()})
	facts.Live = c.live
	rendered, err := jupyterhub.New().Render(facts)
	if err != nil {
		c.t.Fatal(err)
	}
	observed := components.Observed{Facts: facts, Pods: c.pods}
	observed.Live = nil
	for _, object := range rendered {
		content, err := json.Marshal(object.ApplyConfiguration)
		if err != nil {
			c.t.Fatal(err)
		}
		live := &unstructured.Unstructured{}
		if err := live.UnmarshalJSON(content); err != nil {
			c.t.Fatal(err)
		}
		if live.GetKind() == "PersistentVolumeClaim" {
			live.Object["status"] = map[string]any{"phase": "Bound"}
		}
		if before := c.live.Find(live.GroupVersionKind().GroupKind(), live.GetName()); before != nil {
			live.Object["status"] = before.Object["status"]
		}
		observed.Live = append(observed.Live, live)
		observed.Rendered = append(observed.Rendered, components.Rendered{Kind: live.GroupVersionKind(), Namespace: "data", Name: live.GetName()})
	}
	c.live = observed.Live
	observed.Facts.Live = c.live
	return jupyterhub.New().Assess(observed)
}

// all of a kind, by name.
func (c *cluster) all(kind string) map[string]*unstructured.Unstructured {
	found := map[string]*unstructured.Unstructured{}
	for _, object := range c.live {
		if object.GetKind() == kind {
			found[object.GetName()] = object
		}
	}
	return found
}

// conclude ends the only Job.
func (c *cluster) conclude(condition, words string) {
	c.t.Helper()
	jobs := c.all("Job")
	if len(jobs) != 1 {
		c.t.Fatalf("there are %d Jobs, want 1", len(jobs))
	}
	for name, job := range jobs {
		job.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": condition, "status": "True"}}}
		c.pods = []*corev1.Pod{{
			ObjectMeta: metav1.ObjectMeta{Name: name + "-x", Namespace: "data", Labels: map[string]string{
				"app.kubernetes.io/name": "jupyterhub", "app.kubernetes.io/component": "extra", components.LabelPlatform: "odh",
				"batch.kubernetes.io/job-name": name,
			}},
			Status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{{
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Message: words}},
			}}},
		}}
	}
}

// loaded is the Python that the hub loads; none without a hub.
func (c *cluster) loaded() string {
	c.t.Helper()
	hub := c.all("Deployment")["odh-jupyterhub-hub"]
	if hub == nil {
		return "no hub"
	}
	volumes, _, _ := unstructured.NestedSlice(hub.Object, "spec", "template", "spec", "volumes")
	for _, volume := range volumes {
		if volume := volume.(map[string]any); volume["name"] == "extra" {
			name, _, _ := unstructured.NestedString(volume, "configMap", "name")
			configMap := c.all("ConfigMap")[name]
			if configMap == nil {
				return "gone"
			}
			python, _, _ := unstructured.NestedString(configMap.Object, "data", "extra.py")
			return python
		}
	}
	return ""
}

func (c *cluster) wantLoaded(want string) {
	c.t.Helper()
	if got := c.loaded(); got != want {
		c.t.Errorf("the hub loads %q, want %q", got, want)
	}
}

func TestExtraConfigReachesTheHubAfterItsTest(t *testing.T) {
	c := &cluster{t: t, spec: v1alpha1.JupyterHubSpec{ExtraConfig: "first"}}

	if health := c.reconcile(); health.State != components.Progressing || !strings.Contains(health.Message, "extraConfig is tested, the hub waits for it") {
		t.Errorf("while the first is tested: %v", health)
	}
	c.wantLoaded("no hub")
	c.conclude("Complete", "")
	c.reconcile()
	c.wantLoaded("first")

	c.spec.ExtraConfig = "broken"
	c.reconcile()
	c.wantLoaded("first")
	c.conclude("Failed", "line 1: NameError: name 'broken' is not defined")
	health := c.reconcile()
	c.wantLoaded("first")
	if want := "spec.components.jupyterHub.extraConfig cannot be loaded, the hub runs on as before: line 1: NameError: name 'broken' is not defined"; health.State != components.Degraded || !strings.Contains(health.Message, want) {
		t.Errorf("with a broken one: %v, want %q", health, want)
	}
	c.reconcile() // and it stays so
	c.wantLoaded("first")

	c.spec.ExtraConfig = "second"
	c.reconcile()
	c.wantLoaded("first")
	c.conclude("Complete", "")
	c.reconcile()
	c.wantLoaded("second")
	for name, configMap := range c.all("ConfigMap") {
		if python, _, _ := unstructured.NestedString(configMap.Object, "data", "extra.py"); python == "first" {
			t.Errorf("ConfigMap %s stays, although nobody loads it", name)
		}
	}

	c.spec.ExtraConfig = ""
	c.reconcile()
	c.wantLoaded("")
	if jobs := c.all("Job"); len(jobs) > 0 {
		t.Errorf("without extraConfig there are Jobs: %v", jobs)
	}
}

func TestExtraConfigIsAddedToAHubThatRuns(t *testing.T) {
	c := &cluster{t: t}
	c.reconcile()
	c.spec.ExtraConfig = "broken"
	c.reconcile()
	c.wantLoaded("")
	c.conclude("Failed", "line 1: SyntaxError: invalid syntax")
	c.reconcile()
	c.wantLoaded("")
}

// Whoever may change ConfigMaps must not get the operator to render what they wrote.
func TestATamperedExtraConfigIsNotRenderedAgain(t *testing.T) {
	c := &cluster{t: t, spec: v1alpha1.JupyterHubSpec{ExtraConfig: "first"}}
	c.reconcile()
	c.conclude("Complete", "")
	c.reconcile()
	c.spec.ExtraConfig = "broken"
	c.reconcile()
	for _, configMap := range c.all("ConfigMap") {
		if data, _, _ := unstructured.NestedStringMap(configMap.Object, "data"); data["extra.py"] == "first" {
			configMap.Object["data"] = map[string]any{"extra.py": "mine"}
		}
	}
	c.reconcile()
	c.wantLoaded("gone") // the hub's Pod has it until it ends
}

// The termination message of another Job's Pod is not reported as the reason.
func TestAnExtraConfigWhosePodIsGone(t *testing.T) {
	c := &cluster{t: t, spec: v1alpha1.JupyterHubSpec{ExtraConfig: "broken"}}
	c.reconcile()
	c.conclude("Failed", "words of another")
	c.pods[0].Labels["batch.kubernetes.io/job-name"] = "another"
	if health := c.reconcile(); !strings.Contains(health.Message, "delete the Job to test again") {
		t.Errorf("got %v", health)
	}
}

func TestReach(t *testing.T) {
	reach := func(spec *v1alpha1.JupyterHubSpec) []components.Reach {
		return components.ReachOf(jupyterhub.New(), components.Facts{Spec: v1alpha1.OpenDataHubSpec{Components: v1alpha1.ComponentsSpec{JupyterHub: spec}}})
	}
	if got := slices.Concat(reach(nil), reach(&v1alpha1.JupyterHubSpec{})); len(got) > 0 {
		t.Errorf("without extraConfig: %v", got)
	}
	want := []components.Reach{{Mark: "opendatahub.io/allow-code", Field: "spec.components.jupyterHub.extraConfig", What: "Python in the hub, with its Secrets, its database and its rights"}}
	if diff := cmp.Diff(want, reach(&v1alpha1.JupyterHubSpec{ExtraConfig: "pass"})); diff != "" {
		t.Errorf("with extraConfig (-want +got):\n%s", diff)
	}
	want = []components.Reach{{Mark: "opendatahub.io/allow-volumes", Field: "spec.components.jupyterHub.sharedVolumes", What: "volumes of the namespace in notebooks"}}
	if diff := cmp.Diff(want, reach(&v1alpha1.JupyterHubSpec{SharedVolumes: []v1alpha1.NotebookVolume{{Name: "a", ClaimName: "b"}}})); diff != "" {
		t.Errorf("with sharedVolumes (-want +got):\n%s", diff)
	}
}
