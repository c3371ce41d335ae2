// Package portal deploys the platform's page: what people open first. Package opendatahub.io/operator/portal serves it.
package portal

import (
	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
)

const (
	name = "portal"
	// part is the one Deployment.
	part = "server"
)

// Role is the ClusterRole, shipped in config/rbac, that is bound to the page's account in the platform's namespace: it reads OpenDataHubs.
const Role = "opendatahub-portal"

// New returns the component.
func New() components.Component { return component{} }

type component struct{}

// Name implements components.Component.
func (component) Name() string { return name }

// Images implements components.WithImages. Its own is the operator's.
func (component) Images() map[string]string { return native.LoginImages() }

// Kinds implements components.Component.
func (component) Kinds() []kinds.Kind { return native.Kinds() }

// Uses implements components.WithUses.
func (component) Uses() []components.Use { return native.ExposureUses() }

// References implements components.WithReferences.
func (component) References(facts components.Facts) []components.Reference {
	return native.NewApp(facts, name).References(facts)
}

// Declare implements components.WithDeclarations.
func (component) Declare(facts components.Facts) components.Declarations {
	_, proxy, err := newProxy(facts)
	if err != nil {
		return components.Declarations{} // Render says why
	}
	return components.Declarations{LoginClients: proxy.LoginClients()}
}

// Render implements components.Component.
func (component) Render(facts components.Facts) ([]components.Object, error) {
	in, err := newInputs(facts)
	if err != nil {
		return nil, err
	}
	objects := []components.Object{components.Owned(policy(in)), components.Owned(binding(in)), components.Owned(guides(in))}
	objects = append(objects, in.proxy.Objects()...)
	return append(objects, components.Owned(deployment(in))), nil
}

// Assess implements components.Component: the rules for native kinds say it all.
func (component) Assess(observed components.Observed) components.Health {
	result := health.Assess(observed, nil)
	in, err := newInputs(observed.Facts)
	if err != nil {
		return result
	}
	result.Endpoints = []v1alpha1.Endpoint{{Name: "web", URL: in.proxy.URL()}}
	result.CredentialsSecret = in.proxy.CredentialsSecret()
	return result
}
