package ceph

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	storageapply "k8s.io/client-go/applyconfigurations/storage/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// certificate is what the gateways identify themselves with. They go on running when the component is removed and its data
// is kept, so it counts as data.
func certificate(in inputs) components.Object {
	object := components.Data(coreapply.Secret(tlsSecretName(in.platform), in.platform.Namespace).
		WithLabels(appLabels("gateway")).
		WithType(corev1.SecretTypeTLS))
	object.Certificate = in.certificate
	return object
}

func cluster(in inputs) components.Object {
	object := kinds.New(Cluster.GVK(), in.platform.Namespace, clusterName(in.platform), in.cluster)
	object.WithLabels(appLabels("cluster"))
	if len(in.annotations) > 0 {
		object.WithAnnotations(in.annotations)
	}
	return components.Data(object)
}

func blockPool(in inputs) components.Object {
	object := kinds.New(BlockPool.GVK(), in.platform.Namespace, blockPoolName(in.platform), in.pool)
	object.WithLabels(appLabels("block"))
	return components.Data(object)
}

// managerPool is the pool that the managers make for themselves. It has as many copies as the others, kept apart in the
// same way.
func managerPool(in inputs) components.Object {
	spec := in.pool
	spec.Name = ".mgr"
	object := kinds.New(BlockPool.GVK(), in.platform.Namespace, managerPoolName(in.platform), spec)
	object.WithLabels(appLabels("manager"))
	return components.Data(object)
}

func fileSystem(in inputs) components.Object {
	data := in.pool
	data.Name = dataPoolName
	object := kinds.New(Filesystem.GVK(), in.platform.Namespace, fileSystemName(in.platform), fileSystemSpec{
		MetadataPool:               in.pool,
		DataPools:                  []pool{data},
		PreserveFilesystemOnDelete: in.keep,
		MetadataServer:             in.metadataServer,
	})
	object.WithLabels(appLabels("files"))
	return components.Data(object)
}

func objectStore(in inputs) components.Object {
	object := kinds.New(ObjectStore.GVK(), in.platform.Namespace, storeName(in.platform), in.store)
	object.WithLabels(appLabels("objects"))
	return components.Data(object)
}

// administrator may do everything in the object store. Rook puts the keys into the Secret adminSecret. What it owns would
// be cut off without it, so it counts as data.
func administrator(in inputs) components.Object {
	object := kinds.New(ObjectStoreUser.GVK(), in.platform.Namespace, adminName(in.platform), userSpec{
		Store:       storeName(in.platform),
		DisplayName: "Administrator of " + in.platform.Name,
		Capabilities: map[string]string{
			"bucket": "*", "metadata": "*", "usage": "*", "user": "*", "zone": "*",
		},
	})
	object.WithLabels(appLabels("admin"))
	return components.Data(object)
}

func storageClass(in inputs, class classInputs) components.Object {
	object := storageapply.StorageClass(className(in.platform, class.purpose)).
		WithLabels(appLabels(class.purpose)).
		WithProvisioner(class.provisioner).
		WithParameters(class.parameters).
		WithReclaimPolicy(class.reclaim)
	if class.grows {
		object.WithAllowVolumeExpansion(true)
	}
	return components.Object{ApplyConfiguration: object, Data: class.data}
}

func bucketClaim(in inputs, bucket bucketInputs) components.Object {
	object := kinds.New(BucketClaim.GVK(), in.platform.Namespace, bucket.name, bucketClaimSpec{
		BucketName:       bucket.bucket,
		StorageClassName: bucketClassName(in.platform),
		AdditionalConfig: bucket.limits,
	})
	object.WithLabels(appLabels("bucket"))
	return components.Data(object)
}

func requirements(requestCPU, requestMemory, limitCPU, limitMemory resource.Quantity) amounts {
	return coreapply.ResourceRequirements().
		WithRequests(resourceList(requestCPU, requestMemory)).
		WithLimits(resourceList(limitCPU, limitMemory))
}

func resourceList(cpu, memory resource.Quantity) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, amount := range map[corev1.ResourceName]resource.Quantity{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory} {
		if !amount.IsZero() {
			list[name] = amount
		}
	}
	return list
}

func volumeClaim(name, class, mode string, size resource.Quantity) claim {
	template := claim{Spec: claimSpec{
		StorageClassName: class,
		VolumeMode:       mode,
		Resources: coreapply.VolumeResourceRequirements().
			WithRequests(corev1.ResourceList{corev1.ResourceStorage: size}),
	}}
	if name != "" {
		template.Metadata = &claimMetadata{Name: name}
		template.Spec.AccessModes = []string{string(corev1.ReadWriteOnce)}
	}
	return template
}

func appLabels(part string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/component": part}
}
