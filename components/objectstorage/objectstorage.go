// Package objectstorage publishes where the platform's S3 storage is, to the workloads of its users. Components need no
// such thing: they have package s3.
package objectstorage

import (
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/s3"
)

const name = "objectStorage"

type part struct{}

// New returns the object storage of a platform: a components.WithRule.
func New() components.Component { return part{} }

var (
	_ components.WithRule       = part{}
	_ components.WithReferences = part{}
)

// Name implements components.Component.
func (part) Name() string { return name }

// Wanted implements components.WithRule. A storage that the spec asks for and nobody offers is wanted: Render says what
// is wrong.
func (part) Wanted(facts components.Facts) bool {
	return facts.Spec.ObjectStorage.Type != "" || s3.Of(facts) != nil
}

// Kinds implements components.Component.
func (part) Kinds() []kinds.Kind { return []kinds.Kind{kinds.ConfigMap} }

// References implements components.WithReferences: without this, nobody would miss the Secret of an external service that no
// component uses yet.
func (part) References(facts components.Facts) []components.Reference {
	return s3.References(facts, s3.DataLake, s3.Models, s3.Pipelines)
}

// Render implements components.Component.
func (part) Render(facts components.Facts) ([]components.Object, error) {
	if err := s3.Contradiction(facts); err != nil {
		return nil, err
	}
	storage := s3.Of(facts)
	if storage == nil {
		return nil, components.Invalid("spec.objectStorage.type", "the ceph component offers no object storage: it is removed, "+
			"its objectStore is Disabled, or it is external without objectStore.externalGateways; enable it, or use type External")
	}
	return []components.Object{components.Owned(
		core.ConfigMap(facts.Platform.Name+"-object-storage", facts.Platform.Namespace).
			WithLabels(map[string]string{"app.kubernetes.io/name": "object-storage", "app.kubernetes.io/component": "discovery"}).
			WithData(storage.Discovery()),
	)}, nil
}

// Assess implements components.Component.
func (part) Assess(observed components.Observed) components.Health {
	return health.Assess(observed, nil)
}
