package jupyterhub

import (
	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/health"
)

// Assess: the rules for native kinds say it all. The volume is bound when the hub runs, the address is admitted when a
// router took it.
func (component) Assess(observed components.Observed) components.Health {
	result := health.Assess(observed, nil)
	in, err := newInputs(observed.Facts)
	if err != nil {
		return result
	}
	result.Version = version
	result.Endpoints = []v1alpha1.Endpoint{{Name: "web", URL: in.url()}}
	if in.login.Type == v1alpha1.AuthenticationLocal {
		result.CredentialsSecret = in.Object(loginPart)
	}
	return result
}
