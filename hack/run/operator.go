package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

// operator is the manager, or the installer, as a process of its own, as in a Pod: with a token of its ServiceAccount, and no
// more rights.
type operator struct {
	log   string
	ended <-chan error
	stop  func() error
}

// stopTimeout is longer than either takes to finish what it does.
const stopTimeout = 20 * time.Second

// startOperator starts a subcommand of the binary.
func startOperator(ctx context.Context, binary, subcommand, serviceAccount string, env *harness.Env) (*operator, error) {
	folder, err := folderOf(env.Cluster)
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(folder, subcommand+".kubeconfig")
	if err := env.WriteServiceAccountKubeconfig(ctx, harness.OperatorNamespace, serviceAccount, kubeconfig); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, subcommand+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of the %s: %w", subcommand, err)
	}
	// Not bound to ctx: it is stopped in order, after what is being shown.
	command := exec.Command(binary, subcommand, "--kubeconfig", kubeconfig, "--namespace", harness.OperatorNamespace, "--log-format=text",
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--leader-elect=false")
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = childAttributes()
	if err := command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the %s: %w", subcommand, err), log.Close())
	}

	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		err := command.Wait()
		if err == nil {
			err = errors.New("without an error")
		}
		ended <- err
		_ = log.Close()
		close(done)
	}()
	stop := sync.OnceValue(func() error {
		select {
		case <-done:
			return nil
		default:
		}
		if err := command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping the %s: %w", subcommand, err)
		}
		select {
		case <-done:
			return nil
		case <-time.After(stopTimeout):
			return errors.Join(fmt.Errorf("the %s did not stop in time and was ended", subcommand), command.Process.Kill())
		}
	})
	return &operator{log: path, ended: ended, stop: stop}, nil
}

// prepareInstaller gives the installer what it needs on this cluster: its ServiceAccount, charts that stand for those of the
// table, and the configuration to take them from a folder, as on a cluster without a way out.
func prepareInstaller(ctx context.Context, env *harness.Env) error {
	folder, err := folderOf(env.Cluster)
	if err != nil {
		return err
	}
	charts := filepath.Join(folder, "charts")
	if err := os.MkdirAll(charts, 0o700); err != nil {
		return fmt.Errorf("creating the folder of charts: %w", err)
	}
	if err := env.WriteCharts(charts); err != nil {
		return err
	}
	if err := env.InstallInstaller(ctx); err != nil {
		return err
	}
	config := corev1ac.ConfigMap(dependencies.ConfigName, harness.OperatorNamespace).
		WithData(map[string]string{dependencies.ConfigKey: "mirror: " + charts + "\n"})
	if err := env.Admin.Apply(ctx, config, client.FieldOwner("make-run"), client.ForceOwnership); err != nil {
		return fmt.Errorf("configuring the installer: %w", err)
	}
	return nil
}

// lastLines of the log say why the operator ended.
func (o *operator) lastLines() string {
	content, err := os.ReadFile(o.log)
	if err != nil {
		return err.Error()
	}
	const count = 10
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

// kindsOf asks the operator which kinds its components render.
func kindsOf(ctx context.Context, binary string) ([]kinds.Kind, error) {
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, binary, "kinds")
	command.Stderr = &stderr
	output, err := command.Output()
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: run make build first", binary)
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s for its kinds: %w\n%s", binary, err, stderr.Bytes())
	}
	var all []kinds.Kind
	if err := json.Unmarshal(output, &all); err != nil {
		return nil, fmt.Errorf("asking %s for its kinds: %w", binary, err)
	}
	return all, nil
}

// folderOf is where the files of a run are: beside the cluster's own, which go with the cluster.
func folderOf(c *cluster.Cluster) (string, error) {
	folder := c.Dir() + ".run"
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("creating the folder of the operator: %w", err)
	}
	return folder, nil
}

// lock keeps a second operator away from the cluster: the two would answer each other.
func lock(c *cluster.Cluster) (unlock func(), err error) {
	folder, err := folderOf(c)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the cluster: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("an operator already runs on cluster %s: stop that make run first, or choose another cluster with NAME",
			c.Name()), file.Close())
	}
	return func() { _ = file.Close() }, nil
}
