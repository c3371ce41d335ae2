package ceph

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// Kinds of Rook, https://rook.io/docs/rook/latest/CRDs/specification/. v1 is the only version there has been since 1.0.
var (
	Cluster         = rookKind("CephCluster", "cephclusters")
	BlockPool       = rookKind("CephBlockPool", "cephblockpools")
	Filesystem      = rookKind("CephFilesystem", "cephfilesystems")
	ObjectStore     = rookKind("CephObjectStore", "cephobjectstores")
	ObjectStoreUser = rookKind("CephObjectStoreUser", "cephobjectstoreusers")
	// BucketClaim is of lib-bucket-provisioner, which is part of Rook.
	BucketClaim = kinds.Kind{
		GroupKind: schema.GroupKind{Group: "objectbucket.io", Kind: "ObjectBucketClaim"},
		Versions:  []string{"v1alpha1"}, Plural: "objectbucketclaims", Provider: rook,
	}
)

const rook = "Rook"

func rookKind(kind, plural string) kinds.Kind {
	return kinds.Kind{
		GroupKind: schema.GroupKind{Group: "ceph.rook.io", Kind: kind}, Versions: []string{"v1"}, Plural: plural, Provider: rook,
	}
}

// Uses implements components.WithUses.
func (component) Uses() []components.Use {
	return []components.Use{
		// Rook stops looking after a cluster that has this, so it is set at the last moment,
		// https://rook.io/docs/rook/latest/CRDs/Cluster/ceph-cluster-crd/#cleanup-policy.
		{Kind: Cluster, Destroy: &components.Destruction{
			Confirmed: confirmed,
			Patch:     `{"spec":{"cleanupPolicy":{"confirmation":"yes-really-destroy-data"}}}`,
		}},
	}
}

// confirmed reports whether the spec says that the data of Ceph may be destroyed. When the block of the component is gone, what it
// said last counts.
func confirmed(facts components.Facts) bool {
	if spec := facts.Spec.Components.Ceph; spec != nil {
		return spec.DestroyData != ""
	}
	cluster := facts.Live.Find(Cluster.GroupKind, clusterName(facts.Platform))
	return cluster != nil && cluster.GetAnnotations()[annotationDestroy] != ""
}
