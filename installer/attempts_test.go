package installer

import (
	"testing"
	"time"

	"opendatahub.io/operator/dependencies"
)

func TestAttemptsWaitLongerEachTime(t *testing.T) {
	now := time.Unix(0, 0)
	a := newAttempts(func() time.Time { return now })
	operator := dependencies.Operator{Name: "Strimzi"}
	problem := dependencies.Failed("RegistryUnavailable", "no answer")

	for _, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
		if got := a.fail(operator, problem, false); got != want {
			t.Errorf("pause = %s, want %s", got, want)
		}
		if got, wait := a.pending(operator); got != problem || wait != want {
			t.Errorf("pending = %v for %s, want the problem for %s", got, wait, want)
		}
		now = now.Add(want)
		if got, _ := a.pending(operator); got != nil {
			t.Error("the next attempt is due, and still held back")
		}
	}
	for range 20 {
		a.fail(operator, problem, false)
	}
	if got := a.fail(operator, problem, false); got != maxPause {
		t.Errorf("pause = %s, want at most %s", got, maxPause)
	}
	if got, _ := a.pending(dependencies.Operator{Name: "Rook"}); got != nil {
		t.Error("one operator's failure holds back another")
	}

	changed := operator
	changed.Namespace = "kafka"
	if got, _ := a.pending(changed); got != nil {
		t.Error("a changed table is not tried at once")
	}
	if got := a.fail(changed, problem, true); got != maxPause {
		t.Errorf("pause = %s for what a person must solve, want %s", got, maxPause)
	}
	if !a.repeated(changed) || a.repeated(operator) {
		t.Error("only what is asked for as it was before is a repetition")
	}
	a.succeed(changed)
	if got, _ := a.pending(changed); got != nil {
		t.Error("a success does not end the pause")
	}
	if got := a.fail(changed, problem, false); got != firstPause {
		t.Errorf("pause = %s after a success, want %s", got, firstPause)
	}
}
