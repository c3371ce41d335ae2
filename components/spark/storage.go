package spark

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/s3"
)

// envFile is read by the scripts that start processes of Spark, from the folder with the configuration.
const envFile = "spark-env.sh"

//go:embed spark-env.sh
var envScript string

// needsEnvFile reports whether Java must be told who signed the certificate of the object storage.
func needsEnvFile(storage *s3.Storage) bool {
	return storage != nil && storage.CA != (components.CertificateAuthority{})
}

// s3aConf are the settings of s3a as Spark takes them.
func s3aConf(storage *s3.Storage) []string {
	if storage == nil {
		return nil
	}
	var lines []string
	for _, setting := range s3aSettings(storage) {
		lines = append(lines, "spark.hadoop."+setting[0]+" "+setting[1])
	}
	return lines
}

// driverStorage is what the Pod finds the object storage by, for code of its user that runs in executors: variables, and the authority
// that AWS_CA_BUNDLE names. Secrets are referred to, as in the Pod.
func driverStorage(pod *corev1.Pod) (env []*core.EnvVarApplyConfiguration, volumes []*core.VolumeApplyConfiguration, mounts []*core.VolumeMountApplyConfiguration) {
	container := pod.Spec.Containers[0]
	bundle := ""
	for _, variable := range container.Env {
		if strings.HasPrefix(variable.Name, "AWS_") || strings.HasPrefix(variable.Name, "S3_") {
			env = append(env, converted[core.EnvVarApplyConfiguration](variable))
		}
		if variable.Name == "AWS_CA_BUNDLE" {
			bundle = variable.Value
		}
	}
	for _, mount := range container.VolumeMounts {
		if !strings.HasPrefix(bundle, strings.TrimSuffix(mount.MountPath, "/")+"/") {
			continue
		}
		for _, volume := range pod.Spec.Volumes {
			if volume.Name == mount.Name && (volume.Secret != nil || volume.ConfigMap != nil) {
				volume.Name, mount.Name = "object-storage-ca", "object-storage-ca"
				volumes = append(volumes, converted[core.VolumeApplyConfiguration](volume))
				mounts = append(mounts, converted[core.VolumeMountApplyConfiguration](mount))
				return env, volumes, mounts
			}
		}
	}
	return env, nil, nil
}

// converted is an apply configuration of what a Pod has: both are the same as JSON.
func converted[Configuration any](from any) *Configuration {
	content, err := json.Marshal(from)
	if err == nil {
		into := new(Configuration)
		if err = json.Unmarshal(content, into); err == nil {
			return into
		}
	}
	panic(fmt.Sprintf("%T is no %T: %v", from, new(Configuration), err))
}
