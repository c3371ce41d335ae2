// Package jupyterhub deploys JupyterHub: a hub, a proxy in front of it, and what the notebooks that the hub starts need.
package jupyterhub

import (
	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

const name = "jupyterHub"

// New returns the component.
func New() components.Component { return component{} }

type component struct{}

func (component) Name() string { return name }

// Kinds, in the order of applying: an account has its rights, and a network its policies, before a Pod uses them, and
// the address is published last. Removal goes the other way round.
func (component) Kinds() []kinds.Kind {
	return []kinds.Kind{
		kinds.NetworkPolicy,
		kinds.ServiceAccount,
		kinds.RoleBinding,
		kinds.Secret,
		kinds.ConfigMap,
		kinds.PersistentVolumeClaim,
		kinds.Service,
		kinds.Deployment,
		kinds.Ingress,
		kinds.Route,
		kinds.HTTPRoute,
	}
}

func (component) Render(facts components.Facts) ([]components.Object, error) {
	in, err := newInputs(facts)
	if err != nil {
		return nil, err
	}
	objects := []components.Object{
		components.Owned(hubPolicy(in)),
		components.Owned(proxyPolicy(in)),
		components.Owned(notebookPolicy(in)),
		components.Owned(hubAccount(in)),
		components.Owned(proxyAccount(in)),
		components.Owned(notebookAccount(in)),
		components.Owned(hubBinding(in)),
		keysSecret(in),
		proxySecret(in),
	}
	objects = append(objects, loginObjects(in)...)
	objects = append(objects,
		components.Owned(configMap(in)),
		components.Owned(profilesMap(in)),
		components.Data(database(in)),
		components.Owned(hubService(in)),
		components.Owned(proxyService(in)),
		components.Owned(webService(in)),
		components.Owned(proxyDeployment(in)),
		components.Owned(hubDeployment(in)),
	)
	return append(objects, exposed(in)...), nil
}

// References implements components.Referrer.
func (component) References(facts components.Facts) []components.Reference {
	var references []components.Reference
	if oidc := facts.Spec.Authentication.OIDC; oidc != nil && authenticationType(facts) == v1alpha1.AuthenticationOIDC {
		references = append(references, components.Reference{
			Field: "spec.authentication.oidc.clientSecretRef",
			Name:  oidc.ClientSecretRef.Name,
			Keys:  []string{oidcSecretKey},
		})
	}
	if tls := facts.Spec.Ingress.TLSSecretRef.Name; tls != "" && usesTLSSecret(ingressType(facts)) {
		references = append(references, components.Reference{
			Field: "spec.ingress.tlsSecretRef", Name: tls, Keys: []string{"tls.crt", "tls.key"},
		})
	}
	return append(references, facts.ObjectStorageReferences(components.BucketDataLake)...)
}

// Leftovers implements components.Leaver: KubeSpawner's Pods and volumes have no owner. The hub's own Pod does not
// carry the label.
func (component) Leftovers(facts components.Facts) []components.Leftover {
	labels := notebookLabels(facts.Platform.Name)
	return []components.Leftover{
		{Kind: kinds.Pod, Labels: labels},
		{Kind: kinds.PersistentVolumeClaim, Labels: labels, Data: true},
	}
}
