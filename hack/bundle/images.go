package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	operatorsv1alpha1 "github.com/operator-framework/api/pkg/operators/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const variablePrefix = "RELATED_IMAGE_"

// digestsFile is a table of images as the operator's flag --images takes it.
type digestsFile struct {
	Images map[string]string `json:"images"`
}

// readDigests reads which images have which digests. Without a file none is known.
func readDigests(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("-digests: %w", err)
	}
	var read digestsFile
	if err := yaml.UnmarshalStrict(content, &read); err != nil {
		return nil, fmt.Errorf("-digests %s: %w", file, err)
	}
	var problems []error
	for _, image := range slices.Sorted(maps.Keys(read.Images)) {
		if digest := read.Images[image]; repositoryOf(digest) != repositoryOf(image) || !isPinned(digest) {
			problems = append(problems, fmt.Errorf("-digests %s: %s must be %s@sha256:<64 hexadecimal digits>, not %s", file, image, repositoryOf(image), digest))
		}
	}
	return read.Images, errors.Join(problems...)
}

// repositoryOf is an image without its tag and digest.
func repositoryOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

func isPinned(image string) bool {
	_, digest, ok := strings.Cut(image, "@sha256:")
	return ok && len(digest) == 64 && strings.Trim(digest, "0123456789abcdef") == ""
}

// relatedImages are the operator's own, first, and those that it deploys, by digest where it is known.
func (c *configuration) relatedImages(operator, mustGather string) ([]operatorsv1alpha1.RelatedImage, error) {
	all := []operatorsv1alpha1.RelatedImage{{Name: "manager", Image: operator}, {Name: "must-gather", Image: mustGather}}
	for _, variable := range slices.Sorted(maps.Keys(c.images)) {
		name, ok := strings.CutPrefix(variable, variablePrefix)
		if !ok {
			return nil, fmt.Errorf("images.yaml: %s does not begin with %s", variable, variablePrefix)
		}
		all = append(all, operatorsv1alpha1.RelatedImage{Name: strings.ToLower(strings.ReplaceAll(name, "_", "-")), Image: c.images[variable]})
	}
	used := map[string]bool{}
	for i, image := range all {
		if digest, ok := c.digests[image.Image]; ok {
			all[i].Image, used[image.Image] = digest, true
		}
	}
	for _, image := range slices.Sorted(maps.Keys(c.digests)) {
		if !used[image] {
			return nil, fmt.Errorf("-digests: the operator deploys no %s; those that it deploys are in config/manifests/images.yaml", image)
		}
	}
	return all, nil
}

// variables are the images for the manager, which puts them in the places of those that it would deploy.
func variables(related []operatorsv1alpha1.RelatedImage) []corev1.EnvVar {
	var all []corev1.EnvVar
	for _, image := range related[2:] {
		all = append(all, corev1.EnvVar{Name: variablePrefix + strings.ToUpper(strings.ReplaceAll(image.Name, "-", "_")), Value: image.Image})
	}
	return all
}

// pinned is whether all images have a digest: mirrors of clusters without the internet answer for digests only.
func pinned(related []operatorsv1alpha1.RelatedImage) bool {
	return !slices.ContainsFunc(related, func(image operatorsv1alpha1.RelatedImage) bool { return !isPinned(image.Image) })
}
