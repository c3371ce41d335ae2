package cluster

import (
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// Served answers which resources a cluster serves. It asks for each group and version once, so a new one is made for
// every look at the cluster.
type Served struct {
	discovery discovery.DiscoveryInterface
	asked     map[schema.GroupVersion]*metav1.APIResourceList
}

// NewServed asks through the given client.
func NewServed(discovery discovery.DiscoveryInterface) *Served {
	return &Served{discovery: discovery, asked: map[schema.GroupVersion]*metav1.APIResourceList{}}
}

// All is whether the cluster serves all of the resources, named by their plurals, in a version of a group.
func (s *Served) All(groupVersion schema.GroupVersion, plurals ...string) (bool, error) {
	list, err := s.ask(groupVersion)
	if err != nil || list == nil {
		return false, err
	}
	for _, plural := range plurals {
		if !slices.ContainsFunc(list.APIResources, func(resource metav1.APIResource) bool { return resource.Name == plural }) {
			return false, nil
		}
	}
	return true, nil
}

// Version is the first of the versions in which the cluster serves a resource. It is empty if there is none.
func (s *Served) Version(resource schema.GroupResource, versions ...string) (string, error) {
	for _, version := range versions {
		served, err := s.All(schema.GroupVersion{Group: resource.Group, Version: version}, resource.Resource)
		if err != nil {
			return "", err
		}
		if served {
			return version, nil
		}
	}
	return "", nil
}

func (s *Served) ask(groupVersion schema.GroupVersion) (*metav1.APIResourceList, error) {
	if list, ok := s.asked[groupVersion]; ok {
		return list, nil
	}
	list, err := s.discovery.ServerResourcesForGroupVersion(groupVersion.String())
	switch {
	case apierrors.IsNotFound(err):
		list = nil
	case err != nil:
		return nil, fmt.Errorf("asking which kinds of %s are served: %w", groupVersion, err)
	}
	s.asked[groupVersion] = list
	return list, nil
}
