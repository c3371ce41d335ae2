package jupyterhub_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/jupyterhub"
	localcluster "opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
	"opendatahub.io/operator/test/rights/audit"
)

// site is a platform on a local cluster, and the hub that runs for it: JupyterHub and KubeSpawner are real, and so are the API server,
// the operator, the rights of the hub's ServiceAccount and the admission policies. Only the nodes are played.
type site struct {
	*harness.Env
	t    *testing.T
	odh  *v1alpha1.OpenDataHub
	hub  *hub
	live rendered
}

// eventually waits for something, and says in the end why it is not so.
func eventually(t *testing.T, what string, is func(context.Context) error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := is(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// object reads one of the platform's.
func (s *site) object(name string, into client.Object) {
	s.t.Helper()
	if err := s.Admin.Get(s.t.Context(), types.NamespacedName{Namespace: s.odh.Namespace, Name: name}, into); err != nil {
		s.t.Fatal(err)
	}
}

// newSite makes a platform, waits until the operator reports JupyterHub ready, and starts the hub with what the cluster has for its Pod.
func newSite(t *testing.T, env *harness.Env, namespace, spec string, options ...string) *site {
	t.Helper()
	ctx := t.Context()
	if err := env.EnsureNamespace(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	sso := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "sso", Annotations: map[string]string{components.AnnotationAllowAddresses: "https://sso.example.com"}},
		StringData: map[string]string{"clientSecret": "the-clientSecret"},
	}
	if err := env.Admin.Create(ctx, sso); err != nil {
		t.Fatal(err)
	}
	odh, err := env.CreatePlatform(ctx, namespace, "odh", spec)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Env: env, t: t, odh: odh}
	s.ready()

	s.object("odh-jupyterhub-hub", &s.live.deployment)
	s.live.config, s.live.profiles = s.configMap("odh-jupyterhub-config"), s.configMap("odh-jupyterhub-profiles")
	s.live.secrets = map[string]map[string]string{}
	var secrets corev1.SecretList
	if err := env.Admin.List(ctx, &secrets, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets.Items {
		values := map[string]string{}
		for key, value := range secret.Data {
			values[key] = string(value)
		}
		s.live.secrets[secret.Name] = values
	}
	kubeconfig := func(t *testing.T, folder string) string {
		t.Helper()
		path := filepath.Join(folder, "kubeconfig")
		if err := env.WriteServiceAccountKubeconfig(ctx, namespace, s.live.deployment.Spec.Template.Spec.ServiceAccountName, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// Played Pods have addresses at which nobody is.
	options = append(options, "--KubeSpawner.pod_connect_ip=127.0.0.1")
	s.hub = startFiles(t, nil, s.live, nil, newNotebook(t), kubeconfig, options...)
	return s
}

func (s *site) ready() {
	s.t.Helper()
	for _, condition := range []string{"JupyterHubReady", "SparkReady"} {
		eventually(s.t, condition, func(ctx context.Context) error {
			got, err := s.Condition(s.odh, condition)(ctx)
			if err == nil && !strings.HasPrefix(got, "True") {
				err = fmt.Errorf("it is %s", got)
			}
			return err
		})
	}
}

func (s *site) configMap(name string) map[string]string {
	s.t.Helper()
	configMap := &corev1.ConfigMap{}
	s.object(name, configMap)
	return configMap.Data
}

// gone is nil when there is no such object.
func (s *site) gone(ctx context.Context, name string, object client.Object) error {
	err := s.Admin.Get(ctx, types.NamespacedName{Namespace: s.odh.Namespace, Name: name}, object)
	if err == nil {
		return fmt.Errorf("%T %s is there", object, name)
	}
	return client.IgnoreNotFound(err)
}

// A day of a user of each login, on a cluster: the Pods are in testdata.
func TestADayOnACluster(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	log, err := os.Create("operator.log.test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	harness.LogTo(log)
	env, err := harness.StartBare(ctx, catalog.All(), localcluster.Options{
		Name: "jupyterhub", Dir: t.TempDir(), Log: log, Operators: []string{}, Audit: true, AuditPolicy: audit.Policy(hubUser("day-local"), hubUser("day-oidc")),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	manager, err := env.StartManager(context.WithoutCancel(ctx))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := manager.Stop(); err != nil {
			t.Error(err)
		}
	})

	const apps = `
profile: Development
components:
  spark: {clusterSizes: [{name: one, workers: 1}]}
  jupyterHub:
    sizes:
    - {name: small, resources: {limits: {cpu: "1", memory: 2Gi}}}
    - {name: large, resources: {requests: {cpu: "1", memory: 4Gi}, limits: {cpu: "8", memory: 16Gi}}, spark: one}
`
	t.Run("days", func(t *testing.T) { // the cluster stops after both
		t.Run("local", func(t *testing.T) {
			t.Parallel()
			s := newSite(t, env, "day-local", apps)
			browser := s.hub.browser(t)
			if !browser.login("admin", s.live.secrets["odh-jupyterhub-login"]["password"]) {
				t.Fatal("the user did not get in")
			}
			s.day(browser, "admin", "admin")
			s.another(browser)
		})
		t.Run("oidc", func(t *testing.T) {
			t.Parallel()
			provider := newProvider(t, "the-hub", "the-clientSecret")
			s := newSite(t, env, "day-oidc", apps+`
ingress: {domain: day.example.com}
authentication:
  type: OIDC
  oidc: {issuer: "https://sso.example.com", clientID: the-hub, clientSecretRef: {name: sso}, usernameClaim: email, groupsClaim: roles}
`,
				"--GenericOAuthenticator.authorize_url="+provider.url+"/authorize",
				"--GenericOAuthenticator.token_url="+provider.url+"/token",
				"--GenericOAuthenticator.userdata_url="+provider.url+"/userinfo")
			browser := s.hub.browser(t)
			const user = "o'brien+{x}@example.com"
			if _, in := provider.login(t, browser, user); !in {
				t.Fatal("the user did not get in")
			}
			s.day(browser, user, "oidc")
		})
	})
	if !t.Failed() {
		comparesRights(t, env, "day-local", "day-oidc")
	}
}

func hubUser(namespace string) string {
	return "system:serviceaccount:" + namespace + ":odh-jupyterhub-hub"
}

// comparesRights reads the audit log: what the hubs are granted is what they used.
func comparesRights(t *testing.T, env *harness.Env, namespaces ...string) {
	t.Helper()
	rules, err := audit.ReadRules(filepath.Join(env.Root, "config", "rbac", "components", "jupyterhub_hub.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	role := audit.Role{Name: jupyterhub.HubRole, Rules: rules[jupyterhub.HubRole]}
	if len(role.Rules) == 0 {
		t.Fatalf("no role %s is shipped", role.Name)
	}
	uses := audit.Granted([]audit.Role{role})
	for _, namespace := range namespaces {
		log, err := os.Open(env.AuditLog())
		if err != nil {
			t.Fatal(err)
		}
		role.Scope = audit.Only(namespace)
		if err := errors.Join(uses.Count(log, hubUser(namespace), []audit.Role{role}), log.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, problem := range uses.Problems([]audit.Exception{{
		Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"},
		Reason: "A home that exists is used where a quota forbids to make it: quotas are asked first. No user of the test has reached one.",
	}}) {
		t.Error(problem)
	}
}

// bounds tries, with the token of the hub, what a notebook may have besides. Its name is taken, so what is admitted is answered
// with a conflict.
func (s *site) bounds(notebook corev1.Pod) {
	t := s.t
	t.Helper()
	config, err := s.ServiceAccountConfig(t.Context(), s.odh.Namespace, "odh-jupyterhub-hub")
	if err != nil {
		t.Fatal(err)
	}
	hub, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret := func(name string) corev1.Volume {
		return corev1.Volume{Name: "stolen", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}
	}
	for name, test := range map[string]struct {
		change   func(*corev1.Pod)
		admitted bool
	}{
		"as it is": {change: func(*corev1.Pod) {}, admitted: true},
		"a Secret of others": {change: func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, secret("sso"))
		}},
		"a Secret of the hub": {change: func(pod *corev1.Pod) {
			pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: "STOLEN", ValueFrom: &corev1.EnvVarSource{
				SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "odh-jupyterhub-keys"}, Key: "crypt-key"},
			}})
		}},
		"the Spark of another":   {change: func(pod *corev1.Pod) { pod.Name += "-2" }},
		"the account of the hub": {change: func(pod *corev1.Pod) { pod.Spec.ServiceAccountName = "odh-jupyterhub-hub" }},
		"the database of the hub": {change: func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "stolen", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "odh-jupyterhub-db"},
			}})
		}},
	} {
		pod := asMade(*notebook.DeepCopy())
		test.change(&pod)
		switch err := hub.Create(t.Context(), &pod, client.DryRunAll); {
		case test.admitted && !apierrors.IsAlreadyExists(err):
			t.Errorf("%s: answered %v, and not that it exists", name, err)
		case !test.admitted && !apierrors.IsForbidden(err):
			t.Errorf("%s: answered %v, and not that it is forbidden", name, err)
		}
	}
}

// day is a notebook from the form to its end.
func (s *site) day(browser *browser, user, goldenName string) {
	t := s.t
	t.Helper()
	if answer := browser.post("/hub/spawn", "profile", "datascience", "profile-option-datascience--size", "large"); answer.status >= http.StatusBadRequest {
		t.Fatalf("starting a notebook: status %d:\n%s", answer.status, answer.body)
	}
	path := "/users/" + url.PathEscape(user)
	progress := browser.get("/hub/api"+path+"/server/progress", "Sec-Fetch-Mode", "cors", "X-Xsrftoken", browser.xsrf("/hub/home"))
	if !strings.Contains(progress.body, `"ready": true`) {
		t.Fatalf("the notebook did not start: status %d:\n%s", progress.status, progress.body)
	}
	var pods corev1.PodList
	if err := s.Admin.List(t.Context(), &pods, client.InNamespace(s.odh.Namespace), client.MatchingLabels{"opendatahub.io/hub": "odh"}); err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != 1 {
		t.Fatalf("there are %d notebooks, want 1", len(pods.Items))
	}
	pod := pods.Items[0]
	s.bounds(pod)
	golden(t, "cluster-"+goldenName, asMade(pod))
	if listed := browser.api(http.MethodGet, path, "").body; !strings.Contains(listed, `"ready": true`) {
		t.Errorf("the notebook is not listed: %s", listed)
	}
	home := ""
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			home = volume.PersistentVolumeClaim.ClaimName
		}
	}
	s.object(home, &corev1.PersistentVolumeClaim{})

	// The operator makes its Spark cluster, and says so on the page that shows the progress.
	spark := "spark-" + string(pod.UID)
	eventually(t, "the Spark cluster", func(ctx context.Context) error {
		return s.Admin.Get(ctx, types.NamespacedName{Namespace: s.odh.Namespace, Name: spark}, &corev1.Service{})
	})

	browser.api(http.MethodDelete, path+"/server", "")
	eventually(t, "the end of the notebook", func(ctx context.Context) error { return s.gone(ctx, pod.Name, &corev1.Pod{}) })
	eventually(t, "the end of the Spark cluster", func(ctx context.Context) error { return s.gone(ctx, spark, &corev1.Service{}) })
	if listed := browser.api(http.MethodGet, path, "").body; strings.Contains(listed, `"ready": true`) {
		t.Errorf("the notebook is still listed: %s", listed)
	}
	s.object(home, &corev1.PersistentVolumeClaim{}) // it is kept
}

// another adds a size and an image. They are offered without a restart: the Deployment of the hub stays as it is, and the process runs on.
func (s *site) another(browser *browser) {
	t := s.t
	t.Helper()
	before := s.hub.started(t)
	patch := `[{"op": "add", "path": "/spec/components/jupyterHub/sizes/-", "value": {"name": "huge", "resources": {"limits": {"cpu": "16", "memory": "64Gi"}}}},
		{"op": "add", "path": "/spec/components/jupyterHub/images", "value": [{"name": "mine", "image": "quay.io/example/mine:1"}]}]`
	if err := s.Admin.Patch(t.Context(), s.odh, client.RawPatch(types.JSONPatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
	s.ready()
	deployment := &appsv1.Deployment{}
	s.object("odh-jupyterhub-hub", deployment)
	if deployment.Generation != s.live.deployment.Generation {
		t.Errorf("the Deployment of the hub was changed: generation %d, before %d", deployment.Generation, s.live.deployment.Generation)
	}
	// The kubelet updates a changed ConfigMap in a running Pod.
	write(t, filepath.Join(s.hub.profiles, "profiles.json"), s.configMap("odh-jupyterhub-profiles")["profiles.json"])
	if form := browser.want("/hub/spawn", http.StatusOK).body; !strings.Contains(form, `value="mine"`) || !strings.Contains(form, "16 CPU, 64Gi") {
		t.Errorf("the form does not offer what is new:\n%s", form)
	}
	if after := s.hub.started(t); after != before {
		t.Errorf("the hub started at %s, and before at %s", after, before)
	}
}

// asMade is the Pod without what differs from run to run, and what Kubernetes and the nodes add.
func asMade(pod corev1.Pod) corev1.Pod {
	pod.ObjectMeta = metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels, Annotations: pod.Annotations}
	maps.DeleteFunc(pod.Labels, func(key, _ string) bool { return strings.HasPrefix(key, "topology.kubernetes.io/") })
	pod.Status = corev1.PodStatus{}
	pod.Spec.NodeName = ""
	return pod
}
