// Package jupyterhub deploys JupyterHub: a hub, a proxy in front of it, and what the notebooks that the hub starts need.
package jupyterhub

import (
	"fmt"
	"slices"
	"strings"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

const name = "jupyterHub"

// New returns the component.
func New() components.Component { return component{} }

type component struct{}

func (component) Name() string { return name }

// Images implements components.WithImages.
func (component) Images() map[string]string {
	all := map[string]string{"JUPYTERHUB_HUB": hubImage, "JUPYTERHUB_PROXY": proxyImage}
	for _, image := range slices.Concat(defaultImages, gpuImages, []v1alpha1.NotebookImage{beakerxImage}) {
		all["NOTEBOOK_"+strings.ToUpper(strings.ReplaceAll(image.Name, "-", "_"))] = image.Image
	}
	return all
}

// Kinds implements components.Component.
func (component) Kinds() []kinds.Kind {
	return append(native.Kinds(), kinds.DaemonSet, kinds.Job, kinds.ImageStream)
}

// Uses implements components.WithUses.
func (component) Uses() []components.Use {
	return append(native.ExposureUses(), components.Use{Kind: kinds.ImageStream, Optional: true})
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
		components.Owned(in.ServiceAccount(proxyPart)),
		components.Owned(notebookAccount(in)),
		components.Owned(hubBinding(in)),
		keysSecret(in),
		proxySecret(in),
	}
	objects = append(objects, loginObjects(in)...)
	if in.database == nil {
		objects = append(objects, in.Claim(hubPart, databasePart, in.databaseVolume))
	}
	objects = append(objects, components.Owned(configMap(in)), components.Owned(profilesMap(in)))
	objects = append(objects, extraObjects(in)...)
	objects = append(objects,
		components.Owned(hubService(in)),
		// The proxy's inner ports: its API for the hub, and its metrics.
		components.Owned(in.Service(in.Object(proxyPart), proxyPart, native.ServicePort("api", 8001), native.ServicePort("metrics", 8002))),
		components.Owned(in.Service(in.Web(), proxyPart, native.ServicePort("http", 80))),
		components.Owned(proxyDeployment(in)),
	)
	if !in.extraConfig.awaited {
		objects = append(objects, components.Owned(hubDeployment(in)))
	}
	if in.spec.PrePull == v1alpha1.Enabled {
		objects = append(objects, components.Owned(pullPolicy(in)), components.Owned(pullDaemonSet(in)))
	}
	objects = append(objects, imageStreams(in)...)
	return append(objects, in.Exposed(in.expose, web)...), nil
}

// Reach implements components.WithReach: what the hub runs may do all that the hub may, and reads its Secrets and its database; and
// whoever may edit OpenDataHubs need not be allowed to read the volumes of the namespace, which notebooks show.
func (component) Reach(facts components.Facts) []components.Reach {
	var reach []components.Reach
	if specOf(facts).ExtraConfig != "" {
		reach = append(reach, components.Reach{Mark: components.LabelAllowCode, Field: field + "extraConfig", What: "Python in the hub, with its Secrets, its database and its rights"})
	}
	if len(specOf(facts).SharedVolumes) > 0 {
		reach = append(reach, components.Reach{Mark: components.LabelAllowVolumes, Field: field + "sharedVolumes", What: "volumes of the namespace in notebooks"})
	}
	return reach
}

// References implements components.WithReferences. What notebooks get their users can read, who need not be allowed to read Secrets.
func (component) References(facts components.Facts) []components.Reference {
	references := append(native.LoginReferences(facts), native.IngressReferences(facts)...)
	references = append(references, native.TrustedCAReferences(facts)...)
	references = append(references, databaseOf(specOf(facts)).References(facts)...)
	storage := s3.References(facts, s3.DataLake)
	for i, reference := range storage {
		storage[i].Notebooks = !reference.Awaited && slices.Contains(reference.Keys, s3.SecretKey) && specOf(facts).S3Credentials != perUser
	}
	return append(append(references, storage...), environmentReferences(specOf(facts))...)
}

// environmentReferences are the Secrets of variables, each once.
func environmentReferences(spec v1alpha1.JupyterHubSpec) []components.Reference {
	var references []components.Reference
	for i, variable := range spec.Environment {
		secret := variable.SecretRef
		if secret.Name == "" {
			continue
		}
		at := slices.IndexFunc(references, func(r components.Reference) bool { return r.Name == secret.Name })
		if at < 0 {
			at = len(references)
			references = append(references, components.Reference{
				Field: fmt.Sprintf("%senvironment[%d].secretRef", field, i), Name: secret.Name, Notebooks: true,
			})
		}
		if !slices.Contains(references[at].Keys, secret.Key) {
			references[at].Keys = append(references[at].Keys, secret.Key)
		}
	}
	return references
}

// LeftoverKinds implements components.WithLeftovers.
func (component) LeftoverKinds() []kinds.Kind {
	return []kinds.Kind{kinds.Pod, kinds.PersistentVolumeClaim}
}

// Leftovers implements components.WithLeftovers: KubeSpawner's Pods and volumes have no owner. The hub's own Pod does not
// carry the label.
func (component) Leftovers(facts components.Facts) []components.Leftover {
	labels := notebookLabels(facts.Platform.Name)
	return []components.Leftover{
		{Kind: kinds.Pod, Labels: labels},
		{Kind: kinds.PersistentVolumeClaim, Labels: labels, Data: true},
	}
}
