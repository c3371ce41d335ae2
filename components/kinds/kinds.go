// Package kinds names the kinds that components render, and wraps custom resources in apply configurations.
package kinds

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is a kind that components render.
type Kind struct {
	schema.GroupKind
	// Versions that components can render, the preferred one first. Native kinds have one.
	Versions []string
	// Plural is the resource name in URLs and RBAC rules.
	Plural string
	// ClusterScoped kinds have no namespace.
	ClusterScoped bool
	// Operator names the third-party operator that brings the kind and acts on it, as in "Strimzi". Empty for kinds of
	// Kubernetes and OpenShift themselves.
	Operator string
	// Release annotations are put on an object before it is deleted while data is kept, so that its operator lets go of
	// what the object stands for instead of deleting that too.
	Release map[string]string
	// Destroy is a merge patch that is put on an object before it is deleted together with its data, so that its operator
	// wipes what the object stands for.
	Destroy string
	// Subresources are the verbs that deploying the kind takes on its subresources, by their names.
	Subresources map[string][]string
}

// GVK is the kind in its preferred version.
func (k Kind) GVK() schema.GroupVersionKind { return k.WithVersion(k.Versions[0]) }

// CRD is the name of the CustomResourceDefinition that brings a third-party kind.
func (k Kind) CRD() string { return k.Plural + "." + k.Group }

// ThirdParty is whether the kind may be absent from a cluster: an operator, or OpenShift, brings it.
func (k Kind) ThirdParty() bool { return k.Operator != "" }

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
	StatefulSet           = native("apps", "StatefulSet", "statefulsets")
	Ingress               = native("networking.k8s.io", "Ingress", "ingresses")
	NetworkPolicy         = native("networking.k8s.io", "NetworkPolicy", "networkpolicies")
	PodDisruptionBudget   = native("policy", "PodDisruptionBudget", "poddisruptionbudgets")
	RoleBinding           = native("rbac.authorization.k8s.io", "RoleBinding", "rolebindings")
	StorageClass          = clusterScoped(native("storage.k8s.io", "StorageClass", "storageclasses"))
)

// Kinds that a platform, not an operator, brings.
var (
	// Route is OpenShift's.
	Route = Kind{
		GroupKind: schema.GroupKind{Group: "route.openshift.io", Kind: "Route"},
		Versions:  []string{"v1"}, Plural: "routes", Operator: "OpenShift",
		// OpenShift asks for these when a Route names its host.
		Subresources: map[string][]string{"custom-host": {"create", "update"}},
	}
	// HTTPRoute is the Gateway API's.
	HTTPRoute = Kind{
		GroupKind: schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"},
		Versions:  []string{"v1"}, Plural: "httproutes", Operator: "Gateway API",
	}
)

const strimzi = "Strimzi"

// Kinds of Strimzi. 1.0 and later serve v1 only; 0.49 to 0.51 serve both.
var (
	Kafka = Kind{
		GroupKind: schema.GroupKind{Group: "kafka.strimzi.io", Kind: "Kafka"},
		Versions:  []string{"v1", "v1beta2"}, Plural: "kafkas", Operator: strimzi,
		// The cluster id of kept volumes is restored, see components.Object.Subresource.
		Subresources: map[string][]string{"status": {"patch"}},
	}
	KafkaNodePool = Kind{
		GroupKind: schema.GroupKind{Group: "kafka.strimzi.io", Kind: "KafkaNodePool"},
		Versions:  []string{"v1", "v1beta2"}, Plural: "kafkanodepools", Operator: strimzi,
	}
	KafkaUser = Kind{
		GroupKind: schema.GroupKind{Group: "kafka.strimzi.io", Kind: "KafkaUser"},
		Versions:  []string{"v1", "v1beta2"}, Plural: "kafkausers", Operator: strimzi,
	}
	KafkaTopic = Kind{
		GroupKind: schema.GroupKind{Group: "kafka.strimzi.io", Kind: "KafkaTopic"},
		Versions:  []string{"v1", "v1beta2"}, Plural: "kafkatopics", Operator: strimzi,
		// Deleting a topic that Strimzi manages deletes its messages.
		Release: map[string]string{"strimzi.io/managed": "false"},
	}
)

const rook = "Rook"

func rookKind(kind, plural string) Kind {
	return Kind{
		GroupKind: schema.GroupKind{Group: "ceph.rook.io", Kind: kind}, Versions: []string{"v1"}, Plural: plural, Operator: rook,
	}
}

// Kinds of Rook, https://rook.io/docs/rook/latest/CRDs/specification/. v1 is the only version there has been since 1.0.
var (
	CephCluster = Kind{
		GroupKind: schema.GroupKind{Group: "ceph.rook.io", Kind: "CephCluster"},
		Versions:  []string{"v1"}, Plural: "cephclusters", Operator: rook,
		// Rook stops looking after a cluster that has this, so it is set at the last moment,
		// https://rook.io/docs/rook/latest/CRDs/Cluster/ceph-cluster-crd/#cleanup-policy.
		Destroy: `{"spec":{"cleanupPolicy":{"confirmation":"yes-really-destroy-data"}}}`,
	}
	CephBlockPool       = rookKind("CephBlockPool", "cephblockpools")
	CephFilesystem      = rookKind("CephFilesystem", "cephfilesystems")
	CephObjectStore     = rookKind("CephObjectStore", "cephobjectstores")
	CephObjectStoreUser = rookKind("CephObjectStoreUser", "cephobjectstoreusers")
	// ObjectBucketClaim is of lib-bucket-provisioner, which is part of Rook.
	ObjectBucketClaim = Kind{
		GroupKind: schema.GroupKind{Group: "objectbucket.io", Kind: "ObjectBucketClaim"},
		Versions:  []string{"v1alpha1"}, Plural: "objectbucketclaims", Operator: rook,
	}
)
