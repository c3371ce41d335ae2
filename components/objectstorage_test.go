package components

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"opendatahub.io/operator/api/v1alpha1"
)

// withS3 is a platform odh in the namespace lab whose spec is made by change.
func withS3(change func(*v1alpha1.OpenDataHubSpec)) Facts {
	facts := Facts{Platform: Platform{Name: "odh", Namespace: "lab"}}
	change(&facts.Spec)
	return facts
}

func external(change func(*v1alpha1.ExternalObjectStorage)) func(*v1alpha1.OpenDataHubSpec) {
	return func(spec *v1alpha1.OpenDataHubSpec) {
		external := &v1alpha1.ExternalObjectStorage{
			Endpoint: "https://s3.example.com", CredentialsSecretRef: v1alpha1.LocalReference{Name: "s3"},
		}
		change(external)
		spec.ObjectStorage = v1alpha1.ObjectStorageSpec{Type: v1alpha1.ObjectStorageExternal, External: external}
	}
}

func ceph(change func(*v1alpha1.CephSpec)) func(*v1alpha1.OpenDataHubSpec) {
	return func(spec *v1alpha1.OpenDataHubSpec) {
		spec.Components.Ceph = &v1alpha1.CephSpec{}
		change(spec.Components.Ceph)
	}
}

func asItIs[T any](*T) {}

func TestObjectStorage(t *testing.T) {
	claims := []Bucket{
		{"data-lake", "odh-data-lake", "odh-ceph-data-lake", "odh-ceph-data-lake"},
		{"models", "odh-models", "odh-ceph-models", "odh-ceph-models"},
		{"pipelines", "odh-pipelines", "odh-ceph-pipelines", "odh-ceph-pipelines"},
	}
	shared := []Bucket{{Purpose: "data-lake", Secret: "s3"}, {Purpose: "models", Secret: "s3"}, {Purpose: "pipelines", Secret: "s3"}}
	ownCeph := ObjectStorage{
		Type: "Ceph", Endpoint: "https://rook-ceph-rgw-odh.lab.svc:8443", Host: "rook-ceph-rgw-odh.lab.svc", Port: 8443, Secure: true,
		Region: "us-east-1", Addressing: "Path", CA: CertificateAuthority{Secret: "odh-ceph-s3-tls", Key: "ca.crt"}, Buckets: claims,
	}
	amazon := ObjectStorage{
		Type: "External", Endpoint: "https://s3.example.com", Host: "s3.example.com", Port: 443, Secure: true,
		Region: "us-east-1", Addressing: "Path", Buckets: shared,
	}
	but := func(storage ObjectStorage, change func(*ObjectStorage)) *ObjectStorage {
		change(&storage)
		return &storage
	}

	tests := map[string]struct {
		spec      func(*v1alpha1.OpenDataHubSpec)
		openShift bool
		want      *ObjectStorage
	}{
		"nobody asks for one": {spec: asItIs[v1alpha1.OpenDataHubSpec]},
		"Ceph is named, so it is Ceph": {
			spec: ceph(asItIs), want: &ownCeph,
		},
		"Ceph is asked for by name": {
			spec: func(spec *v1alpha1.OpenDataHubSpec) {
				ceph(asItIs)(spec)
				spec.ObjectStorage.Type = v1alpha1.ObjectStorageCeph
			},
			want: &ownCeph,
		},
		"Ceph is to be removed": {
			spec: ceph(func(spec *v1alpha1.CephSpec) { spec.ManagementState = v1alpha1.Removed }),
		},
		"Ceph that nobody looks after still serves": {
			spec: ceph(func(spec *v1alpha1.CephSpec) { spec.ManagementState = v1alpha1.Unmanaged }), want: &ownCeph,
		},
		"Ceph without an object store": {
			spec: ceph(func(spec *v1alpha1.CephSpec) { spec.ObjectStore.State = v1alpha1.Disabled }),
		},
		"Ceph on OpenShift, which signs the certificate": {
			spec: ceph(asItIs), openShift: true,
			want: but(ownCeph, func(s *ObjectStorage) {
				s.CA = CertificateAuthority{ConfigMap: "openshift-service-ca.crt", Key: "service-ca.crt"}
			}),
		},
		"Ceph with a certificate that people bring": {
			spec: ceph(func(spec *v1alpha1.CephSpec) { spec.ObjectStore.TLSSecretRef.Name = "own" }), openShift: true,
			want: but(ownCeph, func(s *ObjectStorage) { s.CA = CertificateAuthority{Secret: "own", Key: "ca.crt"} }),
		},
		"Ceph with buckets of its own, one of them the platform's": {
			spec: ceph(func(spec *v1alpha1.CephSpec) {
				spec.ObjectStore.Buckets = []v1alpha1.CephBucket{{Name: "models"}, {Name: "raw"}}
			}),
			want: but(ownCeph, func(s *ObjectStorage) {
				s.Buckets = append(append([]Bucket{}, claims...), Bucket{"raw", "odh-raw", "odh-ceph-raw", "odh-ceph-raw"})
			}),
		},
		"a Ceph that runs elsewhere, without TLS": {
			spec: ceph(func(spec *v1alpha1.CephSpec) {
				spec.External = true
				spec.ObjectStore.ExternalGateways = []string{"10.1.2.3:7480"}
			}),
			want: but(ownCeph, func(s *ObjectStorage) {
				s.Endpoint, s.Host, s.Port, s.Secure, s.CA = "http://10.1.2.3:7480", "10.1.2.3", 7480, false, CertificateAuthority{}
				s.Buckets = nil
				for _, claim := range claims {
					claim.Name += "-880dc5" // other platforms may share that Ceph
					s.Buckets = append(s.Buckets, claim)
				}
			}),
		},
		"a Ceph that runs elsewhere, without gateways": {
			spec: ceph(func(spec *v1alpha1.CephSpec) { spec.External = true }),
		},
		"a service outside": {spec: external(asItIs), want: &amazon},
		"a service outside wins over Ceph": {
			spec: func(spec *v1alpha1.OpenDataHubSpec) {
				ceph(asItIs)(spec)
				external(asItIs)(spec)
			},
			want: &amazon,
		},
		"everything that can be said of a service outside": {
			spec: external(func(spec *v1alpha1.ExternalObjectStorage) {
				spec.Endpoint, spec.Region, spec.Addressing = "https://s3.example.com:9443/", "eu-central-1", AddressingVirtualHost
				spec.CASecretRef.Name = "s3-ca"
			}),
			want: but(amazon, func(s *ObjectStorage) {
				s.Endpoint, s.Port, s.Region, s.Addressing = "https://s3.example.com:9443", 9443, "eu-central-1", "VirtualHost"
				s.CA = CertificateAuthority{Secret: "s3-ca", Key: "ca.crt"}
			}),
		},
		"a service without TLS": {
			spec: external(func(spec *v1alpha1.ExternalObjectStorage) { spec.Endpoint = "http://minio.data.svc" }),
			want: but(amazon, func(s *ObjectStorage) {
				s.Endpoint, s.Host, s.Port, s.Secure = "http://minio.data.svc", "minio.data.svc", 80, false
			}),
		},
		"the buckets of a service outside are those that components name": {
			spec: func(spec *v1alpha1.OpenDataHubSpec) {
				external(asItIs)(spec)
				spec.Components.ArgoWorkflows = &v1alpha1.ArgoWorkflowsSpec{}
				spec.Components.Seldon = &v1alpha1.SeldonSpec{Models: v1alpha1.SeldonModels{Bucket: "zoo"}}
			},
			want: but(amazon, func(s *ObjectStorage) {
				s.Buckets = []Bucket{
					{Purpose: "data-lake", Secret: "s3"},
					{Purpose: "models", Name: "zoo", Secret: "s3"},
					{Purpose: "pipelines", Name: "pipelines", Secret: "s3"},
				}
			}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			facts := withS3(test.spec)
			facts.Cluster.OpenShift = test.openShift
			if diff := cmp.Diff(test.want, facts.ObjectStorage(), cmpopts.IgnoreUnexported(ObjectStorage{})); diff != "" {
				t.Errorf("object storage (-want +got):\n%s", diff)
			}
		})
	}
}

func TestObjectStorageReferences(t *testing.T) {
	credentials := Reference{
		Field: "spec.objectStorage.external.credentialsSecretRef", Name: "s3", Keys: []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
	}
	claim := func(purpose string) Reference {
		return Reference{Field: "spec.components.ceph", Name: "odh-ceph-" + purpose, Keys: credentials.Keys, Awaited: true}
	}
	certificate := Reference{Field: "spec.components.ceph.objectStore.tlsSecretRef", Name: "odh-ceph-s3-tls", Keys: []string{"ca.crt"}, Awaited: true}
	brought := certificate
	brought.Name, brought.Awaited = "own", false

	tests := map[string]struct {
		spec     func(*v1alpha1.OpenDataHubSpec)
		purposes []string
		want     []Reference
	}{
		"no object storage": {spec: asItIs[v1alpha1.OpenDataHubSpec], purposes: Buckets()},
		"the one Secret of a service outside, once": {
			spec: external(asItIs), purposes: Buckets(), want: []Reference{credentials},
		},
		"and its authority": {
			spec:     external(func(spec *v1alpha1.ExternalObjectStorage) { spec.CASecretRef.Name = "ca" }),
			purposes: []string{BucketModels},
			want: []Reference{credentials, {
				Field: "spec.objectStorage.external.caSecretRef", Name: "ca", Keys: []string{"ca.crt"},
			}},
		},
		"Ceph's are awaited, and only those of the buckets that are used": {
			spec: ceph(asItIs), purposes: []string{BucketModels}, want: []Reference{certificate, claim("models")},
		},
		"a certificate that people bring must come with its authority": {
			spec:     ceph(func(spec *v1alpha1.CephSpec) { spec.ObjectStore.TLSSecretRef.Name = "own" }),
			purposes: []string{BucketPipelines},
			want:     []Reference{brought, claim("pipelines")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, withS3(test.spec).ObjectStorageReferences(test.purposes...)); diff != "" {
				t.Errorf("references (-want +got):\n%s", diff)
			}
		})
	}
}

func TestObjectStorageDigest(t *testing.T) {
	facts := withS3(external(func(spec *v1alpha1.ExternalObjectStorage) { spec.CASecretRef.Name = "ca" }))
	if got := facts.ObjectStorageDigest(BucketModels); got != "" {
		t.Errorf("before the Secrets exist: %q", got)
	}
	facts.Secrets = map[string]Secret{"s3": {Digest: "1"}, "ca": {Digest: "2"}, "other": {Digest: "3"}}
	if got := facts.ObjectStorageDigest(BucketModels); got != "s3=1,ca=2" {
		t.Errorf("digest = %q", got)
	}
	facts.Secrets["other"] = Secret{Digest: "4"}
	if got := facts.ObjectStorageDigest(BucketModels); got != "s3=1,ca=2" {
		t.Errorf("another Secret changes it: %q", got)
	}
}

// What is published names Secrets and never holds what is in them: nothing that is known here could.
func TestDiscovery(t *testing.T) {
	tests := map[string]struct {
		spec func(*v1alpha1.OpenDataHubSpec)
		want map[string]string
	}{
		"a service outside": {
			spec: external(asItIs),
			want: map[string]string{
				"S3_TYPE": "External", "S3_ENDPOINT_URL": "https://s3.example.com", "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
				"S3_HOST": "s3.example.com", "S3_PORT": "443", "S3_SECURE": "true", "S3_ADDRESSING": "Path",
				"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
				"BUCKET_DATA_LAKE_SECRET": "s3", "BUCKET_MODELS_SECRET": "s3", "BUCKET_PIPELINES_SECRET": "s3",
			},
		},
		"Ceph with a bucket that is named to confuse": {
			spec: ceph(func(spec *v1alpha1.CephSpec) {
				spec.ObjectStore.Buckets = []v1alpha1.CephBucket{{Name: "models-secret"}}
			}),
			want: map[string]string{
				"S3_TYPE": "Ceph", "S3_HOST": "rook-ceph-rgw-odh.lab.svc", "S3_PORT": "8443", "S3_SECURE": "true", "S3_ADDRESSING": "Path",
				"S3_ENDPOINT_URL":     "https://rook-ceph-rgw-odh.lab.svc:8443",
				"AWS_ENDPOINT_URL_S3": "https://rook-ceph-rgw-odh.lab.svc:8443",
				"AWS_REGION":          "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
				"S3_CA_SECRET": "odh-ceph-s3-tls", "S3_CA_KEY": "ca.crt",
				"BUCKET_DATA_LAKE_NAME": "odh-data-lake", "BUCKET_DATA_LAKE_SECRET": "odh-ceph-data-lake", "BUCKET_DATA_LAKE_CONFIGMAP": "odh-ceph-data-lake",
				"BUCKET_MODELS_NAME": "odh-models", "BUCKET_MODELS_SECRET": "odh-ceph-models", "BUCKET_MODELS_CONFIGMAP": "odh-ceph-models",
				"BUCKET_PIPELINES_NAME": "odh-pipelines", "BUCKET_PIPELINES_SECRET": "odh-ceph-pipelines", "BUCKET_PIPELINES_CONFIGMAP": "odh-ceph-pipelines",
				"BUCKET_MODELS_SECRET_NAME": "odh-models-secret", "BUCKET_MODELS_SECRET_SECRET": "odh-ceph-models-secret", "BUCKET_MODELS_SECRET_CONFIGMAP": "odh-ceph-models-secret",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, withS3(test.spec).ObjectStorage().Discovery()); diff != "" {
				t.Errorf("discovery (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEgress(t *testing.T) {
	const anyHost = `"to":[{"ipBlock":{"cidr":"0.0.0.0/0","except":["169.254.169.254/32"]}},{"ipBlock":{"cidr":"::/0","except":["fd00:ec2::254/128"]}}]`
	at := func(endpoint string) func(*v1alpha1.OpenDataHubSpec) {
		return external(func(spec *v1alpha1.ExternalObjectStorage) { spec.Endpoint = endpoint })
	}
	gateways := func(addresses ...string) func(*v1alpha1.OpenDataHubSpec) {
		return ceph(func(spec *v1alpha1.CephSpec) {
			spec.External = true
			spec.ObjectStore.ExternalGateways = addresses
		})
	}
	tests := map[string]struct {
		spec func(*v1alpha1.OpenDataHubSpec)
		want string
	}{
		"Ceph's gateways, and no other Pods": {
			ceph(asItIs),
			`[{"ports":[{"protocol":"TCP","port":8443}],"to":[{"podSelector":{"matchLabels":{"app":"rook-ceph-rgw","rook_object_store":"odh"}}}]}]`,
		},
		"gateways elsewhere, each by its address": {
			gateways("10.1.2.3:7480", "fd00::1"),
			`[{"ports":[{"protocol":"TCP","port":7480}],"to":[{"ipBlock":{"cidr":"10.1.2.3/32"}}]},` +
				`{"ports":[{"protocol":"TCP","port":8080}],"to":[{"ipBlock":{"cidr":"fd00::1/128"}}]}]`,
		},
		"a gateway elsewhere by its name": {
			gateways("rgw.example.com"),
			`[{"ports":[{"protocol":"TCP","port":8080}],` + anyHost + `}]`,
		},
		"a Service: its namespace, because its Pods may listen at another port": {
			at("http://minio.data.svc:9000"),
			`[{"to":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"data"}}}]}]`,
		},
		"a Service by its whole name": {
			at("https://minio.data.svc.cluster.local"),
			`[{"to":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"data"}}}]}]`,
		},
		"a host by its address": {
			at("http://192.168.1.20:9000"),
			`[{"ports":[{"protocol":"TCP","port":9000}],"to":[{"ipBlock":{"cidr":"192.168.1.20/32"}}]}]`,
		},
		"a host by its name: its port, wherever that is": {
			at("https://s3.example.com"),
			`[{"ports":[{"protocol":"TCP","port":443}],` + anyHost + `}]`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(withS3(test.spec).ObjectStorage().Egress())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnv(t *testing.T) {
	storage := withS3(ceph(asItIs)).ObjectStorage()
	var got []string
	for _, variable := range storage.Env(BucketModels, "/ca/ca.crt") {
		if from := variable.ValueFrom; from != nil {
			got = append(got, *variable.Name+"="+*from.SecretKeyRef.Name+"/"+*from.SecretKeyRef.Key)
		} else {
			got = append(got, *variable.Name+"="+*variable.Value)
		}
	}
	want := []string{
		"AWS_ACCESS_KEY_ID=odh-ceph-models/AWS_ACCESS_KEY_ID",
		"AWS_SECRET_ACCESS_KEY=odh-ceph-models/AWS_SECRET_ACCESS_KEY",
		"AWS_REGION=us-east-1",
		"AWS_DEFAULT_REGION=us-east-1",
		"AWS_ENDPOINT_URL_S3=https://rook-ceph-rgw-odh.lab.svc:8443",
		"S3_ENDPOINT_URL=https://rook-ceph-rgw-odh.lab.svc:8443",
		"AWS_S3_BUCKET=odh-models",
		"AWS_CA_BUNDLE=/ca/ca.crt",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}

	plain := withS3(external(asItIs)).ObjectStorage()
	for _, variable := range plain.Env(BucketModels, "") {
		if name := *variable.Name; name == "AWS_S3_BUCKET" || name == "AWS_CA_BUNDLE" {
			t.Errorf("%s should not be set", name)
		}
	}
	if plain.Volume("ca") != nil {
		t.Error("there is no authority to mount")
	}
}

// Nothing but the authority of a Secret may be mounted: the Secret of a server has the key beside it.
func TestVolumeHoldsTheAuthorityOnly(t *testing.T) {
	content, err := json.Marshal(withS3(ceph(asItIs)).ObjectStorage().Volume("ca"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `"secretName":"odh-ceph-s3-tls","items":[{"key":"ca.crt","path":"ca.crt"}]`; !strings.Contains(string(content), want) {
		t.Errorf("%s lacks %s", content, want)
	}
}
