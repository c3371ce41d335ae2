package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

// client lets this program, as a process of its own, apply what the operator would.
func (r *row) client(ctx context.Context, o options, env *harness.Env) error {
	for i := range r.platforms {
		if err := env.EnsureNamespace(ctx, namespace(i)); err != nil {
			return err
		}
	}
	rendered, err := render(ctx, o.binary)
	if err != nil {
		return err
	}
	file := filepath.Join(env.Dir(), "rendered.yaml")
	if err := os.WriteFile(file, rendered, 0o600); err != nil {
		return err
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, own, "-apply", env.Kubeconfig()+","+file+","+strconv.Itoa(r.platforms), "-workers", strconv.Itoa(o.workers))
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, os.Stderr
	began := time.Now()
	if err := command.Run(); err != nil {
		return fmt.Errorf("applying the objects: %w", err)
	}
	r.applied = time.Since(began)
	r.bare = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	_, err = fmt.Sscan(out.String(), &r.objects)
	return err
}

// kubectl applies the same objects with the kubectl that is installed.
func (r *row) kubectl(ctx context.Context, o options, env *harness.Env) error {
	rendered, err := render(ctx, o.binary)
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for i := range r.platforms {
		if err := env.EnsureNamespace(ctx, namespace(i)); err != nil {
			return err
		}
		all.WriteString("\n---\n")
		all.Write(bytes.ReplaceAll(rendered, []byte(namespace(0)), []byte(namespace(i))))
	}
	file := filepath.Join(env.Dir(), "all.yaml")
	if err := os.WriteFile(file, all.Bytes(), 0o600); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "kubectl", "--kubeconfig", env.Kubeconfig(), "apply", "--server-side", "--filename", file)
	command.Stderr = os.Stderr
	began := time.Now()
	if err := command.Run(); err != nil {
		return fmt.Errorf("applying the objects with kubectl: %w", err)
	}
	r.kubectlApplied = time.Since(began)
	r.kubectlUsed = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	return nil
}

// render is what the operator would apply for the first platform.
func render(ctx context.Context, binary string) ([]byte, error) {
	command := exec.CommandContext(ctx, binary, "render", "-f", "-")
	command.Stdin = bytes.NewBufferString("apiVersion: opendatahub.io/v1alpha1\nkind: OpenDataHub\nmetadata: {name: odh, namespace: " +
		namespace(0) + "}\nspec:" + indent(spec))
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("rendering: %w", err)
	}
	return out, nil
}

func indent(text string) string {
	return string(bytes.ReplaceAll([]byte(text), []byte("\n"), []byte("\n  "))) + "\n"
}

// applyAll applies the objects of a file once for each platform, and prints how many it applied. what is kubeconfig, file and number.
func applyAll(ctx context.Context, what string, workers int) error {
	fields := bytes.Split([]byte(what), []byte(","))
	const wanted = 3
	if len(fields) != wanted {
		return errors.New("-apply is for this program itself")
	}
	platforms, err := strconv.Atoi(string(fields[2]))
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", string(fields[0]))
	if err != nil {
		return err
	}
	config.QPS = -1
	api, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	content, err := os.ReadFile(string(fields[1]))
	if err != nil {
		return err
	}
	type job struct {
		namespace string
		text      []byte
	}
	jobs := make(chan job)
	var wait sync.WaitGroup
	var mu sync.Mutex
	applied := 0
	var failed error
	for range workers {
		wait.Go(func() {
			for job := range jobs {
				count, err := applyText(ctx, api, job.text)
				mu.Lock()
				applied += count
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	for i := range platforms {
		jobs <- job{namespace(i), bytes.ReplaceAll(content, []byte(namespace(0)), []byte(namespace(i)))}
	}
	close(jobs)
	wait.Wait()
	_, err = fmt.Fprintln(os.Stdout, applied)
	return errors.Join(failed, err)
}

func applyText(ctx context.Context, api client.Client, text []byte) (applied int, err error) {
	for object, err := range cluster.Objects(bytes.NewReader(text)) {
		if err != nil {
			return applied, err
		}
		if err := api.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("bench"), client.ForceOwnership); err != nil {
			return applied, fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		applied++
	}
	return applied, nil
}
