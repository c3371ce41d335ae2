package installer

import (
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/dependencies"
)

const (
	// firstPause is how long after a failure something is tried again; the pause doubles from there, up to maxPause.
	firstPause = 5 * time.Second
	maxPause   = 5 * time.Minute
)

// retries says when something that failed is tried again without any other sign. Only fetching a chart waits for that time: whatever
// changes in the cluster, a repository is not asked again at once.
type retries struct {
	now     func() time.Time
	limiter workqueue.TypedRateLimiter[string]

	mu       sync.Mutex
	fetches  map[string]fetch
	restored map[string]time.Time
}

// fetch is a chart that could not be fetched or rendered.
type fetch struct {
	request string
	failure *components.Failure
	next    time.Time
}

func newRetries(now func() time.Time) *retries {
	return &retries{
		now: now, limiter: workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstPause, maxPause),
		fetches: map[string]fetch{}, restored: map[string]time.Time{},
	}
}

// after notes a failure, and says how long to wait.
func (r *retries) after(dependency dependencies.Dependency) time.Duration {
	return r.limiter.When(dependency.Name)
}

// failing is whether the last attempt failed.
func (r *retries) failing(dependency dependencies.Dependency) bool {
	return r.limiter.NumRequeues(dependency.Name) > 0
}

// succeed forgets earlier failures.
func (r *retries) succeed(dependency dependencies.Dependency) {
	r.limiter.Forget(dependency.Name)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.fetches, dependency.Name)
}

// fail notes that a chart could not be fetched or rendered.
func (r *retries) fail(dependency dependencies.Dependency, request string, failure *components.Failure) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fetches[dependency.Name].request != request {
		r.limiter.Forget(dependency.Name)
	}
	pause := r.limiter.When(dependency.Name)
	r.fetches[dependency.Name] = fetch{request: request, failure: failure, next: r.now().Add(pause)}
	return pause
}

// pending is the last failure of a chart, and how long until it is tried again. Another request than the one that failed is tried at once.
func (r *retries) pending(dependency dependencies.Dependency, request string) (*components.Failure, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.fetches[dependency.Name]
	wait := last.next.Sub(r.now())
	if !ok || last.request != request || wait <= 0 {
		return nil, 0
	}
	return last.failure, wait
}

// restores is whether charts may be fetched for no more than their CustomResourceDefinitions: ever more rarely, because a chart may not
// have the one that is missing. Otherwise wait is until then.
func (r *retries) restores(dependency dependencies.Dependency) (allowed bool, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if wait := r.restored[dependency.Name].Sub(r.now()); wait > 0 {
		return false, wait
	}
	pause := r.limiter.When(dependency.Name + " restored")
	r.restored[dependency.Name] = r.now().Add(pause)
	return true, pause
}

// complete forgets that CustomResourceDefinitions were missing.
func (r *retries) complete(dependency dependencies.Dependency) {
	r.limiter.Forget(dependency.Name + " restored")
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.restored, dependency.Name)
}
