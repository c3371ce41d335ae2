package real_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"opendatahub.io/operator/api/v1alpha1"
	opcluster "opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components/spark"
	"opendatahub.io/operator/hack/node"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

const (
	// envReal makes the test run: "try" where it can, "must" or fail. Without it the test is skipped: it has a target of its own.
	envReal = "OPENDATAHUB_TEST_REAL"

	operatorImage = "quay.io/opendatahub/operator:v0.1.0"
	namespace     = "data"
	platform      = "odh"
)

// TestPlatform is the platform's story: a user's first days, and what becomes of the work when the platform goes and comes back. Each
// step is in docs/story.md.
func TestPlatform(t *testing.T) {
	mustRun(t)
	// What waits for the user would keep them from beginning.
	if slots := flag.Lookup("test.parallel").Value.(flag.Getter).Get().(int); slots < 3 {
		t.Fatalf("%d parts of the story may run at the same time, and it takes three: go test -parallel 3", slots)
	}
	log.SetLogger(logr.Discard()) // controller-runtime complains when nobody asks for its log
	before := machineState(t)
	story := &story{}
	t.Cleanup(func() { story.tell(t) })
	began := time.Now()
	env := start(t)
	story.add("The cluster starts, and in it the operator and what the platform uses", began)
	ctx := t.Context()

	const bobsPassword = "correct horse battery"
	var password string
	var admin, bob *browser
	var page *chromium // nil where there is none, and then the user does the same over HTTP

	// Each step needs those before it.
	_ = t.Run("The platform is applied, and becomes ready", func(step *testing.T) {
		defer story.step(step)()
		env.createPlatform(step)
		password = env.secret(step, "odh-jupyterhub-login")["password"]
		admin, bob = env.browser(step), env.browser(step)
		page = openBrowser(t, env) // until the end of the story
	}) &&
		t.Run("A user signs up, and the administrator lets them in", func(t *testing.T) {
			defer story.step(t)()
			env.browser(t).post(t, "/hub/signup", "username", "bob", "signup_password", bobsPassword, "signup_password_confirmation", bobsPassword)
			admin.login(t, "admin", password)
			admin.get(t, "/hub/authorize/bob", "Referer", admin.address+"/hub/authorize")
		}) &&
		(page == nil || t.Run("The platform's page, behind its login, says that everything works", func(t *testing.T) {
			defer story.step(t)()
			page.In(t)
			page.enter(t, env, "portal", `document.querySelectorAll(".card").length == 4 &&
				[...document.querySelectorAll(".card .state")].every(state => state.textContent == "Ready")`)
		})) &&
		t.Run("On the first day", func(t *testing.T) {
			arrived := make(chan struct{}) // the user, or they never will
			user := func() *browser { <-arrived; return bob }
			t.Run("The user", func(t *testing.T) {
				t.Parallel()
				firstDay(t, env, story, page, bob, "bob", bobsPassword, arrived)
			})
			t.Run("A model is trained and stored, Seldon serves it, and the notebook asks it", func(t *testing.T) {
				t.Parallel()
				defer story.step(t)()
				env.serve(t, user, "bob")
			})
			t.Run("A workflow trains a model on files of the object storage, tells MLflow, and has Seldon serve it", func(t *testing.T) {
				t.Parallel()
				defer story.step(t)()
				env.pipeline(t, user, "bob")
			})
		}) &&
		t.Run("The namespace's quota is used up, and a user reads why no notebook starts", func(t *testing.T) {
			defer story.step(t)()
			env.failByQuota(t, admin, "admin")
		}) &&
		t.Run("Prometheus reaches every part of the platform, the operator, and the user's Spark cluster", func(t *testing.T) {
			defer story.step(t)()
			for _, component := range []string{"JupyterHub", "Spark", "MLflow", "Monitoring", "Seldon", "ArgoWorkflows"} {
				env.wantCondition(t, component+"Ready", "True")
			}
			env.until(t, "every target is up", func(ctx context.Context) error {
				return env.scraped(ctx, "opendatahub-operator", "opendatahub-installer", "monitoring-prometheus", "monitoring-alertmanager", "mlflow-server",
					"jupyterhub-hub", "jupyterhub-proxy", "spark-master", "spark-worker", "seldon-models", "argoworkflows-controller", "gpu-exporter")
			})
		}) &&
		t.Run("It keeps what the exporter of GPUs tells of this namespace, and nothing else", func(t *testing.T) {
			defer story.step(t)()
			env.wantGPUs(t)
		}) &&
		t.Run("The notebook stops; on the next day it has the files", func(t *testing.T) {
			defer story.step(t)()
			before := env.sparkSecret(t, "bob")
			bob.stop(t, "bob")
			env.podGone(t, "odh-nb-bob")
			env.sparkGone(t)
			bob.start(t, "bob")
			bob.wantFile(t, "bob")
			if env.sparkSecret(t, "bob") == before {
				t.Error("the secret of the Spark cluster is that of the day before")
			}
			bob.stop(t, "bob")
			env.podGone(t, "odh-nb-bob")
		}) &&
		t.Run("The history server shows the Spark session of the day before", func(t *testing.T) {
			defer story.step(t)()
			env.wantSession(t, "customers")
		}) &&
		t.Run("Every panel of the dashboards has shown something", func(t *testing.T) {
			defer story.step(t)()
			env.wantDashboards(t, began)
		}) &&
		t.Run("An alert tells of the notebooks that did not start, and reaches its receiver", func(t *testing.T) {
			defer story.step(t)()
			env.wantAlert(t, "JupyterHubSpawnsFail")
		}) &&
		t.Run("The platform is deleted", func(t *testing.T) {
			defer story.step(t)()
			hub := env.platform()
			if err := env.Admin.Delete(ctx, hub); err != nil {
				t.Fatal(err)
			}
			env.until(t, "the platform and its Pods are gone", func(ctx context.Context) error {
				if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), hub); !apierrors.IsNotFound(err) {
					return fmt.Errorf("OpenDataHub %s still exists: %w", platform, err)
				}
				var pods corev1.PodList
				if err := env.Admin.List(ctx, &pods, client.InNamespace(namespace)); err != nil || len(pods.Items) > 0 {
					return fmt.Errorf("%d Pods still exist: %w", len(pods.Items), err)
				}
				return nil
			})
			env.wantNothingServed(t)
		}) &&
		t.Run("It comes back, with its accounts, files and experiments", func(t *testing.T) {
			defer story.step(t)()
			env.wantNotPlayed(t, "monitoring.coreos.com") // also now that Seldon's operator is
			env.createPlatform(t)
			if got := env.secret(t, "odh-jupyterhub-login")["password"]; got != password {
				t.Error("the administrator's password has changed")
			}
			bob = env.browser(t) // the Service has another address than before
			bob.login(t, "bob", bobsPassword)
			bob.start(t, "bob")
			bob.wantFile(t, "bob")
			if err := bob.hasExperiments(t, "bob"); err != nil {
				t.Error(err)
			}
		}) &&
		t.Run("NetworkPolicies let through what the documents say, and nothing else", func(t *testing.T) {
			defer story.step(t)()
			env.wantPolicies(t, bob, "bob")
		}) &&
		t.Run("Things break while the user works", func(t *testing.T) {
			defer story.step(t)()
			v := &victim{env: env, hub: env.platform(), user: bob, name: "bob", password: bobsPassword}
			v.suffer(t)
		}) &&
		// The notebook still runs, with a volume mounted: this is what a crash finds.
		t.Run("Everything is killed, and nothing is left", func(t *testing.T) {
			defer story.step(t)()
			machine := env.Machine()
			for _, pid := range env.PIDs() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			if found, err := cluster.Down(context.WithoutCancel(ctx), cluster.Options{Name: env.Name()}); err != nil || !found {
				t.Fatalf("taking the cluster down: found %v, %v", found, err)
			}
			if left := machine.Left(env.Dir()); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if _, err := os.Stat(env.Dir()); !os.IsNotExist(err) {
				t.Errorf("the folder of the cluster: %v", err)
			}
			for kind, found := range machineState(t) {
				// What went meanwhile was somebody else's.
				if left := slices.DeleteFunc(found, func(one string) bool { return slices.Contains(before[kind], one) }); len(left) > 0 {
					t.Errorf("%s that were not there before: %q", kind, left)
				}
			}
		})
}

// mustRun skips the test where it is not asked for or cannot run.
func mustRun(t *testing.T) {
	t.Helper()
	wish := os.Getenv(envReal)
	if wish == "" {
		t.Skip("run it with make test-real")
	}
	missing := node.Missing()
	switch {
	case len(missing) == 0:
	case wish == "must":
		t.Fatal(node.Explain(missing))
	default:
		t.Skip(node.Explain(missing))
	}
}

// env is a running cluster.
type env struct {
	*harness.Env
	kube kubernetes.Interface
}

// start starts the cluster with the operator and what the platform uses, and takes it down at the end.
func start(t *testing.T) *env {
	t.Helper()
	const name = "test-real"
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	options := cluster.Options{Name: name}
	if _, err := cluster.Down(t.Context(), options); err != nil { // what is left of an interrupted run
		t.Fatal(err)
	}
	c, _, err := node.Up(t.Context(), node.Options{
		Name: name, Operator: filepath.Join(root, "bin", "opendatahub"), OperatorImage: operatorImage, Log: os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := cluster.Down(context.Background(), options); err != nil {
			t.Error(err)
		}
	})
	scheme, err := opcluster.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(c.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	e := &env{Env: &harness.Env{Cluster: c, Admin: admin, Root: root}}
	if e.kube, err = kubernetes.NewForConfig(c.Config()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.explain(t) })
	if err := e.EnsureNamespace(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() error {
		return node.Deploy(ctx, c.Kubeconfig(), root, filepath.Join("config", "default"), operatorImage)
	})
	group.Go(func() error { return node.DeployServices(ctx, c, sample(t, root)) })
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return e
}

// explain shows, when the test has failed, each Pod that is not as it should be, and the end of every log.
func (e *env) explain(t *testing.T) {
	t.Helper()
	if !t.Failed() {
		return
	}
	ctx := context.Background()
	pods, err := e.kube.CoreV1().Pods("").List(ctx, listAll)
	if err != nil {
		t.Logf("listing Pods: %v", err)
		return
	}
	lines := int64(25)
	for _, pod := range pods.Items {
		t.Logf("Pod %s/%s: %s", pod.Namespace, pod.Name, pod.Status.Phase)
		for _, status := range pod.Status.ContainerStatuses {
			if !status.Ready {
				t.Logf("  container %s is not ready, restarted %d times: %+v", status.Name, status.RestartCount, status.State)
			}
			log, err := e.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: status.Name, TailLines: &lines}).DoRaw(ctx)
			t.Logf("  the end of its log (%v):\n%s", err, log)
		}
	}
}

// until waits for a condition, and says what is wrong with it when it does not come.
func (e *env) until(t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting until %s: %v", what, err)
		case <-ticker.C:
		}
	}
}

// platform is the one that is tested, by name.
func (e *env) platform() *v1alpha1.OpenDataHub {
	return &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: platform}}
}

func (e *env) createPlatform(t *testing.T) *v1alpha1.OpenDataHub {
	t.Helper()
	hub := sample(t, e.Root)
	if err := e.Admin.Create(t.Context(), hub); err != nil {
		t.Fatal(err)
	}
	e.ready(t, hub)
	for _, name := range []string{"odh-jupyterhub-hub", "odh-jupyterhub-proxy", "odh-mlflow-server", "odh-spark-history", "odh-portal-server"} {
		deployment := &appsv1.Deployment{}
		if err := e.Admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, deployment); err != nil {
			t.Fatal(err)
		}
		if deployment.Status.AvailableReplicas != 1 {
			t.Errorf("the platform is ready, and Deployment %s is not", name)
		}
	}
	return hub
}

// ready waits until the platform is.
func (e *env) ready(t *testing.T, hub *v1alpha1.OpenDataHub) {
	t.Helper()
	e.until(t, "the platform is ready", func(ctx context.Context) error {
		got, err := e.Condition(hub, v1alpha1.ConditionReady)(ctx)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(got, "True") {
			return fmt.Errorf("condition Ready is %s", got)
		}
		return nil
	})
}

func (e *env) podGone(t *testing.T, name string) {
	t.Helper()
	e.until(t, "Pod "+name+" is gone", func(ctx context.Context) error {
		err := e.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &corev1.Pod{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it still exists: %w", err)
	})
}

// sparkGone waits until no Pod of a Spark cluster is left.
func (e *env) sparkGone(t *testing.T) {
	t.Helper()
	e.until(t, "the Spark cluster is gone", func(ctx context.Context) error {
		var pods corev1.PodList
		err := e.Admin.List(ctx, &pods, client.InNamespace(namespace), client.HasLabels{spark.LabelCluster})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d Pods still exist", len(pods.Items))
		}
		return err
	})
}

// sparkSecret waits for what the Spark cluster of a user's notebook and its drivers know each other by.
func (e *env) sparkSecret(t *testing.T, user string) string {
	t.Helper()
	const key = "spark.authenticate.secret "
	var found string
	e.until(t, "the Spark cluster has a secret", func(ctx context.Context) error {
		secret := &corev1.Secret{}
		if err := e.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "odh-nb-" + user + "-spark"}, secret); err != nil {
			return err
		}
		for line := range strings.Lines(string(secret.Data["spark-defaults.conf"])) {
			if value, ok := strings.CutPrefix(line, key); ok {
				found = value
				return nil
			}
		}
		return errors.New("its configuration has none")
	})
	return found
}

func (e *env) secret(t *testing.T, name string) map[string]string {
	t.Helper()
	secret := &corev1.Secret{}
	if err := e.Admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
		t.Fatal(err)
	}
	data := map[string]string{}
	for key, value := range secret.Data {
		data[key] = string(value)
	}
	return data
}

func (e *env) browser(t *testing.T) *browser {
	t.Helper()
	port, err := node.Forward(t.Context(), e.Cluster, client.ObjectKey{Namespace: namespace, Name: "odh-jupyterhub"}, 80)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("http://127.0.0.1:%d", port)
	// kube-proxy learns a moment after the status that a Pod is ready, and until then refuses connections to its Service.
	e.until(t, "JupyterHub's Service answers", func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/hub/login", http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			err = fmt.Errorf("the login page answers %s", response.Status)
		}
		return errors.Join(err, response.Body.Close())
	})
	return newBrowser(address, e)
}

// readAll reads the body of an answer.
func readAll(t *testing.T, response *http.Response) string {
	t.Helper()
	defer response.Body.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// available is nil when a Deployment is, at its present generation.
func (e *env) available(ctx context.Context, name string) error {
	deployment := &appsv1.Deployment{}
	if err := e.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, deployment); err != nil {
		return err
	}
	status := deployment.Status
	if status.ObservedGeneration != deployment.Generation || status.AvailableReplicas != 1 || status.UpdatedReplicas != 1 || status.Replicas != 1 {
		return fmt.Errorf("Deployment %s is not rolled out: %+v", name, status)
	}
	return nil
}

// wantNotPlayed: kinds of a group are the business of their real operator alone.
func (e *env) wantNotPlayed(t *testing.T, group string) {
	t.Helper()
	stages := &unstructured.UnstructuredList{}
	stages.SetGroupVersionKind(schema.GroupVersionKind{Group: "kwok.x-k8s.io", Version: "v1alpha1", Kind: "StageList"})
	if err := e.Admin.List(t.Context(), stages); err != nil {
		t.Fatal(err)
	}
	if len(stages.Items) == 0 {
		t.Error("nothing is played, not even Seldon's operator")
	}
	for _, stage := range stages.Items {
		if played, _, _ := unstructured.NestedString(stage.Object, "spec", "resourceRef", "apiGroup"); strings.HasPrefix(played, group+"/") {
			t.Errorf("Stage %s plays a kind of %s, whose operator runs", stage.GetName(), played)
		}
	}
}
