//go:build linux

package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A store is the folder of a containerd that has the images, unpacked. A node starts with a copy: to import the images takes longer than
// all else that a start does.
type store struct {
	Options
	folder string
	work   string // where it is made. Empty: it is there already.
}

// store is the folder of that of some images.
func (o Options) store(all []Image) string { return filepath.Join(o.Cache, storePrefix+keyOf(all)) }

// newStore begins one, unless there is one of these images.
func (o Options) newStore(all []Image) (*store, error) {
	s := &store{Options: o, folder: o.store(all)}
	if _, err := os.Stat(s.folder); err == nil {
		return s, nil
	}
	// Those of other images are of no use: a node has its own copy.
	old, err := filepath.Glob(filepath.Join(o.Cache, storePrefix+"*"))
	if err != nil {
		return nil, err
	}
	for _, name := range old {
		if err := os.RemoveAll(name); err != nil {
			return nil, fmt.Errorf("removing images that are no longer used: %w", err)
		}
	}
	s.work, err = os.MkdirTemp(o.Cache, "making-"+storePrefix) // for root only, as the images have programs that act as root
	return s, err
}

// root is the folder of the containerd while it is made.
func (s *store) root() string { return filepath.Join(s.work, "root") }

// unpack adds images, whose layers are built.
func (s *store) unpack(ctx context.Context, images []Image) error {
	if s.work == "" {
		return nil
	}
	_, _ = fmt.Fprintf(s.Log, "unpacking %d images\n", len(images))
	started := time.Now()
	if err := s.importInto(ctx, s.work, s.root(), images); err != nil {
		return fmt.Errorf("unpacking the images: %w", err)
	}
	_, _ = fmt.Fprintf(s.Log, "unpacked %d images in %s\n", len(images), time.Since(started).Round(100*time.Millisecond))
	return nil
}

// keep puts the store, which has all the images now, where the next build finds it, and returns its folder.
func (s *store) keep(all []Image) (string, error) {
	if s.work == "" {
		return s.folder, nil
	}
	if err := shareLayers(s.root(), all); err != nil {
		return "", fmt.Errorf("sharing the layers of the images: %w", err)
	}
	return s.folder, os.Rename(s.root(), s.folder)
}

// discard removes what is not kept.
func (s *store) discard() error {
	if s.work == "" {
		return nil
	}
	return os.RemoveAll(s.work)
}

const storePrefix = "store-"

// keyOf changes with everything that the store has in it.
func keyOf(all []Image) string {
	hash := sha256.New()
	for _, image := range all {
		config, err := json.Marshal(image.config)
		if err != nil {
			panic(err) // it is made of texts
		}
		var layers []string
		for _, layer := range image.layers {
			layers = append(layers, filepath.Base(layer))
		}
		_, _ = fmt.Fprintf(hash, "%q %q %s\n", image.Name, layers, config)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

// importInto has a containerd that lives for this only import the images into its folder.
func (o Options) importInto(ctx context.Context, work, root string, all []Image) error {
	config := fmt.Sprintf(`version = 2
root = %q
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
address = "/run/containerd/containerd.sock"
`, root)
	if err := os.WriteFile(filepath.Join(work, "containerd.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	const script = `
mount -t tmpfs tmpfs /run
containerd --config containerd.toml >containerd.log 2>&1 &
server=$!
until ctr version >/dev/null 2>&1; do
  kill -0 $server || { tail -n 5 containerd.log; exit 1; }
  sleep 0.1
done
ctr --namespace k8s.io images import -
kill $server
wait $server || true
`
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(Archive(writer, all)) }()
	command := exec.CommandContext(ctx, "unshare", "--mount", "--net", "--pid", "--mount-proc", "--fork", "--kill-child", "sh", "-euc", script)
	command.Dir, command.Stdin = work, reader
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	output, err := command.CombinedOutput()
	_ = reader.Close() // ends the writer when the import ended early
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}

// shareLayers has the store use the files of the cache for what it keeps of the layers, so that the disk has them once.
func shareLayers(root string, all []Image) error {
	blobs := filepath.Join(root, "io.containerd.content.v1.content", "blobs", "sha256")
	shared := map[string]bool{}
	for _, image := range all {
		for _, file := range image.layers {
			if shared[file] {
				continue
			}
			shared[file] = true
			digest, err := digestOf(file)
			if err != nil {
				return err
			}
			blob := filepath.Join(blobs, digest)
			if err := os.Remove(blob); err != nil {
				return err
			}
			if err := os.Link(file, blob); err != nil {
				return err
			}
		}
	}
	return nil
}

// CopyStore makes a folder for a containerd of one's own. What the images consist of is never written to, and shared where both
// folders are on one file system.
func CopyStore(ctx context.Context, store, folder string) error {
	unlock, err := lock(ctx, filepath.Join(filepath.Dir(store), "lock")) // a build of other images removes the store
	if err != nil {
		return err
	}
	defer unlock()
	how := "--link"
	if err := os.Link(filepath.Join(store, databases[0]), folder+".link"); err != nil {
		how = "--reflink=auto"
	} else if err := os.Remove(folder + ".link"); err != nil {
		return err
	}
	if err := run(ctx, store, nil, "cp", "--archive", how, store, folder); err != nil {
		return fmt.Errorf("copying the images: %w", err)
	}
	for _, database := range databases { // these are written to
		target := filepath.Join(folder, database)
		if err := os.Remove(target); err != nil {
			return fmt.Errorf("copying the images: %w", err)
		}
		if err := run(ctx, store, nil, "cp", "--archive", database, target); err != nil {
			return fmt.Errorf("copying the images: %w", err)
		}
	}
	return nil
}

// databases of containerd.
var databases = []string{"io.containerd.metadata.v1.bolt/meta.db", "io.containerd.snapshotter.v1.overlayfs/metadata.db"}
