package jupyterhub

import (
	_ "embed"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed dashboard.json
	dashboard []byte
	//go:embed guide.yaml
	guide []byte
)

// Declare implements components.WithDeclarations: a database, the login, and the metrics of the hub, which asks for a token, and of the
// proxy.
func (component) Declare(facts components.Facts) components.Declarations {
	app, spec := native.NewApp(facts, name), specOf(facts)
	notebooks := components.Notebooks{Offline: spec.Internet == v1alpha1.Disabled}
	for _, service := range spec.Reachable {
		notebooks.Backends = append(notebooks.Backends, components.Backend{Host: service.Host, Port: service.Port})
	}
	declareOutbound(facts, app, &notebooks)
	return components.Declarations{
		Databases:    databaseOf(spec).Claims(facts.Platform),
		Notebooks:    notebooks,
		LoginClients: loginClients(facts, app),
		Scrapes: []components.Scrape{
			{
				Name: hubPart, Pods: app.Selector(hubPart), Port: "http", Path: "/hub/metrics",
				Login: &components.ScrapeLogin{Secret: app.Object(keysPart), Key: prometheusKey},
			},
			{Name: proxyPart, Pods: app.Selector(proxyPart), Port: "metrics"},
		},
		Alerts:     []components.AlertRules{{Content: alerts}},
		Dashboards: []components.Dashboard{{Content: dashboard}},
		Guides:     []components.Guide{{Content: guide}},
	}
}

// declareOutbound gives notebooks the proxy and the authorities with which pip, conda, git, npm, curl and what else is started in them get
// out of the cluster.
func declareOutbound(facts components.Facts, app native.App, notebooks *components.Notebooks) {
	if !notebooks.Offline {
		notebooks.Environment = append(notebooks.Environment, app.Outbound.Env(app.Object(hubPart))...)
		notebooks.Backends = append(notebooks.Backends, app.Outbound.Backends()...)
	}
	ca := native.TrustedCA(facts)
	if ca.Secret == "" && facts.Cluster.OpenShift && (app.Outbound.Proxied() || facts.Cluster.Proxy.Authorities) {
		ca = app.LoginCA()
	}
	if ca == (components.CertificateAuthority{}) {
		return
	}
	trusted := components.NotebookAuthority{Name: "trusted", CertificateAuthority: ca}
	notebooks.Authorities = append(notebooks.Authorities, trusted)
	for _, variable := range []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"} {
		notebooks.Environment = append(notebooks.Environment, native.Env(variable, trusted.File()))
	}
}

// loginClients returns none while spec.ingress or spec.authentication is invalid: Render says why.
func loginClients(facts components.Facts, app native.App) []components.LoginClient {
	exposure, err := app.Expose(facts)
	if err != nil {
		return nil
	}
	login, err := native.NewLogin(facts, exposure)
	if err != nil {
		return nil
	}
	return login.Clients(callback(app.URL(exposure, web)))
}
