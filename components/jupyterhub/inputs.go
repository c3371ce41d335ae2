package jupyterhub

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

// The keys of Secrets.
const (
	adminKey        = "password"
	cookieKey       = "cookie-secret"
	cryptKey        = "crypt-key"
	prometheusKey   = "token-prometheus"
	proxyTokenKey   = "proxy-token"
	accountTokenKey = "token" // as Kubernetes fills it in
)

// field of the spec, for messages.
const field = "spec.components.jupyterHub."

// inputs is everything that the objects are made of: defaults filled in, contradictions refused.
type inputs struct {
	native.App

	hub   v1alpha1.Resources
	proxy v1alpha1.Resources
	home  v1alpha1.Storage
	// database is nil with SQLite, which is on a volume.
	database       *postgresql.Database
	databaseVolume v1alpha1.Storage

	login  native.Login
	expose native.Exposure
	// apiPorts are those at which the hub reaches the API server and the login provider.
	apiPorts []int32
	// notebooks is what they get from other components.
	notebooks components.Notebooks
	// storage is the S3 service that notebooks use; nil if there is none.
	storage *s3.Storage

	// spec has what goes to notebooks unchanged.
	spec v1alpha1.JupyterHubSpec

	images []v1alpha1.NotebookImage
	// offeredImages are shown while there are sizes with devices of nodes.
	offeredImages []v1alpha1.NotebookImage
	defaultImage  string
	sizes         []v1alpha1.NotebookSize
	defaultSize   string
	culling       *culling
	limits        limits
	extraConfig   extraConfig

	// hubSecrets and proxySecrets change with the Secrets that each reads at its start.
	hubSecrets, proxySecrets string
}

// limits of the whole hub; zero is no limit.
type limits struct{ concurrentSpawns, activeServers, namedServers int32 }

// web is what browsers talk to: the proxy. Kernels talk over websockets that may be silent for long, and people upload
// notebooks with pictures in them.
var web = native.Web{
	Part: proxyPart, Title: "JupyterHub",
	IngressAnnotations: map[string]string{
		"nginx.ingress.kubernetes.io/proxy-body-size":    "256m",
		"nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
		"nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
	},
	RouteAnnotations: map[string]string{
		"haproxy.router.openshift.io/timeout": "5m", "haproxy.router.openshift.io/timeout-tunnel": "1h",
	},
}

// callback is where the login provider sends browsers back.
func callback(url string) string { return url + "hub/oauth_callback" }

// url at which the hub is used, with a slash at its end.
func (in inputs) url() string { return in.URL(in.expose, web) }

func newInputs(facts components.Facts) (inputs, error) {
	spec := specOf(facts)
	profile := profileOf(facts.Spec.Profile)
	in := inputs{
		App:   native.NewApp(facts, name),
		hub:   native.Fill(spec.Hub.Resources, profile.hub),
		proxy: native.Fill(spec.Proxy.Resources, profile.proxy),
		home:  v1alpha1.Storage{Size: native.OrDefault(spec.Home.Size, profile.home), StorageClassName: spec.Home.StorageClassName},
		sizes: orList(spec.Sizes, profile.sizes),
		spec:  spec,

		limits: limits{
			concurrentSpawns: cmp.Or(spec.ConcurrentSpawnLimit, 64),
			activeServers:    spec.ActiveServerLimit,
			namedServers:     spec.NamedServersPerUser,
		},
	}
	in.images = orList(spec.Images, imagesFor(in.sizes))
	in.notebooks = facts.Declared.Notebooks
	if len(spec.Images) == 0 && in.offers() {
		in.offeredImages = gpuImages
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
	if in.database, err = databaseOf(spec).Resolve(facts); err != nil {
		return inputs{}, err
	}
	if in.database == nil {
		if in.databaseVolume, err = in.Storage(facts, field+"database", databasePart, spec.Database.Storage, profile.database); err != nil {
			return inputs{}, err
		}
	}
	if err := in.checkBorrowed(); err != nil {
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
	if err := in.checkExtras(); err != nil {
		return inputs{}, err
	}
	in.storage = s3.Of(facts)
	in.hubSecrets = native.SecretsDigest(facts, append(
		[]string{in.Object(keysPart), in.Object(proxyPart), in.Object(loginPart), in.login.OIDC.ClientSecretRef.Name, in.LoginCA().Secret}, in.database.Secrets()...)...)
	in.proxySecrets = native.SecretsDigest(facts, in.Object(proxyPart))
	in.extraConfig = newExtraConfig(in, facts)
	return in, nil
}

func specOf(facts components.Facts) v1alpha1.JupyterHubSpec {
	if facts.Spec.Components.JupyterHub == nil {
		return v1alpha1.JupyterHubSpec{}
	}
	return *facts.Spec.Components.JupyterHub
}

func databaseOf(spec v1alpha1.JupyterHubSpec) postgresql.Setting {
	return postgresql.Setting{
		Purpose: "jupyterhub", Field: field + "database", Type: spec.Database.Type, Name: spec.Database.Name,
		Secret: spec.Database.URISecretRef.Name, Port: spec.Database.Port,
	}
}

// offers is whether sizes come and go with the devices of nodes. Whoever has sizes with GPUs has chosen already.
func (in inputs) offers() bool {
	return len(in.notebooks.Offers) > 0 && !slices.ContainsFunc(in.sizes, func(size v1alpha1.NotebookSize) bool { return size.GPUs > 0 })
}

// sparkComponent offers what the field spark of a size asks for.
const sparkComponent = "spark"

// extra is what another component gives to notebooks of the size; nil if the size asks for nothing.
func (in inputs) extra(size v1alpha1.NotebookSize) *components.NotebookExtra {
	for i, extra := range in.notebooks.Extras {
		if size.Spark != "" && extra.Component == sparkComponent && extra.Name == size.Spark {
			return &in.notebooks.Extras[i]
		}
	}
	return nil
}

// checkExtras refuses sizes that ask for what no component offers.
func (in inputs) checkExtras() error {
	var offered []string
	for _, extra := range in.notebooks.Extras {
		if extra.Component == sparkComponent {
			offered = append(offered, extra.Name)
		}
	}
	for i, size := range in.sizes {
		path := fmt.Sprintf("%ssizes[%d].spark", field, i)
		switch {
		case size.Spark == "" || in.extra(size) != nil:
		case len(offered) == 0:
			return components.Invalid(path, "the platform has no component spark; add spec.components.spark, or leave spark out")
		default:
			return components.Invalid(path, "%s is no size of spark.clusterSizes; use one of %v", size.Spark, offered)
		}
	}
	return nil
}

// checkBorrowed refuses Secrets and volumes for notebooks that are the hub's own or some user's: whoever edits the resource need not
// be allowed to read these.
func (in inputs) checkBorrowed() error {
	for i, variable := range in.spec.Environment {
		if name := variable.SecretRef.Name; strings.HasPrefix(name, in.Web()+"-") {
			return components.Invalid(fmt.Sprintf("%senvironment[%d].secretRef", field, i), "%s is the hub's own; name another Secret", name)
		}
	}
	for i, volume := range in.spec.SharedVolumes {
		if name := volume.ClaimName; name == in.Object(databasePart) || strings.HasPrefix(name, in.Platform.Name+"-home-") {
			return components.Invalid(fmt.Sprintf("%ssharedVolumes[%d].claimName", field, i), "%s is the hub's or some user's; name another claim", name)
		}
	}
	return nil
}

func imageName(image v1alpha1.NotebookImage) string { return image.Name }
func sizeName(size v1alpha1.NotebookSize) string    { return size.Name }

// chosen is the name that is selected when the form opens.
func chosen[T any](name, want string, from []T, nameOf func(T) string) (string, error) {
	if want == "" {
		return nameOf(from[0]), nil
	}
	var names []string
	for _, item := range from {
		names = append(names, nameOf(item))
	}
	if !slices.Contains(names, want) {
		return "", components.Invalid(field+name, "%s does not exist; use one of %v", want, names)
	}
	return want, nil
}

// apiPorts are those of the API server and of the login provider.
func apiPorts(login native.Login) []int32 {
	ports := append(native.APIServerPorts(), login.Ports()...)
	slices.Sort(ports)
	return slices.Compact(ports)
}
