package ceph

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"opendatahub.io/operator/api/v1alpha1"
)

// testedVersion is the Ceph that runs when the spec names none. Of 20.2, the releases before 20.2.1 can lose data,
// https://rook.io/docs/rook/latest/Upgrade/ceph-upgrade/.
const testedVersion = "20.2.4"

const image = "quay.io/ceph/ceph:v"

// profile is what the spec's profile stands for.
type profile struct {
	monitors, managers    int32
	copies                int32
	failureDomain         string
	devices, gateways     int32
	deviceSize, mapSize   string
	standby               bool
	monitor, manager, osd sizes
	metadataServer        sizes
	gateway               sizes
}

// sizes of one daemon. CPU has no limit: a throttled daemon is taken for a dead one.
type sizes struct {
	cpu, memory, maxMemory string
}

// Rook warns below 1Gi for monitors and gateways, 2Gi for devices and 4Gi for metadata servers,
// https://rook.io/docs/rook/latest/CRDs/Cluster/ceph-cluster-crd/#resource-requirementslimits.
var profiles = map[v1alpha1.Profile]profile{
	v1alpha1.ProfileDevelopment: {
		monitors: 1, managers: 1, copies: 1, failureDomain: "Device", devices: 1, gateways: 1,
		deviceSize: "10Gi", mapSize: "5Gi",
		monitor: sizes{"50m", "256Mi", "1Gi"}, manager: sizes{"50m", "256Mi", "1Gi"}, osd: sizes{"100m", "1Gi", "2Gi"},
		metadataServer: sizes{"50m", "256Mi", "4Gi"}, gateway: sizes{"50m", "256Mi", "1Gi"},
	},
	v1alpha1.ProfileStandard: {
		monitors: 3, managers: 1, copies: 3, failureDomain: "Host", devices: 3, gateways: 1,
		deviceSize: "100Gi", mapSize: "10Gi", standby: true,
		monitor: sizes{"500m", "1Gi", "2Gi"}, manager: sizes{"250m", "512Mi", "2Gi"}, osd: sizes{"500m", "2Gi", "4Gi"},
		metadataServer: sizes{"500m", "1Gi", "4Gi"}, gateway: sizes{"250m", "512Mi", "2Gi"},
	},
	v1alpha1.ProfileHighAvailability: {
		monitors: 3, managers: 2, copies: 3, failureDomain: "Host", devices: 6, gateways: 2,
		deviceSize: "512Gi", mapSize: "20Gi", standby: true,
		monitor: sizes{"1", "2Gi", "4Gi"}, manager: sizes{"500m", "1Gi", "4Gi"}, osd: sizes{"1", "4Gi", "8Gi"},
		metadataServer: sizes{"1", "4Gi", "8Gi"}, gateway: sizes{"1", "1Gi", "4Gi"},
	},
}

func profileOf(name v1alpha1.Profile) profile {
	if p, ok := profiles[name]; ok {
		return p
	}
	return profiles[v1alpha1.ProfileStandard]
}

// fill takes what the spec does not set from the profile, without making a request exceed its limit.
func fill(spec v1alpha1.Resources, defaults sizes) amounts {
	cpu, maxCPU := fit(spec.Requests.CPU, spec.Limits.CPU, resource.MustParse(defaults.cpu), resource.Quantity{})
	memory, maxMemory := fit(spec.Requests.Memory, spec.Limits.Memory, resource.MustParse(defaults.memory), resource.MustParse(defaults.maxMemory))
	return requirements(cpu, memory, maxCPU, maxMemory)
}

func fit(request, limit, defaultRequest, defaultLimit resource.Quantity) (resource.Quantity, resource.Quantity) {
	r, l := orDefault(request, defaultRequest), orDefault(limit, defaultLimit)
	switch {
	case l.IsZero() || r.Cmp(l) <= 0:
		return r, l
	case request.IsZero():
		return l, l
	default:
		return r, r
	}
}

func orDefault(set, otherwise resource.Quantity) resource.Quantity {
	if set.IsZero() {
		return otherwise
	}
	return set
}
