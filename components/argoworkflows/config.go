package argoworkflows

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/postgresql"
	"opendatahub.io/operator/components/s3"
)

// config has the fields that are set of https://argo-workflows.readthedocs.io/en/latest/workflow-controller-configmap/
type config struct {
	InstanceID         string                            `json:"instanceID"`
	Parallelism        int32                             `json:"parallelism,omitempty"`
	ArtifactRepository *artifactRepository               `json:"artifactRepository,omitempty"`
	Executor           *core.ContainerApplyConfiguration `json:"executor"`
	MainContainer      *core.ContainerApplyConfiguration `json:"mainContainer"`
	WorkflowDefaults   workflowDefaults                  `json:"workflowDefaults"`
	MetricsConfig      metricsConfig                     `json:"metricsConfig"`
	RetentionPolicy    *retentionPolicy                  `json:"retentionPolicy,omitempty"`
	Persistence        *persistence                      `json:"persistence,omitempty"`
	SSO                *sso                              `json:"sso,omitempty"`
}

type secretKey struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

type artifactRepository struct {
	ArchiveLogs bool     `json:"archiveLogs"`
	S3          s3Bucket `json:"s3"`
}

type s3Bucket struct {
	Endpoint  string     `json:"endpoint"`
	Insecure  bool       `json:"insecure"`
	Region    string     `json:"region"`
	Bucket    string     `json:"bucket"`
	KeyFormat string     `json:"keyFormat"`
	AccessKey secretKey  `json:"accessKeySecret"`
	SecretKey secretKey  `json:"secretKeySecret"`
	CA        *secretKey `json:"caSecret,omitempty"`
}

type workflowDefaults struct {
	Spec workflowSpec `json:"spec"`
}

// workflowSpec is the default spec of workflows.
type workflowSpec struct {
	ServiceAccountName string                                     `json:"serviceAccountName"`
	AutomountToken     bool                                       `json:"automountServiceAccountToken"`
	SecurityContext    *core.PodSecurityContextApplyConfiguration `json:"securityContext"`
	TTLStrategy        ttlStrategy                                `json:"ttlStrategy"`
	PodGC              strategy                                   `json:"podGC"`
	ArtifactGC         *artifactGC                                `json:"artifactGC,omitempty"`
}

type artifactGC struct {
	Strategy           string      `json:"strategy"`
	ServiceAccountName string      `json:"serviceAccountName"`
	PodMetadata        podMetadata `json:"podMetadata"`
	PodSpecPatch       string      `json:"podSpecPatch,omitempty"`
}

type podMetadata struct {
	Labels map[string]string `json:"labels"`
}

type ttlStrategy struct {
	SecondsAfterSuccess int32 `json:"secondsAfterSuccess"`
	SecondsAfterFailure int32 `json:"secondsAfterFailure"`
}

type strategy struct {
	Strategy string `json:"strategy"`
}

type metricsConfig struct {
	Enabled bool   `json:"enabled"`
	Path    string `json:"path"`
	Port    int32  `json:"port"`
	Secure  bool   `json:"secure"`
}

type retentionPolicy struct {
	Completed int32 `json:"completed"`
	Failed    int32 `json:"failed"`
	Errored   int32 `json:"errored"`
}

type persistence struct {
	Archive     bool       `json:"archive"`
	ArchiveTTL  string     `json:"archiveTTL"`
	ClusterName string     `json:"clusterName"`
	PostgreSQL  postgreSQL `json:"postgresql"`
}

type postgreSQL struct {
	Host     string    `json:"host"`
	Port     int32     `json:"port"`
	Database string    `json:"database"`
	Table    string    `json:"tableName"`
	User     secretKey `json:"userNameSecret"`
	Password secretKey `json:"passwordSecret"`
	SSL      bool      `json:"ssl"`
	SSLMode  string    `json:"sslMode"`
}

type sso struct {
	Issuer       string    `json:"issuer"`
	ClientID     secretKey `json:"clientId"`
	ClientSecret secretKey `json:"clientSecret"`
	RedirectURL  string    `json:"redirectUrl"`
	Scopes       []string  `json:"scopes,omitempty"`
	GroupsClaim  string    `json:"customGroupClaimName,omitempty"`
	RBAC         ssoRBAC   `json:"rbac"`
}

type ssoRBAC struct {
	Enabled bool `json:"enabled"`
}

// restricted is the security context of a container as the restricted Pod Security Standard wants it.
func restricted() *core.SecurityContextApplyConfiguration {
	return core.SecurityContext().
		WithAllowPrivilegeEscalation(false).
		WithCapabilities(core.Capabilities().WithDrop("ALL"))
}

// config is the configuration of the controller and of the server, in YAML.
func (in inputs) config() string {
	security := core.PodSecurityContext().
		WithRunAsNonRoot(true).
		WithSeccompProfile(core.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if !in.OpenShift {
		security.WithRunAsUser(user).WithFSGroup(user)
	}
	executor := native.Container("", "", in.executor)
	executor.Name, executor.Image, executor.TerminationMessagePolicy = nil, nil, nil
	executor.SecurityContext = restricted()
	outbound := in.Outbound.Env()
	config := config{
		InstanceID:    in.instance(),
		Parallelism:   in.parallelism,
		Executor:      executor.WithImagePullPolicy(corev1.PullIfNotPresent).WithEnv(outbound...),
		MainContainer: core.Container().WithSecurityContext(restricted()).WithEnv(outbound...),
		WorkflowDefaults: workflowDefaults{workflowSpec{
			ServiceAccountName: in.Object(pipelinePart),
			AutomountToken:     true, // the executor reports with it
			SecurityContext:    security,
			TTLStrategy:        ttlStrategy{in.succeeded, in.failed},
			PodGC:              strategy{in.podGC},
		}},
		// With TLS it would present a certificate that nobody can verify. The network policy lets Prometheus in, and nobody
		// else.
		MetricsConfig: metricsConfig{Enabled: true, Path: "/metrics", Port: metricsPort},
	}
	if in.workflows > 0 {
		config.RetentionPolicy = &retentionPolicy{in.workflows, in.workflows, in.workflows}
	}
	if in.storage != nil {
		config.ArtifactRepository = &artifactRepository{ArchiveLogs: true, S3: in.bucket()}
		config.WorkflowDefaults.Spec.ArtifactGC = &artifactGC{
			Strategy: in.artifactGC, ServiceAccountName: in.Object(gcPart),
			// By itself Argo gives these Pods another label than the one by which its controller and our network policy know
			// them (workflow/controller/artifact_gc.go): without it no workflow that has files ever goes.
			PodMetadata: podMetadata{in.workflowPods()},
		}
		config.WorkflowDefaults.Spec.ArtifactGC.PodSpecPatch = in.gcPatch()
	}
	if in.archive != nil {
		config.Persistence = in.persistence()
	}
	if in.server != nil && in.server.sso() {
		config.SSO = in.sso()
	}
	content, err := yaml.Marshal(config)
	if err != nil {
		panic(err) // strings, numbers and lists of them
	}
	return string(content)
}

// gcPatch is what Pods that delete artifacts have otherwise than Argo makes them. Empty: nothing.
func (in inputs) gcPatch() string {
	switch env := in.Outbound.Env(); {
	case in.OpenShift && len(env) > 0:
		return fmt.Sprintf(`{"securityContext":{"runAsUser":null},"containers":[{"name":"main","env":%s,"securityContext":{"runAsUser":null}}]}`, native.JSON(env))
	case in.OpenShift:
		// The Pod has Argo's own user (workflow/common/security_context.go), but OpenShift assigns users.
		return `{"securityContext":{"runAsUser":null},"containers":[{"name":"main","securityContext":{"runAsUser":null}}]}`
	case len(env) > 0:
		return fmt.Sprintf(`{"containers":[{"name":"main","env":%s}]}`, native.JSON(env))
	default:
		return ""
	}
}

func (in inputs) bucket() s3Bucket {
	bucket := in.storage.Bucket(s3.Pipelines)
	repository := s3Bucket{
		Endpoint: net.JoinHostPort(in.storage.Host, strconv.Itoa(int(in.storage.Port))),
		Insecure: !in.storage.Secure,
		Region:   in.storage.Region,
		Bucket:   bucket.Name,
		// Platforms may share a bucket.
		KeyFormat: fmt.Sprintf("%s/%s/{{workflow.name}}/{{pod.name}}", in.Platform.Namespace, in.Platform.Name),
		AccessKey: secretKey{bucket.Secret, s3.AccessKey},
		SecretKey: secretKey{bucket.Secret, s3.SecretKey},
	}
	switch {
	case clusterCA(in.storage):
		repository.CA = &secretKey{in.Object(storageCAName), corev1.TLSCertKey}
	case in.storage.CA.Secret != "":
		repository.CA = &secretKey{in.storage.CA.Secret, in.storage.CA.Key}
	}
	return repository
}

// persistence is the archive. Each workflow in it names its platform, so that several platforms may share a database.
func (in inputs) persistence() *persistence {
	server, name := in.archive.Server()
	credentials := server.CredentialsSecretRef.Name
	mode := "disable"
	if server.CASecretRef.Name != "" {
		mode = "verify-full" // with the authority in PGSSLROOTCERT
	}
	return &persistence{
		Archive: true, ArchiveTTL: fmt.Sprintf("%dd", in.archiveDays), ClusterName: in.Platform.Namespace + "." + in.Platform.Name,
		PostgreSQL: postgreSQL{
			Host: server.Host, Port: server.Port, Database: name, Table: "argo_workflows", // without a name Argo refuses to start
			User: secretKey{credentials, postgresql.UsernameKey}, Password: secretKey{credentials, postgresql.PasswordKey},
			SSL: true, SSLMode: mode, // without ssl Argo does not look at the mode
		},
	}
}

func (in inputs) sso() *sso {
	oidc := in.server.login.OIDC
	login := &sso{
		Issuer:       oidc.Issuer,
		ClientID:     secretKey{in.Object(ssoName), clientIDKey},
		ClientSecret: secretKey{oidc.ClientSecretRef.Name, native.OIDCSecretKey},
		RedirectURL:  in.server.callback(),
		// Argo asks for openid by itself.
		Scopes: slices.DeleteFunc(slices.Clone(oidc.Scopes), func(scope string) bool { return scope == "openid" }),
		RBAC:   ssoRBAC{Enabled: true},
	}
	if oidc.GroupsClaim != "groups" {
		login.GroupsClaim = oidc.GroupsClaim
	}
	return login
}
