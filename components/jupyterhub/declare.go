package jupyterhub

import (
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

// Declare implements components.WithDeclarations: the metrics of the hub, which asks for a token, and of the proxy.
func (component) Declare(facts components.Facts) components.Declarations {
	app := native.NewApp(facts, name)
	return components.Declarations{
		Scrapes: []components.Scrape{
			{
				Name: hubPart, Pods: app.Selector(hubPart), Port: "http", Path: "/hub/metrics",
				Login: &components.ScrapeLogin{Secret: app.Object(keysPart), Key: prometheusKey},
			},
			{Name: proxyPart, Pods: app.Selector(proxyPart), Port: "metrics"},
		},
	}
}
