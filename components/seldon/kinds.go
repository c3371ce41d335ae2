package seldon

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
)

// SeldonDeployment is a model that Seldon Core serves.
var SeldonDeployment = kinds.Kind{
	GroupKind: schema.GroupKind{Group: "machinelearning.seldon.io", Kind: "SeldonDeployment"},
	Versions:  []string{"v1"}, Plural: "seldondeployments", Provider: "Seldon Core",
}

// Kinds implements components.Component. SeldonDeployments are served even if the platform lists no model: people make their own. The
// address outside is published last, and removed first.
func (component) Kinds() []kinds.Kind {
	return append([]kinds.Kind{
		kinds.NetworkPolicy, kinds.ServiceAccount, kinds.RoleBinding, kinds.Secret, kinds.ConfigMap, SeldonDeployment, kinds.Service, kinds.Deployment,
	}, native.ExposureKinds()...)
}

// Uses implements components.WithUses.
func (component) Uses() []components.Use { return native.ExposureUses() }

// The fields that we set of a SeldonDeployment, https://docs.seldon.io/projects/seldon-core/en/v1.17.1/reference/seldon-deployment.html.

type deploymentSpec struct {
	Protocol   string      `json:"protocol"`
	Predictors []predictor `json:"predictors"`
}

type predictor struct {
	Name           string          `json:"name"`
	Replicas       int32           `json:"replicas"`
	ComponentSpecs []componentSpec `json:"componentSpecs"`
	Graph          predictiveUnit  `json:"graph"`
	SvcOrchSpec    svcOrchSpec     `json:"svcOrchSpec"`
}

type componentSpec struct {
	Metadata podMetadata                     `json:"metadata"`
	Spec     *core.PodSpecApplyConfiguration `json:"spec"`
}

type podMetadata struct {
	Labels map[string]string `json:"labels"`
}

type predictiveUnit struct {
	Name             string         `json:"name"`
	Implementation   string         `json:"implementation"`
	ModelURI         string         `json:"modelUri"`
	EnvSecretRefName string         `json:"envSecretRefName"`
	Parameters       []parameter    `json:"parameters,omitempty"`
	Logger           *requestLogger `json:"logger,omitempty"`
}

type parameter struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

type requestLogger struct {
	Mode string `json:"mode"`
}

type svcOrchSpec struct {
	Env       []*core.EnvVarApplyConfiguration             `json:"env,omitempty"`
	Resources *core.ResourceRequirementsApplyConfiguration `json:"resources"`
}
