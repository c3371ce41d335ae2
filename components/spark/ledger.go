package spark

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// ledger is who has a cluster and who waits for one. The cache is behind what was just written, and two Pods that come together must not
// both get the last cluster.
type ledger struct {
	mu      sync.Mutex
	entries map[driver]*entry
}

// driver identifies a Pod that wants a cluster, or had one.
type driver struct {
	Namespace, Name string
	UID             types.UID
}

// entry is what this process knows of a cluster. All but user, granted and waiting belong to the one reconcile of its driver.
type entry struct {
	user             string
	granted, waiting bool
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
	// Name is user or platform.
	Name, message string
}

// grant gives a driver its place, if the limits leave one. Zero is no limit.
func (l *ledger) grant(of driver, user string, most, mostPerUser int32) (reached limit, granted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.get(of)
	if e.granted {
		return limit{}, true
	}
	var all, own int32
	for other, o := range l.entries {
		if other.Namespace == of.Namespace && o.granted {
			all++
			if o.user == user {
				own++
			}
		}
	}
	switch {
	case most > 0 && all >= most:
		reached = limit{"platform", fmt.Sprintf("the platform has %d Spark clusters, and spec.components.spark.maxClusters is %d", all, most)}
	case mostPerUser > 0 && own >= mostPerUser:
		reached = limit{"user", fmt.Sprintf("the user has %d Spark clusters, and spec.components.spark.maxClustersPerUser is %d", own, mostPerUser)}
	default:
		e.user, e.granted, e.waiting = user, true, false
		clusters.WithLabelValues(of.Namespace).Inc()
		return limit{}, true
	}
	if !e.waiting {
		e.waiting = true
		refused.WithLabelValues(of.Namespace, reached.Name).Inc()
	}
	return reached, false
}

// release takes the place of a driver back, and returns those of its namespace who wait for one.
func (l *ledger) release(of driver) []driver {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[of]
	if e == nil {
		return nil
	}
	e.waiting = false
	if !e.granted {
		return nil
	}
	e.granted = false
	clusters.WithLabelValues(of.Namespace).Dec()
	var waiting []driver
	for other, o := range l.entries {
		if other.Namespace == of.Namespace && o.waiting {
			waiting = append(waiting, other)
		}
	}
	return waiting
}

func (l *ledger) forget(of driver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, of)
}
