package ceph_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/ceph"
	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/kinds"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, ceph.New()) }

func TestUpstream(t *testing.T) { componenttest.Upstream(t, ceph.New()) }

// TestRemovalOrder is the order in which Rook can let go of things. The controllers remove kinds in the reverse of Kinds.
func TestRemovalOrder(t *testing.T) {
	var order []string
	for _, kind := range slices.Backward(ceph.New().Kinds()) {
		order = append(order, kind.Kind)
	}
	want := []string{
		"ObjectBucketClaim", "CephObjectStoreUser", "CephObjectStore", "CephFilesystem", "CephBlockPool", "StorageClass", "Secret", "CephCluster",
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestKeepsData: nothing that Ceph stores is deleted unless the spec confirms it, or did so last.
func TestKeepsData(t *testing.T) {
	cluster := func(annotations map[string]string) components.Objects {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kinds.CephCluster.GVK())
		object.SetName("odh")
		object.SetAnnotations(annotations)
		return components.Objects{object}
	}
	confirmed := map[string]string{"opendatahub.io/destroy-data": "yes-really-destroy-data"}
	tests := map[string]struct {
		spec *v1alpha1.CephSpec
		live components.Objects
		want bool
	}{
		"nothing is said":                          {&v1alpha1.CephSpec{}, nil, true},
		"the spec confirms":                        {&v1alpha1.CephSpec{DestroyData: "yes-really-destroy-data"}, nil, false},
		"the spec no longer confirms":              {&v1alpha1.CephSpec{}, cluster(confirmed), true},
		"the block is gone, and never confirmed":   {nil, cluster(nil), true},
		"the block is gone, and confirmed at last": {nil, cluster(confirmed), false},
		"the block and the cluster are gone":       {nil, nil, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "data"}, Live: test.live}
			facts.Spec.Components.Ceph = test.spec
			if got := ceph.New().(components.Keeper).KeepsData(facts); got != test.want {
				t.Errorf("keeps data = %v, want %v", got, test.want)
			}
		})
	}
}

func TestHealth(t *testing.T) { componenttest.Health(t, ceph.New()) }
