package helm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"helm.sh/helm/v4/pkg/registry"
	"helm.sh/helm/v4/pkg/repo/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/dependencies"
)

const (
	// downloadTimeout bounds how long one chart may take to arrive.
	downloadTimeout = 2 * time.Minute
	connectTimeout  = 10 * time.Second
	answerTimeout   = 30 * time.Second
	// maxDownload bounds its size, and that of a repository's index. Helm does not load larger charts either.
	maxDownload = 100 << 20
)

// download gets the archive of a chart from its repository.
func (c *Client) download(parent context.Context, wanted dependencies.Chart) ([]byte, error) {
	ctx, cancel := context.WithTimeout(parent, downloadTimeout)
	defer cancel()
	trusted, err := c.trusted()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		TLSClientConfig:       trusted,
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: answerTimeout,
		DisableCompression:    true, // some servers say of archives that they are compressed in transit
		ForceAttemptHTTP2:     true,
	}
	defer transport.CloseIdleConnections()
	d := &downloader{ctx: ctx, chart: wanted, client: &http.Client{Transport: transport}, userAgent: c.UserAgent}
	if c.RegistryConfig != "" {
		store, err := credentials.NewFileStore(c.RegistryConfig)
		if err != nil {
			return nil, fmt.Errorf("reading the credentials of repositories: %w", err)
		}
		d.credentials = store
	}
	archive, err := d.get()
	if err != nil && parent.Err() != nil {
		return nil, fmt.Errorf("fetching %s: %w", nameOf(wanted), parent.Err())
	}
	return archive, err
}

// trusted is whom to trust, or nil: those that the system does.
func (c *Client) trusted() (*tls.Config, error) {
	if c.CAFile == "" {
		return nil, nil //nolint:nilnil // the default
	}
	content, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of repositories: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of the system: %w", err)
	}
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("reading the authorities of repositories: %s has no certificate in PEM", c.CAFile)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

type downloader struct {
	ctx         context.Context
	chart       dependencies.Chart
	client      *http.Client
	userAgent   string
	credentials credentials.Store
}

func (d *downloader) get() ([]byte, error) {
	if registry.IsOCI(d.chart.Chart) {
		return d.pull(strings.TrimPrefix(d.chart.Chart, registry.OCIScheme+"://"), d.chart.Version)
	}
	archive, digest, err := d.fromRepository()
	if err != nil {
		return nil, err
	}
	if err := checkDigest(d.chart, archive, digest, "the repository's index"); err != nil {
		return nil, err
	}
	return archive, checkDigest(d.chart, archive, d.chart.Digest, "the installer's configuration")
}

// index is what matters of a repository's index.yaml.
type index struct {
	Entries map[string][]struct {
		Version string   `json:"version"`
		URLs    []string `json:"urls"`
		Digest  string   `json:"digest"`
	} `json:"entries"`
}

// fromRepository gets the archive from an HTTP repository, and what its index says of the digest.
func (d *downloader) fromRepository() (archive []byte, digest string, err error) {
	location, err := url.Parse(d.chart.Chart)
	if err != nil {
		return nil, "", invalid(d.chart, err)
	}
	name := path.Base(location.Path)
	location.Path, location.RawPath = path.Dir(location.Path), ""
	repository := location.String()
	indexURL, err := repo.ResolveReferenceURL(repository, "index.yaml")
	if err != nil {
		return nil, "", invalid(d.chart, err)
	}
	content, err := d.fetch(indexURL)
	if err != nil {
		return nil, "", err
	}
	var found index
	if err := yaml.Unmarshal(content, &found); err != nil {
		return nil, "", dependencies.Failed(v1alpha1.ReasonChartNotFound, "%s is not the index of a chart repository: %s",
			withoutPassword(indexURL), oneLine(err.Error()))
	}
	versions, ok := found.Entries[name]
	if !ok {
		return nil, "", dependencies.Failed(v1alpha1.ReasonChartNotFound, "repository %s has no chart %s", withoutPassword(repository), name)
	}
	for _, version := range versions {
		if version.Version != d.chart.Version || len(version.URLs) == 0 {
			continue
		}
		if reference, ok := strings.CutPrefix(version.URLs[0], registry.OCIScheme+"://"); ok {
			archive, err = d.pull(strings.TrimSuffix(reference, ":"+d.chart.Version), d.chart.Version)
			return archive, version.Digest, err
		}
		archiveURL, err := repo.ResolveReferenceURL(repository, version.URLs[0])
		if err != nil {
			return nil, "", invalid(d.chart, err)
		}
		archive, err = d.fetch(archiveURL)
		return archive, version.Digest, err
	}
	return nil, "", dependencies.Failed(v1alpha1.ReasonChartNotFound, "repository %s has chart %s, but not in version %s",
		withoutPassword(repository), name, d.chart.Version)
}

// fetch gets a file from an HTTP server.
func (d *downloader) fetch(address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(d.ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, invalid(d.chart, err)
	}
	if d.userAgent != "" {
		request.Header.Set("User-Agent", d.userAgent)
	}
	credential, err := d.credential(d.ctx, request.URL.Host)
	if err != nil {
		return nil, err
	}
	if credential.Username != "" && request.URL.User == nil {
		request.SetBasicAuth(credential.Username, credential.Password)
	}
	response, err := d.client.Do(request)
	if err != nil {
		return nil, d.unavailable(request.URL.Host, err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	if response.StatusCode != http.StatusOK {
		return nil, d.answered(request.URL.Host, address, response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxDownload+1))
	switch {
	case err != nil:
		return nil, d.unavailable(request.URL.Host, err)
	case len(data) > maxDownload:
		return nil, invalid(d.chart, fmt.Errorf("%s is larger than %d MiB", withoutPassword(address), maxDownload>>20))
	}
	return data, nil
}

func (d *downloader) credential(ctx context.Context, host string) (auth.Credential, error) {
	if d.credentials == nil {
		return auth.EmptyCredential, nil
	}
	credential, err := d.credentials.Get(ctx, credentials.ServerAddressFromHostname(host))
	if err != nil {
		return credential, fmt.Errorf("reading the credentials of %s: %w", host, err)
	}
	return credential, nil
}

// pull gets the archive from an OCI registry. A chart with another digest than the one asked for is not downloaded.
func (d *downloader) pull(reference, version string) ([]byte, error) {
	repository, err := remote.NewRepository(reference)
	if err != nil {
		return nil, invalid(d.chart, err)
	}
	client := &auth.Client{Client: d.client, Cache: auth.NewCache(), Credential: d.credential}
	if d.userAgent != "" {
		client.SetUserAgent(d.userAgent)
	}
	repository.Client, repository.PlainHTTP = client, d.chart.PlainHTTP

	// Tags cannot have a plus.
	described, body, err := repository.FetchReference(d.ctx, strings.ReplaceAll(version, "+", "_"))
	if err != nil {
		return nil, d.notPulled(repository, err)
	}
	layer, err := chartLayer(body, described)
	if err != nil {
		return nil, d.notPulled(repository, err)
	}
	if layer == nil {
		return nil, invalid(d.chart, errors.New("it is something else than a Helm chart"))
	}
	if err := compareDigests(d.chart, layer.Digest.String(), d.chart.Digest, "the installer's configuration"); err != nil {
		return nil, err
	}
	if layer.Size > maxDownload {
		return nil, invalid(d.chart, fmt.Errorf("it is larger than %d MiB", maxDownload>>20))
	}
	blob, err := repository.Fetch(d.ctx, *layer)
	if err != nil {
		return nil, d.notPulled(repository, err)
	}
	defer blob.Close() //nolint:errcheck // only read
	archive, err := content.ReadAll(blob, *layer)
	if err != nil {
		return nil, d.notPulled(repository, err)
	}
	return archive, nil
}

// chartLayer reads a manifest; nil when it is not that of a chart.
func chartLayer(body io.ReadCloser, described ocispec.Descriptor) (*ocispec.Descriptor, error) {
	defer body.Close() //nolint:errcheck // only read
	data, err := content.ReadAll(body, described)
	if err != nil {
		return nil, err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(data, &manifest); err != nil {
		return nil, err
	}
	n := slices.IndexFunc(manifest.Layers, func(layer ocispec.Descriptor) bool {
		return layer.MediaType == registry.ChartLayerMediaType || layer.MediaType == registry.LegacyChartLayerMediaType
	})
	if n < 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	return &manifest.Layers[n], nil
}

func (d *downloader) notPulled(repository *remote.Repository, err error) error {
	var answer *errcode.ErrorResponse
	host := repository.Reference.Host()
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return d.answered(host, "", http.StatusNotFound)
	case errors.As(err, &answer):
		return d.answered(host, "", answer.StatusCode)
	}
	return d.unavailable(host, err)
}

// answered is for a host that answers with an error. address is what was asked for, if it is not the chart itself.
func (d *downloader) answered(host, address string, status int) error {
	what := nameOf(d.chart)
	if address != "" {
		what = fmt.Sprintf("%s, for %s", withoutPassword(address), what)
	}
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return dependencies.Failed(v1alpha1.ReasonChartNotFound, "%s does not have %s (%s)", host, what, text)
	case http.StatusUnauthorized, http.StatusForbidden:
		return dependencies.Failed(v1alpha1.ReasonRegistryUnavailable,
			"%s refuses to give %s (%s): check that it exists there, and the credentials in the installer's --registry-config", host, what, text)
	}
	return dependencies.Failed(v1alpha1.ReasonRegistryUnavailable, "%s cannot give %s at the moment (%s)", host, what, text)
}

// unavailable is for a host that does not answer.
func (d *downloader) unavailable(host string, err error) error {
	return dependencies.Failed(v1alpha1.ReasonRegistryUnavailable, "%s cannot be reached to fetch %s: %s", host, nameOf(d.chart), cause(err))
}

// cause is an error of the network without what differs from one attempt to the next.
func cause(err error) string {
	var certificate x509.CertificateInvalidError
	var handshake *tls.CertificateVerificationError
	var lookup *net.DNSError
	var operation *net.OpError
	var location *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "it does not answer in time"
	case errors.As(err, &certificate) && certificate.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet"
	case errors.As(err, &handshake):
		return handshake.Err.Error()
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "its name is not known"
	case errors.As(err, &lookup):
		return "its name cannot be looked up"
	case errors.As(err, &operation):
		return operation.Err.Error() // without the port at this end
	case errors.As(err, &location):
		return location.Err.Error()
	}
	return oneLine(err.Error())
}
