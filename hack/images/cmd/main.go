//go:build linux

// Command images builds the images of a real node that are made of packages, unless they are cached, and prints their names.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"opendatahub.io/operator/hack/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	built, err := images.Build(ctx, images.Options{Root: ".", Log: os.Stderr})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	for _, image := range built.Images {
		fmt.Println(image.Name)
	}
}
