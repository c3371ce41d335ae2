package real_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/seldon"
	"opendatahub.io/operator/hack/node"
)

// prepareSeldon has the cluster serve Seldon's kinds, and adds Seldon to the platform, which needs another Pod Security level.
func (e *env) prepareSeldon(t *testing.T) {
	t.Helper()
	if err := node.DeploySeldon(t.Context(), e.Cluster); err != nil {
		t.Fatal(err)
	}
	e.edit(t, `{"spec":{"components":{"seldon":{}}}}`)
	e.wantCondition(t, "SeldonReady", "False "+v1alpha1.ReasonPodSecurityTooStrict)
	if err := e.Enforce(t.Context(), namespace, components.PodSecurityBaseline); err != nil {
		t.Fatal(err)
	}
	e.wantCondition(t, "SeldonReady", "True")
}

// serve adds Seldon to the platform, trains and stores a model as the sample does, and has it served. The user's notebook asks it, and it says
// what it said when it was trained. The browser is that of a user whose notebook runs.
func (e *env) serve(t *testing.T, b func() *browser, user string) {
	t.Helper()
	e.prepareSeldon(t)
	want := e.train(t)
	e.edit(t, `{"spec":{"components":{"seldon":{"deployments":[{"name":"iris","server":"SKLearn"}]}}}}`)
	e.wantServed(t, "odh-seldon-iris")
	e.wantCondition(t, "SeldonReady", "True")
	var got [][]float64
	e.predict(t, b(), user, "odh-seldon-iris", [][]float64{{5.1, 3.5, 1.4, 0.2}}, &got)
	same := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	if !slices.EqualFunc(got, want, func(a, b []float64) bool { return slices.EqualFunc(a, b, same) }) {
		t.Errorf("the model says %v, and said %v when it was trained", got, want)
	}
}

// edit changes the platform's specification.
func (e *env) edit(t *testing.T, patch string) {
	t.Helper()
	if err := e.Admin.Patch(t.Context(), e.platform(), client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

// wantCondition waits until a condition of the platform's current specification begins like this.
func (e *env) wantCondition(t *testing.T, condition, want string) {
	t.Helper()
	e.until(t, "condition "+condition+" is "+want, func(ctx context.Context) error {
		got, err := e.Condition(e.platform(), condition)(ctx)
		if err == nil && !strings.HasPrefix(got, want) {
			err = fmt.Errorf("it is %s", got)
		}
		return err
	})
}

// train runs the Job of config/samples, which is for Ceph, and returns what its log says of a flower.
func (e *env) train(t *testing.T) [][]float64 {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(e.Root, "config", "samples", "workloads", "seldon-model.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	job := &batchv1.Job{}
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(string(content), "odh-models", "models")), job); err != nil {
		t.Fatal(err)
	}
	job.Namespace = namespace
	withoutCA(&job.Spec.Template.Spec)
	if err := e.Admin.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	e.until(t, "the model is trained and stored", func(ctx context.Context) error {
		if err := e.Admin.Get(ctx, client.ObjectKeyFromObject(job), job); err != nil || job.Status.Succeeded == 0 {
			return fmt.Errorf("the Job is %+v: %w", job.Status, err)
		}
		return nil
	})
	var pods corev1.PodList
	if err := e.Admin.List(t.Context(), &pods, client.InNamespace(namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name}); err != nil {
		t.Fatal(err)
	}
	index := slices.IndexFunc(pods.Items, func(pod corev1.Pod) bool { return pod.Status.Phase == corev1.PodSucceeded })
	if index < 0 {
		t.Fatalf("none of %d Pods of the Job has succeeded", len(pods.Items))
	}
	printed, err := e.kube.CoreV1().Pods(namespace).GetLogs(pods.Items[index].Name, &corev1.PodLogOptions{Container: "train"}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want [][]float64
	if err := json.Unmarshal(printed, &want); err != nil {
		t.Fatalf("training said %q: %v", printed, err)
	}
	background := client.PropagationPolicy(metav1.DeletePropagationBackground)
	if err := e.Admin.Delete(t.Context(), job, background); err != nil {
		t.Fatal(err)
	}
	return want
}

// withoutCA has a Pod of a sample, which is for Ceph, use an object storage without TLS.
func withoutCA(pod *corev1.PodSpec) {
	const volume = "object-storage-ca"
	pod.Volumes = slices.DeleteFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == volume })
	for _, containers := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range containers {
			container := &containers[i]
			container.VolumeMounts = slices.DeleteFunc(container.VolumeMounts, func(mount corev1.VolumeMount) bool { return mount.Name == volume })
			container.Env = slices.DeleteFunc(container.Env, func(variable corev1.EnvVar) bool { return variable.Name == "RCLONE_CA_CERT" })
		}
	}
}

// seldonDeployment is one of that name.
func seldonDeployment(name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(seldon.SeldonDeployment.GVK())
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// wantServed waits until a SeldonDeployment says that it is available, and finds that its Pods are.
func (e *env) wantServed(t *testing.T, name string) {
	t.Helper()
	object := seldonDeployment(name)
	e.until(t, "SeldonDeployment "+name+" is available", func(ctx context.Context) error {
		if err := e.Admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		if state, _, _ := unstructured.NestedString(object.Object, "status", "state"); state != "Available" {
			return fmt.Errorf("its state is %q", state)
		}
		return e.available(ctx, name+"-default-0-model")
	})
}

// predict has the user's notebook ask a SeldonDeployment, and reads what it answers.
func (e *env) predict(t *testing.T, b *browser, user, deployment string, input, into any) {
	t.Helper()
	question, err := json.Marshal(map[string]any{"data": map[string]any{"ndarray": input}})
	if err != nil {
		t.Fatal(err)
	}
	code := fmt.Sprintf(`
import time, urllib.error, urllib.request
request = urllib.request.Request("http://%s-default.%s.svc:8000/api/v1.0/predictions", headers={"Content-Type": "application/json"}, data=b'%s')
for attempt in range(30):
    try:
        answer = urllib.request.urlopen(request, timeout=30).read().decode()
        break
    except urllib.error.URLError as problem: # the node learns of ready Pods a moment after the platform
        answer = str(problem)
        time.sleep(1)
print(answer)
`, deployment, namespace, question)
	printed := b.execute(t, user, code)
	answer := struct {
		Data struct {
			NDArray any `json:"ndarray"`
		} `json:"data"`
	}{}
	answer.Data.NDArray = into
	if err := json.Unmarshal([]byte(printed), &answer); err != nil {
		t.Fatalf("the model said %q: %v", printed, err)
	}
}

// wantNothingServed finds that what the platform served is gone with it, and has the namespace be as strict as before.
func (e *env) wantNothingServed(t *testing.T) {
	t.Helper()
	object := seldonDeployment("odh-seldon-iris")
	if err := e.Admin.Get(t.Context(), client.ObjectKeyFromObject(object), object); !apierrors.IsNotFound(err) {
		t.Errorf("the platform is gone, and its SeldonDeployment is not: %v", err)
	}
	if err := e.Enforce(t.Context(), namespace, components.PodSecurityRestricted); err != nil {
		t.Fatal(err)
	}
}
