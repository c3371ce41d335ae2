package native

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
)

// TrustedCAKey is the key of the Secret that spec.trustedCASecretRef names.
const TrustedCAKey = "ca.crt"

// TrustedCA are the authorities of spec.trustedCASecretRef. The zero value without it.
func TrustedCA(facts components.Facts) components.CertificateAuthority {
	name := facts.Spec.TrustedCASecretRef.Name
	if name == "" {
		return components.CertificateAuthority{}
	}
	return components.CertificateAuthority{Secret: name, Key: TrustedCAKey}
}

// TrustedCAReferences is the Secret that spec.trustedCASecretRef names.
func TrustedCAReferences(facts components.Facts) []components.Reference {
	ca := TrustedCA(facts)
	if ca.Secret == "" {
		return nil
	}
	return []components.Reference{{Field: "spec.trustedCASecretRef", Name: ca.Secret, Keys: []string{ca.Key}}}
}

// Outbound is how Pods reach addresses outside the cluster: through the proxy of the spec, or that of the cluster.
type Outbound struct {
	http, https string
	// direct is what is reached without the proxy.
	direct []string
}

// NewOutbound resolves spec.proxy. The zero value: without a proxy.
func NewOutbound(facts components.Facts) Outbound {
	out := Outbound{http: facts.Cluster.Proxy.HTTP, https: facts.Cluster.Proxy.HTTPS}
	if facts.Cluster.Proxy.NoProxy != "" {
		out.direct = strings.Split(facts.Cluster.Proxy.NoProxy, ",")
	}
	if spec := facts.Spec.Proxy; spec != nil {
		out = Outbound{http: spec.HTTPProxy, https: spec.HTTPSProxy, direct: slices.Clone(spec.NoProxy)}
	}
	if !out.Proxied() {
		return Outbound{}
	}
	// Services of the cluster, with or without its domain or the namespace; the address of its API server, which Kubernetes puts in
	// for the variable.
	out.direct = append(out.direct, "localhost", "127.0.0.1", "::1", ".svc", ".cluster.local", "."+facts.Platform.Namespace, "$(KUBERNETES_SERVICE_HOST)")
	slices.Sort(out.direct)
	out.direct = slices.Compact(out.direct)
	return out
}

// Proxied is whether there is a proxy.
func (o Outbound) Proxied() bool { return o.http != "" || o.https != "" }

// HTTPS is the proxy for https:// addresses, for programs that are told otherwise than by their environment.
func (o Outbound) HTTPS() string { return o.https }

// NoProxy is what is reached directly, for such programs. The address of the API server is not among it.
func (o Outbound) NoProxy() string {
	return strings.Join(slices.DeleteFunc(slices.Clone(o.direct), func(entry string) bool { return strings.HasPrefix(entry, "$") }), ",")
}

// Proxy is where a proxy listens.
type Proxy struct {
	Host string
	Port int32
	// Secure is whether it speaks TLS.
	Secure bool
}

// ProxyFor is the proxy through which an address is reached. Nil: it is reached directly.
func (o Outbound) ProxyFor(address string) *Proxy { return newProxy(o.through(address)) }

// through is the address of the proxy through which another one is reached. Empty: it is reached directly.
func (o Outbound) through(address string) string {
	target, err := url.Parse(address)
	if err != nil {
		return ""
	}
	config := httpproxy.Config{HTTPProxy: o.http, HTTPSProxy: o.https, NoProxy: o.NoProxy()}
	proxy, err := config.ProxyFunc()(target)
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.String()
}

// SentTo are the addresses to which the values of a Secret go that are meant for these: through a proxy of the spec, which together with
// authorities of the spec can read them. What is in front of the cluster's own proxy is its administrators'. Without an address it is one that only the
// Secret knows.
func SentTo(facts components.Facts, addresses ...string) []string {
	if facts.Spec.Proxy == nil {
		return addresses
	}
	out := NewOutbound(facts)
	proxies := []string{out.https}
	if len(addresses) > 0 {
		proxies = nil
		for _, address := range addresses {
			proxies = append(proxies, out.through(address))
		}
	}
	for _, proxy := range proxies {
		if proxy != "" && !slices.Contains(addresses, proxy) {
			addresses = append(slices.Clone(addresses), proxy)
		}
	}
	return addresses
}

func newProxy(address string) *Proxy {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Hostname() == "" {
		return nil
	}
	proxy := &Proxy{Host: parsed.Hostname(), Port: 80, Secure: parsed.Scheme == "https"}
	if proxy.Secure {
		proxy.Port = 443
	}
	if port, err := strconv.ParseUint(parsed.Port(), 10, 16); err == nil {
		proxy.Port = int32(port)
	}
	return proxy
}

// JavaOptions are what a Java virtual machine, which does not look at the environment, must be told. Networks cannot be said to it. Empty
// without a proxy.
func (o Outbound) JavaOptions() string {
	var options []string
	for _, scheme := range []struct{ name, address string }{{"http", o.http}, {"https", o.https}} {
		if proxy := newProxy(scheme.address); proxy != nil {
			options = append(options, fmt.Sprintf("-D%s.proxyHost=%s -D%s.proxyPort=%d", scheme.name, proxy.Host, scheme.name, proxy.Port))
		}
	}
	if len(options) == 0 {
		return ""
	}
	var direct []string
	for _, entry := range strings.Split(o.NoProxy(), ",") {
		switch {
		case strings.Contains(entry, "/"):
		case strings.HasPrefix(entry, "."):
			direct = append(direct, "*"+entry)
		case net.ParseIP(entry) != nil || entry == "*":
			direct = append(direct, entry)
		default:
			direct = append(direct, entry, "*."+entry)
		}
	}
	return strings.Join(append(options, "-Dhttp.nonProxyHosts="+strings.Join(direct, "|")), " ")
}

// Env is where programs look for the proxy. Some know the upper-case names only, others, such as libcurl, the lower-case ones.
// Services of the platform's own namespace that are reached by their names alone are given as direct.
func (o Outbound) Env(direct ...string) []*core.EnvVarApplyConfiguration {
	return o.env(true, direct)
}

// SecureEnv is as Env for a program that speaks plain HTTP to Pods of the cluster by their addresses, which noProxy need not cover.
func (o Outbound) SecureEnv(direct ...string) []*core.EnvVarApplyConfiguration {
	return o.env(false, direct)
}

func (o Outbound) env(plain bool, direct []string) []*core.EnvVarApplyConfiguration {
	var env []*core.EnvVarApplyConfiguration
	add := func(name, value string) {
		if value != "" {
			env = append(env, Env(strings.ToUpper(name), value), Env(name, value))
		}
	}
	if plain {
		add("http_proxy", o.http)
	}
	add("https_proxy", o.https)
	if len(env) > 0 {
		add("no_proxy", strings.Join(append(slices.Clone(o.direct), direct...), ","))
	}
	return env
}

// Backends are where the traffic to the proxies arrives.
func (o Outbound) Backends() []components.Backend {
	var backends []components.Backend
	for _, address := range []string{o.http, o.https} {
		proxy := newProxy(address)
		if proxy == nil {
			continue
		}
		backend := components.Backend{Host: proxy.Host, Port: proxy.Port}
		if !slices.ContainsFunc(backends, func(other components.Backend) bool { return other.Host == backend.Host && other.Port == backend.Port }) {
			backends = append(backends, backend)
		}
	}
	return backends
}

// Egress lets Pods reach the proxies.
func (o Outbound) Egress() []Egress { return Reach(o.Backends()...) }
