package cmd

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
)

// completionPatience is how long a shell waits for a cluster that does not answer.
const completionPatience = 3 * time.Second

// completesName completes the one argument of a command with the platforms of the namespace.
func (c *connection) completesName(command *cobra.Command) {
	command.ValidArgsFunction = c.complete(func(ctx context.Context, reader client.Reader, namespace string) ([]string, error) {
		platforms := &v1alpha1.OpenDataHubList{}
		err := reader.List(ctx, platforms, client.InNamespace(namespace))
		return names(platforms.Items, func(odh *v1alpha1.OpenDataHub) string { return odh.Name }), err
	})
}

// completesComponent completes it with what can be used of them.
func (c *connection) completesComponent(command *cobra.Command) {
	command.ValidArgsFunction = c.complete(func(ctx context.Context, reader client.Reader, namespace string) ([]string, error) {
		platforms := &v1alpha1.OpenDataHubList{}
		err := reader.List(ctx, platforms, client.InNamespace(namespace))
		var found []string
		for i := range platforms.Items {
			for _, component := range platforms.Items[i].Status.Components {
				if len(component.Endpoints) > 0 {
					found = append(found, component.Name)
				}
			}
		}
		return found, err
	})
}

// namespaces are all that there are.
func namespaces(ctx context.Context, reader client.Reader, _ string) ([]string, error) {
	all := &metav1.PartialObjectMetadataList{}
	all.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	err := reader.List(ctx, all)
	return names(all.Items, func(namespace *metav1.PartialObjectMetadata) string { return namespace.Name }), err
}

func names[T any](items []T, name func(*T) string) []string {
	var all []string
	for i := range items {
		all = append(all, name(&items[i]))
	}
	return all
}

// complete asks the cluster that the flags name. Where it does not answer, or refuses, there is nothing to choose from.
func (c *connection) complete(ask func(ctx context.Context, reader client.Reader, namespace string) ([]string, error)) cobra.CompletionFunc {
	return func(command *cobra.Command, arguments []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(arguments) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		*c.flags.Timeout = completionPatience.String()
		namespace, err := c.namespace()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		reader, _, err := c.open()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(command.Context(), completionPatience)
		defer cancel()
		found, err := ask(ctx, reader, namespace)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		slices.Sort(found)
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}
