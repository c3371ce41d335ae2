package gpu

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/native"
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

// Names of what the installer makes.
const (
	chartPolicy     = "cluster-policy" // by the chart, templates/clusterpolicy.yaml
	openShiftPolicy = "gpu-cluster-policy"
	discovery       = "nfd-instance"
)

// Settings implements components.WithSettings.
func (component) Settings(facts components.Facts) []components.Setting {
	return settings(specOf(facts))
}

// UsesResource implements components.WithSettings.
func (component) UsesResource(name string) bool { return isGPU(name) }

// Shared implements components.WithSettings. On Kubernetes the chart of the GPU operator has the names of all images in its ClusterPolicy,
// and settings are laid over it. OLM's package has them in the operator's environment, and somebody has to make the ClusterPolicy; the same
// goes for Node Feature Discovery. The Service is for Prometheus.
func (component) Shared(settings map[string]any, cluster components.Cluster) []components.SharedObject {
	spec := map[string]any{}
	name := chartPolicy
	if cluster.OpenShift {
		name, spec = openShiftPolicy, openShiftSpec()
	}
	for _, path := range slices.Sorted(maps.Keys(settings)) {
		fields := strings.Split(strings.TrimPrefix(path, "spec."), ".")
		// Nothing is in the way: no setting is above another one.
		_ = unstructured.SetNestedField(spec, settings[path], fields...)
	}
	var shared []components.SharedObject
	if cluster.OpenShift {
		shared = append(shared, components.SharedObject{
			ApplyConfiguration: kinds.New(NodeFeatureDiscovery.GVK(), cluster.OperatorNamespaces[nfd], discovery, discoverySpec()),
			Dependency:         nfd, Only: true,
		})
	}
	if config, ok := settings["spec.devicePlugin.config"].(map[string]any); ok && config["name"] == sharingConfig {
		key, _ := config["default"].(string)
		shared = append(shared, components.SharedObject{
			ApplyConfiguration: core.ConfigMap(sharingConfig, cluster.OperatorNamespaces[nvidia]).WithData(map[string]string{key: sharingFile(key)}),
			Dependency:         nvidia,
		})
	}
	if enabled, asked := settings["spec.dcgmExporter.enabled"]; !asked || enabled == true {
		shared = append(shared, components.SharedObject{
			ApplyConfiguration: service(cluster.OperatorNamespaces[nvidia]), Dependency: nvidia,
		})
	}
	return append(shared, components.SharedObject{
		ApplyConfiguration: kinds.New(ClusterPolicy.GVK(), "", name, spec),
		Dependency:         nvidia, Only: true, Laid: !cluster.OpenShift,
	})
}

// openShiftSpec is a ClusterPolicy without settings: the required parts, and what OpenShift needs.
func openShiftSpec() map[string]any {
	enabled := func() map[string]any { return map[string]any{"enabled": true} }
	return map[string]any{
		"operator": map[string]any{"use_ocp_driver_toolkit": true},
		// One node after the other, as in the chart.
		"daemonsets": map[string]any{"updateStrategy": "RollingUpdate", "rollingUpdate": map[string]any{"maxUnavailable": "1"}},
		"driver": map[string]any{"enabled": true, "upgradePolicy": map[string]any{
			"autoUpgrade": true, "maxParallelUpgrades": int64(1), "maxUnavailable": "25%", "drain": map[string]any{"enable": false},
		}},
		"toolkit": enabled(), "devicePlugin": enabled(), "dcgm": enabled(), "gfd": enabled(),
		// The cluster's monitoring asks the exporters, and shows metrics to the namespace that they name: that of the Pod with the GPU.
		"dcgmExporter": map[string]any{"enabled": true, "serviceMonitor": map[string]any{"enabled": true, "honorLabels": true}},
		"migManager":   enabled(), "mig": map[string]any{"strategy": "single"}, "nodeStatusExporter": enabled(),
	}
}

// discoverySpec has devices of the PCI bus labelled by their vendors alone, feature.node.kubernetes.io/pci-10de.present. The workers run on
// tainted GPU nodes as well.
func discoverySpec() map[string]any {
	return map[string]any{
		"operand": map[string]any{
			"servicePort":       int64(12000),
			"workerTolerations": []any{map[string]any{"key": taint, "operator": "Exists", "effect": "NoSchedule"}},
		},
		"prunerOnDelete": true,
		"workerConfig": map[string]any{"configData": "core:\n  sleepInterval: 60s\nsources:\n  pci:\n" +
			"    deviceClassWhitelist: [\"0200\", \"03\", \"12\"]\n    deviceLabelFields: [vendor]\n"},
	}
}

// sharingFile is a configuration of NVIDIA's device plugin, https://github.com/NVIDIA/k8s-device-plugin#shared-access-to-gpus.
func sharingFile(key string) string {
	way, replicas, _ := strings.Cut(key, "-")
	if way == "timeslicing" {
		way = "timeSlicing"
	}
	return native.JSON(map[string]any{"version": "v1", "sharing": map[string]any{way: map[string]any{
		"resources": []any{map[string]any{"name": whole, "replicas": number(replicas)}},
	}}})
}

func number(text string) int64 {
	var value int64
	_, _ = fmt.Sscan(text, &value) // of a key that sharingValue made
	return value
}
