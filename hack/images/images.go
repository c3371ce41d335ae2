//go:build linux

// Package images builds stand-ins for container images where no registry answers: the same software, from distribution
// packages, under the names that the operator renders. Layers are cached by their content. It needs root and Linux.
package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say where things are.
type Options struct {
	// Root is the checkout.
	Root string
	// Cache is the folder of layers. Default: a folder of the user's cache directory.
	Cache string
	// Log receives lines about layers that are built; nil is silent.
	Log io.Writer
}

// Image is built, and can be written to an [Archive].
type Image struct {
	// Name is how Pods name it.
	Name   string
	layers []string // files, from the first layer
	config config
}

// config is what the image says about its process.
type config struct {
	User       string   `json:"User,omitempty"`
	Env        []string `json:"Env,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Cmd        []string `json:"Cmd,omitempty"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
}

// version of how layers are made. Increment it when a change of this file makes another layer of the same recipe.
const version = "1"

// Built is what [Build] built.
type Built struct {
	Images []Image
	// Store is a folder for [CopyStore], with all of them.
	Store string
}

// Build builds all images that are made of packages. With a warm cache it only looks at files.
func Build(ctx context.Context, o Options) (_ *Built, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	all, packages, programs, err := o.plan()
	if err != nil {
		return nil, err
	}
	built := &Built{Images: all}
	if err := os.MkdirAll(o.Cache, 0o755); err != nil {
		return nil, fmt.Errorf("creating the cache of images: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(o.Cache, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	// What an interrupted build left.
	old, err := filepath.Glob(filepath.Join(o.Cache, "making-*"))
	if err != nil {
		return nil, fmt.Errorf("looking for old builds: %w", err)
	}
	for _, folder := range old {
		if err := os.RemoveAll(folder); err != nil {
			return nil, fmt.Errorf("removing what an interrupted build left: %w", err)
		}
	}
	store, err := o.newStore(built.Images)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.discard()) }()
	// Packages are fetched, installed and unpacked with pauses, and by one processor each: programs compile meanwhile.
	group, building := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := o.buildAll(building, packages.tops); err != nil {
			return err
		}
		return store.unpack(building, packages.images)
	})
	group.Go(func() error { return o.buildAll(building, programs.tops) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := store.unpack(ctx, programs.images); err != nil {
		return nil, err
	}
	if built.Store, err = store.keep(built.Images); err != nil {
		return nil, err
	}
	return built, o.prune(built.Images)
}

// peak is what the cache took at most while all images were unpacked, when it has their layers twice (measured: 14.4 GiB, and 10 GiB afterwards).
const peak = 15 << 30

// Disk is how many bytes of the disk [Build] needs beside what the cache takes already: none when it only has to look at files.
func Disk(o Options) (bytes int64, err error) {
	if o, err = o.withDefaults(); err != nil {
		return 0, err
	}
	all, _, _, err := o.plan()
	if err != nil {
		return 0, err
	}
	if _, err := os.Stat(o.store(all)); err == nil {
		return 0, nil
	}
	taken, err := size(o.Cache)
	return max(0, peak-taken), err
}

// size is how many bytes of the disk a folder takes. What changes meanwhile may be counted or not.
func size(folder string) (bytes int64, err error) {
	counted := map[uint64]bool{} // a layer has two names: see shareLayers
	err = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = entry.Info()
		}
		if errors.Is(err, fs.ErrNotExist) { // there is no cache, or it changes
			return nil
		}
		if err != nil {
			return err
		}
		if file := info.Sys().(*syscall.Stat_t); file.Nlink < 2 || entry.IsDir() || !counted[file.Ino] {
			bytes += file.Blocks * 512
			counted[file.Ino] = true
		}
		return nil
	})
	return bytes, err
}

// keptUnused is how long a layer is kept that no build has asked for, as other checkouts may: Go's build cache has the same bound.
const keptUnused = 5 * 24 * time.Hour

// prune removes layers that are no longer used, and what interrupted builds packed of one.
func (o Options) prune(used []Image) error {
	now := time.Now()
	for _, image := range used {
		for _, file := range image.layers {
			if err := os.Chtimes(file, now, now); err != nil {
				return fmt.Errorf("noting that a layer is used: %w", err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(o.Cache, "*.tar*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("looking for layers that are no longer used: %w", err)
		}
		if strings.HasSuffix(file, ".tmp") || now.Sub(info.ModTime()) > keptUnused {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("removing a layer that is no longer used: %w", err)
			}
		}
	}
	return nil
}

// withDefaults fills in what was left open.
func (o Options) withDefaults() (Options, error) {
	if o.Cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("finding a cache folder: %w", err)
		}
		o.Cache = filepath.Join(user, "opendatahub", "images")
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o, nil
}

// plan is what is to be built: all images, and what they consist of.
func (o Options) plan() (all []Image, packages, programs part, err error) {
	pinned, err := readRequirements(o.Root)
	if err != nil {
		return nil, packages, programs, err
	}
	for _, recipe := range recipes(pinned) {
		image := Image{Name: recipe.name, config: recipe.config}
		for _, layer := range recipe.top.chain() {
			image.layers = append(image.layers, o.file(layer))
		}
		all = append(all, image)
		of := &programs
		if pythons[recipe.top.chain()[0]] != "" {
			of = &packages
		}
		of.images, of.tops = append(of.images, image), append(of.tops, recipe.top)
	}
	return all, packages, programs, nil
}

// part of the images: those on a Debian, or those of a program that is compiled.
type part struct {
	images []Image
	tops   []*layer
}

// buildAll builds layers and those below them, two at a time: one waits for the network, or links, while another one works.
func (o Options) buildAll(ctx context.Context, tops []*layer) (err error) {
	work, err := os.MkdirTemp(o.Cache, "making-")
	if err != nil {
		return err
	}
	// Mounts are in namespaces of their own and gone with the processes that made them.
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	group, ctx := errgroup.WithContext(ctx)
	turns := make(chan struct{}, 2)
	builds := map[string]func() error{} // by key
	unpacked := unpacked{}
	for _, top := range tops {
		for _, l := range top.chain() {
			if builds[l.key()] != nil {
				continue
			}
			below := func() error { return nil }
			if l.parent != nil {
				below = builds[l.parent.key()]
			}
			unpacked[l.key()] = sync.OnceValue(func() error { return o.unpack(ctx, l, work) })
			builds[l.key()] = sync.OnceValue(func() error {
				if err := below(); err != nil {
					return err
				}
				turns <- struct{}{}
				defer func() { <-turns }()
				return o.build(ctx, l, work, unpacked)
			})
		}
		group.Go(builds[top.key()])
	}
	return group.Wait()
}

// unpacked has each layer's files in the folder of its key, once they are asked for.
type unpacked map[string]func() error

// upper is that folder, of a build in a folder.
func (l *layer) upper(work string) string { return filepath.Join(work, l.key(), "upper") }

// unpack unpacks a layer that this build did not make.
func (o Options) unpack(ctx context.Context, l *layer, work string) error {
	if _, err := os.Stat(l.upper(work)); err == nil {
		return nil
	}
	if err := os.MkdirAll(l.upper(work), 0o755); err != nil {
		return err
	}
	return run(ctx, l.upper(work), nil, "tar", "--extract", "--file", o.file(l), "--numeric-owner")
}

// readRequirements reads what the tests install, too, and what the operator itself has fetched.
func readRequirements(root string) (requirements, error) {
	var all requirements
	python, spark := filepath.Join(root, "hack", "python"), filepath.Join(root, "components", "spark")
	prometheus, rclone := filepath.Join(root, "hack", "prometheus-operator"), filepath.Join(root, "hack", "rclone")
	for path, into := range map[string]*string{
		filepath.Join(python, "jupyterhub.txt"): &all.hub, filepath.Join(python, "mlflow.txt"): &all.mlflow,
		filepath.Join(prometheus, "go.mod"): &all.operator, filepath.Join(prometheus, "go.sum"): &all.operatorSums,
		filepath.Join(python, "seldon.txt"): &all.seldon, filepath.Join(root, "test", "seldon", "SKLearnServer.py"): &all.sklearnServer,
		filepath.Join(rclone, "go.mod"): &all.rclone, filepath.Join(rclone, "go.sum"): &all.rcloneSums,
		filepath.Join(rclone, "main.go"):                             &all.rcloneProgram,
		filepath.Join(root, "hack", "images", "executor", "main.go"): &all.executor,
		filepath.Join(spark, "ivy.xml"):                              &all.modules, filepath.Join(spark, "jars.sha256"): &all.checksums,
	} {
		content, err := os.ReadFile(path)
		if err != nil {
			return requirements{}, fmt.Errorf("reading the packages of an image: %w", err)
		}
		*into = string(content)
	}
	return all, nil
}

// chain is the layer with those below it, from the first.
func (l *layer) chain() []*layer {
	if l == nil {
		return nil
	}
	return append(l.parent.chain(), l)
}

// key changes with everything that the layer is made of.
func (l *layer) key() string {
	hash := sha256.New()
	for _, below := range l.chain() {
		parts := []string{version, runtime.GOARCH, below.name, below.fetch, below.build}
		for _, name := range slices.Sorted(maps.Keys(below.files)) {
			parts = append(parts, name, below.files[name])
		}
		_, _ = fmt.Fprintf(hash, "%q\n", parts)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

func (o Options) file(l *layer) string {
	return filepath.Join(o.Cache, l.name+"-"+l.key()+".tar")
}

// build makes the layer unless it is cached.
func (o Options) build(ctx context.Context, l *layer, builds string, unpacked unpacked) (err error) {
	file := o.file(l)
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	_, _ = fmt.Fprintf(o.Log, "building the layer %s\n", l.name)
	started := time.Now()
	defer func() {
		if err == nil {
			_, _ = fmt.Fprintf(o.Log, "built the layer %s in %s\n", l.name, time.Since(started).Round(100*time.Millisecond))
		}
	}()
	work := filepath.Join(builds, l.key())
	for _, folder := range []string{"fetched", "upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(work, folder), 0o755); err != nil {
			return err
		}
	}
	for name, content := range l.files {
		if err := os.WriteFile(filepath.Join(work, "fetched", name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	fetched, upper := filepath.Join(work, "fetched"), filepath.Join(work, "upper")
	fetchEnv := []string{"FETCHED=" + fetched}
	if l.parent != nil {
		fetchEnv = append(fetchEnv, "BELOW="+o.file(l.parent))
	}
	if err := run(ctx, work, fetchEnv, "sh", "-euc", l.fetch); err != nil {
		return fmt.Errorf("fetching what the layer %s needs: %w", l.name, err)
	}
	if l.parent == nil {
		err = run(ctx, work, []string{"FETCHED=" + fetched, "ROOT=" + upper}, "sh", "-euc", l.build)
	} else {
		err = o.buildOn(ctx, l, work, unpacked)
	}
	if err != nil {
		return fmt.Errorf("making the layer %s: %w", l.name, err)
	}
	// Sorted and without times, so that the same content is the same layer.
	temporary := file + ".tmp"
	if err := run(ctx, upper, nil, "tar", "--create", "--file", temporary, "--sort=name", "--mtime=@0", "--numeric-owner", "."); err != nil {
		return fmt.Errorf("packing the layer %s: %w", l.name, err)
	}
	return errors.Join(os.Rename(temporary, file), os.RemoveAll(fetched))
}

// buildOn runs the script of a layer in the file system of those below it. What it changes is the layer.
func (o Options) buildOn(ctx context.Context, l *layer, work string, unpacked unpacked) error {
	var lower []string // the first is on top
	for below := l.parent; below != nil; below = below.parent {
		if err := unpacked[below.key()](); err != nil {
			return err
		}
		lower = append(lower, filepath.Join("..", below.key(), "upper"))
	}
	const script = `
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=upper,workdir=work" root
mkdir -p root/fetched
mount --bind fetched root/fetched
mount -t proc proc root/proc
mount -t tmpfs tmpfs root/tmp
mount -t tmpfs tmpfs root/dev
mknod -m 666 root/dev/null c 1 3
mknod -m 666 root/dev/urandom c 1 9
exec chroot root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp FETCHED=/fetched LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 sh -euc "$BUILD"
`
	if err := run(ctx, work, []string{"BUILD=" + l.build, "LOWER=" + strings.Join(lower, ":")}, "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-euc", script); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(work, "upper", "fetched")); err != nil {
		return err
	}
	// Removed files would need whiteouts, which no recipe needs.
	output, err := exec.CommandContext(ctx, "find", filepath.Join(work, "upper"), "-type", "c").Output()
	if err != nil || len(output) > 0 {
		return errors.Join(err, fmt.Errorf("the script removed files of a layer below: %s", output))
	}
	return nil
}

// run runs a command, and shows the end of its output when it fails.
func run(ctx context.Context, folder string, env []string, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = folder
	command.Env = append(os.Environ(), env...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	output, err := command.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return fmt.Errorf("%s: %w\n%s", name, err, strings.Join(lines[max(0, len(lines)-20):], "\n"))
}

func tag(name string) string { return name[strings.LastIndexByte(name, ':')+1:] }

// lock keeps two builds apart.
func lock(ctx context.Context, path string) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the cache of images: %w", err)
	}
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), file.Close())
		case <-ticker.C:
		}
	}
	return func() { _ = file.Close() }, nil
}
