package jupyterhub

import (
	"path"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components/s3"
)

const (
	// caVolume and caFolder are where a notebook has the authority of the object storage.
	caVolume = "object-storage-ca"
	caFolder = "/etc/opendatahub/object-storage-ca"
)

// notebookOverride gives every notebook the object storage and the environment that other components declare, as options of
// KubeSpawner, which the hub reads when a notebook starts: a change restarts nothing, and no credential passes through the hub.
func notebookOverride(storage *s3.Storage, declared []*core.EnvVarApplyConfiguration) options {
	environment := options{}
	for _, variable := range declared {
		environment[*variable.Name] = valueOf(variable)
	}
	if storage == nil {
		if len(environment) == 0 {
			return nil
		}
		return options{"environment": environment}
	}
	for _, variable := range storage.Env(s3.DataLake, path.Join(caFolder, storage.CA.Key)) {
		environment[*variable.Name] = valueOf(variable)
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

// valueOf is as KubeSpawner wants it: the value, or where it comes from. A notebook starts without credentials
// that are not there yet.
func valueOf(variable *core.EnvVarApplyConfiguration) any {
	if variable.ValueFrom == nil {
		return *variable.Value
	}
	variable.ValueFrom.SecretKeyRef.WithOptional(true)
	return options{"valueFrom": variable.ValueFrom}
}
