package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers"
	"opendatahub.io/operator/controllers/apply"
	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/doctor"
)

// doctorOptions are the flags of the doctor command.
type doctorOptions struct {
	connection
	files             []string
	operatorNamespace string
	format            string
}

// examined is what the doctor says of one resource.
type examined struct {
	Namespace string           `json:"namespace"`
	Name      string           `json:"name"`
	Findings  []doctor.Finding `json:"findings"`
}

func doctorCommand(all []components.Component) *cobra.Command {
	var options doctorOptions
	command := &cobra.Command{
		Use:   "doctor -f hub.yaml",
		Short: "Look for what would keep a platform from working, before its resource is applied",
		Long: `Compare OpenDataHub resources with the cluster, and say what would keep their platforms from working: a spec that the operator or the
API server refuses, a definition of OpenDataHub that is older than this program, an old Kubernetes, an operator that does not run, missing
rights, a namespace with too strict a Pod Security level or without the marks of an administrator, third-party operators that are missing,
catalogues that cannot be reached, StorageClasses, host names, Secrets, and what Pods request beside what the nodes have left.

It asks with your own rights, changes nothing, and does not read the values of Secrets. What you may not read is a warning. It can be run
for a platform that exists as well: its own Pods do not count as taken. Capacity is of what is deployed at first; notebooks and what else
users start come on top.

Exit codes: 0 nothing was found, 1 it could not look, 2 there are problems, 3 there are warnings only.`,
		Example: `  opendatahub doctor -f hub.yaml
  opendatahub doctor -f hub.yaml -o json | jq -r '.[].findings[] | select(.severity == "problem").message'
  kubectl get odh -A -o yaml | opendatahub doctor -f -`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return options.run(command.Context(), all, command.InOrStdin(), command.OutOrStdout())
		},
	}
	options.addTo(command)
	flags := command.Flags()
	addFiles(command, &options.files)
	flags.Lookup("namespace").Usage = "namespace of resources that do not say theirs; without it that of the current context"
	must(command.MarkFlagRequired("filename"))
	flags.StringVar(&options.operatorNamespace, "operator-namespace", authority.DefaultNamespace, "namespace of the operator and its installer")
	addChoice(command, &options.format, "output", "o", "", "text", "json")
	return command
}

func (o *doctorOptions) run(ctx context.Context, all []components.Component, stdin io.Reader, out io.Writer) error {
	namespace, err := o.namespace()
	if err != nil {
		return err
	}
	reader, discovery, err := o.open()
	if err != nil {
		return err
	}
	return o.examine(ctx, all, reader, discovery, resourceFiles{files: o.files, namespace: namespace}, stdin, out)
}

func (o *doctorOptions) examine(ctx context.Context, all []components.Component, reader client.Client, discovery discovery.DiscoveryInterface,
	files resourceFiles, stdin io.Reader, out io.Writer,
) error {
	detected, err := cluster.Detect(ctx, discovery, reader)
	if err != nil && !apierrors.IsForbidden(err) {
		return err
	}
	looking := doctor.New(reader, cluster.NewServed(discovery), o.operatorNamespace)
	results := []examined{}
	failed := files.visit(stdin, func(_ string, odh *v1alpha1.OpenDataHub) []error {
		results = append(results, examined{odh.Namespace, odh.Name, looking.Examine(ctx, patient(all, odh, detected))})
		return nil
	})
	for _, err := range failed { // what no API server would take is a finding as well
		results = append(results, examined{Findings: []doctor.Finding{{Check: "resource", Severity: doctor.Problem, Message: err.Error()}}})
	}
	if o.format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(results); err != nil {
			return err
		}
	} else {
		writeFindings(out, results, styleFor(out))
	}
	var every []doctor.Finding
	for _, result := range results {
		every = append(every, result.Findings...)
	}
	switch doctor.Worst(every) {
	case doctor.Problem:
		return found(exitFound)
	case doctor.Warning:
		return found(exitWarnings)
	default:
		return nil
	}
}

// patient renders a resource as the operator would.
func patient(all []components.Component, odh *v1alpha1.OpenDataHub, detected components.Cluster) *doctor.Patient {
	patient := &doctor.Patient{Hub: odh, Facts: components.NewFacts(odh, detected, all), All: all, Table: dependencies.Default().For(detected.OpenShift)}
	prepared := map[string][]apply.Prepared{}
	for _, component := range all {
		if state, wanted := components.StateOf(component, patient.Facts); !wanted || state == v1alpha1.Unmanaged {
			continue
		}
		rendered, err := renderOffline(component, components.NewFacts(odh, detected, all))
		if err != nil {
			patient.Invalid = append(patient.Invalid, fmt.Errorf("%s: %w", component.Name(), err))
			continue
		}
		prepared[component.Name()] = rendered
		part := doctor.Part{Component: component}
		for _, p := range rendered {
			if p.Subresource == "" {
				part.Objects = append(part.Objects, p.Object)
			}
		}
		patient.Parts = append(patient.Parts, part)
	}
	patient.Marks = func(namespace *metav1.PartialObjectMetadata) (refused []error) {
		for _, part := range patient.Parts {
			if err := controllers.Allowed(namespace, part.Component, patient.Facts, prepared[part.Component.Name()]); err != nil {
				refused = append(refused, fmt.Errorf("%s: %w", part.Component.Name(), err))
			}
		}
		return refused
	}
	return patient
}

func writeFindings(out io.Writer, results []examined, style style) {
	colours := map[doctor.Severity]string{doctor.OK: "32", doctor.Warning: "33", doctor.Problem: "31"}
	count := map[doctor.Severity]int{}
	for _, result := range results {
		if result.Name != "" {
			_, _ = fmt.Fprintf(out, "OpenDataHub %s/%s\n", result.Namespace, result.Name)
		}
		for _, finding := range result.Findings {
			count[finding.Severity]++
			_, _ = fmt.Fprintf(out, "  %s  %s: %s\n", style.paint(fmt.Sprintf("%-7s", finding.Severity), colours[finding.Severity]), finding.Check, finding.Message)
		}
	}
	_, _ = fmt.Fprintf(out, "%s, %s\n", counted(count[doctor.Problem], "problem"), counted(count[doctor.Warning], "warning"))
}

func counted(number int, of string) string {
	if number == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", number, of)
}
