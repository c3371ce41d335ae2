package spark

import (
	"sync"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func of(name string) driver { return driver{"lab", name, types.UID(name)} }

// Limits hold when many come at once.
func TestTheLastClusterIsGivenOnce(t *testing.T) {
	l := &ledger{}
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
	l := &ledger{}
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
	if _, ok := l.grant(driver{"other", "c1", "c1"}, "carol", 2, 1); !ok {
		t.Error("a platform counts the clusters of another one")
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
