package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"opendatahub.io/operator/modelrouter"
)

// ModelRouterOptions are the flags of the model-router command.
type ModelRouterOptions struct {
	ProcessOptions
	// Models are names and addresses, as in iris=http://odh-seldon-iris-default.lab.svc:8000.
	Models []string
	// Address at which it serves, of a loopback interface: the login is in front of it.
	Address string
}

func modelRouterCommand(version string) *cobra.Command {
	options := ModelRouterOptions{ProcessOptions: ProcessOptions{Version: version}}
	command := &cobra.Command{
		Use:   "model-router --namespace NAMESPACE --model NAME=URL",
		Short: "Pass requests on to model servers, for the login proxy in front of it",
		Long: `Pass requests on to model servers, by the name in the path: /seldon/NAMESPACE/NAME/api/. spec.components.seldon runs it for models that
are exposed.

It asks nobody for a login, so it listens on a loopback address only.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			models, err := options.complete()
			if err != nil {
				return err
			}
			if err := options.begin(); err != nil {
				return err
			}
			return RunModelRouter(command.Context(), models, options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.Namespace, "namespace", "", "namespace of the models")
	flags.StringArrayVar(&options.Models, "model", nil, "name and address of a model server, such as iris=http://iris.lab.svc:8000; several times for several")
	flags.StringVar(&options.Address, "bind-address", "127.0.0.1:8000", "loopback address at which it serves")
	flags.StringVar(&options.ProbeAddress, "health-probe-bind-address", "0", "address of /healthz, 0 for none")
	flags.StringVar(&options.LogLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&options.LogFormat, "log-format", "json", "json or text")
	return command
}

// complete checks the options, and returns the models.
func (o *ModelRouterOptions) complete() (map[string]*url.URL, error) {
	if o.Namespace == "" {
		return nil, errors.New("--namespace: name that of the models")
	}
	if o.Address == "" {
		return nil, errors.New("--bind-address: give it one, such as 127.0.0.1:8000")
	}
	if err := validateLoopback(o.Address); err != nil {
		return nil, fmt.Errorf("--bind-address %q: %w", o.Address, err)
	}
	if len(o.Models) == 0 {
		return nil, errors.New("--model: name one at least")
	}
	models := map[string]*url.URL{}
	for _, model := range o.Models {
		name, address, _ := strings.Cut(model, "=")
		parsed, err := url.Parse(address)
		if err != nil || name == "" || strings.ContainsAny(name, "/{} ") || parsed.Host == "" || !slices.Contains([]string{"http", "https"}, parsed.Scheme) {
			return nil, fmt.Errorf("--model %q: use a name and an address, such as iris=http://iris.lab.svc:8000", model)
		}
		models[name] = parsed
	}
	return models, nil
}

// RunModelRouter serves until the context ends.
func RunModelRouter(ctx context.Context, models map[string]*url.URL, options ModelRouterOptions) error {
	return options.serve(ctx, &http.Server{
		Handler:           modelrouter.New(options.Namespace, models),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, // groups and tokens are in headers
	}, options.Address)
}
