package helm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/action"
	charts "helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/registry"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

// loader loads a chart anew each time: Helm changes the charts that it works with.
type loader func() (*chart.Chart, error)

func isHTTP(reference string) bool {
	return strings.HasPrefix(reference, "https://") || strings.HasPrefix(reference, "http://")
}

func isLocal(reference string) bool { return !isHTTP(reference) && !registry.IsOCI(reference) }

// fetch gets a chart from where it is, and checks that it is the one that was asked for.
func (s *session) fetch(c dependencies.Chart) (loader, error) {
	load, err := s.open(c)
	if err != nil {
		return nil, err
	}
	loaded, err := load()
	if err != nil {
		return nil, invalid(c, err)
	}
	meta := loaded.Metadata
	if meta.Version != c.Version {
		return nil, dependencies.Blocked(v1alpha1.ReasonChartInvalid,
			"the chart at %s is of version %s, not %s: put the right chart there, or the right version into the installer's configuration",
			withoutPassword(c.Chart), meta.Version, c.Version)
	}
	if meta.Type != "" && meta.Type != "application" {
		return nil, invalid(c, fmt.Errorf("it is a %s chart, and only application charts can be installed", meta.Type))
	}
	required := make([]charts.Dependency, 0, len(meta.Dependencies))
	for _, dependency := range meta.Dependencies {
		required = append(required, dependency)
	}
	if err := action.CheckDependencies(loaded, required); err != nil {
		return nil, invalid(c, err)
	}
	return load, nil
}

// open gets the archive or the folder, and checks the archive's digest.
func (s *session) open(c dependencies.Chart) (loader, error) {
	if isLocal(c.Chart) {
		return openLocal(c)
	}
	archive, err := s.download(c)
	if err != nil {
		return nil, err
	}
	return fromArchive(archive), nil
}

func fromArchive(archive []byte) loader {
	return func() (*chart.Chart, error) { return chartloader.LoadArchive(bytes.NewReader(archive)) }
}

// openLocal opens a chart on disk. A folder has no digest.
func openLocal(c dependencies.Chart) (loader, error) {
	info, err := os.Stat(c.Chart)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, dependencies.Failed(v1alpha1.ReasonChartNotFound, "there is no chart at %s, on the disk of the installer's Pod", c.Chart)
	}
	if err != nil {
		return nil, invalid(c, err)
	}
	if info.IsDir() {
		if c.Digest != "" {
			return nil, dependencies.Blocked(v1alpha1.ReasonDigestMismatch,
				"the chart at %s is a folder, which has no digest: take the digest out of the installer's configuration, or put an archive there", c.Chart)
		}
		return func() (*chart.Chart, error) { return chartloader.LoadDir(c.Chart) }, nil
	}
	archive, err := os.ReadFile(c.Chart)
	if err != nil {
		return nil, invalid(c, err)
	}
	return fromArchive(archive), checkDigest(c, archive, c.Digest, "the installer's configuration")
}

// localContent is a hash of a local chart, so that one that changed under its version is noticed. Others have none: that
// would mean to fetch them.
func localContent(c dependencies.Chart) (string, error) {
	if !isLocal(c.Chart) {
		return "", nil
	}
	load, err := openLocal(c)
	if err != nil {
		return "", err
	}
	loaded, err := load()
	if err != nil {
		return "", invalid(c, err)
	}
	slices.SortFunc(loaded.Raw, func(a, b *common.File) int { return strings.Compare(a.Name, b.Name) })
	hash := sha256.New()
	for _, file := range loaded.Raw {
		_, _ = fmt.Fprintf(hash, "%s\n%d\n", file.Name, len(file.Data))
		hash.Write(file.Data)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// checkDigest compares an archive with the digest that somebody says it has.
func checkDigest(c dependencies.Chart, archive []byte, digest, source string) error {
	sum := sha256.Sum256(archive)
	return compareDigests(c, hex.EncodeToString(sum[:]), digest, source)
}

func compareDigests(c dependencies.Chart, actual, expected, source string) error {
	if expected = normalDigest(expected); expected == "" || expected == normalDigest(actual) {
		return nil
	}
	return dependencies.Blocked(v1alpha1.ReasonDigestMismatch,
		"%s is not the one that was asked for: its digest is sha256:%s, and %s says sha256:%s; find out who changed it before you change the digest",
		nameOf(c), normalDigest(actual), source, expected)
}

func normalDigest(digest string) string {
	return strings.TrimPrefix(strings.ToLower(strings.TrimSpace(digest)), "sha256:")
}

// enabledDefinitions are the CustomResourceDefinitions in the crds folders of a chart and of those of its subcharts that
// the values enable.
func enabledDefinitions(c dependencies.Chart, load loader) ([]*unstructured.Unstructured, error) {
	loaded, err := load()
	if err != nil {
		return nil, invalid(c, err)
	}
	values, err := valuesOf(c)
	if err != nil {
		return nil, invalid(c, err)
	}
	if err := chartutil.ProcessDependencies(loaded, values); err != nil {
		return nil, invalid(c, err)
	}
	var definitions []*unstructured.Unstructured
	for _, file := range loaded.CRDObjects() {
		objects, err := decode(bytes.NewReader(file.File.Data))
		if err != nil {
			return nil, invalid(c, fmt.Errorf("%s: %w", file.Filename, err))
		}
		for _, object := range objects {
			if !isDefinition(object) {
				return nil, invalid(c, fmt.Errorf("%s holds a %s, and only CustomResourceDefinitions belong there", file.Filename, object.GetKind()))
			}
			definitions = append(definitions, object)
		}
	}
	return definitions, nil
}

// asked is a hash of what the operator asks for of a chart, short enough for a label. A local chart is asked for with its content.
func asked(c dependencies.Chart) (string, error) {
	content, err := localContent(c)
	if err != nil {
		return "", err
	}
	asked, err := json.Marshal([]any{c.Chart, c.Version, normalDigest(c.Digest), c.Values, content})
	if err != nil {
		return "", invalid(c, err)
	}
	sum := sha256.Sum256(asked)
	return hex.EncodeToString(sum[:16]), nil
}

// valuesOf copies the values, which Helm changes, and makes their numbers what they are when Helm reads a file.
func valuesOf(c dependencies.Chart) (map[string]any, error) {
	values := map[string]any{}
	if c.Values == nil {
		return values, nil
	}
	content, err := json.Marshal(c.Values)
	if err != nil {
		return nil, fmt.Errorf("reading values: %w", err)
	}
	if err := json.Unmarshal(content, &values); err != nil {
		return nil, fmt.Errorf("reading values: %w", err)
	}
	return values, nil
}

// withoutPassword is a reference as people may see it.
func withoutPassword(reference string) string {
	location, err := url.Parse(reference)
	if err != nil || location.User == nil {
		return reference
	}
	return location.Redacted()
}
