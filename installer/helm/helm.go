// Package helm fetches and renders the charts of third-party operators, as `helm template` would. It writes nothing to the
// cluster: what it renders is applied, repaired and removed like every other object of this project.
package helm

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	charts "helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/dependencies"
)

// Client gets charts from where they are.
type Client struct {
	// RegistryConfig is a file with the credentials of repositories, as docker login writes it; programs that it names are
	// not run. It is read for each chart that is fetched, so a new password is noticed. May be empty.
	RegistryConfig string
	// CAFile has authorities, in PEM, that repositories may have their certificates from besides those that the system trusts. It is read
	// for each chart that is fetched. May be empty.
	CAFile string
	// UserAgent that the repositories see.
	UserAgent string
	// Images are what an administrator puts in the places of the images in charts.
	Images images.Table
}

// Rendered is a chart with its values.
type Rendered struct {
	// Version of the chart, and of the application in it, which may be empty.
	Version, AppVersion string
	// CRDs from the crds folders and from the templates.
	CRDs []*unstructured.Unstructured
	// Objects in Helm's install order, without the CRDs and without hooks that only run when something is removed, rolled back
	// or tested.
	Objects []*unstructured.Unstructured
}

// Render fetches a chart and renders it for a namespace of a cluster with these capabilities. Templates that look into the cluster
// find nothing there. A chart that cannot be used as it is gives a terminal failure, one that cannot be fetched a failure that
// may go away.
func (c *Client) Render(ctx context.Context, wanted dependencies.Chart, namespace string, capabilities *common.Capabilities) (Rendered, error) {
	loaded, err := c.fetch(ctx, wanted)
	if err != nil {
		return Rendered{}, err
	}
	rendered, err := render(loaded, wanted, namespace, capabilities)
	if err != nil {
		return Rendered{}, invalid(wanted, err)
	}
	for _, object := range rendered.Objects {
		c.Images.ReplaceCaused(object.Object)
	}
	return rendered, nil
}

func render(loaded *chart.Chart, wanted dependencies.Chart, namespace string, capabilities *common.Capabilities) (Rendered, error) {
	values, err := valuesOf(wanted)
	if err != nil {
		return Rendered{}, err
	}
	if required := loaded.Metadata.KubeVersion; required != "" && !chartutil.IsCompatibleRange(required, capabilities.KubeVersion.String()) {
		return Rendered{}, fmt.Errorf("it requires Kubernetes %s, and this cluster is of version %s", required, capabilities.KubeVersion.Version)
	}
	if err := chartutil.ProcessDependencies(loaded, values); err != nil {
		return Rendered{}, err
	}
	rendered := Rendered{Version: loaded.Metadata.Version, AppVersion: loaded.AppVersion()}
	if rendered.CRDs, err = crdFolders(loaded); err != nil {
		return Rendered{}, err
	}
	files, err := renderFiles(loaded, values, common.ReleaseOptions{Name: wanted.Release, Namespace: namespace, IsInstall: true, Revision: 1},
		withKinds(capabilities, rendered.CRDs))
	if err != nil {
		return Rendered{}, err
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return Rendered{}, err
	}
	for _, hook := range hooks {
		if !runsOnInstall(hook) {
			continue
		}
		if hook.Kind == "Job" || hook.Kind == "Pod" {
			return Rendered{}, fmt.Errorf("it has a hook, %s %s of %s, and hooks are not run; turn it off with the chart's values", hook.Kind, hook.Name, hook.Path)
		}
		manifests = append(manifests, releaseutil.Manifest{Name: hook.Path, Content: hook.Manifest}) // it only had to come early
	}
	for _, manifest := range manifests {
		objects, err := decode(strings.NewReader(manifest.Content))
		if err != nil {
			return Rendered{}, fmt.Errorf("template %s: %w", manifest.Name, err)
		}
		for _, object := range objects {
			if isCRD(object) {
				rendered.CRDs = append(rendered.CRDs, object)
			} else {
				rendered.Objects = append(rendered.Objects, clean(object))
			}
		}
	}
	slices.SortStableFunc(rendered.Objects, func(a, b *unstructured.Unstructured) int { return cmp.Compare(InstallOrder(a), InstallOrder(b)) })
	return rendered, nil
}

// runsOnInstall is whether a hook runs when a chart is installed or upgraded. The others guard removals, and whatever they look
// for, what the installer deletes is gone in an order that it knows.
func runsOnInstall(hook *release.Hook) bool {
	return slices.ContainsFunc(hook.Events, func(event release.HookEvent) bool {
		return slices.Contains([]release.HookEvent{
			release.HookPreInstall, release.HookPostInstall, release.HookPreUpgrade, release.HookPostUpgrade,
		}, event)
	})
}

func renderFiles(loaded *chart.Chart, values map[string]any, options common.ReleaseOptions, capabilities *common.Capabilities) (map[string]string, error) {
	top, err := util.ToRenderValues(loaded, values, options, capabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{}.RenderWithContext(context.Background(), loaded, top)
	if err != nil {
		return nil, err
	}
	for name := range files {
		if path.Base(name) == "NOTES.txt" {
			delete(files, name)
		}
	}
	return files, nil
}

// withKinds adds the kinds that the chart's own CRDs define: they are applied before its objects.
func withKinds(capabilities *common.Capabilities, definitions []*unstructured.Unstructured) *common.Capabilities {
	all := capabilities.Copy()
	for _, object := range definitions {
		var crd apiextensionsv1.CustomResourceDefinition
		if runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &crd) != nil {
			continue // the API server says what is wrong with it
		}
		for _, version := range crd.Spec.Versions {
			name := crd.Spec.Group + "/" + version.Name
			all.APIVersions = append(all.APIVersions, name, name+"/"+crd.Spec.Names.Kind)
		}
	}
	return all
}

// crdFolders are the CRDs in the crds folders of a chart and of those of its subcharts that the values enable.
func crdFolders(loaded *chart.Chart) ([]*unstructured.Unstructured, error) {
	var definitions []*unstructured.Unstructured
	for _, file := range loaded.CRDObjects() {
		objects, err := decode(strings.NewReader(string(file.File.Data)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Filename, err)
		}
		for _, object := range objects {
			if !isCRD(object) {
				return nil, fmt.Errorf("%s holds a %s, and only CustomResourceDefinitions belong there", file.Filename, object.GetKind())
			}
			definitions = append(definitions, object)
		}
	}
	return definitions, nil
}

// required checks that a chart can be installed, and has all subcharts that it names.
func required(wanted dependencies.Chart, loaded *chart.Chart, check func(charts.Charter, []charts.Dependency) error) error {
	meta := loaded.Metadata
	if meta.Version != wanted.Version {
		return dependencies.Blocked(v1alpha1.ReasonChartInvalid,
			"the chart at %s is of version %s, not %s: put the right chart there, or the right version into the installer's configuration",
			withoutPassword(wanted.Chart), meta.Version, wanted.Version)
	}
	if meta.Type != "" && meta.Type != "application" {
		return invalid(wanted, fmt.Errorf("it is a %s chart, and only application charts can be installed", meta.Type))
	}
	needed := make([]charts.Dependency, 0, len(meta.Dependencies))
	for _, dependency := range meta.Dependencies {
		needed = append(needed, dependency)
	}
	if err := check(loaded, needed); err != nil {
		return invalid(wanted, err)
	}
	return nil
}
