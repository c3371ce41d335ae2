package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/test/cluster/strimzi"
)

const (
	loopback       = "127.0.0.1"
	serviceCIDR    = "10.96.0.0/16"
	serviceIP      = "10.96.0.1" // the first of serviceCIDR: the Service `kubernetes`
	podCIDR        = "10.244.0.0/16"
	kubeletClient  = "kube-apiserver-kubelet-client"
	fieldManager   = "opendatahub-cluster"
	defaultTimeout = 2 * time.Minute
	stopTimeout    = 20 * time.Second
)

// Options describe a cluster.
type Options struct {
	// Name tells clusters apart. Default: default.
	Name string
	// Dir holds the state, logs and kubeconfig. Default: .local/clusters/<name> in the checkout. Whatever a cluster
	// put there is removed when it is stopped.
	Dir string
	// Root is the checkout of this repository; found from the working directory when empty.
	Root string
	// Port of the API server. 0 picks a free one.
	Port int
	// Nodes is the number of played nodes, spread over the zones a, b and c. Default: 3; a negative number means none.
	Nodes int
	// Machine makes the place in which the processes run, before they start. nil: directly on this machine.
	Machine func(context.Context, *Cluster) (*Machine, error)
	// Operators are the third-party operators to play: strimzi, and those that components have Stages for, as
	// testdata/stages/<operator>. nil plays them all, an empty slice none.
	Operators []string
	// Player is a program that plays the operators that have no Stages, with the arguments of `hack/cluster play`, for a cluster
	// that outlives this process. Without it [Cluster.StartOperator] plays them as long as this process runs.
	Player string
	// Audit makes the API server write every request, at level Metadata, to [Cluster.AuditLog].
	Audit bool
	// AuditPolicy chooses the requests instead. Empty: all of them.
	AuditPolicy string
	// Binaries to run; nil builds them, or finds those built before.
	Binaries *Binaries
	// Timeout for a cluster to be ready once its binaries are there. Default: two minutes.
	Timeout time.Duration
	// Log receives progress for people to read; nil is silent.
	Log io.Writer
}

func (o *Options) setDefaults() error {
	if o.Name == "" {
		o.Name = "default"
	}
	if o.Name != filepath.Base(o.Name) || o.Name[0] == '.' {
		return fmt.Errorf("cluster name %q cannot name a folder", o.Name)
	}
	if o.Dir == "" {
		root, err := repositoryRoot(o.Root)
		if err != nil {
			return err
		}
		o.Dir = filepath.Join(root, ".local", "clusters", o.Name)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return fmt.Errorf("finding the folder of cluster %s: %w", o.Name, err)
	}
	o.Dir = dir
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	o.Nodes = max(o.Nodes, 0)
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	o.Log = writerOrDiscard(o.Log)
	return nil
}

// PortInUseError says that the port that was asked for is taken.
type PortInUseError struct {
	// Port that is taken.
	Port int
}

func (e *PortInUseError) Error() string {
	return fmt.Sprintf("port %d on %s is already in use; choose another with PORT=...", e.Port, loopback)
}

// Cluster is a running control plane.
type Cluster struct {
	opts      Options
	state     state
	processes []*process // empty when another process started them
	config    *rest.Config
	client    client.Client
	kube      kubernetes.Interface
	strimzi   *player
	syncing   sync.Mutex // see syncStages
}

// files of a cluster, relative to its folder. Nothing else in the folder is ever removed.
const (
	stateFile      = "cluster.json"
	kubeconfigFile = "kubeconfig"
	auditFile      = "audit.log"
	policyFile     = "audit-policy.yaml"
	pkiFolder      = "pki"
	logFolder      = "logs"
	etcdFolder     = "etcd"
	machineFolder  = "machine"
	lockFileName   = "lock"
)

// Start runs a cluster that lives no longer than this process: also when this process is killed, on Linux. It returns
// when the nodes are Ready. The caller stops it with [Cluster.Stop].
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	c, existed, err := start(ctx, opts, false)
	if err == nil && existed {
		return nil, fmt.Errorf("cluster %s already runs in %s", c.opts.Name, c.opts.Dir)
	}
	return c, err
}

// Up runs a cluster that stays after this process has ended, until [Down]. When the cluster runs already it only connects to
// it, and existed is true; remains of one that no longer works are removed first.
func Up(ctx context.Context, opts Options) (c *Cluster, existed bool, err error) {
	return start(ctx, opts, true)
}

// Attach connects to a cluster that [Up] started.
func Attach(ctx context.Context, opts Options) (*Cluster, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	s, err := readState(opts.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{opts: opts, state: s, strimzi: &player{strimzi: strimzi.New()}}
	for _, p := range s.Processes {
		if !p.alive() {
			return nil, fmt.Errorf("%s of cluster %s no longer runs", p.Name, opts.Name)
		}
	}
	if len(s.Processes) < len(programs) {
		return nil, fmt.Errorf("cluster %s never finished starting", opts.Name)
	}
	if err := c.connect(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := c.serverReady(ctx); err != nil {
		return nil, fmt.Errorf("cluster %s does not answer: %w", opts.Name, err)
	}
	return c, nil
}

// Down stops exactly the processes that the cluster of this name started and removes its files. It reports whether there was
// such a cluster.
func Down(ctx context.Context, opts Options) (found bool, err error) {
	if err := opts.setDefaults(); err != nil {
		return false, err
	}
	unlock, err := lockCluster(ctx, opts)
	if err != nil {
		return false, err
	}
	defer unlock()
	if found, err = clean(ctx, opts); err != nil {
		return found, err
	}
	return found, removeFolder(opts.Dir)
}

func start(ctx context.Context, opts Options, detached bool) (_ *Cluster, existed bool, err error) {
	if err := opts.setDefaults(); err != nil {
		return nil, false, err
	}
	if opts.Binaries == nil {
		binaries, err := Build(ctx, BuildOptions{Root: opts.Root, Log: opts.Log})
		if err != nil {
			return nil, false, err
		}
		opts.Binaries = &binaries
	}
	unlock, err := lockCluster(ctx, opts)
	if err != nil {
		return nil, false, err
	}
	defer unlock()

	if c, err := Attach(ctx, opts); err == nil {
		return c, true, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		_, _ = fmt.Fprintf(opts.Log, "removing what is left of an earlier cluster: %v\n", err)
	}
	if _, err := clean(ctx, opts); err != nil {
		return nil, false, err
	}

	ctx, cancel := context.WithTimeoutCause(ctx, opts.Timeout, fmt.Errorf("not ready after %s", opts.Timeout))
	defer cancel()
	const attempts = 3
	for attempt := 1; ; attempt++ {
		c := &Cluster{opts: opts, state: state{Name: opts.Name}, strimzi: &player{strimzi: strimzi.New()}}
		err := c.start(ctx, detached)
		if err == nil {
			return c, false, nil
		}
		// The context may be what ended the start, so the processes are stopped under another.
		stopContext, stop := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		err = errors.Join(err, c.state.end(stopContext, opts.Dir))
		stop()

		var taken *PortInUseError
		if errors.As(err, &taken) {
			return nil, false, err
		}
		var exited *processExitedError
		if !errors.As(err, &exited) || !exited.portTaken() {
			return nil, false, fmt.Errorf("starting cluster %s (logs are in %s): %w", opts.Name, filepath.Join(opts.Dir, logFolder), err)
		}
		// Another process took a port between our finding it free and our use of it.
		if opts.Port != 0 && !portFree(opts.Port) {
			return nil, false, &PortInUseError{Port: opts.Port}
		}
		if attempt == attempts {
			return nil, false, fmt.Errorf("starting cluster %s: %w", opts.Name, err)
		}
		if _, err := clean(ctx, opts); err != nil {
			return nil, false, err
		}
	}
}

// start starts everything, in the order of need.
func (c *Cluster) start(ctx context.Context, detached bool) error {
	ports, err := c.pickPorts()
	if err != nil {
		return err
	}
	c.state.Port = ports.apiServer
	for _, folder := range []string{c.opts.Dir, c.path(logFolder)} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("creating the folder of the cluster: %w", err)
		}
	}
	if c.opts.Machine != nil {
		machine, err := c.opts.Machine(ctx, c)
		if err != nil {
			return fmt.Errorf("making the machine of the cluster: %w", err)
		}
		c.state.Machine = machine
	}
	if err := c.writeCredentials(); err != nil {
		return fmt.Errorf("creating certificates: %w", err)
	}
	if err := c.connect(); err != nil {
		return err
	}
	if c.opts.Audit {
		const all = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}`
		if err := os.WriteFile(c.path(policyFile), []byte(cmp.Or(c.opts.AuditPolicy, all)), 0o600); err != nil {
			return fmt.Errorf("writing the audit policy: %w", err)
		}
	}

	// etcd and the API server start together: the API server waits for its store.
	if err := c.run("etcd", c.opts.Binaries.Etcd, c.etcdArguments(ports), detached); err != nil {
		return err
	}
	if err := c.run("kube-apiserver", c.opts.Binaries.APIServer, c.apiServerArguments(ports), detached); err != nil {
		return err
	}
	if err := c.wait(ctx, "the API server", c.serverReady); err != nil {
		return err
	}
	if err := c.run("kube-controller-manager", c.opts.Binaries.ControllerManager, c.controllerManagerArguments(), detached); err != nil {
		return err
	}
	if err := c.run("kube-scheduler", c.opts.Binaries.Scheduler, c.schedulerArguments(), detached); err != nil {
		return err
	}
	if err := c.installStages(ctx); err != nil {
		return err
	}
	if err := c.createNodes(ctx); err != nil {
		return err
	}
	if err := c.run("kwok", c.opts.Binaries.Kwok, c.kwokArguments(), detached); err != nil {
		return err
	}
	if err := c.wait(ctx, "the nodes", c.nodesReady); err != nil {
		return err
	}
	if err := c.wait(ctx, "the default ServiceAccount", c.defaultServiceAccountReady); err != nil {
		return err
	}
	switch {
	case c.opts.Operators != nil && !slices.Contains(c.opts.Operators, playedStrimzi):
		return nil
	case !detached:
		return c.StartOperator(ctx, playedStrimzi)
	case c.opts.Player != "":
		return c.run(playedStrimzi, c.opts.Player, []string{"play", "--kubeconfig", c.Kubeconfig()}, detached)
	}
	return nil
}

// run starts one process and records it at once, so that whatever happens next, it can be found and stopped.
func (c *Cluster) run(name, path string, args []string, detached bool) error {
	if c.state.Machine != nil {
		enter := c.state.Machine.Enter
		path, args = enter[0], slices.Concat(enter[1:], []string{path}, args)
	}
	return c.record(command{
		name: name, path: path, args: args, folder: c.opts.Dir,
		logFile: c.LogFile(name), detached: detached,
	})
}

func (c *Cluster) record(command command) error {
	p, err := command.start()
	if err != nil {
		return err
	}
	// One that ended is forgotten when it is started again.
	c.processes = append(slices.DeleteFunc(c.processes, func(old *process) bool { return old.Name == p.Name && old.failure() != nil }), p)
	c.state.Processes = append(slices.DeleteFunc(c.state.Processes, func(old processRecord) bool { return old.Name == p.Name && !old.alive() }), p.processRecord)
	content, err := json.MarshalIndent(c.state, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.path(stateFile), append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("recording the process %s: %w", command.name, err)
	}
	return nil
}

// wait polls a condition, and gives up at once when a process of the cluster has ended.
func (c *Cluster) wait(ctx context.Context, what string, condition func(context.Context) error) error {
	err := poll(ctx, func(ctx context.Context) error {
		if err := c.failure(); err != nil {
			return &permanentError{err}
		}
		return condition(ctx)
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", what, err)
	}
	return nil
}

func (c *Cluster) failure() error {
	for _, p := range c.processes {
		if err := p.failure(); err != nil {
			return err
		}
	}
	for _, r := range c.state.Processes {
		if len(c.processes) == 0 && !r.alive() {
			return fmt.Errorf("%s of cluster %s no longer runs", r.Name, c.opts.Name)
		}
	}
	return nil
}

// Stop ends the processes of the cluster, waits until they are gone, and removes its files. A stopped cluster
// can be stopped again.
func (c *Cluster) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := c.strimzi.stop(ctx); err != nil {
		return err
	}
	if err := c.state.end(ctx, c.opts.Dir); err != nil {
		return err
	}
	if err := removeFiles(c.opts.Dir); err != nil {
		return err
	}
	return removeFolder(c.opts.Dir)
}

// Config returns a new client configuration for the administrator of the cluster. It has no client-side rate limit.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Kubeconfig is the path of the administrator's kubeconfig file.
func (c *Cluster) Kubeconfig() string { return c.path(kubeconfigFile) }

// Name of the cluster.
func (c *Cluster) Name() string { return c.opts.Name }

// Dir is the folder with the state of the cluster.
func (c *Cluster) Dir() string { return c.opts.Dir }

// Port of the API server.
func (c *Cluster) Port() int { return c.state.Port }

// AuditLog is the path of the file that the API server writes one JSON object per request to, when [Options].Audit is set.
func (c *Cluster) AuditLog() string { return c.path(auditFile) }

// LogFile is the path of the log of one of the cluster's processes, such as kube-apiserver.
func (c *Cluster) LogFile(process string) string {
	return filepath.Join(c.opts.Dir, logFolder, process+".log")
}

func (c *Cluster) path(name string) string { return filepath.Join(c.opts.Dir, name) }

func (c *Cluster) pki(name string) string { return filepath.Join(c.opts.Dir, pkiFolder, name) }
