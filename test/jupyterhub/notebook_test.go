package jupyterhub_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/jupyterhub"
	"opendatahub.io/operator/components/kinds"
)

func TestNotebook(t *testing.T) {
	t.Parallel()
	facts := platform(func(facts *components.Facts) {
		facts.Spec.Components.JupyterHub = &v1alpha1.JupyterHubSpec{
			Sizes: []v1alpha1.NotebookSize{
				{Name: "small", DisplayName: "Small", Resources: amounts("100m", "512Mi", "1", "2Gi")},
				{Name: "gpu", DisplayName: "One GPU", Resources: amounts("1500m", "4Gi", "8", "16Gi"), GPUs: 1},
			},
			DefaultImage: "scipy",
			Home:         v1alpha1.Storage{Size: resource.MustParse("3Gi"), StorageClassName: "fast"},
		}
	})
	hub := start(t, facts)
	admin := hub.browser(t)
	if !admin.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Fatal("admin did not get in")
	}

	t.Run("images and sizes are offered", func(t *testing.T) {
		form := admin.want("/hub/spawn", http.StatusOK).body
		for _, text := range []string{"SciPy", "As SciPy, with PyTorch", "Small (1 CPU, 2Gi)", "One GPU (8 CPU, 16Gi, 1 GPU)", `value="pyspark"`} {
			if !strings.Contains(form, text) {
				t.Errorf("the form does not have %q", text)
			}
		}
	})

	// A user whom the administrator made, and whose notebook the administrator starts and throws away.
	headers := []string{"Sec-Fetch-Mode", "cors", "X-Xsrftoken", admin.xsrf("/hub/home")}
	if answer := admin.do(http.MethodPost, "/hub/api/users/bob", nil, headers...); answer.status != http.StatusCreated {
		t.Fatalf("creating bob: status %d: %s", answer.status, answer.body)
	}
	pod := spawn(t, hub, admin, "bob", "profile", "datascience", "profile-option-datascience--size", "gpu")

	t.Run("the Pod is as the choice says", func(t *testing.T) {
		container := pod.Spec.Containers[0]
		if want := "quay.io/jupyter/datascience-notebook:"; !strings.HasPrefix(container.Image, want) {
			t.Errorf("image is %s, want %s...", container.Image, want)
		}
		want := corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("1.5"), "memory": resource.MustParse("4Gi"), "nvidia.com/gpu": resource.MustParse("1")},
			Limits:   corev1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("16Gi"), "nvidia.com/gpu": resource.MustParse("1")},
		}
		delete(want.Requests, "nvidia.com/gpu") // Kubernetes requests as much as the limit
		sameAmount := cmp.Comparer(func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 })
		if diff := cmp.Diff(want, container.Resources, sameAmount); diff != "" {
			t.Errorf("resources differ (-want +got):\n%s", diff)
		}
		tolerated := []corev1.Toleration{{Key: "nvidia.com/gpu", Operator: "Exists", Effect: "NoSchedule"}}
		if diff := cmp.Diff(tolerated, pod.Spec.Tolerations); diff != "" {
			t.Errorf("tolerations differ (-want +got):\n%s", diff)
		}
	})

	t.Run("the Pod has no rights and no secrets of the hub", func(t *testing.T) {
		restricted(t, pod)
		switch spec := pod.Spec; {
		case spec.ServiceAccountName != "odh-jupyterhub-notebook":
			t.Errorf("it runs as %s", spec.ServiceAccountName)
		case spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken:
			t.Error("it gets a token")
		case spec.EnableServiceLinks == nil || *spec.EnableServiceLinks:
			t.Error("it gets the addresses of all Services")
		}
		for _, variable := range pod.Spec.Containers[0].Env {
			for secret, keys := range hub.secrets {
				for key, value := range keys {
					if key != "username" && strings.Contains(variable.Value, value) {
						t.Errorf("its variable %s has %s of Secret %s", variable.Name, key, secret)
					}
				}
			}
		}
	})

	t.Run("Pod and volume are found again, and not watched", func(t *testing.T) {
		claim, found := hub.cluster.claims["odh-home-bob"]
		if !found {
			t.Fatalf("no claim odh-home-bob, but %v", hub.cluster.claims)
		}
		if got := claim.Spec.Resources.Requests.Storage().String(); got != "3Gi" || *claim.Spec.StorageClassName != "fast" {
			t.Errorf("the claim asks for %s of %s", got, *claim.Spec.StorageClassName)
		}
		if pod.Name != "odh-nb-bob" {
			t.Errorf("the Pod is called %s", pod.Name)
		}
		made := map[string]map[string]string{kinds.Pod.Kind: pod.Labels, kinds.PersistentVolumeClaim.Kind: claim.Labels}
		for _, leftover := range jupyterhub.New().(components.WithLeftovers).Leftovers(facts) {
			labels := made[leftover.Kind.Kind]
			for key, value := range leftover.Labels {
				if labels[key] != value {
					t.Errorf("%s: label %s is %q, want %q", leftover.Kind.Kind, key, labels[key], value)
				}
			}
			if _, watched := labels[components.LabelComponent]; watched {
				t.Errorf("%s has the label by which the operator's cache selects", leftover.Kind.Kind)
			}
		}
	})

	t.Run("a stopped notebook and a deleted user leave the files", func(t *testing.T) {
		for _, path := range []string{"/hub/api/users/bob/server", "/hub/api/users/bob"} {
			answer := admin.do(http.MethodDelete, path, nil, headers...)
			if answer.status >= 300 {
				t.Errorf("DELETE %s: status %d: %s", path, answer.status, answer.body)
			}
		}
		if hub.cluster.running() != 0 {
			t.Error("the Pod runs on")
		}
		if slices.Contains(hub.cluster.did(), access{"delete", "persistentvolumeclaims"}) {
			t.Error("the hub tried to delete the volume")
		}
	})

	t.Run("the hub needs exactly the rights that it has", func(t *testing.T) {
		granted := rights(t)
		for _, used := range hub.cluster.did() {
			if !granted[used] {
				t.Errorf("the hub may not %s %s", used.verb, used.resource)
			}
		}
	})
}

func TestNotebookOnOpenShift(t *testing.T) {
	t.Parallel()
	hub := start(t, platform(func(facts *components.Facts) {
		facts.Cluster.OpenShift = true
		facts.Cluster.IngressDomain = "apps.example.com"
		facts.Spec.Authentication.Type = v1alpha1.AuthenticationLocal
	}))
	admin := hub.browser(t)
	if !admin.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Fatal("admin did not get in")
	}
	pod := spawn(t, hub, admin, "admin", "profile", "minimal")
	restricted(t, pod)
	security, container := pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext
	if security.RunAsUser != nil || security.FSGroup != nil || container.RunAsUser != nil || container.RunAsGroup != nil {
		t.Errorf("the Pod names users or groups, which OpenShift refuses: %v %v", security, container)
	}
}

// spawn fills in the form for the user and waits until the hub says that the notebook runs.
func spawn(t *testing.T, hub *hub, admin *browser, user string, fields ...string) corev1.Pod {
	t.Helper()
	if answer := admin.post("/hub/spawn/"+user, fields...); answer.status >= 400 {
		t.Fatalf("starting a notebook: status %d:\n%s", answer.status, answer.body)
	}
	// The page that users look at meanwhile follows this; it ends when the notebook answers.
	progress := admin.get("/hub/api/users/"+user+"/server/progress", "Sec-Fetch-Mode", "cors", "X-Xsrftoken", admin.xsrf("/hub/home"))
	if !strings.Contains(progress.body, `"ready": true`) {
		t.Fatalf("the notebook did not start: status %d:\n%s", progress.status, progress.body)
	}
	if !hub.proxy.has("/user/" + user) {
		t.Error("the proxy was not told")
	}
	return hub.cluster.pod(t)
}

func restricted(t *testing.T, pod corev1.Pod) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	if result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)); !result.Allowed {
		t.Errorf("the Pod does not fit the restricted Pod Security Standard: %s", result.ForbiddenDetail())
	}
}

// rights are those of the ClusterRole that we ship.
func rights(t *testing.T) map[access]bool {
	t.Helper()
	content, err := os.ReadFile("../../config/rbac/components/jupyterhub_hub.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(content, &role); err != nil {
		t.Fatal(err)
	}
	if role.Name != jupyterhub.HubRole {
		t.Fatalf("the role is called %s, but %s is bound", role.Name, jupyterhub.HubRole)
	}
	granted := map[access]bool{}
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				granted[access{verb, resource}] = true
			}
		}
	}
	return granted
}

func amounts(cpu, memory, maxCPU, maxMemory string) v1alpha1.Resources {
	return v1alpha1.Resources{
		Requests: v1alpha1.ResourceAmounts{CPU: resource.MustParse(cpu), Memory: resource.MustParse(memory)},
		Limits:   v1alpha1.ResourceAmounts{CPU: resource.MustParse(maxCPU), Memory: resource.MustParse(maxMemory)},
	}
}
