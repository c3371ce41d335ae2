// Command bench measures what platforms cost: it starts a local cluster, runs the operator there as a process of its own, creates
// platforms, and prints a table of what the operator used. A second run of the same number of platforms lets a client do nothing but
// apply the same objects, in parallel, for comparison, and once kubectl does. Figures of one machine compare with each other only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

// spec is the platform that is measured.
const spec = `
profile: Development
components:
  kafka: {}
  jupyterHub: {}
`

type options struct {
	binary      string
	platforms   []int
	foreign     int
	definitions int
	workers     int
	kubectl     int
	profiles    string
	timeout     time.Duration
}

func main() {
	if err := parse(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func parse() error {
	var o options
	counts, apply := "", ""
	flag.StringVar(&apply, "apply", "", "how this program runs itself, see bare.go")
	flag.StringVar(&o.binary, "binary", filepath.Join("bin", "opendatahub"), "operator to measure, as make build made it")
	flag.StringVar(&counts, "platforms", "1,10,100,300", "numbers of platforms")
	flag.IntVar(&o.foreign, "foreign", 20_000, "ConfigMaps of others in the last part")
	flag.IntVar(&o.definitions, "definitions", 200, "CustomResourceDefinitions of others in the last part; 0 with -foreign 0 leaves it out")
	flag.IntVar(&o.workers, "workers", 20, "parallel requests of the client that compares")
	flag.IntVar(&o.kubectl, "kubectl", 100, "number of platforms whose objects kubectl applies too; 0 for none")
	flag.StringVar(&o.profiles, "profiles", "", "folder for profiles of the processor and the heap")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long all platforms of a number may take to be Ready")
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if apply != "" {
		return applyAll(ctx, apply, o.workers)
	}
	var err error
	if o.platforms, err = numbers(counts); err != nil {
		return err
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return fmt.Errorf("making the folder of the profiles: %w", err)
		}
	}
	return run(ctx, o)
}

func numbers(text string) ([]int, error) {
	var all []int
	for field := range strings.SplitSeq(text, ",") {
		number, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || number < 1 {
			return nil, fmt.Errorf("-platforms %q: use numbers such as 1,10,100", text)
		}
		all = append(all, number)
	}
	return all, nil
}

func run(ctx context.Context, o options) error {
	_, _ = fmt.Fprintf(os.Stdout, "%s, %d processors, %s, %s\n\n", time.Now().Format(time.DateOnly), runtime.NumCPU(), memory(), runtime.Version())
	var rows []row
	for _, number := range o.platforms {
		measured, err := measure(ctx, o, number)
		if err != nil {
			return fmt.Errorf("with %d platforms: %w", number, err)
		}
		rows = append(rows, measured)
		show(os.Stdout, rows)
	}
	if o.foreign == 0 && o.definitions == 0 {
		return nil
	}
	return crowded(ctx, o)
}

// measure runs the operator, and then the client, each on a cluster of its own.
func measure(ctx context.Context, o options, number int) (measured row, err error) {
	measured.platforms = number
	err = onCluster(ctx, number, func(env *harness.Env) error { return measured.operator(ctx, o, env) })
	if err != nil {
		return row{}, err
	}
	err = onCluster(ctx, number, func(env *harness.Env) error { return measured.client(ctx, o, env) })
	if err != nil || number != o.kubectl {
		return measured, err
	}
	err = onCluster(ctx, number, func(env *harness.Env) error { return measured.kubectl(ctx, o, env) })
	return measured, err
}

// onCluster calls do with a cluster that has enough nodes for the Pods of the platforms.
func onCluster(ctx context.Context, platforms int, do func(*harness.Env) error) (err error) {
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	env, err := harness.Start(ctx, catalog.All(), cluster.Options{Name: "bench", Dir: filepath.Join(folder, "cluster"), Nodes: 3 + platforms/10})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	return do(env)
}

func memory() string {
	content, _ := os.ReadFile("/proc/meminfo")
	var kilobytes int
	_, _ = fmt.Sscanf(string(content), "MemTotal: %d", &kilobytes)
	return fmt.Sprintf("%d GB memory", kilobytes>>20)
}
