package watch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers/watch"
)

var other = types.NamespacedName{Namespace: "other", Name: "odh"}

func nobody(string, types.NamespacedName) {}

func object(kind schema.GroupVersionKind, namespace, name, version string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	object.SetNamespace(namespace)
	object.SetName(name)
	object.SetResourceVersion(version)
	object.SetUID(types.UID(namespace + "/" + name))
	object.SetLabels(map[string]string{components.LabelPlatform: "odh", components.LabelComponent: "kafka"})
	return object
}

// slow lists one object after a while, as an API server under load does.
func slow(t *testing.T, delay time.Duration, started *atomic.Int32) watch.Watcher {
	t.Helper()
	return func(ctx context.Context, store *watch.Store) {
		version := fmt.Sprint(started.Add(1))
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
		if err := store.Replace([]any{object(store.Kind(), "lab", "a", version)}, version); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
	}
}

func TestALongFirstListMakesProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		started := &atomic.Int32{}
		children := watch.NewChildren(slow(t, 25*time.Second, started), watch.InAll(), nobody)
		go func() { _ = children.Start(ctx) }()
		kind := kinds.ConfigMap.GVK()
		for attempt := 1; attempt <= 2; attempt++ {
			err := children.Ensure(ctx, kind, lab, "kafka")
			if err == nil || !strings.Contains(err.Error(), "first list") {
				t.Errorf("attempt %d: err = %v", attempt, err)
			}
			if _, err := children.Get(ctx, kind, types.NamespacedName{Namespace: "lab", Name: "a"}); err == nil {
				t.Error("an object that is not listed yet counts as missing, and would be created")
			}
			if _, err := children.List(ctx, kind, lab, "kafka"); err == nil {
				t.Error("objects that are not listed yet count as missing")
			}
		}
		if err := children.Ensure(ctx, kind, lab, "kafka"); err != nil {
			t.Errorf("after 20 of 25 seconds the list has to start over: %v", err)
		}
		if got := started.Load(); got != 1 {
			t.Errorf("the kind was listed %d times", got)
		}
	})
}

// TestDroppingDisturbsNobodyElse: one caller waits for the first watch of a kind while another gives it up and starts a second one.
func TestDroppingDisturbsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		started := &atomic.Int32{}
		children := watch.NewChildren(slow(t, 5*time.Second, started), watch.InAll(), nobody)
		go func() { _ = children.Start(ctx) }()
		kind := kinds.ConfigMap.GVK()
		waiting := make(chan error)
		go func() { waiting <- children.Ensure(ctx, kind, lab, "kafka") }()
		<-time.After(time.Second)
		children.Drop(kind)
		if err := children.Ensure(ctx, kind, lab, "kafka"); err != nil {
			t.Fatal(err)
		}
		if err := <-waiting; err == nil {
			t.Error("the watch that was given up is taken for complete")
		}
		for range 2 { // what the first one leaves behind must not stop the second
			synctest.Wait()
			seen, err := children.Get(ctx, kind, types.NamespacedName{Namespace: "lab", Name: "a"})
			if err != nil || seen.GetResourceVersion() != "2" {
				t.Errorf("got %v, %v", seen, err)
			}
			<-time.After(time.Minute)
		}
	})
}

func TestEnsureSaysWhyAKindCannotBeWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		forbidden := errors.New("configmaps is forbidden")
		children := watch.NewChildren(func(ctx context.Context, store *watch.Store) {
			store.Fail(forbidden)
			<-ctx.Done()
		}, watch.InAll(), nobody)
		go func() { _ = children.Start(ctx) }()
		if err := children.Ensure(ctx, kinds.ConfigMap.GVK(), lab, "kafka"); !errors.Is(err, forbidden) {
			t.Errorf("err = %v", err)
		}
	})
}

// TestNoKindIsLost lets starts, time-outs, drops, releases and failures of watches interleave at random. Whatever the order, every
// kind can be watched and read in the end, by exactly one watch.
func TestNoKindIsLost(t *testing.T) {
	all := []schema.GroupVersionKind{kinds.ConfigMap.GVK(), kinds.Service.GVK(), kinds.Secret.GVK()}
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			running := &atomic.Int32{}
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(seed, 1))
			upTo := func(n int) int {
				mu.Lock()
				defer mu.Unlock()
				return random.IntN(n)
			}
			children := watch.NewChildren(func(ctx context.Context, store *watch.Store) {
				running.Add(1)
				defer running.Add(-1)
				for { // as a reflector: list, and when that fails list again
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Duration(upTo(15_000)) * time.Millisecond):
					}
					if upTo(4) == 0 {
						store.Fail(errors.New("no luck"))
						continue
					}
					namespace := store.Namespace()
					if namespace == "" {
						namespace = "lab"
					}
					if err := store.Replace([]any{object(store.Kind(), namespace, "a", "1")}, "1"); err != nil {
						t.Error(err)
					}
				}
			}, watch.InAll(kinds.Secret), nobody)
			go func() { _ = children.Start(ctx) }()

			var wait sync.WaitGroup
			for range 8 {
				wait.Go(func() {
					for range 30 {
						kind, platform := all[upTo(len(all))], []types.NamespacedName{lab, other}[upTo(2)]
						switch upTo(6) {
						case 0:
							children.Drop(kind)
						case 1:
							children.Release(platform, "kafka")
						default:
							brief, done := context.WithTimeout(ctx, time.Duration(upTo(20_000))*time.Millisecond)
							_ = children.Ensure(brief, kind, platform, "kafka")
							_, _ = children.Get(brief, kind, types.NamespacedName{Namespace: platform.Namespace, Name: "a"})
							done()
						}
						<-time.After(time.Duration(upTo(3000)) * time.Millisecond)
					}
				})
			}
			wait.Wait()

			for _, kind := range all {
				var err error
				for range 30 {
					if err = children.Ensure(ctx, kind, lab, "kafka"); err == nil {
						break
					}
				}
				if err != nil {
					t.Fatalf("seed %d: %s cannot be watched any more: %v", seed, kind.Kind, err)
				}
				if seen, err := children.Get(ctx, kind, types.NamespacedName{Namespace: "lab", Name: "a"}); err != nil || seen == nil {
					t.Errorf("seed %d: %s cannot be read any more: %v, %v", seed, kind.Kind, seen, err)
				}
			}
			children.Release(other, "kafka")
			synctest.Wait()
			if got := running.Load(); got != int32(len(all)) {
				t.Errorf("seed %d: %d watches run for %d kinds", seed, got, len(all))
			}
		})
	}
}

func TestSecretsApartAreReadInTheirNamespaceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		covered := map[string]int{}
		children := watch.NewChildren(func(ctx context.Context, store *watch.Store) {
			mu.Lock()
			covered[store.Kind().Kind+" in "+store.Namespace()]++
			mu.Unlock()
			_ = store.Replace(nil, "1")
			<-ctx.Done()
		}, watch.InAll(kinds.Secret), nobody)
		go func() { _ = children.Start(ctx) }()
		for _, platform := range []types.NamespacedName{lab, other, lab} {
			for _, kind := range []kinds.Kind{kinds.Secret, kinds.ConfigMap} {
				if err := children.Ensure(ctx, kind.GVK(), platform, "kafka"); err != nil {
					t.Fatal(err)
				}
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(covered) != 3 || covered["Secret in lab"] != 1 || covered["Secret in other"] != 1 || covered["ConfigMap in "] != 1 {
			t.Errorf("watches = %v", covered)
		}
		children.Release(other, "kafka")
		if _, err := children.Get(ctx, kinds.Secret.GVK(), types.NamespacedName{Namespace: "other", Name: "a"}); err == nil {
			t.Error("Secrets of a namespace without a platform are still watched")
		}
		if _, err := children.Get(ctx, kinds.Secret.GVK(), types.NamespacedName{Namespace: "lab", Name: "a"}); err != nil {
			t.Errorf("Secrets of the other platform are not watched any more: %v", err)
		}
	})
}
