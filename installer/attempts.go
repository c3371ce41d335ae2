package installer

import (
	"fmt"
	"sync"
	"time"

	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/dependencies"
)

const (
	// firstPause is how long after a failure something is tried again; the pause doubles from there.
	firstPause = 5 * time.Second
	// maxPause bounds that, and is how often what a person must solve is looked at without any other sign.
	maxPause = 10 * time.Minute
)

// attempts remembers what failed, so that the events that a failing chart makes itself do not start it again at once.
type attempts struct {
	now func() time.Time

	mu     sync.Mutex
	failed map[string]attempt
}

type attempt struct {
	// asked is the operator as it was asked for: a changed table is tried at once.
	asked   string
	problem *dependencies.Problem
	count   int
	next    time.Time
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, failed: map[string]attempt{}}
}

// pending is the problem of an operator whose next attempt is not due, and how long until then.
func (a *attempts) pending(operator dependencies.Operator) (problem *dependencies.Problem, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.failed[operator.Name]
	if !ok || last.asked != fingerprint(operator) {
		return nil, 0
	}
	if wait := last.next.Sub(a.now()); wait > 0 {
		return last.problem, wait
	}
	return nil, 0
}

// fail notes a failure, and says how long to wait. What a person must solve waits longest.
func (a *attempts) fail(operator dependencies.Operator, problem *dependencies.Problem, blocked bool) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := a.failed[operator.Name]
	if asked := fingerprint(operator); last.asked != asked {
		last = attempt{asked: asked}
	}
	pause := maxPause
	if !blocked {
		pause = min(maxPause, firstPause<<min(last.count, 10))
	}
	last.count++
	last.problem, last.next = problem, a.now().Add(pause)
	a.failed[operator.Name] = last
	return pause
}

// repeated is whether the same was tried before, and failed.
func (a *attempts) repeated(operator dependencies.Operator) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.failed[operator.Name]
	return ok && last.asked == fingerprint(operator)
}

// succeed forgets earlier failures.
func (a *attempts) succeed(operator dependencies.Operator) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failed, operator.Name)
}

func fingerprint(operator dependencies.Operator) string {
	content, err := yaml.Marshal(operator)
	if err != nil {
		return fmt.Sprint(operator) // values that came from YAML can be written as YAML
	}
	return string(content)
}
