package components

// Scrape is an endpoint with metrics in the format of Prometheus. It is declared by whoever has it, whether somebody collects metrics
// or not; network policies must let Prometheus in.
type Scrape struct {
	// Component that declared it; NewFacts fills it in.
	Component string
	// Name tells the endpoints of a component apart: "hub".
	Name string
	// Pods that have it, by their labels: in the platform's namespace, or Elsewhere.
	Pods map[string]string
	// Elsewhere is where the Pods are that are not in the platform's namespace. Nil: they are there.
	Elsewhere *Elsewhere
	// Port of the Pods, by the name that their container gives it.
	Port string
	// Path of the metrics. Empty: /metrics.
	Path string
	// TLS that the endpoint speaks. Nil: none.
	TLS *ScrapeTLS
	// Login that the endpoint asks for. Nil: none.
	Login *ScrapeLogin
	// Labels of the Pods that their metrics get. Prometheus has underscores in place of other characters of their names.
	Labels []string
	// Drop is a regular expression of metrics that nobody reads and that are too many to keep.
	Drop string
}

// Elsewhere is where a third-party operator runs Pods with metrics of the whole cluster. A platform gets those that name its namespace in
// the label namespace, and no others. DNS says where the Pods are, so Prometheus needs no right in their namespace.
type Elsewhere struct {
	// Namespaces in one of which the Pods are.
	Namespaces []string
	// Service without an address of its own, beside the Pods: its name stands for the addresses of all of them.
	Service string
	// Port of the Pods, which DNS does not tell.
	Port int32
}

// ScrapeTLS is how the certificate of an endpoint is checked.
type ScrapeTLS struct {
	// Authority that signed it. The zero value: a public one.
	Authority CertificateAuthority
	// ServerName that it is valid for.
	ServerName string
}

// ScrapeLogin is a login of an endpoint. Its secret is in a Secret in the platform's namespace.
type ScrapeLogin struct {
	// User of HTTP Basic authentication. Empty: the secret is a bearer token.
	User string
	// Secret and Key hold the password or the token.
	Secret, Key string
}

// AlertRules is a file of rules as Prometheus reads it, of the component's own folder. The text $namespace in it stands for the
// platform's namespace: every query selects by it, because a Prometheus may watch several platforms.
//
// Each alert has the label severity, which is critical (somebody must act now), warning (in working hours) or info, and the annotations
// summary and description, what is wrong and what to do.
type AlertRules struct {
	// Component that declared them; NewFacts fills it in.
	Component string
	// Content of the file, which nobody may change.
	Content []byte
}

// Dashboard is a dashboard as Grafana reads it, in JSON, of the component's own folder. It finds the data source in the variable
// datasource and the platform's namespace in the variable namespace.
type Dashboard struct {
	// Component that declared it; NewFacts fills it in.
	Component string
	// Name tells the dashboards of a component apart: "brokers". Empty: it has only one.
	Name string
	// Content of the file, which nobody may change.
	Content []byte
}
