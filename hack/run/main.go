// Command run is what `make run` does: it brings up a local cluster and the operator, applies the sample, and shows the
// platform becoming ready.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/api/validation"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

// options are the flags.
type options struct {
	wait    string
	timeout time.Duration
	name    string
	port    int
	binary  string
	sample  string
	keep    bool
	node    string
	config  string
	image   string
	cluster string
}

// What the nodes of the cluster are.
const (
	nodePlayed = "played"
	nodeReal   = "real"
)

// Which cluster it is.
const (
	clusterLocal   = "local"
	clusterCurrent = "current"
)

// What to do once the platform is ready.
const (
	waitStay = "stay"
	waitExit = "exit"
)

func main() {
	var o options
	flag.StringVar(&o.wait, "wait", waitStay, "what to do when the platform is ready: stay (until Ctrl-C) or exit (0 when ready, 1 after the timeout)")
	flag.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long -wait exit waits for the platform, counted from when it is applied")
	flag.StringVar(&o.name, "name", "opendatahub", "name of the local cluster")
	flag.IntVar(&o.port, "port", 0, "port of the API server of a new cluster; 0 picks a free one")
	flag.StringVar(&o.binary, "binary", filepath.Join("bin", "opendatahub"), "operator to run, as make build made it")
	flag.StringVar(&o.sample, "sample", filepath.Join("config", "samples", "opendatahub.yaml"), "OpenDataHub to apply")
	flag.BoolVar(&o.keep, "keep", os.Getenv("KEEP") == "1", "with -wait exit, leave the cluster running; KEEP=1 does the same")
	flag.StringVar(&o.node, "node", nodePlayed, "played: KWOK plays nodes and Pods; real: Pods run (Linux, root)")
	flag.StringVar(&o.config, "config", filepath.Join("config", "default"), "with -node real or -cluster current, what make deploy applies")
	flag.StringVar(&o.image, "image", "quay.io/opendatahub/operator:v0.1.0", "with -node real or -cluster current, the name of the operator's image")
	flag.StringVar(&o.cluster, "cluster", clusterLocal, "local: one that this starts; current: that of kubectl's current context, after asking")
	flag.Parse()

	ctrl.SetLogger(logr.Discard()) // what people must know is printed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if o.wait != waitStay && o.wait != waitExit || flag.NArg() > 0 || o.node != nodePlayed && o.node != nodeReal ||
		o.cluster != clusterLocal && o.cluster != clusterCurrent {
		return errors.New("usage: run [-wait stay|exit] [-timeout 5m] [-name opendatahub] [-port 0] [-node played|real] [-cluster local|current]")
	}
	if o.cluster == clusterCurrent {
		return runCurrent(ctx, o)
	}
	if o.node == nodeReal {
		return runReal(ctx, o)
	}
	hub, err := readSample(o.sample)
	if err != nil {
		return err
	}
	kinds, err := kindsOf(ctx, o.binary)
	if err != nil {
		return err
	}
	started := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("%6.1fs  %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
	}

	say("Starting the local cluster %s. The first time its binaries are built, which takes minutes.", o.name)
	c, existed, err := cluster.Up(ctx, cluster.Options{Name: o.name, Port: o.port, Log: os.Stderr})
	if err != nil {
		return err
	}
	if o.wait == waitExit && !existed && !o.keep {
		defer func() {
			err = errors.Join(err, down(ctx, o.name))
			say("Stopped the cluster.")
		}()
	}
	if err := c.StartOperator(ctx, "strimzi"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.StopOperator(context.WithoutCancel(ctx), "strimzi")) }()
	unlock, err := lock(c)
	if err != nil {
		return err
	}
	defer unlock()

	say("Installing the CustomResourceDefinition, and the ServiceAccounts and roles of the operator and its installer.")
	env, err := harness.Attach(ctx, c, kinds)
	if err != nil {
		return err
	}
	if err := prepareInstaller(ctx, env); err != nil {
		return err
	}
	operator, err := startOperator(ctx, o.binary, "manager", harness.ServiceAccount, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, operator.stop()) }()
	installer, err := startOperator(ctx, o.binary, "installer", harness.InstallerServiceAccount, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, installer.stop()) }()

	say("Applying %s.", o.sample)
	if err := env.EnsureNamespace(ctx, hub.Namespace); err != nil {
		return err
	}
	if err := env.Admit(ctx, catalog.All(), hub); err != nil {
		return err
	}
	if err := env.ApplyFile(ctx, o.sample); err != nil {
		return err
	}
	return follow(ctx, o, env, operator, installer, hub, started, existed)
}

// down stops the cluster. The context may be what ended the run.
func down(ctx context.Context, name string) error {
	_, err := cluster.Down(context.WithoutCancel(ctx), cluster.Options{Name: name})
	return err
}

// readSample finds out whom to watch, and refuses early what the API server would.
func readSample(path string) (*v1alpha1.OpenDataHub, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	hubs, err := validation.Decode(file, corev1.NamespaceDefault)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return hubs[0], nil
}

// follow shows the platform until it is ready, and then until the person has seen enough.
func follow(ctx context.Context, o options, env *harness.Env, operator, installer *operator, hub *v1alpha1.OpenDataHub, started time.Time, existed bool) error {
	applied := time.Now()
	if o.wait == waitExit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, errTimeout)
		defer cancel()
	}
	updates, err := watch(ctx, env.Config(), client.ObjectKeyFromObject(hub))
	if err != nil {
		return err
	}
	view := newView(os.Stdout, started)
	var last *v1alpha1.OpenDataHub
	ready := false
	for {
		select {
		case last = <-updates:
			view.show(last)
			switch {
			case ready || !isReady(last):
			case o.wait == waitExit:
				view.finish("%s", readyAfter(started, applied))
				if existed || o.keep {
					view.finish("The cluster keeps running, without the operator, until: make cluster-down NAME=%s", o.name)
				}
				return nil
			default:
				ready = true
				view.finish("%s\n\n%s", readyAfter(started, applied), nextSteps(env.Cluster, operator.log, installer.log, last))
			}
		case err := <-operator.ended:
			view.finish("")
			return fmt.Errorf("the operator ended: %w\n%s", err, operator.lastLines())
		case err := <-installer.ended:
			view.finish("")
			return fmt.Errorf("the installer ended: %w\n%s", err, installer.lastLines())
		case <-ctx.Done():
			view.finish("")
			if errors.Is(context.Cause(ctx), errTimeout) {
				return fmt.Errorf("not ready after %s:\n%sthe logs are %s and %s", o.timeout, reasons(last), operator.log, installer.log)
			}
			if o.wait == waitExit {
				return errors.New("interrupted")
			}
			if errors.Join(operator.stop(), installer.stop()) == nil { // run returns the error
				view.finish("Stopped the operator and its installer. The cluster keeps running until: make cluster-down NAME=%s", o.name)
			}
			return nil
		}
	}
}

func readyAfter(started, applied time.Time) string {
	return fmt.Sprintf("Ready %.1fs after it was applied, %.1fs after the start.", time.Since(applied).Seconds(), time.Since(started).Seconds())
}

var errTimeout = errors.New("timeout")

// terminalSize is how much fits, or false when out is not a terminal.
func terminalSize(out *os.File) (width, height int, ok bool) {
	width, height, err := term.GetSize(int(out.Fd()))
	return width, height, err == nil && width > 0
}
