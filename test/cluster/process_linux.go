package cluster

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// childAttributes gives every child a session of its own, so that an interrupt typed at the terminal does not reach it,
// and binds those that are not detached to the life of this process.
func childAttributes(detached bool) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if !detached {
		attributes.Pdeathsig = syscall.SIGKILL
	}
	return attributes
}

// processBirth returns the boot and the clock tick at which a process started. A zombie has ended for everyone but its parent.
func processBirth(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field is the program's name in parentheses, and may hold anything, also spaces and parentheses.
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	const state, startTime = 0, 19 // fields 3 and 22 of proc(5)
	if end < 0 || len(fields) <= startTime {
		return "", fmt.Errorf("unexpected format of /proc/%d/stat", pid)
	}
	if s := string(fields[state]); s == "Z" || s == "X" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/%s", bytes.TrimSpace(boot), fields[startTime]), nil
}
