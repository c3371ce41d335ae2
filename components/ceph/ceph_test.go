package ceph_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/ceph"
	"opendatahub.io/operator/components/componenttest"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, ceph.New()) }

func TestUpstream(t *testing.T) { componenttest.Upstream(t, ceph.New()) }

// TestRemovalOrder checks the order in which Rook can finish deletions. The controllers remove kinds in the reverse of
// Kinds.
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

// TestReach: whoever chooses the nodes of any daemon needs an administrator's leave.
func TestReach(t *testing.T) {
	chosen := v1alpha1.Placement{NodeSelector: map[string]v1alpha1.LabelValue{"node.example.com/pool": "storage"}}
	tolerant := v1alpha1.Placement{Tolerations: []v1alpha1.Toleration{{Operator: "Exists"}}}
	for field, spec := range map[string]v1alpha1.CephSpec{
		"":                       {},
		".placement":             {Placement: chosen},
		".monitors.placement":    {Monitors: v1alpha1.CephMonitors{Placement: tolerant}},
		".fileSystem.placement":  {FileSystem: v1alpha1.CephFileSystem{Placement: chosen}},
		".objectStore.placement": {ObjectStore: v1alpha1.CephObjectStore{Placement: tolerant}},
	} {
		facts := components.Facts{}
		facts.Spec.Components.Ceph = &spec
		var want []components.Reach
		if field != "" {
			want = []components.Reach{{Mark: components.LabelAllowNodes, Field: "spec.components.ceph" + field, What: "nodes of its choice for privileged Pods"}}
		}
		if diff := cmp.Diff(want, ceph.New().(components.WithReach).Reach(facts)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", field, diff)
		}
	}
}

// TestKeepsData: nothing that Ceph stores is deleted unless the spec confirms it, or did so last.
func TestKeepsData(t *testing.T) {
	cluster := func(annotations map[string]string) components.Objects {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(ceph.Cluster.GVK())
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
			facts.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete
			if got := components.KeepsData(ceph.New(), facts); got != test.want {
				t.Errorf("keeps data = %v, want %v", got, test.want)
			}
		})
	}
}

func TestHealth(t *testing.T) { componenttest.Health(t, ceph.New()) }

func TestDeclaredBuckets(t *testing.T) {
	claim := func(name string) components.BucketClaim {
		return components.BucketClaim{Purpose: "models", Name: name, Field: "spec.components.seldon.models.bucket"}
	}
	existing := func(bucket string) components.Objects {
		object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"bucketName": bucket}}}
		object.SetGroupVersionKind(ceph.BucketClaim.GVK())
		object.SetName("odh-ceph-models")
		return components.Objects{object}
	}
	tests := map[string]struct {
		claim   components.BucketClaim
		live    components.Objects
		want    string
		wantErr string
	}{
		"without a name it is the platform's": {claim: claim(""), want: "odh-models"},
		"a name that the spec asks for":       {claim: claim("zoo"), want: "zoo"},
		"the same name again":                 {claim: claim("zoo"), live: existing("zoo"), want: "zoo"},
		"another name than it has": {
			claim: claim("zoo"), live: existing("odh-models"),
			wantErr: "spec.components.seldon.models.bucket: Ceph has the bucket odh-models for models already, and buckets cannot be renamed; use odh-models",
		},
		"no name any more": {
			claim: claim(""), live: existing("zoo"),
			wantErr: "spec.components.seldon.models.bucket: Ceph has the bucket zoo for models already, and buckets cannot be renamed; use zoo",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			facts := components.Facts{Platform: components.Platform{Name: "odh", Namespace: "data"}, Live: test.live}
			facts.Declared.Buckets = []components.BucketClaim{test.claim}
			objects, err := ceph.New().Render(facts)
			if err != nil || test.wantErr != "" {
				if err == nil || err.Error() != test.wantErr {
					t.Errorf("err = %v, want %s", err, test.wantErr)
				}
				return
			}
			for _, object := range objects {
				content, err := json.Marshal(object.ApplyConfiguration)
				if err != nil {
					t.Fatal(err)
				}
				claim := &unstructured.Unstructured{}
				if err := claim.UnmarshalJSON(content); err != nil {
					t.Fatal(err)
				}
				if claim.GetName() != "odh-ceph-models" {
					continue
				}
				if got, _, _ := unstructured.NestedString(claim.Object, "spec", "bucketName"); got != test.want {
					t.Errorf("bucket = %s, want %s", got, test.want)
				}
				return
			}
			t.Error("no bucket is claimed")
		})
	}
}
