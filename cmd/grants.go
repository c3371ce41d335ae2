package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/installer/grants"
)

// grantsOptions are the flags of the grants command.
type grantsOptions struct {
	resourceFiles
	operatorTable
	operatorNamespace string
}

func grantsCommand(all []components.Component) *cobra.Command {
	var options grantsOptions
	command := &cobra.Command{
		Use:   "grants -f hub.yaml",
		Short: "Print the rights that the operator and third-party operators need for OpenDataHub resources",
		Long: `Print, as YAML, the rights that OpenDataHub resources need in their namespaces: those of this operator, which by itself
may only watch, and those of the third-party operators of their components. No cluster is needed.

The installer grants them by itself. Without it, an administrator reads and applies them before or after the resource is
created. What they need is known from the spec: run this again when a component is added.`,
		Example: `  opendatahub grants -f hub.yaml | kubectl apply --server-side -f -
  kubectl get odh -A -o yaml | opendatahub grants -f - | kubectl diff -f -`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return whole(command, func(out *bytes.Buffer) error {
				return printGrants(options, all, command.InOrStdin(), out)
			})
		},
	}
	options.resourceFiles.addTo(command)
	options.operatorTable.addTo(command)
	command.Flags().StringVar(&options.operatorNamespace, "operator-namespace", authority.DefaultNamespace, "namespace of this operator")
	return command
}

func printGrants(options grantsOptions, all []components.Component, stdin io.Reader, out *bytes.Buffer) error {
	table, err := options.table()
	if err != nil {
		return err
	}
	namespaces := map[string]string{}
	for _, dependency := range table {
		namespaces[dependency.Name] = dependency.Namespace
	}
	return errors.Join(options.visit(stdin, func(where string, odh *v1alpha1.OpenDataHub) []error {
		objects, err := grantsOf(options, all, odh, namespaces)
		if err != nil {
			return []error{fmt.Errorf("%s: %w", where, err)}
		}
		for _, object := range objects {
			content, err := yaml.Marshal(object.Object)
			if err != nil {
				return []error{fmt.Errorf("%s: writing %s %s: %w", where, object.GetKind(), object.GetName(), err)}
			}
			_, _ = fmt.Fprintf(out, "---\n%s", content)
		}
		return nil
	})...)
}

func grantsOf(options grantsOptions, all []components.Component, odh *v1alpha1.OpenDataHub, operators map[string]string) ([]*unstructured.Unstructured, error) {
	binding, err := grants.ForManager(options.operatorNamespace, odh.Namespace)
	if err != nil {
		return nil, err
	}
	assumed := components.Cluster{OpenShift: options.openShift, ManagerNamespace: options.operatorNamespace, OperatorNamespaces: operators}
	// Whoever grants it allows it.
	marks := map[string]string{components.LabelAllowNodes: "true"}
	declared, err := grants.ForComponents(all, components.NewFacts(odh, assumed, all), marks)
	return append([]*unstructured.Unstructured{binding}, declared...), err
}
