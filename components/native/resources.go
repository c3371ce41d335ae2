package native

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/resource"

	"opendatahub.io/operator/api/v1alpha1"
)

// Resources of a profile. An empty amount is none.
func Resources(cpu, memory, maxCPU, maxMemory string) v1alpha1.Resources {
	amounts := func(cpu, memory string) v1alpha1.ResourceAmounts {
		return v1alpha1.ResourceAmounts{CPU: resource.MustParse(cmp.Or(cpu, "0")), Memory: resource.MustParse(cmp.Or(memory, "0"))}
	}
	return v1alpha1.Resources{Requests: amounts(cpu, memory), Limits: amounts(maxCPU, maxMemory)}
}

// Fill takes what the spec does not set from the profile, without making a request exceed its limit.
func Fill(spec, defaults v1alpha1.Resources) v1alpha1.Resources {
	fit(&defaults.Requests.CPU, &defaults.Limits.CPU, spec.Requests.CPU, spec.Limits.CPU)
	fit(&defaults.Requests.Memory, &defaults.Limits.Memory, spec.Requests.Memory, spec.Limits.Memory)
	return defaults
}

func fit(request, limit *resource.Quantity, setRequest, setLimit resource.Quantity) {
	*request = OrDefault(setRequest, *request)
	*limit = OrDefault(setLimit, *limit)
	switch {
	case limit.IsZero() || request.Cmp(*limit) <= 0:
	case setRequest.IsZero():
		*request = *limit
	default:
		*limit = *request
	}
}

// OrDefault is the amount that is set, or else the other.
func OrDefault(set, otherwise resource.Quantity) resource.Quantity {
	if set.IsZero() {
		return otherwise
	}
	return set
}
