// Package s3 is the object storage of a platform, as its components use it: where it is, which bucket serves which purpose, and
// how a Pod finds and reaches it. It follows from the spec, and from what components declare.
package s3

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

// Purposes of the buckets that every platform with object storage has, whoever uses them.
const (
	// DataLake holds the data that people and pipelines share.
	DataLake = "data-lake"
	// Models holds what training writes and serving reads.
	Models = "models"
	// Pipelines holds the artifacts and logs of pipelines.
	Pipelines = "pipelines"
)

// Keys of the Secrets with which clients log in to the object storage: those that AWS SDKs read from the environment.
const (
	AccessKey = "AWS_ACCESS_KEY_ID"
	SecretKey = "AWS_SECRET_ACCESS_KEY"
)

// CAKey of a Secret holds a certificate authority.
const CAKey = "ca.crt"

// defaultRegion is the region for S3 services that have none, such as Ceph's gateways.
const defaultRegion = "us-east-1"

// The ways to address a bucket, as in spec.objectStorage.external.addressing.
const (
	// AddressingPath is https://host/bucket.
	AddressingPath = "Path"
	// AddressingVirtualHost is https://bucket.host.
	AddressingVirtualHost = "VirtualHost"
)

// Storage is the S3 service that all components of a platform use. It is known before the service is there.
type Storage struct {
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
	CA components.CertificateAuthority
	// Buckets are those of the platform, one for each of the Claims first. Use Bucket to find one.
	Buckets []components.Bucket

	// outbound is how Pods get there.
	outbound native.Outbound
	// references are what the spec names, or what another component makes, by the Secret's name.
	references []components.Reference
	// backends are where its traffic arrives, for network policies.
	backends []components.Backend
}

// Of resolves spec.objectStorage. It is nil when the platform has no object storage: nobody asked for one, or the component
// that was asked for offers none.
func Of(facts components.Facts) *Storage {
	spec := facts.Spec.ObjectStorage
	switch offered := facts.Declared.ObjectStorage; {
	case spec.Type == v1alpha1.ObjectStorageExternal && spec.External != nil:
		return external(facts, *spec.External)
	case spec.Type != v1alpha1.ObjectStorageExternal && offered != nil:
		return internal(facts, *offered)
	default:
		return nil
	}
}

// Claims are what the platform wants buckets for, each purpose once: those that every platform has, and what components
// declare; and these besides. The first name that is given counts, see Contradiction.
func Claims(facts components.Facts, besides ...components.BucketClaim) []components.BucketClaim {
	claims := []components.BucketClaim{{Purpose: DataLake}, {Purpose: Models}, {Purpose: Pipelines}}
	for _, claim := range slices.Concat(facts.Declared.Buckets, besides) {
		i := slices.IndexFunc(claims, func(c components.BucketClaim) bool { return c.Purpose == claim.Purpose })
		switch {
		case i < 0:
			claims = append(claims, claim)
		case claims[i].Name == "":
			claims[i] = claim
		}
	}
	return claims
}

// Contradiction refuses a spec in which two components name different buckets for one purpose.
func Contradiction(facts components.Facts) error {
	claims := Claims(facts)
	for _, claim := range facts.Declared.Buckets {
		i := slices.IndexFunc(claims, func(c components.BucketClaim) bool { return c.Purpose == claim.Purpose })
		if claim.Name != "" && claims[i].Name != claim.Name {
			return components.Invalid(claim.Field, "%s holds one bucket, and %s is %s; use the same name, or leave one out",
				claim.Purpose, claims[i].Field, claims[i].Name)
		}
	}
	return nil
}

func external(facts components.Facts, spec v1alpha1.ExternalObjectStorage) *Storage {
	const field = "spec.objectStorage.external."
	storage := newStorage(v1alpha1.ObjectStorageExternal, spec.Endpoint)
	storage.Region = cmp.Or(spec.Region, defaultRegion)
	storage.Addressing = cmp.Or(spec.Addressing, AddressingPath)
	storage.references = []components.Reference{{
		Field: field + "credentialsSecretRef", Name: spec.CredentialsSecretRef.Name, Keys: []string{AccessKey, SecretKey},
		SentTo: native.SentTo(facts, storage.Endpoint),
	}}
	storage.outbound = native.NewOutbound(facts)
	trusted := native.TrustedCA(facts)
	switch ca := spec.CASecretRef.Name; {
	case ca != "":
		storage.CA = components.CertificateAuthority{Secret: ca, Key: CAKey}
		storage.references = append(storage.references, components.Reference{Field: field + "caSecretRef", Name: ca, Keys: []string{CAKey}})
	case storage.Secure && trusted.Secret != "":
		storage.CA = trusted
		storage.references = append(storage.references, native.TrustedCAReferences(facts)...)
	}
	for _, claim := range Claims(facts) {
		bucket := components.Bucket{Purpose: claim.Purpose, Name: claim.Name, Secret: spec.CredentialsSecretRef.Name}
		if bucket.Name == "" && claim.Field != "" {
			bucket.Name = claim.Purpose // people create it, so its name must be predictable
		}
		storage.Buckets = append(storage.Buckets, bucket)
	}
	storage.backends = append([]components.Backend{{Host: storage.Host, Port: storage.Port}}, storage.outbound.Backends()...)
	return storage
}

func internal(facts components.Facts, offered components.ObjectStorage) *Storage {
	storage := newStorage(offered.Type, offered.Endpoint)
	storage.Region = defaultRegion
	storage.Addressing = AddressingPath
	storage.CA = offered.CA
	if offered.CA.Secret != "" {
		storage.references = append(storage.references, offered.CAReference)
	}
	for _, claim := range Claims(facts, offered.Buckets...) {
		bucket, reference := offered.Bucket(claim)
		storage.Buckets = append(storage.Buckets, bucket)
		storage.references = append(storage.references, reference)
	}
	storage.backends = offered.Backends
	return storage
}

// newStorage takes an endpoint that the schema has checked.
func newStorage(kind v1alpha1.ObjectStorageType, endpoint string) *Storage {
	storage := &Storage{Type: kind, Endpoint: strings.TrimSuffix(endpoint, "/"), Port: 80}
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
func (s *Storage) Bucket(purpose string) components.Bucket {
	for _, bucket := range s.Buckets {
		if bucket.Purpose == purpose {
			return bucket
		}
	}
	return components.Bucket{}
}

// References is what a component that uses these buckets adds to its References: the condition then names a
// Secret that people must provide and did not, and the component is reconciled when one changes. Nil without object
// storage.
func References(facts components.Facts, purposes ...string) []components.Reference {
	storage := Of(facts)
	if storage == nil {
		return nil
	}
	used := []string{storage.CA.Secret}
	for _, purpose := range purposes {
		used = append(used, storage.Bucket(purpose).Secret)
	}
	var references []components.Reference
	for _, reference := range storage.references {
		if slices.Contains(used, reference.Name) {
			references = append(references, reference)
		}
	}
	return references
}

// Digest changes when a Secret changes that is needed for these buckets. It belongs in an annotation of the
// templates of Pods that read them at their start. Empty without object storage, and before the Secrets exist.
func Digest(facts components.Facts, purposes ...string) string {
	var digests []string
	for _, reference := range References(facts, purposes...) {
		if digest := facts.Secrets[reference.Name].Digest; digest != "" {
			digests = append(digests, reference.Name+"="+digest)
		}
	}
	return strings.Join(slices.Compact(digests), ",")
}

// Env is the environment in which AWS SDKs, and what Open Data Hub's notebooks have always read, find a bucket. caFile is
// where the container has the key CA.Key of CA; it is left out when CA is the zero value. Credentials are referred to.
func (s *Storage) Env(purpose, caFile string) []*core.EnvVarApplyConfiguration {
	bucket := s.Bucket(purpose)
	value := func(name, value string) *core.EnvVarApplyConfiguration {
		return core.EnvVar().WithName(name).WithValue(value)
	}
	secret := func(key string) *core.EnvVarApplyConfiguration {
		return core.EnvVar().WithName(key).WithValueFrom(core.EnvVarSource().
			WithSecretKeyRef(core.SecretKeySelector().WithName(bucket.Secret).WithKey(key)))
	}
	env := []*core.EnvVarApplyConfiguration{
		secret(AccessKey),
		secret(SecretKey),
		value("AWS_REGION", s.Region),
		value("AWS_DEFAULT_REGION", s.Region),
		value("AWS_ENDPOINT_URL_S3", s.Endpoint),
		value("S3_ENDPOINT_URL", s.Endpoint),
	}
	if bucket.Name != "" {
		env = append(env, value("AWS_S3_BUCKET", bucket.Name))
	}
	if s.CA != (components.CertificateAuthority{}) {
		env = append(env, value("AWS_CA_BUNDLE", caFile))
	}
	return env
}

// ProxyEnv is where programs look for the proxy through which an external service is reached. Env does not have it.
func (s *Storage) ProxyEnv() []*core.EnvVarApplyConfiguration { return s.outbound.Env() }

// Proxy is that through which an external service is reached. Nil: it is reached directly.
func (s *Storage) Proxy() *native.Proxy { return s.outbound.ProxyFor(s.Endpoint) }

// Volume has CA as the file CA.Key, and nothing else of the object that holds it. Nil when CA is the zero value.
func (s *Storage) Volume(name string) *core.VolumeApplyConfiguration { return s.CA.Volume(name) }

// Egress are the rules of a network policy that let Pods reach the object storage, and nothing else.
func (s *Storage) Egress() []native.Egress { return native.Reach(s.backends...) }

// Status is what the status of the platform says of it: names, never credentials. Nil for nil.
func (s *Storage) Status() *v1alpha1.ObjectStorageStatus {
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
func (s *Storage) Discovery() map[string]string {
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
