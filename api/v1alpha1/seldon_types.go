package v1alpha1

// SeldonSpec serves models through Seldon Core: those that it lists, and those of SeldonDeployments that people create in the
// platform's namespace, which it prepares with storage, network policies and metrics.
type SeldonSpec struct {
	ComponentSpec `json:",inline"`

	// models says where models are stored.
	//
	// +optional
	Models SeldonModels `json:"models,omitempty,omitzero"`

	// deployments are models that the platform serves.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Deployments []SeldonModelDeployment `json:"deployments,omitempty"`

	// access says which Pods may call models: Namespace (those of the platform's namespace; the default) or Cluster. See also
	// deployments[].exposure.
	//
	// +kubebuilder:validation:Enum=Namespace;Cluster
	// +optional
	Access string `json:"access,omitempty"`

	// requestLog sends what the models of deployments are asked and what they answer to the platform's Kafka. Nothing is logged without it.
	//
	// +optional
	RequestLog *SeldonRequestLog `json:"requestLog,omitempty"`
}

// SeldonRequestLog is where requests to models are logged.
type SeldonRequestLog struct {
	// topic of Kafka. Defaults to seldon-requests. It is created if spec.components.kafka.topics does not have it.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][-A-Za-z0-9._]*$`
	// +optional
	Topic string `json:"topic,omitempty"`

	// content that is logged: All (the default), Requests or Responses.
	//
	// +optional
	Content SeldonLogContent `json:"content,omitempty"`
}

// SeldonLogContent is what is logged of requests.
//
// +kubebuilder:validation:Enum=All;Requests;Responses
type SeldonLogContent string

// The contents.
const (
	SeldonLogAll       SeldonLogContent = "All"
	SeldonLogRequests  SeldonLogContent = "Requests"
	SeldonLogResponses SeldonLogContent = "Responses"
)

// SeldonModels is where models are stored.
type SeldonModels struct {
	// bucket that holds models. With Ceph the platform makes it, and chooses its name if this is empty; an external object
	// storage must have it, and without this field it is "models".
	//
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9][-a-z0-9.]*[a-z0-9]$`
	// +optional
	Bucket string `json:"bucket,omitempty"`
}

// SeldonModelServer is the software that answers for a model.
//
// +kubebuilder:validation:Enum=SKLearn;XGBoost
type SeldonModelServer string

// The model servers of Seldon Core that need nothing but the file of the model.
const (
	SeldonSKLearn SeldonModelServer = "SKLearn"
	SeldonXGBoost SeldonModelServer = "XGBoost"
)

// SeldonExposure is how a model is reached from outside the cluster.
//
// +kubebuilder:validation:Enum=None;Login
type SeldonExposure string

// The exposures.
const (
	SeldonExposureNone  SeldonExposure = "None"
	SeldonExposureLogin SeldonExposure = "Login"
)

// SeldonAnswer is what a model of scikit-learn says.
//
// +kubebuilder:validation:Enum=Probabilities;Prediction;Decision
type SeldonAnswer string

// The answers.
const (
	SeldonAnswerProbabilities SeldonAnswer = "Probabilities"
	SeldonAnswerPrediction    SeldonAnswer = "Prediction"
	SeldonAnswerDecision      SeldonAnswer = "Decision"
)

// SeldonModelDeployment is a model that the platform serves.
//
// +kubebuilder:validation:XValidation:rule="!has(self.answer) || self.server == 'SKLearn'",message="answer is for the server SKLearn; leave it out",fieldPath=".answer"
type SeldonModelDeployment struct {
	// name of the model, in its address.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// server that answers for the model: SKLearn reads model.joblib, XGBoost reads model.bst.
	//
	// +required
	Server SeldonModelServer `json:"server"`

	// answer of a model of SKLearn: Probabilities of the classes (the default), Prediction (the class; for a model of numbers, such as a
	// regression, which has no probabilities, the number), or Decision (the score of each class).
	//
	// +optional
	Answer SeldonAnswer `json:"answer,omitempty"`

	// path of the folder in the bucket with the model's file. Defaults to the name.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_][-A-Za-z0-9_.=]*(/[A-Za-z0-9_][-A-Za-z0-9_.=]*)*$`
	// +optional
	Path string `json:"path,omitempty"`

	// replicas of the server. Defaults to 1; in the profile HighAvailability to 2.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// resources of the model server in each replica. Defaults follow the profile.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`

	// exposure of the model outside the cluster: None (the default), or Login: at the host seldon-<platform> of spec.ingress, behind the
	// login of spec.authentication.
	//
	// +optional
	Exposure SeldonExposure `json:"exposure,omitempty"`
}
