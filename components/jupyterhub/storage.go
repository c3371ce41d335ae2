package jupyterhub

import (
	"slices"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/s3"
)

// objectStorageCA is the authority of the object storage, as notebooks have it.
func objectStorageCA(storage *s3.Storage) components.NotebookAuthority {
	return components.NotebookAuthority{Name: "object-storage", CertificateAuthority: storage.CA}
}

// notebookOverride gives every notebook the object storage and what other components declare, as options of KubeSpawner, which
// the hub reads when a notebook starts: a change restarts nothing, and no credential passes through the hub.
func notebookOverride(storage *s3.Storage, declared components.Notebooks) options {
	environment, volumes, mounts := options{}, options{}, options{}
	for _, variable := range declared.Environment {
		environment[*variable.Name] = valueOf(variable)
	}
	authorities := declared.Authorities
	if storage != nil {
		authority := objectStorageCA(storage)
		authorities = append(slices.Clip(authorities), authority)
		for _, variable := range storage.Env(s3.DataLake, authority.File()) {
			environment[*variable.Name] = valueOf(variable)
		}
	}
	for _, authority := range authorities {
		name := authority.Name + "-ca"
		volume := authority.Volume(name)
		// A notebook starts before the certificate is made, and while a Secret is away.
		switch {
		case volume == nil:
			continue
		case volume.Secret != nil:
			volume.Secret.WithOptional(true)
		default:
			volume.ConfigMap.WithOptional(true)
		}
		volumes[name] = volume
		mounts[name] = options{"name": name, "mountPath": authority.Folder(), "readOnly": true}
	}
	override := options{}
	for option, value := range map[string]options{"environment": environment, "volumes": volumes, "volume_mounts": mounts} {
		if len(value) > 0 {
			override[option] = value
		}
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
