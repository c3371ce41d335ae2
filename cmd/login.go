package cmd

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
)

// loginOptions are the flags of the login command.
type loginOptions struct {
	connection
	browser bool
}

func loginCommand() *cobra.Command {
	var options loginOptions
	command := &cobra.Command{
		Use:   "login COMPONENT",
		Short: "Print the addresses of a component and the login to use there",
		Long: `Print where a component of the platform in the namespace is used, and the user name and password of its Secret, if the platform
made one. With another login, such as a company's, there is no Secret: use your own account.

You must be allowed to read the Secret.`,
		Example: `  opendatahub login jupyterHub -n opendatahub
  opendatahub login jupyterHub --open`,
		Args: named("component"),
		RunE: func(command *cobra.Command, arguments []string) error {
			return options.run(command.Context(), arguments[0], command.OutOrStdout())
		},
	}
	options.addTo(command)
	options.completesComponent(command)
	command.Flags().BoolVar(&options.browser, "open", false, "open the first web address in the browser")
	return command
}

func (o *loginOptions) run(ctx context.Context, name string, out io.Writer) error {
	namespace, err := o.namespace()
	if err != nil {
		return err
	}
	reader, _, err := o.open()
	if err != nil {
		return err
	}
	list := &v1alpha1.OpenDataHubList{}
	if err := reader.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return err
	}
	var names []string
	for i := range list.Items {
		for _, component := range list.Items[i].Status.Components {
			if strings.EqualFold(component.Name, name) {
				return o.show(ctx, reader, namespace, component, out)
			}
			names = append(names, component.Name)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("no platform in namespace %s has a component that can be used yet: see opendatahub status -n %s", namespace, namespace)
	}
	slices.Sort(names) // in the status they are in the order in which they first had something to say
	return fmt.Errorf("no component %s in namespace %s: there are %s", name, namespace, strings.Join(names, ", "))
}

func (o *loginOptions) show(ctx context.Context, reader client.Reader, namespace string, component v1alpha1.ComponentStatus, out io.Writer) error {
	if len(component.Endpoints) == 0 {
		return fmt.Errorf("%s has no address yet: see opendatahub status -n %s", component.Name, namespace)
	}
	for _, endpoint := range component.Endpoints {
		_, _ = fmt.Fprintf(out, "%s: %s\n", endpoint.Name, endpoint.URL)
	}
	if component.CredentialsSecret == "" {
		_, _ = fmt.Fprintln(out, "Log in with your own account.")
	} else {
		secret := &corev1.Secret{}
		if err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: component.CredentialsSecret}, secret); err != nil {
			return fmt.Errorf("reading the login: %w", err)
		}
		writeLogin(secret, component.CredentialsUser, out)
	}
	if !o.browser {
		return nil
	}
	i := slices.IndexFunc(component.Endpoints, func(endpoint v1alpha1.Endpoint) bool { return strings.HasPrefix(endpoint.URL, "http") })
	if i < 0 {
		return fmt.Errorf("%s has no web address to open", component.Name)
	}
	program := map[string]string{"darwin": "open", "windows": "explorer"}[runtime.GOOS]
	if program == "" {
		program = "xdg-open"
	}
	if err := exec.CommandContext(ctx, program, component.Endpoints[i].URL).Run(); err != nil {
		return fmt.Errorf("opening the browser with %s: %w", program, err)
	}
	return nil
}

// writeLogin prints a user name and a password, and where they are from, or else what there is instead, such as the keys of S3.
func writeLogin(secret *corev1.Secret, user string, out io.Writer) {
	if name, ok := secret.Data[corev1.BasicAuthUsernameKey]; ok {
		user = string(name)
	}
	if user != "" {
		_, _ = fmt.Fprintf(out, "%s: %s\n", corev1.BasicAuthUsernameKey, user)
	}
	if password, ok := secret.Data[corev1.BasicAuthPasswordKey]; ok {
		_, _ = fmt.Fprintf(out, "%s: %s\n(from Secret %s)\n", corev1.BasicAuthPasswordKey, password, secret.Name)
		return
	}
	_, _ = fmt.Fprintf(out, "Secret %s has the keys %s: kubectl get secret %[1]s -n %[3]s -o yaml shows them in base64.\n",
		secret.Name, strings.Join(slices.Sorted(maps.Keys(secret.Data)), ", "), secret.Namespace)
}
