//go:build linux

// Command init is what a real node of the local cluster needs besides Kubernetes' own programs: its first process, the way to it from
// this machine, and its volumes.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "hold":
		return hold(args[1], args[2])
	case len(args) == 2 && args[0] == "forward":
		return forward(args[1])
	case len(args) == 4 && args[0] == "volumes":
		return volumes(ctx, args[1], args[2], args[3])
	default:
		return errors.New("usage: init hold FOLDER ADDRESS | forward TARGET | volumes FOLDER KUBECONFIG NODE")
	}
}
