package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// state is what a later process needs to know to use or to stop the cluster.
type state struct {
	Name      string          `json:"name"`
	Port      int             `json:"port"`
	Processes []processRecord `json:"processes"`
	Machine   *Machine        `json:"machine,omitempty"`
}

func lockCluster(ctx context.Context, opts Options) (func(), error) {
	unlock, err := lockFile(ctx, filepath.Join(opts.Dir, lockFileName))
	if err != nil {
		return nil, fmt.Errorf("locking cluster %s: %w", opts.Name, err)
	}
	return unlock, nil
}

func readState(dir string) (state, error) {
	var s state
	content, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return s, fmt.Errorf("reading the state of the cluster: %w", err)
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return s, fmt.Errorf("reading the state of the cluster: %w", err)
	}
	return s, nil
}

// clean stops the recorded processes and removes the files of a cluster, as much as there is of either.
func clean(ctx context.Context, opts Options) (found bool, err error) {
	s, err := readState(opts.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, removeFiles(opts.Dir)
	}
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := s.end(ctx, opts.Dir); err != nil {
		return true, err
	}
	return true, removeFiles(opts.Dir)
}

// end stops the processes, and with them the machine that they ran in.
func (s state) end(ctx context.Context, dir string) error {
	if err := kill(ctx, s.Processes); err != nil {
		return err
	}
	if s.Machine == nil {
		return nil
	}
	return s.Machine.end(ctx, dir)
}

// removeFiles removes what a cluster wrote, and nothing else: the folder may be one that the user chose and has other uses for.
func removeFiles(dir string) error {
	// The record of the processes goes last, so that an interruption leaves a folder that is still recognized.
	for _, name := range []string{etcdFolder, machineFolder, pkiFolder, logFolder, kubeconfigFile, auditFile, policyFile, stateFile} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("removing the files of the cluster: %w", err)
		}
	}
	return nil
}

// removeFolder removes the lock and, unless others have files in it, the folder.
func removeFolder(dir string) error {
	if err := os.Remove(filepath.Join(dir, lockFileName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the files of the cluster: %w", err)
	}
	_ = os.Remove(dir)
	return nil
}
