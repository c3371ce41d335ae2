package upgrade

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	opcluster "opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

const (
	packageName   = "opendatahub-operator"
	olmNamespace  = "olm"
	managerOfOLM  = "opendatahub-operator" // the Deployment
	operatorImage = "quay.io/opendatahub/operator"
	eventually    = 3 * time.Minute
)

// platforms that are there when the operator is replaced.
var platforms = map[string]string{
	"lab":     `{profile: Development, components: {jupyterHub: {}, kafka: {}, mlflow: {}, portal: {}}}`,
	"streams": `{profile: Development, components: {kafka: {topics: [{name: events}]}, monitoring: {prometheus: {replicas: 2}}}}`,
}

// TestOLM has the real Operator Lifecycle Manager install the bundle of the previous version from a catalogue that the real opm serves, and
// replace it by that of this version, over the edge that the catalogue has between the two. Every platform stays Ready throughout.
//
// Nodes are played: when OLM replaces the Deployment, the test ends the one manager and starts the other, with the rights that OLM gave their
// ServiceAccount. There is no registry, so the catalogue holds the bundles themselves.
func TestOLM(t *testing.T) {
	previous, root := previous(t)
	ctx := t.Context()
	said := logged(t)
	programs, err := output(ctx, filepath.Join(root, "hack", "olm"), "./build.sh")
	if err != nil {
		t.Fatal(err)
	}
	programs = strings.TrimSpace(programs)
	before, after, served := bundles(t, root, previous.sources)

	c, err := cluster.Start(ctx, cluster.Options{Name: "olm-upgrade", Dir: t.TempDir(), Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	env := environment(t, c, root)
	if err := c.InstallCRDs(ctx, filepath.Join(programs, "crds")); err != nil {
		t.Fatal(err)
	}
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	process(t, nil, filepath.Join(programs, "opm"), "serve", served, "--port", strconv.Itoa(port), "--cache-dir", t.TempDir(), "--cache-enforce-integrity=false",
		"--pprof-addr=", "--termination-log", filepath.Join(t.TempDir(), "end"))
	for _, name := range []string{olmNamespace, harness.OperatorNamespace} {
		if err := env.Admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"olm", "catalog"} {
		// What they miss they look at again after 5 and 15 minutes, by default.
		process(t, []string{"KUBECONFIG=" + c.Kubeconfig()}, filepath.Join(programs, name), "--namespace", olmNamespace, "--interval=10s")
	}
	t.Cleanup(func() { explain(t, env, said) })

	// What docs/olm.md says, and config/olm of the version that is installed, without the installer.
	subscribe(t, env, before, port)
	if err := env.ApplyFolder(ctx, filepath.Join(previous.sources, "config", "admission")); err != nil {
		t.Fatal(err)
	}
	approve(t, env, before)
	stop := manager(t, c, previous.binary, imageOf(before))
	broken := readyPlatforms(t, env)
	// The role of platforms had this right before it was granted: budgets that exist need no new grant.
	if err := env.Admin.Delete(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "streams", Name: "odh-monitoring-budgets"}}); err != nil {
		t.Fatal(err)
	}

	// This version, of which OLM makes an InstallPlan at once.
	approve(t, env, after)
	g := NewWithT(t)
	g.Eventually(ctx, func() (string, error) { return deployedImage(ctx, env) }).WithTimeout(eventually).Should(Equal(imageOf(after)))
	stop()
	t.Setenv("OPERATOR_IMAGE", imageOf(after))
	if err := env.ApplyFolder(ctx, filepath.Join(root, "config", "admission")); err != nil {
		t.Fatal(err)
	}
	running, err := env.StartManager(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	g.Eventually(ctx, phase(env, after)).WithTimeout(eventually).Should(Equal("Succeeded"), after)
	g.Eventually(ctx, phase(env, before)).WithTimeout(eventually).Should(Equal("gone"), before)
	g.Eventually(running.Quiet).WithTimeout(eventually).Should(BeNumerically(">", 3*time.Second), func() string {
		requests := running.Requests()
		return fmt.Sprintf("the manager's last requests: %v", requests[max(0, len(requests)-10):])
	})
	if broken := broken(); len(broken) > 0 {
		t.Fatalf("platforms were not Ready throughout:\n%s", strings.Join(broken, "\n"))
	}

	// It does look after the platforms: what is asked of it now happens.
	lab := &v1alpha1.OpenDataHub{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "odh"}}
	if err := env.Admin.Patch(ctx, lab, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"components":{"portal":null}}}`))); err != nil {
		t.Fatal(err)
	}
	portal := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}
	g.Eventually(ctx, func() error {
		return env.Admin.Get(ctx, client.ObjectKey{Namespace: "lab", Name: "odh-portal-server"}, portal)
	}).WithTimeout(eventually).Should(Satisfy(apierrors.IsNotFound), "the portal's Deployment")
	g.Eventually(ctx, env.Condition(lab, v1alpha1.ConditionReady)).WithTimeout(eventually).Should(HavePrefix("True"))
}

// environment is the cluster with what the platforms need of third parties.
func environment(t *testing.T, c *cluster.Cluster, root string) *harness.Env {
	t.Helper()
	scheme, err := opcluster.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	config := c.Config()
	config.QPS = -1
	admin, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	var rendered []kinds.Kind
	for _, component := range catalog.All() {
		rendered = append(rendered, component.Kinds()...)
	}
	env := &harness.Env{Cluster: c, Root: root, Admin: admin, All: catalog.All(), Kinds: rendered}
	if err := env.InstallThirdParty(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.StartOperator(t.Context(), "strimzi"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.StopOperator(context.WithoutCancel(t.Context()), "strimzi") })
	return env
}

// bundles makes the bundle of this version and adds it to the catalogue. Where the catalogue has nothing newer than the previous version, as
// before a release, it is the version after that. The returned catalogue holds both bundles, and before and after are the names of their
// ClusterServiceVersions.
func bundles(t *testing.T, root, previous string) (before, after, folder string) {
	t.Helper()
	repository := t.TempDir()
	for _, name := range []string{"config", "catalog"} {
		if err := os.CopyFS(filepath.Join(repository, name), os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(repository, "catalog", packageName, "catalog.yaml")
	for _, document := range documents(t, file) {
		if document["schema"] == "olm.bundle" {
			after = document["name"].(string) // the newest is the last
		}
	}
	manifests := map[string]string{}
	for _, document := range documents(t, filepath.Join(previous, "bundle", "manifests", packageName+".clusterserviceversion.yaml")) {
		before = document["metadata"].(map[string]any)["name"].(string)
		manifests[before] = filepath.Join(previous, "bundle", "manifests")
	}
	next := strings.TrimPrefix(after, packageName+".v")
	if after == before {
		number := strings.Split(next, ".")
		patch, err := strconv.Atoi(number[len(number)-1])
		if err != nil {
			t.Fatalf("the previous version is %q: %v", before, err)
		}
		next = strings.Join(append(number[:len(number)-1], strconv.Itoa(patch+1)), ".")
		after = packageName + ".v" + next
	}
	manifests[after] = filepath.Join(repository, "bundle", "manifests")
	if _, err := output(t.Context(), filepath.Join(root, "hack", "bundle"), "go", "run", ".", "-version", next, "-image", imageOf(after),
		"-bundle-image", operatorImage+"-bundle:v"+next, "-must-gather-image", "quay.io/opendatahub/must-gather:v"+next, repository); err != nil {
		t.Fatal(err)
	}

	folder = t.TempDir()
	var text bytes.Buffer
	for _, document := range documents(t, file) {
		if name, _ := document["name"].(string); document["schema"] == "olm.bundle" && manifests[name] != "" {
			inline(t, document, manifests[name])
		}
		content, err := yaml.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "---\n%s", content)
	}
	if err := os.WriteFile(filepath.Join(folder, "catalog.yaml"), text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return before, after, folder
}

// inline puts the objects of a bundle into the catalogue, in the place of its image.
func inline(t *testing.T, bundle map[string]any, manifests string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(manifests, "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d manifests in %s: %v", len(files), manifests, err)
	}
	properties := slices.DeleteFunc(bundle["properties"].([]any), func(p any) bool { return p.(map[string]any)["type"] == "olm.csv.metadata" })
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err == nil {
			content, err = yaml.YAMLToJSON(content)
		}
		if err != nil {
			t.Fatal(err)
		}
		properties = append(properties, map[string]any{
			"type": "olm.bundle.object", "value": map[string]any{"data": base64.StdEncoding.EncodeToString(content)},
		})
	}
	bundle["image"], bundle["properties"] = "", properties
}

func documents(t *testing.T, file string) []map[string]any {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for text := range strings.SplitSeq("\n"+string(content), "\n---\n") {
		var document map[string]any
		if err := yaml.Unmarshal([]byte(text), &document); err != nil {
			t.Fatal(err)
		}
		if len(document) > 0 {
			all = append(all, document)
		}
	}
	return all
}

func imageOf(csv string) string {
	return operatorImage + ":" + strings.TrimPrefix(csv, packageName+".")
}

// process runs until the end of the test. What it logged is printed when the test fails.
func process(t *testing.T, environment []string, path string, arguments ...string) (stop func()) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, arguments...)
	command.Env = append(os.Environ(), environment...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		_ = log.Close()
	})
	t.Cleanup(func() {
		stop()
		if content, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(path), content[max(0, len(content)-2000):])
		}
	})
	return stop
}

// manager runs a manager of another version, with the token of the ServiceAccount that OLM made.
func manager(t *testing.T, c *cluster.Cluster, binary, image string) (stop func()) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := c.WriteServiceAccountKubeconfig(t.Context(), harness.OperatorNamespace, harness.ServiceAccount, kubeconfig); err != nil {
		t.Fatal(err)
	}
	return process(t, []string{"OPERATOR_IMAGE=" + image}, binary, "manager", "--kubeconfig", kubeconfig, "--namespace", harness.OperatorNamespace,
		"--log-format=text", "--metrics-bind-address=0", "--health-probe-bind-address=0")
}

func olmObject(kind, version, namespace, name string, spec map[string]any) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetAPIVersion("operators.coreos.com/" + version)
	object.SetKind(kind)
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// subscribe asks OLM for the package, beginning with a version, and for approval of every step.
func subscribe(t *testing.T, env *harness.Env, starting string, port int) {
	t.Helper()
	for _, object := range []*unstructured.Unstructured{
		olmObject("CatalogSource", "v1alpha1", olmNamespace, "opendatahub", map[string]any{
			"sourceType": "grpc", "address": fmt.Sprintf("127.0.0.1:%d", port), "displayName": "Open Data Hub", "publisher": "Open Data Hub",
		}),
		olmObject("OperatorGroup", "v1", harness.OperatorNamespace, packageName, map[string]any{}),
		olmObject("Subscription", "v1alpha1", harness.OperatorNamespace, packageName, map[string]any{
			"name": packageName, "channel": "fast", "source": "opendatahub", "sourceNamespace": olmNamespace,
			"startingCSV": starting, "installPlanApproval": "Manual",
		}),
	} {
		if err := env.Admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// approve approves the InstallPlan of a version, and waits until the version is installed: until its manager runs, and its plan is complete.
// OLM carries out a plan again as long as it is not, even when the next one is complete, and so puts definitions back to the older version.
func approve(t *testing.T, env *harness.Env, csv string) {
	t.Helper()
	ctx, g := t.Context(), NewWithT(t)
	g.Eventually(ctx, func() (bool, error) {
		plan, err := planOf(ctx, env, csv)
		if err != nil || phaseOf(plan) != "RequiresApproval" { // before, OLM writes it itself
			return false, err
		}
		return true, env.Admin.Patch(ctx, plan, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"approved":true}}`)))
	}).WithTimeout(eventually).Should(BeTrue(), "an InstallPlan of %s", csv)
	g.Eventually(ctx, phase(env, csv)).WithTimeout(eventually).Should(Equal("Succeeded"))
	g.Eventually(ctx, func() (string, error) {
		plan, err := planOf(ctx, env, csv)
		return phaseOf(plan), err
	}).WithTimeout(eventually).Should(Equal("Complete"), "the InstallPlan of %s", csv)
}

// planOf is the InstallPlan of a version. It has no name when there is none.
func planOf(ctx context.Context, env *harness.Env, csv string) (*unstructured.Unstructured, error) {
	plans := &unstructured.UnstructuredList{}
	plans.SetAPIVersion("operators.coreos.com/v1alpha1")
	plans.SetKind("InstallPlanList")
	if err := env.Admin.List(ctx, plans, client.InNamespace(harness.OperatorNamespace)); err != nil {
		return &unstructured.Unstructured{}, err
	}
	for i := range plans.Items {
		if names, _, _ := unstructured.NestedStringSlice(plans.Items[i].Object, "spec", "clusterServiceVersionNames"); slices.Equal(names, []string{csv}) {
			return &plans.Items[i], nil
		}
	}
	return &unstructured.Unstructured{}, nil
}

func phaseOf(object *unstructured.Unstructured) string {
	phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
	return phase
}

// logged keeps what this version's manager logs. The returned function has its errors.
func logged(t *testing.T) (failures func() string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "manager"))
	if err != nil {
		t.Fatal(err)
	}
	harness.LogTo(log)
	return func() string {
		content, err := os.ReadFile(log.Name())
		if err != nil {
			return err.Error()
		}
		var lines []string
		for line := range strings.Lines(string(content)) {
			if strings.Contains(line, "level=ERROR") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines[max(0, len(lines)-20):], "")
	}
}

// explain prints what OLM says of what it does, and what this version's manager could not do, when the test has failed.
func explain(t *testing.T, env *harness.Env, failures func() string) {
	t.Helper()
	if !t.Failed() {
		return
	}
	t.Logf("errors of the manager:\n%s", failures())
	for _, kind := range []string{"Subscription", "InstallPlan", "ClusterServiceVersion"} {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion("operators.coreos.com/v1alpha1")
		list.SetKind(kind + "List")
		if err := env.Admin.List(context.WithoutCancel(t.Context()), list, client.InNamespace(harness.OperatorNamespace)); err != nil {
			t.Logf("%s: %v", kind, err)
		}
		for _, object := range list.Items {
			status, _, _ := unstructured.NestedMap(object.Object, "status")
			for _, long := range []string{"plan", "requirementStatus", "catalogHealth", "bundleLookups"} {
				delete(status, long)
			}
			t.Logf("%s %s: %v", kind, object.GetName(), status)
		}
	}
}

// phase of a ClusterServiceVersion.
func phase(env *harness.Env, csv string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		object := olmObject("ClusterServiceVersion", "v1alpha1", harness.OperatorNamespace, csv, nil)
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return "gone", client.IgnoreNotFound(err)
		}
		return phaseOf(object), nil
	}
}

// deployedImage is that of the operator's Deployment.
func deployedImage(ctx context.Context, env *harness.Env) (string, error) {
	deployment := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}
	if err := env.Admin.Get(ctx, client.ObjectKey{Namespace: harness.OperatorNamespace, Name: managerOfOLM}, deployment); err != nil {
		return "", err
	}
	containers, _, _ := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	return fmt.Sprint(containers[0].(map[string]any)["image"]), nil
}

// readyPlatforms makes the platforms, and waits until they are Ready. The returned function says which of them have not been so ever since, with
// the Events that say why.
func readyPlatforms(t *testing.T, env *harness.Env) (broken func() []string) {
	t.Helper()
	ctx, g := t.Context(), NewWithT(t)
	var hubs []*v1alpha1.OpenDataHub
	for namespace, spec := range platforms {
		if err := env.EnsureNamespace(ctx, namespace); err != nil {
			t.Fatal(err)
		}
		hub, err := env.CreatePlatform(ctx, namespace, "odh", spec)
		if err != nil {
			t.Fatal(err)
		}
		hubs = append(hubs, hub)
	}
	for _, hub := range hubs {
		g.Eventually(ctx, env.Condition(hub, v1alpha1.ConditionReady)).WithTimeout(eventually).Should(HavePrefix("True"), hub.Namespace)
	}
	// A watch would end when OLM upgrades the definition. When the condition last changed is in it, to the second.
	since := map[string]metav1.Time{}
	ready := func(hub *v1alpha1.OpenDataHub) metav1.Condition {
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), hub); err != nil {
			t.Fatal(err)
		}
		if found := meta.FindStatusCondition(hub.Status.Conditions, v1alpha1.ConditionReady); found != nil {
			return *found
		}
		return metav1.Condition{}
	}
	for _, hub := range hubs {
		since[hub.Namespace] = ready(hub).LastTransitionTime
	}
	return func() (broken []string) {
		for _, hub := range hubs {
			now, before := ready(hub), since[hub.Namespace]
			if now.Status == metav1.ConditionTrue && now.LastTransitionTime.Equal(&before) {
				continue
			}
			broken = append(broken, fmt.Sprintf("%s was Ready at %s, and at %s became %s %s: %s", hub.Namespace, before.Format(time.TimeOnly),
				now.LastTransitionTime.Format(time.TimeOnly), now.Status, now.Reason, now.Message))
			var events eventsv1.EventList
			if err := env.Admin.List(ctx, &events, client.InNamespace(hub.Namespace)); err != nil {
				t.Fatal(err)
			}
			for _, event := range events.Items {
				if event.Regarding.Kind == "OpenDataHub" && !event.EventTime.Time.Before(before.Time) {
					broken = append(broken, fmt.Sprintf("  %s %s %s", event.EventTime.Format(time.TimeOnly), event.Reason, event.Note))
				}
			}
		}
		return broken
	}
}
