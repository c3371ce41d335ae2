package native

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// Storage is the size and class of the volume odh-<component>-<name>: what spec says at field, or else the profile's
// size. A volume that exists stays in its class, and as large as it is when the profile wants less: volumes never move
// or shrink.
func (a App) Storage(facts components.Facts, field, name string, spec v1alpha1.Storage, size resource.Quantity) (v1alpha1.Storage, error) {
	storage := v1alpha1.Storage{Size: OrDefault(spec.Size, size), StorageClassName: spec.StorageClassName}
	claim := facts.Live.Find(kinds.PersistentVolumeClaim.GroupKind, a.Object(name))
	if claim == nil {
		return storage, nil
	}
	if class, _, _ := unstructured.NestedString(claim.Object, "spec", "storageClassName"); spec.StorageClassName != "" && class != "" {
		storage.StorageClassName = class // if the spec names none, the cluster's default is not ours to set
	}
	if live, ok := requested(claim); ok && storage.Size.Cmp(live) < 0 {
		if !spec.Size.IsZero() {
			return storage, components.Invalid(field+".size",
				"the volume has %s already and volumes cannot shrink; use %s or more", live.String(), live.String())
		}
		storage.Size = live
	}
	return storage, nil
}

func requested(claim *unstructured.Unstructured) (resource.Quantity, bool) {
	text, found, err := unstructured.NestedString(claim.Object, "spec", "resources", "requests", "storage")
	if !found || err != nil {
		return resource.Quantity{}, false
	}
	size, err := resource.ParseQuantity(text)
	return size, err == nil
}

// Claim is the volume odh-<component>-<name> of a part. It holds data.
func (a App) Claim(part, name string, storage v1alpha1.Storage) components.Object {
	spec := core.PersistentVolumeClaimSpec().
		WithAccessModes(corev1.ReadWriteOnce).
		WithResources(core.VolumeResourceRequirements().WithRequests(corev1.ResourceList{corev1.ResourceStorage: storage.Size}))
	if storage.StorageClassName != "" {
		spec.WithStorageClassName(storage.StorageClassName)
	}
	return components.Data(core.PersistentVolumeClaim(a.Object(name), a.Platform.Namespace).WithLabels(a.Labels(part)).WithSpec(spec))
}
