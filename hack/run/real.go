package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	opcluster "opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/hack/node"
	"opendatahub.io/operator/test/cluster"
	"opendatahub.io/operator/test/harness"
)

// runReal is run on a node on which Pods really run: the operator and its installer are Pods as well.
func runReal(ctx context.Context, o options) (err error) {
	if missing := node.Missing(); len(missing) > 0 {
		return errors.New(node.Explain(missing))
	}
	hub, err := readSample(o.sample)
	if err != nil {
		return err
	}
	started := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("%6.1fs  %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
	}
	say("Starting the local cluster %s with a real node. The first time its binaries and images are built, which takes 20 minutes.", o.name)
	c, existed, err := node.Up(ctx, node.Options{Name: o.name, Port: o.port, Operator: o.binary, OperatorImage: o.image, Log: os.Stderr})
	if err != nil {
		return err
	}
	if o.wait == waitExit && !existed && !o.keep {
		defer func() {
			err = errors.Join(err, down(ctx, o.name))
			say("Stopped the cluster.")
		}()
	}
	say("Deploying the operator and its installer: make deploy CONFIG=%s.", o.config)
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	if err := node.Deploy(ctx, c.Kubeconfig(), root, o.config, o.image); err != nil {
		return err
	}
	env, err := connect(c.Config(), root)
	if err != nil {
		return err
	}
	say("Applying %s.", o.sample)
	if err := env.EnsureNamespace(ctx, hub.Namespace); err != nil {
		return err
	}
	if err := env.Admit(ctx, catalog.All(), hub); err != nil {
		return err
	}
	if external := hub.Spec.ObjectStorage.External; external != nil && external.Endpoint == node.S3Endpoint {
		if err := node.DeployS3(ctx, c, hub.Namespace, "lake", "experiments"); err != nil {
			return err
		}
	}
	if jupyter := hub.Spec.Components.JupyterHub; jupyter != nil && slices.ContainsFunc(jupyter.Reachable, isNodesKafka) {
		if err := node.DeployKafka(ctx, c); err != nil {
			return err
		}
	}
	if err := env.ApplyFile(ctx, o.sample); err != nil {
		return err
	}
	if _, err := waitReady(ctx, o, c.Config(), hub, started); err != nil {
		return err
	}
	steps, err := realSteps(ctx, c, env, hub)
	if err != nil {
		return err
	}
	fmt.Println(steps)
	if o.wait == waitExit {
		return nil
	}
	<-ctx.Done()
	fmt.Printf("The cluster, the operator and the platform keep running until: make cluster-down NAME=%s\n", o.name)
	return nil
}

func isNodesKafka(destination v1alpha1.NotebookDestination) bool {
	return fmt.Sprintf("%s:%d", destination.Host, destination.Port) == node.KafkaAddress
}

func connect(config *rest.Config, root string) (*harness.Env, error) {
	scheme, err := opcluster.Scheme()
	if err != nil {
		return nil, err
	}
	admin, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return &harness.Env{Admin: admin, Root: root}, nil
}

// waitReady shows the platform until it is ready, and returns it.
func waitReady(
	ctx context.Context, o options, config *rest.Config, hub *v1alpha1.OpenDataHub, started time.Time,
) (last *v1alpha1.OpenDataHub, err error) {
	applied := time.Now()
	if o.wait == waitExit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, errTimeout)
		defer cancel()
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	updates, err := watch(watching, config, client.ObjectKeyFromObject(hub))
	if err != nil {
		return nil, err
	}
	view := newView(os.Stdout, started)
	for {
		select {
		case last = <-updates:
			view.show(last)
			if isReady(last) {
				view.finish("%s", readyAfter(started, applied))
				return last, nil
			}
		case <-ctx.Done():
			view.finish("")
			if errors.Is(context.Cause(ctx), errTimeout) {
				return nil, fmt.Errorf("not ready after %s:\n%s", o.timeout, reasons(last))
			}
			return nil, errors.New("interrupted")
		}
	}
}

// realSteps makes the addresses of the platform answer on this machine, and says where, and with which login.
func realSteps(ctx context.Context, c *cluster.Cluster, env *harness.Env, hub *v1alpha1.OpenDataHub) (string, error) {
	current := &v1alpha1.OpenDataHub{}
	if err := env.Admin.Get(ctx, client.ObjectKeyFromObject(hub), current); err != nil {
		return "", fmt.Errorf("reading the OpenDataHub: %w", err)
	}
	var text strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format+"\n", args...) }
	line("")
	for _, component := range current.Status.Components {
		for _, endpoint := range component.Endpoints {
			address, ok, err := localAddress(ctx, c, endpoint.URL)
			if err != nil {
				return "", err
			}
			if ok {
				line("%s: %s: %s", component.Name, endpoint.Name, address)
			}
		}
		if component.CredentialsSecret == "" {
			continue
		}
		secret := &corev1.Secret{}
		key := client.ObjectKey{Namespace: current.Namespace, Name: component.CredentialsSecret}
		if err := env.Admin.Get(ctx, key, secret); err != nil {
			return "", fmt.Errorf("reading the login of %s: %w", component.Name, err)
		}
		if username, password := secret.Data["username"], secret.Data["password"]; len(username) > 0 && len(password) > 0 {
			line("  login: %s, password: %s", username, password)
		}
	}
	line("")
	line("In another terminal:")
	line("")
	line("  export KUBECONFIG=%s", shellQuote(c.Kubeconfig()))
	line("  kubectl get odh,pods -n %s", current.Namespace)
	line("")
	line("The cluster stays until: make cluster-down NAME=%s", c.Name())
	return text.String(), nil
}

// localAddress is the address of this machine that leads to an address in the cluster.
func localAddress(ctx context.Context, c *cluster.Cluster, inCluster string) (string, bool, error) {
	parsed, err := url.Parse(inCluster)
	if err != nil {
		return "", false, fmt.Errorf("reading the address %s: %w", inCluster, err)
	}
	if !strings.HasPrefix(parsed.Scheme, "http") {
		return "", false, nil
	}
	name, rest, _ := strings.Cut(parsed.Hostname(), ".")
	namespace, rest, _ := strings.Cut(rest, ".")
	if rest != "svc" && !strings.HasPrefix(rest, "svc.") {
		return "", false, nil
	}
	port := 80
	if parsed.Scheme == "https" {
		port = 443
	}
	if written := parsed.Port(); written != "" {
		if port, err = strconv.Atoi(written); err != nil {
			return "", false, fmt.Errorf("reading the address %s: %w", inCluster, err)
		}
	}
	local, err := node.Forward(ctx, c, client.ObjectKey{Namespace: namespace, Name: name}, port)
	if err != nil {
		return "", false, fmt.Errorf("making %s answer on this machine: %w", inCluster, err)
	}
	return fmt.Sprintf("%s://localhost:%d%s", parsed.Scheme, local, parsed.Path), true, nil
}
