package gpu

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/components"
)

// NVIDIA's DCGM exporter, which the GPU operator runs on every node with a GPU (assets/state-dcgm-exporter of v26.7.0).
const (
	exporterApp  = "nvidia-dcgm-exporter"
	exporterPort = 9400
	// exporterService stands for all of them in DNS: the operator's own Service has one address, behind which each request meets another one.
	exporterService = "opendatahub-gpu-metrics"
)

// exporterNamespaces are where the GPU operator usually is: by the table of dependencies, and by NVIDIA's instructions for Helm.
var exporterNamespaces = []string{"nvidia-gpu-operator", "gpu-operator"}

var exporterPods = map[string]string{"app": exporterApp}

// exporter is where the metrics of GPUs are. It tells which Pod has a GPU, so each platform gets those of its own Pods.
func exporter() components.Scrape {
	return components.Scrape{
		Name: "exporter", Pods: exporterPods, Port: "metrics",
		Elsewhere: &components.Elsewhere{Namespaces: exporterNamespaces, Service: exporterService, Port: exporterPort},
	}
}

// service has DNS tell the addresses of all exporters, of those as well that do not answer.
func service(namespace string) *core.ServiceApplyConfiguration {
	return core.Service(exporterService, namespace).WithSpec(core.ServiceSpec().
		WithClusterIP(corev1.ClusterIPNone).WithPublishNotReadyAddresses(true).WithSelector(exporterPods).
		WithPorts(core.ServicePort().WithName("metrics").WithProtocol(corev1.ProtocolTCP).WithPort(exporterPort).WithTargetPort(intstr.FromInt32(exporterPort))))
}
