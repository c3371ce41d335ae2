package seldon

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

// The software: the last release under the Apache licence. The model servers are those of the operator's configuration; the image that
// fetches models is named here, because its container must say more than the operator can.
const (
	version          = "1.17.1"
	initializerImage = "docker.io/seldonio/rclone-storage-initializer:" + version
)

// user of Seldon's images.
const user = 8888

// Parts, and names in what Seldon makes.
const (
	modelsPart    = "models"
	routerPart    = "router"
	predictorName = "default"
	modelName     = "model"
	// initializerName is the name by which Seldon's operator knows what fetches a model.
	initializerName = modelName + "-model-initializer"
	engineName      = "seldon-container-engine"
)

// Ports of the executor, which answers for a model, and of the model server behind it.
const (
	httpPort    = 8000
	grpcPort    = 5001
	metricsPort = 6000
	metricsName = "metrics"
	metricsPath = "/prometheus"
)

// Labels of the Pods that Seldon's operator makes.
const (
	labelManagedBy  = "app.kubernetes.io/managed-by"
	managedBy       = "seldon-core"
	labelDeployment = "seldon-deployment-id"
)

// Ports of the router, see opendatahub.io/operator/modelrouter: on the loopback of its Pod, and for the kubelet.
const (
	routerPort = 8000
	probePort  = 8081
)

// programs is the account of programs that call exposed models.
const programs = "client"

// LabelRevision says of which specification of its SeldonDeployment a Pod is: Seldon's status does not.
const LabelRevision = "opendatahub.io/revision"

// field is where the component's block is.
const field = "spec.components.seldon."

// accessCluster is the value of spec.components.seldon.access that lets all Pods of the cluster call models.
const accessCluster = "Cluster"

// inputs is everything that the objects are made of: defaults filled in, contradictions refused.
type inputs struct {
	native.App

	access string
	// storage has the models; nil if there is none.
	storage *s3.Storage
	// secrets changes with the Secrets that a model is fetched with.
	secrets string
	models  []model
	// log is where requests are logged; nil if they are not.
	log *requestLog
	// exposed is what exposes models outside the cluster; nil if none is to be.
	exposed *exposed
}

// exposed is the platform's login in front of a router to the models.
type exposed struct {
	proxy    native.LoginProxy
	image    string
	replicas int32
}

// model is one that the platform serves.
type model struct {
	spec     v1alpha1.SeldonModelDeployment
	executor v1alpha1.Resources
}

// profile is what the spec's profile stands for. Memory of a model server is that of a Python process with the libraries of data
// science.
type profile struct {
	replicas        int32
	model, executor v1alpha1.Resources
}

var profiles = map[v1alpha1.Profile]profile{
	v1alpha1.ProfileDevelopment: {
		replicas: 1, model: native.Resources("20m", "256Mi", "", "1Gi"), executor: native.Resources("10m", "32Mi", "", "256Mi"),
	},
	v1alpha1.ProfileStandard: {
		replicas: 1, model: native.Resources("100m", "512Mi", "", "2Gi"), executor: native.Resources("50m", "64Mi", "", "512Mi"),
	},
	v1alpha1.ProfileHighAvailability: {
		replicas: 2, model: native.Resources("250m", "512Mi", "", "2Gi"), executor: native.Resources("100m", "64Mi", "", "512Mi"),
	},
}

// routerResources and proxyResources are those of what exposes models.
var (
	routerResources = native.Resources("10m", "32Mi", "", "128Mi")
	proxyResources  = native.Resources("10m", "32Mi", "", "256Mi")
)

// initializerResources are those of what fetches a model.
var initializerResources = native.Resources("10m", "64Mi", "", "1Gi")

// modelVolumeSize bounds the file system that holds the model in a Pod.
var modelVolumeSize = resource.MustParse("5Gi")

func specOf(facts components.Facts) v1alpha1.SeldonSpec {
	if facts.Spec.Components.Seldon == nil {
		return v1alpha1.SeldonSpec{}
	}
	return *facts.Spec.Components.Seldon
}

// exposes reports whether the spec exposes a model.
func exposes(facts components.Facts) bool {
	return slices.ContainsFunc(specOf(facts).Deployments, func(deployment v1alpha1.SeldonModelDeployment) bool {
		return deployment.Exposure == v1alpha1.SeldonExposureLogin
	})
}

// newProxy is the platform's login in front of the router.
func newProxy(facts components.Facts) (native.LoginProxy, error) {
	return native.NewLoginProxy(native.NewApp(facts, name), facts, native.WebInterface{
		Part: routerPart, Port: routerPort, APIPaths: []string{"^/seldon/"}, Programs: []string{programs}, BearerTokens: true,
		IngressAnnotations: map[string]string{
			"nginx.ingress.kubernetes.io/proxy-body-size":    "32m", // as the router
			"nginx.ingress.kubernetes.io/proxy-read-timeout": "600",
		},
		RouteAnnotations: map[string]string{"haproxy.router.openshift.io/timeout": "10m"},
	})
}

func newInputs(facts components.Facts) (inputs, error) {
	spec := specOf(facts)
	profile, ok := profiles[facts.Spec.Profile]
	if !ok {
		profile = profiles[v1alpha1.ProfileStandard]
	}
	in := inputs{
		App:     native.NewApp(facts, name),
		access:  spec.Access,
		storage: s3.Of(facts),
		secrets: s3.Digest(facts, s3.Models),
	}
	var err error
	if in.log, err = newRequestLog(facts); err != nil {
		return inputs{}, err
	}
	if exposes(facts) {
		proxy, err := newProxy(facts)
		if err != nil {
			return inputs{}, err
		}
		in.exposed = &exposed{proxy: proxy, image: native.OperatorImage(facts), replicas: profile.replicas}
	}
	for i, deployment := range spec.Deployments {
		path := fmt.Sprintf("%sdeployments[%d]", field, i)
		if in.storage == nil {
			return inputs{}, components.Invalid(path, "the platform has no object storage to fetch the model from; give it one, in spec.objectStorage or with ceph")
		}
		if deployment.Exposure == v1alpha1.SeldonExposureLogin && in.exposed.proxy.Exposure.Host == "" {
			return inputs{}, components.Invalid(path+".exposure", "the platform has no address outside the cluster at which %s could be exposed; "+
				"give it one with spec.ingress, or use None", deployment.Name)
		}
		deployment.Path = cmp.Or(deployment.Path, deployment.Name)
		deployment.Replicas = cmp.Or(deployment.Replicas, profile.replicas)
		deployment.Resources = native.Fill(deployment.Resources, profile.model)
		m := model{spec: deployment, executor: profile.executor}
		if service := in.service(m); len(service) > longestName {
			return inputs{}, components.Invalid(path+".name", "%s is %d characters longer than what a Service can be called of a platform called %s; use a shorter name",
				deployment.Name, len(service)-longestName, in.Platform.Name)
		}
		in.models = append(in.models, m)
	}
	return in, nil
}

// longestName of a Service. Seldon calls one with a longer name by a digest.
const longestName = 63

// service is the name of the Service that Seldon's operator makes for a model.
func (in inputs) service(m model) string { return in.Object(m.spec.Name) + "-" + predictorName }

// predictions is the path at which a model answers.
const predictions = "/api/v1.0/predictions"

// address of a model's Service.
func (in inputs) address(service string) string {
	return fmt.Sprintf("http://%s.%s.svc:%d", service, in.Platform.Namespace, httpPort)
}

// url outside the cluster at which an exposed SeldonDeployment answers.
func (e exposed) url(namespace, deployment string) string {
	return strings.TrimSuffix(e.proxy.URL(), "/") + "/seldon/" + namespace + "/" + deployment + predictions
}

// endpoints of the models, with the patterns of all. Names of models have no slash.
func (in inputs) endpoints() []v1alpha1.Endpoint {
	endpoints := []v1alpha1.Endpoint{{Name: modelsPart, URL: in.address("<SeldonDeployment>-<predictor>") + predictions}}
	for _, model := range in.models {
		endpoints = append(endpoints, v1alpha1.Endpoint{Name: modelsPart + "/" + model.spec.Name, URL: in.address(in.service(model)) + predictions})
	}
	if in.exposed == nil {
		return endpoints
	}
	for _, model := range in.models {
		if model.spec.Exposure == v1alpha1.SeldonExposureLogin {
			endpoints = append(endpoints, v1alpha1.Endpoint{
				Name: "exposed/" + model.spec.Name, URL: in.exposed.url(in.Platform.Namespace, in.Object(model.spec.Name)),
			})
		}
	}
	return endpoints
}

// implementation is Seldon's name of a model server.
func (m model) implementation() string {
	if m.spec.Server == v1alpha1.SeldonXGBoost {
		return "XGBOOST_SERVER"
	}
	return "SKLEARN_SERVER"
}

// parameters of a model server: which function of scikit-learn it calls, if not its default. (SKLearnServer.py, Seldon Core 1.17.1)
func (m model) parameters() []parameter {
	function, other := map[v1alpha1.SeldonAnswer]string{
		v1alpha1.SeldonAnswerPrediction: "predict", v1alpha1.SeldonAnswerDecision: "decision_function",
	}[m.spec.Answer]
	if !other {
		return nil
	}
	return []parameter{{Name: "method", Type: "STRING", Value: function}}
}
