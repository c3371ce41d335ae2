package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const cgroupRoot = "/sys/fs/cgroup"

// NetworkOf is the network namespace of a process.
func NetworkOf(pid int) (string, error) { return os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)) }

// Cgroups are the folders of a cgroup, one per hierarchy: with version 2 there is one, with version 1 many.
func Cgroups(cgroup string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		return []string{filepath.Join(cgroupRoot, cgroup)}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, fmt.Errorf("looking for cgroups: %w", err)
	}
	var folders []string
	for _, entry := range entries {
		if entry.IsDir() { // the others are links to them
			folders = append(folders, filepath.Join(cgroupRoot, entry.Name(), cgroup))
		}
	}
	return folders, nil
}

// end waits until nothing is left in the machine after its first process was stopped, which the kernel does to all others, with their
// mounts, devices and networks. Only cgroups stay, and are removed.
func (m *Machine) end(ctx context.Context, dir string) error {
	return poll(ctx, func(context.Context) error {
		if left := m.Left(dir); len(left) > 0 {
			// Empty cgroups are all that does not go by itself.
			return errors.Join(m.removeCgroups(), fmt.Errorf("still there: %s", strings.Join(left, ", ")))
		}
		return nil
	})
}

func (m *Machine) removeCgroups() error {
	folders, err := Cgroups(m.Cgroup)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		var found []string
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && entry.IsDir() {
				found = append(found, path)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("removing cgroups: %w", err)
		}
		for _, path := range slices.Backward(found) {
			_ = os.Remove(path) // it may be busy for a moment; Left tells
		}
	}
	return nil
}

// Left lists what exists of the machine: processes, mounts and devices with files below the folder, and cgroups.
func (m *Machine) Left(dir string) []string {
	var left []string
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		if network, err := os.Readlink(process + "/ns/net"); err == nil && network == m.Network {
			name, _ := os.ReadFile(process + "/comm")
			left = append(left, fmt.Sprintf("process %s (%s)", filepath.Base(process), strings.TrimSpace(string(name))))
		}
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, loop := range loops {
		if file, err := os.ReadFile(loop); err == nil && strings.HasPrefix(string(file), dir+"/") {
			left = append(left, "loop device of "+strings.TrimSpace(string(file)))
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mounts"); err == nil {
		for line := range strings.Lines(string(mounts)) {
			if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
				left = append(left, "mount "+fields[1])
			}
		}
	}
	folders, _ := Cgroups(m.Cgroup)
	for _, folder := range folders {
		if _, err := os.Stat(folder); err == nil {
			left = append(left, "cgroup "+folder)
		}
	}
	return left
}
