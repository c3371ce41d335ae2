package spark

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// ledger is who has a cluster and who waits for one. The cache is behind what was just written, and two Pods that come at the same time
// must not both get the last cluster.
type ledger struct {
	now     func() time.Time
	mu      sync.Mutex
	entries map[driver]*entry
}

// driver identifies a Pod that wants a cluster, or had one.
type driver struct {
	Namespace, Name string
	UID             types.UID
}

// clusterState is how far a cluster is.
type clusterState string

// The states, besides that of a driver that neither has a cluster nor waits for one.
const (
	waiting  clusterState = "waiting"
	starting clusterState = "starting"
	ready    clusterState = "ready"
	ending   clusterState = "ending"
)

// exists reports whether something of the cluster exists, so that it counts for the limits.
func (s clusterState) exists() bool { return s == starting || s == ready || s == ending }

// entry is what this process knows of a cluster. All but user, state and changed belong to the one reconcile of its driver.
type entry struct {
	user  string
	state clusterState
	// changed is when the state did.
	changed time.Time
	// created holds the UIDs of what this process created, seen what the cache had at least once, and deleted what was deleted: by kind
	// and name.
	created       map[string]types.UID
	seen, deleted map[string]bool
	// said is the last Event on the Pod.
	said string
	// since is when this process began to make the cluster; zero if it was there before.
	since time.Time
}

func (l *ledger) entry(of driver) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.get(of)
}

func (l *ledger) get(of driver) *entry {
	e := l.entries[of]
	if e == nil {
		e = &entry{created: map[string]types.UID{}, seen: map[string]bool{}, deleted: map[string]bool{}}
		if l.entries == nil {
			l.entries = map[driver]*entry{}
		}
		l.entries[of] = e
	}
	return e
}

// limit is one that a platform sets to the number of clusters.
type limit struct {
	// Name is limitPlatform or limitUser.
	Name, message string
}

const (
	limitPlatform = "platform"
	limitUser     = "user"
)

// grant gives a driver its place, if the limits leave one. Zero is no limit.
func (l *ledger) grant(of driver, user string, most, mostPerUser int32) (reached limit, granted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.get(of)
	if e.state.exists() {
		return limit{}, true
	}
	for _, name := range []string{limitPlatform, limitUser} { // a counter that begins at 1 has never risen, for Prometheus
		refused.WithLabelValues(of.Namespace, name)
	}
	var all, own int32
	for other, o := range l.entries {
		if other.Namespace == of.Namespace && o.state.exists() {
			all++
			if o.user == user {
				own++
			}
		}
	}
	switch {
	case most > 0 && all >= most:
		reached = limit{limitPlatform, fmt.Sprintf("the platform has %d Spark clusters, and spec.components.spark.maxClusters is %d", all, most)}
	case mostPerUser > 0 && own >= mostPerUser:
		reached = limit{limitUser, fmt.Sprintf("the user has %d Spark clusters, and spec.components.spark.maxClustersPerUser is %d", own, mostPerUser)}
	default:
		e.user = user
		l.change(e, starting)
		return limit{}, true
	}
	if l.change(e, waiting) {
		refused.WithLabelValues(of.Namespace, reached.Name).Inc()
	}
	return reached, false
}

// change sets the state of an entry, and reports whether it was another.
func (l *ledger) change(e *entry, to clusterState) bool {
	if e.state == to {
		return false
	}
	e.state, e.changed = to, l.now()
	return true
}

// move changes the state of a cluster that exists.
func (l *ledger) move(of driver, to clusterState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[of]; e != nil && e.state.exists() {
		l.change(e, to)
	}
}

// release takes the place of a driver back, and returns those of its namespace who wait for one.
func (l *ledger) release(of driver) []driver {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[of]
	if e == nil {
		return nil
	}
	existed := e.state.exists()
	l.change(e, "")
	if !existed {
		return nil
	}
	var next []driver
	for other, o := range l.entries {
		if other.Namespace == of.Namespace && o.state == waiting {
			next = append(next, other)
		}
	}
	return next
}

// stateIn is a state in a namespace.
type stateIn struct {
	namespace string
	state     clusterState
}

// sum summarizes the clusters in a state; oldest is the longest time that one of them has been in it.
type sum struct {
	count  int
	oldest time.Duration
}

// sums of the namespaces that have clusters, or Pods that wait for one. Each of these has all states: one that is over is zero.
func (l *ledger) sums() map[stateIn]sum {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, sums := l.now(), map[stateIn]sum{}
	for of, e := range l.entries {
		for _, state := range []clusterState{waiting, starting, ready, ending} {
			at := stateIn{of.Namespace, state}
			s := sums[at]
			if e.state == state {
				s.count++
				s.oldest = max(s.oldest, now.Sub(e.changed))
			}
			sums[at] = s
		}
	}
	return sums
}

func (l *ledger) forget(of driver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, of)
}
