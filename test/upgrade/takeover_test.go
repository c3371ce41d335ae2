package upgrade

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	opcluster "opendatahub.io/operator/cluster"
	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

const (
	namespace = "opendatahub"
	patience  = 3 * time.Minute
	// spec has every component that needs no GPU.
	spec = `{profile: Development, components: {ceph: {}, jupyterHub: {}, kafka: {topics: [{name: events}]}, spark: {sharedClusters: [{name: team, workers: 1}]}, mlflow: {}, argoWorkflows: {}, seldon: {}, monitoring: {}, portal: {}}}`
	// image is the operator's, which its portals run from. Both versions have the same here: with another one portals restart, of course.
	image = "quay.io/opendatahub/operator:test"
)

// TestTakeOver starts the previous version's operator with its own manifests, lets it deploy a platform, and goes on with this version: no Pod
// restarts but those of objects in changes.yaml, no volume is made anew, and no field has two of our managers.
func TestTakeOver(t *testing.T) {
	previous, root := previous(t)
	ctx := t.Context()
	t.Setenv("OPERATOR_IMAGE", image)
	harness.LogTo(io.Discard)
	c, err := cluster.Start(ctx, cluster.Options{Name: "upgrade", Dir: t.TempDir(), Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	var rendered []kinds.Kind
	for _, component := range catalog.All() {
		rendered = append(rendered, component.Kinds()...)
	}
	if err := (&harness.Env{Cluster: c, Root: root, Kinds: rendered}).InstallThirdParty(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.StartOperator(ctx, "strimzi"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.StopOperator(context.WithoutCancel(ctx), "strimzi"); err != nil {
			t.Error(err)
		}
	})

	before := deployed(t, c, rendered, previous)

	t.Chdir(root)
	env, err := harness.Attach(ctx, c, rendered)
	if err != nil {
		t.Fatal(err)
	}
	env.All = catalog.All()
	hub := &v1alpha1.OpenDataHub{}
	if err := env.Admin.Get(ctx, types.NamespacedName{Namespace: namespace, Name: "odh"}, hub); err != nil {
		t.Fatal(err)
	}
	if err := env.Grant(ctx, hub); err != nil {
		t.Fatal(err)
	}
	manager, err := env.StartManager(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := manager.Stop(); err != nil {
			t.Error(err)
		}
	})
	g := NewWithT(t)
	quiet := func() bool { return manager.Quiet() > 3*time.Second }
	g.Eventually(ctx, quiet).WithTimeout(patience).Should(BeTrue())
	g.Eventually(ctx, env.Condition(hub, v1alpha1.ConditionReady)).WithTimeout(patience).Should(HavePrefix("True"))
	compare(t, root, before, atRest(t, env.Admin, rendered))

	// It does look after the platform: what is asked of it now happens.
	if err := env.Admin.Patch(ctx, hub, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"components":{"portal":null}}}`))); err != nil {
		t.Fatal(err)
	}
	g.Eventually(ctx, func() bool { return look(t, env.Admin, rendered).objects["Deployment/odh-portal-server"] == nil }).WithTimeout(patience).Should(BeTrue())
	olderDefinition(t, env, hub)
}

// olderDefinition puts the definition back to one that lacks a field of the status and one of the spec, as OLM does that carries out an older
// InstallPlan once more. The platform stays Ready, and says what to do, as the doctor does of a resource that has the field. Once the definition is
// that of this version again, so is the status.
func olderDefinition(t *testing.T, env *harness.Env, hub *v1alpha1.OpenDataHub) {
	t.Helper()
	ctx, g := t.Context(), NewWithT(t)
	user := func() (string, error) {
		if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), hub); err != nil {
			return "", err
		}
		for _, component := range hub.Status.Components {
			if component.Name == "kafka" {
				return component.CredentialsUser, nil
			}
		}
		return "", errors.New("the status has no kafka")
	}
	g.Expect(user()).NotTo(BeEmpty())

	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(opcluster.CustomResourceDefinition)
	if err := env.Admin.Get(ctx, types.NamespacedName{Name: "opendatahubs.opendatahub.io"}, definition); err != nil {
		t.Fatal(err)
	}
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	properties := []string{"schema", "openAPIV3Schema", "properties"}
	unstructured.RemoveNestedField(versions[0].(map[string]any), slices.Concat(properties, []string{"spec", "properties", "proxy"})...)
	of := slices.Concat(properties, []string{"status", "properties", "components", "items", "properties"})
	fields, _, _ := unstructured.NestedMap(versions[0].(map[string]any), of...)
	delete(fields, "credentialsUser")
	for _, err := range []error{
		unstructured.SetNestedMap(versions[0].(map[string]any), fields, of...),
		unstructured.SetNestedSlice(definition.Object, versions, "spec", "versions"),
		env.Admin.Update(ctx, definition),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	g.Eventually(ctx, user).WithTimeout(patience).Should(BeEmpty(), "the API server serves the older definition")

	if err := env.Admin.Patch(ctx, hub, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"components":{"kafka":{"topics":null}}}}`))); err != nil {
		t.Fatal(err)
	}
	g.Eventually(ctx, env.Condition(hub, v1alpha1.ConditionReady)).WithTimeout(patience).Should(And(HavePrefix("True"),
		HaveSuffix("lacks status.components.credentialsUser; apply config/crd of the operator's version")))
	doctor := func() string {
		var said bytes.Buffer
		command := cmd.New("test", env.All)
		command.SetArgs([]string{"doctor", "--filename", "-", "--namespace", namespace, "--kubeconfig", env.Kubeconfig()})
		command.SetIn(strings.NewReader(`{apiVersion: opendatahub.io/v1alpha1, kind: OpenDataHub, metadata: {name: odh}, spec: {proxy: {httpProxy: "http://proxy.example.com:3128"}, components: {}}}`))
		command.SetOut(&said)
		_ = command.ExecuteContext(ctx) // it finds other things as well
		return said.String()
	}
	g.Expect(doctor()).To(ContainSubstring("  problem  resource: the definition of OpenDataHub in this cluster is older than this program, and lacks spec.proxy: upgrade the operator"))

	if err := env.InstallCRDs(ctx, filepath.Join(env.Root, "config", "crd")); err != nil {
		t.Fatal(err)
	}
	g.Eventually(ctx, user).WithTimeout(patience).ShouldNot(BeEmpty())
	g.Eventually(ctx, env.Condition(hub, v1alpha1.ConditionReady)).WithTimeout(patience).Should(MatchRegexp(`^True Available: \d+ of \d+ components ready$`))
	g.Expect(doctor()).To(ContainSubstring("  ok       resource: the operator accepts the spec, and so does the API server"))
}

// deployed installs the previous version, has it deploy the platform, and stops it.
func deployed(t *testing.T, c *cluster.Cluster, rendered []kinds.Kind, previous version) state {
	t.Helper()
	ctx := t.Context()
	t.Chdir(previous.sources)
	env, err := harness.Attach(ctx, c, rendered)
	if err != nil {
		t.Fatal(err)
	}
	env.All = catalog.All()
	kubeconfig, log := filepath.Join(t.TempDir(), "kubeconfig"), filepath.Join(t.TempDir(), "log")
	if err := env.WriteServiceAccountKubeconfig(ctx, harness.OperatorNamespace, harness.ServiceAccount, kubeconfig); err != nil {
		t.Fatal(err)
	}
	output, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close() //nolint:errcheck // a log
	process := exec.Command(previous.binary, "manager", "--kubeconfig", kubeconfig, "--namespace", harness.OperatorNamespace, "--log-format=text",
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--leader-elect=false")
	process.Stdout, process.Stderr = output, output
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		_ = process.Wait()
		if t.Failed() {
			content, _ := os.ReadFile(log)
			t.Logf("the previous version:\n%s", content)
		}
	}()
	if err := env.EnsureNamespace(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	hub, err := env.CreatePlatform(ctx, namespace, "odh", spec)
	if err != nil {
		t.Fatal(err)
	}
	NewWithT(t).Eventually(ctx, env.Condition(hub, v1alpha1.ConditionReady)).WithTimeout(patience).Should(HavePrefix("True"))
	return atRest(t, env.Admin, rendered)
}

// atRest is what there is once nothing has changed for some seconds: a platform may be ready before the last Secret has come that Pods restart for.
func atRest(t *testing.T, c client.Client, rendered []kinds.Kind) state {
	t.Helper()
	last, since := look(t, c, rendered), time.Now()
	NewWithT(t).Eventually(t.Context(), func() time.Duration {
		if now := look(t, c, rendered); !cmp.Equal(now, last, cmp.AllowUnexported(state{}, found{})) {
			last, since = now, time.Now()
		}
		return time.Since(since)
	}).WithTimeout(patience).WithPolling(time.Second).Should(BeNumerically(">", 5*time.Second))
	return last
}

// state is what there is of the platform.
type state struct {
	// objects that the operator applied, and all Secrets and ConfigMaps.
	objects objects
	// pods and volumes by name.
	pods, volumes map[string]found
}

type found struct {
	uid types.UID
	// controllers are those that made it, and theirs, by kind and name.
	controllers []string
}

func look(t *testing.T, c client.Client, rendered []kinds.Kind) state {
	t.Helper()
	now := state{objects{}, map[string]found{}, map[string]found{}}
	for _, kind := range rendered {
		labels := client.MatchingLabels{components.LabelPlatform: "odh"}
		all := kind.Kind == "Secret" || kind.Kind == "ConfigMap"
		if all {
			labels = nil
		}
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GVK().GroupVersion().WithKind(kind.Kind + "List"))
		err := c.List(t.Context(), list, client.InNamespace(namespace), labels)
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range list.Items {
			if (all || len(managers(&object)) > 0) && object.GetDeletionTimestamp() == nil {
				now.objects[key(&object)] = &object
			}
		}
	}
	pods := &corev1.PodList{}
	if err := c.List(t.Context(), pods, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		now.pods[pod.Name] = found{pod.UID, controllers(t, c, &pod)}
	}
	volumes := &corev1.PersistentVolumeClaimList{}
	if err := c.List(t.Context(), volumes, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, volume := range volumes.Items {
		now.volumes[volume.Name] = found{uid: volume.UID}
	}
	return now
}

func controllers(t *testing.T, c client.Client, object client.Object) []string {
	t.Helper()
	var names []string
	for owner := metav1.GetControllerOf(object); owner != nil; owner = metav1.GetControllerOf(object) {
		next := &unstructured.Unstructured{}
		next.SetAPIVersion(owner.APIVersion)
		next.SetKind(owner.Kind)
		err := c.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: owner.Name}, next)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		names = append(names, owner.Kind+"/"+owner.Name)
		object = next
	}
	return names
}

// managers are the operator's field managers of an object.
func managers(object *unstructured.Unstructured) []string {
	var names []string
	for _, entry := range object.GetManagedFields() {
		if strings.HasPrefix(entry.Manager, "opendatahub") {
			names = append(names, entry.Manager)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func compare(t *testing.T, root string, before, after state) {
	t.Helper()
	t.Logf("%d objects, %d Pods and %d volumes before, %d, %d and %d after",
		len(before.objects), len(before.pods), len(before.volumes), len(after.objects), len(after.pods), len(after.volumes))
	if len(before.objects) < 100 || len(before.pods) < 10 || len(before.volumes) < 3 {
		t.Error("the platform is smaller than it should be, so less is compared")
	}
	changed := differences(t, before.objects, after.objects)
	checkReasons(t, root, changed)
	for name, was := range before.objects {
		is := after.objects[name]
		if is == nil {
			continue // differences has it
		}
		if was.GetUID() != is.GetUID() {
			t.Errorf("%s was deleted and made anew", name)
		}
		if diff := cmp.Diff(managers(was), managers(is)); diff != "" {
			t.Errorf("%s has other field managers of ours, so that fields are orphaned (-before +after):\n%s", name, diff)
		}
		if diff := cmp.Diff(was.GetFinalizers(), is.GetFinalizers()); diff != "" {
			t.Errorf("%s has other finalizers (-before +after):\n%s", name, diff)
		}
	}
	for name, was := range before.volumes {
		if after.volumes[name].uid != was.uid {
			t.Errorf("the volume %s is gone, and with it its data", name)
		}
	}
	for name, was := range before.pods {
		if after.pods[name].uid == was.uid {
			continue
		}
		excused := slices.ContainsFunc(was.controllers, func(controller string) bool {
			return changed[controller] != "" || changed[digest.ReplaceAllString(controller, "-*")] != ""
		})
		if !excused {
			t.Errorf("the Pod %s of %v restarted, though nothing of theirs changed", name, was.controllers)
		}
	}
}
