package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	opcluster "opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/hack/node"
	"opendatahub.io/operator/test/harness"
)

// A deployment is an operator that runs as Pods, and a platform of it.
type deployment struct {
	options    options
	config     *rest.Config
	kubeconfig string // for kubectl; empty stands for its own choice
	root       string
	hub        *v1alpha1.OpenDataHub
	say        func(format string, args ...any)
	started    time.Time
	// beside deploys what the platform uses and the operator does not make, while the operator is deployed; it may be nil. The platform's
	// namespace exists by then.
	beside func(context.Context) error
}

// run deploys the operator, applies the platform, shows it until it is ready, and returns it.
func (d *deployment) run(ctx context.Context) (*v1alpha1.OpenDataHub, error) {
	scheme, err := opcluster.Scheme()
	if err != nil {
		return nil, err
	}
	admin, err := client.New(d.config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	env := &harness.Env{Admin: admin, Root: d.root}
	if err := env.EnsureNamespace(ctx, d.hub.Namespace); err != nil {
		return nil, err
	}
	d.say("Deploying the operator and its installer: make deploy CONFIG=%s.", d.options.config)
	group, deploying := errgroup.WithContext(ctx)
	group.Go(func() error {
		return node.Deploy(deploying, d.kubeconfig, d.root, d.options.config, d.options.image)
	})
	if d.beside != nil {
		group.Go(func() error { return d.beside(deploying) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	d.say("Applying %s.", d.options.sample)
	if err := env.Admit(ctx, catalog.All(), d.hub); err != nil {
		return nil, err
	}
	if err := env.ApplyFile(ctx, d.options.sample); err != nil {
		return nil, err
	}
	return d.waitReady(ctx)
}

// waitReady shows the platform until it is ready, and returns it.
func (d *deployment) waitReady(ctx context.Context) (last *v1alpha1.OpenDataHub, err error) {
	applied := time.Now()
	if d.options.wait == waitExit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d.options.timeout, errTimeout)
		defer cancel()
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	updates, err := watch(watching, d.config, client.ObjectKeyFromObject(d.hub))
	if err != nil {
		return nil, err
	}
	view := newView(os.Stdout, d.started)
	for {
		select {
		case last = <-updates:
			view.show(last)
			if isReady(last) {
				view.finish("%s", readyAfter(d.started, applied))
				return last, nil
			}
		case <-ctx.Done():
			view.finish("")
			if errors.Is(context.Cause(ctx), errTimeout) {
				return nil, fmt.Errorf("not ready after %s:\n%s", d.options.timeout, reasons(last))
			}
			return nil, errors.New("interrupted")
		}
	}
}
