package watch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
)

// ManagerPrefix begins the name of every field manager of this operator. The names are API: GitOps tools name them
// to ignore what the operator owns, and a renamed manager would orphan its fields.
const ManagerPrefix = "opendatahub"

// StripChild drops of an object of a platform what the operator never looks at: the field sets of other managers, and the values of
// Secrets, of which it keeps digests. The field sets of ours are kept as text, which [FieldSet] reads.
func StripChild(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	stripped := &unstructured.Unstructured{Object: maps.Clone(object.Object)} // the answer to a write may still be in use
	if metadata, ok := object.Object["metadata"].(map[string]any); ok {
		metadata = maps.Clone(metadata)
		stripped.Object["metadata"] = metadata
		entries, err := ours(metadata["managedFields"])
		if err != nil {
			return nil, fmt.Errorf("stripping %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		delete(metadata, "managedFields")
		if len(entries) > 0 {
			metadata["managedFields"] = entries
		}
	}
	if data, ok := object.Object["data"].(map[string]any); ok && object.GetKind() == "Secret" && object.GetAPIVersion() == "v1" {
		digests := map[string]any{}
		for key, value := range data {
			s, ok := value.(string)
			if ok && !isDigest(s) {
				value = digest(s)
			}
			digests[key] = value
		}
		stripped.Object["data"] = digests
	}
	return stripped, nil
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

// otherAnnotations replaces, in the cache only, the annotations of an OpenDataHub, so that a change of them is still noticed.
const otherAnnotations = "opendatahub.io/annotations-digest"

// StripOpenDataHub is the cache's transform for OpenDataHubs. Annotations can be large, and are kept as a digest. Of the field sets
// only those of the status by our managers are kept: whoever may edit an OpenDataHub, under whatever name, adds nothing to them.
func StripOpenDataHub(object any) (any, error) {
	odh, ok := object.(*v1alpha1.OpenDataHub)
	if !ok {
		return object, nil
	}
	odh.ManagedFields = slices.DeleteFunc(odh.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Subresource != "status" || !strings.HasPrefix(entry.Manager, ManagerPrefix)
	})
	others := ""
	for _, key := range slices.Sorted(maps.Keys(odh.Annotations)) {
		if key == otherAnnotations {
			return odh, nil // stripped before
		}
		others += key + "=" + odh.Annotations[key] + "\n"
	}
	odh.Annotations = nil
	if others != "" {
		odh.Annotations = map[string]string{otherAnnotations: digest(others)}
	}
	return odh, nil
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

// ours are the entries of our managers, with their field sets as text.
func ours(managedFields any) ([]any, error) {
	entries, _ := managedFields.([]any)
	var kept []any
	for _, entry := range entries {
		entry, ok := entry.(map[string]any)
		if manager, isText := entry["manager"].(string); !ok || !isText || !strings.HasPrefix(manager, ManagerPrefix) {
			continue
		}
		entry = maps.Clone(entry)
		text, err := FieldSet(entry)
		if err != nil {
			return nil, err
		}
		entry["fieldsV1"] = text
		kept = append(kept, entry)
	}
	return kept, nil
}

// FieldSet is the field set of an entry of metadata.managedFields as JSON, of a stripped object or of one that is whole.
func FieldSet(entry map[string]any) (string, error) {
	if text, ok := entry["fieldsV1"].(string); ok {
		return text, nil
	}
	text, err := json.Marshal(entry["fieldsV1"])
	if err != nil {
		return "", fmt.Errorf("encoding a field set: %w", err)
	}
	return string(text), nil
}

const digestPrefix = "digest:"

// digest stands for a value that must not stay in memory. It is not a secret hash: it never leaves the process whole.
func digest(value string) string {
	sum := sha256.Sum256([]byte(value))
	return digestPrefix + hex.EncodeToString(sum[:])
}

// isDigest is whether a value is hidden already: what only begins like a digest is not.
func isDigest(value string) bool {
	sum, found := strings.CutPrefix(value, digestPrefix)
	decoded, err := hex.DecodeString(sum)
	return found && err == nil && len(decoded) == sha256.Size
}
