package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/inspect"
)

// waitOptions are the flags of the wait command.
type waitOptions struct {
	connection
	until   string
	timeout time.Duration
}

func waitCommand() *cobra.Command {
	var options waitOptions
	command := &cobra.Command{
		Use:   "wait NAME",
		Short: "Wait until a platform is ready, or gone, and say what it waits for",
		Long: `Wait until an OpenDataHub is ready for its latest generation, or gone. Every change of its status is a line.

The exit code is 0 when it is so, and 1 when the time is over, or when the platform says that it waits for a person: no time helps then.`,
		Example: `  opendatahub wait odh -n opendatahub --timeout 30m
  opendatahub wait odh --for deleted`,
		Args: named("platform"),
		RunE: func(command *cobra.Command, arguments []string) error {
			return options.run(command.Context(), arguments[0], command.OutOrStdout())
		},
	}
	options.addTo(command)
	flags := command.Flags()
	addChoice(command, &options.until, "for", "", "", "ready", "deleted")
	options.completesName(command)
	flags.DurationVar(&options.timeout, "timeout", 15*time.Minute, "how long to wait")
	return command
}

func (o *waitOptions) run(ctx context.Context, name string, out io.Writer) error {
	namespace, err := o.namespace()
	if err != nil {
		return err
	}
	reader, _, err := o.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	started, last := time.Now(), ""
	say := func(text string) {
		if text != last {
			_, _ = fmt.Fprintf(out, "%6.1f s  %s\n", time.Since(started).Seconds(), text)
			last = text
		}
	}
	for {
		changes, err := watchPlatforms(ctx, reader, namespace, name)
		if err != nil {
			return o.over(ctx, err, name, last)
		}
		done, err := o.look(ctx, reader, client.ObjectKey{Namespace: namespace, Name: name}, changes, say)
		changes.Stop()
		if done || err != nil {
			return o.over(ctx, err, name, last)
		}
	}
}

// look follows one watch until it ends, or until there is nothing to wait for.
func (o *waitOptions) look(ctx context.Context, reader client.Reader, key client.ObjectKey, changes watch.Interface, say func(string)) (done bool, err error) {
	for {
		odh, err := inspect.Get(ctx, reader, key)
		switch {
		case apierrors.IsNotFound(err) && o.until == "deleted":
			say("gone")
			return true, nil
		case err != nil:
			return false, err
		case o.until == "deleted" && odh.DeletionTimestamp == nil:
			say("it exists, and nobody has deleted it")
		default:
			status, reason, message := inspect.Condition(odh, v1alpha1.ConditionReady)
			if reason != "" {
				reason += ": "
			}
			say(reason + message)
			if o.until == "ready" && status == metav1.ConditionTrue {
				return true, nil
			}
			if stalled := meta.FindStatusCondition(odh.Status.Conditions, v1alpha1.ConditionStalled); o.until == "ready" && stalled != nil && stalled.ObservedGeneration == odh.Generation {
				return false, errors.New("a person must act first: " + stalled.Message)
			}
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case _, open := <-changes.ResultChan():
			if !open {
				return false, nil
			}
		}
	}
}

func (o *waitOptions) over(ctx context.Context, err error, name, last string) error {
	if ctx.Err() == context.DeadlineExceeded {
		return fmt.Errorf("OpenDataHub %s is not %s after %s; it says: %s", name, o.until, o.timeout, cmp.Or(last, "nothing, because the API server has not answered"))
	}
	return err
}
