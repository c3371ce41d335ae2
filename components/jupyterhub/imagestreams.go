package jupyterhub

import (
	"strings"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// imageStreamSpec has the fields that are set of https://docs.openshift.com/container-platform/latest/rest_api/image_apis/imagestream-image-openshift-io-v1.html
type imageStreamSpec struct {
	Tags []imageStreamTag `json:"tags"`
}

type imageStreamTag struct {
	Name            string            `json:"name"`
	Annotations     map[string]string `json:"annotations"`
	From            dockerImage       `json:"from"`
	ReferencePolicy referencePolicy   `json:"referencePolicy"`
}

type dockerImage struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

type referencePolicy struct {
	Type string `json:"type"`
}

// imageStreams make OpenShift know the default images: its console lists them, with the digest that a tag has, and policies and mirrors for
// imported images apply. Notebooks name the image itself, so that they start without an import, and where the cluster has no registry.
func imageStreams(in inputs) []components.Object {
	if !in.OpenShift || len(in.spec.Images) > 0 {
		return nil
	}
	var streams []components.Object
	for _, image := range in.images {
		_, tag, _ := strings.Cut(image.Image[strings.LastIndex(image.Image, "/"):], ":")
		stream := kinds.New(kinds.ImageStream.GVK(), in.Platform.Namespace, in.Object(image.Name), imageStreamSpec{Tags: []imageStreamTag{{
			Name: tag,
			Annotations: map[string]string{
				"openshift.io/display-name": image.DisplayName, "openshift.io/description": image.Description,
			},
			From:            dockerImage{Kind: "DockerImage", Name: image.Image},
			ReferencePolicy: referencePolicy{Type: "Source"},
		}}})
		stream.WithLabels(in.Labels(notebookPart))
		streams = append(streams, components.Owned(stream))
	}
	return streams
}
