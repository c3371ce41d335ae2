package jupyterhub

import (
	"path"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
)

const (
	// caVolume and caFolder are where a notebook has the authority of the object storage.
	caVolume = "object-storage-ca"
	caFolder = "/etc/opendatahub/object-storage-ca"
)

// storageOverride gives every notebook the object storage, as options of KubeSpawner, which the hub reads when a notebook
// starts: a change restarts nothing, and no credential passes through the hub.
func storageOverride(storage *components.ObjectStorage) options {
	if storage == nil {
		return nil
	}
	environment := options{}
	for _, variable := range storage.Env(components.BucketDataLake, path.Join(caFolder, storage.CA.Key)) {
		environment[*variable.Name] = storageVariable(variable)
	}
	override := options{"environment": environment}
	if volume := storage.Volume(caVolume); volume != nil {
		// A notebook starts before Ceph has made its certificate, and while a Secret is away.
		if volume.Secret != nil {
			volume.Secret.WithOptional(true)
		} else {
			volume.ConfigMap.WithOptional(true)
		}
		override["volumes"] = options{caVolume: volume}
		override["volume_mounts"] = options{caVolume: options{"name": caVolume, "mountPath": caFolder, "readOnly": true}}
	}
	return override
}

// storageVariable is as KubeSpawner wants it: the value, or where it comes from. A notebook starts without credentials
// that are not there yet.
func storageVariable(variable *core.EnvVarApplyConfiguration) any {
	if variable.ValueFrom == nil {
		return *variable.Value
	}
	variable.ValueFrom.SecretKeyRef.WithOptional(true)
	return options{"valueFrom": variable.ValueFrom}
}
