//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// hold is the first process in the node's namespaces: when it ends, the kernel ends all others, and nothing stays mounted. It
// prepares the file system and the network, says so by a file, and then only collects processes.
func hold(folder, address string) error {
	// Children can end at any time from now on.
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	if err := errors.Join(mounts(folder), network(address)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "ready"), nil, 0o600); err != nil {
		return err
	}
	for range children {
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
	return nil
}

// mounts sends what the node's programs write to the node's folder, or to file systems that end with the namespace.
func mounts(folder string) error {
	// Kubelet wants to see what containers mount, and the other way round; the machine does not.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return fmt.Errorf("preparing the mounts: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mounting /run: %w", err)
	}
	for _, path := range []string{"/var/lib", "/var/log"} {
		upper, work := filepath.Join(folder, "upper", path), filepath.Join(folder, "work", path)
		for _, made := range []string{upper, work} {
			if err := os.MkdirAll(made, 0o755); err != nil {
				return fmt.Errorf("mounting over %s: %w", path, err)
			}
		}
		options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", path, upper, work)
		if err := syscall.Mount("overlay", path, "overlay", 0, options); err != nil {
			return fmt.Errorf("mounting over %s: %w", path, err)
		}
	}
	return nil
}

// network gives the node an address. Nothing leads out: there is no link to the machine's network.
func network(address string) error {
	for _, command := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "link", "add", "node0", "type", "bridge"},
		{"ip", "address", "add", address + "/24", "dev", "node0"},
		{"ip", "link", "set", "node0", "up"},
		// Programs look for the interface of the default route. Packets to addresses that nobody has are refused at once.
		{"ip", "route", "add", "default", "via", address, "dev", "node0"},
	} {
		if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%q: %w: %s", command, err, output)
		}
	}
	for name, value := range map[string]string{"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/route_localnet": "1"} {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	return nil
}
