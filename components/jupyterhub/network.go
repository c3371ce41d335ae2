package jupyterhub

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
	networking "k8s.io/client-go/applyconfigurations/networking/v1"
)

type (
	peer        = *networking.NetworkPolicyPeerApplyConfiguration
	policyPort  = *networking.NetworkPolicyPortApplyConfiguration
	ingressRule = *networking.NetworkPolicyIngressRuleApplyConfiguration
	egressRule  = *networking.NetworkPolicyEgressRuleApplyConfiguration
)

// hubPolicy: the proxy, notebooks and Prometheus come in; out go the proxy's API, notebooks, the API server and the login
// provider.
func hubPolicy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	return policy(in, hubPart, selector(in, hubPart),
		[]ingressRule{
			from(tcp(8081), pods(selector(in, proxyPart)), pods(notebookLabels(in.platform)), prometheus()),
		},
		[]egressRule{
			dns(),
			to(tcp(8001), pods(selector(in, proxyPart))),
			to(tcp(8888), pods(notebookLabels(in.platform))),
			to(tcp(in.apiPorts...), anywhere()...),
		})
}

// proxyPolicy: browsers come in, through whatever router the cluster has, and the hub to the API alone.
func proxyPolicy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	return policy(in, proxyPart, selector(in, proxyPart),
		[]ingressRule{
			from(tcp(8000)),
			from(tcp(8001), pods(selector(in, hubPart))),
			from(tcp(8002), prometheus()),
		},
		[]egressRule{
			dns(),
			to(tcp(8081), pods(selector(in, hubPart))),
			to(tcp(8888), pods(notebookLabels(in.platform))),
		})
}

// notebookPolicy: notebooks are reached through the proxy only. They reach the hub, the platform's services and the
// internet, but nothing else inside: not other notebooks, not private networks, not the cloud's metadata.
func notebookPolicy(in inputs) *networking.NetworkPolicyApplyConfiguration {
	egress := []egressRule{
		dns(),
		to(tcp(8081), pods(selector(in, hubPart))),
		to(nil, internet()...),
	}
	for _, service := range in.services {
		egress = append(egress, to(tcp(service.ports...), pods(service.labels)))
	}
	if in.storage != nil {
		egress = append(egress, in.storage.Egress()...)
	}
	return policy(in, notebookPart, notebookLabels(in.platform),
		[]ingressRule{from(tcp(8888), pods(selector(in, proxyPart)), pods(selector(in, hubPart)))},
		egress)
}

func policy(in inputs, part string, selected map[string]string, ingress []ingressRule, egress []egressRule) *networking.NetworkPolicyApplyConfiguration {
	return networking.NetworkPolicy(in.object(part), in.namespace).
		WithLabels(labelled(part)).
		WithSpec(networking.NetworkPolicySpec().
			WithPodSelector(meta.LabelSelector().WithMatchLabels(selected)).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
			WithIngress(ingress...).
			WithEgress(egress...))
}

// from admits these peers, or everybody if there are none, to the ports.
func from(ports []policyPort, peers ...peer) ingressRule {
	return networking.NetworkPolicyIngressRule().WithPorts(ports...).WithFrom(peers...)
}

// to admits to the ports, or all if there are none, of the peers.
func to(ports []policyPort, peers ...peer) egressRule {
	return networking.NetworkPolicyEgressRule().WithPorts(ports...).WithTo(peers...)
}

func tcp(numbers ...int32) []policyPort { return portsOf(corev1.ProtocolTCP, numbers...) }

func portsOf(protocol corev1.Protocol, numbers ...int32) []policyPort {
	ports := make([]policyPort, 0, len(numbers))
	for _, number := range numbers {
		ports = append(ports, networking.NetworkPolicyPort().WithProtocol(protocol).WithPort(intstr.FromInt32(number)))
	}
	return ports
}

func pods(labels map[string]string) peer {
	return networking.NetworkPolicyPeer().WithPodSelector(meta.LabelSelector().WithMatchLabels(labels))
}

// prometheus is any Prometheus that the Prometheus operator runs, in whichever namespace.
func prometheus() peer {
	return pods(map[string]string{"app.kubernetes.io/name": "prometheus"}).WithNamespaceSelector(meta.LabelSelector())
}

// dns is where clusters have it: kube-system, OpenShift's namespace with its own port, and the cache on the node.
func dns() egressRule {
	namespaces := networking.NetworkPolicyPeer().WithNamespaceSelector(meta.LabelSelector().WithMatchExpressions(
		meta.LabelSelectorRequirement().WithKey(corev1.LabelMetadataName).WithOperator("In").WithValues("kube-system", "openshift-dns")))
	node := block("169.254.20.10/32")
	return to(append(portsOf(corev1.ProtocolUDP, 53, 5353), tcp(53, 5353)...), namespaces, node)
}

// anywhere but the cloud's metadata.
func anywhere() []peer {
	return []peer{block("0.0.0.0/0", "169.254.169.254/32"), block("::/0", "fd00:ec2::254/128")}
}

// internet is what is not private, shared (as used by some clusters for Pods), link-local or loopback.
func internet() []peer {
	return []peer{
		block("0.0.0.0/0", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"),
		block("::/0", "fc00::/7", "fe80::/10", "::1/128"),
	}
}

func block(cidr string, except ...string) peer {
	return networking.NetworkPolicyPeer().WithIPBlock(networking.IPBlock().WithCIDR(cidr).WithExcept(except...))
}
