package monitoring

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	rbac "k8s.io/client-go/applyconfigurations/rbac/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// placeholder stands for the platform's namespace in rules and dashboards.
const placeholder = "$namespace"

var (
	//go:embed alerts.yaml
	alerts []byte
	//go:embed alerts_servers.yaml
	serverAlerts []byte
	//go:embed dashboard.json
	dashboard []byte
	//go:embed guide.yaml
	guide []byte
	//go:embed dashboard_servers.json
	serversDashboard []byte
)

// Declare implements components.WithDeclarations: it collects the metrics of all, and has some itself. The alerts and the dashboard of
// the operator and its installer are here, too: they are no components.
func (component) Declare(facts components.Facts) components.Declarations {
	declarations := components.Declarations{
		Scraped:    true,
		Alerts:     []components.AlertRules{{Content: alerts}},
		Dashboards: []components.Dashboard{{Name: "platform", Content: dashboard}},
		Guides:     []components.Guide{{Content: guide}},
	}
	in, err := newInputs(facts)
	if err != nil {
		return declarations // Render says why
	}
	if g := in.grafana; g != nil {
		declarations.LoginClients = g.login.Clients(g.callback())
	}
	if in.prometheus == nil {
		return declarations
	}
	declarations.Alerts = append(declarations.Alerts, components.AlertRules{Content: serverAlerts})
	declarations.Dashboards = append(declarations.Dashboards, components.Dashboard{Name: "servers", Content: serversDashboard})
	server := func(part string) {
		declarations.Scrapes = append(declarations.Scrapes, components.Scrape{
			Name: part, Pods: in.pods(part), Port: "web",
			TLS: &components.ScrapeTLS{Authority: in.authority(part), ServerName: in.serverName(part)},
		})
	}
	server(prometheusPart)
	if in.alertmanager != nil {
		server(alertmanagerPart)
	}
	return declarations
}

// watchingObjects are the endpoints and rules that components declare.
func watchingObjects(in inputs) []components.Object {
	var objects []components.Object
	if users := usersSecret(in); users != nil {
		objects = append(objects, components.Owned(users))
	}
	for _, scrape := range in.facts.Declared.Scrapes {
		switch {
		case scrape.Elsewhere == nil:
			objects = append(objects, components.Owned(podMonitor(in, scrape)))
		case in.scrapesElsewhere:
			objects = append(objects, components.Owned(scrapeElsewhere(in, scrape)))
		}
	}
	objects = append(objects, processScrapes(in)...)
	numbers := map[string]int{}
	for _, rules := range in.rules {
		numbers[rules.Component]++
		objects = append(objects, components.Owned(prometheusRule(in, rules, numbers[rules.Component])))
	}
	return objects
}

// usersSecret has the names of users: their passwords are in Secrets of the components, and PodMonitors take both from Secrets
// only.
func usersSecret(in inputs) *core.SecretApplyConfiguration {
	users := map[string][]byte{}
	for _, scrape := range in.facts.Declared.Scrapes {
		if scrape.Login != nil && scrape.Login.User != "" {
			users[scrape.Login.User] = []byte(scrape.Login.User)
		}
	}
	if len(users) == 0 {
		return nil
	}
	return in.Secret(prometheusPart, "users").WithData(users)
}

func jobOf(scrape components.Scrape) string {
	return strings.ToLower(scrape.Component) + "-" + scrape.Name
}

func podMonitor(in inputs, scrape components.Scrape) *kinds.Resource[podMonitorSpec] {
	endpoint := podEndpoint{
		Port: scrape.Port, Path: cmp.Or(scrape.Path, "/metrics"), Scheme: "http", Interval: in.interval,
		// The same on every cluster, and short: dashboards and rules select by it.
		Relabelings: []relabeling{
			{Action: "replace", TargetLabel: "job", Replacement: jobOf(scrape)},
		},
	}
	if scrape.TLS != nil {
		endpoint.Scheme = "https"
		endpoint.TLS = &tlsConfig{CA: fileOf(scrape.TLS.Authority), ServerName: scrape.TLS.ServerName}
	}
	switch login := scrape.Login; {
	case login == nil:
	case login.User == "":
		endpoint.Authorization = &authorization{Type: "Bearer", Credentials: keyReference{login.Secret, login.Key}}
	default:
		endpoint.BasicAuth = &basicAuth{
			keyReference{in.Object("users"), login.User}, keyReference{login.Secret, login.Key},
		}
	}
	if scrape.Drop != "" {
		endpoint.MetricRelabelings = []relabeling{{Action: "drop", SourceLabels: []string{"__name__"}, Regex: scrape.Drop}}
	}
	object := kinds.New(PodMonitor.GVK(), in.Platform.Namespace, in.Object(jobOf(scrape)), podMonitorSpec{
		Selector:  meta.LabelSelector().WithMatchLabels(scrape.Pods),
		PodLabels: scrape.Labels,
		Endpoints: []podEndpoint{endpoint},
	})
	object.WithLabels(in.Labels(prometheusPart))
	return object
}

// scrapeElsewhere asks Pods of another namespace, and keeps what is about this one. Their own label namespace says what a metric is about.
// Prometheus calls it exported_namespace, because the target has a label of that name; what is about nobody's Pod does not have it.
func scrapeElsewhere(in inputs, scrape components.Scrape) *kinds.Resource[scrapeConfigSpec] {
	spec := scrapeConfigSpec{
		JobName: jobOf(scrape), Scheme: "HTTP", MetricsPath: cmp.Or(scrape.Path, "/metrics"), ScrapeInterval: in.interval,
		Relabelings: []relabeling{{Action: "replace", TargetLabel: "namespace", Replacement: in.Platform.Namespace}},
		MetricRelabelings: []relabeling{
			{Action: "keep", SourceLabels: []string{"exported_namespace"}, Regex: in.Platform.Namespace},
			{Action: "labeldrop", Regex: "exported_namespace"},
		},
	}
	if scrape.Drop != "" {
		spec.MetricRelabelings = append(spec.MetricRelabelings, relabeling{Action: "drop", SourceLabels: []string{"__name__"}, Regex: scrape.Drop})
	}
	var names []string
	for _, namespace := range scrape.Elsewhere.Namespaces {
		names = append(names, scrape.Elsewhere.Service+"."+namespace+".svc")
	}
	for _, family := range []string{"A", "AAAA"} {
		spec.DNS = append(spec.DNS, dnsConfig{Names: names, Type: family, Port: scrape.Elsewhere.Port})
	}
	object := kinds.New(ScrapeConfig.GVK(), in.Platform.Namespace, in.Object(jobOf(scrape)), spec)
	object.WithLabels(in.Labels(prometheusPart))
	return object
}

// processMetrics is the path of the metrics of this operator and its installer, without those of other platforms.
func (in inputs) processMetrics() string { return "/metrics/" + in.Platform.Namespace }

// processScrapes are this operator and its installer, in their namespace, as far as it is known who signed their certificates: the
// metrics of nobody else must pass for theirs.
func processScrapes(in inputs) []components.Object {
	if in.prometheus == nil {
		return nil
	}
	known := in.facts.Cluster.MetricsAuthorities
	authorities := map[string]string{}
	var objects []components.Object
	for _, process := range []struct{ name, authority string }{{"operator", known.Operator}, {"installer", known.Installer}} {
		if process.authority == "" {
			continue
		}
		authorities[authorityOf(process.name)] = process.authority
		objects = append(objects, components.Owned(processScrape(in, process.name)))
	}
	if len(objects) == 0 {
		return nil
	}
	return append([]components.Object{components.Owned(in.ConfigMap(prometheusPart, processesName).WithData(authorities))}, objects...)
}

// processesName is what the ConfigMap with the authorities of this operator and its installer is called; authorityOf is the key of one.
const processesName = "processes"

func authorityOf(process string) string { return process + ".crt" }

// processScrape is one of them. They answer whoever may read that path.
func processScrape(in inputs, process string) *kinds.Resource[scrapeConfigSpec] {
	server := fmt.Sprintf("opendatahub-%s-metrics.%s.svc", process, in.operatorNamespace)
	object := kinds.New(ScrapeConfig.GVK(), in.Platform.Namespace, in.Object(process), scrapeConfigSpec{
		JobName: "opendatahub-" + process,
		Static: []staticConfig{{
			Targets: []string{server + ":8443"},
			Labels:  map[string]string{"namespace": in.Platform.Namespace}, // for metrics that belong to no platform
		}},
		Scheme: "HTTPS", MetricsPath: in.processMetrics(), HonorLabels: true, ScrapeInterval: in.interval,
		Authorization: &authorization{Type: "Bearer", Credentials: keyReference{in.tokenSecret(), "token"}},
		TLS:           &tlsConfig{CA: &secretOrConfigMap{ConfigMap: &keyReference{in.Object(processesName), authorityOf(process)}}, ServerName: server},
	})
	object.WithLabels(in.Labels(prometheusPart))
	return object
}

// ruleGroups is a file of rules.
type ruleGroups struct {
	Groups []json.RawMessage `json:"groups"`
}

// prometheusRule has a file of rules. That the files can be read is tested.
func prometheusRule(in inputs, rules components.AlertRules, number int) *kinds.Resource[ruleGroups] {
	var groups ruleGroups
	if err := yaml.Unmarshal(in.linked(in.placed(rules.Content)), &groups); err != nil {
		panic(fmt.Sprintf("the rules of %s: %v", rules.Component, err))
	}
	suffix := strings.ToLower(rules.Component)
	if number > 1 {
		suffix = fmt.Sprintf("%s-%d", suffix, number)
	}
	object := kinds.New(PrometheusRule.GVK(), in.Platform.Namespace, in.Object(suffix), groups)
	object.WithLabels(in.Labels(prometheusPart))
	return object
}

// placed puts the platform's namespace in place of the placeholder.
func (in inputs) placed(content []byte) []byte {
	return bytes.ReplaceAll(content, []byte(placeholder), []byte(in.Platform.Namespace))
}

// linked has the rules link to their runbooks. runbook_url is what Prometheus' mixins call that, and what consoles make a link.
func (in inputs) linked(rules []byte) []byte {
	if in.runbooks == "" {
		return rules
	}
	return bytes.ReplaceAll(rules, []byte("runbook: docs/runbooks.md#"), []byte("runbook_url: "+in.runbooks+"#"))
}

func (in inputs) tokenSecret() string { return in.Object(prometheusPart) + "-token" }

// Grants implements components.WithGrants: the manager writes the budgets of the servers, Prometheus finds the Pods of its namespace, and may
// read what the operator and its installer say of its platform.
func (component) Grants(facts components.Facts) []components.Object {
	in, err := newInputs(facts)
	if err != nil {
		return nil // Render says why
	}
	objects := grafanaGrants(in)
	if in.prometheus == nil {
		return objects
	}
	account := in.Object(prometheusPart)
	subject := rbac.Subject().WithKind("ServiceAccount").WithName(account).WithNamespace(in.Platform.Namespace)
	const group = "rbac.authorization.k8s.io"
	reader := in.Platform.Namespace + "." + account
	budgets := in.Object("budgets")
	return append(objects,
		// Also for a single replica: when there are more, the right is there.
		components.Owned(rbac.Role(budgets, in.Platform.Namespace).WithLabels(in.Labels("budgets")).WithRules(
			rbac.PolicyRule().WithAPIGroups("policy").WithResources("poddisruptionbudgets").
				WithResourceNames(in.Object(alertmanagerPart), in.Object(prometheusPart)).WithVerbs("create", "patch"))),
		components.Owned(rbac.RoleBinding(budgets, in.Platform.Namespace).WithLabels(in.Labels("budgets")).
			WithRoleRef(rbac.RoleRef().WithAPIGroup(group).WithKind("Role").WithName(budgets)).
			WithSubjects(rbac.Subject().WithKind("ServiceAccount").WithName(components.ManagerAccount).WithNamespace(in.operatorNamespace))),
		components.Owned(in.ServiceAccount(prometheusPart)),
		components.Owned(rbac.Role(account, in.Platform.Namespace).WithLabels(in.Labels(prometheusPart)).WithRules(
			rbac.PolicyRule().WithAPIGroups("").WithResources("pods", "services", "endpoints").WithVerbs("get", "list", "watch"),
			rbac.PolicyRule().WithAPIGroups("discovery.k8s.io").WithResources("endpointslices").WithVerbs("get", "list", "watch"))),
		components.Owned(rbac.RoleBinding(account, in.Platform.Namespace).WithLabels(in.Labels(prometheusPart)).
			WithRoleRef(rbac.RoleRef().WithAPIGroup(group).WithKind("Role").WithName(account)).WithSubjects(subject)),
		components.Owned(rbac.ClusterRole(reader).WithLabels(in.Labels(prometheusPart)).WithRules(
			rbac.PolicyRule().WithNonResourceURLs(in.processMetrics()).WithVerbs("get"))),
		components.Owned(rbac.ClusterRoleBinding(reader).WithLabels(in.Labels(prometheusPart)).
			WithRoleRef(rbac.RoleRef().WithAPIGroup(group).WithKind("ClusterRole").WithName(reader)).WithSubjects(subject)),
		components.Owned(in.token(prometheusPart, account)),
	)
}

// token of an account, which Kubernetes fills in.
func (in inputs) token(part, account string) *core.SecretApplyConfiguration {
	return core.Secret(account+"-token", in.Platform.Namespace).WithLabels(in.Labels(part)).
		WithAnnotations(map[string]string{corev1.ServiceAccountNameKey: account}).WithType(corev1.SecretTypeServiceAccountToken)
}

// dashboards of the components, in the order of their names.
func (in inputs) dashboards() []components.Dashboard {
	dashboards := slices.Clone(in.facts.Declared.Dashboards)
	slices.SortStableFunc(dashboards, func(a, b components.Dashboard) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Name, b.Name))
	})
	return dashboards
}
