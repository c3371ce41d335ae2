package helm

import (
	"bytes"
	"context"
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
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/registry"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

func isHTTP(reference string) bool {
	return strings.HasPrefix(reference, "https://") || strings.HasPrefix(reference, "http://")
}

func isLocal(reference string) bool { return !isHTTP(reference) && !registry.IsOCI(reference) }

// fetch gets a chart from where it is, and checks that it is the one that was asked for.
func (c *Client) fetch(ctx context.Context, wanted dependencies.Chart) (*chart.Chart, error) {
	open := openLocal
	if !isLocal(wanted.Chart) {
		open = func(wanted dependencies.Chart) (*chart.Chart, error) {
			archive, err := c.download(ctx, wanted)
			if err != nil {
				return nil, err
			}
			return load(wanted, archive)
		}
	}
	loaded, err := open(wanted)
	if err != nil {
		return nil, err
	}
	return loaded, required(wanted, loaded, action.CheckDependencies)
}

func load(c dependencies.Chart, archive []byte) (*chart.Chart, error) {
	loaded, err := chartloader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil, invalid(c, err)
	}
	return loaded, nil
}

// openLocal opens a chart on disk. A folder has no digest.
func openLocal(c dependencies.Chart) (*chart.Chart, error) {
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
		loaded, err := chartloader.LoadDir(c.Chart)
		if err != nil {
			return nil, invalid(c, err)
		}
		return loaded, nil
	}
	archive, err := os.ReadFile(c.Chart)
	if err != nil {
		return nil, invalid(c, err)
	}
	if err := checkDigest(c, archive, c.Digest, "the installer's configuration"); err != nil {
		return nil, err
	}
	return load(c, archive)
}

// localContent is a hash of a local chart, so that one that changed under its version is noticed. Others have none: that
// would mean fetching them.
func localContent(c dependencies.Chart) (string, error) {
	if !isLocal(c.Chart) {
		return "", nil
	}
	loaded, err := openLocal(c)
	if err != nil {
		return "", err
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

// Request is a hash of a chart with its values and the table of images, short enough for a label. Of a local chart the content counts, too.
func (c *Client) Request(wanted dependencies.Chart) (string, error) {
	content, err := localContent(wanted)
	if err != nil {
		return "", err
	}
	all := []any{wanted.Chart, wanted.Version, normalDigest(wanted.Digest), wanted.Values, content}
	if !c.Images.Empty() {
		all = append(all, c.Images)
	}
	request, err := json.Marshal(all)
	if err != nil {
		return "", invalid(wanted, err)
	}
	sum := sha256.Sum256(request)
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
