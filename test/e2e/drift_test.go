package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/test/harness"
)

var _ = Describe("Drift", func() {
	It("puts back what somebody else deletes or changes, with one write", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "drift")
		hub := platform(ctx, ns, "odh", both)
		ready(ctx, hub)
		quiet(ctx, manager)
		before := children(ctx, ns)

		for _, name := range slices.Sorted(maps.Keys(before)) {
			object := before[name]
			key := client.ObjectKeyFromObject(object)
			read := func(ctx context.Context) *unstructured.Unstructured {
				live := &unstructured.Unstructured{}
				live.SetGroupVersionKind(object.GroupVersionKind())
				err := env.Admin.Get(ctx, key, live)
				if apierrors.IsNotFound(err) {
					return nil
				}
				Expect(err).NotTo(HaveOccurred())
				return live
			}
			writes := func() []harness.Request {
				return manager.Select(func(r harness.Request) bool {
					// The resource, whose status follows, may have the object's name.
					return r.Writes() && r.Name == object.GetName() && r.Resource != "events.events.k8s.io" &&
						r.Resource != "opendatahubs.opendatahub.io/status"
				})
			}

			By("changing a field of " + name)
			manager.Reset()
			update(ctx, read, intrude)
			Eventually(ctx, writes).Should(HaveLen(1), func() string { return fmt.Sprint(name, manager.Select(harness.Request.Writes)) })
			Eventually(ctx, func() any { return fieldsOf(read(ctx)) }).Should(Equal(fieldsOf(object)), name)

			By("taking the operator's labels off " + name)
			manager.Reset()
			update(ctx, read, func(changed *unstructured.Unstructured) {
				labels := changed.GetLabels()
				delete(labels, components.LabelComponent)
				changed.SetLabels(labels)
			})
			Eventually(ctx, func() map[string]string { return read(ctx).GetLabels() }).Should(Equal(object.GetLabels()), name)

			if object.GetLabels()[components.LabelData] == "true" {
				continue // what it holds would be gone: nobody can put that back
			}
			By("deleting " + name)
			manager.Reset()
			uid := read(ctx).GetUID()
			Expect(env.Admin.Delete(ctx, object.DeepCopy())).To(Succeed(), name)
			Eventually(ctx, func() types.UID {
				if live := read(ctx); live != nil && live.GetDeletionTimestamp() == nil {
					return live.GetUID()
				}
				return uid
			}).ShouldNot(Equal(uid), name)
			// Kafka comes back paused, and goes on when it has its cluster id again.
			Eventually(ctx, func() any { return fieldsOf(read(ctx)) }).Should(Equal(fieldsOf(object)), name)
		}
		ready(ctx, hub)
		quiet(ctx, manager)
	})

	It("leaves alone what it does not set", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, "drift")
		hub := platform(ctx, ns, "odh", "components: {jupyterHub: {}}")
		ready(ctx, hub)
		quiet(ctx, manager)
		manager.Reset()
		for name, object := range children(ctx, ns) {
			Expect(env.Admin.Patch(ctx, object, client.RawPatch(types.MergePatchType,
				[]byte(`{"metadata":{"annotations":{"example.com/note":"mine"},"labels":{"example.com/team":"a"}}}`)))).To(Succeed(), name)
		}
		quiet(ctx, manager)
		Expect(manager.Select(harness.Request.Writes)).To(BeEmpty())
		for name, object := range children(ctx, ns) {
			Expect(object.GetAnnotations()).To(HaveKeyWithValue("example.com/note", "mine"), name)
		}
	})

	It("does not take over what belongs to somebody else", func(ctx context.Context) {
		ns := namespace(ctx, "foreign")
		foreign := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"namespace": ns, "name": "odh-jupyterhub-config"},
			"data":     map[string]any{"precious": "yes"},
		}}
		Expect(env.Admin.Create(ctx, foreign)).To(Succeed())
		start(ctx)
		hub := platform(ctx, ns, "odh", "components: {jupyterHub: {}}")
		Eventually(ctx, status(hub, "JupyterHubReady")).Should(Equal(
			"False Conflict: ConfigMap " + ns + "/odh-jupyterhub-config exists already and is not the platform's: " +
				"delete or rename it, or give the OpenDataHub another name"))
		live := foreign.DeepCopy()
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(foreign), live)).To(Succeed())
		Expect(live.GetResourceVersion()).To(Equal(foreign.GetResourceVersion()))

		Expect(env.Admin.Delete(ctx, live)).To(Succeed())
		ready(ctx, hub)
	})
})

// update changes an object as `kubectl edit` does, again and again while its controllers write to it as well.
func update(ctx context.Context, read func(context.Context) *unstructured.Unstructured, change func(*unstructured.Unstructured)) {
	GinkgoHelper()
	Eventually(ctx, func() error {
		object := read(ctx)
		change(object)
		return env.Admin.Update(ctx, object, client.FieldOwner("intruder"))
	}).Should(Succeed())
}

// intrude changes a field that the operator owns: for some kinds the one that matters most, for the others an annotation.
func intrude(object *unstructured.Unstructured) {
	annotations := object.GetAnnotations()
	annotations[apply.HashAnnotation] = "intruder"
	switch object.GetKind() {
	case "Deployment":
		containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
		containers[0].(map[string]any)["image"] = "example.com/intruder:1"
		_ = unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers")
	case "Service":
		_ = unstructured.SetNestedField(object.Object, map[string]any{"app": "intruder"}, "spec", "selector")
	case "ConfigMap":
		data, _, _ := unstructured.NestedMap(object.Object, "data")
		for key := range data {
			data[key] = "intruder"
		}
		_ = unstructured.SetNestedMap(object.Object, data, "data")
	case "NetworkPolicy":
		_ = unstructured.SetNestedField(object.Object, []any{map[string]any{}}, "spec", "ingress")
	case "KafkaNodePool":
		_ = unstructured.SetNestedField(object.Object, int64(7), "spec", "replicas")
	case "Kafka":
		_ = unstructured.SetNestedField(object.Object, "9", "spec", "kafka", "config", "default.replication.factor")
	default:
		object.SetAnnotations(annotations)
	}
}

// fieldsOf is the object without what the API server and status writers keep in it.
func fieldsOf(object *unstructured.Unstructured) map[string]any {
	if object == nil {
		return nil
	}
	fields := object.DeepCopy().Object
	for _, path := range [][]string{
		{"metadata", "uid"}, {"metadata", "resourceVersion"}, {"metadata", "generation"}, {"metadata", "creationTimestamp"},
		{"metadata", "managedFields"}, {"metadata", "finalizers"}, {"metadata", "annotations", "deployment.kubernetes.io/revision"},
		{"spec", "clusterIP"}, {"spec", "clusterIPs"}, {"status"},
	} {
		unstructured.RemoveNestedField(fields, path...)
	}
	if object.GetKind() == "Secret" {
		unstructured.RemoveNestedField(fields, "data") // recreated
	}
	return fields
}
