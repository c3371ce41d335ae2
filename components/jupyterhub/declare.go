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
