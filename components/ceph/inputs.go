package ceph

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
	"opendatahub.io/operator/components/s3"
)

const field = "spec.components.ceph"

// inputs are the plain values that the objects are made of.
type inputs struct {
	platform components.Platform
	// keep is whether what Ceph stores outlives the objects that stand for it.
	keep        bool
	annotations map[string]string
	// certificate is nil when the S3 service has one already.
	certificate *components.Certificate

	cluster        clusterSpec
	pool           pool
	metadataServer metadataServer
	store          objectStoreSpec

	// managers, block, files and objects say what there is besides the cluster.
	managers, block, files, objects bool
	classes                         []classInputs
	buckets                         []bucketInputs
}

// classInputs is one StorageClass.
type classInputs struct {
	purpose     string
	provisioner string
	parameters  map[string]string
	reclaim     corev1.PersistentVolumeReclaimPolicy
	grows       bool
	data        bool
}

type bucketInputs struct {
	name   string
	bucket string
	limits map[string]string
}

func specOf(facts components.Facts) v1alpha1.CephSpec {
	if facts.Spec.Components.Ceph == nil {
		return v1alpha1.CephSpec{}
	}
	return *facts.Spec.Components.Ceph
}

func newInputs(facts components.Facts) (inputs, error) {
	spec := specOf(facts)
	in := inputs{platform: facts.Platform, keep: components.KeepsData(component{}, facts), annotations: map[string]string{}}
	if spec.DestroyData != "" {
		in.annotations[annotationDestroy] = spec.DestroyData
	}
	in.block = wanted(facts, spec.BlockStorage.State, BlockPool, blockPoolName(facts.Platform))
	in.files = wanted(facts, spec.FileSystem.State, Filesystem, fileSystemName(facts.Platform))
	in.objects = wanted(facts, spec.ObjectStore.State, ObjectStore, storeName(facts.Platform))
	profile := profileOf(facts.Spec.Profile)
	if spec.External {
		if err := in.external(spec); err != nil {
			return inputs{}, err
		}
	} else if err := in.internal(spec, profile, facts); err != nil {
		return inputs{}, err
	}
	if in.objects {
		in.serve(spec, profile, facts)
		if err := in.claim(spec, facts); err != nil {
			return inputs{}, err
		}
	}
	in.provide(spec, facts)
	return in, nil
}

// wanted reports whether a part is deployed. One that exists is kept when it is switched off: it may hold data.
func wanted(facts components.Facts, state v1alpha1.Toggle, kind kinds.Kind, name string) bool {
	return state != v1alpha1.Disabled || facts.Live.Find(kind.GroupKind, name) != nil
}

// external uses a cluster whose connection somebody has imported. Its pools are its own.
func (in *inputs) external(spec v1alpha1.CephSpec) error {
	for path, state := range map[string]v1alpha1.Toggle{
		".blockStorage.state": spec.BlockStorage.State, ".fileSystem.state": spec.FileSystem.State,
	} {
		if state == v1alpha1.Enabled {
			return components.Invalid(field+path, "an external Ceph has its own pools, and its import makes the StorageClasses; "+
				"leave it out, or set external to false")
		}
	}
	in.block, in.files = false, false
	in.objects = in.objects && len(spec.ObjectStore.ExternalGateways) > 0
	in.cluster = clusterSpec{External: &external{Enable: true}, CrashCollector: crashCollector{Disable: true}}
	return nil
}

func (in *inputs) internal(spec v1alpha1.CephSpec, profile profile, facts components.Facts) error {
	version, err := chooseVersion(spec.Version, facts)
	if err != nil {
		return err
	}
	domain := cmp.Or(spec.FailureDomain, profile.failureDomain)
	copies := cmp.Or(spec.Copies, profile.copies)
	domains := copies
	if chunks := spec.ObjectStore.ErasureCoding; chunks != nil {
		domains = max(copies, chunks.DataChunks+chunks.CodingChunks)
	}
	mon := &monitors{Count: cmp.Or(spec.Monitors.Count, profile.monitors)}
	in.cluster = clusterSpec{
		CephVersion: &cephVersion{Image: image + version},
		// A folder of its own for each cluster: what an earlier one left on a node keeps monitors from starting.
		DataDirHostPath: "/var/lib/rook/" + facts.Platform.Namespace,
		Mon:             mon,
		Mgr:             &managers{Count: cmp.Or(spec.Managers, profile.managers)},
		Dashboard:       &dashboard{Enabled: spec.Dashboard != v1alpha1.Disabled, SSL: true},
		Monitoring:      enabled{Enabled: monitored(facts)},
		LogCollector:    &logCollector{Enabled: true, Periodicity: "daily", MaxLogSize: "500M"},
		// Kernels before 7.0 know no other cipher.
		Security: &clusterSecurity{CephX: cephX{CSI: keyType{KeyType: "aes"}}},
		Resources: map[string]amounts{
			"mon": fill(spec.Resources.Monitor, profile.monitor),
			"mgr": fill(spec.Resources.Manager, profile.manager),
			"osd": fill(spec.Resources.Device, profile.osd),
		},
		Labels: &labels{All: facts.Labels(name)},
		PriorityClassNames: map[string]string{
			"mon": "system-node-critical", "osd": "system-node-critical", "mgr": "system-cluster-critical",
		},
		DisruptionManagement: &disruption{ManagePodBudgets: true},
	}
	if copies == 1 {
		// Pools that Ceph makes itself would wait for more devices, and its health would complain about what was asked for,
		// https://github.com/rook/rook/blob/v1.20.6/deploy/examples/cluster-test.yaml.
		in.cluster.CephConfig = map[string]map[string]string{"global": {
			"osd_pool_default_size": "1", "mon_warn_on_pool_no_redundancy": "false",
		}}
	}
	if spec.EncryptedTransport {
		in.cluster.Network = &network{Connections: connections{RequireMsgr2: true, Encryption: enabled{Enabled: true}}}
	}
	if err := in.devices(spec, profile, facts, domain, domains, placementOf(spec.Placement)); err != nil {
		return err
	}
	in.place(placementOf(spec.Monitors.Placement), "mon", "mgr")
	// Rook wipes the folders of each node that had a daemon, and knows of this resource's taints only,
	// https://github.com/rook/rook/blob/v1.20.6/pkg/operator/ceph/cluster/cleanup.go.
	if tolerations := slices.Concat(spec.FileSystem.Placement.Tolerations, spec.ObjectStore.Placement.Tolerations); len(tolerations) > 0 {
		in.place(&placement{Tolerations: native.Tolerations(tolerations)}, "cleanup")
	}
	in.managers = true
	in.pool = pool{FailureDomain: failureDomains[domain], Replicated: &replicated{Size: copies, RequireSafeReplicaSize: copies > 1}}
	in.metadataServer = metadataServer{
		ActiveCount: cmp.Or(spec.FileSystem.MetadataServers, 1), ActiveStandby: profile.standby,
		Labels: facts.Labels(name), Placement: placementOf(spec.FileSystem.Placement), Resources: fill(spec.Resources.MetadataServer, profile.metadataServer),
	}
	if claims := spec.Devices.Type == "" || spec.Devices.Type == v1alpha1.CephDevicesVolumeClaims; claims || !spec.Monitors.Storage.Size.IsZero() || spec.Monitors.Storage.StorageClassName != "" {
		class := cmp.Or(spec.Monitors.Storage.StorageClassName, spec.Devices.VolumeClaims.Storage.StorageClassName)
		template := volumeClaim("", class, "", orDefault(spec.Monitors.Storage.Size, quantity(profile.mapSize)))
		mon.VolumeClaimTemplate = &template
	}
	return in.enough(spec, copies)
}

// monitored reports whether Rook makes ServiceMonitors. Where the API is not served it fails at every node, again and again,
// https://github.com/rook/rook/blob/v1.20.6/pkg/operator/ceph/cluster/nodedaemon/reconcile.go. Metrics are there either way, and a
// platform that collects them itself needs no second copy.
func monitored(facts components.Facts) bool {
	_, served := facts.Cluster.Served[serviceMonitor]
	return served && !facts.Declared.Scraped
}

var serviceMonitor = schema.GroupKind{Group: "monitoring.coreos.com", Kind: "ServiceMonitor"}

var failureDomains = map[string]string{"Device": "osd", "Host": "host", "Zone": "zone"}

// enough checks that there is room for as many copies, or chunks, as data is cut into. Each needs at least one volume; whether
// volumes are on as many hosts is the scheduler's to say, see prepared.
func (in *inputs) enough(spec v1alpha1.CephSpec, copies int32) error {
	var have int32
	what, path := "devices", field+".devices.volumeClaims.count"
	switch {
	case len(in.cluster.Storage.StorageClassDeviceSets) > 0:
		have = in.cluster.Storage.StorageClassDeviceSets[0].Count
	case len(in.cluster.Storage.Nodes) > 0 && in.pool.FailureDomain != "osd":
		have = int32(len(in.cluster.Storage.Nodes))
		what, path = "nodes", field+".devices.nodes"
	default:
		return nil // the cluster's nodes, and what is plugged into them, are not known
	}
	if copies > have {
		return components.Invalid(field+".copies", "%d copies need as many %s, and there are %d; use at most %d, or raise %s",
			copies, what, have, have, path)
	}
	if chunks := spec.ObjectStore.ErasureCoding; chunks != nil && chunks.DataChunks+chunks.CodingChunks > have {
		return components.Invalid(field+".objectStore.erasureCoding", "%d+%d chunks need as many %s, and there are %d; use fewer, or raise %s",
			chunks.DataChunks, chunks.CodingChunks, what, have, path)
	}
	return nil
}

// serve describes the S3 service.
func (in *inputs) serve(spec v1alpha1.CephSpec, profile profile, facts components.Facts) {
	service := serviceOf(facts, spec)
	gate := gateway{SSLCertificateRef: service.tlsSecret}
	if service.secure {
		gate.SecurePort = service.port
	} else {
		gate.Port = service.port
	}
	if secret, ok := facts.Secrets[service.tlsSecret]; ok {
		gate.Annotations = map[string]string{"opendatahub.io/certificate": secret.Digest} // gateways read it at their start
	}
	if service.clusterCA {
		gate.Service = &gatewayService{Annotations: map[string]string{
			"service.beta.openshift.io/serving-cert-secret-name": tlsSecretName(facts.Platform),
		}}
	}
	if service.tlsSecret == tlsSecretName(facts.Platform) && spec.ObjectStore.TLSSecretRef.Name == "" {
		host := serviceName(facts.Platform) + "." + facts.Platform.Namespace
		in.certificate = &components.Certificate{DNSNames: []string{host + ".svc", host + ".svc.cluster.local", host}}
	}
	in.store = objectStoreSpec{Gateway: gate}
	if spec.External {
		for _, gateway := range spec.ObjectStore.ExternalGateways {
			in.store.Gateway.ExternalRGWEndpoints = append(in.store.Gateway.ExternalRGWEndpoints, addressOf(gateway))
		}
		return
	}
	metadata, data := in.pool, in.pool
	if chunks := spec.ObjectStore.ErasureCoding; chunks != nil {
		data = pool{FailureDomain: in.pool.FailureDomain, ErasureCoded: &erasureCoded{chunks.DataChunks, chunks.CodingChunks}}
	}
	data.Parameters = map[string]string{"bulk": "true"}
	in.store.MetadataPool, in.store.DataPool = &metadata, &data
	in.store.PreservePoolsOnDelete = in.keep
	in.store.Gateway.Instances = cmp.Or(spec.ObjectStore.Instances, profile.gateways)
	in.store.Gateway.Labels = facts.Labels(name)
	in.store.Gateway.Placement = placementOf(spec.ObjectStore.Placement)
	in.store.Gateway.Resources = fill(spec.Resources.Gateway, profile.gateway)
	in.store.Security = objectEncryption(spec.ObjectStore.Encryption)
}

// objectEncryption is in Rook's words, https://rook.io/docs/rook/latest/CRDs/Object-Storage/ceph-object-store-crd/#security-settings.
func objectEncryption(spec v1alpha1.CephObjectEncryption) *storeSecurity {
	if spec.Vault == nil {
		return nil
	}
	service := &keyService{
		TokenSecretName: spec.Vault.TokenSecretRef.Name,
		ConnectionDetails: map[string]string{
			"KMS_PROVIDER":        "vault",
			"VAULT_ADDR":          strings.TrimSuffix(spec.Vault.Address, "/"),
			"VAULT_BACKEND_PATH":  spec.Vault.Path,
			"VAULT_SECRET_ENGINE": strings.ToLower(cmp.Or(spec.Vault.SecretEngine, "Transit")),
		},
	}
	if spec.Vault.SecretEngine == "KV" {
		service.ConnectionDetails["VAULT_BACKEND"] = "v2"
	}
	if ca := spec.Vault.CASecretRef.Name; ca != "" {
		service.ConnectionDetails["VAULT_CACERT"] = ca
	}
	if spec.Type == v1alpha1.CephObjectEncryptionSSES3 {
		return &storeSecurity{S3: service}
	}
	return &storeSecurity{KMS: service}
}

// claim lists the buckets: those that the platform's components want, and those of the spec. The spec may limit the former.
func (in *inputs) claim(spec v1alpha1.CephSpec, facts components.Facts) error {
	if err := s3.Contradiction(facts); err != nil {
		return err
	}
	limits := map[string]map[string]string{}
	for _, bucket := range spec.ObjectStore.Buckets {
		if claimName(facts.Platform, bucket.Name) == tlsSecretName(facts.Platform) {
			return components.Invalid(field+".objectStore.buckets", "%s is the name of another Secret; choose another", bucket.Name)
		}
		limit := map[string]string{}
		if !bucket.MaxSize.IsZero() {
			limit["maxSize"] = bucket.MaxSize.String()
		}
		if bucket.MaxObjects > 0 {
			limit["maxObjects"] = strconv.FormatInt(bucket.MaxObjects, 10)
		}
		limits[bucket.Name] = limit
	}
	for _, claim := range s3.Claims(facts, ownBuckets(spec)...) {
		bucket := bucketInputs{name: claimName(facts.Platform, claim.Purpose), bucket: bucketName(facts, claim), limits: limits[claim.Purpose]}
		if err := bucket.renamed(claim, facts.Live); err != nil {
			return err
		}
		in.buckets = append(in.buckets, bucket)
	}
	return nil
}

// renamed refuses another name for a bucket that exists: the claim would keep the old one.
func (b bucketInputs) renamed(claim components.BucketClaim, live components.Objects) error {
	existing := live.Find(BucketClaim.GroupKind, b.name)
	if existing == nil || claim.Field == "" {
		return nil
	}
	if bucket, _, _ := unstructured.NestedString(existing.Object, "spec", "bucketName"); bucket != "" && bucket != b.bucket {
		return components.Invalid(claim.Field, "Ceph has the bucket %s for %s already, and buckets cannot be renamed; use %s",
			bucket, claim.Purpose, bucket)
	}
	return nil
}

// provide lists the StorageClasses, https://rook.io/docs/rook/latest/Storage-Configuration/.
func (in *inputs) provide(spec v1alpha1.CephSpec, facts components.Facts) {
	namespace := facts.Platform.Namespace
	if in.block && spec.BlockStorage.State != v1alpha1.Disabled {
		in.classes = append(in.classes, classInputs{
			purpose: "block", provisioner: csiPrefix + ".rbd.csi.ceph.com", reclaim: corev1.PersistentVolumeReclaimDelete, grows: true,
			parameters: components.Merge(csiSecrets(namespace, "rbd"), map[string]string{
				"clusterID": namespace, "pool": blockPoolName(facts.Platform), "imageFormat": "2", "imageFeatures": "layering",
				"csi.storage.k8s.io/fstype": "ext4",
			}),
		})
	}
	if in.files && spec.FileSystem.State != v1alpha1.Disabled {
		files := fileSystemName(facts.Platform)
		in.classes = append(in.classes, classInputs{
			purpose: "files", provisioner: csiPrefix + ".cephfs.csi.ceph.com", reclaim: corev1.PersistentVolumeReclaimDelete, grows: true,
			parameters: components.Merge(csiSecrets(namespace, "cephfs"), map[string]string{
				"clusterID": namespace, "fsName": files, "pool": files + "-" + dataPoolName,
			}),
		})
	}
	if in.objects {
		in.classes = append(in.classes, classInputs{
			// Claims that are kept cannot be deleted later without their StorageClass, so it is kept with them.
			purpose: "bucket", provisioner: namespace + ".ceph.rook.io/bucket", reclaim: in.bucketReclaim(facts), data: true,
			parameters: map[string]string{
				"objectStoreName": storeName(facts.Platform), "objectStoreNamespace": namespace,
			},
		})
	}
}

// bucketReclaim is the live policy if there is one: it cannot be changed in a StorageClass, and buckets keep what they
// were made with.
func (in *inputs) bucketReclaim(facts components.Facts) corev1.PersistentVolumeReclaimPolicy {
	class := facts.Live.Find(kinds.StorageClass.GroupKind, bucketClassName(facts.Platform))
	if class != nil {
		policy, _, _ := unstructured.NestedString(class.Object, "reclaimPolicy")
		return corev1.PersistentVolumeReclaimPolicy(cmp.Or(policy, string(corev1.PersistentVolumeReclaimDelete)))
	}
	if in.keep {
		return corev1.PersistentVolumeReclaimRetain
	}
	return corev1.PersistentVolumeReclaimDelete
}

// csiPrefix is what Rook's own values for the chart ceph-csi-drivers put in front of the names of the drivers.
const csiPrefix = "rook-ceph"

// dataPoolName is the data pool of the file system.
const dataPoolName = "replicated"

func blockPoolName(platform components.Platform) string { return platform.Name + "-ceph-block" }

func managerPoolName(platform components.Platform) string { return platform.Name + "-ceph-mgr" }

func fileSystemName(platform components.Platform) string { return platform.Name + "-ceph-files" }

// csiSecrets name the Secrets that Rook makes for a driver, one for each action of the driver.
func csiSecrets(namespace, driver string) map[string]string {
	parameters := map[string]string{}
	for action, login := range map[string]string{
		"provisioner": "provisioner", "controller-expand": "provisioner", "controller-publish": "provisioner", "node-stage": "node",
	} {
		parameters["csi.storage.k8s.io/"+action+"-secret-name"] = "rook-csi-" + driver + "-" + login
		parameters["csi.storage.k8s.io/"+action+"-secret-namespace"] = namespace
	}
	return parameters
}

func addressOf(gateway string) address {
	host := gatewayHost(gateway)
	if _, err := netip.ParseAddr(host); err == nil {
		return address{IP: host}
	}
	return address{Hostname: host}
}

// place puts daemons, in Rook's words, where places says, if it says anything.
func (in *inputs) place(places *placement, daemons ...string) {
	if places == nil {
		return
	}
	if in.cluster.Placement == nil {
		in.cluster.Placement = map[string]placement{}
	}
	for _, daemon := range daemons {
		in.cluster.Placement[daemon] = *places
	}
}

func placementOf(spec v1alpha1.Placement) *placement {
	if len(spec.NodeSelector) == 0 && len(spec.Tolerations) == 0 {
		return nil
	}
	return &placement{NodeAffinity: native.NodeAffinity(spec.NodeSelector), Tolerations: native.Tolerations(spec.Tolerations)}
}
