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

// hasAuthority reports whether Java must be told who signed the certificate of the object storage.
func hasAuthority(storage *s3.Storage) bool {
	return storage != nil && storage.CA != (components.CertificateAuthority{})
}

// sessionFiles are what a session reads besides defaultsFile: what it has to find out before it starts, and what it does that with.
func (in inputs) sessionFiles() map[string]string {
	files := map[string]string{}
	if hasAuthority(in.storage) || in.eventLogs != "" {
		files[envFile] = envScript
	}
	if in.eventLogs != "" {
		files[hadoopFile] = hadoopSettings(in.storage)
	}
	return files
}

// storageConf are the settings of s3a as Spark takes them, and where event logs are left. That they are is decided by envFile: a session
// whose image lacks Hadoop's module for S3 would not start.
func (in inputs) storageConf() []string {
	if in.storage == nil {
		return nil
	}
	var lines []string
	for _, setting := range s3aSettings(in.storage) {
		lines = append(lines, "spark.hadoop."+setting[0]+" "+setting[1])
	}
	if in.eventLogs != "" {
		lines = append(lines,
			"spark.eventLog.dir "+in.eventLogs,
			// An object is there when it is complete: what long sessions did is seen a piece at a time.
			"spark.eventLog.rolling.enabled true",
			"spark.eventLog.rolling.maxFileSize 10m",
			"spark.eventLog.compress true")
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
