package components

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Marks by which an administrator allows the platform of a namespace to reach beyond it. They are on the namespace itself, which
// those who may only edit its contents cannot change.
const (
	// LabelAllowNodes is "true" on a namespace whose platform may use devices of nodes, and choose the nodes of Pods that use them.
	LabelAllowNodes = "opendatahub.io/allow-nodes"
	// LabelAllowInstalls is "true" on a namespace for whose platform the installer may install third-party operators.
	LabelAllowInstalls = "opendatahub.io/allow-installs"
	// LabelAllowCode is "true" on a namespace whose platform may run code of its spec, or change what runs, in its own servers, with
	// their Secrets.
	LabelAllowCode = "opendatahub.io/allow-code"
	// LabelAllowVolumes is "true" on a namespace whose platform may give notebooks volumes that somebody else made there.
	LabelAllowVolumes = "opendatahub.io/allow-volumes"
	// LabelAllowMetrics is "true" on a namespace whose Prometheus may reach the metrics of platforms.
	LabelAllowMetrics = "opendatahub.io/allow-metrics"
	// AnnotationAllowDomains lists, separated by commas, the domains below which a platform may have host names.
	AnnotationAllowDomains = "opendatahub.io/allow-domains"
)

// AnnotationAllowAddresses is on a Secret: the addresses, separated by commas, that its values may be sent to, such as
// https://s3.example.com. Whoever may edit an OpenDataHub need not be allowed to read the Secrets of the namespace.
const AnnotationAllowAddresses = "opendatahub.io/allow-addresses"

// LabelAllowNotebooks is "true" on a Secret whose values notebooks may have, and so their users: whoever may edit an OpenDataHub chooses
// the images of notebooks, and may use one.
const LabelAllowNotebooks = "opendatahub.io/allow-notebooks"

// Allowed reports whether the mark is set.
func Allowed(labels map[string]string, mark string) bool { return labels[mark] == "true" }

// AllowCommand is what an administrator types to set a mark on a namespace.
func AllowCommand(namespace, mark string) string {
	return fmt.Sprintf("kubectl label namespace %s %s=true", namespace, mark)
}

// WithReach is a component whose spec may ask for something beyond the platform's namespace. Nothing of it is deployed, and nothing
// is granted for it, before an administrator allows that.
type WithReach interface {
	// Reach lists what the spec asks for. It follows from the spec and the kind of cluster alone.
	Reach(Facts) []Reach
}

// Reach is something beyond the platform's namespace that a spec asks for.
type Reach struct {
	// Mark is the label of the namespace that allows it, such as [LabelAllowNodes].
	Mark string
	// Field of the spec that asks for it, for messages: "spec.components.ceph.devices".
	Field string
	// What it is, as in "devices of nodes".
	What string
}

// ReachOf is what the component asks for in these facts.
func ReachOf(component Component, facts Facts) []Reach {
	var reach []Reach
	if reaching, ok := component.(WithReach); ok {
		reach = reaching.Reach(facts)
	}
	common, field := CommonOf(facts.Spec.Components, component.Name()), "spec.components."+component.Name()
	if len(common.ContainerImages) > 0 {
		reach = append(reach, Reach{Mark: LabelAllowCode, Field: field + ".containerImages", What: "images of its own, among the Secrets of the namespace"})
	}
	if len(common.Patches) > 0 {
		reach = append(reach, Reach{Mark: LabelAllowCode, Field: field + ".patches", What: "changes of what runs among the Secrets of the namespace"})
	}
	return reach
}

// InDomain reports whether a host name is the domain or below it.
func InDomain(host, domain string) bool {
	return domain != "" && (host == domain || strings.HasSuffix(host, "."+domain))
}

// SplitMark is the list that an annotation holds.
func SplitMark(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
}

// Origin is where a URL leads: its scheme, host and port, without the scheme's default port. Empty if it is not a URL with a host.
func Origin(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Hostname() == "" {
		return ""
	}
	scheme, host := strings.ToLower(parsed.Scheme), strings.ToLower(parsed.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port := cmp.Or(parsed.Port(), map[string]string{"https": "443", "http": "80"}[scheme])
	if scheme == "https" && port == "443" || scheme == "http" && port == "80" || port == "" {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + port
}

// Forbidden returns the origins among the addresses that the Secret does not allow its values to be sent to.
func (s Secret) Forbidden(addresses []string) []string {
	var forbidden []string
	for _, address := range addresses {
		origin := Origin(address)
		allowed := slices.ContainsFunc(s.Addresses, func(other string) bool { return origin != "" && Origin(other) == origin })
		if shown := cmp.Or(origin, address); !allowed && !slices.Contains(forbidden, shown) {
			forbidden = append(forbidden, shown)
		}
	}
	return forbidden
}
