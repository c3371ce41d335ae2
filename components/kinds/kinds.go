// Package kinds names the kinds that components render, and wraps custom resources in apply configurations.
package kinds

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind identifies a kind that components render. How a component uses it is said in components.Use.
type Kind struct {
	schema.GroupKind
	// Versions that components can render, the preferred one first. Native kinds have one.
	Versions []string
	// Plural is the resource name in URLs and RBAC rules.
	Plural string
	// ClusterScoped kinds have no namespace.
	ClusterScoped bool
	// Provider defines the kind: a third-party operator, as in "Strimzi", or the kind of cluster, as in OpenShift. Empty for kinds
	// of Kubernetes itself.
	Provider string
}

// GVK is the kind in its preferred version.
func (k Kind) GVK() schema.GroupVersionKind { return k.WithVersion(k.Versions[0]) }

// CRD is the name of the CustomResourceDefinition that defines a third-party kind.
func (k Kind) CRD() string { return k.Plural + "." + k.Group }

// ThirdParty reports whether the kind may be absent from a cluster.
func (k Kind) ThirdParty() bool { return k.Provider != "" }

func native(group, kind, plural string) Kind {
	return Kind{GroupKind: schema.GroupKind{Group: group, Kind: kind}, Versions: []string{"v1"}, Plural: plural}
}

func clusterScoped(kind Kind) Kind {
	kind.ClusterScoped = true
	return kind
}

// The native kinds. All of them are v1 of their group.
var (
	ConfigMap             = native("", "ConfigMap", "configmaps")
	PersistentVolumeClaim = native("", "PersistentVolumeClaim", "persistentvolumeclaims")
	Pod                   = native("", "Pod", "pods")
	Secret                = native("", "Secret", "secrets")
	Service               = native("", "Service", "services")
	ServiceAccount        = native("", "ServiceAccount", "serviceaccounts")
	Deployment            = native("apps", "Deployment", "deployments")
	DaemonSet             = native("apps", "DaemonSet", "daemonsets")
	StatefulSet           = native("apps", "StatefulSet", "statefulsets")
	Job                   = native("batch", "Job", "jobs")
	Ingress               = native("networking.k8s.io", "Ingress", "ingresses")
	NetworkPolicy         = native("networking.k8s.io", "NetworkPolicy", "networkpolicies")
	PodDisruptionBudget   = native("policy", "PodDisruptionBudget", "poddisruptionbudgets")
	RoleBinding           = native("rbac.authorization.k8s.io", "RoleBinding", "rolebindings")
	Node                  = clusterScoped(native("", "Node", "nodes"))
	StorageClass          = clusterScoped(native("storage.k8s.io", "StorageClass", "storageclasses"))
)

// Providers of kinds that no third-party operator defines.
const (
	OpenShift  = "OpenShift"
	GatewayAPI = "Gateway API"
)

// ImageStream makes images known to OpenShift.
var ImageStream = Kind{
	GroupKind: schema.GroupKind{Group: "image.openshift.io", Kind: "ImageStream"},
	Versions:  []string{"v1"}, Plural: "imagestreams", Provider: OpenShift,
}

// Kinds that publish web interfaces.
var (
	// ConsoleLink is a link in OpenShift's console.
	ConsoleLink = Kind{
		GroupKind: schema.GroupKind{Group: "console.openshift.io", Kind: "ConsoleLink"},
		Versions:  []string{"v1"}, Plural: "consolelinks", ClusterScoped: true, Provider: OpenShift,
	}
	Route = Kind{
		GroupKind: schema.GroupKind{Group: "route.openshift.io", Kind: "Route"},
		Versions:  []string{"v1"}, Plural: "routes", Provider: OpenShift,
	}
	HTTPRoute = Kind{
		GroupKind: schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"},
		Versions:  []string{"v1"}, Plural: "httproutes", Provider: GatewayAPI,
	}
)
