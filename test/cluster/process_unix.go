//go:build unix && !linux

package cluster

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
)

// childAttributes gives every child a session of its own, so that an interrupt typed at the terminal does not reach it.
// Only Linux can bind a child to the life of its parent: elsewhere a killed test leaves its cluster behind.
func childAttributes(bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true}
}

// processBirth returns when a process started and what it runs.
func processBirth(pid int) (string, error) {
	output, err := exec.Command("ps", "-o", "stat=,lstart=,comm=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", fmt.Errorf("process %d: %w", pid, err)
	}
	state, birth, _ := bytes.Cut(bytes.TrimSpace(output), []byte(" "))
	if len(state) == 0 || state[0] == 'Z' {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return string(bytes.TrimSpace(birth)), nil
}
