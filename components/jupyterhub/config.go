package jupyterhub

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

// configPy is the same for every platform; it reads config.json and profiles.json.
//
//go:embed jupyterhub_config.py
var configPy string

// notebooksPy is beside it.
//
//go:embed notebooks.py
var notebooksPy string

const (
	homeFolder = "/home/jovyan"
	// gpuResource is what NVIDIA's device plugin calls a GPU, and the taint of nodes that have some.
	gpuResource = "nvidia.com/gpu"
	// labelHub tells notebooks from everything else. It is not the component's label: the operator watches what carries
	// that, and must not watch every notebook.
	labelHub = "opendatahub.io/hub"
)

// hubConfig is config.json. A change restarts the hub.
type hubConfig struct {
	Login     v1alpha1.AuthenticationType `json:"login"`
	ClusterCA bool                        `json:"clusterCA"`
	Culling   *culling                    `json:"culling"`
	// Options are JupyterHub's own, by class.
	Options map[string]options `json:"options"`
}

type options map[string]any

type culling struct {
	IdleTimeoutSeconds int32 `json:"idleTimeoutSeconds"`
	MaxAgeSeconds      int32 `json:"maxAgeSeconds"`
}

func notebookLabels(platform string) map[string]string { return map[string]string{labelHub: platform} }

func config(in inputs) hubConfig {
	config := hubConfig{
		Login:     in.login.Type,
		ClusterCA: in.LoginCA() != (components.CertificateAuthority{}),
		Culling:   in.culling,
		Options: map[string]options{
			"JupyterHub": {
				"hub_connect_url":             "http://" + in.Object(hubPart) + ":8081",
				"concurrent_spawn_limit":      in.limits.concurrentSpawns,
				"active_server_limit":         in.limits.activeServers,
				"allow_named_servers":         in.limits.namedServers > 0,
				"named_server_limit_per_user": in.limits.namedServers,
				// Routes that a restarted proxy lost are put back at this interval.
				"last_activity_interval":  15,
				"authenticate_prometheus": true,
				// People are asked to log in once a day: membership of groups is looked at only then.
				"cookie_max_age_days": 1,
				"tornado_settings":    map[string]any{"slow_spawn_timeout": 0},
			},
			"ConfigurableHTTPProxy": {"api_url": "http://" + in.Object(proxyPart) + ":8001"},
			"KubeSpawner":           spawner(in),
		},
	}
	if in.expose.Host != "" {
		config.Options["JupyterHub"]["public_url"] = in.url()
	}
	authentication(in, config.Options)
	return config
}

// spawner are KubeSpawner's options. Braces would be templates there: no value comes from free text of the spec.
// https://jupyterhub-kubespawner.readthedocs.io/en/latest/spawner.html
func spawner(in inputs) options {
	spawner := options{
		"namespace":         in.Platform.Namespace,
		"pod_name_template": in.Platform.Name + "-nb-{user_server}",
		// KubeSpawner finds its Pods by this label alone.
		"component_label": in.Platform.Name + "-notebook",
		"common_labels": map[string]string{
			"app":                          "jupyterhub",
			"app.kubernetes.io/name":       "jupyterhub",
			"app.kubernetes.io/managed-by": "kubespawner",
			labelHub:                       in.Platform.Name,
			// Finds the homes with the rest of what a platform keeps.
			components.LabelPlatform: in.Platform.Name,
		},
		// How long a notebook that ended by itself seems to run. The hub looks at what it watches, and asks nobody.
		"poll_interval":                   10,
		"service_account":                 in.Object(notebookPart),
		"automount_service_account_token": false,
		"allow_privilege_escalation":      false,
		"pod_security_context": map[string]any{
			"runAsNonRoot":   true,
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"container_security_context": map[string]any{
			"capabilities": map[string]any{"drop": []string{"ALL"}},
		},
		"extra_pod_config": map[string]any{"enableServiceLinks": false},
		"cmd":              []string{"jupyterhub-singleuser"},
		"args":             serverArgs(),
		// Why it ended is in the status of the Pod then, where the hub reads it.
		"extra_container_config": map[string]any{"terminationMessagePolicy": "FallbackToLogsOnError"},
		"default_url":            "/lab",
		"working_dir":            homeFolder,
		// Large images take their time on a node that does not have them.
		"start_timeout":       600,
		"http_timeout":        120,
		"delete_grace_period": 30,

		"storage_pvc_ensure":   true,
		"pvc_name_template":    in.Platform.Name + "-home-{user_server}",
		"storage_capacity":     in.home.Size.String(),
		"storage_access_modes": []string{"ReadWriteOnce"},
		// Otherwise deleting a user in the hub deletes the user's files.
		"delete_pvc": false,
		"volumes": map[string]any{
			"home": map[string]any{"name": "home", "persistentVolumeClaim": map[string]any{"claimName": "{pvc_name}"}},
			"shm":  map[string]any{"name": "shm", "emptyDir": map[string]any{"medium": "Memory"}},
		},
		"volume_mounts": map[string]any{
			"home": map[string]any{"name": "home", "mountPath": homeFolder},
			"shm":  map[string]any{"name": "shm", "mountPath": "/dev/shm"},
		},
	}
	if in.home.StorageClassName != "" {
		spawner["storage_class"] = in.home.StorageClassName
	}
	if !in.OpenShift { // where the security context constraints choose them
		spawner["uid"] = 1000
		spawner["gid"] = 100
		spawner["fs_gid"] = 100
	}
	return spawner
}

// serverArgs keep out of the list of files what volumes have at their root, besides what Jupyter hides itself.
func serverArgs() []string {
	var args []string
	for _, hidden := range []string{"__pycache__", "*.pyc", "*.pyo", ".DS_Store", "*~", "lost+found"} {
		args = append(args, "--ContentsManager.hide_globs="+hidden)
	}
	return args
}

func authentication(in inputs, all map[string]options) {
	authenticator := options{"admin_users": notNil(in.login.AdminUsers)}
	all["Authenticator"] = authenticator
	if in.login.Type == v1alpha1.AuthenticationLocal {
		authenticator["admin_users"] = append([]string{native.Administrator}, in.login.AdminUsers...)
		authenticator["allow_all"] = true // whom an administrator let in
		authenticator["username_pattern"] = `[a-z0-9][a-z0-9._@+-]{0,62}\Z`
		all["NativeAuthenticator"] = options{
			"enable_signup":           true,
			"open_signup":             false,
			"check_common_password":   true,
			"minimum_password_length": 12,
			"allowed_failed_logins":   10,
			"seconds_before_next_try": 300,
		}
		return
	}
	authenticator["auto_login"] = true
	oauth := options{
		"oauth_callback_url": callback(in.url()),
		"manage_groups":      true,
		"allow_all":          len(in.login.AllowedGroups) == 0,
		"allowed_groups":     notNil(in.login.AllowedGroups),
		"admin_groups":       notNil(in.login.AdminGroups),
	}
	if in.login.Type == v1alpha1.AuthenticationOpenShift {
		all["JupyterHub"]["authenticator_class"] = "openshift"
		all["OpenShiftOAuthenticator"] = oauth
		oauth["client_id"] = fmt.Sprintf("system:serviceaccount:%s:%s", in.Platform.Namespace, in.Object(hubPart))
		return
	}
	oidc := in.login.OIDC
	all["JupyterHub"]["authenticator_class"] = "generic-oauth"
	all["GenericOAuthenticator"] = oauth
	oauth["login_service"] = "OpenID Connect"
	oauth["client_id"] = oidc.ClientID
	oauth["authorize_url"] = oidc.AuthorizationEndpoint
	oauth["token_url"] = oidc.TokenEndpoint
	oauth["userdata_url"] = oidc.UserInfoEndpoint
	oauth["username_claim"] = oidc.UsernameClaim
	oauth["auth_state_groups_key"] = "oauth_user." + oidc.GroupsClaim
	oauth["scope"] = oidc.Scopes
}

func notNil(list []string) []string { return append([]string{}, list...) }

// profiles is profiles.json: what users choose from, and what they get with it. A change needs no restart.
type profiles struct {
	Images []profileImage `json:"images"`
	Sizes  []profileSize  `json:"sizes"`
	// Offered is what sizes are made of that come and go with the devices of nodes.
	Offered *profileOffered `json:"offered,omitempty"`
	// Override are options of KubeSpawner, for every notebook.
	Override      options         `json:"override,omitempty"`
	SharedVolumes []profileVolume `json:"sharedVolumes,omitempty"`
	Limits        profileLimits   `json:"limits"`
}

type profileImage struct {
	Name        string               `json:"name"`
	DisplayName string               `json:"displayName"`
	Description string               `json:"description"`
	Image       string               `json:"image"`
	Default     bool                 `json:"default"`
	Groups      []v1alpha1.GroupName `json:"groups,omitempty"`
	// Offered is shown while there are sizes with devices of nodes.
	Offered bool `json:"offered,omitempty"`
}

// profileOffered is what a size has besides the devices that a component offers.
type profileOffered struct {
	Amounts  string               `json:"amounts"`
	Groups   []v1alpha1.GroupName `json:"groups,omitempty"`
	Override options              `json:"override"`
}

type profileSize struct {
	Name        string               `json:"name"`
	DisplayName string               `json:"displayName"`
	Default     bool                 `json:"default"`
	Groups      []v1alpha1.GroupName `json:"groups,omitempty"`
	// Override are options of KubeSpawner.
	Override options `json:"override"`
}

type profileVolume struct {
	Groups   []v1alpha1.GroupName `json:"groups,omitempty"`
	Override options              `json:"override"`
}

// profileLimits are limits of running notebooks; zero is no limit.
type profileLimits struct {
	PerUser int32                         `json:"perUser"`
	Groups  []v1alpha1.NotebookGroupLimit `json:"groups,omitempty"`
}

func choices(in inputs) profiles {
	choices := profiles{
		Override:      notebookOverride(in),
		SharedVolumes: sharedVolumes(in),
		Limits:        profileLimits{PerUser: in.spec.ActiveServersPerUser, Groups: in.spec.GroupLimits},
	}
	for _, image := range in.images {
		choices.Images = append(choices.Images, profileImage{
			Name:        image.Name,
			DisplayName: cmp.Or(image.DisplayName, image.Name),
			Description: image.Description,
			Image:       image.Image,
			Default:     image.Name == in.defaultImage,
			Groups:      image.Groups,
		})
	}
	if in.offers() {
		base := largest(in.sizes)
		choices.Offered = &profileOffered{Amounts: amounts(base), Groups: base.Groups, Override: override(base)}
		for _, image := range in.offeredImages {
			choices.Images = append(choices.Images, profileImage{
				Name: image.Name, DisplayName: image.DisplayName, Description: image.Description, Image: image.Image, Offered: true,
			})
		}
	}
	for _, size := range in.sizes {
		choices.Sizes = append(choices.Sizes, profileSize{
			Name:        size.Name,
			DisplayName: fmt.Sprintf("%s (%s)", cmp.Or(size.DisplayName, size.Name), amounts(size)),
			Default:     size.Name == in.defaultSize,
			Groups:      size.Groups,
			Override:    withExtra(withPlacement(override(size), size.Placement, "size-"), in.extra(size)),
		})
	}
	return choices
}

// override gives a size to KubeSpawner, which knows cores as decimal fractions and memory in bytes.
func override(size v1alpha1.NotebookSize) options {
	override := options{
		"mem_limit": size.Resources.Limits.Memory.Value(),
	}
	if memory := size.Resources.Requests.Memory; !memory.IsZero() {
		override["mem_guarantee"] = memory.Value()
	}
	if cpu := size.Resources.Limits.CPU; !cpu.IsZero() {
		override["cpu_limit"] = cores(cpu)
	}
	if cpu := size.Resources.Requests.CPU; !cpu.IsZero() {
		override["cpu_guarantee"] = cores(cpu)
	}
	if size.GPUs > 0 {
		override["extra_resource_limits"] = map[string]string{gpuResource: strconv.Itoa(int(size.GPUs))}
		override["tolerations"] = map[string]any{
			"gpu": map[string]any{"key": gpuResource, "operator": "Exists", "effect": "NoSchedule"},
		}
	}
	return override
}

// largest is the size with the most memory.
func largest(sizes []v1alpha1.NotebookSize) v1alpha1.NotebookSize {
	return slices.MaxFunc(sizes, func(a, b v1alpha1.NotebookSize) int {
		return a.Resources.Limits.Memory.Cmp(b.Resources.Limits.Memory)
	})
}

func cores(cpu resource.Quantity) float64 { return float64(cpu.MilliValue()) / 1000 }

// amounts as people read them: "2 CPU, 8Gi, 1 GPU".
func amounts(size v1alpha1.NotebookSize) string {
	text := size.Resources.Limits.Memory.String()
	if cpu := size.Resources.Limits.CPU; !cpu.IsZero() {
		text = strconv.FormatFloat(cores(cpu), 'f', -1, 64) + " CPU, " + text
	}
	if size.GPUs > 0 {
		text += fmt.Sprintf(", %d GPU", size.GPUs)
	}
	return text
}
