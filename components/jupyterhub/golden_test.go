package jupyterhub_test

import (
	"encoding/json"
	"strings"
	"testing"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/jupyterhub"
	"opendatahub.io/operator/components/kinds"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, jupyterhub.New()) }

// The Gateway API is not an operator, so its CRDs are not among those of the operators. An ImageStream has no CRD: TestImageStreams checks
// it against OpenShift's types.
func TestUpstream(t *testing.T) {
	componenttest.Upstream(t, jupyterhub.New(), kinds.HTTPRoute, kinds.ImageStream)
}

func TestHealth(t *testing.T) { componenttest.Health(t, jupyterhub.New()) }

// tracker stands for a component that notebooks use.
type tracker struct{ components.Component }

func (tracker) Name() string { return "monitoring" }

func (tracker) Declare(components.Facts) components.Declarations {
	return components.Declarations{Notebooks: components.Notebooks{
		Environment: []*core.EnvVarApplyConfiguration{core.EnvVar().WithName("TRACKER_URL").WithValue("http://tracker:5000")},
		Backends:    []components.Backend{{Pods: map[string]string{"app": "tracker"}, Port: 5000}},
		Authorities: []components.NotebookAuthority{{
			Name: "tracker", CertificateAuthority: components.CertificateAuthority{Secret: "tracker-tls", Key: "ca.crt"},
		}},
	}}
}

// Notebooks get what components declare for them, of which JupyterHub knows nothing.
func TestNotebooksGetWhatComponentsDeclare(t *testing.T) {
	hub := &v1alpha1.OpenDataHub{}
	hub.Name, hub.Namespace = "odh", "lab"
	hub.Spec.Components.JupyterHub = &v1alpha1.JupyterHubSpec{}
	render := func() string {
		facts := components.NewFacts(hub, components.Cluster{}, []components.Component{jupyterhub.New(), tracker{}})
		objects, err := jupyterhub.New().Render(facts)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, object := range objects {
			content, err := json.Marshal(object.ApplyConfiguration)
			if err != nil {
				t.Fatal(err)
			}
			text += string(content)
		}
		return text
	}
	environment := `\"environment\": {\n      \"TRACKER_URL\": \"http://tracker:5000\"`
	reach := `{"ports":[{"protocol":"TCP","port":5000}],"to":[{"podSelector":{"matchLabels":{"app":"tracker"}}}]}`
	file := `\"mountPath\": \"/etc/opendatahub/tracker-ca\"`
	secret := `\"secretName\": \"tracker-tls\"`
	for _, part := range []string{environment, reach, file, secret} {
		if strings.Contains(render(), part) {
			t.Errorf("a component that the platform does not have is in it: %s", part)
		}
	}
	hub.Spec.Components.Monitoring = &v1alpha1.MonitoringSpec{}
	for _, part := range []string{environment, reach, file, secret} {
		if !strings.Contains(render(), part) {
			t.Errorf("%s is missing in\n%s", part, render())
		}
	}
}
