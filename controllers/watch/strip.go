package watch

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ManagerPrefix begins the name of every field manager of this operator. The names are API: GitOps tools name them
// to ignore what the operator owns, and a renamed manager would orphan its fields.
const ManagerPrefix = "opendatahub"

// StripChild is the cache's transform for objects of platforms. It drops what the operator never looks at: the field
// sets of other managers, and the values of Secrets, of which it keeps digests.
func StripChild(object any) (any, error) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil
	}
	u = u.DeepCopy() // the answer to a write may still be in use
	u.SetManagedFields(ours(u.GetManagedFields()))
	if u.GetKind() == "Secret" && u.GetAPIVersion() == "v1" {
		if data, ok := u.Object["data"].(map[string]any); ok {
			for key, value := range data {
				if s, ok := value.(string); ok && !strings.HasPrefix(s, digestPrefix) {
					data[key] = digest(s)
				}
			}
		}
	}
	return u, nil
}

// StripPod is the cache's transform for Pods: what is left says whether the Pod works, and if not, why.
func StripPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	pod.ManagedFields = nil
	containers := func(all []corev1.Container) []corev1.Container {
		names := make([]corev1.Container, 0, len(all))
		for _, container := range all {
			names = append(names, corev1.Container{
				Name: container.Name, Image: container.Image, Resources: container.Resources,
			})
		}
		return names
	}
	pod.Spec = corev1.PodSpec{
		NodeName:       pod.Spec.NodeName,
		Containers:     containers(pod.Spec.Containers),
		InitContainers: containers(pod.Spec.InitContainers),
	}
	return pod, nil
}

// StripMetadata is the cache's transform for objects of which only the names matter, such as CustomResourceDefinitions.
func StripMetadata(object any) (any, error) {
	if meta, ok := object.(*metav1.PartialObjectMetadata); ok {
		meta.ObjectMeta = metav1.ObjectMeta{
			Namespace: meta.Namespace, Name: meta.Name, UID: meta.UID, ResourceVersion: meta.ResourceVersion,
			DeletionTimestamp: meta.DeletionTimestamp,
		}
	}
	return object, nil
}

func ours(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range entries {
		if strings.HasPrefix(entry.Manager, ManagerPrefix) {
			kept = append(kept, entry)
		}
	}
	return kept
}

const digestPrefix = "digest:"

// digest stands for a value that must not stay in memory. It is not a secret hash: it never leaves the process whole.
func digest(value string) string {
	sum := sha256.Sum256([]byte(value))
	return digestPrefix + hex.EncodeToString(sum[:])
}
