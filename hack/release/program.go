package main

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// program is the operator for a platform.
type program struct {
	os, architecture string
	file             string
	digest           string // sha256, in hexadecimal
	materials        string // the file of its SBOM
}

// goFlags are all that make the bytes of a program. Neither paths nor the state of the checkout are in it.
func (o options) goFlags() []string {
	return []string{"-trimpath", "-gcflags=all=-dwarf=false", "-buildvcs=false", "-ldflags=-s -w -buildid= -X main.version=v" + o.version}
}

// The instruction sets that every machine of an architecture has. A variable of the environment must not change what is built.
var goEnvironment = []string{"CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off"}

// build compiles the operator for a platform, and refuses a program that needs anything of the system that it runs on.
func (o options) build(ctx context.Context, platform string) (program, error) {
	system, architecture, ok := strings.Cut(platform, "/")
	if !ok || system != "linux" {
		return program{}, fmt.Errorf("platform %q: want linux/ARCHITECTURE", platform)
	}
	file, err := filepath.Abs(filepath.Join(o.folder, "opendatahub-"+system+"-"+architecture))
	if err != nil {
		return program{}, fmt.Errorf("building for %s: %w", platform, err)
	}
	command := exec.CommandContext(ctx, "go", append(append([]string{"build"}, o.goFlags()...), "-o", file, ".")...)
	command.Dir = o.root
	command.Env = append(append(os.Environ(), goEnvironment...), "GOOS="+system, "GOARCH="+architecture)
	if output, err := command.CombinedOutput(); err != nil {
		return program{}, fmt.Errorf("building for %s: %w\n%s", platform, err, output)
	}
	if err := checkStatic(file); err != nil {
		return program{}, err
	}
	digest, err := sumOf(file)
	return program{os: system, architecture: architecture, file: file, digest: digest}, err
}

func checkStatic(file string) error {
	read, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	defer read.Close() //nolint:errcheck // only read
	libraries, err := read.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	for _, segment := range read.Progs {
		if segment.Type == elf.PT_INTERP || len(libraries) > 0 {
			return fmt.Errorf("%s is not static: it needs a loader, and %v", file, libraries)
		}
	}
	return nil
}

func sumOf(file string) (string, error) {
	read, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	defer read.Close() //nolint:errcheck // only read
	hash := sha256.New()
	if _, err := io.Copy(hash, read); err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// The program that reads the modules out of a binary.
const (
	materialsPackage = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod"
	materialsVersion = "v1.10.0"
)

// listMaterials writes the SBOM of a program, in the format of CycloneDX, beside it.
func (o options) listMaterials(ctx context.Context, built *program) error {
	find := exec.CommandContext(ctx, filepath.Join(o.root, "hack", "go-program.sh"), materialsPackage, materialsVersion)
	find.Stderr = os.Stderr
	tool, err := find.Output()
	if err != nil {
		return fmt.Errorf("building %s: %w", materialsPackage, err)
	}
	built.materials = built.file + ".cdx.json"
	list := exec.CommandContext(ctx, strings.TrimSpace(string(tool)), "bin", "-json", "-std", "-noserial", "-notimestamp",
		"-version", "v"+o.version, "-output", built.materials, built.file)
	if output, err := list.CombinedOutput(); err != nil {
		return fmt.Errorf("listing what %s consists of: %w\n%s", built.file, err, output)
	}
	return nil
}

// source is the commit that is built.
type source struct {
	commit string
	// changed says that the checkout has changes that are in no commit.
	changed bool
	time    time.Time
}

func readSource(ctx context.Context, root string) (source, error) {
	git := func(arguments ...string) (string, error) {
		command := exec.CommandContext(ctx, "git", arguments...)
		command.Dir = root
		output, err := command.Output()
		if err != nil {
			return "", fmt.Errorf("asking git for the sources: %w", err)
		}
		return strings.TrimSpace(string(output)), nil
	}
	commit, err := git("log", "-1", "--format=%H %cI")
	if err != nil {
		return source{}, err
	}
	changes, err := git("status", "--porcelain")
	if err != nil {
		return source{}, err
	}
	hash, date, _ := strings.Cut(commit, " ")
	committed, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return source{}, fmt.Errorf("reading the date of commit %s: %w", hash, err)
	}
	return source{commit: hash, changed: changes != "", time: committed.UTC()}, nil
}
