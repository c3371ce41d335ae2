package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// pollInterval is how often a condition is looked at. Everything here runs on this machine, so looking is cheap.
const pollInterval = 25 * time.Millisecond

// processRecord identifies a process beyond its pid, which the system reuses: whoever stops a process later
// must be sure that it is still the one that was started.
type processRecord struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	// Birth is what the system reports about the start of the process, and differs for every process with the same pid.
	Birth string `json:"birth"`
}

// alive reports whether the recorded process, and not another with its pid, still runs.
func (r processRecord) alive() bool {
	birth, err := processBirth(r.PID)
	return err == nil && birth == r.Birth
}

// kill ends the recorded processes and returns when they are gone. Nothing of a cluster outlives its processes, so there is
// no state that a gentle signal would save; the API server would only wait for its clients to close their watches.
func kill(ctx context.Context, records []processRecord) error {
	var errs []error
	for _, r := range records {
		if !r.alive() {
			continue
		}
		if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("stopping %s (pid %d): %w", r.Name, r.PID, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, r := range records {
		err := poll(ctx, func(context.Context) error {
			if r.alive() {
				return fmt.Errorf("%s (pid %d) still runs", r.Name, r.PID)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("stopping %s: %w", r.Name, err)
		}
	}
	return nil
}

// process is a running child of this process.
type process struct {
	processRecord

	logFile string
	exited  chan struct{} // closed when the process has ended
}

// failure describes why a process that ended did, with the end of its log; nil while it runs.
func (p *process) failure() error {
	select {
	case <-p.exited:
	default:
		return nil
	}
	content, err := tail(p.logFile, 16<<10)
	if err != nil {
		content = []byte(err.Error())
	}
	return &processExitedError{name: p.Name, log: content}
}

// processExitedError says that a part of the cluster ended on its own.
type processExitedError struct {
	name string
	log  []byte
}

func (e *processExitedError) Error() string {
	return fmt.Sprintf("%s ended; the end of its log:\n%s", e.name, lastLines(e.log, 15))
}

// portTaken reports whether the process ended because a port it wanted was taken in the meantime.
func (e *processExitedError) portTaken() bool {
	return bytes.Contains(e.log, []byte("address already in use"))
}

// command is what starts a process.
type command struct {
	name    string
	path    string
	args    []string
	folder  string // working directory and home
	logFile string
	// files are open in the process, from descriptor 3.
	files []*os.File
	// detached processes outlive this one; all others die with it, however it ends.
	detached bool
}

// start runs the command with its output in the log file.
func (c command) start() (*process, error) {
	log, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	// The child has its own copy of the descriptor.
	defer func() { _ = log.Close() }()

	cmd := exec.Command(c.path, c.args...)
	cmd.Dir = c.folder
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, c.files
	// Neither proxies nor configuration files of the user may change what a cluster is: KWOK, for one, reads ~/.kwok.
	cmd.Env = []string{"HOME=" + c.folder, "TMPDIR=" + os.TempDir(), "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = childAttributes(c.detached)
	if err := startOnLastingThread(cmd); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	birth, err := processBirth(cmd.Process.Pid)
	if err != nil {
		// It ended at once; Wait below collects it, and whoever waits for it to be ready sees failure().
		birth = "ended"
	}
	p := &process{
		processRecord: processRecord{Name: c.name, PID: cmd.Process.Pid, Birth: birth},
		logFile:       c.logFile,
		exited:        make(chan struct{}),
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait()
	}()
	return p, nil
}

var starter = sync.OnceValue(func() chan func() {
	requests := make(chan func())
	go func() {
		// The kernel sends the parent-death signal when the thread that started the child ends, not the process. This
		// thread never ends before the process does.
		runtime.LockOSThread()
		for request := range requests {
			request()
		}
	}()
	return requests
})

func startOnLastingThread(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	starter() <- func() { result <- cmd.Start() }
	return <-result
}

// permanentError is one that waiting does not cure.
type permanentError struct{ error }

// poll calls condition until it returns nil, and returns its last error when the context ends first.
func poll(ctx context.Context, condition func(context.Context) error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		var final *permanentError
		if errors.As(err, &final) {
			return final.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

func tail(file string, size int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if stat, err := f.Stat(); err == nil && stat.Size() > size {
		if _, err := f.Seek(-size, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(f)
}

// lockFile takes an exclusive lock that the system gives back when this process ends, in whatever way. Whoever holds it may remove
// the file.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	var file *os.File
	err = poll(ctx, func(context.Context) error {
		var err error
		file, err = tryLock(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}

func tryLock(path string) (_ *os.File, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, &permanentError{err}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err // the one before removed the folder just now
	}
	if err != nil {
		return nil, &permanentError{err}
	}
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, fmt.Errorf("%s is locked by another process", path)
	case err != nil:
		return nil, &permanentError{err}
	}
	// The lock of a file that was removed meanwhile keeps nobody out.
	locked, err := file.Stat()
	if err != nil {
		return nil, err
	}
	current, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !os.SameFile(locked, current) {
		return nil, fmt.Errorf("%s was replaced", path)
	}
	return file, nil
}
