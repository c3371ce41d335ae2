package components

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strconv"
	"strings"
)

// Purposes of the buckets that every platform with Ceph has.
const (
	// BucketDataLake holds the data that people and pipelines share.
	BucketDataLake = "data-lake"
	// BucketModels holds what training writes and serving reads.
	BucketModels = "models"
	// BucketPipelines holds the artefacts and logs of pipelines.
	BucketPipelines = "pipelines"
)

// Buckets are the purposes of the platform's own buckets, in the order in which they are claimed.
func Buckets() []string { return []string{BucketDataLake, BucketModels, BucketPipelines} }

// ObjectStoreName is the name of the platform's CephObjectStore.
func ObjectStoreName(platform Platform) string { return platform.Name }

// S3ServiceName is the Service in front of the gateways of the platform's object store. Rook names it,
// https://rook.io/docs/rook/latest/Storage-Configuration/Object-Storage-RGW/object-storage/.
func S3ServiceName(platform Platform) string { return "rook-ceph-rgw-" + ObjectStoreName(platform) }

// BucketClaimName is the ObjectBucketClaim for one purpose, and also the Secret (AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY) and the ConfigMap (BUCKET_HOST, BUCKET_PORT, BUCKET_NAME) that its provisioner makes beside it.
// The bucket itself is called BucketName.
func BucketClaimName(platform Platform, purpose string) string {
	return platform.Name + "-ceph-" + purpose
}

// BucketName is the bucket of one purpose, as S3 clients know it. It is fixed, so that a claim that is made again gets the
// same bucket. In an external Ceph, which other platforms may share, a digest keeps the names apart.
func BucketName(facts Facts, purpose string) string {
	bucket := facts.Platform.Name + "-" + purpose
	if ceph := facts.Spec.Components.Ceph; ceph != nil && ceph.External {
		digest := sha256.Sum256([]byte(facts.Platform.Namespace + "/" + facts.Platform.Name))
		bucket += "-" + hex.EncodeToString(digest[:3])
	}
	return bucket
}

// BucketStorageClassName is the cluster-scoped StorageClass of the platform's buckets.
func BucketStorageClassName(platform Platform) string {
	return StorageClassName(platform, "bucket")
}

// StorageClassName is a cluster-scoped StorageClass of the platform. No two platforms have the same: dots are in neither
// name.
func StorageClassName(platform Platform, purpose string) string {
	return platform.Namespace + "." + platform.Name + "." + purpose
}

// S3TLSSecretName is the Secret with the generated certificate of the S3 service: tls.crt, tls.key and, outside
// OpenShift, ca.crt. On OpenShift the cluster makes it, and clients trust the key service-ca.crt of the ConfigMap
// OpenShiftServiceCA, which every namespace has.
func S3TLSSecretName(platform Platform) string { return platform.Name + "-ceph-s3-tls" }

// OpenShiftServiceCA is the ConfigMap with the authority that signs OpenShift's serving certificates, in every namespace.
const OpenShiftServiceCA = "openshift-service-ca.crt"

// Ports of the S3 service. Gateways do not run as root, so they are above 1023.
const (
	S3Port       = 8080
	S3SecurePort = 8443
)

// S3 is how the gateways of the platform's Ceph are reached from within the cluster.
type S3 struct {
	// URL of the service, without a bucket.
	URL string
	// Secure is whether it speaks TLS.
	Secure bool
	// Port that it listens on.
	Port int32
	// TLSSecret holds its certificate, and in the key ca.crt its authority. Empty without TLS, and where the cluster signs.
	TLSSecret string
	// ClusterCA is whether OpenShift signed the certificate: trust OpenShiftServiceCA.
	ClusterCA bool
}

// CephS3 says how the S3 service of the platform's own Ceph is reached. The zero value: there is none.
func CephS3(facts Facts) S3 {
	spec := facts.Spec.Components.Ceph
	if spec == nil || spec.ObjectStore.State == "Disabled" || spec.External && len(spec.ObjectStore.ExternalGateways) == 0 {
		return S3{}
	}
	s3 := S3{Secure: true, Port: S3SecurePort, TLSSecret: spec.ObjectStore.TLSSecretRef.Name}
	switch {
	case spec.External:
		s3.Secure = s3.TLSSecret != ""
		s3.Port = GatewayPort(spec.ObjectStore.ExternalGateways[0], s3.Secure)
	case s3.TLSSecret == "" && facts.Cluster.OpenShift:
		s3.ClusterCA = true
	case s3.TLSSecret == "":
		s3.TLSSecret = S3TLSSecretName(facts.Platform)
	}
	scheme := "http"
	if s3.Secure {
		scheme = "https"
	}
	host := S3ServiceName(facts.Platform) + "." + facts.Platform.Namespace + ".svc"
	if spec.External {
		// Rook makes no Service for gateways that run elsewhere, and calls the first itself.
		host = GatewayHost(spec.ObjectStore.ExternalGateways[0])
	}
	s3.URL = scheme + "://" + net.JoinHostPort(host, strconv.Itoa(int(s3.Port)))
	return s3
}

// GatewayHost is the host in the address of an external gateway, host or host:port.
func GatewayHost(address string) string {
	if strings.Count(address, ":") == 1 {
		address, _, _ = strings.Cut(address, ":")
	}
	return address
}

// GatewayPort is the port in the address of an external gateway, host or host:port, or the usual one.
func GatewayPort(address string, secure bool) int32 {
	if strings.Count(address, ":") == 1 {
		_, port, _ := strings.Cut(address, ":")
		if number, err := strconv.ParseInt(port, 10, 32); err == nil {
			return int32(number)
		}
	}
	if secure {
		return S3SecurePort
	}
	return S3Port
}
