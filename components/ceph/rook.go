package ceph

import (
	corev1 "k8s.io/client-go/applyconfigurations/core/v1"
)

// The fields that we set of Rook's custom resources, https://rook.io/docs/rook/latest/CRDs/specification/.

type clusterSpec struct {
	CephVersion     *cephVersion     `json:"cephVersion,omitempty"`
	DataDirHostPath string           `json:"dataDirHostPath,omitempty"`
	External        *external        `json:"external,omitempty"`
	Mon             *monitors        `json:"mon,omitempty"`
	Mgr             *managers        `json:"mgr,omitempty"`
	Dashboard       *dashboard       `json:"dashboard,omitempty"`
	Monitoring      enabled          `json:"monitoring,omitzero"`
	Network         *network         `json:"network,omitempty"`
	CrashCollector  crashCollector   `json:"crashCollector,omitzero"`
	LogCollector    *logCollector    `json:"logCollector,omitempty"`
	Security        *clusterSecurity `json:"security,omitempty"`
	// CephConfig is Ceph's configuration by section.
	CephConfig           map[string]map[string]string `json:"cephConfig,omitempty"`
	Storage              *storage                     `json:"storage,omitempty"`
	Resources            map[string]amounts           `json:"resources,omitempty"`
	Placement            map[string]placement         `json:"placement,omitempty"`
	Labels               *labels                      `json:"labels,omitempty"`
	PriorityClassNames   map[string]string            `json:"priorityClassNames,omitempty"`
	DisruptionManagement *disruption                  `json:"disruptionManagement,omitempty"`
}

type external struct {
	Enable bool `json:"enable"`
}

type enabled struct {
	Enabled bool `json:"enabled"`
}

type cephVersion struct {
	Image string `json:"image"`
}

type monitors struct {
	Count                int32  `json:"count"`
	AllowMultiplePerNode bool   `json:"allowMultiplePerNode"`
	VolumeClaimTemplate  *claim `json:"volumeClaimTemplate,omitempty"`
}

type managers struct {
	Count                int32 `json:"count"`
	AllowMultiplePerNode bool  `json:"allowMultiplePerNode"`
}

type dashboard struct {
	Enabled bool `json:"enabled"`
	SSL     bool `json:"ssl"`
}

type network struct {
	Connections connections `json:"connections"`
}

type connections struct {
	RequireMsgr2 bool    `json:"requireMsgr2"`
	Encryption   enabled `json:"encryption"`
}

type crashCollector struct {
	Disable bool `json:"disable,omitempty"`
}

type logCollector struct {
	Enabled     bool   `json:"enabled"`
	Periodicity string `json:"periodicity"`
	MaxLogSize  string `json:"maxLogSize"`
}

type clusterSecurity struct {
	CephX cephX `json:"cephx"`
}

type cephX struct {
	CSI keyType `json:"csi"`
}

type keyType struct {
	KeyType string `json:"keyType"`
}

type storage struct {
	UseAllNodes            bool              `json:"useAllNodes"`
	UseAllDevices          bool              `json:"useAllDevices"`
	DeviceFilter           string            `json:"deviceFilter,omitempty"`
	Nodes                  []node            `json:"nodes,omitempty"`
	Config                 map[string]string `json:"config,omitempty"`
	StorageClassDeviceSets []deviceSet       `json:"storageClassDeviceSets,omitempty"`
}

type node struct {
	Name          string   `json:"name"`
	UseAllDevices *bool    `json:"useAllDevices,omitempty"`
	Devices       []device `json:"devices,omitempty"`
}

type device struct {
	Name string `json:"name"`
}

type deviceSet struct {
	Name                 string     `json:"name"`
	Count                int32      `json:"count"`
	Portable             bool       `json:"portable"`
	Encrypted            bool       `json:"encrypted,omitempty"`
	Placement            *placement `json:"placement,omitempty"`
	PreparePlacement     *placement `json:"preparePlacement,omitempty"`
	Resources            amounts    `json:"resources"`
	VolumeClaimTemplates []claim    `json:"volumeClaimTemplates"`
}

type claim struct {
	Metadata *claimMetadata `json:"metadata,omitempty"`
	Spec     claimSpec      `json:"spec"`
}

type claimMetadata struct {
	Name   string            `json:"name,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

type claimSpec struct {
	StorageClassName string                                               `json:"storageClassName,omitempty"`
	VolumeMode       string                                               `json:"volumeMode,omitempty"`
	AccessModes      []string                                             `json:"accessModes,omitempty"`
	Resources        *corev1.VolumeResourceRequirementsApplyConfiguration `json:"resources"`
}

type placement struct {
	NodeAffinity              *corev1.NodeAffinityApplyConfiguration               `json:"nodeAffinity,omitempty"`
	PodAntiAffinity           *corev1.PodAntiAffinityApplyConfiguration            `json:"podAntiAffinity,omitempty"`
	Tolerations               []*corev1.TolerationApplyConfiguration               `json:"tolerations,omitempty"`
	TopologySpreadConstraints []*corev1.TopologySpreadConstraintApplyConfiguration `json:"topologySpreadConstraints,omitempty"`
}

// amounts are the resources of a container.
type amounts = *corev1.ResourceRequirementsApplyConfiguration

type labels struct {
	All map[string]string `json:"all"`
}

type disruption struct {
	ManagePodBudgets bool `json:"managePodBudgets"`
}

type pool struct {
	Name          string            `json:"name,omitempty"`
	FailureDomain string            `json:"failureDomain,omitempty"`
	Replicated    *replicated       `json:"replicated,omitempty"`
	ErasureCoded  *erasureCoded     `json:"erasureCoded,omitempty"`
	Parameters    map[string]string `json:"parameters,omitempty"`
}

type replicated struct {
	Size                   int32 `json:"size"`
	RequireSafeReplicaSize bool  `json:"requireSafeReplicaSize"`
}

type erasureCoded struct {
	DataChunks   int32 `json:"dataChunks"`
	CodingChunks int32 `json:"codingChunks"`
}

type fileSystemSpec struct {
	MetadataPool               pool           `json:"metadataPool"`
	DataPools                  []pool         `json:"dataPools"`
	PreserveFilesystemOnDelete bool           `json:"preserveFilesystemOnDelete"`
	MetadataServer             metadataServer `json:"metadataServer"`
}

type metadataServer struct {
	ActiveCount   int32             `json:"activeCount"`
	ActiveStandby bool              `json:"activeStandby"`
	Labels        map[string]string `json:"labels,omitempty"`
	Placement     *placement        `json:"placement,omitempty"`
	Resources     amounts           `json:"resources,omitempty"`
}

type objectStoreSpec struct {
	MetadataPool          *pool          `json:"metadataPool,omitempty"`
	DataPool              *pool          `json:"dataPool,omitempty"`
	PreservePoolsOnDelete bool           `json:"preservePoolsOnDelete,omitempty"`
	Gateway               gateway        `json:"gateway"`
	Security              *storeSecurity `json:"security,omitempty"`
}

type gateway struct {
	Port                 int32             `json:"port,omitempty"`
	SecurePort           int32             `json:"securePort,omitempty"`
	SSLCertificateRef    string            `json:"sslCertificateRef,omitempty"`
	Instances            int32             `json:"instances,omitempty"`
	Annotations          map[string]string `json:"annotations,omitempty"`
	Labels               map[string]string `json:"labels,omitempty"`
	Placement            *placement        `json:"placement,omitempty"`
	Resources            amounts           `json:"resources,omitempty"`
	Service              *gatewayService   `json:"service,omitempty"`
	ExternalRGWEndpoints []address         `json:"externalRgwEndpoints,omitempty"`
}

type gatewayService struct {
	Annotations map[string]string `json:"annotations"`
}

type address struct {
	IP       string `json:"ip,omitempty"`
	Hostname string `json:"hostname,omitempty"`
}

type storeSecurity struct {
	KMS *keyService `json:"kms,omitempty"`
	S3  *keyService `json:"s3,omitempty"`
}

type keyService struct {
	ConnectionDetails map[string]string `json:"connectionDetails"`
	TokenSecretName   string            `json:"tokenSecretName"`
}

type userSpec struct {
	Store        string            `json:"store"`
	DisplayName  string            `json:"displayName"`
	Capabilities map[string]string `json:"capabilities"`
}

type bucketClaimSpec struct {
	BucketName       string            `json:"bucketName"`
	StorageClassName string            `json:"storageClassName"`
	AdditionalConfig map[string]string `json:"additionalConfig,omitempty"`
}
