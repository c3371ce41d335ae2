package monitoring

import (
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
)

// The fields that we set of the Prometheus operator's custom resources,
// https://prometheus-operator.dev/docs/api-reference/api/.

type keyReference struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

type secretOrConfigMap struct {
	Secret    *keyReference `json:"secret,omitempty"`
	ConfigMap *keyReference `json:"configMap,omitempty"`
}

type tlsConfig struct {
	CA         *secretOrConfigMap `json:"ca,omitempty"`
	ServerName string             `json:"serverName,omitempty"`
}

type basicAuth struct {
	Username keyReference `json:"username"`
	Password keyReference `json:"password"`
}

type authorization struct {
	Type        string       `json:"type,omitempty"`
	Credentials keyReference `json:"credentials"`
}

type serverTLS struct {
	Certificate secretOrConfigMap `json:"cert"`
	Key         keyReference      `json:"keySecret"`
	MinVersion  string            `json:"minVersion"`
}

type webConfig struct {
	TLS serverTLS `json:"tlsConfig"`
}

type podMetadata struct {
	Labels map[string]string `json:"labels,omitempty"`
}

type volumeStorage struct {
	Template volumeTemplate `json:"volumeClaimTemplate"`
}

type volumeTemplate struct {
	Metadata podMetadata                                       `json:"metadata"`
	Spec     *core.PersistentVolumeClaimSpecApplyConfiguration `json:"spec"`
}

type volumeRetention struct {
	WhenDeleted string `json:"whenDeleted"`
	WhenScaled  string `json:"whenScaled"`
}

// serverSpec is what Prometheus and Alertmanager have in common.
type serverSpec struct {
	Replicas           int32                                              `json:"replicas"`
	ServiceAccountName string                                             `json:"serviceAccountName,omitempty"`
	PodMetadata        podMetadata                                        `json:"podMetadata"`
	Resources          *core.ResourceRequirementsApplyConfiguration       `json:"resources"`
	SecurityContext    *core.PodSecurityContextApplyConfiguration         `json:"securityContext"`
	Spread             []*core.TopologySpreadConstraintApplyConfiguration `json:"topologySpreadConstraints,omitempty"`
	NodeSelector       map[string]v1alpha1.LabelValue                     `json:"nodeSelector,omitempty"`
	Tolerations        []*core.TolerationApplyConfiguration               `json:"tolerations,omitempty"`
	Storage            volumeStorage                                      `json:"storage"`
	VolumeRetention    volumeRetention                                    `json:"persistentVolumeClaimRetentionPolicy"`
	Web                webConfig                                          `json:"web"`
}

type prometheusSpec struct {
	serverSpec             `json:",inline"`
	GracePeriodSeconds     int64                                 `json:"terminationGracePeriodSeconds"`
	AutomountToken         bool                                  `json:"automountServiceAccountToken"`
	Retention              string                                `json:"retention"`
	RetentionSize          string                                `json:"retentionSize"`
	ScrapeInterval         string                                `json:"scrapeInterval"`
	EvaluationInterval     string                                `json:"evaluationInterval"`
	ExternalLabels         map[string]string                     `json:"externalLabels"`
	EnableFeatures         []string                              `json:"enableFeatures"`
	Exemplars              exemplars                             `json:"exemplars"`
	PodMonitorSelector     *meta.LabelSelectorApplyConfiguration `json:"podMonitorSelector"`
	ServiceMonitorSelector *meta.LabelSelectorApplyConfiguration `json:"serviceMonitorSelector"`
	ScrapeConfigSelector   *meta.LabelSelectorApplyConfiguration `json:"scrapeConfigSelector"`
	RuleSelector           *meta.LabelSelectorApplyConfiguration `json:"ruleSelector"`
	Alerting               *alerting                             `json:"alerting,omitempty"`
	RemoteWrite            []remoteWrite                         `json:"remoteWrite,omitempty"`
}

type exemplars struct {
	MaxSize int64 `json:"maxSize"`
}

type alerting struct {
	Alertmanagers []alertmanagerEndpoint `json:"alertmanagers"`
}

type alertmanagerEndpoint struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Port      string    `json:"port"`
	Scheme    string    `json:"scheme"`
	TLS       tlsConfig `json:"tlsConfig"`
}

type remoteWrite struct {
	Name          string     `json:"name"`
	URL           string     `json:"url"`
	SendExemplars bool       `json:"sendExemplars"`
	BasicAuth     *basicAuth `json:"basicAuth,omitempty"`
	TLS           *tlsConfig `json:"tlsConfig,omitempty"`
	ProxyURL      string     `json:"proxyUrl,omitempty"`
	NoProxy       string     `json:"noProxy,omitempty"`
}

type alertmanagerSpec struct {
	serverSpec    `json:",inline"`
	Configuration configuration `json:"alertmanagerConfiguration"`
}

type configuration struct {
	Name string `json:"name"`
}

type alertmanagerConfigSpec struct {
	Route     route      `json:"route"`
	Inhibit   []inhibit  `json:"inhibitRules"`
	Receivers []receiver `json:"receivers"`
}

type route struct {
	Receiver       string    `json:"receiver"`
	GroupBy        []string  `json:"groupBy,omitempty"`
	GroupWait      string    `json:"groupWait,omitempty"`
	GroupInterval  string    `json:"groupInterval,omitempty"`
	RepeatInterval string    `json:"repeatInterval,omitempty"`
	Matchers       []matcher `json:"matchers,omitempty"`
	Continue       bool      `json:"continue,omitempty"`
	Routes         []route   `json:"routes,omitempty"`
}

type matcher struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	MatchType string `json:"matchType"`
}

type inhibit struct {
	SourceMatch []matcher `json:"sourceMatch"`
	TargetMatch []matcher `json:"targetMatch"`
	Equal       []string  `json:"equal"`
}

type receiver struct {
	Name      string      `json:"name"`
	Email     []email     `json:"emailConfigs,omitempty"`
	PagerDuty []pagerDuty `json:"pagerdutyConfigs,omitempty"`
	Slack     []slack     `json:"slackConfigs,omitempty"`
	Webhook   []webhook   `json:"webhookConfigs,omitempty"`
}

type email struct {
	To           string       `json:"to"`
	From         string       `json:"from"`
	Smarthost    string       `json:"smarthost"`
	Username     string       `json:"authUsername"`
	Password     keyReference `json:"authPassword"`
	RequireTLS   bool         `json:"requireTLS"`
	SendResolved bool         `json:"sendResolved"`
}

type pagerDuty struct {
	RoutingKey   keyReference `json:"routingKey"`
	SendResolved bool         `json:"sendResolved"`
	HTTP         *httpConfig  `json:"httpConfig,omitempty"`
}

type httpConfig struct {
	ProxyURL string     `json:"proxyUrl,omitempty"`
	NoProxy  string     `json:"noProxy,omitempty"`
	TLS      *tlsConfig `json:"tlsConfig,omitempty"`
}

type slack struct {
	URL          keyReference `json:"apiURL"`
	Channel      string       `json:"channel"`
	Title        string       `json:"title"`
	Text         string       `json:"text"`
	SendResolved bool         `json:"sendResolved"`
	HTTP         *httpConfig  `json:"httpConfig,omitempty"`
}

type webhook struct {
	URL          keyReference `json:"urlSecret"`
	SendResolved bool         `json:"sendResolved"`
	HTTP         *httpConfig  `json:"httpConfig,omitempty"`
}

type podMonitorSpec struct {
	Selector  *meta.LabelSelectorApplyConfiguration `json:"selector"`
	PodLabels []string                              `json:"podTargetLabels,omitempty"`
	Endpoints []podEndpoint                         `json:"podMetricsEndpoints"`
}

type podEndpoint struct {
	Port              string         `json:"port"`
	Path              string         `json:"path"`
	Scheme            string         `json:"scheme"`
	Interval          string         `json:"interval"`
	TLS               *tlsConfig     `json:"tlsConfig,omitempty"`
	BasicAuth         *basicAuth     `json:"basicAuth,omitempty"`
	Authorization     *authorization `json:"authorization,omitempty"`
	Relabelings       []relabeling   `json:"relabelings,omitempty"`
	MetricRelabelings []relabeling   `json:"metricRelabelings,omitempty"`
}

type relabeling struct {
	SourceLabels []string `json:"sourceLabels,omitempty"`
	Regex        string   `json:"regex,omitempty"`
	TargetLabel  string   `json:"targetLabel,omitempty"`
	Replacement  string   `json:"replacement,omitempty"`
	Action       string   `json:"action"`
}

type scrapeConfigSpec struct {
	JobName           string         `json:"jobName"`
	Static            []staticConfig `json:"staticConfigs,omitempty"`
	DNS               []dnsConfig    `json:"dnsSDConfigs,omitempty"`
	Scheme            string         `json:"scheme"`
	MetricsPath       string         `json:"metricsPath"`
	HonorLabels       bool           `json:"honorLabels"`
	ScrapeInterval    string         `json:"scrapeInterval"`
	Authorization     *authorization `json:"authorization,omitempty"`
	TLS               *tlsConfig     `json:"tlsConfig,omitempty"`
	Relabelings       []relabeling   `json:"relabelings,omitempty"`
	MetricRelabelings []relabeling   `json:"metricRelabelings,omitempty"`
}

type dnsConfig struct {
	Names []string `json:"names"`
	Type  string   `json:"type"`
	Port  int32    `json:"port"`
}

type staticConfig struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels,omitempty"`
}

// The fields that we set of the Grafana operator's custom resources,
// https://grafana.github.io/grafana-operator/docs/api/.

type grafanaSpec struct {
	Version        string                       `json:"version"`
	Config         map[string]map[string]string `json:"config"`
	DisableSecret  bool                         `json:"disableDefaultAdminSecret"`
	ServiceAccount metadata                     `json:"serviceAccount"`
	Deployment     deployment                   `json:"deployment"`
}

type metadata struct {
	Metadata podMetadata `json:"metadata"`
}

type deployment struct {
	Spec deploymentSpec `json:"spec"`
}

type deploymentSpec struct {
	Replicas int32       `json:"replicas"`
	Strategy strategy    `json:"strategy"`
	Template podTemplate `json:"template"`
}

type strategy struct {
	Type string `json:"type"`
}

type podTemplate struct {
	Metadata annotatedMetadata               `json:"metadata"`
	Spec     *core.PodSpecApplyConfiguration `json:"spec"`
}

type annotatedMetadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type datasourceSpec struct {
	UID        string                                `json:"uid"`
	Instance   *meta.LabelSelectorApplyConfiguration `json:"instanceSelector"`
	Datasource datasource                            `json:"datasource"`
	ValuesFrom []valueFrom                           `json:"valuesFrom,omitempty"`
}

type datasource struct {
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Access     string            `json:"access"`
	URL        string            `json:"url"`
	IsDefault  bool              `json:"isDefault"`
	JSON       map[string]any    `json:"jsonData"`
	SecureJSON map[string]string `json:"secureJsonData,omitempty"`
}

type valueFrom struct {
	TargetPath string      `json:"targetPath"`
	ValueFrom  valueSource `json:"valueFrom"`
}

type valueSource struct {
	Secret    *keyReference `json:"secretKeyRef,omitempty"`
	ConfigMap *keyReference `json:"configMapKeyRef,omitempty"`
}

type dashboardSpec struct {
	Instance *meta.LabelSelectorApplyConfiguration `json:"instanceSelector"`
	Folder   string                                `json:"folder"`
	JSON     string                                `json:"json"`
}
