package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// CephSpec is a Ceph cluster, deployed through the Rook operator: block, file and S3 object storage.
//
// +kubebuilder:validation:XValidation:rule="!self.external || !(has(self.devices) || has(self.monitors) || has(self.managers) || has(self.encrypted) || has(self.encryptedTransport) || has(self.version) || has(self.failureDomain) || has(self.copies))",message="external uses a Ceph cluster that runs elsewhere: version, devices, monitors, managers, copies, failureDomain, encrypted and encryptedTransport are settings of that cluster and must not be set here"
// +kubebuilder:validation:XValidation:rule="has(self.objectStore) && has(self.objectStore.externalGateways) ? self.external : true",message="objectStore.externalGateways is allowed only when external is true"
type CephSpec struct {
	ComponentSpec `json:",inline"`

	// version of Ceph, as in 20.2.4. Defaults to the one this operator was tested with. It can be raised by one major
	// version at a time and never lowered: Ceph cannot go back.
	//
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]\.[0-9]{1,2}\.[0-9]{1,2}$`
	// +optional
	Version string `json:"version,omitempty"`

	// external uses a Ceph cluster that already runs elsewhere instead of deploying one. Its connection is imported
	// into the platform's namespace with Rook's import script. It cannot be changed later.
	//
	// +kubebuilder:default=false
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="external cannot be changed: remove the component and add it again"
	// +optional
	External bool `json:"external,omitempty"`

	// devices says what data is stored on. Defaults to volumes of the cluster's default StorageClass.
	//
	// +optional
	Devices CephDevices `json:"devices,omitempty,omitzero"`

	// encrypted encrypts data at rest on every device (dm-crypt). It takes effect on devices that Ceph starts to use
	// afterwards; those in use stay as they are.
	//
	// +optional
	Encrypted bool `json:"encrypted,omitempty"`

	// encryptedTransport encrypts all traffic between Ceph daemons and with clients (msgr2 secure mode). Nodes that
	// mount Ceph volumes need Linux 5.11 or later.
	//
	// +optional
	EncryptedTransport bool `json:"encryptedTransport,omitempty"`

	// monitors keep the map of the cluster, and must agree by majority.
	//
	// +optional
	Monitors CephMonitors `json:"monitors,omitempty,omitzero"`

	// managers is the number of manager daemons, of which one is active. Defaults to that of the profile.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2
	// +optional
	Managers int32 `json:"managers,omitempty"`

	// copies of every piece of data, in as many failure domains. Defaults to that of the profile. 1 loses data with the
	// first device that fails.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	// +optional
	Copies int32 `json:"copies,omitempty"`

	// failureDomain is what may fail without loss of data: Device, Host or Zone. Defaults to that of the profile.
	//
	// +kubebuilder:validation:Enum=Device;Host;Zone
	// +optional
	FailureDomain string `json:"failureDomain,omitempty"`

	// blockStorage is a pool with a StorageClass for volumes that one Pod mounts at a time.
	//
	// +optional
	BlockStorage CephBlockStorage `json:"blockStorage,omitempty,omitzero"`

	// fileSystem is a shared file system with a StorageClass for volumes that many Pods mount at once.
	//
	// +optional
	FileSystem CephFileSystem `json:"fileSystem,omitempty,omitzero"`

	// objectStore is the S3 service, the data lake of the platform.
	//
	// +optional
	ObjectStore CephObjectStore `json:"objectStore,omitempty,omitzero"`

	// dashboard is Ceph's own web interface, with TLS and a generated password. Enabled by default.
	//
	// +optional
	Dashboard Toggle `json:"dashboard,omitempty"`

	// resources of the daemons.
	//
	// +optional
	Resources CephResources `json:"resources,omitempty,omitzero"`

	// placement of the daemons that store data. The others have their own in monitors, fileSystem and objectStore.
	//
	// +optional
	Placement Placement `json:"placement,omitempty,omitzero"`

	// destroyData confirms, in the words of Rook, that the data of the Ceph cluster is wiped when the component or the
	// platform is removed and deletionPolicy is Delete. If unset, nothing that Ceph stores is ever deleted.
	//
	// +kubebuilder:validation:Enum=yes-really-destroy-data
	// +optional
	DestroyData string `json:"destroyData,omitempty"`
}

// CephDevicesType says how the devices that hold data are chosen.
//
// +kubebuilder:validation:Enum=VolumeClaims;All;Filter;Nodes
type CephDevicesType string

// The ways to choose devices.
const (
	// CephDevicesVolumeClaims stores data on volumes of a StorageClass. For clouds.
	CephDevicesVolumeClaims CephDevicesType = "VolumeClaims"
	// CephDevicesAll uses every empty device of every node.
	CephDevicesAll CephDevicesType = "All"
	// CephDevicesFilter uses the empty devices, on every node, whose names match.
	CephDevicesFilter CephDevicesType = "Filter"
	// CephDevicesNodes uses the devices named for each node.
	CephDevicesNodes CephDevicesType = "Nodes"
)

// CephDevices is a union: type says which of the other fields counts.
//
// +kubebuilder:validation:XValidation:rule="!has(self.volumeClaims) || !has(self.type) || self.type == 'VolumeClaims'",message="volumeClaims is allowed only when type is VolumeClaims"
// +kubebuilder:validation:XValidation:rule="has(self.filter) == (has(self.type) && self.type == 'Filter')",message="filter must be set when type is Filter, and only then"
// +kubebuilder:validation:XValidation:rule="has(self.nodes) == (has(self.type) && self.type == 'Nodes')",message="nodes must be set when type is Nodes, and only then"
type CephDevices struct {
	// type is VolumeClaims (volumes of a StorageClass; what no type means), All (every empty device of every node),
	// Filter (empty devices whose names match, on every node) or Nodes (devices named for each node). Devices that
	// hold a file system or partitions are never used.
	//
	// +optional
	Type CephDevicesType `json:"type,omitempty"`

	// volumeClaims are the volumes when type is VolumeClaims.
	//
	// +optional
	VolumeClaims CephVolumeClaims `json:"volumeClaims,omitempty,omitzero"`

	// filter is a regular expression for device names when type is Filter, as in ^sd[b-d]$.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[-A-Za-z0-9_/.^$*+?|()\[\]]+$`
	// +optional
	Filter string `json:"filter,omitempty"`

	// nodes are the nodes and their devices when type is Nodes.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Nodes []CephNode `json:"nodes,omitempty"`
}

// CephVolumeClaims are the volumes that Ceph stores data on.
type CephVolumeClaims struct {
	// count of volumes. Defaults to that of the profile. It can grow; Ceph moves data to the new volumes by itself.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	// +optional
	Count int32 `json:"count,omitempty"`

	// storage of each volume. The StorageClass must offer raw block volumes.
	//
	// +optional
	Storage Storage `json:"storage,omitempty,omitzero"`
}

// CephNode is a node that stores data.
type CephNode struct {
	// name of the node: its label kubernetes.io/hostname.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// devices of the node, as in sdb or /dev/disk/by-id/wwn-0x5000c500a0b1c2d3. Defaults to every empty device of the
	// node.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +kubebuilder:validation:items:Pattern=`^(/dev/)?[A-Za-z0-9][-A-Za-z0-9_./:@+]*$`
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('..')",message="a device must be a name such as sdb or a path below /dev, without .."
	// +optional
	Devices []string `json:"devices,omitempty"`
}

// CephMonitors are the daemons that keep the map of the cluster.
type CephMonitors struct {
	// count of monitors, an odd number. Defaults to that of the profile.
	//
	// +kubebuilder:validation:Enum=1;3;5
	// +optional
	Count int32 `json:"count,omitempty"`

	// storage of each monitor.
	//
	// +optional
	Storage Storage `json:"storage,omitempty,omitzero"`

	// placement of monitors and managers. A monitor whose map is on its node, which is so with devices of nodes unless storage is
	// set, does not move: Rook makes another one on a node that fits, but never for the only one.
	//
	// +optional
	Placement Placement `json:"placement,omitempty,omitzero"`
}

// CephBlockStorage is a pool for volumes that one Pod mounts at a time.
type CephBlockStorage struct {
	// state is Enabled (the default) or Disabled. Disabling it keeps a pool that holds data.
	//
	// +optional
	State Toggle `json:"state,omitempty"`
}

// CephFileSystem is a shared file system.
type CephFileSystem struct {
	// state is Enabled (the default) or Disabled. Disabling it keeps a file system that holds data.
	//
	// +optional
	State Toggle `json:"state,omitempty"`

	// metadataServers that are active, each with a standby. Defaults to 1.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	// +optional
	MetadataServers int32 `json:"metadataServers,omitempty"`

	// placement of the metadata servers.
	//
	// +optional
	Placement Placement `json:"placement,omitempty,omitzero"`
}

// CephObjectStore is an S3 service.
type CephObjectStore struct {
	// state is Enabled (the default) or Disabled. Disabling it keeps a store that holds data.
	//
	// +optional
	State Toggle `json:"state,omitempty"`

	// instances of the gateway that speaks S3. Defaults to that of the profile.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	// +optional
	Instances int32 `json:"instances,omitempty"`

	// placement of the gateways.
	//
	// +optional
	Placement Placement `json:"placement,omitempty,omitzero"`

	// externalGateways are the addresses, IP or host name, of the gateways of an external Ceph cluster.
	//
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?$`
	// +optional
	ExternalGateways []string `json:"externalGateways,omitempty"`

	// tlsSecretRef names a Secret of type kubernetes.io/tls in the platform's namespace for the S3 service. Defaults to
	// the cluster's own serving certificate on OpenShift, elsewhere a certificate that the operator makes.
	//
	// +optional
	TLSSecretRef LocalReference `json:"tlsSecretRef,omitempty,omitzero"`

	// erasureCoding stores objects as chunks instead of copies: less space, more work. It cannot be changed later.
	//
	// +optional
	ErasureCoding *CephErasureCoding `json:"erasureCoding,omitempty"`

	// encryption of objects by the gateway, with keys from a key service.
	//
	// +optional
	Encryption CephObjectEncryption `json:"encryption,omitempty,omitzero"`

	// buckets that exist besides those of the platform (data lake, models, pipeline artefacts). Each gets a Secret and a
	// ConfigMap of the name <platform>-ceph-<bucket> with its address and keys. Taking one from the list keeps its
	// data under deletionPolicy Retain.
	//
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Buckets []CephBucket `json:"buckets,omitempty"`
}

// CephErasureCoding says into how many chunks an object is cut.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="erasureCoding cannot be changed: a pool keeps the shape it was made with"
type CephErasureCoding struct {
	// dataChunks that an object is cut into.
	//
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=16
	// +required
	DataChunks int32 `json:"dataChunks"`

	// codingChunks that may be lost without loss of data. dataChunks + codingChunks failure domains are needed.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=8
	// +required
	CodingChunks int32 `json:"codingChunks"`
}

// CephObjectEncryptionType says which S3 server-side encryption the gateway offers.
//
// +kubebuilder:validation:Enum=SSES3;SSEKMS
type CephObjectEncryptionType string

// The kinds of object encryption.
const (
	// CephObjectEncryptionSSES3 lets the gateway make one key per bucket.
	CephObjectEncryptionSSES3 CephObjectEncryptionType = "SSES3"
	// CephObjectEncryptionSSEKMS lets clients name the key for each object.
	CephObjectEncryptionSSEKMS CephObjectEncryptionType = "SSEKMS"
)

// CephObjectEncryption is the encryption of objects with keys from Vault.
//
// +kubebuilder:validation:XValidation:rule="has(self.type) == has(self.vault)",message="type and vault must be set together: the keys come from Vault"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'SSES3' || !has(self.vault) || !has(self.vault.secretEngine) || self.vault.secretEngine == 'Transit'",message="vault.secretEngine must be Transit when type is SSES3"
type CephObjectEncryption struct {
	// type is SSES3 (the gateway makes the keys) or SSEKMS (clients name the key). If unset, objects are not encrypted
	// by the gateway; see encrypted of the component for encryption of the devices.
	//
	// +optional
	Type CephObjectEncryptionType `json:"type,omitempty"`

	// vault is the key service.
	//
	// +optional
	Vault *VaultSpec `json:"vault,omitempty"`
}

// VaultSpec is a HashiCorp Vault, or an OpenBao.
//
// +kubebuilder:validation:XValidation:rule="self.path == 'transit' || has(self.secretEngine) && self.secretEngine == 'KV'",message="path must be transit when secretEngine is Transit: the gateways look nowhere else"
type VaultSpec struct {
	// address of the service, as in https://vault.example.com:8200.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?/?$')",message="address must be an https URL such as https://vault.example.com:8200, without path, user or query"
	// +required
	Address string `json:"address"`

	// secretEngine is Transit (what none means) or KV.
	//
	// +kubebuilder:validation:Enum=Transit;KV
	// +optional
	SecretEngine string `json:"secretEngine,omitempty"`

	// path at which the secret engine is mounted: transit, unless secretEngine is KV.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_]([-A-Za-z0-9_/]*[A-Za-z0-9_])?$`
	// +required
	Path string `json:"path"`

	// tokenSecretRef names a Secret in the platform's namespace whose key token holds the token.
	//
	// +required
	TokenSecretRef LocalReference `json:"tokenSecretRef"`

	// caSecretRef names a Secret in the platform's namespace whose key cert, as Rook wants it, holds the certificate
	// authority of the service in PEM. If unset, the public authorities are trusted.
	//
	// +optional
	CASecretRef LocalReference `json:"caSecretRef,omitempty,omitzero"`
}

// CephBucket is a bucket with keys of its own.
type CephBucket struct {
	// name of the bucket within the platform.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// maxSize of all objects together, as in 100Gi. If unset, there is no limit.
	//
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('1Mi')) && !quantity(string(self)).isGreaterThan(quantity('1Ei'))",message="maxSize must be between 1Mi and 1Ei, as in 100Gi"
	// +optional
	MaxSize resource.Quantity `json:"maxSize,omitempty,omitzero"`

	// maxObjects in the bucket. If unset, there is no limit.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000000
	// +optional
	MaxObjects int64 `json:"maxObjects,omitempty"`
}

// CephResources are the resources of the daemons, each for one replica. What is not set comes from the profile.
type CephResources struct {
	// monitor keeps the map of the cluster.
	//
	// +optional
	Monitor Resources `json:"monitor,omitempty,omitzero"`

	// manager serves the dashboard and metrics.
	//
	// +optional
	Manager Resources `json:"manager,omitempty,omitzero"`

	// device is the daemon (OSD) of one device. Ceph fits its caches into the memory limit.
	//
	// +optional
	Device Resources `json:"device,omitempty,omitzero"`

	// metadataServer serves the shared file system.
	//
	// +optional
	MetadataServer Resources `json:"metadataServer,omitempty,omitzero"`

	// gateway speaks S3.
	//
	// +optional
	Gateway Resources `json:"gateway,omitempty,omitzero"`
}
