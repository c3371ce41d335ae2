package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/hack/node"
	"opendatahub.io/operator/test/cluster"
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
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	d := deployment{options: o, config: c.Config(), kubeconfig: c.Kubeconfig(), root: root, hub: hub, say: say, started: started}
	d.beside = func(ctx context.Context) error { return node.DeployServices(ctx, c, hub) }
	ready, err := d.run(ctx)
	if err != nil {
		return err
	}
	steps, err := realSteps(ctx, c, ready)
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

// realSteps makes the addresses of the platform answer on this machine, and says where, and with which login.
func realSteps(ctx context.Context, c *cluster.Cluster, hub *v1alpha1.OpenDataHub) (string, error) {
	kube, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return "", fmt.Errorf("making a client: %w", err)
	}
	var text strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format+"\n", args...) }
	line("")
	for _, component := range hub.Status.Components {
		for _, endpoint := range component.Endpoints {
			address, ok, err := localAddress(ctx, c, endpoint.URL)
			if err != nil {
				return "", err
			}
			if ok {
				line("%s: %s: %s%s", component.Name, endpoint.Name, address, withoutPage(ctx, address))
			}
		}
		if component.CredentialsSecret == "" {
			continue
		}
		secret := &corev1.Secret{}
		key := client.ObjectKey{Namespace: hub.Namespace, Name: component.CredentialsSecret}
		if err := kube.Get(ctx, key, secret); err != nil {
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
	line("  kubectl get odh,pods -n %s", hub.Namespace)
	line("")
	line("The cluster stays until: make cluster-down NAME=%s", c.Name())
	return text.String(), nil
}

// withoutPage is a remark about an address at which a browser finds no page: an API, or a program whose image has none (README.md).
func withoutPage(ctx context.Context, address string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return ""
	}
	request.Header.Set("Accept", "text/html")
	browser := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // it names the Service, and nothing is sent
	}}
	response, err := browser.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(io.LimitReader(response.Body, 1))
	if failed := response.StatusCode == http.StatusNotFound || response.StatusCode >= http.StatusInternalServerError; err == nil && !failed && len(content) > 0 {
		return ""
	}
	return " (its API; there is no page)"
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
