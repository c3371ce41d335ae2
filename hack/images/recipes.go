//go:build linux

package images

import (
	_ "embed"
	"path"
)

// The names are those that the operator renders; a test compares them.
const (
	hubName       = "quay.io/jupyterhub/k8s-hub:4.4.0"
	proxyName     = "quay.io/jupyterhub/configurable-http-proxy:5.3.0"
	notebookName  = "quay.io/jupyter/minimal-notebook:2026-07-28"
	debianRelease = "trixie"
)

// Images that a node needs before any other.
const (
	// PauseName is the image of the first container of every Pod.
	PauseName = "opendatahub.io/pause:local"
	// DNSName is the image of the cluster's DNS, without the version.
	DNSName = "registry.k8s.io/coredns/coredns"
)

var (
	//go:embed hub.txt
	hubRequirements string
	//go:embed notebook.txt
	notebookRequirements string
)

// A layer is a step of an image. What it needs from a package registry is fetched on the machine, with the machine's settings; the
// script runs in the image, without a network.
type layer struct {
	name string
	// parent is the layer below; nil for the first.
	parent *layer
	// files are put into the folder that both scripts find in $FETCHED.
	files map[string]string
	// fetch runs on the machine.
	fetch string
	// build runs in the image, as root; for the first layer it runs on the machine and fills $ROOT.
	build string
}

// recipe is an image that is built of packages.
type recipe struct {
	name   string
	top    *layer
	config config
}

// fetchWheels downloads what requirements.txt names for the Python of the base layer. The few packages that have no wheel are pure
// Python and become one here.
const fetchWheels = `
cd "$FETCHED"
python3 -m pip download --quiet --no-deps --python-version 3.13 --implementation cp \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
  --requirement requirements.txt --dest wheels
for source in wheels/*.tar.gz; do
  [ -e "$source" ] || continue
  python3 -m pip wheel --quiet --no-deps --wheel-dir wheels "$source"
  rm "$source"
done
`

// installWheels makes a virtual environment in $PREFIX.
const installWheels = `
python3 -m venv "$PREFIX"
"$PREFIX/bin/pip" install --quiet --no-index --no-deps --no-compile --find-links "$FETCHED/wheels" --requirement "$FETCHED/requirements.txt"
`

// base is a small Debian. APT's mirror on the machine is where it comes from.
var base = &layer{
	name: "base",
	fetch: `
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | sort -u | head -n 1)
debootstrap --variant=minbase --include=ca-certificates,git,nodejs,python3,python3-venv,tini ` + debianRelease + ` "$FETCHED/root" "$mirror"
`,
	build: `
mv "$FETCHED/root"/* "$ROOT"
rm -rf "$ROOT"/var/cache/apt/* "$ROOT"/var/lib/apt/lists/* "$ROOT"/var/log/* "$ROOT"/dev/* "$ROOT"/proc/* "$ROOT"/sys/*
# APT's mirror is that of the machine, and nobody else's.
rm -f "$ROOT"/etc/apt/sources.list "$ROOT"/etc/apt/sources.list.d/* "$ROOT"/etc/resolv.conf "$ROOT"/etc/hostname
useradd --root "$ROOT" --uid 1000 --gid 100 --create-home --shell /bin/bash jovyan
`,
}

func recipes(hubPackages string) []recipe {
	const hubFolder, notebookFolder, home = "/opt/hub", "/opt/conda", "/home/jovyan"
	hub := &layer{
		name: "hub", parent: base, fetch: fetchWheels,
		files: map[string]string{"requirements.txt": hubPackages + hubRequirements},
		build: "PREFIX=" + hubFolder + installWheels + "mkdir -p /srv/jupyterhub && chown 1000:100 /srv/jupyterhub\n",
	}
	notebook := &layer{
		name: "notebook", parent: base, fetch: fetchWheels,
		files: map[string]string{"requirements.txt": notebookRequirements},
		build: "PREFIX=" + notebookFolder + installWheels + notebookFolder + "/bin/python -m ipykernel install --prefix " + notebookFolder + "\n",
	}
	proxy := &layer{
		name: "proxy", parent: base,
		fetch: "npm install --silent --no-fund --no-audit --ignore-scripts --prefix \"$FETCHED/node\" configurable-http-proxy@" + tag(proxyName) + "\n",
		build: `
mkdir -p /srv/configurable-http-proxy
cp -r "$FETCHED/node/node_modules" /srv/configurable-http-proxy/
ln -s /srv/configurable-http-proxy/node_modules/.bin/configurable-http-proxy /usr/local/bin/configurable-http-proxy
`,
	}
	return []recipe{
		{name: hubName, top: hub, config: config{
			User: "1000", WorkingDir: "/srv/jupyterhub", Entrypoint: []string{"tini", "-g", "--"}, Cmd: []string{"jupyterhub"},
			Env: environment(hubFolder, home),
		}},
		{name: proxyName, top: proxy, config: config{
			User: "65534", Entrypoint: []string{"configurable-http-proxy"}, Env: environment("", "/tmp"),
		}},
		{name: notebookName, top: notebook, config: config{
			User: "1000:100", WorkingDir: home, Entrypoint: []string{"tini", "-g", "--"}, Cmd: []string{"jupyterhub-singleuser"},
			Env: append(environment(notebookFolder, home), "NB_USER=jovyan", "NB_UID=1000", "NB_GID=100", "CONDA_DIR="+notebookFolder, "SHELL=/bin/bash"),
		}},
	}
}

// Names are the images that are built of packages, under the names that the operator renders.
func Names() []string {
	var names []string
	for _, recipe := range recipes("") {
		names = append(names, recipe.name)
	}
	return names
}

func environment(prefix, home string) []string {
	search := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if prefix != "" {
		search = path.Join(prefix, "bin") + ":" + search
	}
	return []string{"PATH=" + search, "HOME=" + home, "LANG=C.UTF-8", "LC_ALL=C.UTF-8"}
}
