package s3_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/s3"
)

// withS3 is a platform odh in the namespace lab whose spec is made by change.
func withS3(change func(*v1alpha1.OpenDataHubSpec)) components.Facts {
	return on(components.Cluster{}, change)
}

func on(cluster components.Cluster, change func(*v1alpha1.OpenDataHubSpec), more ...components.Component) components.Facts {
	hub := &v1alpha1.OpenDataHub{}
	hub.Name, hub.Namespace = "odh", "lab"
	change(&hub.Spec)
	// One that stands for a component takes its place.
	all := slices.DeleteFunc(catalog.All(), func(component components.Component) bool {
		return slices.ContainsFunc(more, func(other components.Component) bool { return other.Name() == component.Name() })
	})
	return components.NewFacts(hub, cluster, append(all, more...))
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

var standard = []string{s3.DataLake, s3.Models, s3.Pipelines}

func asItIs[T any](*T) {}

func TestOf(t *testing.T) {
	claims := []components.Bucket{
		{Purpose: "data-lake", Name: "odh-data-lake", Secret: "odh-ceph-data-lake", ConfigMap: "odh-ceph-data-lake"},
		{Purpose: "models", Name: "odh-models", Secret: "odh-ceph-models", ConfigMap: "odh-ceph-models"},
		{Purpose: "pipelines", Name: "odh-pipelines", Secret: "odh-ceph-pipelines", ConfigMap: "odh-ceph-pipelines"},
	}
	shared := []components.Bucket{{Purpose: "data-lake", Secret: "s3"}, {Purpose: "models", Secret: "s3"}, {Purpose: "pipelines", Secret: "s3"}}
	ownCeph := s3.Storage{
		Type: "Ceph", Endpoint: "https://rook-ceph-rgw-odh.lab.svc:8443", Host: "rook-ceph-rgw-odh.lab.svc", Port: 8443, Secure: true,
		Region: "us-east-1", Addressing: "Path", CA: components.CertificateAuthority{Secret: "odh-ceph-s3-tls", Key: "ca.crt"}, Buckets: claims,
	}
	amazon := s3.Storage{
		Type: "External", Endpoint: "https://s3.example.com", Host: "s3.example.com", Port: 443, Secure: true,
		Region: "us-east-1", Addressing: "Path", Buckets: shared,
	}
	but := func(storage s3.Storage, change func(*s3.Storage)) *s3.Storage {
		change(&storage)
		return &storage
	}

	tests := map[string]struct {
		spec      func(*v1alpha1.OpenDataHubSpec)
		openShift bool
		want      *s3.Storage
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
		"an unmanaged Ceph still serves": {
			spec: ceph(func(spec *v1alpha1.CephSpec) { spec.ManagementState = v1alpha1.Unmanaged }), want: &ownCeph,
		},
		"Ceph without an object store": {
			spec: ceph(func(spec *v1alpha1.CephSpec) { spec.ObjectStore.State = v1alpha1.Disabled }),
		},
		"Ceph on OpenShift, which signs the certificate": {
			spec: ceph(asItIs), openShift: true,
			want: but(ownCeph, func(s *s3.Storage) {
				s.CA = components.CertificateAuthority{ConfigMap: "openshift-service-ca.crt", Key: "service-ca.crt"}
			}),
		},
		"Ceph with a certificate that people provide": {
			spec: ceph(func(spec *v1alpha1.CephSpec) { spec.ObjectStore.TLSSecretRef.Name = "own" }), openShift: true,
			want: but(ownCeph, func(s *s3.Storage) { s.CA = components.CertificateAuthority{Secret: "own", Key: "ca.crt"} }),
		},
		"Ceph with buckets of its own, one of them the platform's": {
			spec: ceph(func(spec *v1alpha1.CephSpec) {
				spec.ObjectStore.Buckets = []v1alpha1.CephBucket{{Name: "models"}, {Name: "raw"}}
			}),
			want: but(ownCeph, func(s *s3.Storage) {
				s.Buckets = append(append([]components.Bucket{}, claims...), components.Bucket{Purpose: "raw", Name: "odh-raw", Secret: "odh-ceph-raw", ConfigMap: "odh-ceph-raw"})
			}),
		},
		"a Ceph that runs elsewhere, without TLS": {
			spec: ceph(func(spec *v1alpha1.CephSpec) {
				spec.External = true
				spec.ObjectStore.ExternalGateways = []string{"10.1.2.3:7480"}
			}),
			want: but(ownCeph, func(s *s3.Storage) {
				s.Endpoint, s.Host, s.Port, s.Secure, s.CA = "http://10.1.2.3:7480", "10.1.2.3", 7480, false, components.CertificateAuthority{}
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
				spec.Endpoint, spec.Region, spec.Addressing = "https://s3.example.com:9443/", "eu-central-1", s3.AddressingVirtualHost
				spec.CASecretRef.Name = "s3-ca"
			}),
			want: but(amazon, func(s *s3.Storage) {
				s.Endpoint, s.Port, s.Region, s.Addressing = "https://s3.example.com:9443", 9443, "eu-central-1", "VirtualHost"
				s.CA = components.CertificateAuthority{Secret: "s3-ca", Key: "ca.crt"}
			}),
		},
		"a service without TLS": {
			spec: external(func(spec *v1alpha1.ExternalObjectStorage) { spec.Endpoint = "http://minio.data.svc" }),
			want: but(amazon, func(s *s3.Storage) {
				s.Endpoint, s.Host, s.Port, s.Secure = "http://minio.data.svc", "minio.data.svc", 80, false
			}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			facts := on(components.Cluster{OpenShift: test.openShift}, test.spec)
			if diff := cmp.Diff(test.want, s3.Of(facts), cmpopts.IgnoreUnexported(s3.Storage{})); diff != "" {
				t.Errorf("object storage (-want +got):\n%s", diff)
			}
		})
	}
}

// pipelines and serving stand for components that keep objects: one as the API names its bucket, one with a purpose of its own.
type pipelines struct{ components.Component }

func (pipelines) Name() string { return "argoWorkflows" }

func (pipelines) Declare(facts components.Facts) components.Declarations {
	return components.Declarations{Buckets: []components.BucketClaim{{
		Purpose: s3.Pipelines, Name: facts.Spec.Components.ArgoWorkflows.Artifacts.Bucket, Field: "spec.components.argoWorkflows.artifacts.bucket",
	}}}
}

type serving struct {
	components.Component
	purpose string
}

func (serving) Name() string { return "seldon" }

func (s serving) Declare(facts components.Facts) components.Declarations {
	return components.Declarations{Buckets: []components.BucketClaim{{
		Purpose: s.purpose, Name: facts.Spec.Components.Seldon.Models.Bucket, Field: "spec.components.seldon.models.bucket",
	}}}
}

func TestDeclaredBuckets(t *testing.T) {
	named := func(where func(*v1alpha1.OpenDataHubSpec), artifacts, models string) func(*v1alpha1.OpenDataHubSpec) {
		return func(spec *v1alpha1.OpenDataHubSpec) {
			where(spec)
			spec.Components.ArgoWorkflows = &v1alpha1.ArgoWorkflowsSpec{Artifacts: v1alpha1.ArgoWorkflowsArtifacts{Bucket: artifacts}}
			spec.Components.Seldon = &v1alpha1.SeldonSpec{Models: v1alpha1.SeldonModels{Bucket: models}}
		}
	}
	tests := map[string]struct {
		spec    func(*v1alpha1.OpenDataHubSpec)
		purpose string // of serving
		want    []string
		wantErr string
	}{
		"a service outside has the buckets that are named": {
			spec: named(external(asItIs), "steps", "zoo"), purpose: "zoo",
			want: []string{"data-lake: ", "models: ", "pipelines: steps", "zoo: zoo"},
		},
		"a bucket without a name is named after its purpose in a service outside": {
			spec: named(external(asItIs), "", ""), purpose: "zoo",
			want: []string{"data-lake: ", "models: ", "pipelines: pipelines", "zoo: zoo"},
		},
		"Ceph makes the buckets that are named, and names the rest": {
			spec: named(ceph(asItIs), "steps", ""), purpose: "zoo",
			want: []string{"data-lake: odh-data-lake", "models: odh-models", "pipelines: steps", "zoo: odh-zoo"},
		},
		"two may share a bucket that one of them names": {
			spec: named(ceph(asItIs), "", "steps"), purpose: s3.Pipelines,
			want: []string{"data-lake: odh-data-lake", "models: odh-models", "pipelines: steps"},
		},
		"two may not name it differently": {
			spec: named(external(asItIs), "steps", "zoo"), purpose: s3.Pipelines,
			want: []string{"data-lake: ", "models: ", "pipelines: steps"},
			wantErr: "spec.components.seldon.models.bucket: pipelines holds one bucket, and spec.components.argoWorkflows.artifacts.bucket is steps; " +
				"use the same name, or leave one out",
		},
		"what is removed declares nothing": {
			spec: func(spec *v1alpha1.OpenDataHubSpec) {
				named(external(asItIs), "steps", "zoo")(spec)
				spec.Components.Seldon.ManagementState = v1alpha1.Removed
			},
			purpose: "zoo", want: []string{"data-lake: ", "models: ", "pipelines: steps"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			facts := on(components.Cluster{}, test.spec, pipelines{}, serving{purpose: test.purpose})
			var got []string
			for _, bucket := range s3.Of(facts).Buckets {
				got = append(got, bucket.Purpose+": "+bucket.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("buckets (-want +got):\n%s", diff)
			}
			text := ""
			if err := s3.Contradiction(facts); err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff(test.wantErr, text); diff != "" {
				t.Errorf("contradiction (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReferences(t *testing.T) {
	credentials := components.Reference{
		Field: "spec.objectStorage.external.credentialsSecretRef", Name: "s3", Keys: []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
		SentTo: []string{"https://s3.example.com"},
	}
	claim := func(purpose string) components.Reference {
		return components.Reference{Field: "spec.components.ceph", Name: "odh-ceph-" + purpose, Keys: credentials.Keys, Awaited: true}
	}
	certificate := components.Reference{Field: "spec.components.ceph.objectStore.tlsSecretRef", Name: "odh-ceph-s3-tls", Keys: []string{"ca.crt"}, Awaited: true}
	brought := certificate
	brought.Name, brought.Awaited = "own", false

	tests := map[string]struct {
		spec     func(*v1alpha1.OpenDataHubSpec)
		purposes []string
		want     []components.Reference
	}{
		"no object storage": {spec: asItIs[v1alpha1.OpenDataHubSpec], purposes: standard},
		"the one Secret of a service outside, once": {
			spec: external(asItIs), purposes: standard, want: []components.Reference{credentials},
		},
		"and its authority": {
			spec:     external(func(spec *v1alpha1.ExternalObjectStorage) { spec.CASecretRef.Name = "ca" }),
			purposes: []string{s3.Models},
			want: []components.Reference{credentials, {
				Field: "spec.objectStorage.external.caSecretRef", Name: "ca", Keys: []string{"ca.crt"},
			}},
		},
		"Ceph's are awaited, and only those of the buckets that are used": {
			spec: ceph(asItIs), purposes: []string{s3.Models}, want: []components.Reference{certificate, claim("models")},
		},
		"a certificate that people provide must come with its authority": {
			spec:     ceph(func(spec *v1alpha1.CephSpec) { spec.ObjectStore.TLSSecretRef.Name = "own" }),
			purposes: []string{s3.Pipelines},
			want:     []components.Reference{brought, claim("pipelines")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, s3.References(withS3(test.spec), test.purposes...)); diff != "" {
				t.Errorf("references (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	facts := withS3(external(func(spec *v1alpha1.ExternalObjectStorage) { spec.CASecretRef.Name = "ca" }))
	if got := s3.Digest(facts, s3.Models); got != "" {
		t.Errorf("before the Secrets exist: %q", got)
	}
	facts.Secrets = map[string]components.Secret{"s3": {Digest: "1"}, "ca": {Digest: "2"}, "other": {Digest: "3"}}
	if got := s3.Digest(facts, s3.Models); got != "s3=1,ca=2" {
		t.Errorf("digest = %q", got)
	}
	facts.Secrets["other"] = components.Secret{Digest: "4"}
	if got := s3.Digest(facts, s3.Models); got != "s3=1,ca=2" {
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
			if diff := cmp.Diff(test.want, s3.Of(withS3(test.spec)).Discovery()); diff != "" {
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
			got, err := json.Marshal(s3.Of(withS3(test.spec)).Egress())
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
	storage := s3.Of(withS3(ceph(asItIs)))
	var got []string
	for _, variable := range storage.Env(s3.Models, "/ca/ca.crt") {
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

	plain := s3.Of(withS3(external(asItIs)))
	for _, variable := range plain.Env(s3.Models, "") {
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
	content, err := json.Marshal(s3.Of(withS3(ceph(asItIs))).Volume("ca"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `"secretName":"odh-ceph-s3-tls","items":[{"key":"ca.crt","path":"ca.crt"}]`; !strings.Contains(string(content), want) {
		t.Errorf("%s lacks %s", content, want)
	}
}
