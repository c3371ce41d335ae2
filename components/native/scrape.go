package native

import "opendatahub.io/operator/components"

// Scrape is the web interface as an endpoint with metrics, at which Prometheus logs in with a program's account.
func (p LoginProxy) Scrape(program string) components.Scrape {
	secret, key := p.Password(program)
	scrape := components.Scrape{
		Name:  p.web.Part,
		Pods:  p.app.Selector(p.web.Part),
		Port:  p.scheme(),
		Login: &components.ScrapeLogin{User: program, Secret: secret, Key: key},
	}
	if p.secure() {
		scrape.TLS = &components.ScrapeTLS{Authority: p.Authority(), ServerName: p.app.Web() + "." + p.app.Platform.Namespace + ".svc"}
	}
	return scrape
}
