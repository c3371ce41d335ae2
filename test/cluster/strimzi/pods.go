package strimzi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// volumes makes the PersistentVolumeClaims of a pool. They belong to the pool if deleteClaim is set, and to nobody otherwise
// (PersistentVolumeClaimUtils.createPersistentVolumeClaim).
func (p *Player) volumes(ctx context.Context, kafka, pool *unstructured.Unstructured, ids []int64) error {
	volumes, _, _ := unstructured.NestedSlice(pool.Object, "spec", "storage", "volumes")
	for _, entry := range volumes {
		volume, _ := entry.(map[string]any)
		size, err := resource.ParseQuantity(fmt.Sprint(volume["size"]))
		if volume["type"] != "persistent-claim" || err != nil {
			continue
		}
		var owners []metav1.OwnerReference
		if volume["deleteClaim"] == true {
			owners = []metav1.OwnerReference{ownerOf(pool, false)}
		}
		template, _, _ := unstructured.NestedStringMap(pool.Object, "spec", "template", "persistentVolumeClaim", "metadata", "labels")
		for _, id := range ids {
			claim := &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: pool.GetNamespace(), Name: fmt.Sprintf("data-%v-%s", volume["id"], podName(kafka, pool, id)),
					Labels: merged(labelsOf(kafka, pool), template), OwnerReferences: owners,
				},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
				},
			}
			if class, ok := volume["class"].(string); ok {
				claim.Spec.StorageClassName = &class
			}
			if err := p.ensure(ctx, claim); err != nil {
				return err
			}
		}
	}
	return nil
}

// pods makes the StrimziPodSet of a pool, owned by the pool (KafkaCluster.generatePodSets), and its Pods, owned by that. Pods of
// an earlier form are replaced one by one, each when all others are ready (KafkaRoller).
func (p *Player) pods(ctx context.Context, kafka, pool *unstructured.Unstructured, ids []int64, clusterID string, mayRoll bool) (bool, error) {
	spec := podSpec(pool)
	meta, _, _ := unstructured.NestedMap(pool.Object, "spec", "template", "pod", "metadata")
	configuration, _, _ := unstructured.NestedMap(kafka.Object, "spec", "kafka")
	revision := digest(spec, meta, configuration)
	podLabels, _, _ := unstructured.NestedStringMap(pool.Object, "spec", "template", "pod", "metadata", "labels")
	podAnnotations, _, _ := unstructured.NestedStringMap(pool.Object, "spec", "template", "pod", "metadata", "annotations")

	owner, err := p.podSet(ctx, kafka, pool, ids, revision)
	if err != nil {
		return false, err
	}
	var current, ready int64
	var old *corev1.Pod
	settled := true
	for _, id := range ids {
		pod := &corev1.Pod{}
		key := client.ObjectKey{Namespace: pool.GetNamespace(), Name: podName(kafka, pool, id)}
		err := p.client.Get(ctx, key, pod)
		if apierrors.IsNotFound(err) {
			settled = false
			pod = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
				Namespace: key.Namespace, Name: key.Name, OwnerReferences: []metav1.OwnerReference{owner},
				Labels:      merged(labelsOf(kafka, pool), podLabels),
				Annotations: merged(podAnnotations, map[string]string{annotationRevision: revision, "strimzi.io/cluster-id": clusterID}),
			}, Spec: *spec.DeepCopy()}
			pod.Spec.Volumes = []corev1.Volume{{Name: "data-0", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-0-" + key.Name},
			}}}
			if err := p.client.Create(ctx, pod); err != nil {
				return false, err
			}
			continue
		}
		if err != nil {
			return false, err
		}
		finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		switch {
		case pod.DeletionTimestamp != nil:
			settled = false
		case finished: // StrimziPodSetController.maybeCreateOrPatchPod
			settled = false
			if err := p.client.Delete(ctx, pod); err != nil {
				return false, err
			}
		default:
			if isReady(pod) {
				ready++
			} else {
				settled = false
			}
			if pod.Annotations[annotationRevision] == revision {
				current++
			} else {
				old = pod
			}
		}
	}
	if err := p.podSetStatus(ctx, kafka, pool, int64(len(ids)), current, ready); err != nil {
		return false, err
	}
	if old == nil {
		return settled, nil
	}
	// A Pod that is not ready is replaced at once: it cannot become worse.
	if mayRoll && settled || !isReady(old) {
		return false, p.client.Delete(ctx, old, client.Preconditions{UID: &old.UID})
	}
	return false, nil
}

func podSpec(pool *unstructured.Unstructured) corev1.PodSpec {
	spec := corev1.PodSpec{
		TerminationGracePeriodSeconds: new(int64(1)),
		Containers:                    []corev1.Container{{Name: "kafka", Image: "quay.io/strimzi/kafka:1.2.0-kafka-4.3.1"}},
	}
	template, _, _ := unstructured.NestedMap(pool.Object, "spec", "template", "pod")
	fill(template, &spec)
	container, _, _ := unstructured.NestedMap(pool.Object, "spec", "template", "kafkaContainer")
	fill(container, &spec.Containers[0])
	resources, _, _ := unstructured.NestedMap(pool.Object, "spec", "resources")
	fill(resources, &spec.Containers[0].Resources)
	return spec
}

// fill sets the fields of a template that the object has as well.
func fill(template map[string]any, object any) {
	template = maps.Clone(template)
	delete(template, "metadata")
	content, err := json.Marshal(template)
	if err == nil {
		_ = json.Unmarshal(content, object)
	}
}

func (p *Player) podSet(ctx context.Context, kafka, pool *unstructured.Unstructured, ids []int64, revision string) (metav1.OwnerReference, error) {
	if !p.podSets {
		return ownerOf(pool, true), nil // a cluster of stand-ins
	}
	var pods []any
	for _, id := range ids {
		pods = append(pods, map[string]any{"metadata": map[string]any{
			"name": podName(kafka, pool, id), "annotations": map[string]any{annotationRevision: revision},
		}})
	}
	set := p.emptyPodSet(kafka, pool)
	set.SetLabels(labelsOf(kafka, pool))
	set.SetOwnerReferences([]metav1.OwnerReference{ownerOf(pool, false)})
	set.Object["spec"] = map[string]any{
		"selector": map[string]any{"matchLabels": map[string]any{labelCluster: kafka.GetName(), labelPool: pool.GetName()}},
		"pods":     pods,
	}
	err := p.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(set), client.FieldOwner("strimzi"), client.ForceOwnership)
	return ownerOf(set, true), err
}

func (p *Player) podSetStatus(ctx context.Context, kafka, pool *unstructured.Unstructured, pods, current, ready int64) error {
	if !p.podSets {
		return nil
	}
	set := p.emptyPodSet(kafka, pool)
	set.Object["status"] = map[string]any{"pods": pods, "currentPods": current, "readyPods": ready}
	return client.IgnoreNotFound(p.client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(set), client.FieldOwner("strimzi"), client.ForceOwnership))
}

func (p *Player) emptyPodSet(kafka, pool *unstructured.Unstructured) *unstructured.Unstructured {
	set := &unstructured.Unstructured{}
	set.SetGroupVersionKind(schema.GroupVersionKind{Group: "core.strimzi.io", Version: p.version, Kind: "StrimziPodSet"})
	set.SetNamespace(pool.GetNamespace())
	set.SetName(kafka.GetName() + "-" + pool.GetName())
	return set
}

// ensure creates an object, or gives the one that exists its labels and owners, and a claim its size.
func (p *Player) ensure(ctx context.Context, want client.Object) error {
	live := want.DeepCopyObject().(client.Object)
	err := p.client.Get(ctx, client.ObjectKeyFromObject(want), live)
	if apierrors.IsNotFound(err) {
		return p.client.Create(ctx, want)
	}
	if err != nil || live.GetDeletionTimestamp() != nil {
		return err
	}
	before := live.DeepCopyObject().(client.Object)
	live.SetLabels(merged(live.GetLabels(), want.GetLabels()))
	live.SetOwnerReferences(want.GetOwnerReferences())
	if claim, ok := live.(*corev1.PersistentVolumeClaim); ok {
		size := want.(*corev1.PersistentVolumeClaim).Spec.Resources.Requests[corev1.ResourceStorage]
		if size.Cmp(claim.Spec.Resources.Requests[corev1.ResourceStorage]) > 0 && claim.Status.Phase == corev1.ClaimBound {
			claim.Spec.Resources.Requests[corev1.ResourceStorage] = size
		}
	}
	if reflect.DeepEqual(before, live) {
		return nil
	}
	return p.client.Patch(ctx, live, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}
