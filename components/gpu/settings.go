package gpu

import (
	"fmt"
	"strings"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

// sharingConfig is the ConfigMap, beside the GPU operator, with how the device plugin shares GPUs.
const sharingConfig = "opendatahub-gpu-sharing"

// settings are what the spec asks of the ClusterPolicy. What it leaves out is not asked for. Defaults are those of the operator's source,
// api/nvidia/v1/clusterpolicy_types.go of v26.7.0.
func settings(spec v1alpha1.GPUSpec) []components.Setting {
	var all []components.Setting
	add := func(of, path string, value, otherwise any) {
		all = append(all, components.Setting{Field: field + of, Path: "spec." + path, Value: value, Default: otherwise})
	}
	toggle := func(of string, toggle v1alpha1.Toggle, path string, otherwise bool) {
		if toggle != "" {
			add(of, path, toggle == v1alpha1.Enabled, otherwise)
		}
	}
	if spec.Driver.Type != "" {
		add("driver.type", "driver.enabled", spec.Driver.Type == v1alpha1.GPUDriverContainer, true)
	}
	if spec.Driver.Version != "" {
		add("driver.version", "driver.version", spec.Driver.Version, nil)
	}
	toggle("driver.autoUpgrade", spec.Driver.AutoUpgrade, "driver.upgradePolicy.autoUpgrade", false)
	toggle("toolkit", spec.Toolkit, "toolkit.enabled", true)
	toggle("devicePlugin", spec.DevicePlugin, "devicePlugin.enabled", true)
	if spec.MIG.Strategy != "" {
		add("mig.strategy", "mig.strategy", strings.ToLower(spec.MIG.Strategy), "none")
	}
	if spec.Sharing.Type != "" {
		add("sharing", "devicePlugin.config", sharingValue(spec.Sharing), map[string]any{"name": "", "default": ""})
	}
	toggle("metrics", spec.Metrics, "dcgmExporter.enabled", true)
	if len(spec.Tolerations) > 0 {
		add("tolerations", "daemonsets.tolerations", tolerations(spec.Tolerations), nil)
	}
	return all
}

// sharingValue names the ConfigMap and the key in it.
func sharingValue(sharing v1alpha1.GPUSharing) map[string]any {
	if sharing.Type == "None" {
		return map[string]any{"name": "", "default": ""}
	}
	return map[string]any{"name": sharingConfig, "default": fmt.Sprintf("%s-%d", strings.ToLower(sharing.Type), sharing.Replicas)}
}

// tolerations are those of the operator's chart, and those that the spec adds.
func tolerations(more []v1alpha1.Toleration) []any {
	list := []any{map[string]any{"key": taint, "operator": "Exists", "effect": "NoSchedule"}}
	for _, toleration := range more {
		entry := map[string]any{}
		for name, value := range map[string]string{
			"key": toleration.Key, "operator": toleration.Operator, "value": string(toleration.Value), "effect": toleration.Effect,
		} {
			if value != "" {
				entry[name] = value
			}
		}
		list = append(list, entry)
	}
	return list
}
