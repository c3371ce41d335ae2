package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"opendatahub.io/operator/test/harness"
)

// process is the operator, and what it has used so far.
type process struct {
	command *exec.Cmd
	log     string
	metrics string
	profile string
	ended   chan struct{}

	mu   sync.Mutex
	peak int // kilobytes of anonymous memory
}

func start(ctx context.Context, binary string, env *harness.Env) (*process, error) {
	kubeconfig := filepath.Join(env.Dir(), "manager.kubeconfig")
	if err := env.WriteServiceAccountKubeconfig(ctx, harness.OperatorNamespace, harness.ServiceAccount, kubeconfig); err != nil {
		return nil, err
	}
	metrics, err := freeAddress()
	if err != nil {
		return nil, err
	}
	profile, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &process{metrics: metrics, profile: profile, ended: make(chan struct{}), log: filepath.Join(env.Dir(), "manager.log")}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	p.command = exec.Command(binary, "manager", "--kubeconfig", kubeconfig, "--namespace", harness.OperatorNamespace,
		"--metrics-bind-address="+metrics, "--metrics-insecure", "--profile-bind-address="+profile, "--health-probe-bind-address=0")
	p.command.Stdout, p.command.Stderr = log, log
	if err := p.command.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		_ = p.command.Wait()
		_ = log.Close()
		close(p.ended)
	}()
	go p.sample()
	return p, p.wait(ctx, time.Minute, func() (bool, error) {
		_, err := p.read()
		return err == nil, nil
	})
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close() //nolint:errcheck // nothing was sent
	return listener.Addr().String(), nil
}

func (p *process) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(time.Minute):
		return errors.Join(errors.New("the manager does not stop"), p.command.Process.Kill())
	}
}

// wait polls: what is measured is another process.
func (p *process) wait(ctx context.Context, timeout time.Duration, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, err := condition(); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-p.ended:
			return fmt.Errorf("the manager has ended: %s", p.lastLines())
		case <-ctx.Done():
			return fmt.Errorf("waiting: %w; the manager says: %s", ctx.Err(), p.lastLines())
		}
	}
}

func (p *process) lastLines() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// sample follows the memory.
func (p *process) sample() {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-ticker.C:
			now := p.anonymous()
			p.mu.Lock()
			p.peak = max(p.peak, now)
			p.mu.Unlock()
		}
	}
}

// anonymous is the memory of the process that no file holds, in kilobytes.
func (p *process) anonymous() int {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0
	}
	defer file.Close() //nolint:errcheck // only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kilobytes int
		if _, err := fmt.Sscanf(lines.Text(), "RssAnon: %d", &kilobytes); err == nil {
			return kilobytes
		}
	}
	return 0
}

func (p *process) highest() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peak
}

// processor is the processor time that the process has used.
func (p *process) processor() time.Duration {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(content)[strings.LastIndex(string(content), ")")+1:])
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	const ticks = 100 // a second, on Linux
	return time.Duration(user+system) * time.Second / ticks
}

// figures are the metrics that matter, and the requests by method.
type figures struct {
	requests map[string]int
	queued   int
	running  int
	done     int // reconciles
}

var metric = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? ([0-9.e+]+)$`)

// read reads the metrics.
func (p *process) read() (figures, error) {
	found := figures{requests: map[string]int{}}
	body, err := get("http://" + p.metrics + "/metrics")
	if err != nil {
		return found, err
	}
	for line := range strings.SplitSeq(body, "\n") {
		parts := metric.FindStringSubmatch(line)
		if parts == nil {
			continue
		}
		value, _ := strconv.ParseFloat(parts[3], 64)
		switch parts[1] {
		case "rest_client_requests_total":
			_, rest, _ := strings.Cut(parts[2], `method="`)
			method, _, _ := strings.Cut(rest, `"`)
			found.requests[method] += int(value)
		case "workqueue_depth":
			found.queued += int(value)
		case "controller_runtime_active_workers":
			found.running += int(value)
		case "controller_runtime_reconcile_total":
			found.done += int(value)
		}
	}
	return found, nil
}

// since is how many requests were sent in between.
func (f figures) since(before figures) map[string]int {
	sent := maps.Clone(f.requests)
	for method, count := range before.requests {
		if sent[method] -= count; sent[method] == 0 {
			delete(sent, method)
		}
	}
	return sent
}

// quiet waits until nothing is queued and nothing runs, twice a second for a while, and returns when the last work ended.
func (p *process) quiet(ctx context.Context, atLeast int) (time.Time, error) {
	last, done := time.Now(), -1
	err := p.wait(ctx, 2*time.Minute, func() (bool, error) {
		now, err := p.read()
		if err != nil {
			return false, nil //nolint:nilerr // it may be starting
		}
		if now.queued > 0 || now.running > 0 || now.done != done || now.done < atLeast {
			last, done = time.Now(), now.done
		}
		return time.Since(last) > 3*time.Second, nil
	})
	return last, err
}

var heapAlloc = regexp.MustCompile(`# HeapAlloc = (\d+)`)

// heap is what is live after a garbage collection, in bytes.
func (p *process) heap() (int, error) {
	body, err := get("http://" + p.profile + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	found := heapAlloc.FindStringSubmatch(body)
	if found == nil {
		return 0, errors.New("the profile of the heap does not say how large it is")
	}
	return strconv.Atoi(found[1])
}

// save writes a profile to the folder.
func (p *process) save(folder, name, path string) error {
	if folder == "" {
		return nil
	}
	body, err := get("http://" + p.profile + "/debug/pprof/" + path)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name), []byte(body), 0o600)
}

// follow writes profiles of the processor, one after the other, until the context ends. pprof merges those that it is given together.
func (p *process) follow(ctx context.Context, folder, name string) error {
	for i := 0; folder != "" && ctx.Err() == nil; i++ {
		if err := p.save(folder, fmt.Sprintf("%s-%02d", name, i), "profile?seconds=5"); err != nil {
			return err
		}
	}
	return nil
}

func get(url string) (string, error) {
	response, err := http.Get(url) //nolint:noctx // of the process that is measured
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
