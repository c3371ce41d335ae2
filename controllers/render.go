package controllers

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

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
	objects = append(objects, record(component, facts)...)
	return apply.Prepare(component.Name(), component.Kinds(), facts, owner, objects)
}

// record is the object that keeps what the component must remember beyond its own objects, or none.
func record(component components.Component, facts components.Facts) []components.Object {
	recorder, ok := component.(components.Recorder)
	if !ok {
		return nil
	}
	record := recorder.Record(components.Observed{Facts: facts, Live: facts.Live})
	if len(record) == 0 {
		record = facts.Record
	}
	if len(record) == 0 {
		return nil
	}
	return []components.Object{components.Data(
		corev1ac.ConfigMap(recordName(facts.Platform.Name, component.Name()), facts.Platform.Namespace).WithData(record),
	)}
}

func recordName(platform, component string) string {
	return platform + "-" + strings.ToLower(component) + "-record"
}

func ownerOf(odh *v1alpha1.OpenDataHub) *metav1.OwnerReference {
	owner := metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "OpenDataHub", Name: odh.Name, UID: odh.UID,
	}
	controller := true
	owner.Controller = &controller
	return &owner
}
