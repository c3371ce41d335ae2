package mlflow

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/resource"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/postgresql"
	"opendatahub.io/operator/components/s3"
)

// The software. The image with the suffix -full has the drivers for PostgreSQL and S3; hack/python/mlflow.txt names the same
// version for the tests.
const (
	version = "3.15.1"
	image   = "ghcr.io/mlflow/mlflow:v" + version + "-full"
)

// Parts, and accounts of programs.
const (
	serverPart = "server"
	dataPart   = "data"
	notebooks  = "notebook"
	prometheus = "prometheus"
)

// field is where the component's block is.
const field = "spec.components.mlflow."

// port at which the server listens on the loopback of its Pod.
const port = 5000

// inputs is everything that the objects are made of: defaults filled in, contradictions refused.
type inputs struct {
	native.App
	proxy native.LoginProxy

	replicas, workers int32
	resources         v1alpha1.Resources
	// data is the volume with SQLite's file, or with artifacts when there is no object storage.
	data v1alpha1.Storage
	// database is nil with SQLite.
	database *postgresql.Database
	// storage has the artifacts; nil if there is none.
	storage *s3.Storage
	// secrets changes with the Secrets that the Pods read at their start.
	secrets string
}

// hasVolume reports whether something has to be kept on a volume. Then there is one replica.
func (in inputs) hasVolume() bool { return in.database == nil || in.storage == nil }

// profile is what the spec's profile stands for. Memory is that of Python processes with the libraries of data science.
type profile struct {
	replicas, workers int32
	resources         v1alpha1.Resources
	data              resource.Quantity
}

var profiles = map[v1alpha1.Profile]profile{
	v1alpha1.ProfileDevelopment: {
		replicas: 1, workers: 1, resources: native.Resources("50m", "512Mi", "", "1Gi"), data: resource.MustParse("2Gi"),
	},
	v1alpha1.ProfileStandard: {
		replicas: 1, workers: 2, resources: native.Resources("250m", "1Gi", "", "2Gi"), data: resource.MustParse("10Gi"),
	},
	v1alpha1.ProfileHighAvailability: {
		replicas: 2, workers: 4, resources: native.Resources("500m", "2Gi", "", "4Gi"), data: resource.MustParse("20Gi"),
	},
}

// proxyResources are those of the login proxy.
var proxyResources = native.Resources("10m", "32Mi", "", "256Mi")

func specOf(facts components.Facts) v1alpha1.MLflowSpec {
	if facts.Spec.Components.MLflow == nil {
		return v1alpha1.MLflowSpec{}
	}
	return *facts.Spec.Components.MLflow
}

func databaseOf(spec v1alpha1.MLflowSpec) postgresql.Setting {
	return postgresql.Setting{
		Purpose: name, Field: field + "database", Type: spec.Database.Type, Name: spec.Database.Name,
		Secret: spec.Database.URISecretRef.Name, Port: spec.Database.Port,
	}
}

// newProxy is the platform's login in front of the server. Models are large.
func newProxy(facts components.Facts) (native.App, native.LoginProxy, error) {
	app := native.NewApp(facts, name)
	proxy, err := native.NewLoginProxy(app, facts, native.WebInterface{
		Part: serverPart, Title: "MLflow", Port: port, APIPaths: []string{"^/(api|ajax-api)/", "^/metrics$"}, Programs: []string{notebooks, prometheus},
		IngressAnnotations: map[string]string{
			"nginx.ingress.kubernetes.io/proxy-body-size":         "0",
			"nginx.ingress.kubernetes.io/proxy-request-buffering": "off",
			"nginx.ingress.kubernetes.io/proxy-read-timeout":      "600",
		},
		RouteAnnotations: map[string]string{"haproxy.router.openshift.io/timeout": "10m"},
	})
	return app, proxy, err
}

func newInputs(facts components.Facts) (inputs, error) {
	spec := specOf(facts)
	profile, ok := profiles[facts.Spec.Profile]
	if !ok {
		profile = profiles[v1alpha1.ProfileStandard]
	}
	in := inputs{
		workers:   cmp.Or(spec.Workers, profile.workers),
		resources: native.Fill(spec.Resources, profile.resources),
		storage:   s3.Of(facts),
	}
	var err error
	if in.App, in.proxy, err = newProxy(facts); err != nil {
		return inputs{}, err
	}
	if in.database, err = databaseOf(spec).Resolve(facts); err != nil {
		return inputs{}, err
	}
	switch {
	case !in.hasVolume():
		in.replicas = cmp.Or(spec.Replicas, profile.replicas)
	case spec.Replicas > 1:
		return inputs{}, components.Invalid(field+"replicas", "without an object storage one server keeps artifacts on its volume; "+
			"use 1, or give the platform an object storage")
	default:
		in.replicas = 1
		if in.data, err = in.Storage(facts, field+"database.storage", dataPart, spec.Database.Storage, profile.data); err != nil {
			return inputs{}, err
		}
	}
	in.secrets = native.Digest(in.proxy.Secrets, native.SecretsDigest(facts, in.database.Secrets()...), s3.Digest(facts, experiments))
	return in, nil
}
