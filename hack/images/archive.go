//go:build linux

package images

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// A File is part of a small image, made of programs that were built here.
type File struct {
	// Path in the image, and the file of this machine that it is a copy of.
	Path, Source string
	Mode         int64
}

// Program is an image of one static program and what it reads, like a distroless one. The layer is kept in the folder.
func Program(folder, name string, user string, entrypoint []string, files ...File) (image Image, err error) {
	layer, err := os.CreateTemp(folder, "layer-*.tar")
	if err != nil {
		return Image{}, fmt.Errorf("making image %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	packed := tar.NewWriter(layer)
	for _, directory := range []struct {
		name string
		mode int64
	}{{"tmp/", 0o1777}, {"etc/", 0o755}} {
		if err := packed.WriteHeader(&tar.Header{Name: directory.name, Typeflag: tar.TypeDir, Mode: directory.mode}); err != nil {
			return Image{}, err
		}
	}
	if err := addBytes(packed, "etc/passwd", []byte("root:x:0:0:root:/:/\nnonroot:x:65532:65532:nonroot:/:/\n")); err != nil {
		return Image{}, err
	}
	for _, file := range files {
		if err := addFile(packed, file.Path, file.Source, file.Mode); err != nil {
			return Image{}, fmt.Errorf("making image %s: %w", name, err)
		}
	}
	if err := packed.Close(); err != nil {
		return Image{}, err
	}
	return Image{Name: name, layers: []string{layer.Name()}, config: config{
		User: user, Entrypoint: entrypoint, Env: []string{"PATH=/usr/bin:/bin:/"},
	}}, nil
}

// Archive writes images in the format of `docker save`, which every runtime can import. Layers that images share are in it once.
func Archive(out io.Writer, all []Image) error {
	packed := tar.NewWriter(out)
	type entry struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	var manifest []entry
	digests := map[string]string{} // by file
	for _, image := range all {
		var diffs, layers []string
		for _, file := range image.layers {
			digest, known := digests[file]
			if !known {
				var err error
				if digest, err = digestOf(file); err != nil {
					return err
				}
				digests[file] = digest
				if err := addFile(packed, digest+"/layer.tar", file, 0o644); err != nil {
					return err
				}
			}
			diffs, layers = append(diffs, "sha256:"+digest), append(layers, digest+"/layer.tar")
		}
		content, err := json.Marshal(map[string]any{
			"architecture": runtime.GOARCH, "os": "linux", "config": image.config,
			"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
		})
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		name := hex.EncodeToString(sum[:]) + ".json"
		if err := addBytes(packed, name, content); err != nil {
			return err
		}
		manifest = append(manifest, entry{Config: name, RepoTags: []string{image.Name}, Layers: layers})
	}
	content, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	return errors.Join(addBytes(packed, "manifest.json", content), packed.Close())
}

// digestOf the uncompressed layer is its identity.
func digestOf(file string) (string, error) {
	layer, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer layer.Close() //nolint:errcheck // only read
	hash := sha256.New()
	if _, err := io.Copy(hash, layer); err != nil {
		return "", fmt.Errorf("reading %s: %w", filepath.Base(file), err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func addFile(packed *tar.Writer, name, source string, mode int64) error {
	file, err := os.Open(source)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := packed.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(packed, file)
	return err
}

func addBytes(packed *tar.Writer, name string, content []byte) error {
	if err := packed.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := packed.Write(content)
	return err
}
