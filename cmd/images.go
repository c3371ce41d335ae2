package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"helm.sh/helm/v4/pkg/chart/common"
	utilversion "k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/dependencies"
	"opendatahub.io/operator/installer/helm"
)

// imagesOptions are the flags of the images command.
type imagesOptions struct {
	renderOptions
	config    string
	operators bool
	format    string
	caFile    string
}

// image is a reference, and who brings it.
type image struct {
	Image string `json:"image"`
	// From are components, and third-party operators as the table names them.
	From []string `json:"from"`
}

func imagesCommand(all []components.Component) *cobra.Command {
	var options imagesOptions
	command := &cobra.Command{
		Use:   "images -f hub.yaml",
		Short: "Print the images that OpenDataHub resources need, to copy them to a registry",
		Long: `Print every image that is named by what the operator would apply for OpenDataHub resources, sorted.

With --operators the charts of the third-party operators that they need are fetched and rendered as the installer does, and the images
in them are printed too: those of the operators, and those that the operators are configured to run, such as all versions of Kafka
that Strimzi knows. The charts come from where the table has them; with a mirror, name it in the file of --config.

What no object names is not printed: an image that an operator has in its own program only, and those of operators that come as packages
through the Operator Lifecycle Manager, for which oc-mirror reads the catalogue. With --format imageset these packages are in the
output.

The formats are text (one a line), json (with who brings each), imageset (an ImageSetConfiguration for oc-mirror v2) and skopeo (the file
of skopeo sync --src yaml).`,
		Example: `  opendatahub images -f hub.yaml --operators
  opendatahub images -f hub.yaml --format skopeo > images.yaml
  skopeo sync --src yaml --dest docker images.yaml registry.example.com/mirror
  opendatahub images -f hub.yaml --openshift --ingress-domain apps.example.com --format imageset > imageset.yaml`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.complete(); err != nil {
				return err
			}
			return whole(command, func(out *bytes.Buffer) error {
				return printImages(command.Context(), options, all, command.InOrStdin(), out, command.ErrOrStderr())
			})
		},
	}
	options.addTo(command)
	options.addClusterTo(command)
	flags := command.Flags()
	flags.StringVar(&options.config, "config", "", "file with the installer's configuration, as in key "+dependencies.ConfigKey+" of its ConfigMap")
	flags.BoolVar(&options.operators, "operators", false, "fetch the charts of third-party operators, and print their images too")
	flags.StringVar(&options.caFile, "ca-file", "", caUsage)
	addChoice(command, &options.format, "format", "", "", "text", "json", "imageset", "skopeo")
	return command
}

func printImages(ctx context.Context, options imagesOptions, all []components.Component, stdin io.Reader, out *bytes.Buffer, warn io.Writer) error {
	chosen := operatorTable{openShift: options.cluster.OpenShift, config: options.config}
	table, err := chosen.table()
	if err != nil {
		return err
	}
	found, needed := map[string][]string{}, map[string]bool{}
	failed := options.visit(stdin, func(where string, odh *v1alpha1.OpenDataHub) []error {
		facts := components.NewFacts(odh, options.cluster, all)
		for _, required := range dependencies.Required(table, all, facts) {
			needed[required.Dependency] = true
		}
		var failed []error
		for _, component := range all {
			if state, wanted := components.StateOf(component, facts); !wanted || state == v1alpha1.Unmanaged {
				continue
			}
			prepared, err := renderOffline(component, components.NewFacts(odh, options.cluster, all))
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %s: %w", where, component.Name(), err))
				continue
			}
			for _, p := range prepared {
				collectImages(found, component.Name(), images.Caused(p.Object.Object))
			}
		}
		return append(failed, sayWhatIsNotSupported(all, odh, "OpenDataHub "+odh.Namespace+"/"+odh.Name, warn)...)
	})
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	var packages []dependencies.Package
	for _, dependency := range table {
		if !needed[dependency.Name] {
			continue
		}
		throughOLM := len(dependencies.Manifests(dependency, options.cluster.OpenShift)) > 0 && (options.cluster.OpenShift || len(dependency.Charts) == 0)
		switch {
		case throughOLM:
			packages = append(packages, dependency.Packages...)
			if options.format != "imageset" {
				_, _ = fmt.Fprintf(warn, "warning: %s comes as package %s, whose images are in its catalogue: use --format imageset\n", dependency.Name, dependency.Packages[0].Name)
			}
		case !options.operators:
			_, _ = fmt.Fprintf(warn, "warning: the images of %s are not among them: add --operators\n", dependency.Name)
		default:
			if err := imagesOfCharts(ctx, found, dependency, options); err != nil {
				return err
			}
		}
	}
	return writeImages(out, options.format, found, packages)
}

// imagesOfCharts renders the charts of an operator as the installer does.
func imagesOfCharts(ctx context.Context, found map[string][]string, dependency dependencies.Dependency, options imagesOptions) error {
	version, err := utilversion.ParseGeneric(options.cluster.KubeVersion)
	if err != nil {
		return err
	}
	capabilities := *common.DefaultCapabilities
	capabilities.KubeVersion = common.KubeVersion{Version: options.cluster.KubeVersion, Major: fmt.Sprint(version.Major()), Minor: fmt.Sprint(version.Minor())}
	client := helm.Client{UserAgent: "opendatahub", Images: options.cluster.Images, CAFile: options.caFile}
	for _, chart := range dependency.Charts {
		rendered, err := client.Render(ctx, chart, dependency.Namespace, &capabilities)
		if err != nil {
			return fmt.Errorf("%s: %w", dependency.Name, err)
		}
		for _, object := range rendered.Objects {
			collectImages(found, dependency.Name, images.Caused(object.Object))
		}
	}
	return nil
}

// collectImages notes who brings these images.
func collectImages(found map[string][]string, from string, names []string) {
	for _, name := range names {
		if !slices.Contains(found[name], from) {
			found[name] = append(found[name], from)
		}
	}
}

func writeImages(out *bytes.Buffer, format string, found map[string][]string, packages []dependencies.Package) error {
	names := slices.Sorted(maps.Keys(found))
	switch format {
	case "json":
		listed := []image{}
		for _, name := range names {
			slices.Sort(found[name])
			listed = append(listed, image{name, found[name]})
		}
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(listed)
	case "imageset":
		return writeYAML(out, imageSet(names, packages))
	case "skopeo":
		return writeYAML(out, skopeo(names))
	default:
		for _, name := range names {
			_, _ = fmt.Fprintln(out, name)
		}
		return nil
	}
}

func writeYAML(out *bytes.Buffer, value any) error {
	content, err := yaml.Marshal(value)
	out.Write(content)
	return err
}

// imageSet is an ImageSetConfiguration of oc-mirror, https://github.com/openshift/oc-mirror.
func imageSet(names []string, packages []dependencies.Package) any {
	images := []map[string]string{}
	for _, name := range names {
		images = append(images, map[string]string{"name": name})
	}
	mirror := map[string]any{"additionalImages": images}
	catalogs := map[string][]map[string]any{}
	for _, offered := range packages {
		if len(offered.Catalogs) > 0 {
			catalog := offered.Catalogs[0].Name
			catalogs[catalog] = append(catalogs[catalog], map[string]any{"name": offered.Name, "channels": []map[string]string{{"name": offered.Channel}}})
		}
	}
	var operators []map[string]any
	for _, catalog := range slices.Sorted(maps.Keys(catalogs)) {
		operators = append(operators, map[string]any{"catalog": indexOf(catalog), "packages": catalogs[catalog]})
	}
	if len(operators) > 0 {
		mirror["operators"] = operators
	}
	return map[string]any{"apiVersion": "mirror.openshift.io/v2alpha1", "kind": "ImageSetConfiguration", "mirror": mirror}
}

// indexOf is the image of a catalogue that clusters have from the start.
func indexOf(catalog string) string {
	switch catalog {
	case "operatorhubio-catalog":
		return "quay.io/operatorhubio/catalog:latest"
	case "community-operators":
		return "registry.redhat.io/redhat/community-operator-index:" + openShiftIndex
	case "certified-operators":
		return "registry.redhat.io/redhat/certified-operator-index:" + openShiftIndex
	default:
		return "registry.redhat.io/redhat/redhat-operator-index:" + openShiftIndex
	}
}

// openShiftIndex is the tag of the catalogues of the oldest OpenShift that the operator is for.
const openShiftIndex = "v4.21"

// skopeo is the file of skopeo sync: by registry, the tags or digests of each repository.
func skopeo(names []string) any {
	type registry struct {
		Images map[string][]string `json:"images"`
	}
	registries := map[string]registry{}
	for _, name := range names {
		host, path, _ := strings.Cut(name, "/")
		repository, version := path, "latest"
		if before, digest, ok := strings.Cut(path, "@"); ok {
			repository, version = before, digest
			if i := strings.LastIndex(repository, ":"); i > 0 {
				repository = repository[:i]
			}
		} else if i := strings.LastIndex(path, ":"); i > 0 {
			repository, version = path[:i], path[i+1:]
		}
		if _, ok := registries[host]; !ok {
			registries[host] = registry{Images: map[string][]string{}}
		}
		registries[host].Images[repository] = append(registries[host].Images[repository], version)
	}
	return registries
}
