//go:build linux

package images

import (
	_ "embed"
	"fmt"
	"path"
	"strings"
)

var (
	//go:embed hub.txt
	hubRequirements string
	//go:embed notebook.txt
	notebookRequirements string
	//go:embed scipy.txt
	scipyRequirements string
	//go:embed pyspark.txt
	pysparkRequirements string
	//go:embed team.txt
	teamRequirements string
	//go:embed mlflow.txt
	mlflowRequirements string
	//go:embed kafka.xml
	kafkaProject string
)

// A layer is a step of an image. What it needs from a package registry is fetched on the machine, with the machine's settings; the
// script runs in the image, without a network.
type layer struct {
	name string
	// parent is the layer below; nil for the first.
	parent *layer
	// files are put into the folder that both scripts find in $FETCHED.
	files map[string]string
	// fetch runs on the machine. The archive of the layer below is $BELOW.
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

// fetchWheels downloads what requirements.txt names for a version of Python. The few packages that have no wheel are pure Python and
// become one here.
func fetchWheels(python string) string {
	return `
cd "$FETCHED"
python3 -m pip download --quiet --no-deps --python-version ` + python + ` --implementation cp \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
  --requirement requirements.txt --dest wheels
for source in wheels/*.tar.gz; do
  [ -e "$source" ] || continue
  python3 -m pip wheel --quiet --no-deps --wheel-dir wheels "$source"
  rm "$source"
done
`
}

// compile compiles the modules of Python that are named on standard input. A layer has no times, so bytecode that remembers that of its source
// would count as old, and each container would compile what it imports.
const compile = ` -m compileall -q -f --invalidation-mode unchecked-hash -i -
`

// installWheels installs them into the virtual environment in $PREFIX.
const installWheels = `
"$PREFIX/bin/python" -m pip install --quiet --no-index --no-deps --no-compile --find-links "$FETCHED/wheels" --requirement "$FETCHED/requirements.txt"
find "$PREFIX" -name '*.py' -newer "$FETCHED/requirements.txt" ! -path '*/tests/*' | "$PREFIX/bin/python"` + compile

// mirror is where APT on the machine gets Debian's packages from.
const mirror = `
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | sort -u | head -n 1)
`

// debian is a small Debian with some packages.
func debian(name, release, packages, after string) *layer {
	return &layer{
		name: name,
		fetch: mirror + `
debootstrap --variant=minbase --include=` + packages + ` ` + release + ` "$FETCHED/root" "$mirror"
`,
		build: `
mv "$FETCHED/root"/* "$ROOT"
rm -rf "$ROOT"/var/cache/apt/* "$ROOT"/var/lib/apt/lists/* "$ROOT"/var/log/* "$ROOT"/dev/* "$ROOT"/proc/* "$ROOT"/sys/*
# APT's mirror is that of the machine, and nobody else's.
rm -f "$ROOT"/etc/apt/sources.list "$ROOT"/etc/apt/sources.list.d/* "$ROOT"/etc/resolv.conf "$ROOT"/etc/hostname
(cd "$ROOT" && find usr/lib/python3* -name '*.py' -printf '/%p\n') | chroot "$ROOT" python3` + compile + after,
	}
}

var base = debian("base", debianRelease, "ca-certificates,git,nodejs,python3,python3-venv,tini",
	"useradd --root \"$ROOT\" --uid 1000 --gid 100 --create-home --shell /bin/bash jovyan\n")

// oldBase has a Python that Seldon Core can be installed for.
var oldBase = debian("old-base", "bookworm", "python3,python3-venv", "rm -rf \"$ROOT\"/usr/share/doc/* \"$ROOT\"/usr/share/locale/*\n")

// pythons are the versions of Python in layers without a parent.
var pythons = map[*layer]string{base: "3.13", oldBase: "3.11"}

// debianLayer is Debian's packages on top of another layer: APT on the machine works out which of them that one lacks.
func debianLayer(name string, parent *layer, packages, build string) *layer {
	return &layer{
		name: name, parent: parent,
		fetch: mirror + `
cd "$FETCHED"
mkdir -p apt/lists/partial apt/archives/partial
tar --extract --file "$BELOW" --directory apt ./var/lib/dpkg/status
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror ` + debianRelease + ` main" > apt/sources.list
apt() {
  apt-get --quiet=2 -o Dir::State::Status="$PWD/apt/var/lib/dpkg/status" -o Dir::State::Lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt" \
    -o Dir::Etc::SourceList="$PWD/apt/sources.list" -o Dir::Etc::SourceParts=- -o APT::Sandbox::User=root "$@"
}
apt update
apt install --no-install-recommends --download-only --yes ` + packages + `
`,
		build: build,
	}
}

// java is Debian's Java without its graphics. It wants a folder of manual pages to be there, which Debian's small images leave out. Its archive of
// shared classes counts only as long as lib/modules has the time that it had then, which in a layer is none.
var java = debianLayer("java", base, "openjdk-21-jre-headless", `
mkdir -p /usr/share/man/man1
dpkg --install "$FETCHED"/apt/archives/*.deb
touch --date @0 /usr/lib/jvm/java-21-openjdk-*/lib/modules
java -Xshare:dump > /dev/null
java -XX:-UseCompressedOops -Xshare:dump > /dev/null
`)

// postgres has the user of upstream's image, and no database: Debian would make one in the image.
var postgres = debianLayer("postgres", base, "postgresql-"+postgresMajor, `
useradd --uid 999 --create-home --home-dir /var/lib/postgresql --shell /bin/bash postgres
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
DEBIAN_FRONTEND=noninteractive dpkg --install "$FETCHED"/apt/archives/*.deb
rm -f /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem
`)

// pythonLayer adds packages to the virtual environment in the folder; new makes it.
func pythonLayer(name string, parent *layer, folder, requirements string, isNew bool, after string) *layer {
	script := "PREFIX=" + folder + "\n"
	if isNew {
		script += "python3 -m venv \"$PREFIX\"\n"
	}
	return &layer{
		name: name, parent: parent, fetch: fetchWheels(pythons[parent.chain()[0]]), files: map[string]string{"requirements.txt": requirements},
		build: script + installWheels + after,
	}
}

// goFlags are the Makefile's, so that what programs share with the operator, tests and clusters is compiled once.
const goFlags = "GOFLAGS='-trimpath -gcflags=all=-dwarf=false' CGO_ENABLED=0"

// goProgram is an image of one program of a Go module, like a distroless one.
func goProgram(image, module, version string) recipe {
	name := path.Base(module)
	if strings.HasPrefix(name, "v") && len(name) == 2 { // a major version
		name = path.Base(path.Dir(module))
	}
	return staticProgram(image, name, "65532:65532", nil,
		"GOBIN=\"$FETCHED\" "+goFlags+" go install -ldflags='-s -w' "+module+"@"+version+"\n")
}

// goSources is an image of a program that is built with the versions of its own module, in a copy of it, as go install refuses modules
// that exclude or replace others. The script before prepares the copy.
func goSources(image, module, version, before, flags string) recipe {
	name := path.Base(module)
	return staticProgram(image, name, "65534:65534", nil, copySources(module+"@"+version)+before+`
GOWORK=off `+goFlags+` go build -ldflags='-s -w' `+flags+` -o "$FETCHED/`+name+`" ./cmd/`+name+`
`)
}

// copySources makes a copy of a module, and goes there.
func copySources(module string) string {
	return `
cd "$FETCHED"
cp -r "$(go mod download -json ` + module + ` | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')" sources
chmod -R u+w sources
cd sources
`
}

// minimalRoot is what a static program may look for.
const minimalRoot = `
mkdir -p "$ROOT/bin" "$ROOT/etc" "$ROOT/tmp"
chmod 1777 "$ROOT/tmp"
printf 'root:x:0:0:root:/:/\nnonroot:x:65532:65532:nonroot:/:/\n' > "$ROOT/etc/passwd"
`

// staticProgram is an image of the file name that fetch leaves in $FETCHED.
func staticProgram(image, name, user string, files map[string]string, fetch string) recipe {
	return recipe{
		name: image,
		top: &layer{
			name: name, files: files, fetch: fetch,
			build: minimalRoot + `mv "$FETCHED/` + name + `" "$ROOT/bin/"
`,
		},
		config: config{User: user, Entrypoint: []string{"/bin/" + name}, Env: environment("", "/")},
	}
}

// operatorProgram is an image of a program of the Prometheus operator, whose module is nobody's but with others of its own: the tests
// have one that names them. Its version is part of the image that it gives Pods.
func operatorProgram(image, name string, pinned requirements) recipe {
	const module = "github.com/prometheus-operator/prometheus-operator"
	return staticProgram(image, name, "65534:65534", map[string]string{"go.mod": pinned.operator, "go.sum": pinned.operatorSums}, `
cd "$FETCHED"
`+goFlags+` go build -ldflags='-s -w -X github.com/prometheus/common/version.Version=`+strings.TrimPrefix(tag(image), "v")+`' \
  -o "$FETCHED/`+name+`" `+module+`/cmd/`+name+`
`)
}

// buildHere builds the program in $FETCHED.
func buildHere(name string) string {
	return "\ncd \"$FETCHED\"\nGOWORK=off " + goFlags + " go build -ldflags='-s -w' -o " + name + " .\n"
}

// requirements of images, which are those of the tests where there are some.
type requirements struct {
	hub, mlflow string
	// modules of Spark for S3, as an ivy.xml, and their checksums.
	modules, checksums string
	// The module of the Prometheus operator.
	operator, operatorSums string
	// Seldon Core's model server, and the class that its image for scikit-learn starts.
	seldon, sklearnServer string
	// The module and the program that fetch models, and the one that plays Seldon's executor.
	rclone, rcloneSums, rcloneProgram, executor string
}

func recipes(pinned requirements) []recipe {
	const hubFolder, notebookFolder, mlflowFolder, home = "/opt/hub", "/opt/conda", "/opt/mlflow", "/home/jovyan"
	hub := pythonLayer("hub", base, hubFolder, pinned.hub+hubRequirements, true,
		"mkdir -p /srv/jupyterhub && chown 1000:100 /srv/jupyterhub\n")
	mlflow := pythonLayer("mlflow", base, mlflowFolder, pinned.mlflow+mlflowRequirements, true, "")
	// Notebooks of all kinds are one chain, so that a node has each layer once.
	const kernel = notebookFolder + "/bin/python -m ipykernel install --prefix " + notebookFolder + "\n"
	notebook := pythonLayer("notebook", java, notebookFolder, notebookRequirements, true, kernel)
	scipy := pythonLayer("scipy", notebook, notebookFolder, scipyRequirements, false, "")
	const sparkHome = "/usr/local/spark"
	pyspark := pythonLayer("pyspark", scipy, notebookFolder, pysparkRequirements, false,
		"ln -s "+notebookFolder+"/lib/python3*/site-packages/pyspark "+sparkHome+"\n")
	// Spark's own Ivy fetches what it lacks for S3.
	lake := &layer{
		name: "lake", parent: pyspark, files: map[string]string{"ivy.xml": pinned.modules, "jars.sha256": pinned.checksums},
		fetch: `
cd "$FETCHED"
mkdir jars
tar --extract --file "$BELOW" --wildcards --to-stdout '*/pyspark/jars/ivy-*.jar' > ivy.jar
java -cp ivy.jar org.apache.ivy.Main -warn -ivy ivy.xml -cache "$FETCHED/cache" -confs default -retrieve "$FETCHED/jars/[artifact]-[revision].[ext]" >&2
cd jars
sha256sum --check --strict --quiet ../jars.sha256
`,
		// The user is that of Apache's images: Hadoop does not start under one that has no name.
		build: "cp \"$FETCHED\"/jars/*.jar " + sparkHome + "/jars/\nuseradd --uid 185 --no-create-home --home-dir /nonexistent spark\n",
	}
	team := pythonLayer("team", lake, notebookFolder, teamRequirements, false, "")
	kafka := &layer{
		name: "kafka", parent: java,
		files: map[string]string{"pom.xml": kafkaProject},
		fetch: `
mvn --quiet --batch-mode --file "$FETCHED/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$FETCHED/libs" >&2
`,
		build: "mkdir -p /opt/kafka && cp -r \"$FETCHED/libs\" /opt/kafka/\n",
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
	const seldonFolder = "/opt/seldon"
	sklearn := &layer{
		name: "sklearn-server", parent: pythonLayer("sklearn", oldBase, seldonFolder, pinned.seldon, true, ""),
		files: map[string]string{"SKLearnServer.py": pinned.sklearnServer},
		build: "install -D --mode 644 \"$FETCHED/SKLearnServer.py\" /microservice/SKLearnServer.py\n",
	}
	initializer := staticProgram(initializerName, "rclone", "8888", map[string]string{
		"go.mod": pinned.rclone, "go.sum": pinned.rcloneSums, "main.go": pinned.rcloneProgram,
	}, buildHere("rclone"))
	initializer.config.Entrypoint = append(initializer.config.Entrypoint, "copy")
	initializer.config.Env = append(initializer.config.Env, "RCLONE_VERBOSE=1")
	executor := staticProgram(executorName, "executor", "8888", map[string]string{
		"go.mod": "module executor\n\ngo 1.26.0\n", "main.go": pinned.executor,
	}, buildHere("executor"))
	// One layer with all programs, of which most is the same code. Pages that Node.js makes are not in the module, nor are symbolic links.
	argo := &layer{
		name: "argo",
		fetch: copySources(ArgoModule) + `
mkdir -p ui/dist/app && touch ui/dist/app/index.html
cp workflow/executor/osspecific/signal_darwin.go workflow/executor/osspecific/signal_linux.go
GOWORK=off ` + goFlags + ` go build -ldflags='-s -w' -o "$FETCHED/" ./cmd/argo ./cmd/workflow-controller ./cmd/argoexec
`,
		build: minimalRoot + "mv \"$FETCHED/argo\" \"$FETCHED/workflow-controller\" \"$FETCHED/argoexec\" \"$ROOT/bin/\"\n",
	}
	argoImage := func(name, program string) recipe {
		return recipe{name: name, top: argo, config: config{User: "8737", Entrypoint: []string{program}, Env: environment("", "/")}}
	}
	notebookImage := func(name string, top *layer, env ...string) recipe {
		return recipe{name: name, top: top, config: config{
			User: "1000:100", WorkingDir: home, Entrypoint: []string{"tini", "-g", "--"}, Cmd: []string{"jupyterhub-singleuser"},
			Env: append(append(environment(notebookFolder, home),
				"NB_USER=jovyan", "NB_UID=1000", "NB_GID=100", "CONDA_DIR="+notebookFolder, "SHELL=/bin/bash"), env...),
		}}
	}
	return []recipe{
		{name: hubName, top: hub, config: config{
			User: "1000", WorkingDir: "/srv/jupyterhub", Entrypoint: []string{"tini", "-g", "--"}, Cmd: []string{"jupyterhub"},
			Env: environment(hubFolder, home),
		}},
		{name: proxyName, top: proxy, config: config{
			User: "65534", Entrypoint: []string{"configurable-http-proxy"}, Env: environment("", "/tmp"),
		}},
		notebookImage(notebookName, notebook),
		notebookImage(scipyName, scipy),
		notebookImage(pysparkName, pyspark, "SPARK_HOME="+sparkHome),
		notebookImage(TeamName, team, "SPARK_HOME="+sparkHome),
		{name: mlflowName, top: mlflow, config: config{Cmd: []string{"python3"}, Env: environment(mlflowFolder, "/tmp")}},
		goProgram(loginName, "github.com/oauth2-proxy/oauth2-proxy/v7", tag(loginName)),
		goProgram(S3Name, "github.com/versity/versitygw/cmd/versitygw", tag(S3Name)),
		operatorProgram(PrometheusOperatorName, "operator", pinned),
		operatorProgram(reloaderName, "prometheus-config-reloader", pinned),
		// The module of Prometheus has another version than its releases: v3.13.1 is v0.313.1.
		goSources(prometheusName, "github.com/prometheus/prometheus", moduleVersion(tag(prometheusName)), "", "-tags remove_all_sd,enable_kubernetes_sd,enable_dns_sd"),
		// Pages that Node.js makes are not in the module.
		goSources(alertmanagerName, "github.com/prometheus/alertmanager", tag(alertmanagerName), "mkdir -p ui/app/dist && touch ui/app/dist/index.html", ""),
		{name: KafkaName, top: kafka, config: config{User: "1000", Cmd: []string{"bash"}, Env: environment("", "/tmp")}},
		{name: PostgresName, top: postgres, config: config{
			User: "999:999", Cmd: []string{"postgres"}, Env: environment("/usr/lib/postgresql/"+postgresMajor, "/var/lib/postgresql"),
		}},
		{name: sklearnName, top: sklearn, config: config{
			User: "8888", WorkingDir: "/microservice", Env: environment(seldonFolder, "/microservice"),
			Cmd: []string{"seldon-core-microservice", "SKLearnServer", "--service-type", "MODEL", "--persistence", "0"},
		}},
		initializer,
		executor,
		argoImage(argoControllerName, "workflow-controller"),
		argoImage(argoServerName, "argo"),
		argoImage(argoExecutorName, "argoexec"),
		{name: pythonName, top: &layer{name: "python", parent: base, build: "ln -s python3 /usr/bin/python\n"}, config: config{Cmd: []string{"python3"}, Env: environment("", "/root")}},
		{name: ShellName, top: base, config: config{Cmd: []string{"bash"}, Env: environment("", "/")}},
	}
}

// moduleVersion is the version of Prometheus's module that is a release: v0.313.1 for v3.13.1.
func moduleVersion(release string) string {
	parts := strings.Split(strings.TrimPrefix(release, "v"), ".")
	return fmt.Sprintf("v0.%s%02s.%s", parts[0], parts[1], parts[2])
}

// Names are the images that are built of packages, under the names that the operator renders.
func Names() []string {
	var names []string
	for _, recipe := range recipes(requirements{}) {
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
