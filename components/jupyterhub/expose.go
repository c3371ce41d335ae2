package jupyterhub

import (
	networkingv1 "k8s.io/api/networking/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// exposed publishes the proxy in the way that the platform asks for.
func exposed(in inputs) []components.Object {
	switch in.expose.kind {
	case v1alpha1.IngressRoute:
		return []components.Object{components.Owned(route(in))}
	case v1alpha1.IngressIngress:
		return []components.Object{components.Owned(ingress(in))}
	case v1alpha1.IngressGateway:
		return []components.Object{components.Owned(httpRoute(in))}
	default:
		return nil
	}
}

// ingress has TLS even without a Secret of its own: the controller then uses its default certificate.
func ingress(in inputs) *networking.IngressApplyConfiguration {
	tls := networking.IngressTLS().WithHosts(in.expose.host)
	if in.expose.tlsSecret != "" {
		tls.WithSecretName(in.expose.tlsSecret)
	}
	backend := networking.IngressBackend().WithService(
		networking.IngressServiceBackend().WithName(in.web()).WithPort(networking.ServiceBackendPort().WithName("http")))
	spec := networking.IngressSpec().
		WithTLS(tls).
		WithRules(networking.IngressRule().WithHost(in.expose.host).WithHTTP(networking.HTTPIngressRuleValue().WithPaths(
			networking.HTTPIngressPath().WithPath("/").WithPathType(networkingv1.PathTypePrefix).WithBackend(backend))))
	if in.expose.className != "" {
		spec.WithIngressClassName(in.expose.className)
	}
	return networking.Ingress(in.web(), in.namespace).
		WithLabels(labelled(proxyPart)).
		// Kernels talk over websockets that may be silent for long, and people upload notebooks with pictures in them.
		WithAnnotations(map[string]string{
			"nginx.ingress.kubernetes.io/proxy-body-size":    "256m",
			"nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
			"nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
		}).
		WithSpec(spec)
}

// routeSpec holds what is set of https://docs.openshift.com/container-platform/latest/rest_api/network_apis/route-route-openshift-io-v1.html
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

func route(in inputs) *kinds.Resource[routeSpec] {
	tls := routeTLS{Termination: "edge", Insecure: "Redirect"}
	if in.expose.tlsSecret != "" {
		tls.Certificate = &localReference{in.expose.tlsSecret}
	}
	route := kinds.New(kinds.Route.GVK(), in.namespace, in.web(), routeSpec{
		Host: in.expose.host,
		To:   routeTarget{Kind: "Service", Name: in.web()},
		Port: routePort{TargetPort: "http"},
		TLS:  tls,
	})
	route.WithLabels(labelled(proxyPart))
	route.WithAnnotations(map[string]string{"haproxy.router.openshift.io/timeout": "5m", "haproxy.router.openshift.io/timeout-tunnel": "1h"})
	return route
}

// httpRouteSpec holds what is set of https://gateway-api.sigs.k8s.io/reference/spec/#httproutespec
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

func httpRoute(in inputs) *kinds.Resource[httpRouteSpec] {
	gateway := in.expose.gateway
	route := kinds.New(kinds.HTTPRoute.GVK(), in.namespace, in.web(), httpRouteSpec{
		ParentRefs: []parentRef{{Name: gateway.Name, Namespace: gateway.Namespace, SectionName: gateway.SectionName}},
		Hostnames:  []string{in.expose.host},
		Rules:      []httpRouteRule{{BackendRefs: []backendRef{{Name: in.web(), Port: 80}}}},
	})
	route.WithLabels(labelled(proxyPart))
	return route
}
