package controllers

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/apply"
)

// Render turns facts into exactly what is applied, in that order. It is pure: the controllers and the render command, which has
// no cluster and no owner, get the same objects from the same facts. The error is a *components.Failure.
func Render(component components.Component, facts components.Facts, owner *metav1.OwnerReference) ([]apply.Prepared, error) {
	objects, err := component.Render(facts)
	if err != nil {
		return nil, components.AsFailure(err, v1alpha1.ReasonInvalidSpec)
	}
	return apply.Prepare(component.Name(), components.UsesOf(component), facts, owner, objects)
}

// OwnerOf is the owner reference of the objects of a platform.
func OwnerOf(odh *v1alpha1.OpenDataHub) *metav1.OwnerReference {
	owner := metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "OpenDataHub", Name: odh.Name, UID: odh.UID,
	}
	controller := true
	owner.Controller = &controller
	return &owner
}
