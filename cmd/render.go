package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilversion "k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/controllers"
	"opendatahub.io/operator/controllers/apply"
)

// defaultKubeVersion is the version that offline rendering assumes; it changes goldens, so it changes on purpose only.
const defaultKubeVersion = "v1.37.2"

// offlineDigest stands for the digest of a Secret whose values are not known.
const offlineDigest = "offline"

// renderOptions are the flags of the render command.
type renderOptions struct {
	resourceFiles
	cluster components.Cluster
	// table is the file with the administrator's images.
	table string
}

func renderCommand(all []components.Component) *cobra.Command {
	var options renderOptions
	command := &cobra.Command{
		Use:   "render -f hub.yaml",
		Short: "Print the objects that the operator would apply for OpenDataHub resources, without any cluster",
		Long: `Print the objects that the operator would apply for OpenDataHub resources, in the order in which it would, as YAML.

No cluster is needed: what rendering depends on is said with flags. Unknown fields and invalid specs are refused as an API server
or the operator would, with the same words, and exit code 1; then nothing is printed to standard output.

What waits for a Job, such as a hub for the test of extraConfig, is printed as it is once the Job has succeeded.

Some things are known to a cluster only. Random values of generated Secrets are left out, with a comment that names the keys.
Digests of Secrets, for which Pods are replaced when a value changes, are placeholders. Owner references are left out. So are objects of
which a live platform says what is in them: the ConfigMap in which Kafka's cluster id is kept, and those by which Prometheus knows
the metrics of the operator and its installer from those of somebody else.`,
		Example: `  opendatahub render -f hub.yaml
  opendatahub render -f hub.yaml --openshift --ingress-domain apps.example.com
  kubectl get odh -A -o yaml | opendatahub render -f - | kubectl diff -f -`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.complete(); err != nil {
				return err
			}
			return whole(command, func(out *bytes.Buffer) error {
				return render(options, all, command.InOrStdin(), out, command.ErrOrStderr())
			})
		},
	}
	options.addTo(command)
	options.addClusterTo(command)
	return command
}

// addClusterTo defines the flags that say what rendering without a cluster depends on.
func (o *renderOptions) addClusterTo(command *cobra.Command) {
	flags, cluster := command.Flags(), &o.cluster
	flags.StringVar(&o.table, "images", "", imagesUsage)
	flags.BoolVar(&cluster.OpenShift, "openshift", false, "render for OpenShift")
	flags.StringVar(&cluster.KubeVersion, "kube-version", defaultKubeVersion, "version of Kubernetes to render for")
	flags.StringVar(&cluster.IngressDomain, "ingress-domain", "", "domain of OpenShift's own ingress, such as apps.example.com")
	flags.StringVar(&cluster.Proxy.HTTP, "http-proxy", "", "proxy of an OpenShift cluster for http:// addresses, such as http://proxy.example.com:3128")
	flags.StringVar(&cluster.Proxy.HTTPS, "https-proxy", "", "proxy of an OpenShift cluster for https:// addresses")
	flags.StringVar(&cluster.Proxy.NoProxy, "no-proxy", "", "what an OpenShift cluster reaches without its proxy, separated by commas")
	flags.BoolVar(&cluster.Proxy.Authorities, "trusted-ca", false, "render for an OpenShift cluster that trusts authorities of its own")
	flags.BoolVar(&cluster.UnsafePatches, "allow-unsafe-patches", false, "render as a manager does that runs with this flag")
}

func (o *renderOptions) complete() error {
	if _, err := utilversion.ParseGeneric(o.cluster.KubeVersion); err != nil {
		return fmt.Errorf("--kube-version %q: use a version such as %s", o.cluster.KubeVersion, defaultKubeVersion)
	}
	o.cluster.KubeVersion = "v" + strings.TrimPrefix(o.cluster.KubeVersion, "v")
	if o.cluster.IngressDomain != "" && !o.cluster.OpenShift {
		return errors.New("--ingress-domain is OpenShift's: add --openshift, or set spec.ingress.domain in the resource")
	}
	if o.cluster.Proxy != (components.Proxy{}) && !o.cluster.OpenShift {
		return errors.New("--http-proxy, --https-proxy, --no-proxy and --trusted-ca are OpenShift's: add --openshift, or set spec.proxy and spec.trustedCASecretRef in the resource")
	}
	var err error
	o.cluster.Images, err = readImages(o.table)
	return err
}

// render writes to out only when all resources are valid, so that what is piped to kubectl is whole. Warnings go to warn.
func render(options renderOptions, all []components.Component, stdin io.Reader, out *bytes.Buffer, warn io.Writer) error {
	return errors.Join(options.visit(stdin, func(where string, odh *v1alpha1.OpenDataHub) []error {
		var failed []error
		for _, wanted := range append(components.Wanted(odh.Spec.Components), wantedByRule(options.cluster, all, odh)...) {
			if err := renderComponent(options.cluster, all, odh, wanted, out, warn); err != nil {
				failed = append(failed, fmt.Errorf("%s: %s: %w", where, wanted.Name, err))
			}
		}
		return failed
	})...)
}

func eachLine(file string, err error) []error {
	var all []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		all = append(all, fmt.Errorf("%s: %s", file, line))
	}
	return all
}

// wantedByRule are what the platform has besides the components that its resource names.
func wantedByRule(detected components.Cluster, all []components.Component, odh *v1alpha1.OpenDataHub) []components.WantedComponent {
	var parts []components.WantedComponent
	for _, component := range all {
		if ruled, ok := component.(components.WithRule); ok && ruled.Wanted(components.NewFacts(odh, detected, all)) {
			parts = append(parts, components.WantedComponent{Name: component.Name(), State: v1alpha1.Managed})
		}
	}
	return parts
}

func renderComponent(detected components.Cluster, all []components.Component, odh *v1alpha1.OpenDataHub,
	wanted components.WantedComponent, out *bytes.Buffer, warn io.Writer,
) error {
	title := fmt.Sprintf("%s of OpenDataHub %s/%s", wanted.Name, odh.Namespace, odh.Name)
	i := slices.IndexFunc(all, func(component components.Component) bool { return component.Name() == wanted.Name })
	switch {
	case i < 0:
		text := title + ": " + components.NotSupported(wanted.Name)
		_, _ = fmt.Fprintf(out, "---\n# %s\n", text)
		_, err := fmt.Fprintf(warn, "warning: %s\n", text)
		return err
	case wanted.State == v1alpha1.Unmanaged:
		_, _ = fmt.Fprintf(out, "---\n# %s: managementState is Unmanaged, so nothing is applied\n", title)
		return nil
	}
	prepared, err := renderOffline(all[i], components.NewFacts(odh, detected, all))
	if err != nil {
		return err
	}
	for number, p := range prepared {
		_, _ = fmt.Fprintf(out, "---\n# %s, object %d of %d\n", title, number+1, len(prepared))
		if err := writeObject(out, p); err != nil {
			return err
		}
	}
	return nil
}

// renderOffline assumes that what the spec refers to exists, and renders as the controllers do once they have generated
// the component's Secrets, and its Jobs have done what the rest waits for.
func renderOffline(component components.Component, facts components.Facts) ([]apply.Prepared, error) {
	facts.Secrets = map[string]components.Secret{}
	if withReferences, ok := component.(components.WithReferences); ok {
		for _, reference := range withReferences.References(facts) {
			known := facts.Secrets[reference.Name]
			facts.Secrets[reference.Name] = components.Secret{Keys: append(known.Keys, reference.Keys...), Digest: offlineDigest}
		}
	}
	prepared, err := controllers.Render(component, facts, nil)
	if err != nil {
		return nil, err
	}
	again := false
	for _, p := range prepared {
		if keys := p.GeneratedKeys(); len(keys) > 0 {
			again = true
			facts.Secrets[p.Object.GetName()] = components.Secret{Keys: keys, Digest: offlineDigest}
		}
		if p.Object.GroupVersionKind().GroupKind() == kinds.Job.GroupKind {
			again = true
			facts.Live = append(facts.Live, succeeded(p.Object))
		}
	}
	if !again {
		return prepared, nil
	}
	return controllers.Render(component, facts, nil)
}

// succeeded is a Job that is done.
func succeeded(job *unstructured.Unstructured) *unstructured.Unstructured {
	done := job.DeepCopy()
	done.Object["status"] = map[string]any{"conditions": []any{
		map[string]any{"type": string(batchv1.JobComplete), "status": string(metav1.ConditionTrue)},
	}}
	return done
}

func writeObject(out *bytes.Buffer, p apply.Prepared) error {
	if p.Data {
		out.WriteString("# Holds data: it stays under deletionPolicy Retain.\n")
	}
	if p.Subresource != "" {
		_, _ = fmt.Fprintf(out, "# Applied to the subresource %s, after the object itself.\n", p.Subresource)
	}
	for _, random := range p.Generate {
		_, _ = fmt.Fprintf(out, "# data.%s is generated in the cluster, once: %d random bytes in hexadecimal.\n", random.Key, random.Bytes)
	}
	for _, c := range p.Copies {
		_, _ = fmt.Fprintf(out, "# data.%s is copied in the cluster: %s of Secret %s.\n", c.Key, c.From, c.Secret)
	}
	if p.Certificate != nil {
		_, _ = fmt.Fprintf(out, "# data is generated in the cluster, once: a certificate for %s, its key and its authority.\n",
			strings.Join(p.Certificate.DNSNames, ", "))
		// An API server refuses the type without these keys, even in the dry run of kubectl diff.
		_, _ = fmt.Fprintf(out, "# type %s is set with them.\n", p.Object.Object["type"])
		delete(p.Object.Object, "type")
	}
	content, err := yaml.Marshal(p.Object.Object)
	if err != nil {
		return fmt.Errorf("writing %s: %w", p, err)
	}
	out.Write(content)
	return nil
}
