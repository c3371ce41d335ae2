package ceph

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strconv"
	"strings"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/s3"
)

// service is how the gateways of the object store are reached from within the cluster.
type service struct {
	// url of the service, without a bucket.
	url string
	// secure is whether it speaks TLS.
	secure bool
	// port that it listens on.
	port int32
	// tlsSecret holds its certificate, and in the key ca.crt its authority. Empty without TLS, and where the cluster signs.
	tlsSecret string
	// clusterCA is whether OpenShift signed the certificate: trust components.OpenShiftServiceCA.
	clusterCA bool
}

// Ports of the S3 service. Gateways do not run as root, so they are above 1023.
const (
	s3Port       = 8080
	s3SecurePort = 8443
)

// offersS3 reports whether the spec asks for an object store that can be reached.
func offersS3(spec v1alpha1.CephSpec) bool {
	return spec.ObjectStore.State != v1alpha1.Disabled && (!spec.External || len(spec.ObjectStore.ExternalGateways) > 0)
}

// serviceOf says how the S3 service of an object store is reached.
func serviceOf(facts components.Facts, spec v1alpha1.CephSpec) service {
	s := service{secure: true, port: s3SecurePort, tlsSecret: spec.ObjectStore.TLSSecretRef.Name}
	switch {
	case spec.External:
		s.secure = s.tlsSecret != ""
		s.port = gatewayPort(spec.ObjectStore.ExternalGateways[0], s.secure)
	case s.tlsSecret == "" && facts.Cluster.OpenShift:
		s.clusterCA = true
	case s.tlsSecret == "":
		s.tlsSecret = tlsSecretName(facts.Platform)
	}
	scheme := "http"
	if s.secure {
		scheme = "https"
	}
	host := serviceName(facts.Platform) + "." + facts.Platform.Namespace + ".svc"
	if spec.External {
		// Rook makes no Service for gateways that run elsewhere, and calls the first itself.
		host = gatewayHost(spec.ObjectStore.ExternalGateways[0])
	}
	s.url = scheme + "://" + net.JoinHostPort(host, strconv.Itoa(int(s.port)))
	return s
}

// offer is the platform's object storage, unless the spec asks for another.
func offer(facts components.Facts) *components.ObjectStorage {
	spec := specOf(facts)
	if !offersS3(spec) {
		return nil
	}
	service := serviceOf(facts, spec)
	offered := components.ObjectStorage{
		Type: v1alpha1.ObjectStorageCeph, Endpoint: service.url,
		Buckets: ownBuckets(spec),
		Bucket: func(claim components.BucketClaim) (components.Bucket, components.Reference) {
			name := claimName(facts.Platform, claim.Purpose)
			return components.Bucket{Purpose: claim.Purpose, Name: bucketName(facts, claim), Secret: name, ConfigMap: name},
				components.Reference{Field: field, Name: name, Keys: []string{s3.AccessKey, s3.SecretKey}, Awaited: true}
		},
		Backends: backends(facts.Platform, spec, service),
	}
	switch {
	case service.clusterCA:
		offered.CA = components.CertificateAuthority{ConfigMap: components.OpenShiftServiceCA, Key: "service-ca.crt"}
	case service.tlsSecret != "":
		offered.CA = components.CertificateAuthority{Secret: service.tlsSecret, Key: s3.CAKey}
		offered.CAReference = components.Reference{
			// No public authority signs for names inside a cluster, so a certificate that people provide needs its own.
			Field: field + ".objectStore.tlsSecretRef", Name: service.tlsSecret, Keys: []string{s3.CAKey},
			Awaited: spec.ObjectStore.TLSSecretRef.Name == "",
		}
	}
	return &offered
}

// ownBuckets are those that the spec of Ceph lists.
func ownBuckets(spec v1alpha1.CephSpec) []components.BucketClaim {
	var claims []components.BucketClaim
	for _, bucket := range spec.ObjectStore.Buckets {
		claims = append(claims, components.BucketClaim{Purpose: bucket.Name})
	}
	return claims
}

// backends are the gateways: Rook's Pods, or the addresses of those that run elsewhere.
func backends(platform components.Platform, spec v1alpha1.CephSpec, service service) []components.Backend {
	if !spec.External {
		return []components.Backend{{
			Pods: map[string]string{"app": "rook-ceph-rgw", "rook_object_store": storeName(platform)}, Port: service.port,
		}}
	}
	var all []components.Backend
	for _, gateway := range spec.ObjectStore.ExternalGateways {
		all = append(all, components.Backend{Host: gatewayHost(gateway), Port: gatewayPort(gateway, service.secure)})
	}
	return all
}

// storeName is the name of the platform's CephObjectStore.
func storeName(platform components.Platform) string { return platform.Name }

// serviceName is the Service in front of the gateways. Rook names it,
// https://rook.io/docs/rook/latest/Storage-Configuration/Object-Storage-RGW/object-storage/.
func serviceName(platform components.Platform) string { return "rook-ceph-rgw-" + storeName(platform) }

// claimName is the ObjectBucketClaim for one purpose, and also the Secret (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) and the
// ConfigMap (BUCKET_HOST, BUCKET_PORT, BUCKET_NAME) that its provisioner makes beside it.
func claimName(platform components.Platform, purpose string) string {
	return platform.Name + "-ceph-" + purpose
}

// bucketName is the bucket of one claim, as S3 clients know it. It is fixed, so that a claim that is recreated gets the same
// bucket. In an external Ceph, which other platforms may share, a digest keeps apart the names that no spec sets.
func bucketName(facts components.Facts, claim components.BucketClaim) string {
	if claim.Name != "" {
		return claim.Name
	}
	bucket := facts.Platform.Name + "-" + claim.Purpose
	if specOf(facts).External {
		digest := sha256.Sum256([]byte(facts.Platform.Namespace + "/" + facts.Platform.Name))
		bucket += "-" + hex.EncodeToString(digest[:3])
	}
	return bucket
}

// tlsSecretName is the Secret with the generated certificate of the S3 service: tls.crt, tls.key and, outside OpenShift, ca.crt.
// On OpenShift the cluster makes it, and clients trust the key service-ca.crt of components.OpenShiftServiceCA.
func tlsSecretName(platform components.Platform) string { return platform.Name + "-ceph-s3-tls" }

// bucketClassName is the cluster-scoped StorageClass of the platform's buckets.
func bucketClassName(platform components.Platform) string { return className(platform, "bucket") }

// className is a cluster-scoped StorageClass of the platform. No two platforms have the same: neither name has a dot.
func className(platform components.Platform, purpose string) string {
	return platform.Namespace + "." + platform.Name + "." + purpose
}

// gatewayHost is the host in the address of an external gateway, host or host:port.
func gatewayHost(address string) string {
	if strings.Count(address, ":") == 1 { // otherwise an IPv6 address
		address, _, _ = strings.Cut(address, ":")
	}
	return address
}

// gatewayPort is the port in the address of an external gateway, host or host:port, or the usual one.
func gatewayPort(address string, secure bool) int32 {
	if strings.Count(address, ":") == 1 {
		_, port, _ := strings.Cut(address, ":")
		if number, err := strconv.ParseInt(port, 10, 32); err == nil {
			return int32(number)
		}
	}
	if secure {
		return s3SecurePort
	}
	return s3Port
}
