package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// repository is one of a registry, with the credentials that docker login or podman login wrote. A registry on this machine
// is reached without TLS.
func repository(name string) (*remote.Repository, error) {
	target, err := remote.NewRepository(name)
	if err != nil {
		return nil, err
	}
	if target.Reference.Reference == "" {
		return nil, errors.New("the name has no tag")
	}
	known, err := logins()
	if err != nil {
		return nil, fmt.Errorf("reading the credentials of registries: %w", err)
	}
	target.PlainHTTP = isLoopback(target.Reference.Registry)
	target.Client = &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache(), Credential: credentials.Credential(known)}
	return target, nil
}

func isLoopback(registry string) bool {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// logins has what docker login and podman login wrote: the file that a variable names for podman comes first.
func logins() (credentials.Store, error) {
	docker, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, err
	}
	file, named := os.LookupEnv("REGISTRY_AUTH_FILE")
	if !named {
		file = podmanFile()
	}
	podman, err := credentials.NewStore(file, credentials.StoreOptions{})
	if err != nil {
		return nil, err
	}
	if named {
		return credentials.NewStoreWithFallbacks(podman, docker), nil
	}
	return credentials.NewStoreWithFallbacks(docker, podman), nil
}

// podmanFile is where podman login writes, see containers-auth.json(5).
func podmanFile() string {
	if runtime.GOOS != "linux" {
		home, _ := os.UserHomeDir()
		return filepath.Join(home, ".config", "containers", "auth.json")
	}
	if folder := os.Getenv("XDG_RUNTIME_DIR"); folder != "" {
		return filepath.Join(folder, "containers", "auth.json")
	}
	return fmt.Sprintf("/run/containers/%d/auth.json", os.Getuid())
}

// mayPush fails if an image of that name could not be pushed, before minutes are spent on making it. What it pushes is a part of every image.
func mayPush(ctx context.Context, name string) error {
	target, err := repository(name)
	if err == nil {
		part := ocispec.DescriptorEmptyJSON
		err = target.Push(ctx, part, bytes.NewReader(part.Data))
	}
	return pushed(name, target, err)
}

// push copies the image with all platforms, and what refers to it, to a registry.
func push(ctx context.Context, folder, name string) error {
	target, err := repository(name)
	if err == nil {
		err = copyTo(ctx, folder, target)
	}
	return pushed(name, target, err)
}

func copyTo(ctx context.Context, folder string, target *remote.Repository) error {
	store, err := oci.NewWithContext(ctx, folder)
	if err != nil {
		return fmt.Errorf("opening the image: %w", err)
	}
	var tag string
	if err := store.Tags(ctx, "", func(tags []string) error { tag = tags[0]; return nil }); err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	root, err := oras.ExtendedCopy(ctx, store, tag, target, target.Reference.Reference, oras.DefaultExtendedCopyOptions)
	if err != nil {
		return err
	}
	// What refers to the image of a platform does not refer to the whole.
	platforms, err := content.Successors(ctx, store, root)
	if err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	for _, platform := range platforms {
		if err := oras.ExtendedCopyGraph(ctx, store, target, platform, oras.DefaultExtendedCopyGraphOptions); err != nil {
			return err
		}
	}
	return nil
}

// pushed says of an error what to do about it.
func pushed(name string, target *remote.Repository, err error) error {
	if err == nil {
		return nil
	}
	var response *errcode.ErrorResponse
	refused := errors.As(err, &response)
	hint := ""
	switch {
	case target == nil:
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		hint = "; log in first: docker login " + target.Reference.Registry
	case refused && response.StatusCode == http.StatusUnauthorized:
		hint = "; the registry does not take the login, if there is one: docker login " + target.Reference.Registry
	case refused && response.StatusCode == http.StatusForbidden:
		hint = "; the login may not push there"
	}
	return fmt.Errorf("pushing to %s: %w%s", name, err, hint)
}
