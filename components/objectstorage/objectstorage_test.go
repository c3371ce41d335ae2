package objectstorage_test

import (
	"testing"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/catalog"
	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/objectstorage"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, objectstorage.New()) }

func TestWanted(t *testing.T) {
	external := v1alpha1.ObjectStorageSpec{
		Type: v1alpha1.ObjectStorageExternal, External: &v1alpha1.ExternalObjectStorage{Endpoint: "https://s3.example.com"},
	}
	named := v1alpha1.ComponentsSpec{Ceph: &v1alpha1.CephSpec{}}
	disabled := v1alpha1.ComponentsSpec{Ceph: &v1alpha1.CephSpec{ObjectStore: v1alpha1.CephObjectStore{State: v1alpha1.Disabled}}}
	tests := map[string]struct {
		spec v1alpha1.OpenDataHubSpec
		want bool
	}{
		"nobody asks for S3":  {v1alpha1.OpenDataHubSpec{}, false},
		"an external service": {v1alpha1.OpenDataHubSpec{ObjectStorage: external}, true},
		"Ceph":                {v1alpha1.OpenDataHubSpec{Components: named}, true},
		"Ceph without S3, and nobody asks for it": {v1alpha1.OpenDataHubSpec{Components: disabled}, false},
		"Ceph without S3, which Render must refuse": {
			v1alpha1.OpenDataHubSpec{Components: disabled, ObjectStorage: v1alpha1.ObjectStorageSpec{Type: v1alpha1.ObjectStorageCeph}}, true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			facts := components.NewFacts(&v1alpha1.OpenDataHub{Spec: test.spec}, components.Cluster{}, catalog.All())
			state, got := components.StateOf(objectstorage.New(), facts)
			if got != test.want || state != v1alpha1.Managed {
				t.Errorf("wanted = %t (%s), want %t", got, state, test.want)
			}
		})
	}
}
