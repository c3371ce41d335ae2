package jupyterhub_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/gpu"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// api does what the hub's own pages do.
func (b *browser) api(method, path, body string) page {
	b.t.Helper()
	answer := b.do(method, "/hub/api"+path, strings.NewReader(body), "Sec-Fetch-Mode", "cors", "X-Xsrftoken", b.xsrf("/hub/home"))
	if answer.status >= http.StatusBadRequest {
		b.t.Fatalf("%s %s: status %d: %s", method, path, answer.status, answer.body)
	}
	return answer
}

// begin starts a notebook and returns what the progress page says in the end.
func (b *browser) begin(user string, fields ...string) page {
	b.t.Helper()
	if answer := b.post("/hub/spawn/"+user, fields...); answer.status >= http.StatusBadRequest {
		return answer
	}
	return b.get("/hub/api/users/"+user+"/server/progress", "Sec-Fetch-Mode", "cors", "X-Xsrftoken", b.xsrf("/hub/home"))
}

// choose makes the running hub follow another spec.
func (h *hub) choose(t *testing.T, change func(*v1alpha1.JupyterHubSpec)) {
	t.Helper()
	facts := platform(func(facts *components.Facts) { change(facts.Spec.Components.JupyterHub) })
	write(t, filepath.Join(h.profiles, "profiles.json"), render(t, facts).profiles["profiles.json"])
}

var startTime = regexp.MustCompile(`(?m)^process_start_time_seconds (\S+)$`)

// started is when the process of the hub started, as it says itself.
func (h *hub) started(t *testing.T) string {
	t.Helper()
	metrics := h.browser(t).want("/hub/metrics", http.StatusOK, "Authorization", "token "+h.secrets["odh-jupyterhub-keys"]["token-prometheus"])
	found := startTime.FindStringSubmatch(metrics.body)
	if found == nil {
		t.Fatal("the metrics do not say when the hub started")
	}
	return found[1]
}

func TestGroupsAndLimits(t *testing.T) {
	t.Parallel()
	hub := start(t, platform(nil))
	hub.log.expect("500 GET /hub/spawn-pending/admin", "Error starting carol's server", "Error starting server carol", "No such profile: vision", "finish_user_spawn()", "Failed to spawn single-user server",
		"Traceback (most recent call last)", "500 POST /hub/spawn/carol", "log:184] {")
	admin := hub.browser(t)
	if !admin.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Fatal("admin did not get in")
	}
	for _, user := range []string{"bob", "carol"} {
		admin.api(http.MethodPost, "/users/"+user, "")
	}
	admin.api(http.MethodPost, "/groups/vision", `{"users": ["bob", "carol"]}`)
	small, large := v1alpha1.NotebookSize{Name: "small", Resources: amounts("100m", "512Mi", "1", "2Gi")}, v1alpha1.NotebookSize{
		Name: "large", Resources: amounts("1", "4Gi", "8", "16Gi"), GPUs: 1, Groups: []v1alpha1.GroupName{"vision"},
		Placement: v1alpha1.Placement{
			NodeSelector: map[string]v1alpha1.LabelValue{"pool": "gpu"},
			Tolerations:  []v1alpha1.Toleration{{Key: "pool", Value: "gpu", Effect: "NoSchedule"}},
		},
	}
	before := hub.started(t)
	hub.choose(t, func(spec *v1alpha1.JupyterHubSpec) {
		spec.Sizes = []v1alpha1.NotebookSize{small, large}
		spec.Images = []v1alpha1.NotebookImage{
			{Name: "vision", Image: "quay.io/example/vision:1", Groups: []v1alpha1.GroupName{"vision", "others"}},
			{Name: "all", Image: "quay.io/example/all:1"},
		}
		spec.Placement = v1alpha1.Placement{
			NodeSelector: map[string]v1alpha1.LabelValue{"zone": "a"},
			Tolerations:  []v1alpha1.Toleration{{Key: "notebooks", Operator: "Exists"}},
		}
		spec.SharedVolumes = []v1alpha1.NotebookVolume{
			{Name: "pictures", ClaimName: "pictures", Access: "ReadWrite", Groups: []v1alpha1.GroupName{"vision"}},
			{Name: "data", ClaimName: "data"},
		}
		spec.Environment = []v1alpha1.NotebookVariable{
			{Name: "STAGE", Value: "test"},
			{Name: "TOKEN", SecretRef: v1alpha1.SecretKey{LocalReference: v1alpha1.LocalReference{Name: "tracker"}, Key: "token"}},
		}
		spec.ActiveServersPerUser = 1
		spec.GroupLimits = []v1alpha1.NotebookGroupLimit{{Group: "vision", ActiveServers: 1}}
	})

	t.Run("who is in no group is offered what is for all, and gets no other", func(t *testing.T) {
		form := admin.want("/hub/spawn/admin", http.StatusOK).body
		if strings.Contains(form, "vision") || strings.Contains(form, `value="large"`) || !strings.Contains(form, "all") {
			t.Errorf("the form is\n%s", form)
		}
		if answer := admin.begin("admin", "profile", "vision"); strings.Contains(answer.body, `"ready": true`) {
			t.Error("admin got the image of a group by its name")
		}
		pod := spawn(t, hub, admin, "admin", "profile", "all")
		if diff := cmp.Diff([]string{"data=/home/jovyan/shared/data ro"}, sharedOf(pod)); diff != "" {
			t.Errorf("shared volumes differ (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"zone": "a"}, pod.Spec.NodeSelector); diff != "" {
			t.Errorf("node selectors differ (-want +got):\n%s", diff)
		}
	})

	t.Run("a member of the group gets what is for the group", func(t *testing.T) {
		pod := spawn(t, hub, admin, "bob", "profile", "vision", "profile-option-vision--size", "large")
		if diff := cmp.Diff([]string{"data=/home/jovyan/shared/data ro", "pictures=/home/jovyan/shared/pictures rw"}, sharedOf(pod)); diff != "" {
			t.Errorf("shared volumes differ (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"zone": "a", "pool": "gpu"}, pod.Spec.NodeSelector); diff != "" {
			t.Errorf("node selectors differ (-want +got):\n%s", diff)
		}
		var tolerated []string
		for _, toleration := range pod.Spec.Tolerations {
			tolerated = append(tolerated, toleration.Key+" "+string(toleration.Operator)+" "+toleration.Value)
		}
		if diff := cmp.Diff([]string{"notebooks Exists ", "nvidia.com/gpu Exists ", "pool Equal gpu"}, tolerated); diff != "" {
			t.Errorf("tolerations differ (-want +got):\n%s", diff)
		}
		env := environmentOf(pod)
		if env["STAGE"].Value != "test" || env["TOKEN"].ValueFrom == nil || env["TOKEN"].ValueFrom.SecretKeyRef.Name != "tracker" {
			t.Errorf("the environment is %v", env)
		}
		restricted(t, pod)
	})

	t.Run("a group may not run more than it may", func(t *testing.T) {
		if answer := admin.begin("carol", "profile", "vision"); !strings.Contains(answer.body, "your group vision may run 1 of them at once") {
			t.Errorf("carol reads\n%s", answer.body)
		}
		admin.api(http.MethodDelete, "/users/bob/server", "")
		spawn(t, hub, admin, "carol", "profile", "vision")
	})

	t.Run("GPUs are sizes as long as nodes have them", func(t *testing.T) {
		facts := platform(func(facts *components.Facts) { facts.Spec.Components.GPU = &v1alpha1.GPUSpec{} })
		write(t, filepath.Join(hub.profiles, "profiles.json"), render(t, facts).profiles["profiles.json"])
		admin.api(http.MethodPost, "/users/dave", "")
		offered := func() bool {
			form := admin.want("/hub/spawn/dave", http.StatusOK).body
			if strings.Contains(form, `value="gpu-tesla-t4-2"`) != strings.Contains(form, `value="pytorch-gpu"`) {
				t.Errorf("sizes and images with GPUs do not go together:\n%s", form)
			}
			return strings.Contains(form, "2 Tesla-T4 (1 CPU, 2Gi)")
		}
		if offered() {
			t.Error("a GPU is offered before anything is known of nodes")
		}
		facts.Found = components.Objects{{Object: map[string]any{
			"apiVersion": "v1", "kind": "Node",
			"metadata": map[string]any{"name": "gpu-1", "labels": map[string]any{"nvidia.com/gpu.product": "Tesla-T4"}},
			"status":   map[string]any{"capacity": map[string]any{"nvidia.com/gpu": "2"}, "allocatable": map[string]any{"nvidia.com/gpu": "2"}},
		}}}
		write(t, filepath.Join(hub.offers, "0", "offers.json"), offers(t, facts))
		if !offered() {
			t.Error("the GPUs of a node are not offered")
		}
		pod := spawn(t, hub, admin, "dave", "profile", "pytorch-gpu", "profile-option-pytorch-gpu--size", "gpu-tesla-t4-2")
		if got := pod.Spec.Containers[0].Resources.Limits["nvidia.com/gpu"]; got.Value() != 2 {
			t.Errorf("the notebook has %s GPUs", got.String())
		}
		if diff := cmp.Diff(map[string]string{"nvidia.com/gpu.product": "Tesla-T4"}, pod.Spec.NodeSelector); diff != "" {
			t.Errorf("node selectors differ (-want +got):\n%s", diff)
		}
		tolerates := slices.ContainsFunc(pod.Spec.Tolerations, func(toleration corev1.Toleration) bool { return toleration.Key == "nvidia.com/gpu" })
		if memory := pod.Spec.Containers[0].Resources.Limits.Memory(); !tolerates || memory.Value() != 2<<30 {
			t.Errorf("tolerations %v, memory %s", pod.Spec.Tolerations, memory)
		}
		restricted(t, pod)
		admin.api(http.MethodDelete, "/users/dave/server", "")
		facts.Found = nil
		write(t, filepath.Join(hub.offers, "0", "offers.json"), offers(t, facts))
		if offered() {
			t.Error("a GPU is offered that no node has any more")
		}
	})

	t.Run("the hub was not restarted for any of it", func(t *testing.T) {
		if after := hub.started(t); after != before {
			t.Errorf("it started at %s, and before at %s", after, before)
		}
	})
}

// offers are what the component gpu offers.
func offers(t *testing.T, facts components.Facts) string {
	t.Helper()
	objects, err := gpu.New().Render(facts)
	if err != nil {
		t.Fatal(err)
	}
	return objects[0].ApplyConfiguration.(*coreapply.ConfigMapApplyConfiguration).Data["offers.json"]
}

func sharedOf(pod corev1.Pod) []string {
	var all []string
	for _, mount := range pod.Spec.Containers[0].VolumeMounts {
		if name, ok := strings.CutPrefix(mount.Name, "shared-"); ok {
			access := map[bool]string{true: "ro", false: "rw"}[mount.ReadOnly]
			all = append(all, name+"="+mount.MountPath+" "+access)
		}
	}
	return all
}

func environmentOf(pod corev1.Pod) map[string]corev1.EnvVar {
	env := map[string]corev1.EnvVar{}
	for _, variable := range pod.Spec.Containers[0].Env {
		env[variable.Name] = variable
	}
	return env
}

// hostile texts are code, markup or templates somewhere.
var hostile = []string{
	`"`, `'`, `'''`, `"""`, "\n", "\r\n\t", `{`, `}`, `{}`, `{{}}`, `{0}`, `{username}`, `{__class__}`, `{{username}}`, `{% raw %}`, `{{ 7*7 }}`,
	`$(HOME)`, `$$(HOME)`, `$HOME`, "`id`", `\`, `\n`, `\u0022`, `%s`, `%(message)s`, `<script>alert(1)</script>`, `</script>`, `&amp;`, `]]>`,
	"'); import os; os._exit(1)  #", "\"\nimport os\nos._exit(1)\n\"", "c.JupyterHub.admin_access = True", "- a: &x\n- *x", "null", "{\"a\": 1}", "ß€😀", "\u202e",
}

// What people write reaches the hub, its pages and notebooks as data. The schema refuses much of this; here it is not asked.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	hub := start(t, platform(nil))
	admin := hub.browser(t)
	if !admin.login("admin", hub.secrets["odh-jupyterhub-login"]["password"]) {
		t.Fatal("admin did not get in")
	}
	before := hub.started(t)
	for i, text := range append(hostile, strings.Join(hostile, "")) {
		hub.choose(t, func(spec *v1alpha1.JupyterHubSpec) {
			size := v1alpha1.NotebookSize{Name: "one", DisplayName: text, Resources: amounts("100m", "512Mi", "1", "2Gi")}
			other := size
			other.Name, other.DisplayName, other.Groups = "other", "", []v1alpha1.GroupName{v1alpha1.GroupName(text)}
			spec.Sizes = []v1alpha1.NotebookSize{size, other}
			spec.Images = []v1alpha1.NotebookImage{{Name: "one", DisplayName: text, Description: text, Image: "quay.io/example/one:1"}}
			spec.Environment = []v1alpha1.NotebookVariable{{Name: "TEXT", Value: text}}
			spec.GroupLimits = []v1alpha1.NotebookGroupLimit{{Group: v1alpha1.GroupName(text), ActiveServers: 1}}
		})
		form := admin.want("/hub/spawn/admin", http.StatusOK).body
		if strings.Contains(form, "<script>alert(1)") || text == `{{ 7*7 }}` && !strings.Contains(form, text) {
			t.Errorf("%q is more than a text in the page", text)
		}
		if strings.Contains(form, `value="other"`) {
			t.Errorf("%q: the size of a group is offered to who is not in it", text)
		}
		pod := spawn(t, hub, admin, "admin", "profile", "one", "profile-option-one--size", "one")
		// Kubernetes makes $ of $$, and expands $(NAME), see third_party/forked/golang/expansion of Kubernetes.
		if got := strings.ReplaceAll(environmentOf(pod)["TEXT"].Value, "$$", "$"); got != text || strings.Contains(strings.ReplaceAll(environmentOf(pod)["TEXT"].Value, "$$", ""), "$") {
			t.Errorf("%d: %q reaches the notebook as %q", i, text, environmentOf(pod)["TEXT"].Value)
		}
		admin.api(http.MethodDelete, "/users/admin/server", "")
	}
	if after := hub.started(t); after != before {
		t.Error("the hub was restarted")
	}
}

// A day of a user, with both kinds of login: the Pod is in testdata.
func TestADay(t *testing.T) {
	t.Parallel()
	sizes := func(facts *components.Facts) {
		facts.Spec.Components.JupyterHub.Sizes = []v1alpha1.NotebookSize{
			{Name: "small", Resources: amounts("100m", "512Mi", "1", "2Gi")},
			{Name: "large", Resources: amounts("1", "4Gi", "8", "16Gi")},
		}
	}
	provider := newProvider(t, "the-hub", "the-clientSecret")
	for _, test := range []struct {
		name, user string
		facts      func(*components.Facts)
		login      func(t *testing.T, hub *hub, browser *browser, user string) bool
	}{
		{"local", "admin", sizes, func(_ *testing.T, hub *hub, browser *browser, user string) bool {
			return browser.login(user, hub.secrets["odh-jupyterhub-login"]["password"])
		}},
		{"oidc", "o'brien+{x}@example.com", func(facts *components.Facts) {
			sizes(facts)
			facts.Spec.Ingress = v1alpha1.IngressSpec{Domain: "data.example.com"}
			facts.Spec.Authentication = v1alpha1.AuthenticationSpec{
				Type: v1alpha1.AuthenticationOIDC,
				OIDC: &v1alpha1.OIDCSpec{
					Issuer: "https://sso.example.com", ClientID: "the-hub", ClientSecretRef: v1alpha1.LocalReference{Name: "sso"},
					AuthorizationEndpoint: provider.url + "/authorize", TokenEndpoint: provider.url + "/token",
					UserInfoEndpoint: provider.url + "/userinfo", UsernameClaim: "email", GroupsClaim: "roles",
				},
			}
		}, func(t *testing.T, _ *hub, browser *browser, user string) bool {
			t.Helper()
			_, in := provider.login(t, browser, user)
			return in
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			hub := start(t, platform(test.facts))
			user := hub.browser(t)
			if !test.login(t, hub, user, test.user) {
				t.Fatal("the user did not get in")
			}
			if answer := user.post("/hub/spawn", "profile", "datascience", "profile-option-datascience--size", "large"); answer.status >= http.StatusBadRequest {
				t.Fatalf("starting a notebook: status %d:\n%s", answer.status, answer.body)
			}
			path := "/users/" + url.PathEscape(test.user)
			progress := user.get("/hub/api"+path+"/server/progress", "Sec-Fetch-Mode", "cors", "X-Xsrftoken", user.xsrf("/hub/home"))
			if !strings.Contains(progress.body, `"ready": true`) {
				t.Fatalf("the notebook did not start: status %d:\n%s", progress.status, progress.body)
			}
			golden(t, test.name, hub.cluster.pod(t))
			if listed := user.api(http.MethodGet, path, "").body; !strings.Contains(listed, `"ready": true`) {
				t.Errorf("the notebook is not listed: %s", listed)
			}
			user.api(http.MethodDelete, path+"/server", "")
			if hub.cluster.running() != 0 {
				t.Error("the Pod runs on")
			}
			if listed := user.api(http.MethodGet, path, "").body; strings.Contains(listed, `"ready": true`) {
				t.Errorf("the notebook is still listed: %s", listed)
			}
			if len(hub.cluster.claims) != 1 {
				t.Errorf("the home is gone: %v", hub.cluster.claims)
			}
		})
	}
}

// golden compares the Pod with the one in testdata, except for tokens and addresses of this run.
func golden(t *testing.T, name string, pod corev1.Pod) {
	t.Helper()
	for i, variable := range pod.Spec.Containers[0].Env {
		if strings.Contains(variable.Name, "TOKEN") || strings.Contains(variable.Value, "127.0.0.1") || strings.Contains(variable.Value, "0.0.0.0") {
			pod.Spec.Containers[0].Env[i].Value = "<of this run>"
		}
	}
	for i := range pod.Spec.Containers[0].Ports {
		pod.Spec.Containers[0].Ports[i].ContainerPort = 8888 // where hubs run that have a network of their own
	}
	got, err := yaml.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", fmt.Sprintf("pod-%s.yaml", name))
	if *update {
		write(t, path, string(got))
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the Pod differs (-want +got):\n%s", diff)
	}
}
