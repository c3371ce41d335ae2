package seldon

import (
	"encoding/json"
	"fmt"
	"path"
	"strconv"

	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

// Folders in the Pod of a model.
const (
	modelFolder = "/mnt/models" // Seldon's operator mounts it there
	caFolder    = "/etc/object-storage-ca"
)

// policy is that of all Pods that Seldon's operator makes in the namespace: those who may call models come in, what fetches a model
// reaches the object storage, and executors reach Kafka if they log requests. The Pods of one graph may call each other.
func (in inputs) policy() *networking.NetworkPolicyApplyConfiguration {
	seldon := map[string]string{labelManagedBy: managedBy}
	callers := networking.NetworkPolicyPeer().WithPodSelector(meta.LabelSelector())
	if in.access == accessCluster {
		callers = networking.NetworkPolicyPeer().WithNamespaceSelector(meta.LabelSelector())
	}
	egress := []native.Egress{native.DNS(), native.To(nil, native.Pods(seldon))}
	if in.storage != nil {
		egress = append(egress, in.storage.Egress()...)
	}
	if in.log != nil {
		egress = append(egress, native.Reach(in.log.broker.Backends...)...)
	}
	return in.PolicyFor(modelsPart, seldon, []native.Ingress{
		native.From(native.Ports(httpPort, grpcPort), callers),
		native.From(native.Ports(httpPort, metricsPort), native.Prometheus(in.OpenShift)...),
		native.From(nil, native.Pods(seldon)),
	}, egress)
}

// rclone is the Secret by which what fetches models finds the object storage: the environment of rclone's remote "s3".
func (in inputs) rclone() components.Object {
	const prefix = "RCLONE_CONFIG_S3_"
	provider := "Other"
	if in.storage.Type == v1alpha1.ObjectStorageCeph {
		provider = "Ceph"
	}
	bucket := in.storage.Bucket(s3.Models)
	data := map[string][]byte{
		prefix + "TYPE":             []byte("s3"),
		prefix + "PROVIDER":         []byte(provider),
		prefix + "ENV_AUTH":         []byte("false"),
		prefix + "ENDPOINT":         []byte(in.storage.Endpoint),
		prefix + "REGION":           []byte(in.storage.Region),
		prefix + "FORCE_PATH_STYLE": []byte(strconv.FormatBool(in.storage.Addressing == s3.AddressingPath)),
	}
	secret := components.Owned(in.Secret(modelsPart, modelsPart).WithData(data))
	secret.Copies = []components.Copy{
		{Key: prefix + "ACCESS_KEY_ID", Secret: bucket.Secret, From: s3.AccessKey},
		{Key: prefix + "SECRET_ACCESS_KEY", Secret: bucket.Secret, From: s3.SecretKey},
	}
	return secret
}

// seldonDeployment is a model. Seldon's operator adds the model server's image and arguments, and the executor in front of it.
func (in inputs) seldonDeployment(facts components.Facts, m model) *kinds.Resource[deploymentSpec] {
	pod := in.pod(m)
	labels := in.PodLabels(modelsPart)
	spec := deploymentSpec{Protocol: "seldon", Predictors: []predictor{{
		Name: predictorName, Replicas: m.spec.Replicas,
		ComponentSpecs: []componentSpec{{Metadata: podMetadata{Labels: labels}, Spec: pod}},
		Graph: predictiveUnit{
			Name: modelName, Implementation: m.implementation(), ModelURI: in.uri(m), EnvSecretRefName: in.Object(modelsPart),
			Parameters: m.parameters(),
		},
		SvcOrchSpec: svcOrchSpec{Resources: native.Container("", "", m.executor).Resources},
	}}}
	parts := []string{in.secrets}
	if in.log != nil {
		spec.Predictors[0].Graph.Logger = &requestLogger{Mode: in.log.mode}
		spec.Predictors[0].SvcOrchSpec.Env = in.log.env()
		parts = append(parts, in.log.secrets)
	}
	parts = append(parts, facts.Overridden(name, map[string]string{modelName: "", initializerName: ""})...)
	// A Pod reads the Secrets when it starts.
	labels[LabelRevision] = revision(spec, parts...)
	deployment := kinds.New(facts.GVK(SeldonDeployment), in.Platform.Namespace, in.Object(m.spec.Name), spec)
	deployment.WithLabels(in.Labels(modelsPart))
	return deployment
}

func revision(spec deploymentSpec, besides ...string) string {
	content, err := json.Marshal(spec)
	if err != nil {
		panic(fmt.Sprintf("a SeldonDeployment cannot be encoded: %v", err)) // it is encoded to be applied, too
	}
	return native.Digest(append([]string{string(content)}, besides...)...)[:10]
}

// uri of the folder with the model, for rclone.
func (in inputs) uri(m model) string {
	return "s3:" + path.Join(in.storage.Bucket(s3.Models).Name, m.spec.Path)
}

// pod is what we say of the Pod of a model. The init container has the name by which Seldon's operator takes it for its own and adds
// none: its own cannot be told who signed the certificate of the object storage. (InjectModelInitializer, Seldon Core 1.17.1)
func (in inputs) pod(m model) *core.PodSpecApplyConfiguration {
	const volume = modelName + "-provision-location"
	initializer := native.Container(initializerName, initializerImage, initializerResources).
		WithArgs(in.uri(m), modelFolder).
		WithEnvFrom(core.EnvFromSource().WithSecretRef(core.SecretEnvSource().WithName(in.Object(modelsPart)))).
		WithEnv(native.Env("RCLONE_CONFIG", "/tmp/rclone.conf"), native.Env("HOME", "/tmp")).
		WithEnv(in.storage.ProxyEnv()...).
		WithVolumeMounts(native.Mount(volume, modelFolder), native.Mount("tmp", "/tmp"))
	server := native.Container(modelName, "", m.spec.Resources).WithVolumeMounts(native.Mount("tmp", "/tmp")).WithEnv(native.Env("HOME", "/tmp"))
	server.Image = nil // the operator's
	volumes := []*core.VolumeApplyConfiguration{
		core.Volume().WithName(volume).WithEmptyDir(core.EmptyDirVolumeSource().WithSizeLimit(modelVolumeSize)),
		native.EmptyVolume("tmp"),
	}
	if ca := in.storage.Volume("object-storage-ca"); ca != nil {
		initializer.WithEnv(native.Env("RCLONE_CA_CERT", path.Join(caFolder, in.storage.CA.Key))).
			WithVolumeMounts(native.MountReadOnly("object-storage-ca", caFolder))
		volumes = append(volumes, ca)
	}
	pod := in.Pod(modelsPart, user, server).WithInitContainers(initializer).WithVolumes(volumes...)
	pod.TerminationGracePeriodSeconds = nil // the operator's
	return pod
}
