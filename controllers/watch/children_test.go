package watch_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/clustertest"
	"opendatahub.io/operator/controllers/watch"
)

var lab = types.NamespacedName{Namespace: "lab", Name: "odh"}

func child(namespace, name, platform, component string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{
			components.LabelPlatform: platform, components.LabelComponent: component,
		}},
	}
}

// queueOf starts a component's source and returns what it has queued so far.
func queueOf(t *testing.T, queues *watch.Queues, component string) func() []string {
	t.Helper()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(queue.ShutDown)
	if err := queues.Source(component).Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	return func() []string {
		var all []string
		for queue.Len() > 0 {
			request, _ := queue.Get()
			queue.Done(request)
			all = append(all, request.String())
		}
		slices.Sort(all)
		return all
	}
}

func TestChildrenWakeTheirPlatform(t *testing.T) {
	cluster := clustertest.New(t)
	queues := watch.NewQueues()
	cluster.ChildrenWaking(queues.Wake, kinds.ConfigMap.GVK())
	kafka, hub := queueOf(t, queues, "kafka"), queueOf(t, queues, "jupyterHub")
	expect := func(what string, wantKafka, wantHub []string) {
		t.Helper()
		if diff := cmp.Diff(wantKafka, kafka()); diff != "" {
			t.Errorf("%s: kafka was woken for (-want +got):\n%s", what, diff)
		}
		if diff := cmp.Diff(wantHub, hub()); diff != "" {
			t.Errorf("%s: jupyterHub was woken for (-want +got):\n%s", what, diff)
		}
	}

	object := child("lab", "a", "odh", "kafka")
	cluster.Do(object, func(c client.Client) error { return c.Create(t.Context(), object) })
	expect("created", []string{"lab/odh"}, nil)

	cluster.Do(object, func(c client.Client) error {
		object.Labels[components.LabelPlatform] = "second"
		return c.Update(t.Context(), object)
	})
	expect("relabelled from one platform to another", []string{"lab/odh", "lab/second"}, nil)

	cluster.Do(object, func(c client.Client) error {
		object.Labels[components.LabelComponent] = "jupyterHub"
		return c.Update(t.Context(), object)
	})
	expect("relabelled from one component to another", []string{"lab/second"}, []string{"lab/second"})

	cluster.Do(object, func(c client.Client) error {
		object.Labels = nil
		return c.Update(t.Context(), object)
	})
	expect("all labels taken off", nil, []string{"lab/second"})

	elsewhere := child("elsewhere", "b", "odh", "kafka")
	elsewhere.Labels[components.LabelPlatformNamespace] = "lab"
	cluster.Do(elsewhere, func(c client.Client) error { return c.Create(t.Context(), elsewhere) })
	expect("an object outside the platform's namespace", []string{"lab/odh"}, nil)
	cluster.Do(elsewhere, func(c client.Client) error { return c.Delete(t.Context(), elsewhere) })
	expect("deleted", []string{"lab/odh"}, nil)
}

func TestChildrenList(t *testing.T) {
	outside := child("elsewhere", "a", "odh", "kafka")
	outside.Labels[components.LabelPlatformNamespace] = "lab"
	cluster := clustertest.New(t,
		child("lab", "b", "odh", "kafka"), child("lab", "a", "odh", "kafka"), outside,
		child("lab", "second", "second", "kafka"), child("lab", "hub", "odh", "jupyterHub"), child("other-lab", "a", "odh", "kafka"),
	)
	children := cluster.Children(kinds.ConfigMap.GVK())
	objects, err := children.List(t.Context(), kinds.ConfigMap.GVK(), lab, "kafka")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, object := range objects {
		names = append(names, object.GetNamespace()+"/"+object.GetName())
	}
	if diff := cmp.Diff([]string{"elsewhere/a", "lab/a", "lab/b"}, names); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestAKindThatIsNotWatched(t *testing.T) {
	cluster := clustertest.New(t, child("lab", "a", "odh", "kafka"))
	children := cluster.Children(kinds.ConfigMap.GVK())
	key := types.NamespacedName{Namespace: "lab", Name: "a"}
	if object, err := children.Get(t.Context(), kinds.ConfigMap.GVK(), key); err != nil || object == nil {
		t.Fatalf("got %v, %v", object, err)
	}
	children.Drop(kinds.ConfigMap.GVK())
	if _, err := children.Get(t.Context(), kinds.ConfigMap.GVK(), key); err == nil {
		t.Error("an object of a kind that is not watched counts as missing, and would be created")
	}
	objects, err := children.List(t.Context(), kinds.ConfigMap.GVK(), lab, "kafka")
	if err != nil || len(objects) > 0 {
		t.Errorf("listed %d objects, %v", len(objects), err)
	}
	children.Drop(kinds.ConfigMap.GVK())
	if err := children.Ensure(t.Context(), kinds.ConfigMap.GVK(), lab, "kafka"); err != nil {
		t.Fatal(err)
	}
	if object, err := children.Get(t.Context(), kinds.ConfigMap.GVK(), key); err != nil || object == nil {
		t.Errorf("watched again: %v, %v", object, err)
	}
}

func TestDeletionsAreAskedForOnce(t *testing.T) {
	cluster := clustertest.New(t)
	children := cluster.Children(kinds.ConfigMap.GVK())
	object := child("lab", "a", "odh", "kafka")
	object.UID = "first"
	cluster.Do(object, func(c client.Client) error { return c.Create(t.Context(), object) })
	seen := cluster.Object(kinds.ConfigMap.GVK(), "lab", "a")

	if children.Deleting(seen) {
		t.Error("nobody asked before")
	}
	if !children.Deleting(seen) {
		t.Error("asked for twice")
	}
	children.NotDeleting(seen)
	if children.Deleting(seen) {
		t.Error("the request failed, and may be sent again")
	}
	cluster.Do(object, func(c client.Client) error { return c.Delete(t.Context(), object) })
	if !children.Deleting(seen) {
		t.Error("it is gone, and its deletion would be asked for once more")
	}
}

func TestPendingUntilTheWatchDelivers(t *testing.T) {
	cluster := clustertest.New(t)
	children := cluster.Children(kinds.ConfigMap.GVK())
	object := child("lab", "a", "odh", "kafka")
	cluster.Do(object, func(c client.Client) error { return c.Create(t.Context(), object) })
	answer := cluster.Object(kinds.ConfigMap.GVK(), "lab", "a")
	answer.SetResourceVersion("1000") // our write, which the watch has not delivered yet
	children.Wrote(answer)

	if !children.Pending(lab, "kafka") {
		t.Error("nothing is pending")
	}
	if children.Pending(lab, "jupyterHub") || children.Pending(types.NamespacedName{Namespace: "other", Name: "odh"}, "kafka") {
		t.Error("it is pending for somebody else")
	}
	seen, err := children.Get(t.Context(), kinds.ConfigMap.GVK(), client.ObjectKeyFromObject(object))
	if err != nil || seen.GetResourceVersion() != "1000" {
		t.Errorf("the cache is read as it was before our write: %v, %v", seen, err)
	}
}

func TestPods(t *testing.T) {
	pod := func(name, component string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: name, Labels: map[string]string{
			components.LabelPlatform: "odh", components.LabelComponent: component,
		}}}
	}
	cluster := clustertest.New(t, pod("b", "kafka"), pod("a", "kafka"), pod("hub", "jupyterHub"))
	pods, err := cluster.Children(kinds.Pod.GVK()).Pods(t.Context(), lab, "kafka")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" {
		t.Errorf("Pods (-want +got):\n%s", diff)
	}
}
