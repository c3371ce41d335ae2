package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

const (
	// envCache overrides the folder that built binaries are kept in.
	envCache = "OPENDATAHUB_CACHE"
	// envAssets names a folder of ready-made binaries, by the convention of controller-runtime's envtest.
	envAssets = "KUBEBUILDER_ASSETS"

	modulePath = "opendatahub.io/operator"
)

// Binaries are the paths of the programs that make up a cluster.
type Binaries struct {
	Etcd              string
	APIServer         string
	ControllerManager string
	Scheduler         string
	Kwok              string
}

// NodeBinaries are the paths of the programs that make a real node of a machine, apart from the container runtime.
type NodeBinaries struct {
	Kubelet string
	Proxy   string
	DNS     string
	// Policies enforces NetworkPolicies.
	Policies string
}

// BuildOptions says where binaries come from and where they are kept. The zero value is right almost always.
type BuildOptions struct {
	// Root is the checkout of this repository; found from the working directory when empty.
	Root string
	// Cache is the folder the built binaries are kept in. It defaults to $OPENDATAHUB_CACHE, or else to a folder of the
	// user's cache directory, so that all checkouts share one.
	Cache string
	// Log receives one line per binary that is built; nil is silent.
	Log io.Writer
}

// program is one binary and the module that pins it. T has its path.
type program[T any] struct {
	name    string
	pkg     string // the main package
	module  string // the module whose version names the cached file
	folder  string // the nested module, below hack/cluster
	ldflags func(version string) string
	path    func(*T) *string
}

var programs = []program[Binaries]{
	{
		name: "etcd", pkg: "go.etcd.io/etcd/server/v3", module: "go.etcd.io/etcd/server/v3", folder: "controlplane",
		path: func(b *Binaries) *string { return &b.Etcd },
	},
	{
		name: "kube-apiserver", pkg: "k8s.io/kubernetes/cmd/kube-apiserver", module: "k8s.io/kubernetes", folder: "controlplane",
		ldflags: kubernetesVersionFlags, path: func(b *Binaries) *string { return &b.APIServer },
	},
	{
		name: "kube-controller-manager", pkg: "k8s.io/kubernetes/cmd/kube-controller-manager", module: "k8s.io/kubernetes", folder: "controlplane",
		ldflags: kubernetesVersionFlags, path: func(b *Binaries) *string { return &b.ControllerManager },
	},
	{
		name: "kube-scheduler", pkg: "k8s.io/kubernetes/cmd/kube-scheduler", module: "k8s.io/kubernetes", folder: "controlplane",
		ldflags: kubernetesVersionFlags, path: func(b *Binaries) *string { return &b.Scheduler },
	},
	{
		name: "kwok", pkg: "sigs.k8s.io/kwok/cmd/kwok", module: "sigs.k8s.io/kwok", folder: "kwok",
		path: func(b *Binaries) *string { return &b.Kwok },
	},
}

var nodePrograms = []program[NodeBinaries]{
	{
		name: "kubelet", pkg: "k8s.io/kubernetes/cmd/kubelet", module: "k8s.io/kubernetes", folder: "controlplane",
		ldflags: kubernetesVersionFlags, path: func(b *NodeBinaries) *string { return &b.Kubelet },
	},
	{
		name: "kube-proxy", pkg: "k8s.io/kubernetes/cmd/kube-proxy", module: "k8s.io/kubernetes", folder: "controlplane",
		ldflags: kubernetesVersionFlags, path: func(b *NodeBinaries) *string { return &b.Proxy },
	},
	{
		name: "coredns", pkg: ".", module: "github.com/coredns/coredns", folder: "coredns",
		path: func(b *NodeBinaries) *string { return &b.DNS },
	},
	{
		name: "kube-network-policies", pkg: ".", module: "sigs.k8s.io/kube-network-policies", folder: "policies",
		path: func(b *NodeBinaries) *string { return &b.Policies },
	},
}

// tools are programs for whoever uses a cluster.
type tools struct{ kubectl string }

var toolPrograms = []program[tools]{{
	name: "kubectl", pkg: "k8s.io/kubernetes/cmd/kubectl", module: "k8s.io/kubernetes", folder: "controlplane",
	ldflags: kubernetesVersionFlags, path: func(t *tools) *string { return &t.kubectl },
}}

// kubernetesVersionFlags stamps the version the way Kubernetes' own build does. Without it the API server reports v0.0.0,
// and everything that compares versions (emulation, feature gates, clients) goes wrong.
func kubernetesVersionFlags(version string) string {
	const prefix = "-X k8s.io/component-base/version."
	flags := []string{prefix + "gitVersion=" + version, prefix + "gitTreeState=clean"}
	if numbers := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3); len(numbers) == 3 {
		flags = append(flags, prefix+"gitMajor="+numbers[0], prefix+"gitMinor="+numbers[1])
	}
	return strings.Join(flags, " ")
}

// Build returns the binaries of a cluster, building those that are neither in $KUBEBUILDER_ASSETS nor in the cache.
// The versions are those of the nested modules' go.mod files. A build from nothing takes minutes; with a warm cache
// Build only looks at files.
func Build(ctx context.Context, opts BuildOptions) (Binaries, error) {
	return build(ctx, opts, programs)
}

// BuildNode is [Build] for the programs of a real node.
func BuildNode(ctx context.Context, opts BuildOptions) (NodeBinaries, error) {
	return build(ctx, opts, nodePrograms)
}

// BuildKubectl is [Build] for kubectl, of the cluster's version, and returns its path.
func BuildKubectl(ctx context.Context, opts BuildOptions) (string, error) {
	built, err := build(ctx, opts, toolPrograms)
	return built.kubectl, err
}

func build[T any](ctx context.Context, opts BuildOptions, programs []program[T]) (T, error) {
	var binaries T
	root, err := repositoryRoot(opts.Root)
	if err != nil {
		return binaries, err
	}
	cache, err := cacheFolder(opts.Cache)
	if err != nil {
		return binaries, err
	}
	for _, p := range programs {
		if asset := fromAssets(p.name); asset != "" {
			*p.path(&binaries) = asset
			continue
		}
		path, err := p.build(ctx, filepath.Join(root, "hack", "cluster", p.folder), cache, writerOrDiscard(opts.Log))
		if err != nil {
			return binaries, err
		}
		*p.path(&binaries) = path
	}
	return binaries, nil
}

func fromAssets(name string) string {
	folder := os.Getenv(envAssets)
	if folder == "" {
		return ""
	}
	path, err := exec.LookPath(filepath.Join(folder, name))
	if err != nil {
		return ""
	}
	if path, err = filepath.Abs(path); err != nil {
		return ""
	}
	return path
}

func (p program[T]) build(ctx context.Context, module, cache string, log io.Writer) (string, error) {
	version, err := requiredVersion(filepath.Join(module, "go.mod"), p.module)
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, fmt.Sprintf("%s-%s-%s-%s", p.name, version, runtime.GOOS, runtime.GOARCH))
	if isExecutable(path) {
		return path, nil
	}

	// Two test processes that start together must not both spend minutes on the same binary.
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return "", fmt.Errorf("locking the build of %s: %w", p.name, err)
	}
	defer unlock()
	if isExecutable(path) {
		return path, nil
	}

	// The name is unique to this process and in the same folder, so that the rename is atomic and an interrupted build
	// never looks like a finished one.
	temporary := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	defer func() { _ = os.Remove(temporary) }()

	ldflags := "-s -w"
	if p.ldflags != nil {
		ldflags += " " + p.ldflags(version)
	}
	_, _ = fmt.Fprintf(log, "building %s %s\n", p.name, version)
	started := time.Now()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-buildvcs=false", "-ldflags", ldflags, "-o", temporary, p.pkg)
	build.Dir = module
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	if output, err := build.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", fmt.Errorf("building %s %s: %w\n%s", p.name, version, err, lastLines(output, 20))
	}
	if err := os.Rename(temporary, path); err != nil {
		return "", fmt.Errorf("keeping %s: %w", p.name, err)
	}
	_, _ = fmt.Fprintf(log, "built %s in %s\n", p.name, time.Since(started).Round(100*time.Millisecond))
	return path, nil
}

func isExecutable(path string) bool {
	file, err := os.Stat(path)
	return err == nil && file.Mode().IsRegular() && file.Mode()&0o111 != 0
}

// requiredVersion reads the version of a module from a go.mod file.
func requiredVersion(file, module string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the version of %s: %w", module, err)
	}
	pattern := regexp.MustCompile(`(?m)^(?:require)?\s+` + regexp.QuoteMeta(module) + `\s+(v\S+)`)
	match := pattern.FindSubmatch(content)
	if match == nil {
		return "", fmt.Errorf("%s does not require %s", file, module)
	}
	return string(match[1]), nil
}

func cacheFolder(folder string) (string, error) {
	if folder == "" {
		folder = os.Getenv(envCache)
	}
	if folder == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding a cache folder, set %s to name one: %w", envCache, err)
		}
		folder = filepath.Join(user, "opendatahub", "bin")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("creating the cache folder: %w", err)
	}
	return folder, nil
}

// repositoryRoot finds the checkout that holds the nested modules: the working directory or one above it. The place this
// file was compiled at is the second choice, as it is not known with -trimpath.
func repositoryRoot(root string) (string, error) {
	if root != "" {
		return filepath.Abs(root)
	}
	var starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		starts = append(starts, filepath.Dir(file))
	}
	declaration := regexp.MustCompile(`(?m)^module ` + regexp.QuoteMeta(modulePath) + `$`)
	for _, folder := range starts {
		for {
			if content, err := os.ReadFile(filepath.Join(folder, "go.mod")); err == nil && declaration.Match(content) {
				return folder, nil
			}
			parent := filepath.Dir(folder)
			if parent == folder {
				break
			}
			folder = parent
		}
	}
	return "", errors.New("not in a checkout of " + modulePath + ": no go.mod of it in the working directory or above")
}

func writerOrDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// lastLines returns the last n lines of text, for error messages.
func lastLines(text []byte, n int) string {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
