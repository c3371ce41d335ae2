package native

import (
	"cmp"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// Exposure is how a web interface is reached from outside the cluster.
type Exposure struct {
	Type v1alpha1.IngressType
	// Host is the interface's name. Empty when it is not exposed.
	Host string

	className string
	tlsSecret string
	gateway   v1alpha1.GatewayReference
}

// Web is a web interface: its Service, whose port is https or http.
type Web struct {
	// Part that serves it.
	Part string
	// Title of the link to it in OpenShift's console. Empty: it is for programs, and there is no link.
	Title string
	// Secure is whether a Route speaks TLS to the Service's port https. An Ingress or an HTTPRoute speaks HTTP to the port
	// http: they have no portable way to be told an authority.
	Secure bool
	// IngressAnnotations and RouteAnnotations go to the objects of these kinds.
	IngressAnnotations, RouteAnnotations map[string]string
}

// ExposureKinds are the kinds that expose web interfaces.
func ExposureKinds() []kinds.Kind {
	return []kinds.Kind{kinds.Ingress, kinds.Route, kinds.HTTPRoute, kinds.ConsoleLink}
}

// ExposureUses is how they are used: OpenShift asks for a separate right when a Route names its host, and it may have been installed
// without its console.
func ExposureUses() []components.Use {
	return []components.Use{
		{Kind: kinds.Route, Subresources: map[string][]string{"custom-host": {"create", "update"}}},
		{Kind: kinds.ConsoleLink, Optional: true},
	}
}

func ingressType(facts components.Facts) v1alpha1.IngressType {
	switch {
	case facts.Spec.Ingress.Type != "":
		return facts.Spec.Ingress.Type
	case facts.Cluster.OpenShift:
		return v1alpha1.IngressRoute
	case facts.Spec.Ingress.Domain != "":
		return v1alpha1.IngressIngress
	default:
		return v1alpha1.IngressNone
	}
}

// IngressReferences is the certificate that spec.ingress names. A Gateway has one at its own listener.
func IngressReferences(facts components.Facts) []components.Reference {
	secret, kind := facts.Spec.Ingress.TLSSecretRef.Name, ingressType(facts)
	if secret == "" || kind != v1alpha1.IngressRoute && kind != v1alpha1.IngressIngress {
		return nil
	}
	return []components.Reference{{Field: "spec.ingress.tlsSecretRef", Name: secret, Keys: []string{"tls.crt", "tls.key"}}}
}

// Expose resolves spec.ingress for the component's web interface.
func (a App) Expose(facts components.Facts) (Exposure, error) {
	spec := facts.Spec.Ingress
	kind := ingressType(facts)
	if kind == v1alpha1.IngressNone {
		return Exposure{Type: kind}, nil
	}
	if kind == v1alpha1.IngressRoute && !facts.Cluster.OpenShift {
		return Exposure{}, components.Invalid("spec.ingress.type",
			"Route needs OpenShift, which this cluster is not; use Ingress, Gateway or None")
	}
	domain := cmp.Or(spec.Domain, facts.Cluster.IngressDomain)
	if domain == "" {
		return Exposure{}, components.Invalid("spec.ingress.domain",
			"it is required when type is %s, because host names derive from it; set it, as in apps.example.com, or set type to None", kind)
	}
	exposure := Exposure{
		Type:      kind,
		Host:      a.Name + "-" + a.Platform.Name + "." + domain,
		className: spec.ClassName,
		tlsSecret: spec.TLSSecretRef.Name,
	}
	if kind == v1alpha1.IngressGateway {
		if spec.Gateway == nil {
			return Exposure{}, components.Invalid("spec.ingress.gateway", "it is required when type is Gateway: name the Gateway to attach to")
		}
		exposure.gateway = *spec.Gateway
	}
	return exposure, nil
}

// URL at which the web interface is used, with a slash at its end: its address outside, or that of its Service.
func (a App) URL(exposure Exposure, web Web) string {
	switch {
	case exposure.Host != "":
		return "https://" + exposure.Host + "/"
	case web.Secure:
		return fmt.Sprintf("https://%s.%s.svc/", a.Web(), a.Platform.Namespace)
	default:
		return fmt.Sprintf("http://%s.%s.svc/", a.Web(), a.Platform.Namespace)
	}
}

// Exposed publishes the web interface in the way that the platform asks for, and links to it from OpenShift's console.
func (a App) Exposed(exposure Exposure, web Web) []components.Object {
	var objects []components.Object
	switch exposure.Type {
	case v1alpha1.IngressRoute:
		objects = append(objects, components.Owned(a.route(exposure, web)))
	case v1alpha1.IngressIngress:
		objects = append(objects, components.Owned(a.ingress(exposure, web)))
	case v1alpha1.IngressGateway:
		objects = append(objects, components.Owned(a.httpRoute(exposure, web)))
	default:
		return nil
	}
	if a.OpenShift && web.Title != "" {
		objects = append(objects, components.Owned(a.consoleLink(exposure, web)))
	}
	return objects
}

// consoleLinkSpec has the fields that are set of
// https://docs.openshift.com/container-platform/latest/rest_api/console_apis/consolelink-console-openshift-io-v1.html
type consoleLinkSpec struct {
	Href               string             `json:"href"`
	Text               string             `json:"text"`
	Location           string             `json:"location"`
	NamespaceDashboard namespaceDashboard `json:"namespaceDashboard"`
}

type namespaceDashboard struct {
	Namespaces []string `json:"namespaces"`
}

// consoleLink is on the page of the platform's namespace. The menus of the console are everybody's, and the address is the choice of
// whoever may write the OpenDataHub. An admission policy holds the manager to such names and such a place.
func (a App) consoleLink(exposure Exposure, web Web) *kinds.Resource[consoleLinkSpec] {
	link := kinds.New(kinds.ConsoleLink.GVK(), "", a.Platform.Namespace+"."+a.Platform.Name+"."+a.Name, consoleLinkSpec{
		Href: a.URL(exposure, web), Text: web.Title, Location: "NamespaceDashboard",
		NamespaceDashboard: namespaceDashboard{Namespaces: []string{a.Platform.Namespace}},
	})
	link.WithLabels(a.Labels(web.Part))
	return link
}

// ingress has TLS even without a Secret of its own: the controller then uses its default certificate.
func (a App) ingress(exposure Exposure, web Web) *networking.IngressApplyConfiguration {
	tls := networking.IngressTLS().WithHosts(exposure.Host)
	if exposure.tlsSecret != "" {
		tls.WithSecretName(exposure.tlsSecret)
	}
	backend := networking.IngressBackend().WithService(
		networking.IngressServiceBackend().WithName(a.Web()).WithPort(networking.ServiceBackendPort().WithName("http")))
	spec := networking.IngressSpec().
		WithTLS(tls).
		WithRules(networking.IngressRule().WithHost(exposure.Host).WithHTTP(networking.HTTPIngressRuleValue().WithPaths(
			networking.HTTPIngressPath().WithPath("/").WithPathType(networkingv1.PathTypePrefix).WithBackend(backend))))
	if exposure.className != "" {
		spec.WithIngressClassName(exposure.className)
	}
	return networking.Ingress(a.Web(), a.Platform.Namespace).
		WithLabels(a.Labels(web.Part)).
		WithAnnotations(web.IngressAnnotations).
		WithSpec(spec)
}

// routeSpec has the fields that are set of
// https://docs.openshift.com/container-platform/latest/rest_api/network_apis/route-route-openshift-io-v1.html
type routeSpec struct {
	Host string      `json:"host"`
	To   routeTarget `json:"to"`
	Port routePort   `json:"port"`
	TLS  routeTLS    `json:"tls"`
}

type routeTarget struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

type routePort struct {
	TargetPort string `json:"targetPort"`
}

type routeTLS struct {
	Termination string `json:"termination"`
	// Insecure is what happens to requests without TLS.
	Insecure    string          `json:"insecureEdgeTerminationPolicy"`
	Certificate *localReference `json:"externalCertificate,omitempty"`
}

type localReference struct {
	Name string `json:"name"`
}

// route trusts the Pod's certificate because OpenShift signed it.
func (a App) route(exposure Exposure, web Web) *kinds.Resource[routeSpec] {
	tls, port := routeTLS{Termination: "edge", Insecure: "Redirect"}, "http"
	if web.Secure {
		tls.Termination, port = "reencrypt", "https"
	}
	if exposure.tlsSecret != "" {
		tls.Certificate = &localReference{exposure.tlsSecret}
	}
	route := kinds.New(kinds.Route.GVK(), a.Platform.Namespace, a.Web(), routeSpec{
		Host: exposure.Host,
		To:   routeTarget{Kind: "Service", Name: a.Web()},
		Port: routePort{TargetPort: port},
		TLS:  tls,
	})
	route.WithLabels(a.Labels(web.Part))
	route.WithAnnotations(web.RouteAnnotations)
	return route
}

// httpRouteSpec has the fields that are set of https://gateway-api.sigs.k8s.io/reference/spec/#httproutespec
type httpRouteSpec struct {
	ParentRefs []parentRef     `json:"parentRefs"`
	Hostnames  []string        `json:"hostnames"`
	Rules      []httpRouteRule `json:"rules"`
}

type parentRef struct {
	Name        string `json:"name"`
	Namespace   string `json:"namespace,omitempty"`
	SectionName string `json:"sectionName,omitempty"`
}

type httpRouteRule struct {
	BackendRefs []backendRef `json:"backendRefs"`
}

type backendRef struct {
	Name string `json:"name"`
	Port int32  `json:"port"`
}

func (a App) httpRoute(exposure Exposure, web Web) *kinds.Resource[httpRouteSpec] {
	gateway := exposure.gateway
	route := kinds.New(kinds.HTTPRoute.GVK(), a.Platform.Namespace, a.Web(), httpRouteSpec{
		ParentRefs: []parentRef{{Name: gateway.Name, Namespace: gateway.Namespace, SectionName: gateway.SectionName}},
		Hostnames:  []string{exposure.Host},
		Rules:      []httpRouteRule{{BackendRefs: []backendRef{{Name: a.Web(), Port: 80}}}},
	})
	route.WithLabels(a.Labels(web.Part))
	return route
}
