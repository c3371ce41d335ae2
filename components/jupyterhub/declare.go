package jupyterhub

import (
	_ "embed"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed dashboard.json
	dashboard []byte
)

// Declare implements components.WithDeclarations: a database, the login, and the metrics of the hub, which asks for a token, and of the
// proxy.
func (component) Declare(facts components.Facts) components.Declarations {
	app := native.NewApp(facts, name)
	return components.Declarations{
		Databases:    databaseOf(specOf(facts)).Claims(facts.Platform),
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
	}
}

// loginClients are none while spec.ingress or spec.authentication cannot be: Render says why.
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
