// Package prometheus asks a Prometheus what the dashboards of components ask it.
package prometheus

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

// Connect returns a client of the Prometheus at an address, over TLS, as Grafana has one: it is asked under the name of its Service, which
// must be in a certificate that the authority, in PEM, has signed.
func Connect(address, service string, authority []byte) (promv1.API, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client, err := api.NewClient(api.Config{Address: "https://" + address, RoundTripper: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: service, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}})
	if err != nil {
		return nil, err
	}
	return promv1.NewAPI(client), nil
}

// Dashboard has the fields of Grafana's JSON that tests read.
type Dashboard struct {
	Title  string  `json:"title"`
	Panels []Panel `json:"panels"`
}

// Panel of a [Dashboard].
type Panel struct {
	Type        string         `json:"type"`
	Title       string         `json:"title"`
	GridPos     map[string]int `json:"gridPos"`
	FieldConfig struct {
		Defaults json.RawMessage `json:"defaults"`
	} `json:"fieldConfig"`
	Transformations []struct {
		Options struct {
			ExcludeByName map[string]bool `json:"excludeByName"`
		} `json:"options"`
	} `json:"transformations"`
	Targets []Target `json:"targets"`
}

// Target is what a [Panel] asks.
type Target struct {
	Expr   string `json:"expr"`
	Legend string `json:"legendFormat"`
}

// Query is what Grafana asks about the platforms of a namespace.
func (t Target) Query(namespace string) string {
	return strings.NewReplacer("$namespace", namespace, "$__rate_interval", "1m").Replace(t.Expr)
}

// ReadDashboard reads one of a component, by its file below the folder components of the checkout.
func ReadDashboard(root, file string) (Dashboard, error) {
	content, err := os.ReadFile(filepath.Join(root, "components", file))
	if err != nil {
		return Dashboard{}, err
	}
	var read Dashboard
	err = json.Unmarshal(content, &read)
	return read, err
}
