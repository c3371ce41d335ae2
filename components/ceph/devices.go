package ceph

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

// deviceSetName is the one set of volumes. Rook names the claims <set>-data-<number>.
const deviceSetName = "data"

// devices describes what data is stored on.
func (in *inputs) devices(spec v1alpha1.CephSpec, profile profile, facts components.Facts, domain string, places *placement) error {
	disks := &storage{}
	in.cluster.Storage = disks
	if spec.Devices.Type != "" && spec.Devices.Type != v1alpha1.CephDevicesVolumeClaims {
		if spec.Encrypted {
			disks.Config = map[string]string{"encryptedDevice": "true"}
		}
		if places != nil {
			in.cluster.Placement = map[string]placement{"osd": *places, "prepareosd": *places}
		}
	}
	switch spec.Devices.Type {
	case v1alpha1.CephDevicesAll:
		disks.UseAllNodes, disks.UseAllDevices = true, true
	case v1alpha1.CephDevicesFilter:
		disks.UseAllNodes, disks.DeviceFilter = true, spec.Devices.Filter
	case v1alpha1.CephDevicesNodes:
		for _, wanted := range spec.Devices.Nodes {
			entry := node{Name: wanted.Name}
			for _, name := range wanted.Devices {
				entry.Devices = append(entry.Devices, device{Name: name})
			}
			if len(entry.Devices) == 0 {
				entry.UseAllDevices = new(true)
			}
			disks.Nodes = append(disks.Nodes, entry)
		}
	default:
		set, err := volumes(spec, profile, facts)
		if err != nil {
			return err
		}
		set.Resources = in.cluster.Resources["osd"]
		set.Placement = spread(places, domain, facts.Spec.Profile, "rook-ceph-osd")
		set.PreparePlacement = spread(places, domain, facts.Spec.Profile, "rook-ceph-osd-prepare")
		disks.StorageClassDeviceSets = []deviceSet{set}
	}
	return nil
}

// volumes is the set of volumes. It never becomes smaller: what is on a volume would have to be moved before.
func volumes(spec v1alpha1.CephSpec, profile profile, facts components.Facts) (deviceSet, error) {
	const path = field + ".devices.volumeClaims"
	wanted := spec.Devices.VolumeClaims
	count := cmp.Or(wanted.Count, profile.devices)
	size := orDefault(wanted.Storage.Size, quantity(profile.deviceSize))
	liveCount, liveSize := liveVolumes(facts)
	if count < liveCount {
		if wanted.Count != 0 {
			return deviceSet{}, components.Invalid(path+".count", "%d volumes hold data, and Rook takes none away; use at least %d "+
				"(https://rook.io/docs/rook/latest/Storage-Configuration/Advanced/ceph-osd-mgmt/ says how to retire one by hand)", liveCount, liveCount)
		}
		count = liveCount
	}
	if size.Cmp(liveSize) < 0 {
		if !wanted.Storage.Size.IsZero() {
			return deviceSet{}, components.Invalid(path+".storage.size", "volumes cannot shrink from %s to %s; use %s or more",
				liveSize.String(), size.String(), liveSize.String())
		}
		size = liveSize
	}
	return deviceSet{
		Name: deviceSetName, Count: count, Portable: true, TuneDeviceClass: true, Encrypted: spec.Encrypted,
		VolumeClaimTemplates: []claim{volumeClaim("data", wanted.Storage.StorageClassName, string(corev1.PersistentVolumeBlock), size)},
	}, nil
}

// liveVolumes is how many volumes there are and how large they are, zero if there are none.
func liveVolumes(facts components.Facts) (count int32, size resource.Quantity) {
	cluster := facts.Live.Find(kinds.CephCluster.GroupKind, clusterName(facts.Platform))
	if cluster == nil {
		return 0, size
	}
	sets, _, _ := unstructured.NestedSlice(cluster.Object, "spec", "storage", "storageClassDeviceSets")
	for _, entry := range sets {
		set, ok := entry.(map[string]any)
		if !ok || set["name"] != deviceSetName {
			continue
		}
		number, _, _ := unstructured.NestedInt64(set, "count")
		templates, _, _ := unstructured.NestedSlice(set, "volumeClaimTemplates")
		for _, template := range templates {
			fields, _ := template.(map[string]any)
			text, _, _ := unstructured.NestedString(fields, "spec", "resources", "requests", "storage")
			if parsed, err := resource.ParseQuantity(text); err == nil {
				size = parsed
			}
		}
		return int32(number), size
	}
	return 0, size
}

// spread keeps the daemons of volumes apart. Volumes move between nodes, so nothing else does.
func spread(places *placement, domain string, profile v1alpha1.Profile, app string) *placement {
	if profile == v1alpha1.ProfileDevelopment {
		return places
	}
	spread := placement{}
	if places != nil {
		spread = *places
	}
	strictness := corev1.ScheduleAnyway
	if profile == v1alpha1.ProfileHighAvailability {
		strictness = corev1.DoNotSchedule
	}
	keys := []string{corev1.LabelHostname}
	if domain == "Zone" {
		keys = []string{corev1.LabelTopologyZone, corev1.LabelHostname}
	}
	for _, key := range keys {
		spread.TopologySpreadConstraints = append(spread.TopologySpreadConstraints, coreapply.TopologySpreadConstraint().
			WithMaxSkew(1).WithTopologyKey(key).WithWhenUnsatisfiable(strictness).
			WithLabelSelector(metaapply.LabelSelector().WithMatchLabels(map[string]string{"app": app})))
	}
	return &spread
}

func quantity(text string) resource.Quantity { return resource.MustParse(text) }
