package olm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

const packagesAPI = "packages.operators.coreos.com"

// manifest is a PackageManifest, of which one may have a megabyte. It is decoded from the answer itself, so that only what is
// declared here is ever built.
type manifest struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Status   struct {
		Catalog          string    `json:"catalogSource"`
		CatalogNamespace string    `json:"catalogSourceNamespace"`
		Channels         []channel `json:"channels"`
	} `json:"status"`
}

type channel struct {
	Name        string `json:"name"`
	CSV         string `json:"currentCSV"`
	Description struct {
		Version      string        `json:"version"`
		InstallModes []installMode `json:"installModes"`
	} `json:"currentCSVDesc"`
}

type installMode struct {
	Type      dependencies.InstallMode `json:"type"`
	Supported bool                     `json:"supported"`
}

func (m manifest) channels() []string {
	names := make([]string, 0, len(m.Status.Channels))
	for _, c := range m.Status.Channels {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

func (c channel) supports(mode dependencies.InstallMode) bool {
	return slices.Contains(c.Description.InstallModes, installMode{Type: mode, Supported: true})
}

// modes are the supported install modes.
func (c channel) modes() []string {
	var names []string
	for _, mode := range c.Description.InstallModes {
		if mode.Supported {
			names = append(names, string(mode.Type))
		}
	}
	slices.Sort(names)
	return names
}

// Labels of PackageManifests.
const (
	catalogLabel          = "catalog"
	catalogNamespaceLabel = "catalog-namespace"
)

// offers lists the catalogues that offer a package to a namespace: those in it, and those that are for all namespaces. The
// namespace need not exist. Only metadata is asked for.
func (o *OLM) offers(ctx context.Context, namespace, name string) ([]dependencies.Catalog, error) {
	manifests, err := o.manifests(ctx, namespace, name, nil, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json")
	if err != nil {
		return nil, err
	}
	var catalogs []dependencies.Catalog
	for _, m := range manifests {
		catalogs = append(catalogs, dependencies.Catalog{Name: m.Metadata.Labels[catalogLabel], Namespace: m.Metadata.Labels[catalogNamespaceLabel]})
	}
	return catalogs, nil
}

// manifest reads what one catalogue says of a package. A GET by name would return that of any catalogue.
func (o *OLM) manifest(ctx context.Context, namespace, name string, catalog dependencies.Catalog) (manifest, error) {
	selector := labels.Set{catalogLabel: catalog.Name, catalogNamespaceLabel: catalog.Namespace}
	manifests, err := o.manifests(ctx, namespace, name, selector, "application/json")
	if err != nil {
		return manifest{}, err
	}
	for _, m := range manifests {
		if m.Status.Catalog == catalog.Name && m.Status.CatalogNamespace == catalog.Namespace {
			return m, nil
		}
	}
	return manifest{}, dependencies.Failed(v1alpha1.ReasonCatalogUnavailable,
		"catalogue %s has withdrawn package %s while it was looked at", nameOf(catalog), name)
}

// manifests lists the PackageManifests of a package that a namespace can use.
func (o *OLM) manifests(ctx context.Context, namespace, name string, selector labels.Set, accept string) ([]manifest, error) {
	request := o.discovery.RESTClient().Get().AbsPath("/apis", packagesAPI, "v1", "namespaces", namespace, "packagemanifests").
		Param("fieldSelector", fields.OneTermEqualSelector("metadata.name", name).String()).
		SetHeader("Accept", accept)
	if len(selector) > 0 {
		request = request.Param("labelSelector", selector.String())
	}
	result := request.Do(ctx)
	if err := result.Error(); err != nil { // that of Raw does not know what the server says
		return nil, packageServerProblem(name, err)
	}
	body, err := result.Raw()
	if err != nil {
		return nil, fmt.Errorf("reading the PackageManifests of %s: %w", name, err)
	}
	var answer struct {
		Items []manifest `json:"items"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("reading the PackageManifests of %s: %w", name, err)
	}
	return slices.DeleteFunc(answer.Items, func(m manifest) bool { return m.Metadata.Name != name }), nil
}

// packageServerProblem tells a package server that does not answer from other errors of the API server.
func packageServerProblem(name string, err error) error {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return fmt.Errorf("listing the PackageManifests of %s: %w", name, err)
	}
	says := quote(err.Error())
	switch code := status.Status().Code; {
	case code == http.StatusNotFound:
		says = "the API is not served"
	case code < http.StatusInternalServerError:
		return fmt.Errorf("listing the PackageManifests of %s: %w", name, err)
	}
	return noPackageServer.of(object{}, "OLM's package server does not answer, so nobody knows which catalogue has package %s: %s", name, says)
}
