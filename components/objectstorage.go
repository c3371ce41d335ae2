package components

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
)

// Keys of the Secrets with which clients log in to the object storage: those that AWS SDKs read from the environment.
const (
	S3AccessKey = "AWS_ACCESS_KEY_ID"
	S3SecretKey = "AWS_SECRET_ACCESS_KEY"
)

// caKey of a Secret holds a certificate authority.
const caKey = "ca.crt"

// defaultRegion is what S3 services take that have no regions, Ceph's gateways among them.
const defaultRegion = "us-east-1"

// The ways to address a bucket, as in spec.objectStorage.external.addressing.
const (
	// AddressingPath is https://host/bucket.
	AddressingPath = "Path"
	// AddressingVirtualHost is https://bucket.host.
	AddressingVirtualHost = "VirtualHost"
)

// ObjectStorage is the S3 service that all components of a platform use. It follows from the spec alone, so it is
// known before the service is there.
type ObjectStorage struct {
	// Type says where it comes from.
	Type v1alpha1.ObjectStorageType
	// Endpoint is its URL, without a bucket and without a slash at its end. Host and Port are those of the URL.
	Endpoint string
	Host     string
	Port     int32
	// Secure is whether it speaks TLS.
	Secure bool
	// Region that clients sign for.
	Region string
	// Addressing is AddressingPath or AddressingVirtualHost.
	Addressing string
	// CA signed its certificate. The zero value: a public authority did, or there is no TLS.
	CA CertificateAuthority
	// Buckets are those of the platform, the ones that Buckets names first. Use Bucket to find one.
	Buckets []Bucket

	// references are what the spec names, or what another component makes, by the Secret's name.
	references []Reference
	// backends are where its traffic arrives, for network policies.
	backends []backend
}

// CertificateAuthority is a Secret, or else a ConfigMap, in the platform's namespace with certificates in PEM.
type CertificateAuthority struct {
	Secret    string
	ConfigMap string
	// Key that holds the certificates.
	Key string
}

// Bucket is where and how one purpose stores its objects.
type Bucket struct {
	// Purpose is one of Buckets, or a bucket's name in spec.components.ceph.objectStore.buckets.
	Purpose string
	// Name of the bucket in the service. Empty if nobody said which bucket of an external service is meant.
	Name string
	// Secret in the platform's namespace with S3AccessKey and S3SecretKey.
	Secret string
	// ConfigMap in the platform's namespace with BUCKET_HOST, BUCKET_PORT and BUCKET_NAME. Empty unless Ceph makes one.
	ConfigMap string
}

// ObjectStorage resolves spec.objectStorage. It is nil when the platform has no object storage: nobody asked for one, or
// Ceph was asked for and offers none.
func (f Facts) ObjectStorage() *ObjectStorage {
	spec := f.Spec.ObjectStorage
	if external := spec.External; external != nil && spec.Type == v1alpha1.ObjectStorageExternal {
		return externalStorage(f, *external)
	}
	if _, wanted := FindWanted(f.Spec.Components, "ceph"); !wanted || spec.Type == v1alpha1.ObjectStorageExternal {
		return nil
	}
	if s3 := CephS3(f); s3.URL != "" {
		return cephStorage(f, s3)
	}
	return nil
}

func externalStorage(facts Facts, spec v1alpha1.ExternalObjectStorage) *ObjectStorage {
	const field = "spec.objectStorage.external."
	storage := newStorage(v1alpha1.ObjectStorageExternal, spec.Endpoint)
	storage.Region = cmp.Or(spec.Region, defaultRegion)
	storage.Addressing = cmp.Or(spec.Addressing, AddressingPath)
	storage.references = []Reference{{
		Field: field + "credentialsSecretRef", Name: spec.CredentialsSecretRef.Name, Keys: []string{S3AccessKey, S3SecretKey},
	}}
	if ca := spec.CASecretRef.Name; ca != "" {
		storage.CA = CertificateAuthority{Secret: ca, Key: caKey}
		storage.references = append(storage.references, Reference{Field: field + "caSecretRef", Name: ca, Keys: []string{caKey}})
	}
	names := externalBuckets(facts.Spec.Components)
	for _, purpose := range Buckets() {
		storage.Buckets = append(storage.Buckets, Bucket{
			Purpose: purpose, Name: names[purpose], Secret: spec.CredentialsSecretRef.Name,
		})
	}
	storage.backends = externalBackends(storage.Host, storage.Port)
	return storage
}

// externalBuckets are those that the components which use them name; nobody names one for the data lake.
func externalBuckets(spec v1alpha1.ComponentsSpec) map[string]string {
	names := map[string]string{}
	if _, wanted := FindWanted(spec, "argoWorkflows"); wanted {
		names[BucketPipelines] = cmp.Or(spec.ArgoWorkflows.Artifacts.Bucket, BucketPipelines)
	}
	if _, wanted := FindWanted(spec, "seldon"); wanted {
		names[BucketModels] = cmp.Or(spec.Seldon.Models.Bucket, BucketModels)
	}
	return names
}

func cephStorage(facts Facts, s3 S3) *ObjectStorage {
	ceph := facts.Spec.Components.Ceph
	storage := newStorage(v1alpha1.ObjectStorageCeph, s3.URL)
	storage.Region = defaultRegion
	storage.Addressing = AddressingPath
	switch {
	case s3.ClusterCA:
		storage.CA = CertificateAuthority{ConfigMap: OpenShiftServiceCA, Key: "service-ca.crt"}
	case s3.TLSSecret != "":
		storage.CA = CertificateAuthority{Secret: s3.TLSSecret, Key: caKey}
		storage.references = append(storage.references, Reference{
			// No public authority signs for names inside a cluster, so a certificate that people bring needs its own.
			Field: "spec.components.ceph.objectStore.tlsSecretRef", Name: s3.TLSSecret, Keys: []string{caKey},
			Awaited: ceph.ObjectStore.TLSSecretRef.Name == "",
		})
	}
	purposes := Buckets()
	for _, bucket := range ceph.ObjectStore.Buckets {
		if !slices.Contains(purposes, bucket.Name) {
			purposes = append(purposes, bucket.Name)
		}
	}
	for _, purpose := range purposes {
		claim := BucketClaimName(facts.Platform, purpose)
		storage.Buckets = append(storage.Buckets, Bucket{
			Purpose: purpose, Name: BucketName(facts, purpose), Secret: claim, ConfigMap: claim,
		})
		storage.references = append(storage.references, Reference{
			Field: "spec.components.ceph", Name: claim, Keys: []string{S3AccessKey, S3SecretKey}, Awaited: true,
		})
	}
	storage.backends = cephBackends(facts, s3)
	return storage
}

// newStorage takes an endpoint that the schema has checked.
func newStorage(kind v1alpha1.ObjectStorageType, endpoint string) *ObjectStorage {
	storage := &ObjectStorage{Type: kind, Endpoint: strings.TrimSuffix(endpoint, "/"), Port: 80}
	parsed, err := url.Parse(storage.Endpoint)
	if err != nil {
		return storage
	}
	storage.Host = parsed.Hostname()
	storage.Secure = parsed.Scheme == "https"
	if storage.Secure {
		storage.Port = 443
	}
	if port, err := strconv.ParseUint(parsed.Port(), 10, 16); err == nil {
		storage.Port = int32(port)
	}
	return storage
}

// Bucket returns the bucket of one purpose; the zero value if there is none.
func (s *ObjectStorage) Bucket(purpose string) Bucket {
	for _, bucket := range s.Buckets {
		if bucket.Purpose == purpose {
			return bucket
		}
	}
	return Bucket{}
}

// ObjectStorageReferences is what a component that uses these buckets adds to its References: the condition then names a
// Secret that people must provide and did not, and the component is woken when one changes. Nil without object storage.
func (f Facts) ObjectStorageReferences(purposes ...string) []Reference {
	storage := f.ObjectStorage()
	if storage == nil {
		return nil
	}
	used := []string{storage.CA.Secret}
	for _, purpose := range purposes {
		used = append(used, storage.Bucket(purpose).Secret)
	}
	var references []Reference
	for _, reference := range storage.references {
		if slices.Contains(used, reference.Name) {
			references = append(references, reference)
		}
	}
	return references
}

// ObjectStorageDigest changes when a Secret changes that is needed for these buckets. It belongs in an annotation of the
// templates of Pods that read them at their start. Empty without object storage, and before the Secrets exist.
func (f Facts) ObjectStorageDigest(purposes ...string) string {
	var digests []string
	for _, reference := range f.ObjectStorageReferences(purposes...) {
		if digest := f.Secrets[reference.Name].Digest; digest != "" {
			digests = append(digests, reference.Name+"="+digest)
		}
	}
	return strings.Join(slices.Compact(digests), ",")
}

// Env is the environment in which AWS SDKs, and what Open Data Hub's notebooks have always read, find a bucket. caFile is
// where the container has the key CA.Key of CA; it is left out when CA is the zero value. Credentials are referred to.
func (s *ObjectStorage) Env(purpose, caFile string) []*core.EnvVarApplyConfiguration {
	bucket := s.Bucket(purpose)
	value := func(name, value string) *core.EnvVarApplyConfiguration {
		return core.EnvVar().WithName(name).WithValue(value)
	}
	secret := func(key string) *core.EnvVarApplyConfiguration {
		return core.EnvVar().WithName(key).WithValueFrom(core.EnvVarSource().
			WithSecretKeyRef(core.SecretKeySelector().WithName(bucket.Secret).WithKey(key)))
	}
	env := []*core.EnvVarApplyConfiguration{
		secret(S3AccessKey),
		secret(S3SecretKey),
		value("AWS_REGION", s.Region),
		value("AWS_DEFAULT_REGION", s.Region),
		value("AWS_ENDPOINT_URL_S3", s.Endpoint),
		value("S3_ENDPOINT_URL", s.Endpoint),
	}
	if bucket.Name != "" {
		env = append(env, value("AWS_S3_BUCKET", bucket.Name))
	}
	if s.CA != (CertificateAuthority{}) {
		env = append(env, value("AWS_CA_BUNDLE", caFile))
	}
	return env
}

// Volume has CA as the file CA.Key, and nothing else of the object that holds it. Nil when CA is the zero value.
func (s *ObjectStorage) Volume(name string) *core.VolumeApplyConfiguration {
	volume := core.Volume().WithName(name)
	file := core.KeyToPath().WithKey(s.CA.Key).WithPath(s.CA.Key)
	switch {
	case s.CA.Secret != "":
		return volume.WithSecret(core.SecretVolumeSource().WithSecretName(s.CA.Secret).WithItems(file))
	case s.CA.ConfigMap != "":
		return volume.WithConfigMap(core.ConfigMapVolumeSource().WithName(s.CA.ConfigMap).WithItems(file))
	default:
		return nil
	}
}

// Status is what the status of the platform says of it: names, never credentials. Nil for nil.
func (s *ObjectStorage) Status() *v1alpha1.ObjectStorageStatus {
	if s == nil {
		return nil
	}
	status := &v1alpha1.ObjectStorageStatus{
		Type: s.Type, Endpoint: s.Endpoint, Region: s.Region, Addressing: s.Addressing,
		CASecret: s.CA.Secret, CAConfigMap: s.CA.ConfigMap,
	}
	for _, bucket := range s.Buckets {
		status.Buckets = append(status.Buckets, v1alpha1.BucketStatus{
			Purpose: bucket.Purpose, Name: bucket.Name, CredentialsSecret: bucket.Secret,
		})
	}
	return status
}

// Discovery is what the platform publishes for workloads of its users, by names that are good for envFrom: never
// credentials, only the names of the Secrets that hold them.
func (s *ObjectStorage) Discovery() map[string]string {
	data := map[string]string{
		"S3_TYPE":             string(s.Type),
		"S3_ENDPOINT_URL":     s.Endpoint,
		"AWS_ENDPOINT_URL_S3": s.Endpoint,
		"S3_HOST":             s.Host,
		"S3_PORT":             strconv.Itoa(int(s.Port)),
		"S3_SECURE":           strconv.FormatBool(s.Secure),
		"S3_ADDRESSING":       s.Addressing,
		"AWS_REGION":          s.Region,
		"AWS_DEFAULT_REGION":  s.Region,
	}
	optional := func(key, value string) {
		if value != "" {
			data[key] = value
		}
	}
	optional("S3_CA_SECRET", s.CA.Secret)
	optional("S3_CA_CONFIGMAP", s.CA.ConfigMap)
	optional("S3_CA_KEY", s.CA.Key)
	for _, bucket := range s.Buckets {
		prefix := "BUCKET_" + strings.ToUpper(strings.ReplaceAll(bucket.Purpose, "-", "_")) + "_"
		optional(prefix+"NAME", bucket.Name)
		optional(prefix+"SECRET", bucket.Secret)
		optional(prefix+"CONFIGMAP", bucket.ConfigMap)
	}
	return data
}
