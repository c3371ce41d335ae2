package argoworkflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/postgresql"
	"opendatahub.io/operator/components/s3"
)

// The software. hack/argo reads the configuration with the code of this version.
const (
	version         = "4.0.5"
	registry        = "quay.io/argoproj/"
	controllerImage = registry + "workflow-controller:v" + version
	serverImage     = registry + "argocli:v" + version
	executorImage   = registry + "argoexec:v" + version
	// checkImage writes and reads a file in the workflow that checks the platform.
	checkImage = "docker.io/library/busybox:1.37.0"
)

// user is that of the images of Argo, and of steps whose workflow names no other.
const user = 8737

// Parts, names of objects, and keys of Secrets.
const (
	controllerPart = "controller"
	serverPart     = "server"
	pipelinePart   = "pipeline"
	usersPart      = "users"
	gcPart         = "gc"
	workflowsPart  = "workflows"
	checkPart      = "check"
	configName     = "config"
	tlsName        = "tls"
	ssoName        = "sso"
	storageCAName  = "storage-ca"
	tokenName      = "oauth" // the manager may create token Secrets of no other name
	clientIDKey    = "clientID"
	metricsName    = "metrics"
)

// Ports of the controller and the server.
const (
	metricsPort = 9090
	healthPort  = 6060
	serverPort  = 2746
)

// serverGrace is how many seconds the server may finish answers in. It always takes all of them: it catches the signal to end
// (util/logging/init.go of 4.0.5), and then waits for a channel that nobody closes (server/apiserver/argoserver.go).
const serverGrace = 10

// field is where the component's block is.
const field = "spec.components.argoWorkflows."

// inputs is everything that the objects are made of: defaults filled in, contradictions refused.
type inputs struct {
	native.App

	replicas, parallelism  int32
	resources, executor    v1alpha1.Resources
	succeeded, failed      int32 // seconds that finished workflows stay
	workflows              int32
	podGC, artifactGC      string
	archive                *postgresql.Database // nil if there is none
	archiveDays            int32
	storage                *s3.Storage // nil if there is none
	server                 *server     // nil if there is none
	secrets, serverSecrets string      // change with the Secrets that the Pods read at their start
}

// server is the web interface.
type server struct {
	exposure  native.Exposure
	login     native.Login
	replicas  int32
	resources v1alpha1.Resources

	app native.App
}

// profile is what the spec's profile stands for.
type profile struct {
	controllers, servers         int32
	controller, server, executor v1alpha1.Resources
}

var profiles = map[v1alpha1.Profile]profile{
	v1alpha1.ProfileDevelopment: {
		controllers: 1, servers: 1,
		controller: native.Resources("20m", "64Mi", "", "512Mi"), server: native.Resources("10m", "64Mi", "", "512Mi"),
		executor: native.Resources("10m", "64Mi", "", "512Mi"),
	},
	v1alpha1.ProfileStandard: {
		controllers: 1, servers: 1,
		controller: native.Resources("100m", "256Mi", "", "1Gi"), server: native.Resources("50m", "128Mi", "", "1Gi"),
		executor: native.Resources("20m", "64Mi", "", "1Gi"),
	},
	v1alpha1.ProfileHighAvailability: {
		controllers: 2, servers: 2,
		controller: native.Resources("200m", "512Mi", "", "2Gi"), server: native.Resources("100m", "256Mi", "", "1Gi"),
		executor: native.Resources("20m", "64Mi", "", "1Gi"),
	},
}

func profileOf(facts components.Facts) profile {
	if found, ok := profiles[facts.Spec.Profile]; ok {
		return found
	}
	return profiles[v1alpha1.ProfileStandard]
}

func specOf(facts components.Facts) v1alpha1.ArgoWorkflowsSpec {
	if facts.Spec.Components.ArgoWorkflows == nil {
		return v1alpha1.ArgoWorkflowsSpec{}
	}
	return *facts.Spec.Components.ArgoWorkflows
}

func hasServer(facts components.Facts) bool { return specOf(facts).Server.State != v1alpha1.Disabled }

const day = 24 * 60 * 60

func newInputs(facts components.Facts) (inputs, error) {
	spec, profile := specOf(facts), profileOf(facts)
	in := inputs{
		App:         native.NewApp(facts, name),
		replicas:    cmp.Or(spec.Controller.Replicas, profile.controllers),
		parallelism: spec.Controller.Parallelism,
		resources:   native.Fill(spec.Controller.Resources, profile.controller),
		executor:    native.Fill(spec.Executor, profile.executor),
		succeeded:   cmp.Or(spec.Retention.SecondsAfterSuccess, day),
		failed:      cmp.Or(spec.Retention.SecondsAfterFailure, 7*day),
		workflows:   spec.Retention.Workflows,
		podGC:       cmp.Or(spec.Retention.Pods, "OnPodSuccess"),
		artifactGC:  cmp.Or(spec.Artifacts.GarbageCollection, "OnWorkflowDeletion"),
		storage:     s3.Of(facts),
	}
	var err error
	if spec.Archive != nil {
		if facts.Spec.Database == nil {
			return inputs{}, components.Invalid(field+"archive", "the platform has no database server; set spec.database.external, or leave archive out")
		}
		in.archiveDays = cmp.Or(spec.Archive.Days, 365)
		if in.archive, err = archiveOf(*spec.Archive).Resolve(facts); err != nil {
			return inputs{}, err
		}
	}
	read := slices.Clone(in.archive.Secrets())
	in.secrets = native.SecretsDigest(facts, read...)
	if !hasServer(facts) {
		return in, nil
	}
	web, err := newServer(facts, in.App)
	if err != nil {
		return inputs{}, err
	}
	in.server = &web
	read = append(read, in.Object(tlsName), web.login.OIDC.ClientSecretRef.Name)
	if in.trustsMore() {
		read = append(read, in.LoginCA().Secret)
	}
	in.serverSecrets = native.SecretsDigest(facts, read...)
	return in, nil
}

// newServer resolves spec.ingress and spec.authentication for the server.
func newServer(facts components.Facts, app native.App) (server, error) {
	spec, profile := specOf(facts).Server, profileOf(facts)
	web := server{
		app:       app,
		replicas:  cmp.Or(spec.Replicas, profile.servers),
		resources: native.Fill(spec.Resources, profile.server),
	}
	var err error
	if web.exposure, err = app.Expose(facts); err != nil {
		return server{}, err
	}
	web.login, err = native.NewLogin(facts, web.exposure)
	return web, err
}

// secure reports whether the server speaks TLS. Behind an Ingress or an HTTPRoute it speaks HTTP: they have no portable way to be
// told an authority.
func (s server) secure() bool {
	return s.exposure.Type != v1alpha1.IngressIngress && s.exposure.Type != v1alpha1.IngressGateway
}

func (s server) scheme() string {
	if s.secure() {
		return "https"
	}
	return "http"
}

func (s server) web() native.Web {
	return native.Web{
		Part: serverPart, Title: "Argo Workflows", Secure: s.secure(),
		// Logs and the state of workflows are streams.
		IngressAnnotations: map[string]string{"nginx.ingress.kubernetes.io/proxy-read-timeout": "600"},
		RouteAnnotations:   map[string]string{"haproxy.router.openshift.io/timeout": "10m"},
	}
}

// sso reports whether people log in at the platform's OpenID Connect provider. Otherwise they bring a Kubernetes token, which says
// what they may do.
func (s server) sso() bool { return s.login.Type == v1alpha1.AuthenticationOIDC }

// callback is where the provider sends browsers back.
func (s server) callback() string { return s.app.URL(s.exposure, s.web()) + "oauth2/callback" }

// rule is the expression that says whom Argo lets in after a login at the provider.
func (s server) rule() string {
	if len(s.login.AllowedGroups) == 0 {
		return "true"
	}
	var rules []string
	for _, group := range append(append([]string{}, s.login.AllowedGroups...), s.login.AdminGroups...) {
		rules = append(rules, fmt.Sprintf("'%s' in groups", group)) // the schema allows no quotes in the name of a group
	}
	return strings.Join(rules, " || ")
}

// clusterCA reports whether OpenShift signed the certificate of the object storage.
func clusterCA(storage *s3.Storage) bool { return storage != nil && storage.CA.ConfigMap != "" }

// instance is the ID by which the controller knows its workflows: it ignores those of others.
func (in inputs) instance() string { return in.Web() }

func archiveOf(archive v1alpha1.ArgoWorkflowsArchive) postgresql.Setting {
	return postgresql.Setting{Purpose: "argo", Field: field + "archive", Type: v1alpha1.DatabasePlatform, Name: archive.Name}
}
