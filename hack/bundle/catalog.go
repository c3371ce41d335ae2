package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	semver "github.com/blang/semver/v4"
	operatorsv1alpha1 "github.com/operator-framework/api/pkg/operators/v1alpha1"
	"github.com/operator-framework/operator-registry/alpha/declcfg"
	"github.com/operator-framework/operator-registry/alpha/property"
)

// catalogFolder holds the package as a file-based catalogue has it. What it holds of earlier versions is kept: it is the memory of which
// version follows which.
const catalogFolder = "catalog/" + packageName

const catalogFile = "catalog.yaml"

// readCatalog reads what a folder holds. There may be none yet.
func readCatalog(folder string) (*declcfg.DeclarativeConfig, error) {
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		return &declcfg.DeclarativeConfig{}, nil
	}
	catalog, err := declcfg.LoadFS(context.Background(), os.DirFS(folder))
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	return catalog, nil
}

// release is a version in a catalogue.
type release struct {
	version semver.Version
	bundle  declcfg.Bundle
}

// releasesBefore are the versions in a catalogue without this one, in their order. None may be later.
func releasesBefore(catalog *declcfg.DeclarativeConfig, version semver.Version) ([]release, error) {
	var all []release
	for _, bundle := range catalog.Bundles {
		properties, err := property.Parse(bundle.Properties)
		if err != nil || len(properties.Packages) != 1 {
			return nil, fmt.Errorf("the catalogue does not say the version of %s: %w", bundle.Name, err)
		}
		number, err := semver.Parse(properties.Packages[0].Version)
		switch {
		case err != nil:
			return nil, fmt.Errorf("the catalogue's version of %s: %w", bundle.Name, err)
		case number.GT(version):
			return nil, fmt.Errorf("-version %s: the catalogue already has %s; choose a later one", version, number)
		case number.LT(version):
			all = append(all, release{number, bundle})
		}
	}
	slices.SortFunc(all, func(a, b release) int { return a.version.Compare(b.version) })
	return all, nil
}

// catalogOf is the catalogue of a package: a line of versions, each of which replaces the one before.
func catalogOf(earlier []release, csv *operatorsv1alpha1.ClusterServiceVersion, image string) declcfg.DeclarativeConfig {
	owned := csv.Spec.CustomResourceDefinitions.Owned[0]
	current := declcfg.Bundle{
		Schema: declcfg.SchemaBundle, Package: packageName, Name: csv.Name, Image: image,
		Properties: []property.Property{
			property.MustBuildPackage(packageName, csv.Spec.Version.String()),
			property.MustBuildGVK("opendatahub.io", owned.Version, owned.Kind),
			property.MustBuildCSVMetadata(*csv),
		},
		RelatedImages: []declcfg.RelatedImage{{Image: image}},
	}
	for _, related := range csv.Spec.RelatedImages {
		current.RelatedImages = append(current.RelatedImages, declcfg.RelatedImage{Name: related.Name, Image: related.Image})
	}
	line := declcfg.Channel{Schema: declcfg.SchemaChannel, Package: packageName, Name: channel}
	catalog := declcfg.DeclarativeConfig{Packages: []declcfg.Package{{
		Schema: declcfg.SchemaPackage, Name: packageName, DefaultChannel: channel, Description: csv.Annotations["description"],
	}}}
	for _, before := range earlier {
		catalog.Bundles = append(catalog.Bundles, before.bundle)
	}
	catalog.Bundles = append(catalog.Bundles, current)
	replaces := ""
	for _, bundle := range catalog.Bundles {
		line.Entries = append(line.Entries, declcfg.ChannelEntry{Name: bundle.Name, Replaces: replaces})
		replaces = bundle.Name
	}
	catalog.Channels = []declcfg.Channel{line}
	return catalog
}

// writeCatalog checks a catalogue as opm validate does, and writes it.
func writeCatalog(folder string, catalog declcfg.DeclarativeConfig) error {
	if _, err := declcfg.ConvertToModel(catalog); err != nil {
		return fmt.Errorf("the catalogue is not valid: %w", err)
	}
	var text bytes.Buffer
	if err := declcfg.WriteYAML(catalog, &text); err != nil {
		return fmt.Errorf("writing the catalogue: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, catalogFile), text.Bytes(), 0o644)
}

// dockerfile makes the image of the bundle, whose labels say what metadata/annotations.yaml says.
func dockerfile(labels map[string]string) []byte {
	var text bytes.Buffer
	text.WriteString("# Generated: make bundle. The image of the bundle, for a catalogue.\nFROM scratch\n")
	var names []string
	for name := range labels {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&text, "LABEL %s=%s\n", name, labels[name])
	}
	text.WriteString("COPY bundle/manifests /manifests/\nCOPY bundle/metadata /metadata/\nCOPY bundle/tests/scorecard /tests/scorecard/\n")
	return text.Bytes()
}
