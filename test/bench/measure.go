package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/test/cluster/standin"
	"opendatahub.io/operator/test/harness"
)

// row is what was measured with a number of platforms.
type row struct {
	platforms int
	// ready is how long it took until all were Ready, applied how long the client took for the same objects.
	ready, applied time.Duration
	// processor is the processor time of the manager until then, bare that of the client.
	processor, bare time.Duration
	// kubectlApplied and kubectlUsed are the same of kubectl, if it was asked.
	kubectlApplied, kubectlUsed time.Duration

	objects       int
	requests      map[string]int
	reconciles    int
	peak, settled int // kilobytes
	heap          int // bytes, more than without platforms
	restart       restarted
	edit          map[string]int
}

type restarted struct {
	ready     time.Duration
	processor time.Duration
	writes    int
	requests  map[string]int
}

func (r *row) operator(ctx context.Context, o options, env *harness.Env) (err error) {
	p, err := start(ctx, o.binary, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if _, err := p.quiet(ctx, 0); err != nil {
		return err
	}
	empty, err := p.heap()
	if err != nil {
		return err
	}
	before, err := p.read()
	if err != nil {
		return err
	}
	used := p.processor()
	if err := prepare(ctx, env, r.platforms); err != nil {
		return err
	}
	profiling, end := context.WithCancel(ctx)
	defer end()
	profiled := make(chan error, 1)
	go func() { profiled <- p.follow(profiling, o.profiles, fmt.Sprintf("processor-%d", r.platforms)) }()
	began := time.Now()
	err = each(r.platforms, func(i int) error {
		odh, err := harness.NewPlatform(namespace(i), "odh", spec)
		if err != nil {
			return err
		}
		return env.Admin.Create(ctx, odh)
	})
	if err != nil {
		return err
	}
	if err := p.wait(ctx, o.timeout, func() (bool, error) { return allReady(ctx, env) }); err != nil {
		return err
	}
	r.ready, r.processor = time.Since(began), p.processor()-used
	if _, err := p.quiet(ctx, 0); err != nil {
		return err
	}
	after, err := p.read()
	if err != nil {
		return err
	}
	r.requests, r.reconciles, r.peak = after.since(before), after.done-before.done, p.highest()
	end()
	if err := <-profiled; err != nil {
		return err
	}
	full, err := p.heap()
	if err != nil {
		return err
	}
	r.heap = full - empty
	if err := p.save(o.profiles, fmt.Sprintf("heap-%d", r.platforms), "heap?gc=1"); err != nil {
		return err
	}
	// The Go runtime returns memory gradually.
	lowest := p.anonymous()
	deadline := time.Now().Add(20 * time.Second)
	if err := p.wait(ctx, time.Minute, func() (bool, error) {
		lowest = min(lowest, p.anonymous())
		return time.Now().After(deadline), nil
	}); err != nil {
		return err
	}
	r.settled = lowest

	if r.edit, err = edit(ctx, env, p); err != nil {
		return err
	}
	if err := p.stop(); err != nil {
		return err
	}
	r.restart, err = restart(ctx, o, env, r.platforms)
	return err
}

// edit changes one platform among all, and returns the requests that it took.
func edit(ctx context.Context, env *harness.Env, p *process) (map[string]int, error) {
	before, err := p.read()
	if err != nil {
		return nil, err
	}
	odh := &v1alpha1.OpenDataHub{}
	odh.Namespace, odh.Name = namespace(0), "odh"
	change := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"components":{"kafka":{"topics":[{"name":"bench"}]}}}}`))
	if err := env.Admin.Patch(ctx, odh, change); err != nil {
		return nil, err
	}
	if err := p.wait(ctx, time.Minute, func() (bool, error) { return allReady(ctx, env) }); err != nil {
		return nil, err
	}
	if _, err := p.quiet(ctx, 0); err != nil {
		return nil, err
	}
	after, err := p.read()
	if err != nil {
		return nil, err
	}
	return after.since(before), nil
}

// restart starts another process when there is nothing to do.
func restart(ctx context.Context, o options, env *harness.Env, platforms int) (measured restarted, err error) {
	before, err := versions(ctx, env)
	if err != nil {
		return restarted{}, err
	}
	began := time.Now()
	p, err := start(ctx, o.binary, env)
	if err != nil {
		return restarted{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	const controllers = 3 // of kafka and jupyterHub, and the summary
	last, err := p.quiet(ctx, controllers*platforms)
	if err != nil {
		return restarted{}, err
	}
	measured.ready, measured.processor = last.Sub(began), p.processor()
	now, err := p.read()
	if err != nil {
		return restarted{}, err
	}
	measured.requests = now.requests
	after, err := versions(ctx, env)
	if err != nil {
		return restarted{}, err
	}
	for key, version := range after {
		if before[key] != version {
			measured.writes++
		}
	}
	return measured, nil
}

// versions are the resource versions of the platforms and of the objects that the operator applied.
func versions(ctx context.Context, env *harness.Env) (map[string]string, error) {
	found := map[string]string{}
	objects, err := objects(ctx, env)
	if err != nil {
		return nil, err
	}
	for i := range objects {
		found[objects[i].GetKind()+" "+objects[i].GetNamespace()+"/"+objects[i].GetName()] = objects[i].GetResourceVersion()
	}
	return found, nil
}

// prepare creates the namespaces, and grants the manager what it needs there.
func prepare(ctx context.Context, env *harness.Env, platforms int) error {
	return each(platforms, func(i int) error {
		if err := env.EnsureNamespace(ctx, namespace(i)); err != nil {
			return err
		}
		odh, err := harness.NewPlatform(namespace(i), "odh", spec)
		if err != nil {
			return err
		}
		return env.Grant(ctx, odh)
	})
}

func namespace(i int) string { return fmt.Sprintf("bench-%03d", i) }

// each calls the function for every number below n, a few at a time.
func each(n int, do func(int) error) error {
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failed error
	next := make(chan int)
	for range 10 {
		wait.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
	return failed
}

func allReady(ctx context.Context, env *harness.Env) (bool, error) {
	var list v1alpha1.OpenDataHubList
	if err := env.Admin.List(ctx, &list); err != nil {
		return false, err
	}
	return !slices.ContainsFunc(list.Items, func(odh v1alpha1.OpenDataHub) bool {
		ready := meta.FindStatusCondition(odh.Status.Conditions, v1alpha1.ConditionReady)
		return ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != odh.Generation
	}), nil
}

// crowded measures a start on a cluster that is full of what belongs to others.
func crowded(ctx context.Context, o options) error {
	return onCluster(ctx, 1, func(env *harness.Env) error {
		lonely, err := idle(ctx, o, env)
		if err != nil {
			return err
		}
		if err := crowd(ctx, o, env); err != nil {
			return err
		}
		among, err := idle(ctx, o, env)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(os.Stdout, "\nStart among %d objects and %d definitions of others: %.1f s, %.0f ms of processor time, %.1f MB of heap, %.0f MB of anonymous memory at the peak\n",
			o.foreign, o.definitions, among.ready.Seconds(), among.processor.Seconds()*1000, float64(among.heap)/1e6, float64(among.peak)/1024)
		_, _ = fmt.Fprintf(os.Stdout, "Start without them: %.1f s, %.0f ms, %.1f MB, %.0f MB\n",
			lonely.ready.Seconds(), lonely.processor.Seconds()*1000, float64(lonely.heap)/1e6, float64(lonely.peak)/1024)
		return nil
	})
}

// idle starts and stops the operator without a platform.
func idle(ctx context.Context, o options, env *harness.Env) (measured row, err error) {
	began := time.Now()
	p, err := start(ctx, o.binary, env)
	if err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	last, err := p.quiet(ctx, 0)
	if err != nil {
		return row{}, err
	}
	measured.ready, measured.processor, measured.peak = last.Sub(began), p.processor(), p.highest()
	measured.heap, err = p.heap()
	return measured, err
}

func crowd(ctx context.Context, o options, env *harness.Env) error {
	began := time.Now()
	things := make([]standin.Kind, o.definitions)
	for i := range things {
		things[i] = standin.Kind{Group: fmt.Sprintf("g%04d.example.com", i), Versions: []string{"v1"}, Kind: "Thing"}
	}
	if err := env.InstallCRDObjects(ctx, standin.CRDs(things...)...); err != nil {
		return err
	}
	if err := env.EnsureNamespace(ctx, "crowd"); err != nil {
		return err
	}
	err := each(o.foreign, func(i int) error {
		return env.Admin.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "crowd", Name: fmt.Sprintf("foreign-%06d", i), Labels: map[string]string{"app": "foreign"}},
			Data:       map[string]string{"key": strings.Repeat("x", 100)},
		})
	})
	_, _ = fmt.Fprintf(os.Stdout, "\nMaking %d objects and %d definitions took %.0f s\n", o.foreign, o.definitions, time.Since(began).Seconds())
	return err
}

// show writes the table so far.
func show(out io.Writer, rows []row) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name string, value func(row) string) {
		_, _ = fmt.Fprint(w, "| ", name)
		for _, r := range rows {
			_, _ = fmt.Fprint(w, "\t| ", value(r))
		}
		_, _ = fmt.Fprintln(w, "\t|")
	}
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
	megabytes := func(kilobytes int) string { return fmt.Sprintf("%.0f MB", float64(kilobytes)/1024) }
	line("platforms", func(r row) string { return fmt.Sprint(r.platforms) })
	line("---", func(row) string { return "---" })
	line("objects", func(r row) string { return fmt.Sprint(r.objects) })
	line("all Ready after", func(r row) string { return seconds(r.ready) })
	line("a client has applied the objects after", func(r row) string { return seconds(r.applied) })
	line("kubectl has applied the objects after", func(r row) string { return measured(r.kubectlApplied, seconds) })
	line("processor time", func(r row) string { return seconds(r.processor) })
	line("processor time per platform", func(r row) string {
		return fmt.Sprintf("%.0f ms", r.processor.Seconds()*1000/float64(r.platforms))
	})
	line("processor time of the client", func(r row) string { return seconds(r.bare) })
	line("processor time of kubectl", func(r row) string { return measured(r.kubectlUsed, seconds) })
	line("requests", func(r row) string { return methods(r.requests) })
	line("reconciles", func(r row) string { return fmt.Sprint(r.reconciles) })
	line("peak memory", func(r row) string { return megabytes(r.peak) })
	line("settled memory", func(r row) string { return megabytes(r.settled) })
	line("heap per platform", func(r row) string { return fmt.Sprintf("%.0f kB", float64(r.heap)/1000/float64(r.platforms)) })
	line("requests of an edit", func(r row) string { return methods(r.edit) })
	line("restart: done after", func(r row) string { return seconds(r.restart.ready) })
	line("restart: processor time", func(r row) string { return seconds(r.restart.processor) })
	line("restart: objects written", func(r row) string { return fmt.Sprint(r.restart.writes) })
	line("restart: requests", func(r row) string { return methods(r.restart.requests) })
	_ = w.Flush()
	_, _ = fmt.Fprintln(out)
}

func measured(d time.Duration, show func(time.Duration) string) string {
	if d == 0 {
		return "not measured"
	}
	return show(d)
}

func methods(requests map[string]int) string {
	var all []string
	for _, method := range slices.Sorted(maps.Keys(requests)) {
		all = append(all, fmt.Sprintf("%d %s", requests[method], method))
	}
	return strings.Join(all, ", ")
}

// objects are the platforms and all that the operator applied.
func objects(ctx context.Context, env *harness.Env) ([]unstructured.Unstructured, error) {
	var all []unstructured.Unstructured
	seen := map[string]bool{}
	add := func(gvk metav1.GroupVersionKind, options ...client.ListOption) error {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(metav1.GroupVersion{Group: gvk.Group, Version: gvk.Version}.String())
		list.SetKind(gvk.Kind + "List")
		if err := env.Admin.List(ctx, list, options...); meta.IsNoMatchError(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("listing %s: %w", gvk.Kind, err)
		}
		all = append(all, list.Items...)
		return nil
	}
	for _, kind := range env.Kinds {
		if seen[kind.String()] || kind.Kind == "Pod" {
			continue
		}
		seen[kind.String()] = true
		gvk := metav1.GroupVersionKind{Group: kind.Group, Version: kind.Versions[0], Kind: kind.Kind}
		if err := add(gvk, client.MatchingLabels{"app.kubernetes.io/managed-by": "opendatahub-operator"}); err != nil {
			return nil, err
		}
	}
	return all, add(metav1.GroupVersionKind{Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Kind: "OpenDataHub"})
}
