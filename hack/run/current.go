package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
	"k8s.io/client-go/tools/clientcmd"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/test/cluster"
)

// envConfirm answers the question before anything is done on a cluster that is not ours, where nobody can be asked.
const envConfirm = "CONFIRM"

// runCurrent is run on the cluster that kubectl's current context names. What it deploys stays.
func runCurrent(ctx context.Context, o options) error {
	hub, err := readSample(o.sample)
	if err != nil {
		return err
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil)
	raw, err := loader.RawConfig()
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return fmt.Errorf("reading the context %q of the kubeconfig: %w", raw.CurrentContext, err)
	}
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	fmt.Printf(`On the cluster of the context %s (%s) this
  deploys the operator: make deploy CONFIG=%s IMG=%s
  makes the namespace %s, with the Pod Security level that the platform needs
  applies %s
All of it stays.
`, raw.CurrentContext, config.Host, o.config, o.image, hub.Namespace, o.sample)
	if err := confirm(os.Stdin, term.IsTerminal(int(os.Stdin.Fd()))); err != nil {
		return err
	}
	started := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("%6.1fs  %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
	}
	d := deployment{options: o, config: config, root: root, hub: hub, say: say, started: started}
	ready, err := d.run(ctx)
	if err != nil {
		return err
	}
	fmt.Println(currentSteps(ready))
	return nil
}

// confirm asks, and returns nil after a yes.
func confirm(in io.Reader, terminal bool) error {
	switch answer := os.Getenv(envConfirm); {
	case answer == "yes":
		return nil
	case answer != "":
		return fmt.Errorf("nothing was done: %s is %q, not yes", envConfirm, answer)
	case !terminal:
		return fmt.Errorf("nothing was done: nobody can be asked; set %s=yes", envConfirm)
	}
	fmt.Print("Do it? [y/N] ")
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	default:
		return errors.New("nothing was done")
	}
}

// currentSteps says where the platform is, and how to look at it.
func currentSteps(hub *v1alpha1.OpenDataHub) string {
	var text strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format+"\n", args...) }
	places(line, hub)
	line("")
	line("An address that ends in .svc answers in the cluster only: kubectl port-forward leads there from here.")
	line("  kubectl describe odh %s -n %s", hub.Name, hub.Namespace)
	return text.String()
}
