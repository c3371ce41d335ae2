package ceph

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// deviceSetName is the name of the only device set. Rook names the claims <set>-data-<number>.
const deviceSetName = "data"

// devices describes what data is stored on, spread over at least that many failure domains.
func (in *inputs) devices(spec v1alpha1.CephSpec, profile profile, facts components.Facts, domain string, domains int32, places *placement) error {
	disks := &storage{}
	in.cluster.Storage = disks
	if spec.Devices.Type != "" && spec.Devices.Type != v1alpha1.CephDevicesVolumeClaims {
		if spec.Encrypted {
			disks.Config = map[string]string{"encryptedDevice": "true"}
		}
		in.place(places, "osd", "prepareosd")
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
		// The host of a volume that moves is, to Ceph, the volume itself: copies on different hosts may share a node.
		set.Portable = domain == "Zone"
		set.Placement, set.PreparePlacement = places, prepared(places, domain, domains, facts.Spec.Profile)
		if set.Portable {
			set.Placement = balanced(places, facts.Spec.Profile)
		}
		disks.StorageClassDeviceSets = []deviceSet{set}
	}
	return nil
}

// volumes is the set of volumes. It never shrinks: the data on a volume would have to be moved first.
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
		Name: deviceSetName, Count: count, Encrypted: spec.Encrypted,
		VolumeClaimTemplates: []claim{volumeClaim("data", wanted.Storage.StorageClassName, string(corev1.PersistentVolumeBlock), size)},
	}, nil
}

// liveVolumes is how many volumes there are and how large they are, zero if there are none.
func liveVolumes(facts components.Facts) (count int32, size resource.Quantity) {
	cluster := facts.Live.Find(Cluster.GroupKind, clusterName(facts.Platform))
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

// prepared places the jobs that prepare volumes. Where a volume is prepared, its daemon runs, unless volumes move between
// nodes; so this is what puts copies into different failure domains. With fewer domains than copies need, a job stays Pending,
// which says why, instead of two copies failing together.
func prepared(places *placement, domain string, domains int32, profile v1alpha1.Profile) *placement {
	apps := []string{"rook-ceph-osd", "rook-ceph-osd-prepare"} // also apart from volumes that were prepared before
	switch {
	case domain == "Zone":
		return places.with(
			spread(corev1.LabelTopologyZone, corev1.DoNotSchedule, apps...).WithMinDomains(domains),
			spread(corev1.LabelHostname, corev1.ScheduleAnyway, apps...))
	case domain == "Host":
		return places.with(spread(corev1.LabelHostname, corev1.DoNotSchedule, apps...).WithMinDomains(domains))
	case profile == v1alpha1.ProfileDevelopment:
		return places
	default:
		return places.with(spread(corev1.LabelHostname, corev1.ScheduleAnyway, apps...))
	}
}

// balanced spreads the daemons of portable volumes: nothing else does.
func balanced(places *placement, profile v1alpha1.Profile) *placement {
	strictness := corev1.ScheduleAnyway
	if profile == v1alpha1.ProfileHighAvailability {
		strictness = corev1.DoNotSchedule
	}
	return places.with(
		spread(corev1.LabelTopologyZone, strictness, "rook-ceph-osd"),
		spread(corev1.LabelHostname, strictness, "rook-ceph-osd"))
}

// spread leaves out nodes whose taints are not tolerated, such as the control plane's: they would count as empty, and Pods
// would wait for them for ever.
func spread(key string, strictness corev1.UnsatisfiableConstraintAction, apps ...string) *coreapply.TopologySpreadConstraintApplyConfiguration {
	return coreapply.TopologySpreadConstraint().
		WithMaxSkew(1).WithTopologyKey(key).WithWhenUnsatisfiable(strictness).WithNodeTaintsPolicy(corev1.NodeInclusionPolicyHonor).
		WithLabelSelector(metaapply.LabelSelector().WithMatchExpressions(
			metaapply.LabelSelectorRequirement().WithKey("app").WithOperator(metav1.LabelSelectorOpIn).WithValues(apps...)))
}

// with is a copy that also has these constraints.
func (p *placement) with(constraints ...*coreapply.TopologySpreadConstraintApplyConfiguration) *placement {
	var extended placement
	if p != nil {
		extended = *p
	}
	extended.TopologySpreadConstraints = constraints
	return &extended
}

func quantity(text string) resource.Quantity { return resource.MustParse(text) }
