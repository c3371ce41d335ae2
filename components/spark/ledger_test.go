package spark

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
)

func of(name string) driver { return driver{"lab", name, types.UID(name)} }

// Limits hold when many come at once.
func TestTheLastClusterIsGivenOnce(t *testing.T) {
	l := &ledger{now: time.Now}
	var granted atomic.Int32
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			if _, ok := l.grant(of(string(rune('a'+i))), "", 7, 0); ok {
				granted.Add(1)
			}
		})
	}
	group.Wait()
	if granted.Load() != 7 {
		t.Errorf("%d clusters were given where 7 are allowed", granted.Load())
	}
}

func TestGrants(t *testing.T) {
	l := &ledger{now: time.Now}
	for _, step := range []struct {
		driver, user string
		want         string
	}{
		{"a1", "alice", ""},
		{"a1", "alice", ""}, // has it already
		{"a2", "alice", "user"},
		{"b1", "bob", ""},
		{"c1", "carol", "platform"},
	} {
		if reached, _ := l.grant(of(step.driver), step.user, 2, 1); reached.Name != step.want {
			t.Errorf("%s meets the limit %q, not %q", step.driver, reached.Name, step.want)
		}
	}
	counters := func() int {
		all := make(chan prometheus.Metric, 100)
		refused.Collect(all)
		return len(all)
	}
	before := counters()
	if _, ok := l.grant(driver{"other", "c1", "c1"}, "carol", 2, 1); !ok {
		t.Error("a platform counts the clusters of another one")
	}
	if added := counters() - before; added != 2 {
		t.Errorf("the first cluster of a namespace adds %d counters of refusals, not one for each limit", added)
	}
	if waiting := l.release(of("a1")); len(waiting) != 2 {
		t.Errorf("%v wait, and not a2 and c1", waiting)
	}
	if waiting := l.release(of("a1")); waiting != nil {
		t.Errorf("a place was given back twice: %v", waiting)
	}
	if _, ok := l.grant(of("a2"), "alice", 2, 1); !ok {
		t.Error("the place of a1 is not free")
	}
}

// A cluster that takes long to start or to end shows, and one that goes on does not.
func TestHowLongClustersStartAndEnd(t *testing.T) {
	now := time.Now()
	l := &ledger{now: func() time.Time { return now }}
	for _, name := range []string{"first", "second", "third"} {
		l.grant(of(name), name, 3, 0)
		now = now.Add(time.Minute)
	}
	l.grant(of("fourth"), "fourth", 3, 0)
	now = now.Add(time.Minute)
	l.move(of("first"), ready)
	l.move(of("second"), ready)
	l.move(of("second"), ending)
	l.move(of("fourth"), ready) // has no cluster
	now = now.Add(time.Minute)
	l.move(of("second"), ending) // is still

	c := &collector{}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	gather := func() map[string]float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, family := range families {
			for _, metric := range family.Metric {
				values[family.GetName()+" "+metric.Label[0].GetValue()+" "+metric.Label[1].GetValue()] = metric.Gauge.GetValue()
			}
		}
		return values
	}
	if got := gather(); len(got) != 0 {
		t.Errorf("without a controller: %v", got)
	}
	c.Store(l)
	want := map[string]float64{
		"opendatahub_spark_clusters lab starting":                1,
		"opendatahub_spark_clusters lab ready":                   1,
		"opendatahub_spark_clusters lab ending":                  1,
		"opendatahub_spark_clusters_oldest_seconds lab waiting":  120,
		"opendatahub_spark_clusters_oldest_seconds lab starting": 180,
		"opendatahub_spark_clusters_oldest_seconds lab ending":   60,
	}
	if diff := cmp.Diff(want, gather()); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	l.release(of("second"))
	if got := l.sums()[stateIn{"lab", ending}]; got != (sum{}) {
		t.Errorf("what is gone is still ending: %+v", got)
	}
}
