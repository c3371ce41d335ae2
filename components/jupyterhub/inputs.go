package jupyterhub

import (
	"cmp"
	"slices"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

// The keys of Secrets.
const (
	adminKey        = "password"
	cookieKey       = "cookie-secret"
	cryptKey        = "crypt-key"
	prometheusKey   = "token-prometheus"
	proxyTokenKey   = "proxy-token"
	accountTokenKey = "token" // as Kubernetes fills it in
)

// inputs is everything that the objects are made of: defaults filled in, contradictions refused.
type inputs struct {
	native.App

	hub      v1alpha1.Resources
	proxy    v1alpha1.Resources
	database v1alpha1.Storage
	home     v1alpha1.Storage

	login  native.Login
	expose native.Exposure
	// apiPorts are those at which the hub reaches the API server and the login provider.
	apiPorts []int32
	// notebooks is what they get of other components.
	notebooks components.Notebooks
	// storage is the S3 service that notebooks use; nil if there is none.
	storage *s3.Storage

	images       []v1alpha1.NotebookImage
	defaultImage string
	sizes        []v1alpha1.NotebookSize
	defaultSize  string
	culling      *culling
	limits       limits

	// hubSecrets and proxySecrets change with the Secrets that each reads at its start.
	hubSecrets, proxySecrets string
}

// limits of the whole hub; zero is none.
type limits struct{ concurrentSpawns, activeServers, namedServers int32 }

// web is what browsers talk to: the proxy. Kernels talk over websockets that may be silent for long, and people upload
// notebooks with pictures in them.
var web = native.Web{
	Part: proxyPart,
	IngressAnnotations: map[string]string{
		"nginx.ingress.kubernetes.io/proxy-body-size":    "256m",
		"nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
		"nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
	},
	RouteAnnotations: map[string]string{
		"haproxy.router.openshift.io/timeout": "5m", "haproxy.router.openshift.io/timeout-tunnel": "1h",
	},
}

// callback is where the provider of the login sends browsers back.
func callback(url string) string { return url + "hub/oauth_callback" }

// url at which the hub is used, with a slash at its end.
func (in inputs) url() string { return in.URL(in.expose, web) }

func newInputs(facts components.Facts) (inputs, error) {
	var spec v1alpha1.JupyterHubSpec
	if facts.Spec.Components.JupyterHub != nil {
		spec = *facts.Spec.Components.JupyterHub
	}
	profile := profileOf(facts.Spec.Profile)
	in := inputs{
		App:    native.NewApp(facts, name),
		hub:    native.Fill(spec.Hub.Resources, profile.hub),
		proxy:  native.Fill(spec.Proxy.Resources, profile.proxy),
		home:   v1alpha1.Storage{Size: native.OrDefault(spec.Home.Size, profile.home), StorageClassName: spec.Home.StorageClassName},
		images: orList(spec.Images, defaultImages),
		sizes:  orList(spec.Sizes, profile.sizes),
		limits: limits{
			concurrentSpawns: cmp.Or(spec.ConcurrentSpawnLimit, 64),
			activeServers:    spec.ActiveServerLimit,
			namedServers:     spec.NamedServersPerUser,
		},
	}
	if spec.Culling.State != v1alpha1.Disabled {
		in.culling = &culling{
			IdleTimeoutSeconds: cmp.Or(spec.Culling.IdleTimeoutSeconds, 3600),
			MaxAgeSeconds:      spec.Culling.MaxAgeSeconds,
		}
	}
	// What JupyterHub's own dashboards select by.
	in.ObjectLabels = map[string]string{"app": in.Name}
	var err error
	if in.database, err = in.Storage(facts, "spec.components.jupyterHub.database", databasePart, spec.Database, profile.database); err != nil {
		return inputs{}, err
	}
	if in.expose, err = in.Expose(facts); err != nil {
		return inputs{}, err
	}
	if in.login, err = native.NewLogin(facts, in.expose); err != nil {
		return inputs{}, err
	}
	if in.defaultImage, err = chosen("defaultImage", spec.DefaultImage, in.images, imageName); err != nil {
		return inputs{}, err
	}
	if in.defaultSize, err = chosen("defaultSize", spec.DefaultSize, in.sizes, sizeName); err != nil {
		return inputs{}, err
	}
	in.apiPorts = apiPorts(in.login)
	in.notebooks = facts.Declared.Notebooks
	in.storage = s3.Of(facts)
	in.hubSecrets = native.SecretsDigest(facts,
		in.Object(keysPart), in.Object(proxyPart), in.Object(loginPart), in.login.OIDC.ClientSecretRef.Name)
	in.proxySecrets = native.SecretsDigest(facts, in.Object(proxyPart))
	return in, nil
}

func imageName(image v1alpha1.NotebookImage) string { return image.Name }
func sizeName(size v1alpha1.NotebookSize) string    { return size.Name }

// chosen is the name that is chosen already when the form opens.
func chosen[T any](field, want string, from []T, nameOf func(T) string) (string, error) {
	if want == "" {
		return nameOf(from[0]), nil
	}
	var names []string
	for _, item := range from {
		names = append(names, nameOf(item))
	}
	if !slices.Contains(names, want) {
		return "", components.Invalid("spec.components.jupyterHub."+field, "%s does not exist; use one of %v", want, names)
	}
	return want, nil
}

// apiPorts are those of the API server and of the login provider.
func apiPorts(login native.Login) []int32 {
	ports := append(native.APIServerPorts(), login.Ports()...)
	slices.Sort(ports)
	return slices.Compact(ports)
}
