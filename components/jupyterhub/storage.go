package jupyterhub

import (
	"fmt"
	"slices"
	"strings"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

// perUser is the value of s3Credentials with which each notebook has keys of its user.
const perUser = "PerUser"

// objectStorageCA is the authority of the object storage, as notebooks have it.
func objectStorageCA(storage *s3.Storage) components.NotebookAuthority {
	return components.NotebookAuthority{Name: "object-storage", CertificateAuthority: storage.CA}
}

// notebookOverride gives every notebook the object storage, what other components declare and what the spec adds, as options of
// KubeSpawner, which the hub reads when a notebook starts: a change restarts nothing, and no credential passes through the hub.
func notebookOverride(in inputs) options {
	environment, volumes, mounts := options{}, options{}, options{}
	for _, variable := range in.notebooks.Environment {
		environment[*variable.Name] = valueOf(variable)
	}
	authorities := in.notebooks.Authorities
	if in.storage != nil {
		authority := objectStorageCA(in.storage)
		authorities = append(slices.Clip(authorities), authority)
		for _, variable := range s3Env(in.storage, authority) {
			environment[*variable.Name] = valueOf(variable)
		}
		if in.spec.S3Credentials == perUser {
			for _, key := range []string{s3.AccessKey, s3.SecretKey} {
				environment[key] = valueOf(native.SecretEnv(key, in.Platform.Name+"-s3-{username}", key))
			}
		}
	}
	for _, variable := range in.spec.Environment {
		if secret := variable.SecretRef; secret.Name != "" {
			environment[variable.Name] = valueOf(native.SecretEnv(variable.Name, secret.Name, secret.Key))
			continue
		}
		environment[variable.Name] = valueOf(native.Env(variable.Name, strings.ReplaceAll(variable.Value, "$", "$$")))
	}
	for _, authority := range authorities {
		name := authority.Name + "-ca"
		volume := authority.Volume(name)
		// A notebook can start before the certificate is made, and while a Secret is missing.
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
	return withPlacement(override, in.spec.Placement, "")
}

// s3Env is what libraries read: AWS SDKs, boto3 and s3fs the names of s3.Env; Spark's s3a the endpoint of all services, which here is
// that of S3.
func s3Env(storage *s3.Storage, authority components.NotebookAuthority) []*core.EnvVarApplyConfiguration {
	return append(storage.Env(s3.DataLake, authority.File()), native.Env("AWS_ENDPOINT_URL", storage.Endpoint))
}

// valueOf is a variable as KubeSpawner wants it: its value, with braces escaped because they would be templates, or where it
// comes from. A notebook starts without credentials that are not there yet.
func valueOf(variable *core.EnvVarApplyConfiguration) any {
	if variable.ValueFrom == nil {
		return strings.NewReplacer("{", "{{", "}", "}}").Replace(*variable.Value)
	}
	if secret := variable.ValueFrom.SecretKeyRef; secret != nil {
		secret.WithOptional(true)
	}
	return options{"valueFrom": variable.ValueFrom}
}

// withPlacement adds where notebooks run. KubeSpawner merges what a size adds by the names of the entries.
func withPlacement(override options, placement v1alpha1.Placement, name string) options {
	if len(placement.NodeSelector) > 0 {
		override["node_selector"] = placement.NodeSelector
	}
	tolerations, _ := override["tolerations"].(map[string]any)
	for i, toleration := range native.Tolerations(placement.Tolerations) {
		if tolerations == nil {
			tolerations = map[string]any{}
			override["tolerations"] = tolerations
		}
		tolerations[fmt.Sprintf("%s%02d", name, i)] = toleration
	}
	return override
}

// podName is KubeSpawner's template.
const podName = "{pod_name}"

// withExtra adds what a component gives to notebooks of a size that asks for it. The names of the Pod and of its user are KubeSpawner's
// templates.
func withExtra(override options, extra *components.NotebookExtra) options {
	if extra == nil {
		return override
	}
	pod := extra.Pod(podName, "{username}")
	environment, volumes, mounts := options{}, options{}, options{}
	for _, variable := range pod.Environment {
		environment[*variable.Name] = valueOf(variable)
	}
	for _, volume := range pod.Volumes {
		volumes[*volume.Name] = volume
	}
	for _, mount := range pod.Mounts {
		mounts[*mount.Name] = mount
	}
	override["extra_labels"], override["extra_annotations"] = pod.Labels, pod.Annotations
	override["environment"], override["volumes"], override["volume_mounts"] = environment, volumes, mounts
	return override
}

// sharedVolumes are those that notebooks of some groups, or all, have.
func sharedVolumes(in inputs) []profileVolume {
	var all []profileVolume
	for _, volume := range in.spec.SharedVolumes {
		name := "shared-" + volume.Name
		readOnly := volume.Access != "ReadWrite"
		all = append(all, profileVolume{Groups: volume.Groups, Override: options{
			"volumes": options{name: options{
				"name": name, "persistentVolumeClaim": options{"claimName": volume.ClaimName, "readOnly": readOnly},
			}},
			"volume_mounts": options{name: options{
				"name": name, "mountPath": homeFolder + "/shared/" + volume.Name, "readOnly": readOnly,
			}},
		}})
	}
	return all
}
