package cluster

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestStartedAgain: a part of a cluster that ended is a failure, until it is started again under its name.
func TestStartedAgain(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{opts: Options{Dir: t.TempDir()}}
	if err := os.Mkdir(c.path(logFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kill(context.Background(), c.state.Processes); err != nil {
			t.Error(err)
		}
	})
	first, err := c.Run("part", nil, sleep, "60")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run("other", nil, sleep, "60"); err != nil {
		t.Fatal(err)
	}
	if err := c.Failure(); err != nil {
		t.Fatal(err)
	}
	if err := kill(t.Context(), c.state.Processes[:1]); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.processes[0].exited:
	case <-time.After(time.Minute):
		t.Fatal("nobody collects it")
	}
	if err := c.Failure(); err == nil {
		t.Error("no part is missed")
	}
	second, err := c.Run("part", nil, sleep, "60")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Failure(); err != nil {
		t.Errorf("it is still missed: %v", err)
	}
	if pid := c.PID("part"); pid != second || pid == first || len(c.PIDs()) != 2 {
		t.Errorf("it is the process %d of %v, want %d and not %d", pid, c.PIDs(), second, first)
	}
}
