package native

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"

	"opendatahub.io/operator/components"
)

// What network policies are made of.
type (
	// Peer is who may talk to a Pod, or whom a Pod may talk to.
	Peer = *networking.NetworkPolicyPeerApplyConfiguration
	// Ingress lets traffic in.
	Ingress = *networking.NetworkPolicyIngressRuleApplyConfiguration
	// Egress lets traffic out.
	Egress = *networking.NetworkPolicyEgressRuleApplyConfiguration
)

// APIServerPorts are those of API servers as they are found in the wild: a network policy sees the server's own port and
// not that of its Service.
func APIServerPorts() []int32 { return []int32{443, 6443, 8443, 16443} }

// Policy admits exactly this traffic to and from the Pods of a part.
func (a App) Policy(part string, ingress []Ingress, egress []Egress) *networking.NetworkPolicyApplyConfiguration {
	return a.PolicyFor(part, a.Selector(part), ingress, egress)
}

// PolicyFor is the policy of a part whose Pods have these labels.
func (a App) PolicyFor(part string, pods map[string]string, ingress []Ingress, egress []Egress) *networking.NetworkPolicyApplyConfiguration {
	return networking.NetworkPolicy(a.Object(part), a.Platform.Namespace).
		WithLabels(a.Labels(part)).
		WithSpec(networking.NetworkPolicySpec().
			WithPodSelector(meta.LabelSelector().WithMatchLabels(pods)).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
			WithIngress(ingress...).
			WithEgress(egress...))
}

// From admits these peers, or everybody if there are none, to the TCP ports.
func From(ports []int32, peers ...Peer) Ingress {
	return networking.NetworkPolicyIngressRule().WithPorts(policyPorts(corev1.ProtocolTCP, ports...)...).WithFrom(peers...)
}

// To lets traffic out to the TCP ports, or all if there are none, of the peers.
func To(ports []int32, peers ...Peer) Egress {
	return networking.NetworkPolicyEgressRule().WithPorts(policyPorts(corev1.ProtocolTCP, ports...)...).WithTo(peers...)
}

// Ports is a list of them.
func Ports(numbers ...int32) []int32 { return numbers }

func policyPorts(protocol corev1.Protocol, numbers ...int32) []*networking.NetworkPolicyPortApplyConfiguration {
	ports := make([]*networking.NetworkPolicyPortApplyConfiguration, 0, len(numbers))
	for _, number := range numbers {
		ports = append(ports, networking.NetworkPolicyPort().WithProtocol(protocol).WithPort(intstr.FromInt32(number)))
	}
	return ports
}

// Pods of the platform's namespace with these labels.
func Pods(labels map[string]string) Peer {
	return networking.NetworkPolicyPeer().WithPodSelector(meta.LabelSelector().WithMatchLabels(labels))
}

// PodsIn are Pods of these namespaces with these labels.
func PodsIn(namespaces []string, labels map[string]string) Peer {
	return Pods(labels).WithNamespaceSelector(meta.LabelSelector().WithMatchExpressions(meta.LabelSelectorRequirement().
		WithKey(corev1.LabelMetadataName).WithOperator(metav1.LabelSelectorOpIn).WithValues(namespaces...)))
}

// Prometheus is that of the platform's namespace, those of namespaces that an administrator marked, and on OpenShift the cluster's.
func Prometheus(openShift bool) []Peer {
	pods := map[string]string{"app.kubernetes.io/name": "prometheus"}
	peers := []Peer{
		Pods(pods),
		Pods(pods).WithNamespaceSelector(meta.LabelSelector().WithMatchLabels(map[string]string{components.LabelAllowMetrics: "true"})),
	}
	if openShift {
		peers = append(peers, PodsIn([]string{"openshift-monitoring", "openshift-user-workload-monitoring"}, pods))
	}
	return peers
}

// DNS may be anywhere: in kube-system, in OpenShift's namespace at a port of its own, on the node, at a private address,
// or at the cloud's metadata address.
func DNS() Egress {
	return networking.NetworkPolicyEgressRule().
		WithPorts(policyPorts(corev1.ProtocolUDP, 53, 5353)...).
		WithPorts(policyPorts(corev1.ProtocolTCP, 53, 5353)...)
}

// Anywhere but the cloud's metadata.
func Anywhere() []Peer {
	return []Peer{block("0.0.0.0/0", "169.254.169.254/32"), block("::/0", "fd00:ec2::254/128")}
}

// Internet is what is not private, shared (as used by some clusters for Pods), link-local or loopback.
func Internet() []Peer {
	return []Peer{
		block("0.0.0.0/0", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"),
		block("::/0", "fc00::/7", "fe80::/10", "::1/128"),
	}
}

func block(cidr string, except ...string) Peer {
	return networking.NetworkPolicyPeer().WithIPBlock(networking.IPBlock().WithCIDR(cidr).WithExcept(except...))
}
