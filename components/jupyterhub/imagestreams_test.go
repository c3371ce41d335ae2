package jupyterhub_test

import (
	"encoding/json"
	"testing"

	imagev1 "github.com/openshift/api/image/v1"
	"sigs.k8s.io/yaml"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/jupyterhub"
)

// streams are the rendered ImageStreams as OpenShift's own types read them, without unknown fields.
func streams(t *testing.T, openShift bool, spec v1alpha1.JupyterHubSpec) []imagev1.ImageStream {
	t.Helper()
	odh := &v1alpha1.OpenDataHub{}
	odh.Name, odh.Namespace = "odh", "data"
	odh.Spec.Components.JupyterHub = &spec
	cluster := components.Cluster{OpenShift: openShift, IngressDomain: "apps.example.com"}
	rendered, err := jupyterhub.New().Render(components.NewFacts(odh, cluster, []components.Component{jupyterhub.New()}))
	if err != nil {
		t.Fatal(err)
	}
	var found []imagev1.ImageStream
	for _, object := range rendered {
		content, err := json.Marshal(object.ApplyConfiguration)
		if err != nil {
			t.Fatal(err)
		}
		var stream imagev1.ImageStream
		if err := json.Unmarshal(content, &stream.TypeMeta); err != nil {
			t.Fatal(err)
		}
		if stream.Kind != "ImageStream" {
			continue
		}
		if err := yaml.UnmarshalStrict(content, &stream); err != nil {
			t.Error(err)
		}
		found = append(found, stream)
	}
	return found
}

func TestImageStreams(t *testing.T) {
	gpu := v1alpha1.JupyterHubSpec{Sizes: []v1alpha1.NotebookSize{{Name: "gpu", GPUs: 1}}}
	all := streams(t, true, gpu)
	if len(all) != 9 {
		t.Errorf("there are %d ImageStreams, want one for each default image, 9", len(all))
	}
	for _, stream := range all {
		if len(stream.Spec.Tags) != 1 || stream.Spec.Tags[0].Name == "" || stream.Spec.Tags[0].From.Kind != "DockerImage" || stream.Spec.Tags[0].ReferencePolicy.Type != imagev1.SourceTagReferencePolicy {
			t.Errorf("%s has the tags %v", stream.Name, stream.Spec.Tags)
		}
	}
	own := v1alpha1.JupyterHubSpec{Images: []v1alpha1.NotebookImage{{Name: "mine", Image: "quay.io/example/mine:1"}}}
	if got := streams(t, true, own); len(got) > 0 {
		t.Errorf("with images of one's own: %v", got)
	}
	if got := streams(t, false, gpu); len(got) > 0 {
		t.Errorf("elsewhere: %v", got)
	}
}
