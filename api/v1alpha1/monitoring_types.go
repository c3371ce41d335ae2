package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// MonitoringSpec is Prometheus, Alertmanager and Grafana, with scrape rules, alerts and dashboards for every component.
//
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'Cluster' || !(has(self.prometheus) || has(self.alertmanager))",message="prometheus and alertmanager are allowed only when type is Platform: with type Cluster they are the cluster's own"
type MonitoringSpec struct {
	ComponentSpec `json:",inline"`

	// type is Platform (a Prometheus and an Alertmanager of the platform's own) or Cluster (scrape rules and alerts are
	// picked up by a Prometheus that the cluster already runs, such as OpenShift's user workload monitoring).
	// Defaults to Cluster on OpenShift, otherwise to Platform.
	//
	// +kubebuilder:validation:Enum=Platform;Cluster
	// +optional
	Type string `json:"type,omitempty"`

	// scrapeIntervalSeconds between two looks at a target. Defaults to 30.
	//
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=300
	// +optional
	ScrapeIntervalSeconds int32 `json:"scrapeIntervalSeconds,omitempty"`

	// alerts are rules for every component. Defaults to Enabled.
	//
	// +optional
	Alerts Toggle `json:"alerts,omitempty"`

	// runbookURL is where the operator's docs/runbooks.md is published, as in https://wiki.example.com/runbooks. Every alert
	// links to its section there, in the annotation runbook_url. Defaults to no link.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^https?://[A-Za-z0-9][A-Za-z0-9._~:/?&=%+-]*$`
	// +optional
	RunbookURL string `json:"runbookURL,omitempty"`

	// prometheus stores metrics.
	//
	// +optional
	Prometheus PrometheusSpec `json:"prometheus,omitempty,omitzero"`

	// alertmanager sends notifications.
	//
	// +optional
	Alertmanager AlertmanagerSpec `json:"alertmanager,omitempty,omitzero"`

	// grafana shows dashboards.
	//
	// +optional
	Grafana GrafanaSpec `json:"grafana,omitempty,omitzero"`
}

// PrometheusSpec stores metrics.
type PrometheusSpec struct {
	// replicas, each with all metrics. Defaults to that of the profile.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// retentionDays that metrics are kept. Defaults to 15.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	// +optional
	RetentionDays int32 `json:"retentionDays,omitempty"`

	// retentionSize is how much of the volume metrics may fill before the oldest go, as in 40Gi. Defaults to 80% of
	// the volume.
	//
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('1Mi')) && !quantity(string(self)).isGreaterThan(quantity('1Pi'))",message="retentionSize must be between 1Mi and 1Pi, as in 40Gi"
	// +optional
	RetentionSize resource.Quantity `json:"retentionSize,omitempty,omitzero"`

	// storage of each replica. Not on the platform's own Ceph: it must be seen to fail.
	//
	// +optional
	Storage Storage `json:"storage,omitempty,omitzero"`

	// resources of each replica.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`

	// remoteWrite sends all metrics to other systems as well.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	// +optional
	RemoteWrite []RemoteWrite `json:"remoteWrite,omitempty"`
}

// RemoteWrite is a system that receives all metrics.
type RemoteWrite struct {
	// name of the system.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// url to send to, as in https://metrics.example.com/api/v1/write.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[-A-Za-z0-9._~/]*)?$')",message="url must be a URL such as https://metrics.example.com/api/v1/write, without user, query or fragment"
	// +required
	URL string `json:"url"`

	// credentialsSecretRef names a Secret of type kubernetes.io/basic-auth in the platform's namespace.
	//
	// +optional
	CredentialsSecretRef LocalReference `json:"credentialsSecretRef,omitempty,omitzero"`

	// caSecretRef names a Secret in the platform's namespace whose key ca.crt holds the certificate authority of the
	// url. Defaults to the public authorities.
	//
	// +optional
	CASecretRef LocalReference `json:"caSecretRef,omitempty,omitzero"`
}

// AlertmanagerSpec sends notifications.
type AlertmanagerSpec struct {
	// state is Enabled (the default) or Disabled.
	//
	// +optional
	State Toggle `json:"state,omitempty"`

	// replicas that agree on what was sent. Defaults to that of the profile.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// storage of each replica.
	//
	// +optional
	Storage Storage `json:"storage,omitempty,omitzero"`

	// resources of each replica.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`

	// receivers of notifications. Without any, alerts are shown and sent to nobody.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Receivers []AlertReceiver `json:"receivers,omitempty"`
}

// AlertReceiverType says how a receiver is notified.
//
// +kubebuilder:validation:Enum=Email;PagerDuty;Slack;Webhook
type AlertReceiverType string

// The kinds of receivers.
const (
	// AlertReceiverEmail sends mail.
	AlertReceiverEmail AlertReceiverType = "Email"
	// AlertReceiverPagerDuty opens incidents.
	AlertReceiverPagerDuty AlertReceiverType = "PagerDuty"
	// AlertReceiverSlack posts to a channel.
	AlertReceiverSlack AlertReceiverType = "Slack"
	// AlertReceiverWebhook posts Alertmanager's JSON to a URL.
	AlertReceiverWebhook AlertReceiverType = "Webhook"
)

// AlertReceiver is who is notified of alerts.
//
// +kubebuilder:validation:XValidation:rule="has(self.email) == (self.type == 'Email')",message="email must be set when type is Email, and only then"
// +kubebuilder:validation:XValidation:rule="has(self.slackChannel) == (self.type == 'Slack')",message="slackChannel must be set when type is Slack, and only then"
type AlertReceiver struct {
	// name of the receiver.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// type is Email, PagerDuty, Slack or Webhook.
	//
	// +required
	Type AlertReceiverType `json:"type"`

	// minimumSeverity of the alerts that are sent: Info, Warning or Critical. Defaults to Warning.
	//
	// +kubebuilder:validation:Enum=Info;Warning;Critical
	// +optional
	MinimumSeverity string `json:"minimumSeverity,omitempty"`

	// secretRef names a Secret in the platform's namespace that holds what must stay secret: the key url for Slack and
	// Webhook, routingKey for PagerDuty, password for Email.
	//
	// +required
	SecretRef LocalReference `json:"secretRef"`

	// slackChannel to post to, as in #alerts, when type is Slack.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	// +kubebuilder:validation:Pattern=`^[#@]?[a-z0-9][-a-z0-9_.]*$`
	// +optional
	SlackChannel string `json:"slackChannel,omitempty"`

	// email is where mail goes when type is Email.
	//
	// +optional
	Email *EmailReceiver `json:"email,omitempty"`
}

// EmailReceiver is where mail goes.
type EmailReceiver struct {
	// to whom mail is sent.
	//
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][-A-Za-z0-9._+]*@[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$`
	// +required
	To string `json:"to"`

	// from whom mail comes.
	//
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][-A-Za-z0-9._+]*@[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$`
	// +required
	From string `json:"from"`

	// server that sends the mail, with its port, as in smtp.example.com:587. TLS is required.
	//
	// +kubebuilder:validation:MaxLength=260
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?:[0-9]{1,5}$`
	// +required
	Server string `json:"server"`

	// username at the server. Defaults to the address in from.
	//
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][-A-Za-z0-9._+@]*$`
	// +optional
	Username string `json:"username,omitempty"`
}

// GrafanaSpec shows dashboards.
type GrafanaSpec struct {
	// state is Enabled (the default) or Disabled.
	//
	// +optional
	State Toggle `json:"state,omitempty"`

	// storage of dashboards and users that people make in Grafana itself.
	//
	// +optional
	Storage Storage `json:"storage,omitempty,omitzero"`

	// resources of Grafana.
	//
	// +optional
	Resources Resources `json:"resources,omitempty,omitzero"`
}
